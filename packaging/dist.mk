# The source tarball, and the Debian packages that are built from it.

TARBALL := $(BUILD)/chatserver-$(VERSION).tar.gz
DEB     := $(BUILD)/deb

.PHONY: dist deb deb-check

dist: $(TARBALL) ## pack a source tarball that builds without a network
	@echo $<

$(TARBALL): FORCE
	@packaging/dist.sh $@

deb: $(TARBALL) ## build the Debian packages from that tarball
	packaging/deb.sh $< $(DEB)
	@ls $(DEB)/*.deb

deb-check: deb ## build them, run lintian and try them
	tests/deb.sh $(DEB)
