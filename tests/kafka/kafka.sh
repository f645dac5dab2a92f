#!/usr/bin/env bash
# Apache Kafka for tests: one broker, or a cluster of three, on loopback.
#
#   kafka.sh resolve                                  fetches the jars, once (needs Maven and a network)
#   kafka.sh start DIR PORT CONTROLLER_PORT           one broker
#   kafka.sh start-cluster DIR P1 C1 P2 C2 P3 C3      three brokers; Pn its port, Cn its controller's port
#   kafka.sh kill DIR NODE                            kill -9 of one broker (1, 2, 3)
#   kafka.sh restart DIR NODE                         starts a killed broker again
#   kafka.sh stop DIR                                 stops every broker of DIR
#   kafka.sh where                                    prints the folder of the jars, complete or not
#
# `start` returns when every broker serves requests, and prints nothing; or it fails with the reason
# and the end of the broker's log. DIR keeps configuration, data and logs (node-N.log) until the
# caller removes it. KAFKA_ADVERTISED="host:port ..." (one per broker) advertises another address,
# for a proxy in between. KAFKA_EXTRA holds further lines for the broker's configuration.
# KAFKA_START_SECONDS (default 90) bounds the wait for a start.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
project=$(cd "$here/../.." && pwd)
# The folder is named by the pom, so a new version is fetched and an old one is never mixed in.
jars=${SATPAM_CACHE:-$project/.cache}/kafka-$(cksum <"$here/pom.xml" | cut -d' ' -f1)

fail() {
  echo "kafka.sh: $*" >&2
  exit 1
}

resolve() {
  [ -e "$jars/.complete" ] && return
  command -v mvn >/dev/null || fail "Maven is missing; ./run setup --tests installs it"
  mkdir -p "$(dirname "$jars")"
  local partial="$jars.partial.$$"
  rm -rf "$partial"
  mvn -q -B -Dstyle.color=never -f "$here/pom.xml" dependency:copy-dependencies \
    -DoutputDirectory="$partial" -DincludeScope=runtime >&2 ||
    fail "Maven could not fetch Apache Kafka (see above)"
  touch "$partial/.complete"
  # Two callers may resolve at once: whoever comes second drops its own copy.
  mv -T "$partial" "$jars" 2>/dev/null || rm -rf "$partial"
  [ -e "$jars/.complete" ] || fail "$jars is not complete; remove it and try again"
}

java_tool() {
  java -Xmx256m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Dlog4j2.configurationFile="$here/log4j2.xml" \
    -cp "$jars/*" "$@"
}

# configure DIR NODE PORT CONTROLLER_PORT VOTERS NODES
configure() {
  local dir=$1 node=$2 port=$3 controller_port=$4 voters=$5 nodes=$6
  local advertised=(${KAFKA_ADVERTISED:-})
  local in_sync=1
  [ "$nodes" -ge 3 ] && in_sync=2
  cat >"$dir/node-$node.properties" <<PROPERTIES
process.roles=broker,controller
node.id=$node
controller.quorum.voters=$voters
listeners=PLAINTEXT://127.0.0.1:$port,CONTROLLER://127.0.0.1:$controller_port
advertised.listeners=PLAINTEXT://${advertised[$((node - 1))]:-127.0.0.1:$port}
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs=$dir/data-$node
offsets.topic.replication.factor=$nodes
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=$nodes
transaction.state.log.min.isr=$in_sync
transaction.state.log.num.partitions=4
default.replication.factor=$nodes
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
auto.create.topics.enable=false
# Retention goes by the records' own time: events of the past would vanish within minutes.
log.retention.ms=-1
# A killed broker must be noticed within the patience of a test.
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
${KAFKA_EXTRA:-}
PROPERTIES
}

# launch DIR NODE
launch() {
  local dir=$1 node=$2
  # A fresh log: the line that await looks for must be of this start.
  [ ! -e "$dir/node-$node.log" ] || mv "$dir/node-$node.log" "$dir/node-$node.before-restart.log"
  : >"$dir/node-$node.log"
  # setsid: a Ctrl-C in the terminal reaches the test, which then stops the broker itself.
  setsid java -Xmx512m -Xms256m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 \
    -Dlog4j2.configurationFile="$here/log4j2.xml" \
    -cp "$jars/*" kafka.Kafka "$dir/node-$node.properties" \
    >>"$dir/node-$node.log" 2>&1 </dev/null &
  echo $! >"$dir/node-$node.pid"
}

# answers PORT: sends an ApiVersions request and waits for the answer with our correlation id.
answers() {
  local answer
  answer=$(
    exec 3<>"/dev/tcp/127.0.0.1/$1" || exit 1
    printf '\0\0\0\012\0\022\0\0\0\0\0\007\377\377' >&3
    timeout 5 head -c 8 <&3 | od -An -tx1 | tr -d ' \n'
  ) 2>/dev/null
  [ "${answer: -2}" = 07 ]
}

