# The programs of examples/. They alone need a C++ compiler.

CXXFLAGS     ?= -O2
CXX_WARNINGS := $(subst c99,c++11,$(WARNINGS))
EXAMPLES     := $(BUILD)/examples
MOVING       := examples/moving
PROGRAMS     := chat own_loop talker room before after

.PHONY: examples

examples: $(PROGRAMS:%=$(EXAMPLES)/%) ## build what is in examples/

$(EXAMPLES)/%: examples/%.c $(HEADERS) $(ARCHIVE)
	$(COMPILE)

$(EXAMPLES)/room: examples/room.cpp $(HEADERS) $(ARCHIVE)
	$(call COMPILE,,,$(CXX) $(CXX_WARNINGS) $(CXXFLAGS))

$(EXAMPLES)/before: $(wildcard $(MOVING)/before/*)
	$(COMPILE)

$(EXAMPLES)/after: $(MOVING)/after/chatServer.c $(HEADERS) $(ARCHIVE)
	$(COMPILE)
