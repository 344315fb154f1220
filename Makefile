# Builds the library and the server, and has them checked, installed and packed. `make help` lists
# the targets; `make V=1` shows the commands.

# A compiler for another machine knows the tools that go with it.
tool_of_cc = $(or $(shell $(CC) -print-prog-name=$1 2>/dev/null),$1)

CARGO   ?= cargo
CFLAGS  ?= -O2
AR      ?= ar
OBJCOPY ?= $(call tool_of_cc,objcopy)
READELF ?= $(call tool_of_cc,readelf)
ifeq ($(origin AR),default)
AR      := $(call tool_of_cc,ar)
endif
# What objcopy leaves out of the library; STRIP itself is the name of a program to many.
STRIPPED ?= --strip-debug --strip-unneeded

GOALS      := $(or $(MAKECMDGOALS),all)
BUILD      := build
TARGET_DIR := $(or $(CARGO_TARGET_DIR),target)
$(if $(filter 1,$(words [$(BUILD)])),,$(error BUILD cannot have spaces: $(BUILD)))
$(if $(findstring ',$(TARGET_DIR)),$(error CARGO_TARGET_DIR cannot have quotes: $(TARGET_DIR)))
# FD_SET and its kin are macros in musl, and mix signs.
MUSL       := $(findstring musl,$(CC) $(shell $(CC) -dumpmachine 2>/dev/null))
WARNINGS   := -std=c99 -Wall -Wextra -Wpedantic -Wshadow -Wconversion \
	$(if $(MUSL),-Wno-sign-conversion)

VERSION := $(shell sed -n '/^version = /{ s/.*"\(.*\)"/\1/p; q }' Cargo.toml)
MAJOR   := $(firstword $(subst ., ,$(VERSION)))
SONAME  := libchatserver.so.$(MAJOR)

RUST_WANTED := $(shell sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)

HEADERS   := $(wildcard include/*.h)
# The library exports the functions that the headers declare: no less and no more.
FUNCTIONS := $(sort $(shell sed -nE 's/^[a-z][a-z_ ]*[ *]([A-Za-z_]+)\(.*\);/\1/p' $(HEADERS)))

RUST_ARCHIVE := $(BUILD)/cargo/libchatserver.a
ARCHIVE      := $(BUILD)/libchatserver.a
SHARED       := $(BUILD)/libchatserver.so.$(VERSION)

SERVER_SOURCES := $(wildcard src/common/*.c src/server/*.c)
SERVER_FILES   := $(SERVER_SOURCES) $(wildcard src/common/*.h src/server/*.h) $(HEADERS)

# GNU ld enters a version's own name among the exported symbols; the linker that comes with rustc
# exports the functions alone. Where there is none, GNU ld's shared object serves as well.
SYSROOT   = $(shell rustc --print sysroot 2>/dev/null)
RUST_LLD  = $(firstword $(wildcard $(SYSROOT)/lib/rustlib/*/bin/gcc-ld))
LINKER    = $(if $(RUST_LLD),-B$(RUST_LLD) -fuse-ld=lld)

# A build rule begins with `$(call say,CC)`, which prints the command's short name and the target,
# and has $Q before its commands. V=1 prints the commands themselves, --silent neither.
SILENT := $(findstring s,$(filter-out --%,$(firstword -$(MAKEFLAGS))))
LOUD   := $(filter-out 0,$(V))
Q      := $(if $(LOUD),,@)
say     = $(if $(LOUD)$(SILENT),,@printf '%-8s%s\n' $1 $@)

# Builds a program from the sources and archives among the prerequisites. The arguments may be left
# out: options for the compiler, options for the linker, and another compiler with its options.
define COMPILE
$(call say,CC)
@mkdir -p $(@D)
$Q$(or $3,$(CC) $(WARNINGS) $(CFLAGS)) $(CPPFLAGS) -Iinclude $1 -o $@ $(filter %.c %.cpp %.a,$^) \
	$2 $(LDFLAGS)
endef

.PHONY: all lib check test clean help FORCE
.DELETE_ON_ERROR:

TRY := ./server is built: try ./server 5555 and, in two other terminals, nc localhost 5555

all: server lib ## build library (build/), server and, with libmosquitto, relay; the default
	$(if $(filter all,$(GOALS)),@echo '$(TRY)')

lib: $(ARCHIVE) $(SHARED) ## build the library alone
	@wc -c $^ | sed '/total/d; s/^ */  /; s/ \(build\)/ bytes  \1/'

# What everything is built with: the library, and all that has it, is built anew when that changes.
SETTINGS := $(BUILD)/settings
define SETTINGS_TEXT
$(CC) $(AR) $(OBJCOPY) $(READELF)
$(CPPFLAGS) $(CFLAGS) $(CXX) $(CXXFLAGS) $(LDFLAGS)
$(STRIPPED) $(CARGO_BUILD_TARGET)
endef

$(SETTINGS): export SET = $(SETTINGS_TEXT)
$(SETTINGS): FORCE
	@mkdir -p $(@D)
	@printf '%s\n' "$$SET" | cmp -s - $@ || printf '%s\n' "$$SET" >$@

# The source tarball has what this needs with it (packaging/dist.sh).
OFFLINE := $(if $(wildcard vendor),--frozen --config vendor/config.toml \
	--manifest-path vendor/Cargo.toml)

# The profile of Cargo.toml, and Cargo's own where that is silent: no environment and no
# configuration changes them. The description of the types is for whoever wants it.
PROFILE := panic="abort" codegen-units=1 opt-level=3 lto=false incremental=false \
	overflow-checks=false debug-assertions=false

# Cargo itself says where it puts the archive, which depends on the machine that it builds for.
$(RUST_ARCHIVE): FORCE
	$(call say,CARGO)
	@mkdir -p $(@D)
	$Qjson=$$(CARGO_INCREMENTAL=0 $(CARGO) rustc --release --quiet --lib \
		--crate-type staticlib --target-dir '$(TARGET_DIR)' \
		$(PROFILE:%=--config 'profile.release.%') $(OFFLINE) \
		--message-format json-render-diagnostics) || exit; \
	archive=$$(printf '%s\n' "$$json" | \
		sed -n 's/.*"filenames":\["\([^"]*libchatserver\.a\)"\].*/\1/p'); \
	cmp -s "$$archive" $@ || cp "$$archive" $@

# Compares what the target exports with the names that are given.
define check_exports
@$(READELF) -sW $@ | awk '$$5 == "GLOBAL" && $$7 != "UND" { print $$8 }' | sort >$@.exports
@printf '%s\n' $1 | sort | diff - $@.exports || { \
	echo '$@: what is exported (>) is not what the headers declare (<)' >&2; exit 1; }
endef

# Cargo's archive holds all of Rust's standard library. Nothing of it is needed, since the code has
# no path to a panic, so what the exported functions do not reach is left out, and every other name
# is made local.
$(BUILD)/chatserver.o: $(RUST_ARCHIVE) $(HEADERS) $(SETTINGS) Makefile
	$(call say,LD)
	$Q$(CC) -r -nostdlib -Wl,--gc-sections $(FUNCTIONS:%=-Wl,-u,%) -o $@ $< || { \
		echo '$(CC) cannot link what Cargo has built: is CARGO_BUILD_TARGET for the same' \
		'machine, and RUSTFLAGS without LTO?' >&2; exit 1; }
	$Q$(OBJCOPY) $(STRIPPED) --remove-section=.comment $(FUNCTIONS:%=--keep-global-symbol=%) $@
	@if $(READELF) -sW $@ | grep -E 'panic|rust_eh|_Unwind'; then \
		echo '$@: the library has a path to a panic (see above)' >&2; exit 1; fi
	$(call check_exports,$(FUNCTIONS))

# The archive has the functions of chatServer.h once, and their names in members of their own, one
# for each style (src/names/core.h).
STYLES  := $(patsubst src/names/%.c,$(BUILD)/%.o,$(wildcard src/names/*.c))
RENAMED := $(sort $(shell sed -n 's/^int chat_core_\([A-Za-z_]*\).*/\1/p' src/names/core.h))
CHAT    := $(filter chat_%,$(FUNCTIONS))

# One section for all functions, since the headers of fifty would be a seventh of the archive.
$(BUILD)/core.o: $(BUILD)/chatserver.o src/names/core.h Makefile
	$(call say,LD)
	@printf '%s\n' 'SECTIONS {' '.text : { *(.text .text.*) }' '.data : { *(.data.*) }' \
		'.bss : { *(.bss.*) }' '.eh_frame : { KEEP(*(.eh_frame)) }' '}' >$(@D)/core.ld
	$Q$(CC) -r -nostdlib -Wl,--gc-sections,-T,$(@D)/core.ld -o $@ $< \
		$(RENAMED:%=-Wl,-u,%) $(CHAT:%=-Wl,-u,%)
	$Q$(OBJCOPY) $(foreach name,$(RENAMED),--redefine-sym $(name)=chat_core_$(name)) \
		$(RENAMED:%=--keep-global-symbol=chat_core_%) $(CHAT:%=--keep-global-symbol=%) $@

$(STYLES): $(BUILD)/%.o: src/names/%.c src/names/core.h $(HEADERS) $(SETTINGS) Makefile
	$(call say,CC)
	$Q$(CC) $(WARNINGS) -O2 -fPIC -fno-asynchronous-unwind-tables -Iinclude -c -o $@ $<
	$Q$(OBJCOPY) --remove-section=.comment $@

$(ARCHIVE): $(BUILD)/core.o $(STYLES)
	$(call say,AR)
	@rm -f $@
	$Q$(AR) rcs $@ $^
	$(call check_exports,$(FUNCTIONS) $(RENAMED:%=chat_core_%))
	@{ printf 'void %s(void);\n' $(FUNCTIONS) && echo 'int main(void) {' && \
		printf '%s();\n' $(FUNCTIONS) && echo 'return 0; }'; } >$(@D)/linked.c
	@$(CC) $(CFLAGS) -o $(@D)/linked $(@D)/linked.c $@ $(LDFLAGS) || { \
		echo '$@: no program can be linked with it (see above)' >&2; exit 1; }

$(BUILD)/libchatserver.map: $(HEADERS) Makefile
	@mkdir -p $(@D)
	@printf 'CHATSERVER_1 { global: %s local: *; };\n' '$(FUNCTIONS:%=%;)' >$@

$(SHARED): $(BUILD)/chatserver.o $(BUILD)/libchatserver.map
	$(call say,LD)
	$Q$(CC) -shared -nostartfiles $(LINKER) -o $@ $< -Wl,-soname,$(SONAME) -Wl,--no-undefined \
		-Wl,--version-script,$(BUILD)/libchatserver.map -Wl,-z,relro,-z,now \
		-Wl,-Bsymbolic-functions \
		$(filter-out -static%,$(LDFLAGS))
	@ln -sf $(notdir $@) $(BUILD)/$(SONAME)
	@ln -sf $(SONAME) $(BUILD)/libchatserver.so

server: $(SERVER_FILES) $(ARCHIVE)
	$(COMPILE)

check: lint test ## run lint and test, the quick checks before a commit

# The tests look for the tools they need beyond a C compiler; which are missed is said at the end.
TESTED := $(BUILD)/tested

test: all ## run all tests, each once
	@rm -rf $(TESTED) && mkdir $(TESTED)
	@{ SKIPPED="$$PWD/$(TESTED)/skipped" $(CARGO) test --no-fail-fast; \
		echo $$? >$(TESTED)/status; } | tee $(TESTED)/output
	@touch $(TESTED)/skipped
	@sort -u $(TESTED)/skipped | awk -f make/summary.awk $(TESTED)/output -
	@exit "$$(cat $(TESTED)/status)"

# The crates of others stay in target/debug and target/release: they take the longest to build, and
# change when Cargo.lock does. Cargo cleans one profile at a time. CLEAN_DIRS are the folders that
# the rules give it, and two of its own that others use, too, where they share CARGO_TARGET_DIR.
CLEAN      := $(CARGO) clean --quiet --package chatserver --target-dir '$(TARGET_DIR)' $(OFFLINE)
CLEAN_DIRS := abi benches covered crate fuzz loom oldest private sanitized threaded \
	$(if $(CARGO_TARGET_DIR),,doc tmp)

clean: ## remove what was built, except the dependencies
	$(CLEAN)
	$(CLEAN) --release
	rm -rf $(BUILD) server relay $(foreach folder,$(CLEAN_DIRS),'$(TARGET_DIR)/$(folder)')

include $(addprefix make/,examples.mk checks.mk fuzz.mk bench.mk docs.mk web.mk)
include packaging/install.mk packaging/dist.mk make/relay.mk

# Said before anything is done. These targets take none of the tools.
NEEDED := $(filter-out help uninstall $(if $(NOT_BUILT),,install),$(GOALS))
ifneq ($(NEEDED),)
TOOLS   := $(foreach tool,CARGO CC AR OBJCOPY READELF,$(firstword $($(tool))))
MISSING := $(strip $(foreach tool,$(TOOLS),$(if $(shell command -v $(tool)),,$(tool))))
RUST    := $(word 2,$(shell $(or $(RUSTC),rustc) --version 2>/dev/null))
OLDEST  := $(shell printf '%s\n' $(RUST_WANTED) $(RUST) | sort -V | head -n 1)
SOURCES := apt install cargo (Debian 13, Ubuntu 25.10 and later), cargo-web (Debian 12) or rustup \
	(Ubuntu 24.04); others: https://rustup.rs

$(if $(MISSING),$(error not found on this machine: $(MISSING)$(if $(filter $(CARGO),$(MISSING)), \
	(Rust $(RUST_WANTED) or later: $(SOURCES)))))
$(if $(filter $(RUST_WANTED),$(OLDEST)),,$(error Rust $(RUST_WANTED) or later is needed, and this \
	is $(RUST): $(SOURCES)))
endif

# A target's line here is the text behind ## in its rule.
help: ## print this list
	@sed -nE 's/^([a-z-]+):.* ## (.*)/\1\t\2/p' Makefile packaging/install.mk \
		$(addprefix make/,web.mk relay.mk examples.mk docs.mk) packaging/dist.mk \
		$(addprefix make/,checks.mk fuzz.mk bench.mk) | \
		awk -F '\t' '{ printf "make %-13s %s\n", $$1, $$2 }'
