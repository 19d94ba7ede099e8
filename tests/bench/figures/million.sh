# What does a message cost that waits with a million others, how long does a recovery take then, and how much slower than
# with a short queue are intake and delivery?
#
# N_LARGE, N_SMALL   lengths of the queue
# N_PROBE            messages by which intake and delivery are measured
# N_LARGE_POSTFIX    length of Postfix's queue: it takes half an hour to fill it with a million
: "${N_LARGE:=$(size 4000 1000000)}" "${N_SMALL:=$(size 1000 10000)}" "${N_PROBE:=$(size 500 10000)}"
: "${N_LARGE_POSTFIX:=$(size 200 20000)}" "${CONNECTIONS:=20}"

. "$HERE/figures/recovery.sh"

measure() {
  local memory disk
  export PF_CONCURRENCY=$CONNECTIONS
  peer_setup && peer_start defer || return 1
  memory=$(memory_bytes) disk=$(disk_bytes)
  if [ "$PEER" = postfix ]; then
    inject_rate "$N_LARGE_POSTFIX" 1024 50 > /dev/null || return 1
    peer_settled
    costs "$memory" "$disk" "$N_LARGE_POSTFIX"
    put recovery_1m -
    put growth -
    return
  fi
  export HIKYAKU_INJECT=stream
  inject_rate "$N_SMALL" 1024 4 > /dev/null || return 1
  probe small || return 1
  inject_rate $((N_LARGE - N_SMALL)) 1024 4 > /dev/null || return 1
  costs "$memory" "$disk" "$N_LARGE"
  probe large || return 1
  growth
  put recovery_1m "$(recovery_seconds 1)"
}

costs() { # MEMORY DISK of the empty peer, COUNT
  put memory_per_job "$(calc "($(memory_bytes) - $1) / $3" %.1f)"
  put disk_per_job "$(calc "($(disk_bytes) - $2) / $3" %.1f)"
}

# Measures intake, then delivery of as many, so that the queue keeps its length.
probe() { # small|large
  local begin intake delivery
  intake=$(inject_rate "$N_PROBE" 1024 4) || return 1
  sink_start "$N_PROBE" || return 1
  begin=$(now)
  peer_release
  sink_wait || return 1
  delivery=$(calc "$N_PROBE / ($(now) - $begin)")
  hk account pause "$HK_ACCOUNT" > /dev/null
  put "growth.intake_$1" "$intake"
  put "growth.delivery_$1" "$delivery"
  printf -v "intake_$1" %s "$intake"
  printf -v "delivery_$1" %s "$delivery"
}

# Which of the two suffers more.
growth() {
  local share
  share=$(calc "$intake_large / $intake_small < $delivery_large / $delivery_small ? \
    $intake_large / $intake_small : $delivery_large / $delivery_small" %.3f)
  put growth "$(calc "$delivery_large")"
  put growth.ratio "$share"
}
