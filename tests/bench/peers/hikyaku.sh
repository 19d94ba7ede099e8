# Hikyaku as a peer: one daemon with one account that has no quota and relays to the sink. Also serves a harness whose
# peers define these functions; it takes no SMTP, so it brings an injector of its own.
#
# HIKYAKU_BIN          folder of hikyakud, hikyaku and bench-load: this checkout's release build by default
# HIKYAKU_CONNECTIONS  connections of the account; PF_CONCURRENCY when that is set, else 20
# HIKYAKU_CACHE_BYTES  memory for the store's cache; the daemon's default when empty
# HIKYAKU_LOG          level of its log; the daemon's default when empty
# HIKYAKU_INJECT       unary (SESSIONS callers) or stream (SESSIONS streams)
: "${HIKYAKU_CACHE_BYTES:=}" "${HIKYAKU_LOG:=}" "${HIKYAKU_INJECT:=unary}" "${TIMEOUT:=300}"
: "${WORKDIR:?}" "${SINK_PORT:=2626}"
HK_SELF=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
: "${HIKYAKU_BIN:=${CARGO_TARGET_DIR:-$HK_SELF/../../../target}/release}"
HK_DIR=$WORKDIR/hikyaku
HK_ACCOUNT=bench
HK_TICK=0.005 # seconds between two looks

hk() { "$HIKYAKU_BIN/hikyaku" --endpoint "unix:$HK_DIR/socket" "$@" 9>&-; }

hk_until() { # COMMAND...: repeats it until it succeeds, at most TIMEOUT seconds
  local end=$((SECONDS + TIMEOUT))
  until "$@" > "$HK_DIR/last" 2>&1; do
    [ "$SECONDS" -lt "$end" ] || { cat "$HK_DIR/last" >&2; return 1; }
    sleep "$HK_TICK"
  done
}

hk_option() { [ -z "$2" ] || echo "$1 = $2"; }

peer_setup() {
  peer_stop
  rm -rf "$HK_DIR"
  mkdir -p "$HK_DIR"
  cat > "$HK_DIR/config.toml" << C
[store]
path = "$HK_DIR/store"
open_jobs_per_account_max = 100000000
intake_free_bytes_min = 67108864
work_free_bytes_min = 33554432
ballast_bytes = 0
$(hk_option cache_bytes "$HIKYAKU_CACHE_BYTES")
[seal]
key_file = "$HK_DIR/seal.key"
[listen]
unix = { path = "$HK_DIR/socket", mode = "0600" }
[log]
format = "json"
$(hk_option filter "${HIKYAKU_LOG:+\"$HIKYAKU_LOG\"}")
C
}

hk_serving() {
  [ -S "$HK_DIR/socket" ] && [ -n "$(peer_pids)" ] && hk account list
}

# hold and defer: the account is paused, so jobs are stored and wait.
peer_start() { # hold|defer|deliver
  rm -f "$HK_DIR/socket"
  "$HIKYAKU_BIN/hikyakud" serve --config "$HK_DIR/config.toml" >> "$HK_DIR/log" 2>&1 < /dev/null 9>&- &
  echo $! > "$HK_DIR/pid"
  disown $!
  hk_until hk_serving || return 1
  if [ ! -e "$HK_DIR/account" ]; then
    hk account create "$HK_ACCOUNT" --from sender@example.jp --host 127.0.0.1 --port "$SINK_PORT" --encryption none \
      --connections "${HIKYAKU_CONNECTIONS:-${PF_CONCURRENCY:-20}}" --messages-per-connection 100000 > "$HK_DIR/account" || return 1
  fi
  case $1 in
    deliver) hk account resume "$HK_ACCOUNT" ;;
    *) hk account pause "$HK_ACCOUNT" ;;
  esac > "$HK_DIR/last"
}

peer_release() { hk account resume "$HK_ACCOUNT" > "$HK_DIR/last"; }
# Nothing waits for a queue runner here.
peer_flush() { :; }

peer_pids() {
  local pid
  pid=$(cat "$HK_DIR/pid" 2> /dev/null) || return 0
  [ ! -d "/proc/$pid" ] || [ "$(cat "/proc/$pid/comm" 2> /dev/null)" != hikyakud ] || echo "$pid"
}

hk_end() { # SIGNAL
  local pid
  pid=$(peer_pids)
  [ -n "$pid" ] || return 0
  kill "-$1" "$pid"
  while [ -n "$(peer_pids)" ]; do sleep 0.02; done
  return 0
}

peer_stop() { hk_end TERM; }
peer_kill() { hk_end KILL; }
peer_dir() { echo "$HK_DIR/store"; }
peer_count() { hk --json account get "$HK_ACCOUNT" | sed -n 's/.*"open_jobs":"\{0,1\}\([0-9]*\).*/\1/p'; }
# An answered job is at rest.
peer_settled() { :; }

peer_inject() { # N SIZE SESSIONS
  case $HIKYAKU_INJECT in
    stream) set -- stream --count "$1" --size "$2" --streams "$3" ;;
    *) set -- unary --count "$1" --size "$2" --callers "$3" ;;
  esac
  "$HIKYAKU_BIN/bench-load" "$@" --endpoint "unix:$HK_DIR/socket" --account "$HK_ACCOUNT" 9>&-
}

# Submits COUNT messages of SIZE bytes, RATE a second, and takes them in itself at SINK_PORT; prints p50 and p99 in
# milliseconds of accept_ms, ack_to_delivery_ms and total_ms, as a harness expects of a peer that takes no SMTP.
peer_latency() { # RATE COUNT SIZE
  "$HIKYAKU_BIN/bench-load" latency --endpoint "unix:$HK_DIR/socket" --account "$HK_ACCOUNT" --sink "$SINK_PORT" \
    --rate "$1" --count "$2" --size "$3" 9>&-
}
