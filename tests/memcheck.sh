#!/bin/sh
# Runs a program under valgrind, whose complaints make its status 99: `memcheck.sh PROGRAM ARGUMENT...`.
# The list of open descriptors is for those who run this; see tests/common/valgrind.rs. A forked copy
# makes no list of its own: what is open in it is open in the program.
exec valgrind -q --leak-check=full --show-leak-kinds=all --errors-for-leak-kinds=all \
	--track-fds=yes --child-silent-after-fork=yes --error-exitcode=99 "$@"
