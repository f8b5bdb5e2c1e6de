#!/bin/sh
# README's data inventory is what examples/privacy.c prints from the catalogue, and that shows what waits
# and who refuses.
set -u
passed=0 failed=0
check() {
    if [ "$2" = 0 ]; then passed=$((passed + 1)); echo "ok   $1"; else failed=$((failed + 1)); echo "FAIL $1"; fi
}
privacy=build/examples/privacy dir=build/check_inventory
rm -rf $dir && mkdir -p $dir
table() { awk -v head="$1" 'index($0, head) == 1 { on = 1 } !/^\|/ { on = 0 } on' "$2"; }
run() { env -u CI -u TF_BUILD -u GITHUB_ACTIONS -u GITLAB_CI -u DO_NOT_TRACK -u VI_NO_TELEMETRY \
    XDG_STATE_HOME="$PWD/$dir/state" XDG_RUNTIME_DIR="$PWD/$dir" "$@"; }

$privacy --markdown >$dir/privacy.md; check "privacy --markdown ends with 0" $?
for head in '| event | rate | members |' '| kind | what leaves the machine |'; do
    table "$head" $dir/privacy.md >$dir/want
    table "$head" README.md >$dir/have
    [ -s $dir/want ] && diff $dir/want $dir/have; check "README.md has the table '$head'" $?
done
# every row of the catalogue: counted by another way than the example's
rows=$(sed -n '/^#define VIT_CATALOGUE(E)/,/^\/\* clang-format on/p' vitelemetry.h | grep -c '^ *E(')
[ "$(table '| event' $dir/privacy.md | grep -c '^| `')" = "$rows" ]; check "it has all $rows events" $?

# what README says of the scrubber is so
says() { # figure, words in front of it and behind it
    tr '\n' ' ' <README.md | grep -q "$2 $1 $3"; check "README.md: $2 $1 $3" $?
}
says "$(grep -vc '^#' tests/data/scrub_positive.tsv)" 'finds all' 'lines with something personal'
says "$(grep -vc '^#' tests/data/scrub_negative.tsv)" 'leaves all' 'harmless ones'
says "$(sed -n '/^static const char \*const vitp_scrub_tokens/,/^};/s/:[0-9]/\n&/gp' vitelemetry.h | grep -c '^:')" \
    'tokens of' 'kinds'

run $privacy >$dir/text; check "privacy ends with 0" $?
grep -q '^Consent: not asked yet (the user)' $dir/text; check "it says that the user was not asked" $?
grep -q '"event_name":"db.connection_attempt"' $dir/text; check "it shows what waits" $?
grep -q 'db\.example' $dir/text; [ $? = 1 ]; check "without the host's name" $?
[ ! -e $dir/state ]; check "it writes nothing before consent" $?
run env DO_NOT_TRACK=1 $privacy >$dir/refused; check "privacy ends with 0 when refused" $?
grep -q '^Consent: refused (the environment)' $dir/refused; check "it names the gate" $?
grep -q 'event_name' $dir/refused; [ $? = 1 ]; check "and nothing waits" $?
run env CI=1 $privacy | grep -q '^Consent: refused (continuous integration)'; check "it names that of CI" $?
# shellcheck disable=SC2174 # the folder itself is what must be private
mkdir -m 700 -p $dir/state/privacy-example && echo 'consent = denied' >$dir/state/privacy-example/telemetry.conf
chmod 600 $dir/state/privacy-example/telemetry.conf
run $privacy | grep -q '^Consent: refused (the user)'; check "it names that of the user" $?
echo "$passed passed, $failed failed"
[ $failed = 0 ]
