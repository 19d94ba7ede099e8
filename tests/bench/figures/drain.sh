# How many queued messages reach Debian's sink a second, once they may go?
#
# N_DRAIN      messages; CONNECTIONS  connections to the sink
: "${N_DRAIN:=$(size 400 20000)}" "${CONNECTIONS:=20}"

measure() {
  local begin cpu rate limit
  export PF_CONCURRENCY=$CONNECTIONS
  peer_setup && peer_start defer || return 1
  [ "$PEER" = postfix ] || export HIKYAKU_INJECT=stream
  inject_rate "$N_DRAIN" 1024 "$([ "$PEER" = postfix ] && echo 50 || echo 4)" > /dev/null || return 1
  peer_settled
  sink_start "$N_DRAIN" || return 1
  cpu=$(cpu_micros) begin=$(now)
  peer_release
  sink_wait || return 1
  rate=$(calc "$N_DRAIN / ($(now) - $begin)")
  put drain "$rate"
  [ "$PEER" = hikyaku ] || return 0
  put drain.cpu_us "$((($(cpu_micros) - cpu) / N_DRAIN))"
  peer_stop
  sink_start 0 || return 1
  limit=$(load ceiling --port "$SINK_PORT" --connections "$CONNECTIONS" --count "$((N_DRAIN * 2))" | told rate)
  put drain.limit_of_sink "$limit"
  put drain.share_of_limit "$(calc "$rate / $limit" %.3f)"
}
