#!/usr/bin/env bash
# Installs what writes down which crates went in.
set -euo pipefail

# They write lists and need no speed.
CARGO_PROFILE_RELEASE_OPT_LEVEL=0 CARGO_PROFILE_RELEASE_LTO=false \
    cargo install --locked --quiet cargo-auditable@0.7.7 cargo-cyclonedx@0.5.9
rm -rf "${CARGO_HOME:-$HOME/.cargo}/registry"
