#!/usr/bin/env bash
# Builds the guest. RUSTFLAGS are not set, not even empty ones: they would win over its own.
set -euo pipefail

cd guest
cargo build --release --locked --target wasm32-wasip2 --package "$GUEST"
# A program keeps its dashes, a library does not.
built=target/wasm32-wasip2/release
cp "$built/$GUEST.wasm" /built/ 2> /dev/null || cp "$built/${GUEST//-/_}.wasm" "/built/$GUEST.wasm"
