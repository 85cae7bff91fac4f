# Innkeeper as a container: `docker build -t innkeeper .`
#
# To package something else, pass one of these with --build-arg:
#   BUILDER_IMAGE  an image with rustup's cargo and a C compiler, of a glibc system
#   GUEST          the package of guest/ that is served by default
#   FEATURES       cargo features of the host, separated by commas
#   VERSION        what the image's label says; REVISION: the commit
ARG BUILDER_IMAGE=rust:1.95-slim-bookworm

# checkov:skip=CKV_DOCKER_7: the line above has the version, and an argument cannot
FROM ${BUILDER_IMAGE} AS toolchain
WORKDIR /src
ENV SOURCE_DATE_EPOCH=0
COPY rust-toolchain.toml ./
# rustup installs what the file names and this image has not.
RUN cargo --version

# What writes down which crates went in.
FROM toolchain AS tools
COPY deploy/image/tools.sh deploy/image/
RUN deploy/image/tools.sh

# Manifests and empty sources, alike as long as no dependency changes: what is
# built from them stays built, whatever happens to the real ones.
FROM toolchain AS manifests
COPY . .
RUN deploy/image/manifests.sh

FROM tools AS host
ARG FEATURES=""
COPY --from=manifests /manifests/host/ ./
COPY deploy/image/list-crates.sh deploy/image/host.sh deploy/image/
RUN deploy/image/list-crates.sh . "$(uname -m)-unknown-linux-gnu" innkeeper && deploy/image/host.sh
COPY wit wit
# What `innkeeper new` gives to a project.
COPY guest/sdk guest/sdk
COPY guest/python/innkeeper guest/python/innkeeper
COPY guest/javascript/innkeeper guest/javascript/innkeeper
COPY host host
# By their dates the real sources may be older than the empty ones.
RUN find host -name '*.rs' -exec touch {} + && deploy/image/host.sh

FROM tools AS guest
ARG GUEST=todo
COPY --from=manifests /manifests/guest/ ./
COPY deploy/image/list-crates.sh deploy/image/guest.sh deploy/image/
RUN deploy/image/list-crates.sh guest wasm32-wasip2 "$GUEST" && deploy/image/guest.sh
COPY wit wit
COPY guest guest
# Not those that build scripts have written: all that uses them would be built again.
RUN find guest -name '*.rs' -not -path 'guest/target/*' -exec touch {} + && deploy/image/guest.sh

FROM toolchain AS image
ARG GUEST=todo
COPY deploy/image/assemble.sh deploy/image/
COPY --from=host /built/ /built/
COPY --from=guest /built/ /built/
RUN deploy/image/assemble.sh

# Nothing but what runs: no shell, no package manager, no libraries.
FROM scratch
COPY --from=image /image/ /
WORKDIR /app
ENV INNKEEPER_DATA_DIR=/data
USER 65532:65532
VOLUME /data
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s CMD ["/app/innkeeper", "health"]
ENTRYPOINT ["/app/innkeeper"]
CMD ["serve"]
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Innkeeper" \
      org.opencontainers.image.description="Hosts backend logic as sandboxed WebAssembly components" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.source="https://example.com/innkeeper" \
      org.opencontainers.image.licenses="Apache-2.0" \
      maintainer="The Innkeeper authors"
