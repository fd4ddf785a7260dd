#!/usr/bin/env bash
# A real Apache Kafka for tests and by hand: one node in KRaft mode on free loopback ports, its data in a temporary folder.
#
#   deploy/kafka/kafka.sh start            start one; prints KAFKA_BOOTSTRAP=... and KAFKA_DIR=...
#   deploy/kafka/kafka.sh env              print the same lines again for the broker in $KAFKA_DIR
#   deploy/kafka/kafka.sh restart [SIGNAL] end the broker in $KAFKA_DIR by SIGNAL (TERM), and start it again on its data
#   deploy/kafka/kafka.sh stop             stop the broker in $KAFKA_DIR and delete its folder
#   deploy/kafka/kafka.sh with COMMAND...  start one, run COMMAND with KAFKA_BOOTSTRAP set, stop it
#
# By hand: eval "$(deploy/kafka/kafka.sh start | sed 's/^/export /')"
# It needs a JDK (17 or later) and Maven. Several may run at once: each has its own folder and ports. Lines in $KAFKA_PROPERTIES are
# settings of the broker that win over those below.
set -euo pipefail

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
attempts=5        # ports drawn at random may be taken meanwhile: then draw again
ready_seconds=90  # a first start on a loaded machine takes most of a minute
stop_seconds=20   # then it is killed: its data are thrown away anyway

say() { echo "kafka.sh: $*" >&2; }
die() { say "$*"; exit 1; }

# A port nobody listens on, below the range the system hands out by itself.
free_port() {
  local port
  while :; do
    port=$((20000 + RANDOM % 12000))
    if ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then echo "$port"; return; fi
  done
}

classpath() {
  local file="$1/classpath"
  mvn --quiet --batch-mode --file "$here/pom.xml" \
    org.apache.maven.plugins:maven-dependency-plugin:3.6.1:build-classpath \
    -Dmdep.includeScope=runtime -Dmdep.outputFile="$file" >&2 || die "Maven could not fetch Apache Kafka"
  cat "$file"
}

# The settings of ../compose.yaml, with ports and folder. Clients that come by the listener PROXIED are told to come again by a port on
# which a test may put a proxy between them and the broker; the two addresses are in the files `proxied` and `proxy`.
write_settings() {
  local dir="$1" port="$2" controller_port="$3" proxied_port="$4" proxy_port="$5"
  echo "127.0.0.1:$proxied_port" >"$dir/proxied"
  echo "127.0.0.1:$proxy_port" >"$dir/proxy"
  cat >"$dir/server.properties" <<END
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:$controller_port
listeners=PLAINTEXT://127.0.0.1:$port,PROXIED://127.0.0.1:$proxied_port,CONTROLLER://127.0.0.1:$controller_port
advertised.listeners=PLAINTEXT://127.0.0.1:$port,PROXIED://127.0.0.1:$proxy_port
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,PROXIED:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=PLAINTEXT
controller.listener.names=CONTROLLER
log.dirs=$dir/data
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
log.retention.ms=-1
# What expires, or is compacted away, goes at once: a test waits for it.
log.initial.task.delay.ms=1000
log.retention.check.interval.ms=1000
log.cleaner.backoff.ms=500
${KAFKA_PROPERTIES:-}
END
}

# An ApiVersions request (key 18, version 0, correlation id 1, no client id): a broker answers once it serves requests.
answers() {
  local port="$1"
  (
    exec 3<>"/dev/tcp/127.0.0.1/$port"
    printf '\0\0\0\012\0\022\0\0\0\0\0\001\377\377' >&3
    [ "$(timeout 2 head -c 4 <&3 | wc -c)" -eq 4 ]
  ) 2>/dev/null
}

is_running() { kill -0 "$1" 2>/dev/null; }

# Waits until the broker answers; fails when it has died or time is up.
wait_ready() {
  local pid="$1" port="$2" deadline=$((SECONDS + ready_seconds))
  until answers "$port"; do
    is_running "$pid" || return 1
    [ "$SECONDS" -lt "$deadline" ] || return 1
    sleep 0.2
  done
}

