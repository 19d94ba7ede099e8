# How many milliseconds pass from the beginning of a submission until the message is whole at its server, at a low rate?
# Beside it stands what of that passed before the acknowledgement, and what after it.
#
# N_LATENCY  messages; LATENCY_RATE  messages a second
: "${N_LATENCY:=$(size 40 500)}" "${LATENCY_RATE:=20}"

measure() {
  local out=$WORKDIR/latency.out
  peer_setup && peer_start deliver || return 1
  peer_latency "$LATENCY_RATE" "$N_LATENCY" 1024 > "$out" || { cat "$out" >&2; return 1; }
  note "$(head -1 "$out")"
  awk '
    $1 == "accept_ms:" { a50 = $3; a99 = $5 }
    $1 == "ack_to_delivery_ms:" { d50 = $3; d99 = $5 }
    $1 == "total_ms:" { t50 = $3; t99 = $5 }
    END {
      print "latency_p50", t50; print "latency_p50.accept", a50; print "latency_p50.after_accept", d50
      print "latency_p99", t99; print "latency_p99.accept", a99; print "latency_p99.after_accept", d99
    }' "$out"
}
