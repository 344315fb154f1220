# The manual and the reference in HTML, both made from the comments in the headers.

MAN1  := man/chatserver.1
TYPES := $(shell sed -n 's/^typedef struct .* \([a-z_]*\);/\1/p' $(HEADERS))
PAGES := $(patsubst %,$(BUILD)/man/%.3,$(FUNCTIONS) $(TYPES))
MAN3  := man/libchatserver.3 $(PAGES)

.PHONY: header man docs

# Renews include/chatServer.h from src/ffi.rs, and include/chatServerExt.h from src/ffi_ext.rs.
header: ## renew the headers in include/ from the Rust code
	RENEW_HEADER=1 $(CARGO) test --quiet --test suite header::

# With `make`, so that `sudo make install` finds them.
all: man

man: $(PAGES) ## write the functions' manual pages from the headers (build/man/)

$(PAGES): $(BUILD)/man/made ;

$(BUILD)/man/made: man/functions.awk man/libchatserver.3 $(HEADERS) \
		$(wildcard examples/functions/*.c)
	@rm -rf $(@D) && mkdir -p $(@D)
	@awk -f man/functions.awk -v out=$(@D) man/libchatserver.3 $(HEADERS)
	@touch $@

docs: ## write the reference in HTML, by Doxygen (build/docs/)
	@command -v doxygen >/dev/null || \
		{ echo 'make docs needs doxygen (apt install doxygen)' >&2; exit 1; }
	@mkdir -p $(BUILD)
	@printf '%s\n' PROJECT_NAME=libchatserver PROJECT_NUMBER=$(VERSION) INPUT=include \
		OUTPUT_DIRECTORY=$(BUILD)/docs GENERATE_LATEX=NO OPTIMIZE_OUTPUT_FOR_C=YES \
		JAVADOC_AUTOBRIEF=YES QUIET=YES HAVE_DOT=NO WARN_AS_ERROR=FAIL_ON_WARNINGS \
		| doxygen -
	@echo $(BUILD)/docs/html/files.html
