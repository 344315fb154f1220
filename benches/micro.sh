#!/usr/bin/env bash
# The number of instructions that the library's functions take, counted by callgrind, as a table in
# Markdown: micro.sh PROGRAM. The count does not depend on the machine's load, and excludes the
# kernel.
set -euo pipefail

program=$1
sizes='10 100 1000'

# Enough descriptors for all sockets and for valgrind.
ulimit -S -n "$(ulimit -H -n)"

# Instructions per call (or recipient, or message): count OPERATION CONNECTIONS.
count() {
	valgrind --tool=callgrind --callgrind-out-file=/dev/null --toggle-collect='measured_*' \
		"$program" "$1" "$2" 2>&1 |
		awk '/^[0-9]+$/ { times = $1 }
			/Collected :/ { instructions = $NF }
			END { if (!times) exit 1; printf "%.1f\n", instructions / times }'
}

row() {
	operation=$1
	shift
	results=
	for size in $sizes; do
		results="$results $(count "$operation" "$size")"
	done
	# shellcheck disable=SC2086 # a word a number
	printf '%s\n' $results | awk -v what="$*" '
		{ result[NR] = $1 }
		END { printf "| %s | %s | %s | %s | %.2f |\n", what,
			result[1], result[2], result[3], result[NR] / result[1] }'
}

echo "Instructions in user space, counted by callgrind ($(valgrind --version))."
echo
echo '| connections | 10 | 100 | 1,000 | 1,000 to 10 |'
echo '|---|--:|--:|--:|--:|'
row init_pool init_pool
row add_conn add_conn, one more
row remove_conn-newest remove_conn, the newest
row remove_conn-any remove_conn, any
row add_msg add_msg, per recipient
row write_msg-1 write_msg, one message waiting
row write_msg-16 write_msg, per message, sixteen waiting
