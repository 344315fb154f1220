# What `make test` does not check: layout and style, and the tests once more under instruments.

.PHONY: lint oldest memcheck torture sanitize threads coverage mutants abi crate

# clang-format's opinion changes with its version, so one version is asked.
CLANG_FORMAT ?= clang-format-14

lint: ## check formatting and line width, with every warning as an error
	$(CARGO) fmt --check
	$(CARGO) clippy --all-targets --quiet -- -D warnings
	RUSTDOCFLAGS='-D warnings' $(CARGO) doc --no-deps --quiet
	RUSTDOCFLAGS='-D warnings' $(CARGO) doc --no-deps --document-private-items --quiet \
		--target-dir '$(TARGET_DIR)/private'
	$(CARGO) fmt --check --manifest-path $(LOAD_MANIFEST)
	$(CARGO) clippy --all-targets --quiet $(LOAD) -- -D warnings
	$(CARGO) fmt --check --manifest-path $(FUZZ_MANIFEST)
	$(CARGO) clippy --quiet --manifest-path $(FUZZ_MANIFEST) --target-dir '$(TARGET_DIR)/fuzz' \
		--no-default-features $(FUZZ_FEATURES) -- -D warnings
	$(CARGO) fmt --check --manifest-path $(LOOM_MANIFEST)
	$(CARGO) clippy --all-targets --quiet $(LOOM) -- -D warnings
	$(CC) $(WARNINGS) -Werror $(CFLAGS) -Iinclude -fsyntax-only $(SERVER_SOURCES) \
		$(wildcard benches/*.c examples/*.c examples/functions/*.c $(MOVING)/*/*.c)
	$(CXX) $(CXX_WARNINGS) -Werror $(CXXFLAGS) -Iinclude -fsyntax-only \
		$(wildcard examples/*.cpp)
	git ls-files .ci/run Makefile $(patsubst %,'*.%',mk md rs c h cpp py sh toml) \
		':!benches/results' \
		| LC_ALL=C xargs awk -f make/width.awk
	@if ! command -v $(CLANG_FORMAT) >/dev/null; then \
		echo 'skipped: no $(CLANG_FORMAT)'; test -z "$$CI"; \
	else \
		git ls-files '*.c' '*.h' '*.cpp' ':!include' \
			| xargs $(CLANG_FORMAT) --dry-run -Werror; \
	fi
	@if ! command -v shellcheck >/dev/null; then \
		echo 'skipped: no shellcheck'; test -z "$$CI"; \
	else \
		git ls-files .ci/run '*.sh' | xargs shellcheck; \
	fi

# Clippy looks for functions that are newer than the Rust of Cargo.toml, but not for syntax, and the
# library's path to a panic depends on the compiler.
OLDEST_CARGO = $(CARGO) +$(RUST_WANTED)
HAS_OLDEST   = $(shell $(OLDEST_CARGO) --version 2>/dev/null)

oldest: export CARGO_TARGET_DIR = $(TARGET_DIR)/oldest
oldest: ## build the library and check the tests with the oldest Rust that will do
	$(if $(HAS_OLDEST),$(MAKE) lib BUILD=$(BUILD)/oldest CARGO='$(OLDEST_CARGO)',@echo \
		'skipped: no Rust $(RUST_WANTED) (rustup toolchain install $(RUST_WANTED))')
	$(if $(HAS_OLDEST),$(OLDEST_CARGO) check --quiet --all-targets)

# The tests of the server that neither measure time nor count descriptors: valgrind is slow, and has
# descriptors of its own.
MEMCHECK_TESTS := recipients lines misbehaving telnet above_fd_setsize stats passed ready \
	--skip memory:: --skip fairness::

# The shared object is linked from the archive's object, so its code is not checked once more.
memcheck: all ## run the C tests, and most of the server's, under valgrind
	C_TEST_RUNNER=tests/memcheck.sh $(CARGO) test --test c -- --skip torture --skip shared::
	SERVER_RUNNER=tests/memcheck.sh $(CARGO) test --test server -- $(MEMCHECK_TESTS)
	EXAMPLE_RUNNER=tests/memcheck.sh $(CARGO) test --test suite -- _chats loop_goes_on \
		same_chat --skip smallest --skip script

# Under torture the library's allocations and system calls fail one after the other: in the C tests,
# and in a server that is linked with c-tests/torture. In the plain server strace makes the system
# calls fail.
TORTURE  := $(wildcard c-tests/torture/*.c)
TORTURED := $(BUILD)/tortured/server

torture: all $(TORTURED) ## run the C tests and the server with allocations and system calls failing
	C_TEST_RUNNER=tests/memcheck.sh $(CARGO) test --test c -- torture
	$(CARGO) test --test server -- failing_calls
	SERVER=$(TORTURED) $(CARGO) test --test server -- random_chat recipients lines \
		misbehaving telnet printable --skip fairness:: --skip a_thousand --skip a_reader_who

$(TORTURED): $(SERVER_FILES) $(TORTURE) $(wildcard c-tests/*.h c-tests/torture/*.h) $(ARCHIVE)
	$(call COMPILE,-std=gnu11,$(shell sed -n 's/^ \* link: //p' $(TORTURE)))

# The library with instruments in its Rust code. It is built with --target, although that is this
# machine, so that the flags are not for build scripts as well. It holds all of Rust's standard
# library, as Cargo makes it. Some of the flags are unstable, which RUSTC_BOOTSTRAP allows.
HOST    = $(shell rustc -vV | sed -n 's/^host: //p')
RELEASE = $(TARGET_DIR)/$*/$(HOST)/release

$(BUILD)/%/libchatserver.a: FORCE
	@mkdir -p $(@D)
	RUSTC_BOOTSTRAP=1 RUSTFLAGS='$(INSTRUMENTS)' $(CARGO) build --release --quiet \
		--target $(HOST) --target-dir '$(TARGET_DIR)/$*'
	cmp -s '$(RELEASE)/libchatserver.a' $@ || cp '$(RELEASE)/libchatserver.a' $@

SANITIZED := $(BUILD)/sanitized
SANITIZE  := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer -g

$(SANITIZED)/libchatserver.a: INSTRUMENTS := -Zsanitizer=address -Zexternal-clangrt \
	-Cdebug-assertions=on -Coverflow-checks=on -Cforce-frame-pointers=yes -Cdebuginfo=2

# The server's tests that measure its memory or take it away, which sanitizers use themselves.
SANITIZE_SKIP := gigabyte two_hundred_stopped_readers one_byte_at_a_time a_line_without_an_end \
	many_queues_of_short_lines memory::

# Those for which strace counts the calls from the start.
SANITIZE_COUNT := what_fails_at_the_start need_not_succeed of_which_nothing

# Where strace makes calls fail, leaks cannot be looked for; and where it counts them, the
# sanitizers' own are counted, too.
sanitize: $(SANITIZED)/libchatserver.a $(SANITIZED)/server ## run both with sanitizers in C and Rust
	LIBRARY=$(SANITIZED) CFLAGS='$(CFLAGS) $(SANITIZE)' $(CARGO) test --test c
	SERVER=$(SANITIZED)/server $(CARGO) test --test server -- $(SANITIZE_SKIP:%=--skip %) \
		--skip injected:: --skip fairness:: --skip failing_calls:: --skip the_unit_allows \
		--skip when_accepting_fails --skip cannot_be_set_up --skip of_which_nothing \
		--skip a_writer_whose_calls_fail
	SERVER=$(SANITIZED)/server ASAN_OPTIONS=detect_leaks=0 $(CARGO) test --test server -- \
		injected:: fairness:: a_writer_whose_calls_fail $(SANITIZE_COUNT:%=--skip %) \
		$(SANITIZE_SKIP:%=--skip %)

$(SANITIZED)/server: $(SERVER_FILES) $(SANITIZED)/libchatserver.a
	$(call COMPILE,$(SANITIZE))

# Loom tries all interleavings on the index. ThreadSanitizer watches the tests with threads, at
# fixed addresses, since it knows no others. GNU's has the functions for memory under their usual
# names alone. Of Rust's core, which is not instrumented, the library uses what is inlined. Two
# pools with the same descriptor both close it, which is no race in memory.
LOOM_MANIFEST := loom/Cargo.toml
LOOM          := --manifest-path $(LOOM_MANIFEST) --target-dir '$(TARGET_DIR)/loom'
THREADED      := $(BUILD)/threaded
TSAN          := -fsanitize=thread -static-libtsan \
	$(foreach name,memcpy memmove memset,-Wl,--defsym=__tsan_$(name)=$(name))

$(THREADED)/libchatserver.a: INSTRUMENTS := -Zsanitizer=thread -Zexternal-clangrt \
	-Cunsafe-allow-abi-mismatch=sanitizer -Cdebuginfo=2

threads: $(THREADED)/libchatserver.a ## check what threads share, by loom and ThreadSanitizer
	$(CARGO) test --release --quiet $(LOOM)
	echo 'race:close' >$(THREADED)/suppressions
	TSAN_OPTIONS=suppressions=$(CURDIR)/$(THREADED)/suppressions \
		LIBRARY=$(THREADED) CFLAGS='$(CFLAGS) $(TSAN)' \
		C_TEST_RUNNER='setarch -R' $(CARGO) test --test c -- threads::

# A program full of faults, for tests/suite/instruments.rs, which `make test` runs: valgrind and the
# sanitizers must find them.
$(BUILD)/instruments: tests/suite/instruments.c $(HEADERS) $(ARCHIVE)
	$(call COMPILE,-g)

$(SANITIZED)/instruments: tests/suite/instruments.c $(HEADERS) $(SANITIZED)/libchatserver.a
	$(call COMPILE,$(SANITIZE))

# How much of library, server and relay the tests run, by the instruments of rustc and clang. Both
# are LLVM's, so clang and the tools have to be of rustc's version. The library brings the code that
# counts, which calls read() itself; strace would take that for the server's in one test.
# tests/uncovered.md has the reasons for what is not run.
COVERED = $(BUILD)/covered
LLVM    = $(shell rustc -vV | sed -n 's/^LLVM version: \([0-9]*\).*/\1/p')
COUNTED = -Wl,-u,__llvm_profile_runtime

$(COVERED)/libchatserver.a: INSTRUMENTS := -Cinstrument-coverage -Zcoverage-options=branch

COUNT   = -Xclang -fprofile-instrument=clang -Xclang -fcoverage-mapping
COVER   = clang-$(LLVM) $(WARNINGS) $(CFLAGS)

$(COVERED)/server: $(SERVER_FILES) $(COVERED)/libchatserver.a
	$(call COMPILE,$(COUNT),$(COUNTED),$(COVER))

# The relay's tests, which mostly wait, run beside the server's. Where calls fail, a process may
# spoil its file, so each has one of its own.
REPORTED   = --instr-profile $(COVERED)/profile --ignore-filename-regex /c-tests/ \
	$(COVERED)/server --object $(COVERED)/relay
TEST_RELAY = RELAY=$(COVERED)/relay $(CARGO) test --release --quiet $(LOAD)

MEASURE = LIBRARY=$(COVERED) CFLAGS='$(CFLAGS) $(COUNTED)' $(CARGO) test --quiet --test c && \
	$(TEST_RELAY) --no-run && \
	( umask 0; { $(TEST_RELAY) --test relay -- --test-threads 6 && \
		LLVM_PROFILE_FILE=$(CURDIR)/$(COVERED)/profiles/%p.profraw \
		$(TEST_RELAY) --test torture -- --test-threads 4 \
			each_allocation_fails each_system; } & relay=$$!; \
		SERVER=$(COVERED)/server $(CARGO) test --quiet --test server -- --skip read_finds; \
		server=$$?; wait $$relay && exit $$server ) && \
	llvm-profdata-$(LLVM) merge --failure-mode=all --output $(COVERED)/profile \
		$(COVERED)/profiles/* && \
	llvm-cov-$(LLVM) export --format lcov $(REPORTED) >$(COVERED)/lcov.info
CHECK   = COVERAGE=$(COVERED)/lcov.info $(CARGO) test --quiet --test coverage

# Clock and kernel have a say in which lines a test reaches. What it misses by chance, it reaches
# when all are run once more, which adds to what has been counted.
coverage: export LLVM_PROFILE_FILE = $(CURDIR)/$(COVERED)/profiles/%4m.profraw
coverage: $(COVERED)/server ## measure how much of library, server and relay the tests run
	rm -rf $(COVERED)/profiles
	mkdir -m 777 $(COVERED)/profiles
	$(MEASURE)
	$(CHECK) || { $(MEASURE) && $(CHECK); }
	@llvm-cov-$(LLVM) report --show-region-summary=false $(REPORTED) | sed '/^$$/,/^-/d'

# A mutant is the library with one change, which a test ought to notice. LIBRARY says that the tests
# in C need not build it, and that the archive is enough; ccache keeps their objects. A test in C
# that loops for ever is ended: all together take four seconds. Mutants that no test can notice are
# in .cargo/mutants.toml.
mutants: ## change the library in hundreds of ways, and see a test fail each time
	@$(CARGO) mutants --version 2>/dev/null || { echo 'cargo-mutants is missing:' \
		'cargo install cargo-mutants --locked' >&2; exit 1; }
	env -u MAKEFLAGS LIBRARY=build C_TEST_RUNNER='timeout --foreground 5' \
		PROPTEST_MAX_SHRINK_ITERS=0 CARGO_PROFILE_TEST_DEBUG=0 \
		CC='$(if $(shell command -v ccache),ccache) $(CC)' \
		$(CARGO) mutants --output $(BUILD) $(MUTANTS)

# The record of the ABI: symbols, types, layouts. tests/suite/abi.rs compares it with the library,
# built by the same rules, except that it keeps the description of its types.
ABI_LIBRARY := $(BUILD)/abi/libchatserver.so.$(VERSION)

$(ABI_LIBRARY): FORCE
	CARGO_PROFILE_RELEASE_DEBUG=2 \
		$(MAKE) BUILD=$(BUILD)/abi CARGO_TARGET_DIR='$(TARGET_DIR)/abi' STRIPPED= $@

abi: $(ABI_LIBRARY) ## renew the record of the ABI, for a release
	abidw --no-corpus-path --no-comp-dir-path --no-show-locs --out-file $(BUILD)/abi/record $<
	rm -f tests/abi/*
	mv $(BUILD)/abi/record tests/abi/$(VERSION).abi

# The tests that find a file missing which the library, the server or their documents need. Cargo
# would take the package's objects for those of the working tree, had it no setting of its own. The
# packages below fuzz/ and benches/ are not in the crate, so links to them lead nowhere there.
ABSOLUTE    := $(if $(filter /%,$(TARGET_DIR)),,$(CURDIR)/)$(TARGET_DIR)
CRATE       := $(TARGET_DIR)/crate/package/chatserver-$(VERSION)
CRATE_TESTS := header layout manual readme versions

crate: ## test the crate as Cargo packs it
	$(CARGO) package --allow-dirty --quiet --target-dir '$(TARGET_DIR)/crate'
	cd '$(CRATE)' && $(CARGO) test --quiet --target-dir '$(ABSOLUTE)' \
		--config profile.dev.package.chatserver.codegen-units=255 \
		--test suite -- $(CRATE_TESTS:%=%::) --skip every_block --skip links_lead
