# The fuzzers hold the library's own code, compiled with instruments for libFuzzer and with the
# address sanitizer. Both are unstable options of rustc, which RUSTC_BOOTSTRAP allows. libFuzzer,
# alone in C++, would get the sanitizer as well, which would cost a seventh of the time.

FUZZ_SECONDS  ?= 600
FUZZ          := $(BUILD)/fuzz
FUZZ_MANIFEST := fuzz/Cargo.toml
FUZZERS        = calls lines telnet $(if $(MOSQUITTO),relay)
FUZZ_FEATURES  = $(if $(MOSQUITTO),--features relay)
FUZZ_PROGRAMS  = $(TARGET_DIR)/fuzz/$(HOST)/release
FUZZ_FLAGS    := -Zsanitizer=address -Cpasses=sancov-module --cfg fuzzing \
	$(addprefix -Cllvm-args=-sanitizer-coverage-,level=4 inline-8bit-counters pc-table)

.PHONY: fuzzers fuzz fuzz-corpus

fuzzers:
	CXXFLAGS=-fno-sanitize=address RUSTC_BOOTSTRAP=1 RUSTFLAGS='$(FUZZ_FLAGS)' \
		$(CARGO) build --release --quiet \
		--manifest-path $(FUZZ_MANIFEST) --target $(HOST) $(FUZZ_FEATURES) \
		--target-dir '$(TARGET_DIR)/fuzz'
	@mkdir -p $(FUZZERS:%=$(FUZZ)/%)

# All fuzzers run at the same time. Each begins with the corpus and with what earlier runs found.
# The schedule that -entropic=0 switches off would take a quarter of the time. The sanitizer keeps
# freed memory unused for the last 8 MB, which is several inputs: with its usual 256 MB, every
# allocation is of memory that no cache holds any more.
fuzz: fuzzers ## play random calls against a model for FUZZ_SECONDS (600)
	@$(if $(MOSQUITTO),,echo 'relay: skipped, since pkg-config finds no libmosquitto')
	@for fuzzer in $(FUZZERS); do \
		ASAN_OPTIONS="quarantine_size_mb=8:$$ASAN_OPTIONS" \
			'$(FUZZ_PROGRAMS)'/$$fuzzer $(FUZZ)/$$fuzzer fuzz/corpus/$$fuzzer \
			-max_total_time=$(FUZZ_SECONDS) -max_len=200 -len_control=0 -timeout=60 \
			-entropic=0 -print_funcs=0 \
			-artifact_prefix=$(FUZZ)/$$fuzzer- >$(FUZZ)/$$fuzzer.log 2>&1 & \
		running="$$running $$fuzzer:$$!"; \
	done; for one in $$running; do \
		log=$(FUZZ)/$${one%:*}.log; wait $${one#*:} || { failed=1; tail -n 120 $$log; }; \
		echo "$${one%:*}: $$(grep -E 'cov: ' $$log | tail -n 1)"; \
	done; test -z "$$failed"

# Keeps few files that reach every edge which the corpus, the earlier runs and some random bytes
# reach. Those bytes are there because a long input reaches much at once. Files that somebody has
# given a name, instead of the hash that the fuzzer gives, stay.
fuzz-corpus: fuzzers ## renew fuzz/corpus: few inputs that reach all that was ever reached
	@for fuzzer in $(FUZZERS); do \
		rm -rf $(FUZZ)/few $(FUZZ)/random && mkdir $(FUZZ)/few $(FUZZ)/random && \
		head -c 240000 /dev/urandom | split -a 3 -b 200 - $(FUZZ)/random/ && \
		'$(FUZZ_PROGRAMS)'/$$fuzzer -set_cover_merge=1 -use_counters=0 -max_len=200 \
			$(FUZZ)/few fuzz/corpus/$$fuzzer $(FUZZ)/$$fuzzer $(FUZZ)/random \
			>$(FUZZ)/merge.log 2>&1 || { cat $(FUZZ)/merge.log; exit 1; }; \
		find fuzz/corpus/$$fuzzer -regextype egrep -regex '.*/[0-9a-f]{40}' -delete && \
		mv $(FUZZ)/few/* fuzz/corpus/$$fuzzer && \
		echo "$$fuzzer: $$(ls fuzz/corpus/$$fuzzer | wc -l) files reach" \
			"$$(sed -nE 's/.* with ([0-9]+) new f.*/\1 edges/p' $(FUZZ)/merge.log)"; \
	done
