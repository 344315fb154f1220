#!/usr/bin/env bash
# The Debian packages under a systemd that has booted: booted.sh FOLDER, with the .deb files in it.
# They are installed, used, upgraded and purged in a container without a network, whose system
# mmdebstrap makes, from the mirror and the proxies that apt uses here.
#
# Needs root and, of Debian's packages, mmdebstrap, systemd-container, iproute2, netcat-openbsd and
# curl. SUITE is the Debian to boot (bookworm), and CACHE the folder in which its root is kept for
# the next time (build/booted).
set -euo pipefail
cd "$(dirname "$0")/.."
folder=$(realpath "$1")
suite=${SUITE:-bookworm}
packages=systemd-sysv,lighttpd,libmosquitto1
cache=${CACHE:-build/booted}/$suite,$packages.tar

missing=()
for tool in mmdebstrap systemd-nspawn ip nc curl nsenter; do
	command -v "$tool" >/dev/null || missing+=("$tool")
done
((EUID == 0)) || missing+=('root')
if ((${#missing[@]})); then
	echo "skipped: the packages in a booted system (missing: ${missing[*]})"
	[[ -z ${CI:-} ]]
	exit
fi

scratch=$(mktemp -d)
root=$scratch/root
leader=

clean_up() {
	local jobs
	jobs=$(jobs -rp)
	# shellcheck disable=SC2086 # a word a process
	[[ -z $jobs ]] || kill $jobs 2>/dev/null || true
	wait
	rm -rf "$scratch"
}
trap clean_up EXIT

say() {
	printf -- '-- %s\n' "$*"
}

fail() {
	printf 'not so: %s\n' "$*" >&2
	[[ -z $leader ]] || inside journalctl --no-pager --lines 40 >&2 || true
	exit 1
}

# Runs a command in the container.
inside() {
	nsenter --target "$leader" --mount --uts --ipc --net --pid "$@"
}

# Runs a command of this machine in the container's network.
near() {
	nsenter --net="/proc/$leader/ns/net" timeout 60 "$@"
}

# Waits until the command succeeds.
await() {
	local deadline=$((SECONDS + 120))
	until "$@" >/dev/null 2>&1; do
		((SECONDS < deadline)) || fail "within two minutes: $*"
		sleep 0.1
	done
}

# ---- The system ----

make_root() {
	[[ ! -e $cache ]] || return 0
	say "making a root of $suite, to be kept in $cache"
	mkdir -p "$(dirname "$cache")"
	apt-config --format '%f "%v";%n' dump Acquire | grep -i proxy >"$scratch/proxies" || true
	mmdebstrap --quiet --variant=essential --include="$packages" \
		--aptopt="$scratch/proxies" --aptopt='Acquire::Retries "3"' "$suite" \
		"$scratch/root.tar"
	mv "$scratch/root.tar" "$cache"
}

runs() {
	leader=$(pgrep --parent "$container") && inside systemctl is-active multi-user.target
}

boot() {
	SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1 systemd-nspawn --quiet --boot --register=no --keep-unit \
		--private-network --machine="chat-$$" --bind-ro="$folder:/packages" \
		--directory="$root" </dev/null >"$scratch/console" 2>&1 &
	container=$!
	await runs
}

shut_down() {
	kill -s RTMIN+4 "$leader"
	leader=
	wait "$container"
}

# ---- What is looked at ----

install() {
	inside sh -c "dpkg --force-unsafe-io --install $(printf '/packages/%s_*.deb ' "$@")" \
		>"$scratch/dpkg" 2>&1 || fail "the packages can be installed: $(<"$scratch/dpkg")"
}

is_active() {
	inside systemctl is-active --quiet "$@"
}

must_be_active() {
	is_active "$@" || fail "$* is active"
}

# Two clients join there, and one hears what the other says. It says so until then, since the
# listener may join after it. Then both leave, or stay until they are disconnected.
chat() {
	# shellcheck disable=SC2016 # the variables are the inner shell's
	near bash -c 'exec 3<>"/dev/tcp/$0/$1" 4<>"/dev/tcp/$0/$1" || exit
		for ((tries = 60; tries; tries--)); do
			echo "hello, $0" >&3 || exit
			! read -r -t 1 -u 4 line || break
		done
		[[ $line = "hello, $0" ]] || exit
		[[ $2 = leave ]] || { echo chatted; cat <&4 >/dev/null; }' "$1" "$2" "${3:-leave}"
}

main_process() {
	inside systemctl show --property=MainPID --value "$1"
}

was_restarted() {
	(($(inside systemctl show --property=NRestarts --value chatserver.service) >= $1))
}

tab_hears_chat() {
	chat localhost 5555 && grep --text 'hello, localhost' "$scratch/tab"
}

# Changes a unit as `systemctl edit` does: customize UNIT SECTION LINE...
customize() {
	inside mkdir -p "/etc/systemd/system/$1.d"
	printf '%s\n' "[$2]" "${@:3}" | inside tee "/etc/systemd/system/$1.d/new.conf" >/dev/null
	inside systemctl daemon-reload
}

as_shipped() {
	inside systemctl disable --quiet --now chatserver.service chatserver.socket
	inside systemctl revert --quiet chatserver.service chatserver.socket
	inside systemctl reset-failed
}

# All files but the system's own records.
list_files() {
	inside find / -xdev \( -path /var/lib/dpkg -o -path /var/cache/ldconfig -o -path /var/log \
		\) -prune -o -print | sort
}

make_root
mkdir "$root"
tar -xf "$cache" -C "$root"
# lighttpd is there for chatserver-web alone.
ln -s /dev/null "$root/etc/systemd/system/lighttpd.service"
echo '127.0.0.1 localhost' >"$root/etc/hosts"
boot
list_files >"$scratch/before"

say 'installing starts nothing'
install libchatserver1 libchatserver-dev chatserver chatserver-web chatserver-relay
for unit in chatserver.socket chatserver.service chatserver-web.service; do
	! is_active $unit || fail "$unit is not active yet"
	! inside systemctl is-enabled --quiet $unit || fail "$unit is not enabled yet"
done

say 'the socket starts the server for the first client'
inside systemctl enable --quiet --now chatserver.socket
! is_active chatserver.service || fail 'the server waits for a client'
chat localhost 5555 || fail 'clients chat over the socket'
must_be_active chatserver.service

say 'the socket survives twenty upgrades with clients in'
for ((upgrade = 1; upgrade <= 20; upgrade++)); do
	chat localhost 5555 stay >"$scratch/clients-$upgrade" &
	clients=$!
	await grep chatted "$scratch/clients-$upgrade"
	install chatserver
	must_be_active chatserver.socket
	must_be_active chatserver.service
	wait $clients || fail 'the upgrade restarts the server'
done
chat localhost 5555 || fail 'clients chat after the upgrades'

say 'the service alone brings its socket'
as_shipped
inside systemctl enable --quiet --now chatserver || fail 'the service starts'
chat localhost 5555 || fail 'clients chat'

# PORT is what many a service has.
say 'service and socket start in either order, whatever PORT is'
for units in 'chatserver.service chatserver.socket' 'chatserver.socket chatserver.service'; do
	as_shipped
	customize chatserver.service Service Environment=PORT=6000
	for unit in $units; do
		inside systemctl enable --quiet --now "$unit" || fail "$unit starts"
	done
	must_be_active chatserver.service
	must_be_active chatserver.socket
	chat localhost 5555 || fail 'clients chat'
done

say 'the port can be changed while clients are in'
customize chatserver.socket Socket ListenStream= ListenStream=6000
inside systemctl restart chatserver.socket
chat localhost 6000 || fail 'clients chat on the new port'
! near nc -z localhost 5555 || fail 'nobody listens on the old port'

say 'a server that cannot start comes back when its settings are right'
as_shipped
inside systemctl start chatserver.socket
customize chatserver.service Service ExecStart= 'ExecStart=/usr/bin/chatserver 5555'
! inside systemctl start chatserver.service 2>/dev/null || fail 'the start fails'
await was_restarted 6 # systemd's own limit is five starts
must_be_active chatserver.socket
inside systemctl revert --quiet chatserver.service
await chat localhost 5555

say 'an address that appears three seconds after the boot is listened on'
customize chatserver.socket Socket ListenStream= ListenStream=192.0.2.7:5555
inside systemctl enable --quiet chatserver.service
shut_down
boot
sleep 3
near ip addr add 192.0.2.7/32 dev lo
await chat 192.0.2.7 5555

say 'a relay goes on when its server crashes'
as_shipped
customize chatserver.service Service ExecStart= \
	'ExecStart=/usr/bin/chatserver --quiet --bind 127.0.0.1 5551'
inside systemctl enable --quiet --now chatserver.socket chatserver.service
inside systemctl start chatserver-relay@5551.service || fail "the relay starts"
relay=$(main_process chatserver-relay@5551.service)
inside systemctl kill --signal=KILL chatserver.service
await was_restarted 1
await is_active chatserver.service
[[ $(main_process chatserver-relay@5551.service) = "$relay" ]] || fail 'the relay has not ended'

say 'lighttpd serves the page, and hands a tab to the server'
as_shipped
inside systemctl enable --quiet --now chatserver.socket chatserver-web
await near curl --silent --fail --output "$scratch/page" http://localhost:8080/
grep --quiet '<html' "$scratch/page" || fail 'the page is served'
printf '%s\r\n' 'GET /room HTTP/1.1' 'Host: localhost:8080' 'Origin: http://localhost:8080' \
	'Connection: Upgrade' 'Upgrade: websocket' 'Sec-WebSocket-Version: 13' \
	'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==' '' | near nc localhost 8080 >"$scratch/tab" &
await grep --text '^HTTP/1.1 101 ' "$scratch/tab"
await tab_hears_chat

say 'removing the packages stops everything, and purging them leaves nothing'
inside systemctl enable --quiet --now chatserver.service
inside dpkg --remove chatserver chatserver-web chatserver-relay >/dev/null
for unit in chatserver.socket chatserver.service chatserver-web.service \
	chatserver-relay@5551.service; do
	! is_active $unit || fail "$unit is not active any more"
done
inside dpkg --purge chatserver chatserver-web chatserver-relay libchatserver-dev libchatserver1 \
	>/dev/null 2>&1
inside systemctl list-units --all --plain --no-legend 'chatserver*' | tee "$scratch/units"
[[ ! -s $scratch/units ]] || fail 'systemd has forgotten the units'
list_files | diff "$scratch/before" - || fail 'no file has stayed or is missing'
