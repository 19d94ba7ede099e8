#!/usr/bin/env bash
# Measures Postfix and Hikyaku in turns on this machine: tests/bench/compare.sh [FIGURE…]
#
# Prints a line a figure, `NAME hikyaku=… postfix=… ratio=… unit=… …`: medians of RUNS runs, and Hikyaku's divided by
# Postfix's, so rates shall be above 1, and times and sizes below. After these come the spread of each and details, as they
# are described at the head of each file in figures/. `-` stands where Postfix has no counterpart, `unavailable` for what
# this build cannot do, `failed` for what went wrong (the exit status is 1 then). Progress goes to stderr.
#
#   accept_unary accept_stream accept_merge             messages (recipients) accepted durably a second
#   drain drain_rtt20 e2e                               messages delivered a second
#   latency_p50 latency_p99                             milliseconds from the submission to the server
#   memory_per_job disk_per_job                         bytes a queued message
#   memory_per_merge_recipient disk_per_merge_recipient bytes a queued recipient
#   recovery_100k recovery_1m                           seconds from the start after SIGKILL to the first delivery
#   growth                                              rates with a million queued, as a share of those with 10,000
#
# RUNS         runs of each peer, A B A B …; 3
# HEAVY_RUNS   the same for the figures that fill large queues (memory, disk, recovery, growth, merge); 1
# QUICK        1: tiny numbers, once, to see that everything works
# NICE         niceness of everything that is measured; negative where other work runs beside
# WORKDIR      a folder on the disk to be measured; a temporary one, removed at the end
# HIKYAKU_BIN  folder with hikyakud, hikyaku and bench-load; built with `cargo build --release` when not set
# Numbers of messages and the like: at the head of each file in figures/. Ports: ground.sh.
#
# Needs root, because Postfix does; Debian's postfix, which is installed by apt-get when absent (77 when it cannot be had);
# bash, awk, coreutils, procps, a Rust toolchain. Ends every process that it has started.
set -u
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
ALL=(accept_unary accept_stream accept_merge drain drain_rtt20 e2e latency_p50 latency_p99 memory_per_job
  memory_per_merge_recipient disk_per_job disk_per_merge_recipient recovery_100k recovery_1m growth)
export QUICK=${QUICK:-}
: "${RUNS:=$([ -n "$QUICK" ] && echo 1 || echo 3)}" "${HEAVY_RUNS:=1}"

note() { echo "$*" >&2; }

group_of() { # FIGURE: the file that measures it
  case $1 in
    accept_unary | accept_stream | drain | drain_rtt20 | e2e | recovery_100k) echo "$1" ;;
    latency_*) echo latency ;;
    accept_merge | *_per_merge_recipient) echo merge ;;
    memory_per_job | disk_per_job | recovery_1m | growth) echo million ;;
    *) return 1 ;;
  esac
}

runs_of() { # GROUP
  case $1 in
    merge | million | recovery_100k) echo "$HEAVY_RUNS" ;;
    *) echo "$RUNS" ;;
  esac
}

unit_of() { # FIGURE
  case $1 in
    accept_merge) echo recipients_per_s ;;
    latency_*) echo ms ;;
    memory_* | disk_*) echo bytes ;;
    recovery_*) echo s ;;
    *) echo messages_per_s ;;
  esac
}

find_postfix() {
  [ "$(id -u)" = 0 ] || { note "SKIP: Postfix changes users: this needs root"; exit 77; }
  local program
  if ! command -v postfix > /dev/null; then
    note "installing postfix"
    # Without this the package would start a mail server of the whole host.
    local policy=/usr/sbin/policy-rc.d made=''
    [ -e "$policy" ] || { printf '#!/bin/sh\nexit 101\n' > "$policy" && chmod 755 "$policy" && made=1; }
    DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends postfix >&2 ||
      { apt-get update >&2 && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends postfix >&2; }
    [ -z "$made" ] || rm -f "$policy"
  fi
  for program in postfix postconf postqueue smtp-source smtp-sink; do
    command -v "$program" > /dev/null || { note "SKIP: $program is not there and cannot be installed"; exit 77; }
  done
}

build() {
  [ -z "${HIKYAKU_BIN:-}" ] || return 0
  note "building"
  (cd "$HERE/../.." && cargo build --release --locked --bin hikyakud --bin hikyaku --bin bench-load >&2) || exit 1
  export HIKYAKU_BIN=${CARGO_TARGET_DIR:-$HERE/../../target}/release
}

