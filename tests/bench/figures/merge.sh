# How fast is a merge job taken, by recipient, and what does a waiting recipient cost? Postfix knows no merge jobs: beside
# it stands a message of its own for each recipient.
#
# N_MERGE  recipients of the job; N_MERGE_POSTFIX  messages of Postfix
: "${N_MERGE:=$(size 5000 1000000)}" "${N_MERGE_POSTFIX:=$(size 200 10000)}"

measure() {
  local count rate memory disk
  if [ "$PEER" = hikyaku ] && ! load merge --help > /dev/null 2>&1; then
    for figure in accept_merge memory_per_merge_recipient disk_per_merge_recipient; do put "$figure" unavailable; done
    return
  fi
  peer_setup && peer_start hold || return 1
  memory=$(memory_bytes) disk=$(disk_bytes)
  case $PEER in
    hikyaku)
      count=$N_MERGE
      rate=$(load merge --endpoint "unix:$HK_DIR/socket" --account "$HK_ACCOUNT" --count "$count" | told rate) || return 1
      ;;
    postfix)
      count=$N_MERGE_POSTFIX
      rate=$(inject_rate "$count" 1024 10) || return 1
      ;;
  esac
  put accept_merge "$rate"
  # What is at rest is asked for, not what the stream has just let go.
  sleep 3
  put memory_per_merge_recipient "$(calc "($(memory_bytes) - $memory) / $count" %.1f)"
  put disk_per_merge_recipient "$(calc "($(disk_bytes) - $disk) / $count" %.1f)"
}
