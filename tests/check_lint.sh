#!/bin/sh
# Each rule of tests/lint.sh refuses a header that breaks it, and that rule does, not another.
set -u
D=build/check_lint
passed=0 failed=0
rm -rf $D
mkdir -p $D

sh_lint() { H=$D/broken.h sh tests/lint.sh >$D/out 2>&1; }

# what is broken, the rule, an awk program that breaks it
breaks() {
    awk "$3" vitelemetry.h >$D/broken.h
    if cmp -s vitelemetry.h $D/broken.h; then
        failed=$((failed + 1))
        echo "FAIL $1: nothing was broken"
    elif ! sh_lint && [ "$(grep -c '^FAIL' $D/out)" = "${4:-1}" ] && grep "^FAIL" $D/out | grep -q -- "$2"; then
        passed=$((passed + 1))
        echo "ok   $1"
    else
        failed=$((failed + 1))
        echo "FAIL $1: not seen, or more than that"
        grep -A 2 '^FAIL' $D/out | head -6
    fi
}

# adds a line or more at the end of a section: the line before the next one's banner
added() { printf '/^   >>%s:/ { at = 1 } at && /^\\/\\* ====/ { %s at = 0 } { print }' "$1" "$2"; }
# functions of so many lines each, so many of them
functions() {
    added spool "for (k = 0; k < $1; k++) { printf \"static int vitp_spool_no%d(void)\\n{\\n\", k;
        for (l = 0; l < $2 - 3; l++) print \"    (void)0;\"; print \"    return 0;\\n}\\n\" }"
}

cp vitelemetry.h $D/broken.h
if sh_lint && ! grep -q '^FAIL' $D/out; then
    passed=$((passed + 1))
    echo "ok   the header as it is"
else
    failed=$((failed + 1))
    echo "FAIL the header as it is"
    grep '^FAIL' $D/out
fi

breaks 'a line of 101 columns' '100 columns' "$(added spool 'printf "/*%97s*/\n", "";')"
breaks 'a character beyond ASCII' 'ASCII' "$(added spool 'print "/* caf\303\251 */";')"
breaks 'a tab' 'ASCII' "$(added spool 'print "/*\ttab */";')"
breaks 'a blank at the end' 'ASCII' "$(added spool 'print "/* */ ";')"
breaks 'two sections change places' 'sections stand' \
    '{ if (/^   >>backoff:/) sub(/backoff/, "settings"); else if (/^   >>settings:/) sub(/settings/, "backoff"); print }' 2
breaks 'a section is gone' 'sections stand' '!/^   >>audit:/' 2
breaks 'a section that is not known' 'sections stand' "$(added spool 'print "/* >>zebra: */";')"
breaks 'a public function that no example and no test uses' 'public function' \
    '/^VIT_API bool vit_pump/ { print "VIT_API void vit_unheard_of(void);" } { print }' 2
breaks 'a comment that names a file without the call' 'in brackets' '{ sub(/\[pump\.c\]/, "[queue.c]") } { print }'
breaks 'a comment that names no file' 'in brackets' '{ sub(/ \[pump\.c\]/, "") } { print }'
breaks 'a forward declaration' 'no forward' "$(added spool 'print "static int vitp_spool_later(int n);";')"
breaks 'a function of another section' "section's stem" \
    "$(added spool 'print "static int vitp_wire_misplaced(void) { return 0; }";')"
for macro in _WIN32 __APPLE__ __linux__; do
    breaks "$macro below the platform" "the system's macros" "$(added spool "print \"#if defined($macro)\\n#endif\";")"
done
breaks 'a macro that stays' 'each macro VITP_' "$(added spool 'print "#define VITP_SPOOL_STAYS 1";')"
for word in slots signals emit foreach forever; do
    breaks "a variable $word" 'name that Qt' "$(added spool "print \"enum { $word };\";")"
done
breaks 'thread-local storage' 'thread-local' "$(added spool 'print "static __thread int vitp_spool_n;";')"
breaks 'a static object' 'mutable static' "$(added spool 'print "static int vitp_spool_n;";')"
breaks 'a static object with a value' 'mutable static' "$(added spool 'print "static uint32_t vitp_spool_n = 1;";')"
breaks 'a static object in a function' 'mutable static' \
    "$(added spool 'print "static int vitp_spool_f(void)\n{\n    static int n;\n    return n++;\n}";')"
breaks 'a function of 61 lines' 'no function over 60' "$(functions 1 61)"
breaks 'functions of 50 lines' 'of them within 45' "$(functions 200 50)"
breaks 'half of the functions have 12 lines' 'median' "$(functions 2500 12)"
breaks 'line 1 has another version' 'line 1' 'NR == 1 { sub(/v[0-9.]+/, "v9.9.9") } { print }'
breaks 'the text has another version' 'line 1' \
    '/^#define VITELEMETRY_VERSION  *"/ { sub(/"[0-9.]+"/, "\"9.9.9\"") } { print }' 3
for part in MAJOR MINOR PATCH; do
    breaks "the $part has another version" 'the macros' "/^#define VITELEMETRY_VERSION_$part / { sub(/[0-9]+\$/, \"9\") } { print }"
done
breaks 'the history begins with another version' 'the history' \
    '/^\/\* HISTORY/ { print; getline; sub(/[0-9]+\.[0-9]+\.[0-9]+/, "9.9.9") } { print }'

# a page that was changed, and not made C of
sed 's/h1/h2/' examples/dashboard.h >$D/page.h
cp vitelemetry.h $D/broken.h
if ! PAGE=$D/page.h sh_lint && [ "$(grep '^FAIL' $D/out)" = 'FAIL examples/dashboard.h is made of examples/dashboard.html' ]; then
    passed=$((passed + 1))
    echo "ok   a page that is not the one"
else
    failed=$((failed + 1))
    echo "FAIL a page that is not the one"
fi

# a file at the top of the repository, in a copy of git's index
if index=$(git rev-parse --git-path index 2>/dev/null) && [ -f "$index" ]; then
    cp "$index" $D/index
    cp vitelemetry.h $D/broken.h
    GIT_INDEX_FILE=$D/index
    export GIT_INDEX_FILE
    git update-index --add --cacheinfo "100644,$(git ls-files -s README.md | cut -d' ' -f2),notes.txt"
    if ! sh_lint && [ "$(grep '^FAIL' $D/out)" = 'FAIL nothing else lies at the top' ]; then
        passed=$((passed + 1))
        echo "ok   a file at the top"
    else
        failed=$((failed + 1))
        echo "FAIL a file at the top"
        cat $D/out
    fi
else
    echo "skip a file at the top: no git here"
fi
echo "$passed passed, $failed failed"
[ $failed = 0 ]
