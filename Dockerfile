# Innkeeper as a container: `docker build -t innkeeper .`
#
# To package something else, pass one of these with --build-arg:
#   BUILDER_IMAGE  an image with rustup's cargo and a C compiler, of a glibc system
#   GUEST          the package of guest/ that is served by default
#   FEATURES       cargo features of the host, separated by commas
#   VERSION        what the image's label says; REVISION: the commit
ARG BUILDER_IMAGE=rust:1.95-slim-bookworm

FROM ${BUILDER_IMAGE} AS build
ARG FEATURES=""
ARG GUEST=todo
SHELL ["/bin/bash", "-euo", "pipefail", "-c"]
WORKDIR /src
ENV CARGO_PROFILE_DIST_DEBUG=false SOURCE_DATE_EPOCH=0

# The toolchain, which changes least.
COPY rust-toolchain.toml ./
RUN rustup toolchain install 1.95.0 --profile minimal --target wasm32-wasip2

# The dependencies, from manifests alone: a change of source leaves them built.
COPY .cargo .cargo
COPY Cargo.toml Cargo.lock ./
COPY host/Cargo.toml host/
COPY tests/Cargo.toml tests/
COPY xtask/Cargo.toml xtask/
COPY bench/native/Cargo.toml bench/native/
COPY deploy/image/build.sh deploy/image/
RUN deploy/image/build.sh dependencies

COPY guest guest
COPY wit wit
RUN deploy/image/build.sh guest
COPY host host
RUN deploy/image/build.sh host

# Nothing but what runs: no shell, no package manager, no libraries.
FROM scratch
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Innkeeper" \
      org.opencontainers.image.description="Hosts backend logic as sandboxed WebAssembly components" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.source="https://example.com/innkeeper" \
      org.opencontainers.image.licenses="Apache-2.0" \
      maintainer="The Innkeeper authors"
COPY --from=build /image/ /
WORKDIR /app
ENV INNKEEPER_CACHE_DIR=/data/cache DATABASE_URL=sqlite:///data/innkeeper.db
USER 65532:65532
VOLUME /data
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s --start-interval=1s CMD ["/app/innkeeper", "health"]
ENTRYPOINT ["/app/innkeeper"]
CMD ["serve"]
