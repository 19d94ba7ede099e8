# How many messages are accepted durably a second through streams? Beside it Postfix's best with single sessions.
#
# STREAMS   streams of Hikyaku at once, each with 128 submissions under way
# SESSIONS  sessions of Postfix at once: the best counts
# N_ACCEPT  messages a measurement of Hikyaku; Postfix gets a quarter
: "${STREAMS:=4}" "${SESSIONS:=$(size "10" "1 10 50")}" "${N_ACCEPT:=$(size 2000 40000)}"

measure() {
  local best=0 rate begin_cpu session
  if [ "$PEER" = hikyaku ]; then
    peer_setup && peer_start hold || return 1
    export HIKYAKU_INJECT=stream
    inject_rate 500 1024 "$STREAMS" > /dev/null
    begin_cpu=$(cpu_micros)
    put accept_stream "$(inject_rate "$N_ACCEPT" 1024 "$STREAMS")" || return 1
    put accept_stream.cpu_us "$((($(cpu_micros) - begin_cpu) / N_ACCEPT))"
    return
  fi
  for session in $SESSIONS; do
    peer_setup && peer_start hold || return 1
    rate=$(inject_rate $((N_ACCEPT / 8)) 1024 "$session") || return 1
    [ "$rate" -le "$best" ] || best=$rate
    peer_stop
  done
  put accept_stream "$best"
}
