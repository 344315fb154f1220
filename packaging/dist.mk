# make dist, make deb, make deb-check: from the sources to what others are handed.

TARBALL := $(BUILD)/chatserver-$(VERSION).tar.gz
DEB     := $(BUILD)/deb

.PHONY: dist deb deb-check

dist: $(TARBALL)
	@echo $<

$(TARBALL): FORCE
	@packaging/dist.sh $@

deb: $(TARBALL)
	packaging/deb.sh $< $(DEB)
	@ls $(DEB)/*.deb

deb-check: deb
	tests/deb.sh $(DEB)