# Starts the broker of a folder; sets `pid`.
launch() {
  local dir="$1"
  # Its own session: a Ctrl-C meant for a test must not stop the broker before the test has cleaned up.
  setsid java -Xms256m -Xmx768m -XX:+UseG1GC -Dlog4j2.level=WARN -cp "$(cat "$dir/classpath")" \
    kafka.Kafka "$dir/server.properties" >>"$dir/server.log" 2>&1 </dev/null &
  pid=$!
  echo "$pid" >"$dir/pid"
}

# Ends the broker of a folder by a signal, and by force if that takes too long.
finish() {
  local dir="$1" signal="$2" pid deadline=$((SECONDS + stop_seconds))
  pid="$(cat "$dir/pid")"
  kill -s "$signal" "$pid" 2>/dev/null || true
  while is_running "$pid" && [ "$SECONDS" -lt "$deadline" ]; do sleep 0.1; done
  kill -9 "$pid" 2>/dev/null || true
}

start() {
  command -v java >/dev/null || die "no java on the path: install a JDK, 17 or later"
  command -v mvn >/dev/null || die "no mvn on the path: install Maven"
  local dir jars attempt port controller_port pid
  dir="$(mktemp -d "${TMPDIR:-/tmp}/goodfaith-kafka.XXXXXX")"
  jars="$(classpath "$dir")"
  for attempt in $(seq "$attempts"); do
    port="$(free_port)"
    controller_port="$(free_port)"
    rm -rf "$dir/data"
    write_settings "$dir" "$port" "$controller_port" "$(free_port)" "$(free_port)"
    java -cp "$jars" kafka.tools.StorageTool format --cluster-id Z29vZGZhaXRoLXRlc3RzLg \
      --config "$dir/server.properties" >"$dir/format.log" 2>&1 || { cat "$dir/format.log" >&2; die "formatting failed"; }
    launch "$dir"
    echo "127.0.0.1:$port" >"$dir/bootstrap"
    if wait_ready "$pid" "$port"; then
      KAFKA_DIR="$dir" print_env
      return
    fi
    say "attempt $attempt of $attempts failed:"
    tail -n 20 "$dir/server.log" >&2
    kill -9 "$pid" 2>/dev/null || true
  done
  rm -rf "$dir"
  die "no broker after $attempts attempts"
}

print_env() {
  [ -n "${KAFKA_DIR:-}" ] || die "KAFKA_DIR is not set: use what start printed"
  [ -f "$KAFKA_DIR/bootstrap" ] || die "no broker in $KAFKA_DIR"
  echo "KAFKA_BOOTSTRAP=$(cat "$KAFKA_DIR/bootstrap")"
  echo "KAFKA_DIR=$KAFKA_DIR"
}

# The folder of the broker in $KAFKA_DIR, once it is sure that there is one.
folder() {
  [ -n "${KAFKA_DIR:-}" ] || die "KAFKA_DIR is not set: use what start printed"
  [ -f "$KAFKA_DIR/pid" ] || die "no broker in $KAFKA_DIR"
  echo "$KAFKA_DIR"
}

stop() {
  local dir
  dir="$(folder)"
  finish "$dir" TERM
  rm -rf "$dir"
}

restart() {
  local dir bootstrap pid
  dir="$(folder)"
  finish "$dir" "${1:-TERM}"
  launch "$dir"
  bootstrap="$(cat "$dir/bootstrap")"
  wait_ready "$pid" "${bootstrap##*:}" || { tail -n 20 "$dir/server.log" >&2; die "the broker did not come back"; }
}

with() {
  local lines status=0
  lines="$(start)"
  KAFKA_BOOTSTRAP="$(sed -n 's/^KAFKA_BOOTSTRAP=//p' <<<"$lines")"
  KAFKA_DIR="$(sed -n 's/^KAFKA_DIR=//p' <<<"$lines")"
  export KAFKA_BOOTSTRAP KAFKA_DIR
  trap stop EXIT
  "$@" || status=$?
  return "$status"
}

case "${1:-}" in
  start) start ;;
  env) print_env ;;
  restart) shift; restart "$@" ;;
  stop) stop ;;
  with) shift; [ $# -gt 0 ] || die "with what? kafka.sh with COMMAND..."; with "$@" ;;
  *) sed -n '2,12s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2; exit 2 ;;
esac
