#!/bin/sh
# The header's own rules; with the argument `tools` clang-tidy and cppcheck as well.
set -u
H=vitelemetry.h passed=0 failed=0
mkdir -p build
check() { # text, status, what to show
    if [ "$2" = 0 ]; then passed=$((passed + 1)); echo "ok   $1"; else failed=$((failed + 1)); echo "FAIL $1"; [ -z "${3:-}" ] || echo "$3" | head -5; fi
}
none() { if [ -z "$2" ]; then check "$1" 0; else check "$1" 1 "$2"; fi; }

for f in $H examples/*.c examples/*.cpp examples/*/*.c tests/*.c tests/*.cpp tests/*.h tests/fuzz/*.[ch] bench/*.c; do
    [ -f "$f" ] || continue
    none "$f: 100 columns" "$(awk 'length($0) > 100 { print FILENAME ":" FNR }' "$f")"
    none "$f: ASCII, no tabs, no trailing blanks" "$(LC_ALL=C grep -nE '[^ -~]| $' "$f" | head -3)"
done

# the top level holds these and nothing else
none "nothing else lies at the top" "$(git ls-files 2>/dev/null | cut -d/ -f1 | sort -u |
    grep -vxE '\..*|Makefile|README\.md|UNLICENSE|vitelemetry\.h|examples|tests|bench' | head -3)"

# sections, in their order
want='limits atomics platform log text sha256 ids scrub json queue ledger record wire spool settings backoff curl winhttp consent stock audit worker crash session error client events'
have=$(grep -oE '^(/\*|  ) >>[a-z0-9]+' $H | sed 's/.*>>//' | tr '\n' ' ' | sed 's/ $//')
[ "$have" = "$want" ]; check "sections stand in their order" $? "$have"

# a private function carries its section's stem and is declared where it is defined
none "no forward declarations of private functions" \
    "$(grep -nE '^static [^=]*vitp_[a-z0-9_]+\([^{]*\);$' $H)"
none "the system's macros stay in >>platform and >>winhttp" "$(awk '/^#endif \/\* POSIX \*\// { after = 1 }
    /^(\/\*|  ) >>/ { own = / >>winhttp/ } after && !own && /^#.*(_WIN32|__APPLE__|__linux__)/ { print FILENAME ":" FNR ": " $0 }' $H)"
# what a test of failing calls cannot reach
none "each call of the system is written VITP_OS(name)" "$(awk '/^  *>>platform/ { on = 1 } /^(\/\*|  ) >>log/ { on = 0 }
    on && /[^A-Za-z_.>"(](open|close|read|write|lseek|ftruncate|fstat|lstat|stat|fstatfs|flock|rename|unlink|link|mkdir|fchmod|fsync|access|opendir|readdir|closedir|readlink|getcwd|mmap|munmap|madvise|fallocate|syscall|sysconf|uname|gethostname|kill|raise|sigaction|sigaltstack|pthread_(create|join|sigmask|mutex_[a-z]+|cond_[a-z]+)|sem_[a-z]+|nanosleep|clock_gettime|getenv|(Create|Get)(File|Event|Mutex|Thread|Directory)[A-Za-z]*|CloseHandle|(ReadF|WriteF|MoveFileE|DeleteF|MapV|UnmapV)[A-Za-z]*|Virtual[A-Z][a-z]*|LoadLibraryA)\(/ && !/struct [a-z]+\(/ { print FILENAME ":" FNR ": " $0 }
    /[^A-Za-z_.>](malloc|free)\(/ && !/std::free/ { print FILENAME ":" FNR ": " $0 }' $H)"
none "no name that Qt has as a macro" \
    "$(sed '1,/^#ifndef VITELEMETRY_H/d; s,/\*.*,,' $H | grep -nE '[^A-Za-z_](slots|signals|emit|foreach|forever)[^A-Za-z_]' | grep -v '^[0-9]*:   [^ ]' | head -3)"
none "no thread-local storage, no mutable static objects" \
    "$(grep -nE '_Thread_local|__thread|thread_local|^ *static [a-z_0-9 ]+ (\*)?[a-z_]+( = [^(]*)?;$' $H | grep -v const)"

# length of functions
awk '/^[A-Za-z].*\)$/ || /^[A-Za-z].*,$/ { head = NR } /^\{/ { s = NR } /^\}$/ { if (s) print NR - s + 1, FILENAME ":" s; s = 0 }
     /^[a-z].*\) \{ .*\}$/ { print 1, FILENAME ":" NR }' $H | sort -n >build/lengths
count=$(wc -l <build/lengths)
none "no function over 60 lines" "$(awk '$1 > 60' build/lengths)"
median=$(awk -v n="$count" 'NR == int((n + 1) / 2) { print $1 }' build/lengths)
[ "$median" -le 10 ]; check "median of $count functions: $median lines" $?
share=$(awk -v n="$count" '$1 <= 45 { k++ } END { print int(100 * k / n) }' build/lengths)
[ "$share" -ge 95 ]; check "$share % of them within 45 lines" $?

# the version, in line 1, in the macros, and at the top of the history
v=$(sed -n 's/^#define VITELEMETRY_VERSION  *"\(.*\)"/\1/p' $H)
parts=$(sed -n 's/^#define VITELEMETRY_VERSION_[A-Z]*  *\([0-9]*\)$/\1/p' $H | tr '\n' '.' | sed 's/\.$//')
head -1 $H | grep -q "v$v " ; check "line 1 says $v" $?
[ "$parts" = "$v" ]; check "the macros say $v" $?
sed -n '/^\/\* HISTORY/{n;p;}' $H | grep -q "^ *$v "; check "the history begins with $v" $?

if [ "${1:-}" = tools ]; then
    printf '#define VITELEMETRY_OS_SETTINGS\n#define VITELEMETRY_IMPLEMENTATION\n#include "../vitelemetry.h"\nint main(void) { return 0; }\n' >build/tidy.c
    clang-tidy --quiet build/tidy.c -- -std=c11 -I. >build/tidy.log 2>/dev/null
    check "clang-tidy" $? "$(grep -E 'warning|error' build/tidy.log)"
    cppcheck --quiet --enable=warning,performance,portability --std=c99 --inline-suppr --error-exitcode=2 \
        --suppress=missingIncludeSystem -DVITELEMETRY_IMPLEMENTATION -D__linux__ \
        -DCLOCK_MONOTONIC=1 -DO_NOFOLLOW=1 -DMAP_ANONYMOUS=1 build/tidy.c >build/cppcheck.log 2>&1
    check "cppcheck" $? "$(cat build/cppcheck.log)"
fi
echo "$passed passed, $failed failed"
[ $failed = 0 ]
