#!/usr/bin/env bash
# The number of instructions that the library's functions take, counted by callgrind, as a table in
# Markdown: micro.sh PROGRAM. The count does not depend on the machine's load, and excludes the
# kernel.
set -euo pipefail

program=$1

# Enough descriptors for all sockets and for valgrind.
ulimit -S -n "$(ulimit -H -n)"

# Instructions per call (or recipient, or message): count FUNCTION OPERATION CONNECTIONS WAITING.
count() {
	valgrind --tool=callgrind --callgrind-out-file=/dev/null --toggle-collect="measured_$1" \
		"$program" "${@:2}" 2>&1 |
		awk '/^[0-9]+$/ { times = $1 }
			/Collected :/ { instructions = $NF }
			END { if (!times) exit 1; printf "%.1f\n", instructions / times }'
}

# row TITLE FUNCTION OPERATION [WAITING]
row() {
	for size in 10 100 1000; do
		count "$2" "$3" "$size" "${4:-1}"
	done | awk -v title="$1" '
		{ result[NR] = $1 }
		END { if (NR < 3) exit 1; printf "| %s | %s | %s | %s | %.2f |\n", title,
			result[1], result[2], result[3], result[3] / result[1] }'
}

echo "Instructions in user space, counted by callgrind ($(valgrind --version))."
echo
echo '| connections | 10 | 100 | 1,000 | 1,000 to 10 |'
echo '|---|--:|--:|--:|--:|'
row init_pool init_pool init_pools
row 'add_conn, one more' add_conn add_and_remove
row 'remove_conn, the newest' remove_conn add_and_remove
row 'remove_conn, any' remove_conn remove_any
row 'add_msg, per recipient' add_msg send_messages
row 'write_msg, one message waiting' write_msg send_messages
row 'write_msg, per message, sixteen waiting' write_msg send_messages 16
