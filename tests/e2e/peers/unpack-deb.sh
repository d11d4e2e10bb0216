#!/usr/bin/env bash
# Unpacks Debian packages of any suite into a folder, and leaves the system as it is.
# usage: unpack-deb.sh SUITE DIR PACKAGE...     e.g. unpack-deb.sh sid cosign-3 cosign
# env:   APT_STATE: where the suite's package lists are kept (default: DIR.apt)
# The machine's own mirror and keyring are used. Programs land in DIR/usr/bin; DIR/packages tells
# which versions were unpacked.
set -euo pipefail

suite=$1 dir=$2
shift 2
sources=/etc/apt/sources.list.d/debian.sources
state=${APT_STATE:-$dir.apt}/$suite

command -v apt-get dpkg-deb > /dev/null || { echo "apt-get is not on this machine" >&2; exit 3; }
[ -r "$sources" ] || { echo "$sources is not on this machine: no Debian mirror is known" >&2; exit 3; }

mkdir -p "$state"/{sources,lists/partial,cache/archives/partial} "$dir"
# The first stanza is the main archive: the others (security, updates) do not exist for every suite.
awk 'BEGIN { RS = "" } NR == 1' "$sources" | sed "s/^Suites:.*/Suites: $suite/" \
  > "$state/sources/$suite.sources"
opts=(
  -qq
  -o Dir::Etc::sourcelist=/dev/null
  -o "Dir::Etc::sourceparts=$state/sources"
  -o "Dir::State::lists=$state/lists"
  -o "Dir::Cache=$state/cache"
  -o APT::Sandbox::User=root
  -o Acquire::Languages=none
  -o Acquire::Retries=3
)
# Lists older than two days name packages that a moving suite no longer has.
if [ -z "$(find "$state/lists" -name '*Packages*' -mtime -2 2> /dev/null)" ]; then
  apt-get "${opts[@]}" update
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
(cd "$work" && apt-get "${opts[@]}" download "$@")
for deb in "$work"/*.deb; do
  dpkg-deb -x "$deb" "$dir"
  dpkg-deb -W --showformat='${Package} ${Version}\n' "$deb" >> "$dir/packages"
done
