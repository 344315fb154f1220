#!/usr/bin/env bash
# Runs a command with a PATH of nothing but what README.md names: bare-path.sh COMMAND ARGUMENT...
# The tools are those of Debian's required packages, make, gcc and binutils, and cargo with its
# compiler. A test that needs another one has to be skipped. Without arguments it runs the tests
# that use tools; `make test` as a command runs all. It needs dpkg, and those packages.
set -euo pipefail
cd "$(dirname "$0")/.."

tools=$(mktemp -d)
trap 'rm -rf "$tools"' EXIT
required=$(dpkg-query --show --showformat '${Package} ${Essential} ${Priority}\n' |
	awk '/ yes | required$/ { print $1 }')
# Those names depend on ones with the compiler's version or the machine in them.
version=$(gcc -dumpversion)
machine=$(gcc -dumpmachine)
packages=(make binutils gcc "gcc-$version" cpp "cpp-$version" libc-dev-bin)
for package in "binutils-${machine//_/-}" "gcc-$version-${machine//_/-}" \
	"cpp-$version-${machine//_/-}"; do
	if dpkg-query --status "$package" >/dev/null 2>&1; then packages+=("$package"); fi
done
# shellcheck disable=SC2086 # a word for each package
dpkg-query --listfiles $required "${packages[@]}" |
	grep -E '^(/usr)?/s?bin/' | while read -r file; do
	if [[ -x $file ]]; then ln -sf "$file" "$tools/"; fi
done
# What is chosen among several, and is in no package.
ln -sf "$(command -v mawk)" "$tools/awk"
ln -sf "$tools/gcc" "$tools/cc"
toolchain=$(rustc --print sysroot)/bin
ln -s "$toolchain"/{cargo,rustc,rustdoc} "$tools/"

bare=(env --unset=CI PATH="$tools")
if (($#)); then
	"${bare[@]}" "$@"
else
	"${bare[@]}" make
	"${bare[@]}" cargo test --quiet --test suite -- --skip properties::
	"${bare[@]}" cargo test --quiet --test server -- activation:: fairness:: injected:: \
		listening:: output:: signals:: systemd:: telnet_client:: tls:: tools:: usage::
fi
