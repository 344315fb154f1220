#!/usr/bin/env bash
# Builds and tests in a root of Debian 13 that has only what README.md names, with its own Rust:
# debian.sh ROOT [GOAL...]. The goal for make is test unless given. ROOT is filled where it is not
# there. It needs root, git, debootstrap, and a network.
set -euo pipefail
cd "$(dirname "$0")/.."
if (($# == 0)) || ((EUID != 0)); then
	echo "$0: run it as root, with a folder for the system" >&2
	exit 1
fi
root=$1
goals=("${@:2}")
((${#goals[@]})) || goals=(test)

if [[ ! -e $root/etc/debian_version ]]; then
	debootstrap --variant=minbase --include=make,gcc,cargo,ca-certificates trixie "$root"
fi
# What this machine trusts besides.
cp -r /usr/local/share/ca-certificates "$root/usr/local/share/"
cp /etc/resolv.conf /etc/hosts "$root/etc/"
rm -rf "$root/root/chatserver"
git clone --quiet . "$root/root/chatserver"

# In a namespace, so that nothing stays mounted.
# shellcheck disable=SC2016 # for the inner shell
unshare --mount bash -euc '
	mount --bind "$0" "$0"
	cd "$0"
	mount -t proc proc proc
	mount --rbind /dev dev
	exec chroot . env --ignore-environment HOME=/root PATH=/usr/sbin:/usr/bin "$@"
' "$root" bash -euc '
	update-ca-certificates >/dev/null 2>&1
	cd /root/chatserver
	make "$@"
' bash "${goals[@]}"
