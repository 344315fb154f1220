.PHONY: bench bench-quick bench-micro bench-flood bench-check soak

# What is measured is what `make` builds, by a package of its own, against programs in C that
# listen the way the server does.
BENCH         := $(BUILD)/benches
LOAD_MANIFEST := benches/load/Cargo.toml
LOAD          := --manifest-path $(LOAD_MANIFEST) --target-dir $(TARGET_DIR)/benches

# NAME=COMMAND, the first being what the others are compared with. CONTENDERS adds some; OPTIONS
# are for the generator (OPTIONS=--help).
OUR_OWN := --contender 'floor=$(BENCH)/floor {port}' \
	--contender 'server=./server --quiet {port}' \
	--contender 'copies=$(BENCH)/copies {port}' \
	--contender 'uncorked=$(BENCH)/uncorked --quiet {port}' \
	--contender 'original=$(BENCH)/original {port}'
MEASURED := $(addprefix $(BENCH)/,floor copies uncorked original)
RIVALS  := --contender 'ncat=ncat -l -k --broker -m 2000 {port}'
RUN     := $(CARGO) run --release --quiet $(LOAD) -- $(OUR_OWN)

$(BENCH)/floor $(BENCH)/original: $(BENCH)/%: benches/%.c src/server/listen.c src/server/listen.h
	@mkdir -p $(BENCH)
	$(CC) $(WARNINGS) $(CFLAGS) $(CPPFLAGS) -o $@ $(filter %.c,$^) $(LDFLAGS)

$(BENCH)/copies: benches/floor.c src/server/listen.c src/server/listen.h
	@mkdir -p $(BENCH)
	$(CC) $(WARNINGS) $(CFLAGS) $(CPPFLAGS) -DCOPIES -o $@ $(filter %.c,$^) $(LDFLAGS)

# Fortified headers would have it read past uncorked.c.
$(BENCH)/uncorked: $(SERVER_SOURCES) benches/uncorked.c benches/uncorked.h $(wildcard src/server/*.h) \
		$(HEADERS) $(ARCHIVE)
	@mkdir -p $(BENCH)
	$(CC) $(WARNINGS) $(CFLAGS) $(CPPFLAGS) -U_FORTIFY_SOURCE -Iinclude \
		-include benches/uncorked.h -o $@ $(filter %.c %.a,$^) $(LDFLAGS)

# Bound at the start, or the first call of malloc would be counted with the search for it.
$(BENCH)/micro: benches/micro.c $(HEADERS) $(ARCHIVE)
	@mkdir -p $(BENCH)
	$(CC) $(WARNINGS) $(CFLAGS) $(CPPFLAGS) -Iinclude -o $@ $(filter %.c %.a,$^) $(LDFLAGS) -Wl,-z,now

bench: all $(MEASURED) ## compare the server with others, some 20 minutes; see benches/README.md
	$(RUN) $(RIVALS) $(CONTENDERS) --out benches/results $(OPTIONS)

bench-quick: all $(MEASURED) ## the same in a minute
	$(RUN) $(RIVALS) $(CONTENDERS) --out $(BENCH)/quick --rounds 3 --seconds 0.25 \
		--clients 10,100 --bytes 32 --scenarios latency $(OPTIONS)

bench-micro: $(BENCH)/micro ## count the instructions that each function takes
	@mkdir -p benches/results
	@benches/micro.sh $< | tee benches/results/micro.md

bench-flood: all ## measure chatting while one client floods
	$(RUN) --only server --clients none --scenarios flood --rounds 3 --seconds 1 --strict $(OPTIONS)

# The original's way may tear lines while somebody floods.
bench-check: all $(MEASURED) $(BENCH)/micro ## try the benchmarks, without a meaningful result
	$(CARGO) test --quiet $(LOAD)
	$(RUN) --out $(BENCH)/check --strict --rounds 1 --seconds 0.05 \
		--clients 10 --speakers 2 --bytes 40 --window 8 --scenarios latency,idle $(OPTIONS)
	$(RUN) --only floor,server,copies,uncorked --strict --rounds 1 --seconds 0.05 \
		--clients none --scenarios flood $(OPTIONS)
	for operation in $$($(BENCH)/micro 2>&1 | sed -n 's/^  //p'); do \
		$(BENCH)/micro $$operation 10 >$(BENCH)/micro.log || exit; done

# With a limit low enough for those who stall to reach it, and an allocator that keeps nothing of what
# is freed, so that the memory shows what the server holds. SOAK_OPTIONS='--seed NUMBER' is for once more.
SOAK_SECONDS ?= 600
TUNABLES     := tcache_count=0 mxfast=0 trim_threshold=16384 top_pad=0
SPACE        := $(subst ,, )
soak: export GLIBC_TUNABLES = $(subst $(SPACE),:,$(TUNABLES:%=glibc.malloc.%))

soak: all ## let clients come, stall, reset and leave for SOAK_SECONDS (600)
	$(CARGO) run --release --quiet $(LOAD) --bin soak -- --seconds $(SOAK_SECONDS) $(SOAK_OPTIONS) \
		'./server --max-queue 65536 {port}'

