#!/usr/bin/env bash
# What does a merge of a million rows cost, and what does a mistake in one of them leave behind? tests/bench/million.sh
#
# Prints `NAME VALUE` lines: first of a CSV of N rows that is good (rate of the submission, peak memory of daemon and
# client, disk, time to the first mail, rate of the drain), then of the same CSV with a mistake in row BAD_ROW, once for
# each of MISTAKES. The exit status is 1 when anything is not as it must be: the mistake must be told with its row, and the
# store must hold as many records as before, and no job.
#
# N              rows; 1,000,000, or 20,000 with QUICK=1
# BAD_ROW        the row with the mistake, from 1; 777,777 of a million
# MISTAKES       int (a filter refuses the value), line-break (the subject refuses it)
# TEXT_BYTES     text of each message besides the names; 1,024
# DRAIN_SECONDS  how long the drain is looked at; 5
# WORKDIR        a folder on the disk to be measured; a temporary one, removed at the end
# HIKYAKU_BIN    folder with hikyakud, hikyaku and bench-load; built with `cargo build --release` when not set
# NICE           niceness of everything that is measured
#
# Needs bash, awk, coreutils and a Rust toolchain. Ends every process that it has started.
set -u
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
: "${QUICK:=}"
: "${N:=$([ -n "$QUICK" ] && echo 20000 || echo 1000000)}" "${MISTAKES:=int line-break}" "${TEXT_BYTES:=1024}"
: "${BAD_ROW:=$((N * 777777 / 1000000))}" "${DRAIN_SECONDS:=5}"
# For ground.sh.
export PEER=hikyaku
OWN_WORKDIR=''
STATUS=0

prepare() {
  if [ -z "${HIKYAKU_BIN:-}" ]; then
    echo "building" >&2
    (cd "$HERE/../.." && cargo build --release --locked --bin hikyakud --bin hikyaku --bin bench-load >&2) || exit 1
    export HIKYAKU_BIN=${CARGO_TARGET_DIR:-$HERE/../../target}/release
  fi
  [ -n "${WORKDIR:-}" ] || OWN_WORKDIR=$(mktemp -d "${TMPDIR:-/tmp}/hikyaku-million.XXXXXX")
  export WORKDIR=${WORKDIR:-$OWN_WORKDIR}
  mkdir -p "$WORKDIR"
  [ -z "${NICE:-}" ] || renice -n "$NICE" -p $$ > /dev/null
}

finish() {
  [ -z "${MERGE_PID:-}" ] || kill "$MERGE_PID" 2> /dev/null
  sink_end
  peer_stop
  [ -z "$OWN_WORKDIR" ] || rm -rf "$OWN_WORKDIR" || { sleep 1 && rm -rf "$OWN_WORKDIR"; }
}

wrong() {
  echo "wrong: $*"
  STATUS=1
}

# Address, name and code of each; in row BAD the code that is given.
write_list() { # BAD CODE
  awk -v n="$N" -v bad="$1" -v code="$2" 'BEGIN {
    print "address,name,code"
    for (row = 1; row <= n; row++)
      printf "r%07d@example.net,Reader %d,%s\n", row, row, row == bad ? code : 100000 + row
  }' > "$WORKDIR/list.csv"
}

write_text() {
  {
    # shellcheck disable=SC2016
    printf 'Dear {{ name }},\n\n%s\n\n' "$1"
    head -c "$TEXT_BYTES" /dev/zero | tr '\0' 'x' | fold -w 70
    printf '\n'
  } > "$WORKDIR/text.txt"
}

# A sink that says when it has taken its first message.
sink_begin() {
  "$HIKYAKU_BIN/bench-load" sink --port "$SINK_PORT" --chunking --tell-first \
    > >(read -r _ && now > "$WORKDIR/first" && cat > /dev/null) 2> "$WORKDIR/sink.err" &
  SINK_PID=$!
  port_opens "$SINK_PORT"
}

sink_end() {
  sink_stop
  rm -f "$WORKDIR/first"
}

high_water() { awk '/^VmHWM:/ { print $2 * 1024 }' "/proc/$1/status" 2> /dev/null; }

