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
DOCDIR     ?= $(PREFIX)/share/doc/libchatserver
INSTALL    ?= install

# The files for pkg-config, CMake and systemd name these folders, and each has its own rules for
# what is special. DESTDIR is a word of the shell alone; but make takes the dollar signs out of it.
FOLDERS := $(if $(PREFIX),PREFIX) BINDIR LIBDIR INCLUDEDIR MANDIR UNITDIR DOCDIR
SPECIAL := & ' " ` | \ ; * ? < > ( ) [ ] % $$ \#
unfit    = $(strip $(filter-out 1,$(words [$1])) $(if $(filter /%,$1),,relative) \
	$(foreach character,$(SPECIAL),$(findstring $(character),$1)))
dollar   = $(and $(filter command environment,$(firstword $(origin $1))),$(findstring \
	$$,$(subst $${PREFIX},,$(subst $$(PREFIX),,$(value $1)))))
ifneq ($(filter install uninstall,$(GOALS)),)
$(foreach folder,DESTDIR $(FOLDERS),$(if $(call dollar,$(folder)),$(error $(folder) cannot \
	have a dollar sign: $(value $(folder)))))
$(foreach folder,$(FOLDERS),$(if $(call unfit,$($(folder))),$(error $(folder) has to be absolute, \
	without spaces and special characters: $($(folder)))))
endif

PKGCONFIGDIR := $(LIBDIR)/pkgconfig
CMAKEDIR     := $(LIBDIR)/cmake/chatserver

BUILT     := server $(ARCHIVE) $(SHARED)
PKGCONFIG := packaging/libchatserver.pc.in
CMAKE     := $(wildcard packaging/cmake/*.in)
# The relay's unit is installed with the relay.
UNITS     := $(filter-out %/chatserver-relay@.service.in,$(wildcard packaging/systemd/*.in))
DOCS      := README.md CHANGELOG.md LICENSE-APACHE LICENSE-MIT $(wildcard docs/*.md)

INSTALLED := $(BINDIR)/chatserver \
	$(addprefix $(INCLUDEDIR)/,$(notdir $(HEADERS))) \
	$(addprefix $(LIBDIR)/,$(notdir $(ARCHIVE) $(SHARED)) $(SONAME) libchatserver.so) \
	$(addprefix $(PKGCONFIGDIR)/,$(notdir $(PKGCONFIG:.in=))) \
	$(addprefix $(CMAKEDIR)/,$(notdir $(CMAKE:.in=))) \
	$(addprefix $(UNITDIR)/,$(notdir $(UNITS:.in=))) \
	$(addprefix $(MANDIR)/man1/,$(notdir $(MAN1))) \
	$(addprefix $(MANDIR)/man3/,$(notdir $(MAN3))) \
	$(addprefix $(DOCDIR)/,$(notdir $(DOCS)))

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
put     = $(if $1,$(INSTALL) -D -m 644 -t "$$DESTDIR$2" $1)
fill_in = $(if $1,$(INSTALL) -d "$$DESTDIR$2" && for template in $1; do \
	file="$$DESTDIR$2"/$$(basename $$template .in); \
	$(FILL_IN) $$template >"$$file" && chmod 644 "$$file" || exit; done)

.PHONY: install install-pkgconfig uninstall

NOT_BUILT := $(filter-out $(wildcard $(BUILT)),$(BUILT))

# This file comes first and goes last: uninstall looks for it.
install-pkgconfig: $(if $(NOT_BUILT),all)
	@$(call fill_in,$(PKGCONFIG),$(PKGCONFIGDIR))

install: $(if $(NOT_BUILT),all) $(PAGES) install-pkgconfig ## install below PREFIX (/usr/local)
	$(INSTALL) -D -m 755 server "$$DESTDIR$(BINDIR)/chatserver"
	$(call put,$(HEADERS),$(INCLUDEDIR))
	$(call put,$(ARCHIVE) $(SHARED),$(LIBDIR))
	ln -sf $(notdir $(SHARED)) "$$DESTDIR$(LIBDIR)/$(SONAME)"
	ln -sf $(SONAME) "$$DESTDIR$(LIBDIR)/libchatserver.so"
	$(call put,$(MAN1),$(MANDIR)/man1)
	$(call put,$(MAN3),$(MANDIR)/man3)
	$(call put,$(DOCS),$(DOCDIR))
	@$(call fill_in,$(CMAKE),$(CMAKEDIR))
	@$(call fill_in,$(UNITS),$(UNITDIR))

# The files are removed from within DESTDIR, whose name may have spaces in it. Where the file for
# pkg-config is missing, files of these names are others'. Two of the folders belong to this project
# alone.
OURS := $(addprefix .,$(filter-out $(PKGCONFIGDIR)/%,$(INSTALLED)) \
	$(filter $(PKGCONFIGDIR)/%,$(INSTALLED)))

uninstall: ## remove what was installed
	@CDPATH= cd "$$DESTDIR/" || exit; \
	if [ ! -e .$(PKGCONFIGDIR)/libchatserver.pc ]; then \
		echo "not installed in $$DESTDIR$(PKGCONFIGDIR): nothing is removed"; exit; fi; \
	rm -f $(OURS) && for folder in .$(CMAKEDIR) .$(DOCDIR); do \
		[ ! -d $$folder ] || rmdir --ignore-fail-on-non-empty $$folder; done
