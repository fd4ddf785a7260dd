#!/usr/bin/env bash
# A real Apache Kafka for tests and by hand: one node in KRaft mode on free loopback ports, its data in a temporary folder.
#
#   deploy/kafka/kafka.sh start            start one; prints KAFKA_BOOTSTRAP=... and KAFKA_DIR=...
#   deploy/kafka/kafka.sh env              print the same lines again for the broker in $KAFKA_DIR
#   deploy/kafka/kafka.sh stop             stop the broker in $KAFKA_DIR and delete its folder
#   deploy/kafka/kafka.sh with COMMAND...  start one, run COMMAND with KAFKA_BOOTSTRAP set, stop it
#
# By hand: eval "$(deploy/kafka/kafka.sh start | sed 's/^/export /')"
# It needs a JDK (17 or later) and Maven. Several may run at once: each has its own folder and ports.
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

# The settings of ../compose.yaml, with ports and folder.
write_settings() {
  local dir="$1" port="$2" controller_port="$3"
  cat >"$dir/server.properties" <<END
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:$controller_port
listeners=PLAINTEXT://127.0.0.1:$port,CONTROLLER://127.0.0.1:$controller_port
advertised.listeners=PLAINTEXT://127.0.0.1:$port
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
    write_settings "$dir" "$port" "$controller_port"
    java -cp "$jars" kafka.tools.StorageTool format --cluster-id Z29vZGZhaXRoLXRlc3RzLg \
      --config "$dir/server.properties" >"$dir/format.log" 2>&1 || { cat "$dir/format.log" >&2; die "formatting failed"; }
    # Its own session: a Ctrl-C meant for a test must not stop the broker before the test has cleaned up.
    setsid java -Xms256m -Xmx768m -XX:+UseG1GC -Dlog4j2.level=WARN -cp "$jars" \
      kafka.Kafka "$dir/server.properties" >"$dir/server.log" 2>&1 </dev/null &
    pid=$!
    echo "$pid" >"$dir/pid"
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

stop() {
  [ -n "${KAFKA_DIR:-}" ] || die "KAFKA_DIR is not set: use what start printed"
  [ -f "$KAFKA_DIR/pid" ] || die "no broker in $KAFKA_DIR"
  local pid deadline=$((SECONDS + stop_seconds))
  pid="$(cat "$KAFKA_DIR/pid")"
  kill "$pid" 2>/dev/null || true
  while is_running "$pid" && [ "$SECONDS" -lt "$deadline" ]; do sleep 0.1; done
  kill -9 "$pid" 2>/dev/null || true
  rm -rf "$KAFKA_DIR"
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
  stop) stop ;;
  with) shift; [ $# -gt 0 ] || die "with what? kafka.sh with COMMAND..."; with "$@" ;;
  *) sed -n '2,10s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2; exit 2 ;;
esac
