#!/bin/sh
# check_clickhouse.sh - does ClickHouse hold exactly what was sent, and is it kept as promised?
#
#     sh tests/check_clickhouse.sh    from the repository root, when build/examples/clickhouse and
#                                     the server are there: make test-clickhouse
#
# Runs examples/clickhouse/run.sh and compares what it left in build/clickhouse/: the events that
# came back with those that the program sent, member by member, and the aggregates with what is
# computed here from the events alone. Then it looks for a server that was left running.
set -u
unset DO_NOT_TRACK VI_NO_TELEMETRY VITELEMETRY_OPTOUT VECTOR_INSPECTOR_TELEMETRY_OPTOUT \
    DOTNET_CLI_TELEMETRY_OPTOUT HOMEBREW_NO_ANALYTICS POWERSHELL_TELEMETRY_OPTOUT \
    NEXT_TELEMETRY_DISABLED GATSBY_TELEMETRY_DISABLED AZURE_CORE_COLLECT_TELEMETRY SAM_CLI_TELEMETRY
LC_ALL=C XDG_CONFIG_HOME=/nonexistent
export LC_ALL XDG_CONFIG_HOME
work=build/check_clickhouse of=build/clickhouse tab=$(printf '\t')
passed=0 failed=0 running=''
trap '[ -z "$running" ] || kill "$running" 2>/dev/null' EXIT
trap 'exit 130' INT
trap 'exit 143' HUP TERM

# check NAME COMMAND...: one line, ok when the command succeeds.
check() {
    name=$1
    shift
    if "$@"; then
        passed=$((passed + 1))
        printf 'ok    %s\n' "$name"
    else
        failed=$((failed + 1))
        printf 'FAIL  %s\n' "$name"
    fi
}

same() {
    [ "$1" = "$2" ] && return 0
    printf '%s\n' "      expected: $1" "      got:      $2"
    return 1
}

same_file() {
    diff "$1" "$2" >"$work/diff" && return 0
    head -4 "$work/diff" | cut -c1-400
    return 1
}
lines() { awk 'END { print NR }' "$1"; }
canonical() { awk -f tests/check_clickhouse.awk "$1" >"$work/unsorted" && sort "$work/unsorted"; }

# Any process in the server's folder.
# shellcheck disable=SC2010 # what ls says of a link is wanted
left() { ls -l /proc/[0-9]*/cwd 2>/dev/null | grep -F -- "-> $PWD/$of/server"; }

# A run that lasts into another day has its events on two: then it is done again.
run() {
    day=''
    until [ "$day" = "$(date -u +%F)" ]; do
        day=$(date -u +%F)
        sh examples/clickhouse/run.sh >"$work/run.log" 2>&1
        status=$?
    done
    [ $status -eq 0 ] || tail -20 "$work/run.log"
    canonical $of/sent.ndjson >"$work/sent"
    canonical $of/stored.ndjson >"$work/stored"
}

ago() { date -u -d "$day - $1 days" +%F; }

# damaged NAME SED-COMMAND: the comparison sees it when one event is not what was sent.
damaged() {
    sed "$2" $of/sent.ndjson >"$work/damaged.ndjson"
    canonical "$work/damaged.ndjson" >"$work/damaged"
    ! cmp -s "$of/sent.ndjson" "$work/damaged.ndjson" && ! cmp -s "$work/damaged" "$work/stored"
    check "the comparison would see $1" [ $? -eq 0 ]
}

