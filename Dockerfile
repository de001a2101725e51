# zgate's image: relay, agent and tools in one.
#
#   addon     the Rust addon, built where the compiler is
#   modules   the npm packages that it runs with
#   (last)    Node, those two, the source (Node runs TypeScript as it is) and the commands that set up the network

ARG NODE_IMAGE=node:26-bookworm-slim
ARG RUST_IMAGE=rust:1.95-bookworm

FROM ${RUST_IMAGE} AS addon
WORKDIR /build/native
COPY native/ ./
RUN cargo build --release --locked

FROM ${NODE_IMAGE} AS modules
WORKDIR /build
COPY package.json package-lock.json ./
RUN npm ci --omit=dev --no-audit --no-fund

FROM ${NODE_IMAGE}
RUN apt-get update \
  && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends curl iproute2 iputils-ping nftables \
  && rm -rf /var/lib/apt/lists/* \
  # A ping without file capability: without CAP_NET_RAW the other could not even start, ICMP sockets do (icmp(7)).
  && install -m 0755 /usr/bin/ping /usr/local/bin/ping
WORKDIR /opt/zgate
COPY --from=modules /build/node_modules node_modules
COPY --from=addon /build/native/target/release/libzgate_native.so native/target/release/
COPY package.json ./
COPY shared shared
COPY agent agent
COPY relay relay
COPY cli cli
COPY tools tools
COPY e2e e2e
RUN ln -s /opt/zgate/cli/zgate /usr/local/bin/zgate
ENV NODE_ENV=production
ENTRYPOINT ["zgate"]
CMD ["--help"]
