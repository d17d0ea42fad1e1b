#!/usr/bin/env bash
# What the tests, benches and fuzz targets need from Debian, PyPI and crates.io: only what is missing, and
# a registry may fail twice. `.ci/install.sh packages | boto3 FOLDER | metrics FOLDER | cargo_fuzz | fetch`
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# nginx, haproxy, wrk, openssl: benches/side_by_side. g++: libFuzzer. python3-venv: boto3.
# postgresql, util-linux (setpriv): the store's tests.
readonly DEBIAN=(nginx-light haproxy wrk openssl g++ make python3 python3-venv procps git ca-certificates postgresql
  util-linux)

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
    if ! dpkg-query -W -f '${Status}' "$name" 2>/dev/null | grep -q 'ok installed'; then missing+=("$name"); fi
  done
  if ((!${#missing[@]})); then return 0; fi
  persist apt-get update -q
  persist apt-get install -y -q --no-install-recommends "${missing[@]}"
}

# boto3 as of 1.43 sends bearer tokens over http; since 1.44 it does not. Both are clients of ours.
boto3() {
  venv "$1/boto3-1.43" boto3 'boto3==1.43.*'
  venv "$1/boto3-current" boto3 'boto3>=1.44'
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

cargo_fuzz() {
  if command -v cargo-fuzz >/dev/null; then return 0; fi
  persist cargo install cargo-fuzz --locked --quiet
}

fetch() {
  persist cargo fetch --locked --quiet
  persist cargo fetch --locked --quiet --manifest-path fuzz/Cargo.toml
}

"$@"
