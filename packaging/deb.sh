#!/usr/bin/env bash
# Builds the Debian packages without a network: deb.sh TARBALL FOLDER. dpkg does not check the build
# dependencies: the Rust toolchain is often none of its packages, since Debian 12's is too old.
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

# debhelper sets HOME to a folder of its own, in which rustup's commands find no toolchain.
PATH=$(rustc --print sysroot)/bin:$PATH
unset MAKEFLAGS MAKELEVEL CARGO_TARGET_DIR
CARGO_NET_OFFLINE=true dpkg-buildpackage --no-check-builddeps --no-sign
