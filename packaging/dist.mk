# The source tarball, and the Debian packages that are built from it.

TARBALL := $(BUILD)/chatserver-$(VERSION).tar.gz
DEB     := $(BUILD)/deb

.PHONY: dist deb deb-check

dist: $(TARBALL) ## a source tarball that builds without a network
	@echo $<

$(TARBALL): FORCE
	@packaging/dist.sh $@

deb: $(TARBALL) ## Debian packages, built from that tarball
	packaging/deb.sh $< $(DEB)
	@ls $(DEB)/*.deb

deb-check: deb ## the same, checked with lintian and tried
	tests/deb.sh $(DEB)
