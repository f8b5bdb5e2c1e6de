# explore_plant.sh: how explore.sh and explore_protocols.sh compile an explorer, and plant a bug in a
# copy of the header which it must find. They set D, CC and H, count in passed and failed, and say
#   PLAIN    what the copies are made of
#   BOUNDS   how far is searched in a copy: DEPTH=n STALE=n
#   SPEED    how a copy is compiled: -O0 where it is explored for less time than that saves

passed=0 failed=0
mkdir -p "$D"
here=$(pwd)

# compile PROGRAM NAME OPTION ...: tests/explore_PROGRAM.c into $D/NAME. Where memory is watched it
# is compiled as for the thread sanitizer and linked without: the explorer takes the place of its
# library.
compile() {
    program=$1 name=$2
    shift 2
    case $program in
    queue) set -- -fsanitize=thread "$@" ;;
    client) set -- -fsanitize=thread -Wno-unused -Wno-maybe-uninitialized "$@" ;;
    *) set -- -Wno-unused -Wno-maybe-uninitialized "$@" ;;
    esac
    "$CC" -std=gnu11 -Wall -Wextra -I. "$@" -c "tests/explore_$program.c" -o "$D/$name.o" &&
        "$CC" "$D/$name.o" -o "$D/$name" -pthread -lm
}

fail() {
    failed=$((failed + 1))
    echo "FAIL   $*"
}

# plant NAME LINES PROGRAM SCENARIOS SED: explores these scenarios with a copy of the header in
# which that sed script changes so many lines; what it says is also in $D/found
plant() {
    file=$(echo "$1" | tr ' ' '_')
    sed "$5" "$PLAIN" >"$D/$file.h"
    : >"$D/found"
    changed=$(diff "$PLAIN" "$D/$file.h" | grep -c '^[<>]')
    if [ "$changed" != "$2" ]; then
        fail "$1: $changed lines differ, not $2: the header has moved on"
    elif ! compile "$3" "$file" "$SPEED" -w -DEXPLORE_BUG="\"$1\"" \
        -DEXPLORE_HEADER="\"$here/$D/$file.h\""; then
        fail "$1: does not compile"
    elif env $BOUNDS "$D/$file" $4 >"$D/found"; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
    fi
    cat "$D/found"
}

# within FUNCTION COMMANDS: those sed commands, in that function only
within() { printf '/^[a-z].*[ *]%s(/,/^}/{\n%s\n}' "$1" "$2"; }

relax() { within "$1" "/$2/s/STORE_RELEASE/STORE/"; }    # FUNCTION LINE
relax_load() { within "$1" "/$2/s/LOAD_ACQUIRE/LOAD/"; } # FUNCTION LINE
drop() { within "$1" "/$2/d"; }                          # FUNCTION LINE
change() { within "$1" "s/$2/$3/"; }                     # FUNCTION WHAT BY-WHAT
