# How many messages a second are accepted and delivered at the same time, from the first call to the last at the sink?
#
# N_E2E  messages; E2E_CALLERS, E2E_SESSIONS  how many submit at once; CONNECTIONS  connections to the sink
: "${N_E2E:=$(size 400 8000)}" "${E2E_CALLERS:=64}" "${E2E_SESSIONS:=10}" "${CONNECTIONS:=20}"

measure() {
  local begin crowd
  export PF_CONCURRENCY=$CONNECTIONS
  peer_setup && peer_start deliver || return 1
  [ "$PEER" = postfix ] && crowd=$E2E_SESSIONS || crowd=$E2E_CALLERS
  sink_start "$N_E2E" || return 1
  begin=$(now)
  put e2e.accepted "$(inject_rate "$N_E2E" 1024 "$crowd")"
  sink_wait || return 1
  put e2e "$(calc "$N_E2E / ($(now) - $begin)")"
}
