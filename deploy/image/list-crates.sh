#!/usr/bin/env bash
# Writes what is in a package, as CycloneDX. SOURCE_DATE_EPOCH keeps times out of it.
#   list-crates.sh WORKSPACE TARGET PACKAGE
set -euo pipefail
workspace=$1 target=$2 package=$3

(cd "$workspace" && cargo cyclonedx --quiet --format json --target "$target" --spec-version 1.5 \
    --override-filename sbom)
manifest=$(grep --recursive --include=Cargo.toml --line-regexp --files-with-matches "name = \"$package\"" "$workspace")
mkdir -p /built/sbom
cp "$(dirname "$manifest")/sbom.json" "/built/sbom/$package.cdx.json"
