# make          the library (build/) and the server (./server)
# make lib      the library alone
# make test     everything that shows whether they work
# make lint     formatting, and the compilers', clippy's and rustdoc's opinion, as errors
# make memcheck the tests in C, and of the server's most, once more under valgrind
# make torture  the tests in C, under valgrind, and of the server's most, with every allocation and
#               every system call failing in turn
# make sanitize the tests in C, and of the server's most, once more with sanitizers in C and Rust
# make coverage how much of library and server the tests run, and whether the rest has a reason
# make fuzz     makes up calls for FUZZ_SECONDS (600) and checks what comes of them (fuzz/README.md);
#               make fuzz-corpus keeps of what it has tried what reaches most
# make bench    measures the server against others, some 20 minutes (benches/README.md)
# make bench-quick, bench-micro, bench-flood, bench-check
#               a minute of that; instructions counted; chatting while one floods; whether all
#               of it works
# make soak     a crowd that comes, talks, stalls, resets and leaves, for ten minutes or SOAK_SECONDS
# make examples builds the programs of examples/ (build/examples/)
# make crate    the crate as Cargo packs it, tried where it is unpacked
# make docs     the reference in HTML, by Doxygen (build/docs/)
# make header   renews include/chatServer.h from src/ffi.rs, and include/chatServerExt.h from
#               src/ffi_ext.rs
# make install, uninstall
#               puts it where PREFIX, DESTDIR and the like say, and removes it (packaging/install.mk)
# make dist     a source tarball that builds without a network (packaging/dist.mk)
# make deb, deb-check
#               packages for Debian out of that; whether they are in order
# make abi      renews the record of the ABI, for a release (tests/abi.rs)
# make clean    removes what was built, but for the crates of others in target/debug and target/release

CARGO   ?= cargo
CFLAGS  ?= -O2
LD      ?= ld
AR      ?= ar
OBJCOPY ?= objcopy
STRIP   ?= --strip-debug --strip-unneeded
READELF ?= readelf

TOOLS   := $(foreach tool,CARGO CC LD AR OBJCOPY READELF,$(firstword $($(tool))))
MISSING := $(foreach tool,$(TOOLS),$(if $(shell command -v $(tool)),,$(tool)))
# Installing takes none of them.
NEEDED  := $(filter-out install uninstall,$(or $(MAKECMDGOALS),all))
$(if $(and $(NEEDED),$(strip $(MISSING))),$(error not found on this machine: $(strip $(MISSING))))

BUILD      := build
TARGET_DIR := $(or $(CARGO_TARGET_DIR),target)
WARNINGS   := -std=c99 -Wall -Wextra -Wpedantic -Wshadow -Wconversion

VERSION := $(shell sed -n '/^version = /{ s/.*"\(.*\)"/\1/p; q }' Cargo.toml)
MAJOR   := $(firstword $(subst ., ,$(VERSION)))
SONAME  := libchatserver.so.$(MAJOR)

HEADERS   := $(wildcard include/*.h)
# The functions that the headers declare are what the library exports: no less and no more.
FUNCTIONS := $(sort $(shell sed -nE 's/^[a-z][a-z_ ]*[ *]([A-Za-z_]+)\(.*\);/\1/p' $(HEADERS)))

RUST_ARCHIVE := $(TARGET_DIR)/release/libchatserver.a
ARCHIVE      := $(BUILD)/libchatserver.a
SHARED       := $(BUILD)/libchatserver.so.$(VERSION)

SERVER_SOURCES := src/chatServer.c $(wildcard src/server/*.c)

# GNU ld enters a version's own name among the exported symbols; the linker that comes with
# rustc exports the functions alone. Where there is none, GNU ld's shared object serves as well.
RUST_LLD := $(firstword $(wildcard $(shell rustc --print sysroot 2>/dev/null)/lib/rustlib/*/bin/gcc-ld))
LINKER   := $(if $(RUST_LLD),-B$(RUST_LLD) -fuse-ld=lld)

.PHONY: all lib examples test lint memcheck torture sanitize coverage bench bench-quick \
	bench-micro bench-flood bench-check soak abi clean FORCE
.DELETE_ON_ERROR:

all: lib server

lib: $(ARCHIVE) $(SHARED)
	@wc -c $^ | sed '/total/d; s/^ */  /; s/ \(build\)/ bytes  \1/'

# The source tarball has what this needs with it (packaging/dist.sh).
OFFLINE := $(if $(wildcard vendor),--frozen --config vendor/config.toml --manifest-path vendor/Cargo.toml)

