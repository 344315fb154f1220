# The relay, which alone needs libmosquitto: `make` builds it where pkg-config finds that.

RELAY_SOURCES := $(wildcard src/common/*.c src/relay/*.c)
RELAY_FILES   := $(RELAY_SOURCES) $(wildcard src/common/*.h src/relay/*.h)
PKG_CONFIG    ?= pkg-config
MOSQUITTO     := $(shell $(PKG_CONFIG) --exists libmosquitto 2>/dev/null && echo found)
RELAY_FLAGS    = $(shell $(PKG_CONFIG) --cflags libmosquitto) -DVERSION='"$(VERSION)"'
RELAY_LIBS     = $(shell $(PKG_CONFIG) --libs libmosquitto) -ldl

ifdef MOSQUITTO
all: relay
else
all: no-relay
endif

.PHONY: no-relay
no-relay:
	@echo 'relay: not built, since pkg-config finds no libmosquitto'

relay: $(RELAY_FILES) Cargo.toml ## build the relay, which joins servers by an MQTT broker
	$(if $(MOSQUITTO),,@echo 'make relay needs libmosquitto, and pkg-config: on Debian,' \
		'apt install libmosquitto-dev pkg-config' >&2; exit 1)
	$(call COMPILE,$(RELAY_FLAGS),$(RELAY_LIBS))
