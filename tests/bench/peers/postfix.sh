# Postfix as a peer: a private instance with its own configuration, queue and log, on loopback. Needs root, because Postfix
# changes users, and Debian's package; it need not run as a service.
#
# PF_CONCURRENCY  most connections to the sink at once
# PF_PROCESSES    most processes of a kind
: "${WORKDIR:?}" "${PEER_PORT:=21525}" "${SINK_PORT:=21626}" "${PF_CONCURRENCY:=20}" "${PF_PROCESSES:=150}" "${TIMEOUT:=600}"
PF_DIR=$WORKDIR/postfix

pf_main() {
  cat << C
compatibility_level = 3.6
config_directory = $PF_DIR/etc
meta_directory = /etc/postfix
queue_directory = $PF_DIR/queue
data_directory = $PF_DIR/data
maillog_file = $PF_DIR/log
maillog_file_prefixes = $PF_DIR
myhostname = bench.localhost
mydestination =
alias_maps =
local_recipient_maps =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
smtpd_relay_restrictions = permit_mynetworks, reject
smtpd_peername_lookup = no
smtpd_client_connection_count_limit = 0
disable_dns_lookups = yes
smtp_host_lookup = native
relayhost = [127.0.0.1]:$SINK_PORT
default_process_limit = $PF_PROCESSES
default_destination_concurrency_limit = $PF_CONCURRENCY
initial_destination_concurrency = $PF_CONCURRENCY
C
}

# The services that relaying needs, none of them in a changed root.
pf_master() {
  local name
  echo "127.0.0.1:$PEER_PORT inet n - n - - smtpd"
  echo "pickup unix n - n 60 1 pickup"
  echo "cleanup unix n - n - 0 cleanup"
  echo "qmgr unix n - n 300 1 qmgr"
  echo "rewrite unix - - n - - trivial-rewrite"
  for name in bounce defer trace; do echo "$name unix - - n - 0 bounce"; done
  for name in smtp relay; do echo "$name unix - - n - - smtp"; done
  for name in error retry; do echo "$name unix - - n - - error"; done
  echo "flush unix n - n 1000? 0 flush"
  echo "proxymap unix - - n - - proxymap"
  echo "showq unix n - n - - showq"
  echo "anvil unix - - n - 1 anvil"
  echo "scache unix - - n - 1 scache"
  echo "postlog unix-dgram n - n - 1 postlogd"
}

pf() { "$1" -c "$PF_DIR/etc" "${@:2}" >> "$WORKDIR/postfix.out" 2>&1; }
pf_set() { pf postconf -e "$@"; }

peer_setup() {
  peer_stop
  rm -rf "$PF_DIR"
  mkdir -p "$PF_DIR/etc" "$PF_DIR/queue" "$PF_DIR/data"
  chown postfix "$PF_DIR/data"
  pf_main > "$PF_DIR/etc/main.cf"
  pf_master > "$PF_DIR/etc/master.cf"
}

# hold files a message in the queue hold, where nothing looks; defer also pays the queue manager's look at each.
peer_start() { # hold|defer|deliver
  case $1 in
    hold) pf_set 'smtpd_client_restrictions = check_client_access static:HOLD' 'defer_transports =' ;;
    defer) pf_set 'smtpd_client_restrictions =' 'defer_transports = smtp' ;;
    deliver) pf_set 'smtpd_client_restrictions =' 'defer_transports =' ;;
  esac
  pf postfix start && port_opens "$PEER_PORT"
}

peer_release() {
  pf_set 'defer_transports ='
  pf postfix reload
  peer_flush
}

peer_flush() { pf postqueue -f; }

peer_pids() {
  local master
  [ -e "$PF_DIR/queue/pid/master.pid" ] || return 0
  master=$(tr -d " \n" < "$PF_DIR/queue/pid/master.pid")
  [ -n "$master" ] && [ -d "/proc/$master" ] || return 0
  echo "$master"
  pgrep -P "$master" || true
}

peer_stop() {
  [ -n "$(peer_pids)" ] || return 0
  pf postfix stop
  local end=$((SECONDS + 20))
  while [ -n "$(peer_pids)" ] && [ "$SECONDS" -lt "$end" ]; do sleep 0.05; done
  peer_kill
}

peer_kill() {
  local pid
  for pid in $(peer_pids); do kill -KILL "$pid" 2> /dev/null; done
  while [ -n "$(peer_pids)" ]; do sleep 0.02; done
}

pf_files() { # QUEUE…
  (cd "$PF_DIR/queue" && find "$@" -type f 2> /dev/null | wc -l)
}
peer_count() { pf_files incoming active deferred hold; }
peer_dir() { echo "$PF_DIR/queue"; }

# Until the queue manager has put aside all that came in.
peer_settled() {
  local end=$((SECONDS + TIMEOUT))
  while [ "$(pf_files incoming active)" != 0 ] && [ "$SECONDS" -lt "$end" ]; do sleep 0.2; done
}

peer_inject() { # N SIZE SESSIONS
  smtp-source -d -m "$1" -l "$2" -s "$3" -f sender@example.jp -t recipient@example.net "127.0.0.1:$PEER_PORT"
}

peer_latency() { # RATE COUNT SIZE
  load latency --smtp "$PEER_PORT" --sink "$SINK_PORT" --rate "$1" --count "$2" --size "$3"
}
