#!/bin/sh
# What the fuzz targets demand, of their seeds, of those that they make, and of each line of the corpus
# of texts; a broken promise aborts.
set -u
passed=0 failed=0
for program in all collector; do
    build/tests/fuzz_$program tests/fuzz/seeds/*/* tests/data/scrub_*.tsv >build/fuzz_$program.log 2>&1 ||
        failed=$((failed + 1))
    cat build/fuzz_$program.log
    line=$(grep '^[0-9]* passed, ' build/fuzz_$program.log)
    line=${line:-0 }
    passed=$((passed + ${line%% *}))
done
echo "$passed passed, $failed failed"
[ $failed = 0 ]
