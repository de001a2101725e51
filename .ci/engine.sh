# Functions for .ci/run: a Docker engine where none runs, and base images where none can be pulled.
#
#   start_engine     installs docker.io and docker-compose where missing, starts dockerd on a socket of its own
#   make_base_images makes what the Dockerfile starts from with debootstrap, this machine's Rust toolchain and
#                    the npm package `node`, under the names that the Dockerfile uses
#   stop_engine      ends dockerd and takes back what it left in the network
#
# shellcheck shell=bash

# How long dockerd may take to answer, in seconds.
ENGINE_TIMEOUT_S=60

start_engine() {
  if docker info >/dev/null 2>&1; then
    echo "ci: a Docker engine is there"
    return
  fi
  local missing=()
  for package in docker.io docker-compose debootstrap; do
    dpkg -s "$package" >/dev/null 2>&1 || missing+=("$package")
  done
  if ((${#missing[@]} > 0)); then
    echo "ci: installing ${missing[*]}"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
  fi
  engine_folder=$(mktemp -d /var/tmp/zgate-ci.XXXXXX)
  export DOCKER_HOST="unix://$engine_folder/docker.sock"
  # dockerd changes both and leaves them so.
  iptables-save >"$engine_folder/iptables"
  forwarding=$(cat /proc/sys/net/ipv4/ip_forward)
  dockerd --host "$DOCKER_HOST" --data-root "$engine_folder/data" --exec-root "$engine_folder/exec" \
    --pidfile "$engine_folder/pid" >"$engine_folder/log" 2>&1 &
  engine_pid=$!
  for ((i = 0; i < ENGINE_TIMEOUT_S; i++)); do
    docker info >/dev/null 2>&1 && return
    kill -0 "$engine_pid" 2>/dev/null || break
    sleep 1
  done
  echo "ci: dockerd did not start:" >&2
  tail -n 20 "$engine_folder/log" >&2
  return 1
}

make_base_images() {
  local node_image rust_image root
  node_image=$(sed -n 's/^ARG NODE_IMAGE=//p' Dockerfile)
  rust_image=$(sed -n 's/^ARG RUST_IMAGE=//p' Dockerfile)
  if docker image inspect "$node_image" "$rust_image" >/dev/null 2>&1; then return; fi
  if docker pull -q "$node_image" >/dev/null 2>&1 && docker pull -q "$rust_image" >/dev/null 2>&1; then return; fi

  echo "ci: making $node_image and $rust_image"
  root=$engine_folder/root
  debootstrap --variant=minbase --include=ca-certificates,libatomic1 bookworm "$root" >"$engine_folder/debootstrap.log" 2>&1 ||
    { tail -n 20 "$engine_folder/debootstrap.log" >&2; return 1; }
  # What this machine trusts and how it reaches packages holds inside too.
  cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/ca-certificates.crt"
  local setting
  for setting in /etc/apt/apt.conf.d/99*; do
    if [ -e "$setting" ]; then cp "$setting" "$root/etc/apt/apt.conf.d/"; fi
  done

  cp "$(readlink -f node_modules/.bin/node)" "$root/usr/local/bin/node"
  mkdir -p "$root/usr/local/lib/node_modules"
  cp -a "$(npm root --global)/npm" "$root/usr/local/lib/node_modules/npm"
  ln -sf ../lib/node_modules/npm/bin/npm-cli.js "$root/usr/local/bin/npm"
  local trust="ENV NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt CARGO_HTTP_CAINFO=/etc/ssl/certs/ca-certificates.crt"
  tar -C "$root" -c . | docker import --change "$trust" --change 'CMD ["node"]' - "$node_image" >/dev/null

  chroot "$root" sh -c 'apt-get update -qq && apt-get install -y -qq --no-install-recommends build-essential' >/dev/null
  # The toolchain without its documentation.
  tar -C "$(rustc --print sysroot)" -c --exclude=./share . | tar -C "$root/usr/local" -x
  tar -C "$root" -c . | docker import --change "$trust" - "$rust_image" >/dev/null
  rm -rf "$root"
}

stop_engine() {
  [ -n "${engine_pid:-}" ] || return 0
  kill "$engine_pid" 2>/dev/null || true
  wait "$engine_pid" 2>/dev/null || true
  umount "$engine_folder"/exec/netns/* 2>/dev/null || true
  ip link delete docker0 2>/dev/null || true
  if [ -s "$engine_folder/iptables" ]; then
    iptables-restore "$engine_folder/iptables"
  else
    for table in filter nat; do nft delete table ip "$table" 2>/dev/null || true; done
  fi
  echo "$forwarding" >/proc/sys/net/ipv4/ip_forward
  rm -rf "$engine_folder"
}