CHILD=''
run_group() { # GROUP: each peer in turn, its lines into a file
  local group=$1 run peer runs out
  runs=$(runs_of "$group")
  for run in $(seq "$runs"); do
    for peer in hikyaku postfix; do
      out=$WORKDIR/$group.$peer
      note "$(date +%T) $group: $peer, run $run of $runs"
      "$HERE/measure.sh" "$peer" "$group" > "$out.now" < /dev/null &
      CHILD=$!
      wait "$CHILD" || { note "$group: $peer failed"; echo "failed 1" >> "$out"; }
      CHILD=''
      sed 's/^/  /' "$out.now" >&2
      cat "$out.now" >> "$out"
    done
  done
}

# The median of each name in a file of `NAME VALUE` lines, as `NAME MEDIAN LEAST MOST`; words instead of numbers are kept.
medians() { # FILE
  sort -k1,1 -k2,2g "$1" | awk '
    function flush(  middle) {
      if (count == 0) return
      middle = count % 2 ? values[(count + 1) / 2] : (values[count / 2] + values[count / 2 + 1]) / 2
      print name, middle, values[1], values[count]
    }
    $1 != name { flush(); name = $1; count = 0 }
    { values[++count] = $2 }
    END { flush() }'
}

line_of() { # FIGURE
  local group
  group=$(group_of "$1")
  awk -v figure="$1" -v unit="$(unit_of "$1")" '
    FNR == 1 { file++ }
    { peer = file == 1 ? "hikyaku" : "postfix" }
    $1 == figure { value[peer] = $2; spread[peer] = $3 ".." $4 }
    $1 == figure ".ratio" { own = $2; next }
    index($1, figure ".") == 1 { details = details " " peer "_" substr($1, length(figure) + 2) "=" $2 }
    function number(text) { return text ~ /^-?[0-9.]+$/ }
    END {
      hikyaku = "hikyaku" in value ? value["hikyaku"] : "failed"
      postfix = "postfix" in value ? value["postfix"] : "failed"
      ratio = own != "" ? own : "-"
      if (own == "" && number(hikyaku) && number(postfix) && postfix + 0 != 0) ratio = sprintf("%.3f", hikyaku / postfix)
      line = figure " hikyaku=" hikyaku " postfix=" postfix " ratio=" ratio " unit=" unit
      if (number(hikyaku)) line = line " hikyaku_spread=" spread["hikyaku"]
      if (number(postfix)) line = line " postfix_spread=" spread["postfix"]
      print line details
    }' "$WORKDIR/$group.hikyaku.medians" "$WORKDIR/$group.postfix.medians"
}

finish() {
  if [ -n "$CHILD" ]; then
    kill "$CHILD" 2> /dev/null
    # Bash heeds a signal only when its own command has ended.
    pkill -P "$CHILD" 2> /dev/null
    wait "$CHILD" 2> /dev/null
  fi
  # A process that is just ending may still write.
  [ -z "$OWN_WORKDIR" ] || rm -rf "$OWN_WORKDIR" || { sleep 1 && rm -rf "$OWN_WORKDIR"; }
}

main() {
  local figures=("${@:-${ALL[@]}}") figure group groups='' status=0
  [ $# -gt 0 ] || figures=("${ALL[@]}")
  for figure in "${figures[@]}"; do
    group=$(group_of "$figure") || { note "$figure is no figure; there are: ${ALL[*]}"; exit 2; }
    case " $groups " in *" $group "*) ;; *) groups="$groups $group" ;; esac
  done
  find_postfix
  build
  OWN_WORKDIR=''
  [ -n "${WORKDIR:-}" ] || OWN_WORKDIR=$(mktemp -d "${TMPDIR:-/tmp}/hikyaku-bench.XXXXXX")
  export WORKDIR=${WORKDIR:-$OWN_WORKDIR}
  [ -z "${NICE:-}" ] || renice -n "$NICE" -p $$ > /dev/null
  trap finish EXIT
  trap 'exit 130' INT TERM
  mkdir -p "$WORKDIR" && chmod 755 "$WORKDIR"
  for group in $groups; do
    rm -f "$WORKDIR/$group".{hikyaku,postfix}*
    run_group "$group"
    for peer in hikyaku postfix; do
      medians "$WORKDIR/$group.$peer" > "$WORKDIR/$group.$peer.medians"
      grep -q '^failed' "$WORKDIR/$group.$peer" && status=1
    done
    for figure in "${figures[@]}"; do
      [ "$(group_of "$figure")" != "$group" ] || line_of "$figure"
    done
  done
  exit "$status"
}

main "$@"
