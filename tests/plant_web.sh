#!/bin/sh
# plant_web.sh: tests/test_web.py must see what is broken in copies of the collector and its page.
# PLANTS="3 7": these alone.
set -u
passed=0 failed=0 n=0
D=build/web_planted
rm -rf $D
mkdir -p $D
WEB_LOAD=$PWD/build/tests/web_load QUICK=1
export WEB_LOAD QUICK

# build DIR [FILE SED]: a collector in DIR of its own page, with something changed in one of both
build() {
    mkdir -p "$1/examples"
    cp examples/collector.c examples/dashboard.html examples/html_to_c.sh "$1/examples/"
    if [ $# = 3 ]; then
        sed "$3" "examples/$2" >"$1/examples/$2"
        ! cmp -s "examples/$2" "$1/examples/$2" || return 1
    fi
    (cd "$1" && sh examples/html_to_c.sh >examples/dashboard.h && ${CC:-cc} -std=c99 -O1 -w examples/collector.c -o collector) &&
        ln -sf "$PWD/build/examples/inspector" "$1/inspector"
}

# plant WHAT PARTS CHECK FILE SED: with it in these parts of the test a check that begins so fails
plant() {
    dir=$D/$((passed + failed))
    n=$((n + 1))
    case " ${PLANTS:-$n} " in *" $n "*) ;; *) return ;; esac
    if ! build "$dir" "$4" "$5"; then
        echo "FAIL $1: not planted"
        failed=$((failed + 1))
        return
    fi
    PARTS=$2 EXAMPLES=$dir WEB_DIR=$dir python3 tests/test_web.py >"$dir/log" 2>&1
    if grep -q "^FAIL *$3" "$dir/log"; then
        echo "ok   $1: $(grep -m1 "^FAIL *$3" "$dir/log")"
        passed=$((passed + 1))
        rm -rf "$dir"
    else
        echo "FAIL $1: not seen: $dir/log"
        failed=$((failed + 1))
    fi
}

if [ -n "${PLANTS:-}" ]; then :; elif build $D/none && EXAMPLES=$D/none WEB_DIR=$D/none python3 tests/test_web.py >$D/none/log 2>&1; then
    passed=1
    echo "ok   nothing planted: $(tail -1 $D/none/log)"
else
    failed=1
    echo "FAIL nothing planted: $D/none/log"
fi

h=dashboard.html c=collector.c
plant 'an empty page says nothing' kinds 'empty: it says' $h "s/\$('empty').hidden = !empty/\$('empty').hidden = true/"
plant 'two percentiles change places' storm 'storm: counts' $h 's/\[r.p50_ms, r.p95_ms, r.p99_ms/[r.p50_ms, r.p99_ms, r.p95_ms/'
plant 'the success share is that of all events' storm 'storm: succeeded' $h 's/share(good, bad))/share(good, state.total - good))/'
plant 'a bucket too far' storm 'storm: percentiles' $c 's/if (sum >= rank \&\& sum > 0) return hist_middle(i);/if (sum >= rank \&\& sum > 0) return hist_middle(i + 1);/'
plant 'sampling is not made good for' storm 'storm: counts' $c 's,r->estimated += 1 / e->sampling_rate,r->estimated += 1,'
plant 'errors in the order of their hashes' storm 'storm: errors by' $h 's/sort((a, b) => b.count - a.count ||/sort((a, b) => 0 ||/'
plant 'the page adds where it must replace' storm 'storm: counts' $h 's/names.set(row.event, row)/names.set(row.event, { ...row, count: row.count + ((names.get(row.event) || row).count === row.count ? 0 : 1) })/'
plant 'each ninth frame is not sent' storm 'storm: no update' $c 's/^    if (data.failed || c->out.failed) c->state = CONN_DEAD;/    static int n;\n    if (++n % 9 == 0) c->out.size = 0;\n&/'
plant 'a frame leaves out an event' storm 'storm: each update lists' $c 's/uint64_t first = from + 1 > all->first ? from + 1/uint64_t first = from + 2 > all->first ? from + 2/'
plant 'the page passes over a gap' storm 'storm: the page saw' $h 's/listed += frame.recent.length;/listed += frame.recent.length - (updates % 7 === 0);/'
plant 'the page keeps all events' storm 'storm: memory' $h 's/list.concat(frame.recent).slice(-LIST_MAX \* 2)/list.concat(frame.recent, JSON.parse(JSON.stringify(frame.recent)))/'
plant 'the list grows' storm 'storm: the list' $h 's/slice(-LIST_MAX).reverse/reverse/; s/slice(-LIST_MAX \* 2)/slice(-200)/'
plant 'markup in an event is taken for markup' hostile 'hostile: ' $h "s/pair.append(make('b', '', key.slice(0, 64)), ' ' + short);/pair.innerHTML = key + ' ' + short;/"
plant 'no policy' 'kinds policy' 'policy: nothing but' $c 's/"Content-Security-Policy: " DASHBOARD_POLICY/"X: "/'
plant 'the policy lets requests out' 'kinds policy' 'policy: a request' html_to_c.sh "s/connect-src 'self'/connect-src */"
plant 'any name of the host will do' 'kinds policy' 'policy: /live' $c 's/return h->host\[0\] \&\& !local_name(h->host) ? 421 : 0;/return 0;/'
plant 'it does not come back' lost 'lost: it comes' $h "s/^        lost(refused ?/        source.close();\n&/"
plant 'it does not say that it is lost' lost 'lost: it is seen' $h "s/^    show('lost', 'connection lost'/    show('live', 'live'/"
plant 'what is shown goes when it is lost' 'kinds lost' 'lost: the numbers' $h "s/^    show('lost', /    state = { ...state, total: 0 };\n&/"
plant 'pale letters' 'kinds looks' 'contrast: light' $h 's/--dim: #59616b/--dim: #8a929c/'
plant 'pale letters in the dark' 'kinds looks' 'contrast: dark' $h 's/--dim: #a2abb6/--dim: #5a636e/'
plant 'pale letters when it is lost' 'kinds lost' 'contrast: lost' $h 's/^\.stale .*/.stale .data { opacity: .6; }/'
plant 'too wide for a telephone' 'kinds looks' 'width: nothing goes over 400' $h 's/^\.page { /&min-width: 420px; /'
plant 'a table that leaves its place' 'kinds looks' 'width: no table' $h 's/#names .name { min-width: 29ch; }/#names .name { min-width: 69ch; }/'
plant 'it moves all the same' 'kinds looks' 'motion: none' $h 's/prefers-reduced-motion: no-preference/min-width: 1px/'
plant 'no outline' 'kinds keyboard' 'keyboard: the one' $h 's/outline: 2px solid var(--mark)/outline: 0/'
plant 'a heading that Tab does not reach' 'kinds keyboard' 'keyboard: Tab' $h "s/button.type = 'button';/button.tabIndex = -1;/"
plant 'sorted, but not said' 'kinds keyboard' 'keyboard: the heading' $h "s/cell.setAttribute('aria-sort'/cell.setAttribute('data-sort'/"
plant 'a table without a name' 'kinds access' 'access: each table' $h 's/<caption>The newest.*<.caption>//'
plant 'blocks are no rows on a telephone' 'kinds access' 'access: each part' $h "s/cell.setAttribute('role', 'columnheader');//"
plant 'a paused list goes on' 'kinds pause' 'pause: the list' $h 's/if (!paused) shownList/shownList/'
echo "$passed passed, $failed failed"
[ $failed = 0 ]
