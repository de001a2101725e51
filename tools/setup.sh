#!/bin/sh
# Installs what zgate's build and tests need and this machine lacks.
#
#   1. commands that Debian and Ubuntu package: by apt-get when root, otherwise the line to run is printed
#   2. npm, which brings everything of Node (the npm package `node` brings Node 26 itself)
#   3. Rust, new enough for native/Cargo.toml: Debian's may be too old, so this only says what to do
set -eu
cd "$(dirname "$0")/.."
PATH="$PATH:$HOME/.cargo/bin:/usr/local/sbin:/usr/sbin:/sbin"

missing=""
need() { # need COMMAND PACKAGE: the package that brings a command
  command -v "$1" >/dev/null 2>&1 || missing="$missing $2"
}
need cc build-essential
need nft nftables
need ip iproute2
need ping iputils-ping
need traceroute traceroute
need iperf3 iperf3
need curl curl
need openssl openssl
need strace strace
need column bsdextrautils
need python3 python3
python3 -c 'import ensurepip, venv' >/dev/null 2>&1 || missing="$missing python3-venv"

if [ -n "$missing" ]; then
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "setup: installing$missing"
    export DEBIAN_FRONTEND=noninteractive
    # shellcheck disable=SC2086 # a list of names
    apt-get install -y -qq --no-install-recommends $missing >/dev/null 2>&1 ||
      { apt-get update -qq && apt-get install -y -qq --no-install-recommends $missing; }
  else
    echo "setup: missing here:$missing" >&2
    echo "       On Debian and Ubuntu: sudo apt-get install$missing" >&2
    exit 1
  fi
fi

command -v npm >/dev/null 2>&1 || {
  echo "setup: npm is missing: install Node.js 20 or later with npm (https://nodejs.org)" >&2
  exit 1
}

wanted=$(sed -nE 's/^rust-version *= *"([0-9.]+)"/\1/p' native/Cargo.toml)
have=$(rustc --version 2>/dev/null | sed -nE 's/^rustc ([0-9.]+).*/\1/p')
if ! command -v cargo >/dev/null 2>&1 || [ "$(printf '%s\n' "$wanted" "${have:-0}" | sort -V | head -n 1)" != "$wanted" ]; then
  echo "setup: the addon needs Rust $wanted or later with cargo; here is ${have:-none}." >&2
  echo "       Install it with rustup (https://rustup.rs): rustup toolchain install stable" >&2
  exit 1
fi
