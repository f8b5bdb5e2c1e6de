#!/bin/sh
# check_failures.sh [TABLE]: tests/FAILURES.md names F1 to F66, once each and in order, and each test
# that it names is there and is run: a function in its file's list (cmocka) or called in it, a script,
# a target of the Makefile. At least 60 of them have a test.
set -u
table=${1:-tests/FAILURES.md}
passed=0 failed=0
ok() { passed=$((passed + 1)); }
bad() {
    failed=$((failed + 1))
    echo "FAIL  $1"
}

is_target() { grep -q "^$1:" Makefile; }

# of cmocka: in the list of main; else: defined, and used beside that
is_test() { # file, function
    case $1 in
    test_*.c) tr '\n' ' ' <"tests/$1" | grep -Eq "(cmocka_unit_test[a-z_]*|TEST)\( *$2 *[,)]" &&
        grep -Eq "^(static void |TEST_GROUP\()$2[(,]" "tests/$1" ;;
    *) [ "$(grep -Ec "(^|[^A-Za-z0-9_])$2([^A-Za-z0-9_]|$)" "tests/$1")" -ge 2 ] &&
        grep -Eq "^[a-z].* \*?$2\(" "tests/$1" ;;
    esac
}

# a script that the tests or a target run
is_run() { [ -f "tests/$1" ] && { grep -Eq "^SCRIPTS .*[ =]$1( |$)" Makefile || grep -q "sh tests/$1" Makefile; }; }

# what is named: F-number | test, a line each
named() {
    awk -F'|' '/^\| F[0-9]+ / { no = $2; gsub(/ /, "", no); text = $5
        while (match(text, /`[^`]*`/)) { print no "|" substr(text, RSTART + 1, RLENGTH - 2)
            text = substr(text, RSTART + RLENGTH) } }' "$table"
}

rows=$(awk -F'|' '/^\| F[0-9]+ / { gsub(/ /, "", $2); printf "%s ", $2 }' "$table")
want=$(awk 'BEGIN { for (i = 1; i <= 66; i++) printf "F%d ", i }')
if [ "$rows" = "$want" ]; then ok; else bad "the rows are not F1 to F66, in order: $rows"; fi
short=$(awk -F'|' '/^\| F[0-9]+ / && (NF != 6 || $3 ~ /^ *$/ || $4 ~ /^ *$/ || $5 ~ /^ *$/) { print $2 }' "$table")
if [ -z "$short" ]; then ok; else bad "rows with an empty cell: $short"; fi

mkdir -p build
named >build/failures.txt
while IFS='|' read -r no test; do
    case $test in
    'make '*) if is_target "${test#make }"; then ok; else bad "$no: the Makefile has no target: $test"; fi ;;
    *': '*) file=${test%%: *} function=${test#*: }
        if [ -f "tests/$file" ] && is_test "$file" "$function"; then ok; else bad "$no: there is no such test: $test"; fi ;;
    *.sh) if is_run "$test"; then ok; else bad "$no: nothing runs it: $test"; fi ;;
    *) bad "$no: this is no test: $test" ;;
    esac
done <build/failures.txt

# a row counts when it names a test, and does not say that there is none
covered=$(awk -F'|' '/^\| F[0-9]+ / && $5 ~ /`/ && $5 !~ /Not here:/ { n++ } END { print n + 0 }' "$table")
neither=$(awk -F'|' '/^\| F[0-9]+ / && $5 !~ /`/ && $5 !~ /Not here: ./ { print $2 }' "$table")
if [ -z "$neither" ]; then ok; else bad "neither a test nor a reason: $neither"; fi
if [ "$covered" -ge 60 ]; then ok; else bad "$covered of 66 have a test, not 60"; fi
echo "$covered of 66 have a test; $(wc -l <build/failures.txt) tests are named"
echo "$passed passed, $failed failed"
[ $failed = 0 ]
