#!/bin/sh
# Runs a program under valgrind, whose complaints make its status 99: `memcheck.sh PROGRAM ARGUMENT...`.
# The list of open descriptors is for those who run this; see tests/common/valgrind.rs.
exec valgrind -q --leak-check=full --show-leak-kinds=all --errors-for-leak-kinds=all \
	--track-fds=yes --error-exitcode=99 "$@"