$(RUST_ARCHIVE): FORCE
	$(CARGO) build --release --quiet --target-dir $(TARGET_DIR) $(OFFLINE)

# Cargo's archive holds all of Rust's standard library. Nothing of it is needed, since the code
# has no path to a panic, so what the exported functions do not reach is left out, and every
# other name is made local.
$(BUILD)/chatserver.o: $(RUST_ARCHIVE) $(HEADERS) Makefile
	@mkdir -p $(BUILD)
	$(LD) -r --gc-sections $(FUNCTIONS:%=-u %) -o $@ $<
	$(OBJCOPY) $(STRIP) --remove-section=.comment \
		$(FUNCTIONS:%=--keep-global-symbol=%) $@
	@if $(READELF) -sW $@ | grep -E 'panic|rust_eh|_Unwind'; then \
		echo '$@: the library has a path to a panic (see above)' >&2; exit 1; fi
	@$(READELF) -sW $@ | awk '$$5 == "GLOBAL" && $$7 != "UND" { print $$8 }' | sort >$@.exports
	@printf '%s\n' $(FUNCTIONS) | sort | diff - $@.exports || { \
		echo '$@: what is exported (>) is not what the headers declare (<)' >&2; exit 1; }

$(ARCHIVE): $(BUILD)/chatserver.o
	rm -f $@
	$(AR) rcs $@ $<

$(BUILD)/libchatserver.map: $(HEADERS) Makefile
	@mkdir -p $(BUILD)
	printf 'CHATSERVER_1 { global: %s local: *; };\n' '$(FUNCTIONS:%=%;)' >$@

$(SHARED): $(BUILD)/chatserver.o $(BUILD)/libchatserver.map
	$(CC) -shared -nostartfiles $(LINKER) -o $@ $< -Wl,-soname,$(SONAME) -Wl,--no-undefined \
		-Wl,--version-script,$(BUILD)/libchatserver.map -Wl,-z,relro,-z,now $(LDFLAGS)
	ln -sf $(notdir $@) $(BUILD)/$(SONAME)
	ln -sf $(SONAME) $(BUILD)/libchatserver.so

