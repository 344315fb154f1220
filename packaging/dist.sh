#!/usr/bin/env bash
# Packs the source tarball that is named: the files that git knows, and in vendor/ the one crate
# that the library needs, with a manifest that asks for nothing else, so that `make` builds it
# without a network. Of the same sources it makes the same bytes, whoever runs it, and when.
set -euo pipefail
cd "$(dirname "$0")/.."

[[ -e .git ]] || {
	echo "$0: the files are git's to name, and this is no clone" >&2
	exit 1
}
tarball=$1
name=$(basename "$tarball" .tar.gz)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
sources=$scratch/$name
vendor=$sources/vendor

git ls-files -z >"$scratch/files"
mkdir -p "$vendor"
tar -c --null -T "$scratch/files" | tar -x -C "$sources"

# The crates for the tests alone are many. Cargo asks for every crate of a manifest, needed or not,
# so there is a second manifest without them.
awk '/^\[/ { is_kept = /^\[(package|lib|dependencies|profile|lints)/ } is_kept' Cargo.toml |
	sed '/^\[lib\]/a path = "../src/lib.rs"' >"$vendor/Cargo.toml"
cp Cargo.lock "$vendor/"
"${CARGO:-cargo}" vendor --quiet --manifest-path "$vendor/Cargo.toml" "$vendor/crates" >/dev/null
cat >"$vendor/config.toml" <<-'END'
	[source.crates-io]
	replace-with = "vendor"

	[source.vendor]
	directory = "vendor/crates"
END

mkdir -p "$(dirname "$tarball")"
tar -c --sort=name --mtime="@$(git log -1 --format=%ct)" --format=ustar \
	--owner=0 --group=0 --numeric-owner --mode=u=rwX,go=rX -C "$scratch" "$name" |
	gzip -9 --no-name >"$tarball"
