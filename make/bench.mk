# Benchmarks and the soak test (benches/README.md). They measure what `make` builds, with a load
# generator in Rust, against programs in C that listen the way the server does.
#
# OPTIONS are for the generator (OPTIONS=--help); CONTENDERS="--contender 'NAME=COMMAND'" adds one.

BENCH         := $(BUILD)/benches
LOAD_MANIFEST := benches/load/Cargo.toml
LOAD          := --manifest-path $(LOAD_MANIFEST) --target-dir $(TARGET_DIR)/benches
RUN_LOAD      := $(CARGO) run --release --quiet $(LOAD) --
RIVALS        := $(addprefix $(BENCH)/,floor copies uncorked original)
LISTEN        := src/server/listen.c src/server/listen.h

.PHONY: bench bench-quick bench-micro bench-flood bench-check soak

$(BENCH)/floor: benches/floor.c $(LISTEN)

$(BENCH)/copies: BENCH_FLAGS := -DCOPIES
$(BENCH)/copies: benches/floor.c $(LISTEN)

$(BENCH)/original: benches/original.c $(wildcard examples/moving/before/*) $(LISTEN)

# With fortified headers it would not read through uncorked.c.
$(BENCH)/uncorked: BENCH_FLAGS := -U_FORTIFY_SOURCE -Iinclude -include benches/uncorked.h
$(BENCH)/uncorked: $(SERVER_SOURCES) benches/uncorked.c benches/uncorked.h \
		$(wildcard src/server/*.h) $(HEADERS) $(ARCHIVE)

# All symbols are bound at the start, or the first call of malloc would be counted with the search
# for it.
$(BENCH)/micro: BENCH_FLAGS := -Iinclude -Wl,-z,now
$(BENCH)/micro: benches/micro.c $(HEADERS) $(ARCHIVE)

$(RIVALS) $(BENCH)/micro:
	@mkdir -p $(@D)
	$(CC) $(WARNINGS) $(CFLAGS) $(CPPFLAGS) $(BENCH_FLAGS) -o $@ \
		$(filter benches/%.c src/%.c %.a,$^) $(LDFLAGS)

bench: all $(RIVALS) ## compare the server with others, some 20 minutes; see benches/README.md
	$(RUN_LOAD) --preset full $(CONTENDERS) $(OPTIONS)

bench-quick: all $(RIVALS) ## the same in a minute
	$(RUN_LOAD) --preset quick $(CONTENDERS) $(OPTIONS)

bench-flood: all ## measure chatting while one client floods
	$(RUN_LOAD) --preset flood $(OPTIONS)

bench-micro: $(BENCH)/micro ## count the instructions that each function takes
	@benches/micro.sh $< | tee benches/results/micro.md

bench-check: all $(RIVALS) $(BENCH)/micro ## try the benchmarks, without a meaningful result
	$(CARGO) test --quiet $(LOAD)
	$(RUN_LOAD) --preset check $(OPTIONS)
	$(RUN_LOAD) --preset check-flood $(OPTIONS)
	for operation in $$($(BENCH)/micro 2>&1 | sed -n 's/^  //p'); do \
		$(BENCH)/micro $$operation 10 >$(BENCH)/micro.log || exit; done

# The limit is low enough for clients that stall to reach it, and the allocator keeps nothing of
# what is freed, so that the process's memory shows what the server holds.
# SOAK_OPTIONS='--seed NUMBER' repeats a run.
SOAK_SECONDS ?= 600

soak: export GLIBC_TUNABLES = glibc.malloc.tcache_count=0:glibc.malloc.mxfast=0:$\
	glibc.malloc.trim_threshold=16384:glibc.malloc.top_pad=0
soak: all ## let clients come, stall, reset and leave for SOAK_SECONDS (600)
	$(CARGO) run --release --quiet $(LOAD) --bin soak -- --seconds $(SOAK_SECONDS) $(SOAK_OPTIONS) \
		'./server --max-queue 65536 {port}'
