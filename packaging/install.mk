# Installs what `make` has built, and builds only what is missing: `sudo make install` then needs
# neither cargo nor a compiler, and leaves no file of root's in the build folder.
#
# The folders have the usual names. DESTDIR is put in front of each of them, but is written into no
# installed file.

PREFIX     ?= /usr/local
BINDIR     ?= $(PREFIX)/bin
LIBDIR     ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include
MANDIR     ?= $(PREFIX)/share/man
UNITDIR    ?= $(PREFIX)/lib/systemd/system
INSTALL    ?= install

PKGCONFIGDIR := $(LIBDIR)/pkgconfig
CMAKEDIR     := $(LIBDIR)/cmake/chatserver

BUILT     := server $(ARCHIVE) $(SHARED)
PKGCONFIG := packaging/libchatserver.pc.in
CMAKE     := $(wildcard packaging/cmake/*.in)
# The relay's unit is installed with the relay.
UNITS     := $(filter-out %/chatserver-relay@.service.in,$(wildcard packaging/systemd/*.in))

INSTALLED := $(BINDIR)/chatserver \
	$(addprefix $(INCLUDEDIR)/,$(notdir $(HEADERS))) \
	$(addprefix $(LIBDIR)/,$(notdir $(ARCHIVE) $(SHARED)) $(SONAME) libchatserver.so) \
	$(addprefix $(PKGCONFIGDIR)/,$(notdir $(PKGCONFIG:.in=))) \
	$(addprefix $(CMAKEDIR)/,$(notdir $(CMAKE:.in=))) \
	$(addprefix $(UNITDIR)/,$(notdir $(UNITS:.in=))) \
	$(addprefix $(MANDIR)/man1/,$(notdir $(MAN1))) \
	$(addprefix $(MANDIR)/man3/,$(notdir $(MAN3)))

# pkg-config can move a prefix, and CMake a whole tree, if the folders are relative to them.
below_prefix  = $(patsubst $(PREFIX)/%,$${prefix}/%,$1)
from_cmakedir = $(shell realpath -ms --relative-to='$(CMAKEDIR)' '$1')
FILL_IN       = sed -e 's|@VERSION@|$(VERSION)|g' -e 's|@MAJOR@|$(MAJOR)|g' \
	-e 's|@PREFIX@|$(PREFIX)|g' -e 's|@BINDIR@|$(BINDIR)|g' \
	-e 's|@LIBDIR@|$(call below_prefix,$(LIBDIR))|g' \
	-e 's|@INCLUDEDIR@|$(call below_prefix,$(INCLUDEDIR))|g' \
	-e 's|@LIBDIR_FROM_HERE@|$(call from_cmakedir,$(LIBDIR))|g' \
	-e 's|@INCLUDEDIR_FROM_HERE@|$(call from_cmakedir,$(INCLUDEDIR))|g'

# Both install the files $1 in the folder $2: put as they are, fill_in with the variables above.
put     = $(if $1,$(INSTALL) -D -m 644 -t '$(DESTDIR)$2' $1)
fill_in = $(if $1,$(INSTALL) -d '$(DESTDIR)$2' && for template in $1; do \
	file='$(DESTDIR)$2'/$$(basename $$template .in); \
	$(FILL_IN) $$template >"$$file" && chmod 644 "$$file" || exit; done)

.PHONY: install uninstall

NOT_BUILT := $(filter-out $(wildcard $(BUILT)),$(BUILT))

install: $(if $(NOT_BUILT),all) $(PAGES) ## install below PREFIX (/usr/local)
	$(INSTALL) -D -m 755 server '$(DESTDIR)$(BINDIR)/chatserver'
	$(call put,$(HEADERS),$(INCLUDEDIR))
	$(call put,$(ARCHIVE) $(SHARED),$(LIBDIR))
	ln -sf $(notdir $(SHARED)) '$(DESTDIR)$(LIBDIR)/$(SONAME)'
	ln -sf $(SONAME) '$(DESTDIR)$(LIBDIR)/libchatserver.so'
	$(call put,$(MAN1),$(MANDIR)/man1)
	$(call put,$(MAN3),$(MANDIR)/man3)
	@$(call fill_in,$(PKGCONFIG),$(PKGCONFIGDIR))
	@$(call fill_in,$(CMAKE),$(CMAKEDIR))
	@$(call fill_in,$(UNITS),$(UNITDIR))

# The files are removed from within DESTDIR, whose name may have spaces in it. One of the folders
# belongs to this project alone.
uninstall: ## remove what was installed
	cd '$(DESTDIR)/' && rm -f $(INSTALLED:%=.%)
	[ ! -d '$(DESTDIR)$(CMAKEDIR)' ] || rmdir --ignore-fail-on-non-empty '$(DESTDIR)$(CMAKEDIR)'
