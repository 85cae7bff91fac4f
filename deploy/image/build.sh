#!/usr/bin/env bash
# The steps of the Dockerfile's build stage, each of which is a layer of its own.
set -euo pipefail

architecture=$(uname -m)
host_target="$architecture-unknown-linux-gnu"
packages=(--package innkeeper --profile dist --locked --target "$host_target")
[[ -z "${FEATURES:-}" ]] || packages+=(--features "$FEATURES")

# The C library is part of the program: the image has none. It still asks the
# resolver that /etc/resolv.conf names, and reads /etc/hosts. Paths of the build
# stage are nobody's business, and differ where the same commit is built again.
export RUSTFLAGS="-C target-feature=+crt-static --remap-path-prefix=/src=innkeeper --remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=cargo"
build_guest() { (cd guest && RUSTFLAGS="" cargo build --release --locked --target wasm32-wasip2 --package "${1:-$GUEST}"); }

case "$1" in
dependencies)
    # Empty sources in their places; the real ones are newer.
    mkdir -p host/src tests/src xtask/src bench/native/src
    for source in host/src/main.rs xtask/src/main.rs bench/native/src/main.rs; do echo "fn main() {}" > "$source"; done
    touch host/src/lib.rs tests/src/lib.rs
    mkdir -p tests/it && touch tests/it/main.rs tests/it/interop.rs
    cargo build "${packages[@]}"
    ;;
guest)
    build_guest
    ;;
host)
    touch host/src/lib.rs host/src/main.rs
    cargo build "${packages[@]}"
    mkdir -p /image/app/modules /image/etc/ssl/certs /image/data /image/tmp
    cp "target/$host_target/dist/innkeeper" /image/app/
    cp "guest/target/wasm32-wasip2/release/${GUEST//-/_}.wasm" /image/app/modules/todo.wasm
    /image/app/innkeeper compile /image/app/modules/todo.wasm
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
