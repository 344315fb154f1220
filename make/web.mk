# The room in a browser (docs/browser.md): what starts it, and what tests it.

.PHONY: web web-check web-measure

# lighttpd is in a folder that only root has in the PATH.
WITH_SBIN := PATH="$$PATH:/usr/sbin"

WEB_CONF  ?= packaging/lighttpd/chatserver.conf

web: server ## serve the room in a browser, on port 8080, and to terminals, on port 5555
	@$(WITH_SBIN) command -v lighttpd >/dev/null || { \
		echo 'lighttpd is not on this machine: sudo apt install lighttpd' >&2; exit 1; }
	@./server --quiet 5555 & server=$$!; trap "kill $$server 2>/dev/null" EXIT; \
		sleep 0.5; kill -0 $$server 2>/dev/null || exit 1; \
		echo 'Starting lighttpd: the room will be at http://localhost:8080/ and for nc at' \
			'localhost 5555. Ctrl-C ends it.'; \
		$(WITH_SBIN) lighttpd -D -f $(WEB_CONF)

# The tests fetch two packages into build/, and skip what they miss another tool for. One of them
# waits for 70 s, beside the others.
WEB_TESTS := $(BUILD)/web

web-check: server $(WEB_TESTS)/node_modules ## try the page in Chromium, and HTTP with curl
	NODE_PATH=$(WEB_TESTS)/node_modules node --test --test-concurrency=3 \
		$(wildcard tests/web/*.test.js)

web-measure: server $(WEB_TESTS)/node_modules ## measure what a tab costs, and a line's way into it
	NODE_PATH=$(WEB_TESTS)/node_modules node tests/web/measure.js

$(WEB_TESTS)/node_modules: $(wildcard tests/web/package*.json)
	@mkdir -p $(@D)
	cp $^ $(@D)
	npm ci --prefix $(@D) --silent
	@touch $@
