#!/usr/bin/env bash
# Builds the Debian packages on another Debian: deb-on.sh SUITE FOLDER, as in `deb-on.sh trixie
# build/trixie`. Compilers, Rust and lintian are that Debian's own; there is no network. Then
# `SUITE=trixie tests/booted.sh build/trixie` boots the same Debian with them.
#
# Needs root, mmdebstrap and systemd-nspawn. The root has 1.3 GB, and is made anew each time.
set -euo pipefail
cd "$(dirname "$0")/.."
suite=$1
folder=$2

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
tarball=$(make --silent dist)
mkdir -p "$folder"
mmdebstrap --quiet --variant=minbase \
	--include=build-essential,cargo,rustc,debhelper,lintian "$suite" "$scratch/root"
cp "$tarball" packaging/deb.sh "$scratch/root/root/"
# shellcheck disable=SC2016 # $0 is the inner shell's
systemd-nspawn --quiet --register=no --keep-unit --private-network --pipe \
	--directory="$scratch/root" sh -euc '
	cd /root
	bash deb.sh "$0" packages
	lintian --allow-root --fail-on error,warning packages/*.changes
	' "$(basename "$tarball")"
cp "$scratch"/root/root/packages/*.deb "$folder/"
