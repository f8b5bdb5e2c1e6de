#!/bin/sh
# The header's own rules; with the argument `tools` also clang-tidy, cppcheck, gcc's analyzer and, for
# the scripts, shellcheck. H=FILE: those of that header alone. (tests/check_lint.sh breaks each.)
set -u
passed=0 failed=0
FILES='vitelemetry.h examples/*.c examples/*.cpp examples/*/*.c tests/*.c tests/*.cpp tests/*.h tests/fuzz/*.[ch] bench/*.[ch] bench/*.cpp'
[ -z "${H:-}" ] || FILES=$H
H=${H:-vitelemetry.h} D=build/lint
mkdir -p $D
check() { # text, status, what to show
    if [ "$2" = 0 ]; then passed=$((passed + 1)); echo "ok   $1"; else failed=$((failed + 1)); echo "FAIL $1"; [ -z "${3:-}" ] || echo "$3" | head -5; fi
}
none() { if [ -z "$2" ]; then check "$1" 0; else check "$1" 1 "$2"; fi; }

# gcc's analyzer, section by section: of the whole it takes more memory than machines have. It does
# not follow every path where there are many; how often is counted (-Wanalyzer-too-complex).
analyze() { # section, or section:windows
    section=${1%:*} gcc=gcc transport=CURL out=$D/analyzer-$1
    case $1 in
    *:windows) gcc=x86_64-w64-mingw32-gcc transport=WINHTTP ;;
    *) printf '#include <curl/curl.h>\n' | gcc -E -x c - >/dev/null 2>&1 || transport=NOTHING ;;
    esac
    { printf '#define VITELEMETRY_%s\n' OS_SETTINGS $transport IMPLEMENTATION
      awk -v section="$section" -f tests/section.awk "$H"
    } >"$out.c"
    $gcc -std=c99 -O0 -fkeep-static-functions -fanalyzer -Wanalyzer-too-complex -c "$out.c" -o "$out.o" >"$out.log" 2>&1
    ended=$?
    # the other sections' functions are declared only; of the host's event, whose numbers are copied, it
    # knows nothing
    found=$(grep -E ': (warning|error): ' "$out.log" | grep -vE 'used but never defined|-Wanalyzer-too-complex|uninitialized value .\*\(long unsigned int \*\)&number')
    [ $ended = 0 ] || found="${found:-gcc ended with $ended}"
    printf '%s' "$found" >"$out.found"
}
if [ "${1:-}" = analyze ]; then
    analyze "$2"
    exit
fi

for f in $FILES; do
    [ -f "$f" ] || continue
    none "$f: 100 columns" "$(awk 'length($0) > 100 { print FILENAME ":" FNR }' "$f")"
    none "$f: ASCII, no tabs, no trailing blanks" "$(LC_ALL=C grep -nE '[^ -~]| $' "$f" | head -3)"
done

# what fuzzers and benchmarks must find can still be planted
for f in tests/fuzz.sh bench/planted.sh; do
    none "$f: each planted bug has its place" "$(sh $f places | grep '^FAIL')"
done

# the top level holds these and nothing else
none "nothing else lies at the top" "$(git ls-files 2>/dev/null | cut -d/ -f1 | sort -u |
    grep -vxE '\..*|Makefile|README\.md|UNLICENSE|vitelemetry\.h|examples|tests|bench' | head -3)"

# the collector's page, and what is compiled of it
none "examples/dashboard.html: 100 columns, ASCII, no tabs, no trailing blanks" \
    "$(LC_ALL=C grep -nE '[^ -~]| $|^.{101}' examples/dashboard.html | head -3)"
sh examples/html_to_c.sh | cmp -s - "${PAGE:-examples/dashboard.h}"
check "examples/dashboard.h is made of examples/dashboard.html" $?

