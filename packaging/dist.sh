#!/usr/bin/env bash
# Packs the source tarball: dist.sh TARBALL. It holds the files that git tracks and, in vendor/, the
# one crate that the library needs, with a manifest that names no other, so that `make` builds it
# without a network. The same sources always make the same bytes.
set -euo pipefail
cd "$(dirname "$0")/.."

[[ -e .git ]] || {
	echo "$0: this is no git clone, and git lists the files to pack" >&2
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

# Cargo asks for every crate of a manifest, and most are for the tests alone; hence a second
# manifest, without those.
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
