# How is a recovery timed? Sourced by the figures that do so; the queue is full and its peer runs.

recovery_seconds() { # TIMES: prints the middle one
  local begin seconds=()
  for _ in $(seq "$1"); do
    peer_kill
    sink_start 1 || return 1
    begin=$(now)
    peer_start deliver && peer_flush || return 1
    sink_wait || return 1
    seconds+=("$(calc "$(now) - $begin" %.3f)")
  done
  peer_kill
  printf '%s\n' "${seconds[@]}" | sort -g | sed -n "$((($1 + 1) / 2))p"
}
