#!/usr/bin/env bash
# A cable is pulled: clients on another host are gone without a word, and the server lets them go
# within its keepalive time, whether or not it has something to say to them. The other host is a
# network namespace, so this needs root and iproute2. Takes a minute and a half.
set -euo pipefail
cd "$(dirname "$0")/.."

here=chat-here-$$
there=chat-there-$$
scratch=$(mktemp -d)

clean_up() {
	local jobs
	jobs=$(jobs -p)
	# shellcheck disable=SC2086 # a word a process
	[[ -z $jobs ]] || kill $jobs 2>/dev/null || true
	ip netns delete $here 2>/dev/null || true
	ip netns delete $there 2>/dev/null || true
	rm -rf "$scratch"
}
trap clean_up EXIT

# Waits until the file has so many lines that match.
await() {
	local file=$1 pattern=$2 count=$3 deadline=$((SECONDS + $4))
	until (($(grep -c "$pattern" "$file" || true) >= count)); do
		((SECONDS < deadline)) || {
			echo "not within $4 s: $count times '$pattern' in $file:" >&2
			tail "$file" >&2
			exit 1
		}
		sleep 0.1
	done
}

ip netns add $here
ip netns add $there
ip link add name chat0 netns $here type veth peer name chat1 netns $there
ip -n $here addr add 10.99.0.1/24 dev chat0
ip -n $there addr add 10.99.0.2/24 dev chat1
ip -n $here link set chat0 up
ip -n $there link set chat1 up
ip -n $here link set lo up

# In one room nobody says anything, in the other somebody goes on talking.
for room in silent talking; do
	port=$([[ $room = silent ]] && echo 5555 || echo 5556)
	ip netns exec $here ./server "$port" >"$scratch/$room" 2>/dev/null &
	await "$scratch/$room" '^MaxFd 3' 1 60
	ip netns exec $there nc -d 10.99.0.1 "$port" >/dev/null &
	await "$scratch/$room" '^New incoming' 1 60
done
(while sleep 1; do echo still here; done) | ip netns exec $here nc 10.99.0.1 5556 >/dev/null &
await "$scratch/talking" '^New incoming' 2 60

ip -n $here link set chat0 down
SECONDS=0
# 60 s of silence and 3 probes 10 s apart, and some time for the kernel's clock and the machine.
await "$scratch/talking" '^removing connection with sd 4' 1 110
echo "gone after $SECONDS s with something to say to it"
await "$scratch/silent" '^removing connection with sd 4' 1 110
echo "gone after $SECONDS s of silence"
