# How many messages are accepted durably a second while none is delivered, one call a message?
#
# CALLERS   callers of Hikyaku at once; SESSIONS  sessions of Postfix at once: the best counts
# SIZES     bytes of text; the first one is the figure, the others are told beside it
# N_ACCEPT  messages a measurement of Hikyaku; Postfix gets a quarter
: "${CALLERS:=$(size "16" "1 16 64 256")}" "${SESSIONS:=$(size "10" "1 10 50")}"
: "${SIZES:=$(size 1024 "1024 10240 102400")}" "${N_ACCEPT:=$(size 400 20000)}"

measure() {
  local crowd sizes first best=0 best_crowd=1 rate count
  read -ra sizes <<< "$SIZES"
  first=${sizes[0]}
  case $PEER in
    hikyaku) crowds=$CALLERS count=$N_ACCEPT ;;
    postfix) crowds=$SESSIONS count=$((N_ACCEPT / 4)) ;;
  esac
  for crowd in $crowds; do
    rate=$(accept_rate "$([ "$crowd" = 1 ] && echo $((count / 4)) || echo "$count")" "$first" "$crowd") || return 1
    put "accept_unary.at_$crowd" "$rate"
    if [ "$rate" -gt "$best" ]; then best=$rate best_crowd=$crowd; fi
  done
  put accept_unary "$best"
  for other in "${sizes[@]:1}"; do
    rate=$(accept_rate $((count * 1024 / other + 500)) "$other" "$best_crowd") || return 1
    put "accept_unary.of_${other}_bytes" "$rate"
  done
}

accept_rate() { # COUNT SIZE CROWD
  peer_setup && peer_start hold || return 1
  inject_rate $(($3 * 2)) "$2" "$3" > /dev/null
  inject_rate "$@" || return 1
  [ "$(peer_count)" -ge "$1" ] || { note "not all of $1 messages are in the queue"; return 1; }
  peer_stop
}
