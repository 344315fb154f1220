# make dist.

TARBALL := $(BUILD)/chatserver-$(VERSION).tar.gz

.PHONY: dist

dist: $(TARBALL)
	@echo $<

$(TARBALL): FORCE
	@packaging/dist.sh $@
