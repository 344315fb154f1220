# The relay, which alone needs libmosquitto. `make` builds it where pkg-config finds that and the
# compiler links it, and `make install` installs it where it has been built.

PKG_CONFIG    ?= pkg-config
MOSQUITTO     := $(shell libs=$$($(PKG_CONFIG) --libs libmosquitto 2>/dev/null) && \
	echo 'int main(void) { return 0; }' | \
	$(CC) -x c - -o /dev/null $(LDFLAGS) $$libs 2>/dev/null && echo libmosquitto)
RELAY_SOURCES := $(wildcard src/common/*.c src/relay/*.c)
RELAY_FILES   := $(RELAY_SOURCES) $(wildcard src/common/*.h src/relay/*.h) Cargo.toml
RELAY_FLAGS    = $(shell $(PKG_CONFIG) --cflags libmosquitto) -DVERSION='"$(VERSION)"'
RELAY_LIBS     = $(shell $(PKG_CONFIG) --libs libmosquitto) -ldl
RELAY_MAN     := man/chatserver-relay.1
RELAY_UNIT    := packaging/systemd/chatserver-relay@.service.in

.PHONY: no-relay lint-relay install-relay uninstall-relay relay-check torture-relay

all: $(if $(MOSQUITTO),relay,no-relay)

no-relay:
	@rm -f relay
	@echo 'relay: not built, since pkg-config and $(CC) find no libmosquitto'

relay: $(RELAY_FILES) $(SETTINGS) ## build the relay, which joins servers to one room by MQTT
	$(if $(MOSQUITTO),,@echo 'make relay needs libmosquitto, and pkg-config to find it' \
		'(apt install libmosquitto-dev pkg-config)' >&2; exit 1)
	$(call COMPILE,$(RELAY_FLAGS),$(RELAY_LIBS))

lint: lint-relay

lint-relay:
	$(if $(MOSQUITTO),$(CC) $(WARNINGS) -Werror $(CFLAGS) $(RELAY_FLAGS) -fsyntax-only \
		$(RELAY_SOURCES) $(FAILING_MALLOC),@echo 'skipped: no libmosquitto')

install: install-relay
uninstall: uninstall-relay

install-relay: $(if $(NOT_BUILT),all) install-pkgconfig
	[ ! -e relay ] || $(INSTALL) -D -m 755 relay "$$DESTDIR$(BINDIR)/chatserver-relay"
	[ ! -e relay ] || $(call put,$(RELAY_MAN),$(MANDIR)/man1)
	@[ ! -e relay ] || { $(call fill_in,$(RELAY_UNIT),$(UNITDIR)); }

uninstall-relay:
	@CDPATH= cd "$$DESTDIR/" || exit; [ ! -e .$(PKGCONFIGDIR)/libchatserver.pc ] || \
		rm -f .$(BINDIR)/chatserver-relay .$(MANDIR)/man1/$(notdir $(RELAY_MAN)) \
		.$(UNITDIR)/$(notdir $(RELAY_UNIT:.in=))

# With real brokers, and every line checked at every client. Most of them only wait, so many run at
# a time. RELAY_TESTS names some of them.
relay-check: server relay ## try rooms over many servers, with real brokers that fail
	@$(WITH_SBIN) command -v mosquitto mosquitto_pub haproxy >/dev/null || { \
		echo 'make relay-check needs mosquitto, mosquitto-clients, haproxy' >&2; exit 1; }
	$(CARGO) test --release --quiet $(LOAD) --test relay -- --test-threads 6 $(RELAY_TESTS)

# The relay with an allocator that fails as it is told. strace makes its system calls fail.
TORTURED_RELAY := $(BUILD)/tortured/relay
FAILING_MALLOC := c-tests/torture/relay/failing_malloc.c

$(TORTURED_RELAY): $(RELAY_FILES) $(FAILING_MALLOC)
	$(call COMPILE,$(RELAY_FLAGS),$(RELAY_LIBS))

torture: torture-relay

torture-relay: $(if $(MOSQUITTO),server $(TORTURED_RELAY))
	@if $(if $(MOSQUITTO),$(WITH_SBIN) command -v mosquitto,false) >/dev/null; then set -x; \
		RELAY=$(TORTURED_RELAY) $(CARGO) test --release --quiet $(LOAD) --test torture \
			-- --test-threads 9; \
	else echo 'skipped: the torture of the relay needs libmosquitto and mosquitto'; fi

# With the instruments of `make coverage`.
$(COVERED)/relay: $(RELAY_FILES) $(FAILING_MALLOC) $(COVERED)/libchatserver.a
	$(call COMPILE,$(COUNT) $(RELAY_FLAGS),$(COUNTED) $(RELAY_LIBS),$(COVER))

coverage: server $(COVERED)/relay
