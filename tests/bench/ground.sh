# What all figures stand on: time, ports, sinks, sizes of processes and folders. Sourced by measure.sh.
#
# WORKDIR     where everything is kept, on the disk that is to be measured
# PEER_PORT   where Postfix listens; SINK_PORT where mail is relayed to; FAR_PORT the sink behind the slow network
# TIMEOUT     seconds that any one wait may last
: "${WORKDIR:?}" "${PEER_PORT:=21525}" "${SINK_PORT:=21626}" "${FAR_PORT:=21627}" "${TIMEOUT:=600}"
: "${QUICK:=}"

SINK_PID='' PROXY_PID=''

note() { echo "$*" >&2; }
now() { echo "$EPOCHREALTIME"; }
calc() { awk -v f="${2:-%.0f}" "BEGIN { printf f \"\n\", $1 }"; }
# What is told to compare.sh: a figure or one of its details, and its value.
put() { echo "$1 $2"; }
# Of two numbers, the one for a quick run or the one for a real run.
size() { if [ -n "$QUICK" ]; then echo "$1"; else echo "$2"; fi; }

load() { "$HIKYAKU_BIN/bench-load" "$@"; }
# The number that a command of bench-load gives a name.
told() { awk -v name="$1:" '$1 == name { print $2 }'; }

port_opens() { # PORT
  local end=$((SECONDS + TIMEOUT))
  until (: > "/dev/tcp/127.0.0.1/$1") 2> /dev/null; do
    [ "$SECONDS" -lt "$end" ] || { note "port $1 did not open in $TIMEOUT s"; return 1; }
    sleep 0.01
  done
}

# Debian's sink; it offers PIPELINING, but not CHUNKING. It ends after COUNT messages, or not at all for 0.
sink_start() { # COUNT [PORT]
  local stop=() port=${2:-$SINK_PORT}
  [ "$1" = 0 ] || stop=(-M "$1")
  timeout "$TIMEOUT" smtp-sink -u postfix "${stop[@]}" -m 1000 "127.0.0.1:$port" 1024 > "$WORKDIR/sink.out" 2>&1 &
  SINK_PID=$!
  port_opens "$port"
}

# A sink of our own, with CHUNKING.
chunking_sink_start() { # COUNT PORT
  timeout "$TIMEOUT" "$HIKYAKU_BIN/bench-load" sink --port "$2" --stop-after "$1" --chunking > "$WORKDIR/sink.out" 2>&1 &
  SINK_PID=$!
  port_opens "$2"
}

sink_wait() { # until the sink has all that it waits for
  local status=0
  wait "$SINK_PID" || status=$?
  SINK_PID=''
  [ "$status" = 0 ] || note "the sink ended with status $status: not all messages came in $TIMEOUT s"
  return "$status"
}

sink_stop() {
  [ -n "$SINK_PID" ] || return 0
  kill "$SINK_PID" 2> /dev/null
  wait "$SINK_PID" 2> /dev/null
  SINK_PID=''
}

proxy_start() { # MILLIS: a network that takes so long each way, from SINK_PORT to FAR_PORT
  "$HIKYAKU_BIN/bench-load" proxy --listen "$SINK_PORT" --to "$FAR_PORT" --millis "$1" &
  PROXY_PID=$!
  port_opens "$SINK_PORT"
}

proxy_stop() {
  [ -n "$PROXY_PID" ] || return 0
  kill "$PROXY_PID" 2> /dev/null
  wait "$PROXY_PID" 2> /dev/null
  PROXY_PID=''
}

# Resident memory of the peer's processes in bytes; shared pages count once.
memory_bytes() {
  local pid sum=0 one
  for pid in $(peer_pids); do
    one=$(awk '/^Pss:/ { print $2 }' "/proc/$pid/smaps_rollup" 2> /dev/null)
    sum=$((sum + ${one:-0}))
  done
  echo $((sum * 1024))
}

disk_bytes() { echo $(($(du -sk "$(peer_dir)" | cut -f1) * 1024)); }

# CPU time of the peer's processes, in microseconds.
cpu_micros() {
  local pid sum=0 one
  for pid in $(peer_pids); do
    one=$(sed 's/^.*) //' "/proc/$pid/stat" 2> /dev/null | awk '{ print $12 + $13 }')
    sum=$((sum + ${one:-0}))
  done
  echo $((sum * 1000000 / $(getconf CLK_TCK)))
}

# Injects and prints the rate. Postfix takes SMTP, from Debian's source; Hikyaku brings its own injector.
inject_rate() { # N SIZE SESSIONS
  local begin
  if [ "$PEER" = hikyaku ]; then
    peer_inject "$@" | told rate
    return "${PIPESTATUS[0]}"
  fi
  begin=$(now)
  peer_inject "$@" || return 1
  calc "$1 / ($(now) - $begin)"
}

ground_end() {
  sink_stop
  proxy_stop
  peer_stop
}
