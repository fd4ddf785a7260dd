#!/usr/bin/env bash
# History recorded by other people, through ingest and replay: prints the table of the README's section "On real data". With a
# broker, each history goes through the service too, and what that publishes must be what the replay says, record for record.
#
#   examples/real-data.sh FOLDER [RESULTS]
#   deploy/kafka/kafka.sh with examples/real-data.sh FOLDER [RESULTS]
#
# FOLDER holds the data sets, packed with gzip or not, in these files; they are not part of this repository:
#
#   it-incidents/incident_event_log.csv      https://doi.org/10.24432/C57S4H (CC BY 4.0)
#   telco-churn/telco_customer_churn.csv     https://github.com/IBM/telco-customer-churn-on-icp4d, data/Telco-Customer-Churn.csv (Apache-2.0)
#
# The broker is the one $KAFKA_BOOTSTRAP names, as `kafka.sh with` sets it; its topics are left behind.
# RESULTS is a new folder for what comes out, by default a temporary one. GOODFAITH names the program, if it is already built.
set -euo pipefail

usage() {
  sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "$0" >&2
  exit 2
}
[ $# -ge 1 ] && [ -d "$1" ] || usage
data=$1
here=$(cd "$(dirname "$0")" && pwd)
results=${2:-$(mktemp -d)}
mkdir -p "$results"

if [ -z "${GOODFAITH:-}" ]; then
  cargo build --release --quiet --manifest-path "$here/../Cargo.toml"
  GOODFAITH=$here/../target/release/goodfaith
fi

# data_set NAME: the file of a data set, packed or not.
data_set() {
  local file
  for file in "$data/$1" "$data/$1.gz"; do
    if [ -f "$file" ]; then
      echo "$file"
      return
    fi
  done
  echo "$data/$1 is missing (also as .gz)" >&2
  usage
}

# count FILE TEXT [TEXT]: how many lines hold the text, or both.
count() {
  { grep -F -- "$2" "$1" || true; } | { grep -cF -- "${3:-}" || true; }
}

# replayed NAME EVENTS [OPTION...]: the counts of a replay, as a row of the table.
replayed() {
  local name=$1 events=$2 out=$results/$1
  shift 2
  "$GOODFAITH" replay --events "$events" --out "$out" --evidence --partitions 8 --force "$@" 2>"$results/$name.log"
  # A breach that was presumed and then withdrawn is taken back: what counts is what was left at the end.
  local kept broken
  kept=$(($(evidence "$out" recorded INT.KEPT) - $(evidence "$out" retracted INT.KEPT)))
  broken=$(($(evidence "$out" recorded INT.BROKEN) - $(evidence "$out" retracted INT.BROKEN)))
  printf '| %s | %s | %s | %s | %s | %s | %s |\n' "$name" "$(count "$events" '"type"')" "$kept" "$broken" \
    "$(count "$out/alerts.ndjson" squeeze.opened legacy_overpricing)" "$(count "$out/alerts.ndjson" '"type"')" \
    "$(count "$out/dead_letters.ndjson" '"reason"')"
}

evidence() {
  count "$1/evidence.ndjson" "evidence.$2" "\"$3\""
}

# ingested NAME FILE [OPTION...]: the events of a data set.
ingested() {
  local name=$1 file=$2 out=$results/$3.ndjson
  shift 3
  "$GOODFAITH" ingest --mapping "$here/$name/mapping.toml" --in "$file" --out "$out" "$@"
  echo "$out"
}

# through_kafka EVENTS: the test that a run publishes what a replay of the same events writes, on these events.
through_kafka() {
  GOODFAITH_EVENTS=$1 cargo test --release --quiet --manifest-path "$here/../Cargo.toml" --test broker -- \
    --ignored --exact service::a_run_publishes_what_a_replay_of_the_same_events_writes >&2
  echo "through the broker, the same as the replay: $1" >&2
}

incidents=$(data_set it-incidents/incident_event_log.csv)
telco=$(data_set telco-churn/telco_customer_churn.csv)
printf 'overpricing_tolerance = { share = 0.1 }\n' >"$results/threshold.toml"

incident_events=$(ingested it-incidents "$incidents" it-incidents)
telco_events=$(ingested telco-churn "$telco" telco-churn)
cheaper_events=$(ingested telco-churn "$telco" telco-churn-cheaper --set price_percent=80)

echo '| history | events | promises kept | promises broken | overpricing squeezes opened | alerts of any kind | dead letters |'
echo '|---|--:|--:|--:|--:|--:|--:|'
replayed it-incidents "$incident_events"
replayed telco-churn "$telco_events"
replayed telco-churn-threshold-10-percent "$telco_events" --policy "$results/threshold.toml"
replayed telco-churn-catalogue-20-percent-cheaper "$cheaper_events"
if [ -n "${KAFKA_BOOTSTRAP:-}" ]; then
  through_kafka "$incident_events"
  through_kafka "$telco_events"
  through_kafka "$cheaper_events"
fi
echo "results are in $results" >&2
