#!/usr/bin/env bash
# Builds SPIRE's server, agent and OIDC discovery provider into a folder, without those plugins that speak to clouds,
# clusters and containers: no case uses them, and they are most of what there is to compile.
# usage: build.sh DIR
# go.mod beside this says which version, go.sum what it is; what SPIRE needs, its own go.mod and go.sum say.
set -euo pipefail

dir=$(realpath "$1")
cd "$(dirname "$0")"
module=github.com/spiffe/spire
# The last parts of the packages of the plugins that stay.
stay='memory|disk|jointoken|uniqueid|unix'

command -v gcc > /dev/null || { echo "gcc is not on this machine: the server's SQLite is written in C" >&2; exit 3; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
go mod download "$module"
cp -R "$(go list -m -f '{{.Dir}}' "$module")/." "$work"
chmod -R u+w "$work"
cd "$work"

# A plugin is two lines of a catalog: its package, and what it adds to a list.
for catalog in pkg/{agent,server}/catalog/*.go; do
  awk -v package="/plugin/[a-z]+/.+\"$" -v stays="[/\t]($stay)(\"|[.]BuiltIn)" '
    ($0 ~ package || /^\t\t[a-z0-9]+[.]BuiltIn[(][)],$/) && $0 !~ stays { next }
    { print }
  ' "$catalog" > "$catalog.new"
  mv "$catalog.new" "$catalog"
done

# SQLite is compiled quickly rather than to be quick: it holds two entries.
export CGO_ENABLED=1 CGO_CFLAGS=-O0
go build -v -mod=readonly -trimpath -ldflags '-s -w' -o "$dir/" \
  ./cmd/spire-server ./cmd/spire-agent ./support/oidc-discovery-provider
