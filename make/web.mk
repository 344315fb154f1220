# make web, web-check: the room in a browser (docs/browser.md).
#
# lighttpd stands outside the PATH that people who are not root have.

WEB       := $(BUILD)/web
WITH_SBIN := PATH="$$PATH:/usr/sbin"

.PHONY: web web-check

# The room is on port 5555 for terminals, too. Ctrl-C ends both.
web: server
	@$(WITH_SBIN) command -v lighttpd >/dev/null || { \
		echo 'make web: lighttpd is not installed: sudo apt install lighttpd' >&2; exit 1; }
	@echo 'http://localhost:8080/ has the room, and so has: nc localhost 5555'
	@./server --quiet 5555 & server=$$!; trap 'kill $$server' EXIT; \
		$(WITH_SBIN) lighttpd -D -f packaging/lighttpd/chatserver.conf

# Two packages of others, for the tests alone, are fetched into build/.
web-check: server $(WEB)/node_modules
	NODE_PATH=$(WEB)/node_modules node --test $(wildcard tests/web/*.test.js)

$(WEB)/node_modules: tests/web/package.json tests/web/package-lock.json
	@mkdir -p $(WEB)
	cp $^ $(WEB)
	npm ci --prefix $(WEB) --silent
	@touch $@