# Runs the merge; MERGE_SECONDS, MERGE_END and MERGE_MEMORY tell of it, its answer is in answer and in complaint.
merge() { # ARGUMENTS
  local begin one status=0 runner
  rm -f "$WORKDIR/pid" "$WORKDIR/end"
  MERGE_MEMORY=0
  begin=$(now)
  {
    "$HIKYAKU_BIN/hikyaku" --endpoint "unix:$HK_DIR/socket" --json job merge --account "$HK_ACCOUNT" \
      --csv "$WORKDIR/list.csv" --text-file "$WORKDIR/text.txt" "$@" > "$WORKDIR/answer" 2> "$WORKDIR/complaint" &
    echo $! > "$WORKDIR/pid"
    wait $! || status=$?
    now > "$WORKDIR/end"
    exit "$status"
  } &
  runner=$!
  until [ -s "$WORKDIR/end" ]; do
    MERGE_PID=$(cat "$WORKDIR/pid" 2> /dev/null)
    one=$(high_water "${MERGE_PID:-none}")
    [ -z "$one" ] || MERGE_MEMORY=$one
    sleep 0.05
  done
  wait "$runner" || status=$?
  MERGE_PID='' MERGE_END=$(cat "$WORKDIR/end")
  MERGE_SECONDS=$(calc "$MERGE_END - $begin" %.3f)
  return "$status"
}

field() { sed -n "s/.*\"$1\":\"\{0,1\}\([^\",}]*\).*/\1/p" "${2:-$WORKDIR/answer}"; }
submitted() { hk --json job get "$1" | field submitted -; }

measure_good() {
  local job before begin after disk
  write_list 0 ''
  # shellcheck disable=SC2016
  write_text 'your code is {{ code }}.'
  peer_setup && sink_begin && peer_start deliver || return 1
  disk=$(disk_bytes)
  put memory_at_start "$(high_water "$(peer_pids)")"
  # shellcheck disable=SC2016
  merge --subject 'A letter for {{ name }}' || { cat "$WORKDIR/complaint"; return 1; }
  job=$(field job_id)
  put rows "$(field recipients)"
  put submit_seconds "$MERGE_SECONDS"
  put submit_rows_per_s "$(calc "$N / $MERGE_SECONDS")"
  put memory_peak_client "$MERGE_MEMORY"
  put memory_peak_daemon "$(high_water "$(peer_pids)")"
  put disk "$(($(disk_bytes) - disk))"
  put disk_per_row "$(calc "($(disk_bytes) - $disk) / $N" %.1f)"
  hk_until test -s "$WORKDIR/first" || return 1
  put first_mail_seconds "$(calc "$(cat "$WORKDIR/first") - $MERGE_END" %.3f)"
  before=$(submitted "$job") begin=$(now)
  sleep "$DRAIN_SECONDS"
  after=$(submitted "$job")
  put drain_messages "$((after - before))"
  put drain_messages_per_s "$(calc "($after - $before) / ($(now) - $begin)")"
  put memory_peak_daemon_in_drain "$(high_water "$(peer_pids)")"
  [ "$(field recipients)" = "$N" ] || wrong "the job has $(field recipients) of $N recipients"
  [ "$after" -gt 0 ] || wrong "nothing was sent"
  sink_end
  peer_stop
}

records() { hk --json store verify | field records -; }

measure_bad() { # MISTAKE
  local subject text code before after disk
  # shellcheck disable=SC2016
  case $1 in
    int) subject='A letter for {{ name }}' text='your code is {{ code|int + 1 }}.' code=broken ;;
    line-break) subject='Code {{ code }}' text='you are {{ name }}.' code=$'"a\nb"' ;;
    *) wrong "$1 is no mistake"; return ;;
  esac
  write_list "$BAD_ROW" "$code"
  write_text "$text"
  peer_setup && peer_start hold || return 1
  before=$(records) disk=$(disk_bytes)
  if merge --subject "$subject"; then
    wrong "$1: the merge was taken"
    return
  fi
  put "bad.$1.seconds" "$MERGE_SECONDS"
  put "bad.$1.memory_peak_client" "$MERGE_MEMORY"
  put "bad.$1.memory_peak_daemon" "$(high_water "$(peer_pids)")"
  put "bad.$1.said" "$(head -c 600 "$WORKDIR/complaint" | tr '\n' ' ')"
  grep -q "recipients\[$((BAD_ROW - 1))\]" "$WORKDIR/complaint" || wrong "$1: the place of the recipient is not told"
  grep -q "(line $((BAD_ROW + 1)) of " "$WORKDIR/complaint" || wrong "$1: the line is not told"
  after=$(records)
  put "bad.$1.records_left" "$((after - before))"
  put "bad.$1.disk_left" "$(($(disk_bytes) - disk))"
  [ "$after" = "$before" ] || wrong "$1: there were $before records, and now there are $after"
  [ -z "$(hk --json job list)" ] || wrong "$1: there is a job"
  [ "$(peer_count)" = 0 ] || wrong "$1: the account has $(peer_count) open jobs"
  peer_stop
}

prepare
. "$HERE/ground.sh"
. "$HERE/peers/hikyaku.sh"
trap finish EXIT
trap 'exit 130' INT TERM
measure_good || wrong "the good run failed"
for mistake in $MISTAKES; do
  measure_bad "$mistake" || wrong "$mistake: the run failed"
done
exit "$STATUS"
