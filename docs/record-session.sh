#!/usr/bin/env bash
# Records a session of ./server with two clients, and draws its last moment as docs/session.svg.
#
# The server runs on the left and two clients, nc, on the right: the panes of a tmux of its own.
# asciinema (2.x) records that, and svg-term (the package svg-term-cli of npm) draws it. Run `make`
# first; the port may be given.
set -euo pipefail
cd "$(dirname "$0")/.."
port=${1:-5555}

scratch=$(mktemp -d)
tmux() { command tmux -S "$scratch/socket" "$@"; }
trap 'tmux kill-server 2>/dev/null; rm -rf "$scratch"' EXIT
server=0.0 one=0.1 two=0.2

# Waits until a pane shows a text.
shows() {
	for _ in {1..100}; do
		if tmux capture-pane -p -t "$1" | grep -qF -- "$2"; then return; fi
		sleep 0.1
	done
	echo "$0: pane $1 does not show: $2" >&2
	exit 1
}

types() {
	tmux send-keys -t "$1" "$2" Enter
}

echo "PS1='$ '" >"$scratch/bashrc"
shell="bash --rcfile $scratch/bashrc"
tmux -f /dev/null new-session -d -x 84 -y 20 "$shell" \; \
	set -g default-command "$shell" \; set -g status off \; \
	set -g pane-border-status top \; set -g pane-border-format ' #{pane_title} ' \; \
	set -g pane-border-style fg=colour244 \; set -g pane-active-border-style fg=colour244
tmux split-window -h -l 33
tmux split-window -v -l 9
tmux select-pane -t $server -T server
tmux select-pane -t $one -T 'one client'
tmux select-pane -t $two -T 'another client'

asciinema rec --quiet --cols 84 --rows 20 --command "tmux -S $scratch/socket attach" \
	"$scratch/session.cast" </dev/null >/dev/null &
for pane in $server $one $two; do shows "$pane" '$'; done
types $server "./server $port"
shows $server 'MaxFd 3'
types $one "nc localhost $port"
shows $server 'MaxFd 4'
types $two "nc localhost $port"
shows $server 'MaxFd 5'
types $one 'hello, is anybody here?'
shows $two 'hello, is anybody here?'
types $two 'good morning!'
shows $one 'good morning!'
shows $server '14 bytes received'
sleep 2
tmux detach-client
wait $!

# A second before the end, since the last thing on the screen is that it is left.
end=$(tail -n 1 "$scratch/session.cast" | sed -E 's/^\[([0-9]+)\.([0-9]{3}).*/\1\2/')
svg-term --in "$scratch/session.cast" --out docs/session.svg --at $((end - 1000)) --no-cursor \
	--window --padding 8
