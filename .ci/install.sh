#!/usr/bin/env bash
# What the tests, benches and fuzz targets need from Debian, PyPI and crates.io: only what is missing, and
# a registry may fail twice. `.ci/install.sh packages | clients FOLDER | metrics FOLDER | cargo_fuzz | fetch`
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# nginx, haproxy, wrk, openssl: benches/side_by_side. g++: libFuzzer. python3-venv, nodejs, npm, curl: clients.
# postgresql, util-linux (setpriv): the store's tests.
readonly DEBIAN=(nginx-light haproxy wrk openssl g++ make python3 python3-venv procps git ca-certificates postgresql
  util-linux nodejs npm curl)

persist() {
  local attempt
  for attempt in 1 2 3; do
    if "$@"; then return 0; fi
    printf 'attempt %d failed: %s\n' "$attempt" "$*" >&2
    sleep $((attempt * 5))
  done
  return 1
}

packages() {
  local missing=() name
  for name in "${DEBIAN[@]}"; do
    # Any flavour of nginx will do.
    if [[ $name == nginx-light ]] && command -v nginx >/dev/null; then continue; fi
    # Node's own packages bring npm along.
    if [[ $name == npm ]] && command -v npm >/dev/null; then continue; fi
    if ! dpkg-query -W -f '${Status}' "$name" 2>/dev/null | grep -q 'ok installed'; then missing+=("$name"); fi
  done
  if ((!${#missing[@]})); then return 0; fi
  persist apt-get update -q
  persist apt-get install -y -q --no-install-recommends "${missing[@]}"
}

# Who speaks to the proxy in tests/it/clients.rs and tests/it/client_matrix.rs, which name the same versions.
# boto3 as of 1.43 sends bearer tokens over http; since 1.44 it does not. The AWS SDK for JavaScript speaks
# HTTP/2 from 3.806 on.
clients() {
  venv "$1/boto3-1.43.127" boto3 'boto3==1.43.127'
  venv "$1/boto3-1.44.8" boto3 'boto3==1.44.8'
  venv "$1/awscli-1.46.3" awscli 'awscli==1.46.3'
  venv "$1/anthropic-2.14.0" anthropic 'anthropic[bedrock]==2.14.0'
  venv "$1/langchain-aws-1.9.1" langchain_aws 'langchain-aws==1.9.1'
  local version sdk=@aws-sdk/client-bedrock
  for version in 3.1164.0 3.787.0; do
    node_modules "$1/aws-sdk-js-$version" "$sdk-runtime@$version" "$sdk-agent-runtime@$version" "$sdk@$version"
  done
  node_modules "$1/anthropic-js-1.1.3" '@anthropic-ai/bedrock-sdk@1.1.3'
}

# Reads what /metrics writes, by Prometheus's own rules.
metrics() { venv "$1/metrics" prometheus_client 'prometheus-client>=0.20'; }

venv() {
  local folder=$1 module=$2 requirement=$3
  if "$folder/bin/python" -c "import $module" 2>/dev/null; then return 0; fi
  rm -rf "$folder"
  python3 -m venv "$folder"
  persist "$folder/bin/python" -m pip install --quiet --disable-pip-version-check "$requirement"
  "$folder/bin/python" -m pip --disable-pip-version-check freeze
}

node_modules() {
  local folder=$1
  shift
  if [[ -d $folder/node_modules ]]; then return 0; fi
  rm -rf "$folder.part"
  mkdir -p "$folder.part"
  persist npm install --prefix "$folder.part" --no-audit --no-fund --ignore-scripts --loglevel=error "$@"
  mv "$folder.part" "$folder"
}

cargo_fuzz() {
  if command -v cargo-fuzz >/dev/null; then return 0; fi
  persist cargo install cargo-fuzz --locked --quiet
}

fetch() {
  persist cargo fetch --locked --quiet
  persist cargo fetch --locked --quiet --manifest-path fuzz/Cargo.toml
}

"$@"