server: $(SERVER_SOURCES) $(wildcard src/server/*.h) $(HEADERS) $(ARCHIVE)
	$(CC) $(WARNINGS) $(CFLAGS) $(CPPFLAGS) -Iinclude -o $@ $(SERVER_SOURCES) $(ARCHIVE) $(LDFLAGS)

# The examples. They alone need a compiler for C++.
CXXFLAGS     ?= -O2
EXAMPLES     := $(BUILD)/examples
CXX_WARNINGS := $(subst c99,c++11,$(WARNINGS))
MOVING       := examples/moving

examples: $(addprefix $(EXAMPLES)/,chat own_loop room before after)

$(EXAMPLES)/%: examples/%.c $(HEADERS) $(ARCHIVE)
	@mkdir -p $(@D)
	$(CC) $(WARNINGS) $(CFLAGS) $(CPPFLAGS) -Iinclude -o $@ $(filter %.c %.a,$^) $(LDFLAGS)

$(EXAMPLES)/room: examples/room.cpp $(HEADERS) $(ARCHIVE)
	@mkdir -p $(@D)
	$(CXX) $(CXX_WARNINGS) $(CXXFLAGS) $(CPPFLAGS) -Iinclude -o $@ $(filter %.cpp %.a,$^) $(LDFLAGS)

$(EXAMPLES)/before: $(wildcard $(MOVING)/before/*)
	@mkdir -p $(@D)
	$(CC) $(WARNINGS) $(CFLAGS) $(CPPFLAGS) -o $@ $(filter %.c,$^) $(LDFLAGS)

$(EXAMPLES)/after: $(MOVING)/after/chatServer.c $(HEADERS) $(ARCHIVE)
	@mkdir -p $(@D)
	$(CC) $(WARNINGS) $(CFLAGS) $(CPPFLAGS) -Iinclude -o $@ $(filter %.c %.a,$^) $(LDFLAGS)

# The tests look for the tools they need beyond a C compiler, and say which they miss.
test: all
	$(CARGO) test

lint:
	$(CARGO) fmt --check
	$(CARGO) clippy --all-targets --quiet -- -D warnings
	RUSTDOCFLAGS='-D warnings' $(CARGO) doc --no-deps --quiet
	RUSTDOCFLAGS='-D warnings' $(CARGO) doc --no-deps --document-private-items --quiet \
		--target-dir $(TARGET_DIR)/private
	$(CARGO) fmt --check --manifest-path $(LOAD_MANIFEST)
	$(CARGO) clippy --all-targets --quiet $(LOAD) -- -D warnings
	$(CARGO) fmt --check --manifest-path $(FUZZ_MANIFEST)
	$(CARGO) clippy --quiet --manifest-path $(FUZZ_MANIFEST) --target-dir $(TARGET_DIR)/fuzz \
		--no-default-features -- -D warnings
	$(CC) $(WARNINGS) -Werror $(CFLAGS) -Iinclude -fsyntax-only $(SERVER_SOURCES) \
		$(wildcard benches/*.c examples/*.c $(MOVING)/*/*.c)
	$(CXX) $(CXX_WARNINGS) -Werror $(CXXFLAGS) -Iinclude -fsyntax-only $(wildcard examples/*.cpp)

# Of the server's tests those that neither measure time nor count descriptors: valgrind is slow, and
# has some of its own.
UNTIMED := relay lines faults telnet above_fd_setsize figures passed ready

memcheck: all
	C_TEST_RUNNER=tests/memcheck.sh $(CARGO) test --test c -- --skip torture
	SERVER_RUNNER=tests/memcheck.sh $(CARGO) test --test server -- $(UNTIMED)
	EXAMPLE_RUNNER=tests/memcheck.sh $(CARGO) test --test examples -- _chats loop_goes_on same_chat \
		--skip smallest --skip script
	$(CARGO) test --test instruments

# Under torture the library's allocations and system calls fail, one after the other: in the tests in
# C, and in a server that is built so. In the server as it is strace has its system calls fail.
TORTURE  := $(wildcard c-tests/torture/*.c)
TORTURED := $(BUILD)/tortured/server

torture: all $(TORTURED)
	C_TEST_RUNNER=tests/memcheck.sh $(CARGO) test --test c -- torture
	$(CARGO) test --test server -- torture
	SERVER=$(TORTURED) $(CARGO) test --test server -- model relay lines faults telnet \
		--skip a_thousand --skip a_reader_who

$(TORTURED): $(SERVER_SOURCES) $(TORTURE) $(wildcard src/server/*.h c-tests/*.h c-tests/torture/*.h) \
		$(HEADERS) $(ARCHIVE)
	@mkdir -p $(@D)
	$(CC) $(WARNINGS) -std=gnu11 $(CFLAGS) $(CPPFLAGS) -Iinclude -o $@ $(filter %.c %.a,$^) \
		$(shell sed -n 's/^ \* link: //p' $(TORTURE)) $(LDFLAGS)

# The library with instruments in its Rust code, for a target that is named so that the flags are
# for that code alone. It holds all of Rust's standard library, as Cargo makes it. Some flags are
# not stable, which RUSTC_BOOTSTRAP lets pass.
HOST = $(shell rustc -vV | sed -n 's/^host: //p')

$(BUILD)/sanitized/libchatserver.a: INSTRUMENTS := -Zsanitizer=address -Zexternal-clangrt \
	-Cdebug-assertions=on -Coverflow-checks=on -Cforce-frame-pointers=yes -Cdebuginfo=2

$(BUILD)/%/libchatserver.a: FORCE
	@mkdir -p $(@D)
	RUSTC_BOOTSTRAP=1 RUSTFLAGS='$(INSTRUMENTS)' $(CARGO) build --release --quiet \
		--target $(HOST) --target-dir $(TARGET_DIR)/$*
	cmp -s $(TARGET_DIR)/$*/$(HOST)/release/libchatserver.a $@ || cp $(TARGET_DIR)/$*/$(HOST)/release/libchatserver.a $@

# The tests in C and the server's once more, with sanitizers in C and Rust. Of the server's not
# those that measure its memory or take it away. Where strace makes calls fail, leaks cannot be
# looked for; and where it counts them from the start, the sanitizers have some of their own.
SANITIZED := $(BUILD)/sanitized
SANITIZE  := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer -g

OF_MEMORY := gigabyte two_hundred_stopped_readers one_byte_at_a_time a_line_without_an_end memory::

sanitize: $(SANITIZED)/libchatserver.a $(SANITIZED)/server
	LIBRARY=$(SANITIZED) CFLAGS='$(CFLAGS) $(SANITIZE)' $(CARGO) test --test c
	SERVER=$(SANITIZED)/server $(CARGO) test --test server -- \
		$(OF_MEMORY:%=--skip %) --skip injected:: --skip torture:: --skip the_unit_allows
	SERVER=$(SANITIZED)/server ASAN_OPTIONS=detect_leaks=0 $(CARGO) test --test server -- \
		injected:: --skip what_fails_at_the_start
	$(CARGO) test --test instruments

$(SANITIZED)/server: $(SERVER_SOURCES) $(wildcard src/server/*.h) $(HEADERS) $(SANITIZED)/libchatserver.a
	$(CC) $(WARNINGS) $(CFLAGS) $(SANITIZE) $(CPPFLAGS) -Iinclude -o $@ $(filter %.c %.a,$^) $(LDFLAGS)

# A program full of faults, for tests/instruments.rs, built as the programs above are.
$(BUILD)/faults: tests/faults.c $(HEADERS) $(ARCHIVE)
	$(CC) $(WARNINGS) $(CFLAGS) -g $(CPPFLAGS) -Iinclude -o $@ $(filter %.c %.a,$^) $(LDFLAGS)

$(SANITIZED)/faults: tests/faults.c $(HEADERS) $(SANITIZED)/libchatserver.a
	$(CC) $(WARNINGS) $(CFLAGS) $(SANITIZE) $(CPPFLAGS) -Iinclude -o $@ $(filter %.c %.a,$^) $(LDFLAGS)

# How much of library and server the tests run, by the instruments of rustc and clang, which are both
# LLVM's: clang and the tools are to be of the version that rustc has. What counts while the program
# runs comes with the library, and reads by itself, which strace would count for one test.
# tests/uncovered.md has the reasons for what is not run.
COVERED = $(BUILD)/covered
LLVM    = $(shell rustc -vV | sed -n 's/^LLVM version: \([0-9]*\).*/\1/p')
COUNTED = -Wl,-u,__llvm_profile_runtime

$(COVERED)/libchatserver.a: INSTRUMENTS := -Cinstrument-coverage -Zcoverage-options=branch

$(COVERED)/server: $(SERVER_SOURCES) $(wildcard src/server/*.h) $(HEADERS) $(COVERED)/libchatserver.a
	clang-$(LLVM) $(WARNINGS) $(CFLAGS) -Xclang -fprofile-instrument=clang -Xclang -fcoverage-mapping \
		$(CPPFLAGS) -Iinclude -o $@ $(filter %.c %.a,$^) $(COUNTED) $(LDFLAGS)

coverage: export LLVM_PROFILE_FILE = $(CURDIR)/$(COVERED)/profiles/%4m.profraw
coverage: $(COVERED)/server
	rm -rf $(COVERED)/profiles
	LIBRARY=$(COVERED) CFLAGS='$(CFLAGS) $(COUNTED)' $(CARGO) test --quiet --test c
	SERVER=$< $(CARGO) test --quiet --test server -- --skip read_finds
	llvm-profdata-$(LLVM) merge --output $(COVERED)/profile $(COVERED)/profiles/*
	llvm-cov-$(LLVM) export --format lcov --instr-profile $(COVERED)/profile $< >$(COVERED)/lcov.info
	@llvm-cov-$(LLVM) report --show-region-summary=false --instr-profile $(COVERED)/profile $< \
		| sed '/^$$/,/^-/d'
	COVERAGE=$(COVERED)/lcov.info $(CARGO) test --quiet --test coverage

# What programs are linked with: symbols, types, layouts. tests/abi.rs compares the record with the
# library, built by the rules above except that it keeps its description of types.
ABI_LIBRARY := $(BUILD)/abi/libchatserver.so.$(VERSION)

$(ABI_LIBRARY): FORCE
	CARGO_PROFILE_RELEASE_DEBUG=2 $(MAKE) BUILD=$(BUILD)/abi CARGO_TARGET_DIR=$(TARGET_DIR)/abi STRIP= $@

abi: $(ABI_LIBRARY)
	abidw --no-corpus-path --no-comp-dir-path --no-show-locs --out-file $(BUILD)/abi/record $<
	rm -f tests/abi/*
	mv $(BUILD)/abi/record tests/abi/$(VERSION).abi

# Of the tests those that show whether all files are there which the library, the server and their
# documents need. Cargo would take them for the working tree's, were there no setting of their own.
CRATE       := $(TARGET_DIR)/crate/package/chatserver-$(VERSION)
CRATE_TESTS := header layout manual readme versions

.PHONY: crate
crate:
	$(CARGO) package --allow-dirty --quiet --target-dir $(TARGET_DIR)/crate
	cd $(CRATE) && $(CARGO) test --quiet --target-dir $(abspath $(TARGET_DIR)) \
		--config profile.dev.package.chatserver.codegen-units=255 $(CRATE_TESTS:%=--test %)

# The fuzzers have the library's own code in them, compiled with their instruments and the address
# sanitizer. rustc has both behind options that a stable one takes from RUSTC_BOOTSTRAP.
FUZZ_SECONDS  ?= 600
FUZZ          := $(BUILD)/fuzz
FUZZ_MANIFEST := fuzz/Cargo.toml
FUZZERS       := calls lines
FUZZ_HOST     := $(shell rustc -vV | sed -n 's/^host: //p')
FUZZ_FLAGS    := -Zsanitizer=address -Cpasses=sancov-module --cfg fuzzing \
	$(addprefix -Cllvm-args=-sanitizer-coverage-,level=4 inline-8bit-counters pc-table)

.PHONY: fuzzers fuzz fuzz-corpus
fuzzers:
	RUSTC_BOOTSTRAP=1 RUSTFLAGS='$(FUZZ_FLAGS)' $(CARGO) build --release --quiet \
		--manifest-path $(FUZZ_MANIFEST) --target $(FUZZ_HOST) --target-dir $(TARGET_DIR)/fuzz
	@mkdir -p $(FUZZERS:%=$(FUZZ)/%)

# All at the same time, each beginning with the corpus and what it has found before.
fuzz: fuzzers
	@for fuzzer in $(FUZZERS); do \
		$(TARGET_DIR)/fuzz/$(FUZZ_HOST)/release/$$fuzzer $(FUZZ)/$$fuzzer fuzz/corpus/$$fuzzer \
			-max_total_time=$(FUZZ_SECONDS) -max_len=600 -len_control=0 -timeout=60 \
			-artifact_prefix=$(FUZZ)/$$fuzzer- >$(FUZZ)/$$fuzzer.log 2>&1 & \
		running="$$running $$fuzzer:$$!"; \
	done; for one in $$running; do \
		log=$(FUZZ)/$${one%:*}.log; wait $${one#*:} || { failed=1; tail -n 120 $$log; }; \
		echo "$${one%:*}: $$(grep -E 'cov: ' $$log | tail -n 1)"; \
	done; test -z "$$failed"

# Of the inputs that reach the same places the shortest is kept.
fuzz-corpus: fuzzers
	for fuzzer in $(FUZZERS); do \
		rm -rf $(FUZZ)/least && mkdir $(FUZZ)/least && \
		$(TARGET_DIR)/fuzz/$(FUZZ_HOST)/release/$$fuzzer -merge=1 -use_counters=0 \
			-max_len=600 $(FUZZ)/least fuzz/corpus/$$fuzzer $(FUZZ)/$$fuzzer || exit; \
		rm -rf fuzz/corpus/$$fuzzer && mv $(FUZZ)/least fuzz/corpus/$$fuzzer; \
	done

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

bench: all $(MEASURED)
	$(RUN) $(RIVALS) $(CONTENDERS) --out benches/results $(OPTIONS)

bench-quick: all $(MEASURED)
	$(RUN) $(RIVALS) $(CONTENDERS) --out $(BENCH)/quick --rounds 3 --seconds 0.25 \
		--clients 10,100 --bytes 32 --scenarios latency $(OPTIONS)

bench-micro: $(BENCH)/micro
	@mkdir -p benches/results
	@benches/micro.sh $< | tee benches/results/micro.md

bench-flood: all
	$(RUN) --only server --clients none --scenarios flood --rounds 3 --seconds 1 --strict $(OPTIONS)

# The original's way may tear lines while somebody floods.
bench-check: all $(MEASURED) $(BENCH)/micro
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

soak: all
	$(CARGO) run --release --quiet $(LOAD) --bin soak -- --seconds $(SOAK_SECONDS) $(SOAK_OPTIONS) \
		'./server --max-queue 65536 {port}'

# The crates of others stay: they take the longest to build, and change when Cargo.lock does. Cargo
# cleans one profile at a time. What follows is the folders that the rules above give it, and those of
# Cargo's own that other projects use, too, where they share CARGO_TARGET_DIR.
CLEAN := $(CARGO) clean --quiet --package chatserver --target-dir $(TARGET_DIR) $(OFFLINE)
ASIDE := abi benches covered crate fuzz private sanitized $(if $(CARGO_TARGET_DIR),,doc tmp)

clean:
	$(CLEAN)
	$(CLEAN) --release
	rm -rf $(BUILD) server $(ASIDE:%=$(TARGET_DIR)/%)

include make/docs.mk packaging/install.mk packaging/dist.mk
