#!/usr/bin/env bash
# Makes the two workspaces without their sources, for what is built before those.
set -euo pipefail

# Everything that cargo has to see before the first source: the real manifests,
# and an empty file in the place of each target's own.
empty_sources() {
    local root=$1 manifest folder
    while read -r manifest; do
        folder=$(dirname "$manifest")
        mkdir -p "$root/$folder/src"
        cp "$manifest" "$root/$manifest"
        if [[ -f $folder/src/main.rs ]]; then echo "fn main() {}" > "$root/$folder/src/main.rs"; fi
        if [[ ! -f $folder/src/main.rs || -f $folder/src/lib.rs ]]; then touch "$root/$folder/src/lib.rs"; fi
        # Targets with a path of their own.
        sed -n 's/^path = "\(.*\.rs\)"$/\1/p' "$manifest" | while read -r target; do
            mkdir -p "$root/$folder/$(dirname "$target")"
            echo "fn main() {}" > "$root/$folder/$target"
        done
    done
}

mkdir -p /manifests/host/host /manifests/guest/guest
printf '%s\n' host/Cargo.toml tests/Cargo.toml xtask/Cargo.toml bench/native/Cargo.toml |
    empty_sources /manifests/host
# xtask and the contender of the benchmark are programs; their sources are not here.
for package in xtask bench/native; do echo "fn main() {}" > "/manifests/host/$package/src/main.rs"; done
cp -r .cargo Cargo.toml Cargo.lock /manifests/host/
find guest -mindepth 2 -name Cargo.toml | sort | empty_sources /manifests/guest
cp -r guest/.cargo guest/Cargo.toml guest/Cargo.lock /manifests/guest/guest/
