#!/usr/bin/env bash
# Builds the program that is shipped, with the list of its crates inside.
set -euo pipefail

target="$(uname -m)-unknown-linux-gnu"
cargo_home=${CARGO_HOME:-$HOME/.cargo}
arguments=(--package innkeeper --profile dist --locked --target "$target")
[[ -z "${FEATURES:-}" ]] || arguments+=(--features "$FEATURES")
# The C library is part of the program: the image has none. It still asks the
# resolver that /etc/resolv.conf names, and reads /etc/hosts. Paths of this
# stage are nobody's business, and differ where the same commit is built again.
RUSTFLAGS="-C target-feature=+crt-static --remap-path-prefix=$PWD=innkeeper --remap-path-prefix=$cargo_home=cargo" \
CFLAGS="-ffile-prefix-map=$cargo_home=cargo -ffile-prefix-map=$PWD=innkeeper" \
    cargo auditable build "${arguments[@]}"
cp "target/$target/dist/innkeeper" /built/
