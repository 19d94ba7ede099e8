# How many queued messages a second reach a sink that is 20 ms away, and how many is that a round trip and connection?
# The figure is of Debian's sink, which offers PIPELINING; beside it one of our own that offers CHUNKING too.
#
# N_RTT            messages; RTT_CONNECTIONS  connections
: "${N_RTT:=$(size 200 2000)}" "${RTT_CONNECTIONS:=10}"
RTT_ONE_WAY_MILLIS=10

measure() {
  local rate
  export PF_CONCURRENCY=$RTT_CONNECTIONS
  rate=$(rtt_rate sink_start) || return 1
  put drain_rtt20 "$rate"
  put drain_rtt20.per_round_trip "$(per_round_trip "$rate")"
  rate=$(rtt_rate chunking_sink_start) || return 1
  put drain_rtt20.chunking "$rate"
  put drain_rtt20.chunking_per_round_trip "$(per_round_trip "$rate")"
}

per_round_trip() { calc "$1 * 2 * $RTT_ONE_WAY_MILLIS / 1000 / $RTT_CONNECTIONS" %.3f; }

rtt_rate() { # COMMAND that starts the sink
  local begin
  peer_setup && peer_start defer || return 1
  [ "$PEER" = postfix ] || export HIKYAKU_INJECT=stream
  inject_rate "$N_RTT" 1024 "$([ "$PEER" = postfix ] && echo 50 || echo 4)" > /dev/null || return 1
  peer_settled
  "$1" "$N_RTT" "$FAR_PORT" >&2 && proxy_start "$RTT_ONE_WAY_MILLIS" >&2 || return 1
  begin=$(now)
  peer_release
  sink_wait || return 1
  calc "$N_RTT / ($(now) - $begin)"
  proxy_stop
  peer_stop
}
