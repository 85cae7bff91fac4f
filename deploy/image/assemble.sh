#!/usr/bin/env bash
# Puts the image together, from what the other stages have built.
set -euo pipefail

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
