#!/bin/sh
# run.sh - events into a real ClickHouse server, back out, and the old ones dropped
#
#     make test-clickhouse                     builds, runs and checks it; or, after the build,
#     sh examples/clickhouse/run.sh
#
# The server is a plain process on loopback with free ports, for the time of the run, beside any
# that the system may have. All that it and this script write is in build/clickhouse/:
#
#     sent.ndjson        each event as the program sent it
#     stored.ndjson      each event as ClickHouse gives it back
#     daily.tsv          the aggregates before and
#     daily.after.tsv    after the events older than 30 days were dropped
#     days.tsv, days.after.tsv, stored.after.ndjson    the raw events likewise
set -u
here=examples/clickhouse work=build/clickhouse
server='' send=''

stop() {
    [ -z "$send" ] || kill "$send" 2>/dev/null
    [ -n "$server" ] || return 0
    kill "$server" 2>/dev/null
    tries=0
    while kill -0 "$server" 2>/dev/null && [ $tries -lt 100 ]; do
        tries=$((tries + 1))
        sleep 0.1
    done
    kill -9 "$server" 2>/dev/null
    wait "$server" 2>/dev/null
    server=''
}

fail() {
    echo "clickhouse: $*" >&2
    exit 1
}

rule() { printf '\n--- %s\n' "$*"; }

query() { # SQL, option
    clickhouse-client --host 127.0.0.1 --port "$port" ${2:-} --query "$1" || fail "$1"
}

configure() {
    cat >"$work/server/config.xml" <<END
<yandex>
    <logger><level>warning</level><log>log</log><errorlog>errors</errorlog></logger>
    <listen_host>127.0.0.1</listen_host>
    <http_port>0</http_port>
    <tcp_port>0</tcp_port>
    <path>./data/</path>
    <tmp_path>./tmp/</tmp_path>
    <users_config>users.xml</users_config>
    <default_profile>default</default_profile>
    <default_database>default</default_database>
    <mark_cache_size>67108864</mark_cache_size>
    <timezone>UTC</timezone>
</yandex>
END
    cat >"$work/server/users.xml" <<END
<yandex>
    <profiles><default></default></profiles>
    <quotas><default></default></quotas>
    <users>
        <default>
            <password></password>
            <networks><ip>127.0.0.1</ip></networks>
            <profile>default</profile>
            <quota>default</quota>
        </default>
    </users>
</yandex>
END
}

# The system chose the ports: those on which a process listens, in the order of their sockets.
ports() {
    ls -l "/proc/$1/fd" 2>/dev/null | sed -n 's/.*socket:\[\([0-9]*\)\]$/\1/p' |
        awk 'NR == FNR { own[$1]; next } $4 == "0A" && $10 in own { print $10, $2 }' \
            - /proc/net/tcp | sort -n |
        while read -r inode address; do echo $((0x${address#*:})); done
}

start() {
    configure
    (cd "$work/server" && exec clickhouse-server --config-file="$PWD/config.xml") \
        >"$work/server/out" 2>&1 &
    server=$!
    tries=0 port=''
    until [ -n "$port" ] && clickhouse-client --host 127.0.0.1 --port "$port" --query 'SELECT 1' \
        >/dev/null 2>&1; do
        tries=$((tries + 1))
        if [ $tries -gt 300 ] || ! kill -0 "$server" 2>/dev/null; then
            cat "$work/server/out" "$work/server/errors" 2>/dev/null
            fail 'the server did not start'
        fi
        sleep 0.1
        set -- $(ports "$server") # HTTP is opened first
        http=${1:-} port=${2:-}
    done
}

trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' HUP TERM

PATH=$PATH:/usr/sbin
[ -x build/examples/clickhouse ] || fail 'build/examples/clickhouse is not there'
rm -rf "$work"
mkdir -p "$work/server" || fail "cannot make $work"

rule 'a server'
start
query "SELECT 'ClickHouse ' || version()"
clickhouse-client --host 127.0.0.1 --port "$port" --multiquery <$here/schema.sql || fail schema.sql
for table in events incoming; do # the program has a member of its own
    query "ALTER TABLE telemetry.$table ADD COLUMN \`metadata.size_kb\` Nullable(Int64)"
done
columns=$(query "SELECT arrayStringConcat(groupArray(name), ',') FROM system.columns
    WHERE database = 'telemetry' AND table = 'events' AND name != 'created_at'") || exit 1

# In the background, so that a signal is answered at once: wait ends for a trap, a program does not.
rule 'a program sends'
insert='INSERT%20INTO%20telemetry.incoming%20FORMAT%20JSONEachRow'
settings='input_format_import_nested_json=1&input_format_skip_unknown_fields=1'
build/examples/clickhouse "http://127.0.0.1:$http/?query=$insert&$settings" "$work/sent.ndjson" &
send=$!
wait $send
status=$?
send=''
[ $status -eq 0 ] || fail "the program ended with status $status"

stored() {
    query "SELECT $columns FROM telemetry.events WHERE toDate(created_at) > toDate('$today') - 2
        FORMAT JSONEachRow" --output_format_json_quote_64bit_integers=0
}
days() {
    query 'SELECT toDate(created_at) AS day, count() FROM telemetry.events GROUP BY day
        ORDER BY day'
}
daily() {
    query "SELECT * FROM telemetry.daily ORDER BY day, event_name, app_version, client_type"
}

rule 'what ClickHouse has'
today=$(query 'SELECT today()') || exit 1
query 'SELECT event_name, count() FROM telemetry.events GROUP BY event_name ORDER BY event_name'
stored >"$work/stored.ndjson" || exit 1

# The same events at the last second of four older days.
rule 'older days: events, then events and aggregates after those before 30 days ago were dropped'
query "INSERT INTO telemetry.events (created_at, $columns)
    SELECT toDateTime(toDate('$today') - age + 1) - 1, $columns
    FROM telemetry.events ARRAY JOIN [29, 30, 31, 45] AS age" || exit 1
days >"$work/days.tsv" && daily >"$work/daily.tsv" || exit 1
cat "$work/days.tsv"
sh $here/retention.sh "$port" "$(query "SELECT toDate('$today') - 30")" || fail retention.sh
days >"$work/days.after.tsv" && daily >"$work/daily.after.tsv" || exit 1
stored >"$work/stored.after.ndjson" || exit 1
cat "$work/days.after.tsv"
query 'SELECT day, sum(events), max(installations) FROM telemetry.daily GROUP BY day ORDER BY day'
