# How many seconds pass from the start after SIGKILL until the first message is delivered, with 100,000 in the queue?
#
# N_RECOVERY  messages in the queue; RESTARTS  how often it is killed and started, the middle one counts
: "${N_RECOVERY:=$(size 500 100000)}" "${RESTARTS:=$(size 1 3)}"

measure() {
  local seconds
  peer_setup && peer_start defer || return 1
  [ "$PEER" = postfix ] || export HIKYAKU_INJECT=stream
  inject_rate "$N_RECOVERY" 1024 "$([ "$PEER" = postfix ] && echo 50 || echo 4)" > /dev/null || return 1
  peer_settled
  seconds=$(recovery_seconds "$RESTARTS") || return 1
  put recovery_100k "$seconds"
}

. "$HERE/figures/recovery.sh"
