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
COPY deploy/image/build.sh deploy/image/
RUN deploy/image/build.sh tools

# Manifests and empty sources, alike as long as no dependency changes: what is
# built from them stays built, whatever happens to the real ones.
FROM toolchain AS manifests
COPY . .
RUN deploy/image/build.sh manifests

FROM tools AS host
ARG FEATURES=""
COPY --from=manifests /manifests/host/ ./
RUN deploy/image/build.sh host-dependencies
COPY .cargo .cargo
COPY wit wit
COPY host host
RUN deploy/image/build.sh host

FROM tools AS guest
ARG GUEST=todo
COPY --from=manifests /manifests/guest/ ./
RUN deploy/image/build.sh guest-dependencies
COPY wit wit
COPY guest guest
RUN deploy/image/build.sh guest

FROM toolchain AS image
ARG GUEST=todo
COPY deploy/image/build.sh deploy/image/
COPY --from=host /built/ /built/
COPY --from=guest /built/ /built/
RUN deploy/image/build.sh image

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
