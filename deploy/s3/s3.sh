#!/usr/bin/env bash
# A real S3-compatible server for tests: S3Proxy on a free loopback port, its objects in a temporary folder, one bucket.
#
#   deploy/s3/s3.sh with COMMAND...    start one, run COMMAND with GOODFAITH_S3_URL and AWS_... set, stop it
#
# It needs a JDK (17 or later) and Maven. Several may run at once: each has its own folder and port.
set -euo pipefail

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
ready_seconds=60

die() { echo "s3.sh: $*" >&2; exit 1; }

# A port nobody listens on, below the range the system hands out by itself.
free_port() {
  local port
  while :; do
    port=$((20000 + RANDOM % 12000))
    if ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then echo "$port"; return; fi
  done
}

stop() {
  kill "$pid" 2>/dev/null || true
  wait "$pid" 2>/dev/null || true
  rm -rf "$dir"
}

with() {
  command -v java >/dev/null || die "no java on the path: install a JDK, 17 or later"
  command -v mvn >/dev/null || die "no mvn on the path: install Maven"
  dir="$(mktemp -d "${TMPDIR:-/tmp}/goodfaith-s3.XXXXXX")"
  mvn --quiet --batch-mode --file "$here/pom.xml" \
    org.apache.maven.plugins:maven-dependency-plugin:3.6.1:build-classpath \
    -Dmdep.includeScope=runtime -Dmdep.outputFile="$dir/classpath" >&2 || die "Maven could not fetch S3Proxy"
  port="$(free_port)"
  mkdir -p "$dir/data/goodfaith"
  cat >"$dir/s3proxy.conf" <<END
s3proxy.endpoint=http://127.0.0.1:$port
s3proxy.authorization=aws-v2-or-v4
s3proxy.identity=tests
s3proxy.credential=tests-secret
jclouds.provider=filesystem-nio2
jclouds.filesystem.basedir=$dir/data
END
  setsid java -Xmx256m -DLOG_LEVEL=warn -cp "$(cat "$dir/classpath")" org.gaul.s3proxy.Main --properties "$dir/s3proxy.conf" \
    >"$dir/log" 2>&1 </dev/null &
  pid=$!
  trap stop EXIT
  local deadline=$((SECONDS + ready_seconds)) status=0
  until (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do
    kill -0 "$pid" 2>/dev/null || { tail -n 20 "$dir/log" >&2; die "it ended"; }
    [ "$SECONDS" -lt "$deadline" ] || { tail -n 20 "$dir/log" >&2; die "it does not answer"; }
    sleep 0.2
  done
  export GOODFAITH_S3_URL="s3://goodfaith/snapshots" AWS_ENDPOINT="http://127.0.0.1:$port" AWS_ALLOW_HTTP=true
  export AWS_ACCESS_KEY_ID=tests AWS_SECRET_ACCESS_KEY=tests-secret AWS_REGION=us-east-1
  "$@" || { status=$?; [ -z "${S3_DEBUG:-}" ] || cat "$dir/log" >&2; }
  return "$status"
}

case "${1:-}" in
  with) shift; [ $# -gt 0 ] || die "with what? s3.sh with COMMAND..."; with "$@" ;;
  *) sed -n '2,8s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2; exit 2 ;;
esac
