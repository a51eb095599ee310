# syntax=docker/dockerfile:1
FROM rust:1.95-slim-trixie AS build
WORKDIR /build
RUN apt-get update \
 && apt-get install -y --no-install-recommends gcc libc6-dev \
 && rm -rf /var/lib/apt/lists/*
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/build/target \
    cargo build --release --locked --no-default-features --bin llm-permission-proxy \
 && install -D target/release/llm-permission-proxy /out/llm-permission-proxy

FROM debian:trixie-slim
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates \
 && rm -rf /var/lib/apt/lists/* \
 && groupadd --system --gid 10001 proxy \
 && useradd --system --uid 10001 --gid proxy --home-dir /var/lib/llm-permission-proxy proxy \
 && install -d -o proxy -g proxy -m 0700 /var/lib/llm-permission-proxy
COPY --from=build /out/llm-permission-proxy /usr/local/bin/llm-permission-proxy
USER proxy
WORKDIR /var/lib/llm-permission-proxy
# The ledger, its key and the read tables; the ledger and its key are what to back up.
VOLUME /var/lib/llm-permission-proxy
ENV BIND_ADDR=0.0.0.0:8080 \
    DATABASE_URL=sqlite:///var/lib/llm-permission-proxy/proxy.db
EXPOSE 8080
# An end takes 8 seconds at most, so that `docker stop` need not kill. Where upstream calls are to have longer:
# docker run --stop-timeout 60 -e SHUTDOWN_SECS=50
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s --retries=3 \
    CMD ["llm-permission-proxy", "ready"]
ENTRYPOINT ["llm-permission-proxy"]
CMD ["serve"]
