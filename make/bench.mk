# Benchmarks and the soak test (benches/README.md). They measure what `make` builds, with a load
# generator in Rust, against programs in C that listen the way the server does.
#
# OPTIONS are for the generator (OPTIONS=--help); CONTENDERS="--contender 'NAME=COMMAND'" adds one.
.PHONY: bench bench-quick bench-micro bench-flood bench-check soak
.PHONY: bench-rooms bench-room bench-faults

BENCH         := $(BUILD)/benches
LOAD_MANIFEST := benches/load/Cargo.toml
LOAD          := --manifest-path $(LOAD_MANIFEST) --target-dir '$(TARGET_DIR)/benches'
RUN_LOAD      := $(CARGO) run --release --quiet $(LOAD) --
RUN_BIN       := $(CARGO) run --release --quiet $(LOAD) --bin
RIVALS        := $(addprefix $(BENCH)/,floor copies uncorked original)
LISTEN        := $(addprefix src/,server/listen.c server/listen.h common/tcp.c common/tcp.h \
	common/fdset_next.h)

$(BENCH)/floor: benches/floor.c $(LISTEN)
	$(COMPILE)

$(BENCH)/copies: benches/floor.c $(LISTEN)
	$(call COMPILE,-DCOPIES)

# original.c includes the example's source.
$(BENCH)/original: benches/original.c $(wildcard examples/moving/before/*) $(LISTEN)
	$(call say,CC)
	@mkdir -p $(@D)
	$Q$(CC) $(WARNINGS) $(CFLAGS) $(CPPFLAGS) -o $@ $(filter benches/%.c src/%.c,$^) $(LDFLAGS)

# With fortified headers it would not read through uncorked.c.
$(BENCH)/uncorked: $(SERVER_FILES) benches/uncorked.c $(ARCHIVE)
	$(call COMPILE,-U_FORTIFY_SOURCE -Dread=my_read -Dchat_cork=my_cork -Dchat_uncork=my_uncork)

# All symbols are bound at the start, or the first call of malloc would be counted with the search
# for it.
$(BENCH)/micro: benches/micro.c $(HEADERS) $(ARCHIVE)
	$(call COMPILE,-z now)

bench: all $(RIVALS) ## compare the server with others, some 30 minutes; see benches/README.md
	$(RUN_LOAD) --preset full $(CONTENDERS) $(OPTIONS)

bench-quick: all $(RIVALS) ## the same in a minute
	$(RUN_LOAD) --preset quick $(CONTENDERS) $(OPTIONS)

bench-micro: $(BENCH)/micro ## count the instructions that each function takes
	@benches/micro.sh $< | tee benches/results/micro.md

bench-flood: all ## measure the latency of the others while one, ten or sixty clients flood
	$(RUN_LOAD) --preset flood $(OPTIONS)
	$(RUN_BIN) flood -- './server --quiet {port}'

bench-rooms: server relay ## measure one to five servers with relays beside one server alone
	$(RUN_BIN) rooms -- --out benches/results/rooms.md $(OPTIONS)

bench-room: server relay ## measure one room of 10,000 on ten servers beside ten rooms of 1,000
	$(RUN_BIN) rooms -- --apart --servers 10 --clients 10000 --window 1 --seconds 5 \
		--out benches/results/room.md $(OPTIONS)

bench-faults: server relay ## measure what is lost and who waits when broker, relay or server fails
	$(RUN_BIN) faults -- --out benches/results/rooms-faults.md $(OPTIONS)

bench-check: all $(RIVALS) $(BENCH)/micro ## try the benchmarks, without a meaningful result
	$(CARGO) test --release --quiet $(LOAD) --lib --bins
	$(RUN_LOAD) --preset check $(OPTIONS)
	$(RUN_LOAD) --preset check-flood $(OPTIONS)
	for operation in $$($(BENCH)/micro 2>&1 | sed -n 's/^  //p'); do \
		$(BENCH)/micro $$operation 10 >$(BENCH)/micro.log || exit; done

# The limit is low enough for clients that stall to reach it. The allocator keeps nothing of what is
# freed, and large blocks, one of which would keep what is below it, are mapped by themselves: so
# the process's memory shows what the server holds. SOAK_OPTIONS='--seed NUMBER' repeats a run.
SOAK_SECONDS ?= 600

soak: export GLIBC_TUNABLES = glibc.malloc.tcache_count=0:glibc.malloc.mxfast=0:$\
	glibc.malloc.trim_threshold=16384:glibc.malloc.top_pad=0:glibc.malloc.mmap_threshold=4096
soak: all ## let clients connect, stall, attack, reset and leave for SOAK_SECONDS (600)
	$(WITH_SBIN) $(RUN_BIN) soak -- --seconds $(SOAK_SECONDS) --attackers 40 \
		--web packaging/lighttpd/chatserver.conf $(SOAK_OPTIONS) \
		'./server --max-queue 262144 {port}'
