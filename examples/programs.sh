# programs.sh: the collector and the inspector, as demo.sh and dashboard.sh start and end them. They set
# script, the name in front of what goes wrong, and folder, where everything is written, and read this.

: "${script:?}" "${folder:?}"
collector='' inspector='' pause=''

stop() {
    for process in $pause $inspector $collector; do
        kill "$process" 2>/dev/null && wait "$process" 2>/dev/null
    done
    pause='' inspector='' collector=''
}

fail() {
    echo "$script: $*" >&2
    exit 1
}

trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' HUP TERM

for program in collector inspector; do
    [ -x "build/examples/$program" ] || fail "build/examples/$program is not there: make $script"
done

# start_collector PORT (0: any that is free) HINT: what to do when it does not start. Sets port.
start_collector() {
    mkdir -p "$folder/events" "$folder/state" || fail "cannot make $folder"
    rm -f "$folder/port"
    build/examples/collector --port "$1" --port-file "$folder/port" --dir "$folder/events" &
    collector=$!
    tries=0
    until [ -s "$folder/port" ]; do
        tries=$((tries + 1))
        if [ $tries -gt 100 ] || ! kill -0 $collector 2>/dev/null; then
            fail "the collector did not start$2"
        fi
        sleep 0.1
    done
    port=$(cat "$folder/port")
}