# sections, in their order
want='limits atomics platform log text sha256 ids scrub json queue ledger record wire spool settings backoff curl winhttp consent stock audit worker crash session error client events'
have=$(grep -oE '^(/\*|  ) >>[a-z0-9]+' $H | sed 's/.*>>//' | tr '\n' ' ' | sed 's/ $//')
[ "$have" = "$want" ]; check "sections stand in their order" $? "$have"

# a private function carries its section's stem, or one of its parts', and is declared where it is
# defined
stems='platform:os atomics:atomic consent:plist consent:dconf consent:xml events:event ids:id ledger:schema
    ledger:repeat queue:pool queue:recover record:repeat record:print record:sample record:draft
    record:type record:cell worker:batch worker:teller'
none "private functions carry their section's stem" "$(awk -v stems="$stems" '
    BEGIN { n = split(stems, s, /[ \n]+/); for (i = 1; i <= n; i++) known[s[i]] = 1 }
    /^#define VITELEMETRY_IMPLEMENTED/ { on = 1 }
    /^(\/\*|  ) >>[a-z0-9]+/ { at = $0; sub(/.*>>/, "", at); sub(/[^a-z0-9].*/, "", at) }
    on && /^static .*[ *]vitp_[a-z0-9_]+\(/ {
        name = $0; sub(/\(.*/, "", name); sub(/.*[ *]vitp_/, "", name)
        stem = name; sub(/_.*/, "", stem)
        if (stem != at && !known[at ":" stem]) print FILENAME ":" FNR ": vitp_" name " in >>" at
    }' $H)"
none "no forward declarations of private functions" \
    "$(grep -nE '^static [^=]*vitp_[a-z0-9_]+\([^{]*\);$' $H)"
none "the system's macros stay in >>platform and >>winhttp" "$(awk '/^#endif \/\* POSIX \*\// { after = 1 }
    /^(\/\*|  ) >>/ { own = / >>winhttp/ } after && !own && /^#.*(_WIN32|__APPLE__|__linux__)/ { print FILENAME ":" FNR ": " $0 }' $H)"
# what forms.sh finds by compilers, and later
none "each macro VITP_ is undefined at the end" "$(awk '/^#define VITP_/ { split($2, name, "("); at[name[1]] = FNR }
    /^#undef VITP_/ { gone[$2] = 1 } END { for (m in at) if (!(m in gone)) print FILENAME ":" at[m] ": " m }' $H)"
# what a test of failing calls cannot reach
none "each call of the system is written VITP_OS(name)" "$(awk '/^  *>>platform/ { on = 1 } /^(\/\*|  ) >>log/ { on = 0 }
    on && /[^A-Za-z_.>"(](open|close|read|write|lseek|ftruncate|fstat|lstat|stat|fstatfs|flock|rename|unlink|link|mkdir|chmod|fchmod|fsync|access|opendir|readdir|closedir|readlink|getcwd|mmap|munmap|madvise|fallocate|getrlimit|syscall|sysconf|uname|gethostname|dlopen|dladdr|dl_iterate_phdr|GetModuleHandleEx[AW]|kill|raise|sigaction|sigaltstack|pthread_(create|join|sigmask|mutex_[a-z]+|cond_[a-z]+)|sem_[a-z]+|nanosleep|clock_gettime|getenv|(Create|Get)(File|Event|Mutex|Thread|Directory)[A-Za-z]*|CloseHandle|(ReadF|WriteF|MoveFileE|DeleteF|MapV|UnmapV)[A-Za-z]*|Virtual[A-Z][a-z]*|LoadLibraryA)\(/ && !/struct [a-z]+\(/ { print FILENAME ":" FNR ": " $0 }
    /[^A-Za-z_.>](malloc|free)\(/ && !/std::free/ { print FILENAME ":" FNR ": " $0 }' $H)"
none "no name that Qt has as a macro" \
    "$(sed '1,/^#ifndef VITELEMETRY_H/d; s,/\*.*,,' $H | grep -nE '[^A-Za-z_](slots|signals|emit|foreach|forever)[^A-Za-z_]' | grep -v '^[0-9]*:   [^ ]' | head -3)"
# three are allowed: the hook of a process, what is known of the machine's processor, and functions of
# Windows that were looked up
none "no thread-local storage, no mutable static objects" \
    "$(grep -nE '_Thread_local|__thread|thread_local|^ *static [a-z_0-9 ]+ (\*)?[a-z_]+(\[[^]]*\])?( = [^(]*)?;( /\*.*)?$' $H | grep -vE 'const|static (uint32_t way|uintptr_t kept);|vitp_os_hook;')"

# a newcomer looks for a program that uses it; the two that call everything for a disabled build show
# nothing
find examples tests bench -name '*.[ch]*' ! -path tests/disabled.c ! -path tests/one.c -exec cat {} + | tr -c 'A-Za-z0-9_' '\n' | sort -u >$D/words
none "each public function is used in an example or a test" "$({ sed -n 's/^VIT_API [^(]*[ *]\(vit_[a-z0-9_]*[a-z0-9]\)(.*/\1/p' $H
    sed -n '/^namespace vit/,/^} .. namespace/s/^static inline [a-z]* \([a-z_]*[a-z]\)(.*/\1/p; s/^class \([a-z_]*\)$/\1/p' $H
} | sort -u | tee $D/public | comm -23 - $D/words)"
[ "$(grep -c . $D/public)" -gt 60 ]; check "$(grep -c . $D/public) public functions and classes" $?
# and its comment, or that of its group, names one: [own_events.c, test_events.c]
none "the files in brackets use the call" "$(awk '/^\/\* \[In brackets/ { on = 1; next } /^#if.*VITELEMETRY_DISABLE/ { on = 0 } /^#else .*VITELEMETRY_DISABLE/ { on = 1 }
    /^#endif .* VITELEMETRY_H / { exit }
    match($0, /\[[a-z0-9_+\/]+\.c[a-z0-9_+.\/, ]*\]( \*\/)?$/) { files = $0; gsub(/.*\[|\].*|,/, "", files) }
    on && (/^VIT_API [^(]*[ *]vit_[a-z0-9_]*[a-z0-9]\(/ || /^static inline [a-z]+ [a-z_]*[a-z]\(/ || /^class [a-z_]+$/) {
        name = $0; sub(/\(.*/, "", name); sub(/.*[ *]/, "", name); print name, files }' $H |
    while read -r name files; do
        for f in $files; do cat "examples/$f" "tests/$f" "$f" 2>/dev/null; done | tr -c 'A-Za-z0-9_' '\n' | grep -qx "$name" || echo "$name: $files"
    done)"

# length of functions
awk '/^[A-Za-z].*\)$/ || /^[A-Za-z].*,$/ { head = NR } /^\{/ { s = NR } /^\}$/ { if (s) print NR - s + 1, FILENAME ":" s; s = 0 }
     /^[a-z].*\) \{ .*\}$/ { print 1, FILENAME ":" NR }' $H | sort -n >$D/lengths
count=$(wc -l <$D/lengths)
none "no function over 60 lines" "$(awk '$1 > 60' $D/lengths)"
median=$(awk -v n="$count" 'NR == int((n + 1) / 2) { print $1 }' $D/lengths)
[ "$median" -le 10 ]; check "median of $count functions: $median lines" $?
share=$(awk -v n="$count" '$1 <= 45 { k++ } END { print int(100 * k / n) }' $D/lengths)
[ "$share" -ge 95 ]; check "$share % of them within 45 lines" $?

# the version, in line 1, in the macros, and at the top of the history
v=$(sed -n 's/^#define VITELEMETRY_VERSION  *"\(.*\)"/\1/p' $H)
parts=$(sed -n 's/^#define VITELEMETRY_VERSION_[A-Z]*  *\([0-9]*\)$/\1/p' $H | tr '\n' '.' | sed 's/\.$//')
head -1 $H | grep -q "v$v " ; check "line 1 says $v" $?
[ "$parts" = "$v" ]; check "the macros say $v" $?
sed -n '/^\/\* HISTORY/{n;p;}' $H | grep -q "^ *$v "; check "the history begins with $v" $?

if [ "${1:-}" = tools ]; then
    printf '#define VITELEMETRY_OS_SETTINGS\n#define VITELEMETRY_IMPLEMENTATION\n#include "%s"\nint main(void) { return 0; }\n' "$PWD/$H" >$D/tidy.c
    # the header itself, not a file that includes it: what is included is not looked into by
    # clang-analyzer-*. (About two minutes.) Not findings, by their lines:
    #   a token's prefix is looked for where a letter stands, so that no row is before the first
    #   what is shifted are two digits that vitp_text_is_hex has seen
    curl=
    ! printf '#include <curl/curl.h>\n' | ${CC:-cc} -E -x c - >/dev/null 2>&1 || curl=-DVITELEMETRY_CURL
    clang-tidy --quiet $H -- -x c -std=c11 -DVITELEMETRY_IMPLEMENTATION -DVITELEMETRY_OS_SETTINGS $curl >$D/tidy.log 2>$D/tidy.errors
    ended=$?
    found=$(awk '/: (error|warning): / { f = $0; getline
        if (!index($0, "for (i = vitp_scrub_token_rows[letter - 1];") &&
            !index($0, "(vitp_text_hex_value(text[1]) << 4 | vitp_text_hex_value(text[2]))")) print f }' $D/tidy.log)
    [ $ended = 0 ] || grep -qE ': (error|warning): ' $D/tidy.log || found="it ended with $ended"
    none "clang-tidy" "$found"
    cppcheck --quiet --enable=warning,performance,portability --std=c99 --inline-suppr --error-exitcode=2 \
        --suppress=missingIncludeSystem -DVITELEMETRY_IMPLEMENTATION -D__linux__ \
        -DCLOCK_MONOTONIC=1 -DO_NOFOLLOW=1 -DMAP_ANONYMOUS=1 -DFALLOC_FL_KEEP_SIZE=1 \
        -D__ATOMIC_RELEASE=3 $D/tidy.c >$D/cppcheck.log 2>&1
    check "cppcheck" $? "$(cat $D/cppcheck.log)"
    if gcc -fanalyzer -x c -c /dev/null -o $D/nothing.o 2>/dev/null; then
        rm -f $D/analyzer-*
        sections=${SECTIONS:-$want}
        [ -n "${SECTIONS:-}" ] || ! command -v x86_64-w64-mingw32-gcc >/dev/null 2>&1 ||
            sections="$sections platform:windows winhttp:windows"
        # shellcheck disable=SC2086
        printf '%s\n' $sections | H=$H xargs -n 1 -P 2 sh "$0" analyze
        for s in $sections; do
            found='it did not end'
            [ ! -f "$D/analyzer-$s.found" ] || found=$(cat "$D/analyzer-$s.found")
            none "gcc's analyzer: $s" "$found"
        done
        echo "gcc's analyzer: branches that it gave up: $(cat $D/analyzer-*.log | grep -c 'Wanalyzer-too-complex')"
    else
        echo "skip gcc's analyzer: not here"
    fi
    if [ "$H" != vitelemetry.h ]; then :; elif command -v shellcheck >/dev/null 2>&1; then
        # not: variables that a script sets for another, or counts by; names with a hyphen; quotes in
        # a variable, which are meant as they stand
        shellcheck -s sh -S warning -e SC2034,SC2089,SC2090,SC2100 -f gcc tests/*.sh examples/*.sh bench/*.sh >$D/shellcheck.log
        check "shellcheck" $? "$(cat $D/shellcheck.log)"
    else
        echo "skip shellcheck: not here"
    fi
fi
echo "$passed passed, $failed failed"
[ $failed = 0 ]