# What telemetry.daily must have for each day in days.tsv: day, event, version, client, events,
# events before sampling, installations, failures.
expected_daily() {
    awk -F '\t' '
    function member(name, i) {
        for (i = 1; i <= NF; i++)
            if (index($i, name "=") == 1) return substr($i, length(name) + 2)
        return ""
    }
    FILENAME ~ /days/ { day[++days] = $1; next }
    {
        gsub(/"/, "", $0)
        key = member("event_name") "\t" member("app_version") "\t" member("client_type")
        rate = member("metadata.sampling_rate")
        events[key]++
        before[key] += rate == "" ? 1 : 1 / rate
        failures[key] += member("metadata.success") == "0"
        if (!((key, member("hwid")) in seen)) installations[key]++
        seen[key, member("hwid")]
    }
    END {
        for (i = 1; i <= days; i++)
            for (key in events)
                print day[i] "\t" key "\t" events[key] "\t" before[key] "\t" \
                    installations[key] "\t" failures[key] + 0
    }' $of/days.tsv "$work/sent" | sort
}

rm -rf $work
mkdir -p $work
run
check 'run.sh ends with status 0' same 0 $status
[ $status -eq 0 ] || { echo "$passed passed, $failed failed"; exit 1; }
check 'no process is left' same '' "$(left)"

# count and content
sent=$(lines $of/sent.ndjson)
check "sent: $sent events, more than 500" [ "$sent" -gt 500 ]
check "stored: as many, by count()" same "$sent" "$(sed -n "s/^$day$tab//p" $of/days.tsv)"
check "content: all $(tr '\t' '\n' <"$work/sent" | awk 'END { print NR }') values are those sent" \
    same_file "$work/sent" "$work/stored"
sed -n 's/^    E([a-z_]*, "\([^"]*\)".*/\1/p' vitelemetry.h | sort >"$work/catalogue"
sed 's/.*event_name="\([^"]*\)".*/\1/' "$work/stored" | sort -u >"$work/events"
check "all $(lines "$work/catalogue") events of the catalogue are among them" \
    same '' "$(comm -23 "$work/catalogue" "$work/events")"
{ sed -n 's/^    `metadata\.\(.*\)` .*/\1/p' examples/clickhouse/schema.sql; echo size_kb; } |
    sort >"$work/columns"
tr '\t' '\n' <"$work/stored" | sed -n 's/^metadata\.\([a-z_]*\)=.*/\1/p' | sort -u >"$work/members"
check "each of $(lines "$work/columns") columns is filled (delay_s is for events that waited)" \
    same delay_s "$(comm -3 "$work/columns" "$work/members")"
for value in 'say \"yes\"' 'back\\slash \\n' 'one\nline two\r\n\tthird' '\u0001\u0002\b\f\u001b' \
    "$(printf '\342\202\254 \346\274\242\345\255\227 \360\237\232\200')" '=9223372036854775807' \
    '=-9223372036854775808' '=9007199254740993' '.message=""' '="null"' '{\"a\":[1,null,true]}' \
    '.sampling_rate=0.25' '.traceback="main.c:42\nx.c:7"'; do
    check "there is $value" grep -Fq -e "$value" "$work/stored"
done
damaged 'a changed text' '100s/"session_id":"/&x/'
damaged 'a changed number' 's/9223372036854775807/9223372036854775806/'
damaged 'a changed flag' '0,/"new_value":false/s/"new_value":false/"new_value":true/'
damaged 'a member less' '100s/"session_id":"[^"]*"/"delay_s":null/'
damaged 'an event less' 100d
damaged 'an event twice' 100p

# retention
for days in 45 31 30 29; do printf '%s\t%s\n' "$(ago $days)" "$sent"; done >"$work/days"
printf '%s\t%s\n' "$day" "$sent" >>"$work/days"
check 'before: raw events of today and of 29, 30, 31 and 45 days ago' \
    same_file "$work/days" $of/days.tsv
sed 1,2d "$work/days" >"$work/days.after"
check 'after: those of 31 and 45 days ago are gone, the others are there' \
    same_file "$work/days.after" $of/days.after.tsv
canonical $of/stored.after.ndjson >"$work/stored.after"
check 'after: the events of today are as they were' same_file "$work/stored" "$work/stored.after"
expected_daily >"$work/daily"
cut -f 1-8 $of/daily.tsv | sort >"$work/daily.stored"
check "aggregates: $(lines "$work/daily") rows of five days are right" \
    same_file "$work/daily" "$work/daily.stored"
check 'aggregates: all of them are kept' same_file $of/daily.tsv $of/daily.after.tsv

# again, and when it does not end well
run
check 'again: status 0' same 0 $status
check 'again: content is that sent' same_file "$work/sent" "$work/stored"
check 'again: no process is left' same '' "$(left)"
DO_NOT_TRACK=1 sh examples/clickhouse/run.sh >"$work/refused.log" 2>&1
check 'a program that fails: status 1' same 1 $?
check 'a program that fails: no process is left' same '' "$(left)"
sh examples/clickhouse/run.sh >"$work/ended.log" 2>&1 &
running=$!
tries=0
until [ -n "$(left)" ] || [ $tries -ge 100 ]; do
    tries=$((tries + 1))
    sleep 0.1
done
check 'a signal: the server was there' [ -n "$(left)" ]
kill $running
wait $running
check 'a signal: status 143' same 143 $?
running=''
check 'a signal: no process is left' same '' "$(left)"

echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
