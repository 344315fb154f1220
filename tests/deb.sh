#!/usr/bin/env bash
# The Debian packages in the folder that is named are clean in lintian's eyes, and all that is
# needed to build and run programs: they are unpacked into an empty root, and used from there.
set -euo pipefail
folder=$(realpath "$1")
cd "$(dirname "$0")/.."

root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
version=$(sed -n '/^version = /{ s/.*"\(.*\)"/\1/p; q }' Cargo.toml)
library=$root/usr/lib/$(dpkg-architecture --query DEB_HOST_MULTIARCH)

say() {
	printf -- '-- %s\n' "$*"
}

# What the program prints, with the shared objects of the root and no others of ours.
greets() {
	local heard
	heard=$(LD_LIBRARY_PATH=$library "$1")
	[[ $heard = "hello with $version" ]] || {
		echo "$1 prints: $heard" >&2
		exit 1
	}
}

say 'lintian finds no fault'
lintian --allow-root --fail-on error,warning "$folder"/*.changes

say 'packages can be unpacked'
for package in libchatserver1 libchatserver-dev chatserver chatserver-relay; do
	dpkg-deb --extract "$folder/${package}_$version"-*.deb "$root"
done

say 'headers come with the library that they belong to'
headers=$(echo "$folder/libchatserver-dev_$version"-*.deb)
dpkg-deb --field "$headers" Depends |
	grep --fixed-strings "libchatserver1 (= $(dpkg-deb --field "$headers" Version))"

say 'units start what is there'
find "$root" -name '*.service' -exec sed -n 's/^ExecStart=\([^ ]*\).*/\1/p' {} + |
	tee "$root/started"
[[ -s $root/started ]]
while read -r program; do
	[[ -x $root$program ]]
done <"$root/started"

say 'pkg-config finds the library'
export PKG_CONFIG_LIBDIR=$library/pkgconfig PKG_CONFIG_SYSROOT_DIR=$root
# shellcheck disable=SC2046 # words for the compiler
cc -o "$root/shared" tests/install/user.c $(pkg-config --cflags --libs libchatserver)
# shellcheck disable=SC2046
cc -static -o "$root/static" tests/install/user.c \
	$(pkg-config --static --cflags --libs libchatserver)
greets "$root/shared"
greets "$root/static"

say 'examples are there, and can be built'
# shellcheck disable=SC2046
cc -o "$root/chat" "$root/usr/share/doc/libchatserver-dev/examples/chat.c" \
	$(pkg-config --cflags --libs libchatserver)
[[ -s $root/usr/share/doc/chatserver/examples/stunnel.conf ]]

say 'CMake finds the library'
cmake -S tests/install -B "$root/cmake" -D CMAKE_PREFIX_PATH="$root/usr" >/dev/null
cmake --build "$root/cmake" >/dev/null
for library_kind in shared static chatserver; do
	greets "$root/cmake/user-$library_kind"
done

say 'dpkg knows which package a program needs'
mkdir "$root/debian"
printf 'Source: user\n\nPackage: user\nArchitecture: any\n' >"$root/debian/control"
dpkg-deb --raw-extract "$folder/libchatserver1_$version"-*.deb "$root/debian/libchatserver1"
(cd "$root" && dpkg-shlibdeps -O -Sdebian/libchatserver1 shared) | tee "$root/needed"
grep --quiet 'libchatserver1 (>= 1.0.0)' "$root/needed"

say 'server relays'
SERVER=$root/usr/bin/chatserver cargo test --quiet --test server -- recipients relayed
