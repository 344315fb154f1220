#!/bin/sh
# Runs a program under valgrind, whose complaints make its status 99:
# `memcheck.sh PROGRAM ARGUMENT...`. tests/common/valgrind.rs reads the list of open descriptors. A
# forked copy makes no list of its own: what is open in it is open in the program.
exec valgrind -q --leak-check=full --show-leak-kinds=all --errors-for-leak-kinds=all \
	--track-fds=yes --child-silent-after-fork=yes --error-exitcode=99 "$@"
