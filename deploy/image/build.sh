#!/usr/bin/env bash
# The steps of the Dockerfile, each of which is a layer of its own.
set -euo pipefail

host_target="$(uname -m)-unknown-linux-gnu"
wasm_target=wasm32-wasip2

# The program that is shipped, with the list of its crates inside.
build_host() {
    local cargo_home=${CARGO_HOME:-$HOME/.cargo}
    local arguments=(--package innkeeper --profile dist --locked --target "$host_target")
    [[ -z "${FEATURES:-}" ]] || arguments+=(--features "$FEATURES")
    # The C library is part of the program: the image has none. It still asks the
    # resolver that /etc/resolv.conf names, and reads /etc/hosts. Paths of this
    # stage are nobody's business, and differ where the same commit is built again.
    RUSTFLAGS="-C target-feature=+crt-static --remap-path-prefix=$PWD=innkeeper --remap-path-prefix=$cargo_home=cargo" \
    CFLAGS="-ffile-prefix-map=$cargo_home=cargo -ffile-prefix-map=$PWD=innkeeper" \
        cargo auditable build "${arguments[@]}"
}

# Without RUSTFLAGS, even empty ones: they would win over the guests' own.
build_guest() {
    (cd guest && cargo build --release --locked --target "$wasm_target" --package "$GUEST")
}

# What is in a package, as CycloneDX. SOURCE_DATE_EPOCH keeps times out of it.
list_parts() {
    local workspace=$1 target=$2 package=$3 manifest
    (cd "$workspace" && cargo cyclonedx --quiet --format json --target "$target" --spec-version 1.5 \
        --override-filename sbom)
    manifest=$(grep --recursive --include=Cargo.toml --line-regexp --files-with-matches "name = \"$package\"" "$workspace")
    mkdir -p /built/sbom
    cp "$(dirname "$manifest")/sbom.json" "/built/sbom/$package.cdx.json"
}

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

case "$1" in
tools)
    # They write lists and need no speed.
    CARGO_PROFILE_RELEASE_OPT_LEVEL=0 CARGO_PROFILE_RELEASE_LTO=false \
        cargo install --locked --quiet cargo-auditable@0.7.7 cargo-cyclonedx@0.5.9
    rm -rf "${CARGO_HOME:-$HOME/.cargo}/registry"
    ;;
manifests)
    mkdir -p /manifests/host/host /manifests/guest/guest
    printf '%s\n' host/Cargo.toml tests/Cargo.toml xtask/Cargo.toml bench/native/Cargo.toml |
        empty_sources /manifests/host
    # xtask and the contender of the benchmark are programs; their sources are not here.
    for package in xtask bench/native; do echo "fn main() {}" > "/manifests/host/$package/src/main.rs"; done
    cp -r .cargo Cargo.toml Cargo.lock /manifests/host/
    find guest -name Cargo.toml -mindepth 2 | sort | empty_sources /manifests/guest
    cp -r guest/.cargo guest/Cargo.toml guest/Cargo.lock /manifests/guest/guest/
    ;;
host-dependencies)
    list_parts . "$host_target" innkeeper
    build_host
    ;;
host)
    # Older than the empty ones, by their dates.
    find host -name '*.rs' -exec touch {} +
    build_host
    cp "target/$host_target/dist/innkeeper" /built/
    ;;
guest-dependencies)
    list_parts guest "$wasm_target" "$GUEST"
    build_guest
    ;;
guest)
    find guest -name '*.rs' -exec touch {} +
    build_guest
    # A program keeps its dashes, a library does not.
    built=guest/target/$wasm_target/release
    cp "$built/$GUEST.wasm" /built/ 2> /dev/null || cp "$built/${GUEST//-/_}.wasm" "/built/$GUEST.wasm"
    ;;
image)
    mkdir -p /image/app/modules /image/etc/ssl/certs /image/data /image/tmp
    cp -r /built/innkeeper /built/sbom /image/app/
    cp "/built/$GUEST.wasm" /image/app/modules/
    /image/app/innkeeper compile "/image/app/modules/$GUEST.wasm"
    # `todo` needs no file: it is what the host serves when nothing is named.
    [[ $GUEST == todo ]] || cat > /image/app/innkeeper.toml << TOML
[[module]]
name   = "$GUEST"
source = "modules/$GUEST.wasm"
grants = { sql = "main", accounts = true, llm = ["default"], toolbox = ["*"] }
TOML
    cp /etc/ssl/certs/ca-certificates.crt /image/etc/ssl/certs/
    echo "innkeeper:x:65532:65532:innkeeper:/app:/sbin/nologin" > /image/etc/passwd
    echo "innkeeper:x:65532:" > /image/etc/group
    chmod 1777 /image/tmp
    chown 65532:65532 /image/data
    find /image -exec touch --no-dereference --date=@0 {} +
    ;;
*)
    echo "unknown step $1" >&2
    exit 2
    ;;
esac