# await DIR NODE DEADLINE
await() {
  local dir=$1 node=$2 deadline=$3 pid port
  pid=$(cat "$dir/node-$node.pid")
  port=$(sed -n 's/^listeners=PLAINTEXT:\/\/127.0.0.1:\([0-9]*\),.*/\1/p' "$dir/node-$node.properties")
  # The log line comes after the broker is registered and unfenced; the port opens before that.
  until grep -q 'Kafka Server started' "$dir/node-$node.log" && answers "$port"; do
    if ! kill -0 "$pid" 2>/dev/null; then
      tail -n 30 "$dir/node-$node.log" >&2
      fail "broker $node ended while it started; its log is $dir/node-$node.log"
    fi
    if [ "$SECONDS" -ge "$deadline" ]; then
      tail -n 30 "$dir/node-$node.log" >&2
      fail "broker $node did not serve requests in time; its log is $dir/node-$node.log"
    fi
    sleep 0.1
  done
}

# start_nodes DIR PORT CONTROLLER_PORT [PORT CONTROLLER_PORT]...
start_nodes() {
  local dir=$1
  shift
  command -v java >/dev/null || fail "Java is missing; ./run setup --tests installs it"
  resolve
  mkdir -p "$dir"
  dir=$(cd "$dir" && pwd)
  local nodes=$(($# / 2)) voters="" ports=("$@") node cluster
  for ((node = 1; node <= nodes; node++)); do
    voters+="${voters:+,}$node@127.0.0.1:${ports[$((node * 2 - 1))]}"
  done
  # Any 22 characters of URL-safe base64 are a cluster id; asking the tool for one takes a second.
  cluster=$(head -c 16 /dev/urandom | base64 | tr '+/' 'ab' | tr -d '=')
  local formats=()
  for ((node = 1; node <= nodes; node++)); do
    configure "$dir" "$node" "${ports[$((node * 2 - 2))]}" "${ports[$((node * 2 - 1))]}" "$voters" "$nodes"
    java_tool kafka.tools.StorageTool format -t "$cluster" -c "$dir/node-$node.properties" \
      >"$dir/format-$node.log" 2>&1 &
    formats+=($!)
  done
  for ((node = 1; node <= nodes; node++)); do
    wait "${formats[$((node - 1))]}" || {
      tail -n 20 "$dir/format-$node.log" >&2
      fail "the storage of broker $node could not be formatted; see $dir/format-$node.log"
    }
  done
  local deadline=$((SECONDS + ${KAFKA_START_SECONDS:-90}))
  # A start that fails leaves no broker behind.
  trap 'stop "$dir"' EXIT
  for ((node = 1; node <= nodes; node++)); do launch "$dir" "$node"; done
  for ((node = 1; node <= nodes; node++)); do await "$dir" "$node" "$deadline"; done
  trap - EXIT
}

restart() {
  local dir node=$2
  dir=$(cd "$1" && pwd)
  launch "$dir" "$node"
  await "$dir" "$node" $((SECONDS + ${KAFKA_START_SECONDS:-90}))
}

# is_ours PID: a number of a pid file may belong to another process after a restart of the machine.
is_ours() {
  tr '\0' ' ' 2>/dev/null <"/proc/$1/cmdline" | grep -q ' kafka\.Kafka '
}

kill_node() {
  local pid
  pid=$(cat "$1/node-$2.pid")
  is_ours "$pid" || fail "broker $2 is not running"
  kill -KILL "$pid"
  while is_ours "$pid"; do sleep 0.05; done
}

stop() {
  local dir=$1 file pid pids=() deadline=$((SECONDS + 15))
  for file in "$dir"/node-*.pid; do
    [ -e "$file" ] || continue
    pid=$(cat "$file")
    rm -f "$file"
    is_ours "$pid" || continue
    kill -TERM "$pid" 2>/dev/null || continue
    pids+=("$pid")
  done
  for pid in ${pids[@]+"${pids[@]}"}; do
    while is_ours "$pid"; do
      [ "$SECONDS" -lt "$deadline" ] || kill -KILL "$pid" 2>/dev/null || true
      sleep 0.05
    done
  done
}

verb=${1:-}
[ $# -gt 0 ] && shift
case "$verb:$#" in
  resolve:0) resolve ;;
  where:0) echo "$jars" ;;
  start:3) start_nodes "$@" ;;
  start-cluster:7) start_nodes "$@" ;;
  restart:2) restart "$@" ;;
  kill:2) kill_node "$@" ;;
  stop:1) stop "$@" ;;
  *)
    sed -n 's/^#   \(kafka.sh\)/usage: \1/p' "${BASH_SOURCE[0]}" >&2
    exit 2
    ;;
esac
