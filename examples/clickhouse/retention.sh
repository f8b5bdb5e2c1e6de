#!/bin/sh
# retention.sh - drops the raw events of whole days and keeps the daily aggregates
#
#     sh retention.sh [PORT [FIRST-DAY]]     server on this machine (9000); FIRST-DAY is the oldest
#                                            day that stays: by default 30 days ago, by its clock
#
# For cron, once a day. Prints each day that it drops.
set -u

query() { clickhouse-client --host 127.0.0.1 --port "$port" --query "$1"; }

port=${1:-9000}
first=${2:-$(query 'SELECT today() - 30')} || exit 1
days=$(query "SELECT DISTINCT partition FROM system.parts WHERE active AND database = 'telemetry'
    AND table = 'events' AND partition < '$first' ORDER BY partition") || exit 1
for day in $days; do
    query "ALTER TABLE telemetry.events DROP PARTITION '$day'" || exit 1
    echo "dropped $day"
done
