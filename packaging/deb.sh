#!/usr/bin/env bash
# Builds the Debian packages out of the source tarball that is named, in the folder that is named,
# without a network. dpkg does not look for what they need to be built: the toolchain may well be
# one that it knows nothing of, as Debian 12's own is too old.
set -euo pipefail

tarball=$1
folder=$2
name=$(basename "$tarball" .tar.gz)

rm -rf "$folder"
mkdir -p "$folder"
cp "$tarball" "$folder/${name/-/_}.orig.tar.gz"
tar -xf "$tarball" -C "$folder"
cd "$folder/$name"
cp -r packaging/debian debian

# A home folder of its own, as debhelper gives it to what it runs, hides a toolchain of rustup's.
PATH=$(rustc --print sysroot)/bin:$PATH
unset MAKEFLAGS MAKELEVEL CARGO_TARGET_DIR
CARGO_NET_OFFLINE=true dpkg-buildpackage --no-check-builddeps --no-sign
