#!/usr/bin/env python3
"""test_web.py: the collector's page in a real browser: what it shows against what was sent.

    make test-web               QUICK=1: fewer events. PARTS="kinds looks": these parts alone.
                                Pictures of the page lie in build/web/.

What the page must show is computed here from the stored lines (GET /events), by other means than
the collector's: sorted durations in place of its histogram."""
import decimal
import http.client
import json
import math
import os
import shutil
import signal
import socket
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import browser as cdp  # noqa: E402

D = os.environ.get("WEB_DIR", "build/web")
WANTED = os.environ.get("PARTS", "").split()
QUICK = bool(os.environ.get("QUICK"))
EVENTS = 2000 if QUICK else 10000
PER_SECOND = 1000
HEAP_ROOM = 256 << 10
RECENT_MAX = 512  # of collector.c
EXAMPLES = os.environ.get("EXAMPLES", "build/examples")
LOAD = os.environ.get("WEB_LOAD", "build/tests/web_load")
HWID = "123e4567-e89b-42d3-a456-426614174000"
passed = failed = 0
figures, contrasts = [], []


def check(name, good, *why):
    global passed, failed
    passed += bool(good)
    failed += not good
    print("ok   " if good else "FAIL ", name, flush=True)
    if not good:
        for w in why:
            print("      ", w, flush=True)


def same(name, got, expected):
    check(name, got == expected, "expected: %s" % (expected,), "got:      %s" % (got,))


# ---- the collector ------------------------------------------------------------------------------

class Collector:
    def __init__(self, folder, port=0):
        self.folder, self.port = folder, port
        self.start()

    def start(self):
        file = self.folder + ".port"
        if os.path.exists(file):
            os.remove(file)
        self.process = subprocess.Popen(
            [EXAMPLES + "/collector", "--port", str(self.port), "--port-file", file, "--dir",
             self.folder], stdout=subprocess.DEVNULL)
        until = time.monotonic() + 20
        while not os.path.exists(file) and time.monotonic() < until:
            time.sleep(0.02)
        self.port = int(open(file).read())
        self.url = "http://127.0.0.1:%d" % self.port

    def kill(self, number=signal.SIGKILL):
        self.process.send_signal(number)
        self.process.wait()

    def request(self, method, target, body=None, headers=None):
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        c.request(method, target, body, headers or {})
        answer = c.getresponse()
        data = "" if target == "/live" else answer.read().decode()  # that has no end
        c.close()
        return answer, data

    def stats(self):
        return json.loads(self.request("GET", "/stats")[1])

    def stored(self):
        return [json.loads(line) for line in self.request("GET", "/events")[1].splitlines()]

    def post(self, name, **metadata):
        event = {"hwid": HWID, "event_name": name, "app_version": "1", "client_type": "test",
                 "metadata": metadata}
        return self.request("POST", "/api/v1/telemetry", json.dumps(event),
                            {"Content-Type": "application/json"})[0].status


# ---- what must be shown --------------------------------------------------------------------------

def percentile(values, percent):
    """By nearest rank, exactly."""
    return sorted(values)[max(1, math.ceil(len(values) * percent / 100)) - 1]


def expected(lines):
    """By event name, and by error hash, what the lines say."""
    names, errors = {}, {}
    for line in lines:
        m = line["metadata"]
        row = names.setdefault(line["event_name"], {
            "count": 0, "estimated": 0.0, True: 0, False: 0, "durations": []})
        row["count"] += 1
        row["estimated"] += 1 / m.get("sampling_rate", 1)
        if isinstance(m.get("success"), bool):
            row[m["success"]] += 1
        ms = next((v for k, v in m.items() if k in ("latency_ms", "duration_ms")
                   and isinstance(v, (int, float)) and v >= 0), None)
        if ms is not None:
            row["durations"].append(ms)
        if "error_hash" in m:
            n = m["occurrences"] if line["event_name"] == "error.repeated" else 1
            errors[m["error_hash"]] = errors.get(m["error_hash"], 0) + n
    return names, errors


def rounded(value, digits):
    return decimal.Decimal(value).quantize(decimal.Decimal(1).scaleb(-digits),
                                           decimal.ROUND_HALF_UP)


def num(value):
    return "{:,}".format(int(rounded(value, 0)))


def ms(value):
    if value is None:
        return "\u2013"
    if value >= 100:
        return num(value)
    text = str(rounded(value, 2 if value < 10 else 1))
    return text.rstrip("0").rstrip(".") if "." in text else text


def share(good, bad):
    if good + bad == 0:
        return "\u2013"
    text = str(rounded(100 * good / (good + bad), 1))
    if bad and text == "100.0":
        return "> 99.9 %"
    return ("< 0.1" if good and text == "0.0" else text.replace(".0", "")) + " %"


def number(text):
    return float(text.replace(",", ""))


ROWS = """[...document.querySelectorAll('#%s tbody tr')].map(r => [...r.cells].map(c =>
    c.querySelector('.what') ? c.firstChild.textContent : c.textContent))"""


def shown(b, table):
    return b.js(ROWS % table)


def text(b, name):
    return b.js("document.getElementById('%s').textContent" % name)


def check_numbers(b, c, what):
    """All numbers of the page against the stored lines and against /stats."""
    names, errors = expected(c.stored())
    stats = c.stats()
    total = sum(r["count"] for r in names.values())
    if not b.wait("document.getElementById('total').textContent === '%s'" % num(total)):
        same(what + ": events in all", text(b, "total"), num(total))
        return
    b.wait("document.getElementById('updates').textContent !== ''")
    time.sleep(0.5)  # what follows the last frame is one drawing
    same(what + ": events in all, and by /stats", (number(text(b, "total")), stats["total"]),
         (total, total))
    rows = {r[0]: r[1:] for r in shown(b, "names")}
    same(what + ": names", sorted(rows), sorted(names))
    wrong, far, worst = [], [], 0.0
    for name, row in names.items():
        got, s = rows.get(name, [""] * 7), stats["events"][name]
        want = [num(row["count"]), num(row["estimated"]), share(row[True], row[False])]
        if got[:3] != want:
            wrong.append((name, got[:3], want))
        want = [ms(s[k]) for k in ("p50_ms", "p95_ms", "p99_ms", "max_ms")]
        if got[3:] != want:
            wrong.append((name, got[3:], want))
        for percent, cell in zip((50, 95, 99), got[3:6]):
            if not row["durations"]:
                continue
            true = percentile(row["durations"], percent)
            off = abs(number(cell) - true)
            if true >= 32:
                worst = max(worst, off / true)
            if off > max(true / 32 + 0.5, 1):
                far.append((name, percent, cell, true))
        if row["durations"] and got[6] != ms(max(row["durations"])):
            far.append((name, "max", got[6], max(row["durations"])))
    check(what + ": counts, before sampling, success share, and what /stats says", not wrong,
          *wrong[:3])
    check(what + ": percentiles within 3.2 % of the true ones", not far, *far[:3])
    if what == "storm":
        figures.append("percentiles off by at most %.1f %%" % (100 * worst))
    rows = [(r[0], number(r[1])) for r in shown(b, "errors")]
    want = sorted(errors.items(), key=lambda e: (-e[1], e[0]))[:12]
    same(what + ": errors by frequency", rows, want)
    same(what + ": errors in all", number(text(b, "error-count")), sum(errors.values()))
    good, bad = sum(r[True] for r in names.values()), sum(r[False] for r in names.values())
    same(what + ": succeeded in all", text(b, "success"), share(good, bad))
    same(what + ": before sampling in all", text(b, "estimated"),
         num(sum(r["estimated"] for r in names.values())))


# ---- parts ---------------------------------------------------------------------------------------

# Each frame as the browser received it, whatever the page makes of it.
RECORD = """window.frames_ = []; {
    const add = EventSource.prototype.addEventListener;
    EventSource.prototype.addEventListener = function (type, ...more) {
        if (type === 'frame') add.call(this, type, m => {
            const f = JSON.parse(m.data);
            frames_.push([f.whole, f.from, f.to, f.recent.length, f.recent.length
                ? f.recent[0][0] : 0, f.recent.length ? f.recent[f.recent.length - 1][0] : 0]);
        });
        add.call(this, type, ...more);
    };
}
window.violations_ = [];
document.addEventListener('securitypolicyviolation', e => violations_.push(e.effectiveDirective));
"""


def part_empty(b, c):
    check("the page opens", b.open(c.url + "/"))
    check("empty: it is connected",
          b.wait("document.getElementById('status').textContent === 'live'"))
    check("empty: it says so, and where to send to",
          b.wait("!document.getElementById('empty').hidden")
          and text(b, "endpoint") == c.url + "/api/v1/telemetry")
    same("empty: no table of nothing", b.js("['figures', 'names-panel', 'errors-panel', "
         "'list-panel'].map(i => document.getElementById(i).offsetHeight)"), [0, 0, 0, 0])
    check("empty: what is kept is there",
          b.js("document.getElementById('kept-panel').offsetHeight"))
    b.picture(D + "/empty.png")


def part_kinds(b, c):
    subprocess.run([EXAMPLES + "/inspector", "--endpoint", c.url + "/api/v1/telemetry",
                    "--data-dir", D + "/state", "--dir", os.path.abspath(D + "/db"),
                    "README.md"], stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT, check=True)
    check("kinds: the empty page fills itself", b.wait("document.getElementById('empty').hidden"))
    check("kinds: each of the 15 kinds was sent", len(expected(c.stored())[0]) == 15)
    check_numbers(b, c, "kinds")
    lines = c.stored()
    got = [r[1] for r in shown(b, "list")]
    same("kinds: they are listed, newest first", got,
         [line["event_name"] for line in reversed(lines)])
    kept = b.js("['raw', 'raw-days', 'daily', 'daily-days'].map(i => "
                "document.getElementById(i).textContent)")
    size = os.path.getsize(next(e.path for e in os.scandir(c.folder) if e.name.startswith("ev")))
    b.wait("document.getElementById('raw').textContent.includes('%.1f KiB')" % (size / 1024))
    kept = b.js("['raw', 'raw-days', 'daily-days'].map(i => "
                "document.getElementById(i).textContent)")
    same("kept: days and bytes", kept, ["1 day, %.1f KiB" % (size / 1024), "30 days", "400 days"])


HOSTILE = "<img src=x onerror='window.hacked=1'><script>window.hacked=1</script>"


def part_hostile(b, c):
    total = c.stats()["total"]
    elements = b.js("document.querySelectorAll('img, script, iframe').length")
    same("hostile: a name that is markup is refused", c.post(HOSTILE), 400)
    names = ["__proto__", "constructor", "toString", "hasOwnProperty", "a" * 64]
    for name in names:
        same("hostile: %.20s is a name" % name, c.post(name, success=True, duration_ms=5), 201)
    c.post("hostile.values", **{HOSTILE: HOSTILE, "__proto__": HOSTILE, "\u202egnp.exe": "\u202e",
                                "error_hash": HOSTILE[:60], "exception_type": HOSTILE,
                                "db_type": HOSTILE, "nested": {"a": [HOSTILE]}, "nul": "\0\n\r"})
    c.post("hostile.long", text="x" * 4000)
    check("hostile: all arrive", b.wait("document.getElementById('total').textContent === '%s'"
                                        % num(total + len(names) + 2)))
    check("hostile: the markup is shown as text", b.wait(
        "[...document.querySelectorAll('#list bdi')].some(e => e.textContent.includes('<img src'))")
        and b.js("[...document.querySelectorAll('#errors code')].some(e => "
                 "e.textContent.startsWith('<img'))"))
    same("hostile: no element came of it, no script ran",
         b.js("[document.querySelectorAll('img, script, iframe').length, window.hacked || 0]"),
         [elements, 0])
    check("hostile: what is too long is not shown",
          b.js("document.getElementById('list').textContent.includes('too long to show')"))
    check_numbers(b, c, "hostile")
    b.picture(D + "/hostile.png")


def part_policy(b, c):
    answer, page = c.request("GET", "/")
    policy = answer.getheader("Content-Security-Policy") or ""
    check("policy: nothing but its own script, style and server",
          policy.startswith("default-src 'none'; connect-src 'self';") and "unsafe" not in policy
          and "frame-ancestors 'none'" in policy and "form-action 'none'" in policy, policy)
    outside = [w for w in ("http://", "https://", "//cdn", "@import", "src=") if w in page]
    same("policy: the page names nothing outside", outside, [])
    other = socket.socket()
    other.bind(("127.0.0.1", 0))
    other.listen()
    other.settimeout(1)
    there = "http://127.0.0.1:%d/" % other.getsockname()[1]
    b.js("violations_.length = 0")
    same("policy: a request elsewhere is blocked", b.js(
        "Promise.race([fetch('%s', {mode: 'no-cors'}).then(() => 'sent', () => 'blocked'), "
        "new Promise(done => setTimeout(done, 3000, 'under way'))])" % there), "blocked")
    b.js("""{ const i = new Image(); i.src = '%s'; document.body.append(i);
        const s = document.createElement('script'); s.textContent = 'window.hacked = 2';
        document.body.append(s); const t = document.createElement('script'); t.src = '%s';
        document.body.append(t); const f = document.createElement('iframe'); f.src = '%s';
        document.body.append(f);
        document.body.insertAdjacentHTML('beforeend', '<b id=styled style="color:red">x</b>'); }"""
         % (there, there, there))
    b.wait("violations_.length >= 6", 5)
    kinds = sorted(set(b.js("violations_")))
    same("policy: so are images, scripts, frames and styles", kinds,
         ["connect-src", "frame-src", "img-src", "script-src-elem", "style-src-attr"])
    same("policy: and the script did not run", b.js("window.hacked || 0"), 0)
    came = b""
    try:
        while True:  # a connection that was opened ahead of the decision says nothing
            who = other.accept()[0]
            who.settimeout(1)
            try:
                came += who.recv(1000)
            except socket.timeout:
                pass
            who.close()
    except socket.timeout:
        pass
    same("policy: nothing came to the other server", came, b"")
    other.close()
    same("policy: its own server may be asked", b.js("fetch('/health').then(r => r.status)"), 200)
    for target in "/", "/live", "/stats":
        same("policy: %s under another name is refused" % target,
             c.request("GET", target, headers={"Host": "evil.example"})[0].status, 421)
    b.open(c.url + "/")


def part_keyboard(b, c):
    b.wait("document.getElementById('status').textContent === 'live' && "
           "document.querySelectorAll('#names tbody tr').length > 5")
    b.js("document.activeElement.blur()")
    order, rings = [], []
    for _ in range(12):
        b.key("Tab", 9)
        order.append(b.js("(e => e.id || e.textContent)(document.activeElement)"))
        rings.append(b.js("(s => s.outlineStyle + ' ' + parseFloat(s.outlineWidth))"
                          "(getComputedStyle(document.activeElement))"))
    want = ["filter", "Event", "Count", "Before sampling", "Succeeded", "p50 ms", "p95 ms",
            "p99 ms", "max ms", "pause"]
    same("keyboard: Tab reaches each control in order", order[:10], want)
    same("keyboard: the one that has it is outlined", rings[:10], ["solid 2"] * 10)
    b.js("document.querySelector('#names thead button').focus()")
    b.key("Enter", 13, "\r")
    names = [r[0] for r in shown(b, "names")]
    same("keyboard: Enter sorts by name", names, sorted(names))
    b.key("Enter", 13, "\r")
    same("keyboard: and again, the other way", [r[0] for r in shown(b, "names")],
         sorted(names, reverse=True))
    same("keyboard: the heading says so", b.js(
        "[...document.querySelectorAll('#names th[aria-sort]')].map(e => "
        "e.textContent + ' ' + e.getAttribute('aria-sort'))"), ["Event descending"])
    b.key("Tab", 9)
    b.key(" ", 32, " ")
    counts = [number(r[1]) for r in shown(b, "names")]
    same("keyboard: the space bar sorts by count", counts, sorted(counts, reverse=True))
    b.js("document.getElementById('filter').focus()")
    b.type("QUERY")
    got = [r[0] for r in shown(b, "names")]
    check("keyboard: typing filters the names",
          "query.executed" in got and all("query" in n for n in got), got)
    b.key("Escape", 27)
    b.js("document.getElementById('filter').value = ''; "
         "document.getElementById('filter').dispatchEvent(new Event('input'))")


def part_pause(b, c):
    b.js("document.getElementById('pause').focus()")
    b.key(" ", 32, " ")
    before = shown(b, "list")
    c.post("paused.event")
    b.wait("document.getElementById('list-note').textContent.includes('1 event since')")
    same("pause: the list stands still", shown(b, "list"), before)
    check("pause: the count goes on", any(r[0] == "paused.event" for r in shown(b, "names")))
    same("pause: the button says that it is pressed",
         b.js("document.getElementById('pause').getAttribute('aria-pressed')"), "true")
    b.key(" ", 32, " ")
    check("pause: and goes on", b.wait(
        "document.querySelector('#list tbody tr').cells[1].textContent === 'paused.event'"))


# The least contrast of all text that is seen, and whose it is (WCAG 2, 1.4.3).
CONTRAST = """(() => {
    const parse = c => [...c.match(/[\\d.]+/g).map(Number), 1].slice(0, 4);
    const over = (a, b) => a.slice(0, 3).map((v, i) => v * a[3] + b[i] * (1 - a[3])).concat(1);
    const light = c => c.slice(0, 3).map(v => (v /= 255) <= .04045 ? v / 12.92 :
        ((v + .055) / 1.055) ** 2.4).reduce((s, v, i) => s + v * [.2126, .7152, .0722][i], 0);
    const back = e => {
        const c = e ? parse(getComputedStyle(e).backgroundColor) : [255, 255, 255, 1];
        return c[3] < 1 ? over(c, back(e.parentElement)) : c;
    };
    let worst = [99, '', 0];
    const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walk.nextNode()) {
        const e = walk.currentNode.parentElement, s = getComputedStyle(e);
        if (!walk.currentNode.data.trim() || !e.checkVisibility()) continue;
        if (/SCRIPT|CAPTION/.test(e.tagName)) continue;
        let opacity = 1;
        for (let p = e; p; p = p.parentElement) opacity *= +getComputedStyle(p).opacity;
        const b = back(e), c = parse(s.color), f = over([...c.slice(0, 3), c[3] * opacity], b);
        const [x, y] = [light(f), light(b)].sort((p, q) => q - p), ratio = (x + .05) / (y + .05);
        worst[2]++;
        if (ratio < worst[0]) worst = [ratio, walk.currentNode.data.trim().slice(0, 40), worst[2]];
    }
    return worst;
})()"""


def check_contrast(b, what):
    ratio, whose, count = b.js(CONTRAST)
    check("contrast: %s: at least 4.5" % what, ratio >= 4.5 and count > 5, ratio, whose, count)
    contrasts.append(ratio)


def part_looks(b, c):
    back = []
    for scheme in "light", "dark":
        b.media(prefers_color_scheme=scheme)
        for width, height in ((1280, 1300), (900, 1200), (400, 1400)):
            b.size(width, height)
            b.wait("document.querySelectorAll('#names tbody tr').length > 5")
            b.js("scrollTo(0, 0)")
            b.picture("%s/%s-%d.png" % (D, scheme, width))
            check_contrast(b, "%s, %d wide" % (scheme, width))
            over = b.js("""[document.documentElement.scrollWidth, ...[...document.querySelectorAll(
                'body *')].filter(e => e.checkVisibility() && e.getBoundingClientRect().right >
                innerWidth + .5 && !e.closest('svg, caption')).map(e => e.tagName + e.id)]""")
            same("width: nothing goes over %d pixels, %s" % (width, scheme), over, [width])
            same("width: no table is wider than its place, %d, %s" % (width, scheme), b.js(
                "[...document.querySelectorAll('table')].filter(t => t.offsetWidth > "
                "t.parentElement.clientWidth).map(t => t.id)"), [])
        back.append(b.js("getComputedStyle(document.body).backgroundColor"))
    check("looks: the schemes differ", back[0] != back[1], back)
    b.size(400, 800)
    same("width: at 400 every number is still there", b.js(
        "[...document.querySelector('#names tbody tr').cells].every(c => c.offsetWidth > 0)"), True)
    b.size(1280, 900)
    moves = "[getComputedStyle(document.querySelector('.dot')).animationName, " \
            "getComputedStyle(document.querySelector('.meter i')).transitionDuration]"
    b.media(prefers_color_scheme="light", prefers_reduced_motion="no-preference")
    same("motion: some, where it is wanted", b.js(moves), ["pulse", "0.25s"])
    b.media(prefers_color_scheme="light", prefers_reduced_motion="reduce")
    same("motion: none, where it is not", b.js(moves), ["none", "0s"])
    b.media(prefers_color_scheme="light")


def part_access(b, c):
    tree = b("Accessibility.getFullAXTree")["nodes"]

    def named(role):
        return [n.get("name", {}).get("value", "") for n in tree
                if n.get("role", {}).get("value") == role and not n.get("ignored")]
    tables = named("table")
    check("access: each table has a name", len(tables) == 3 and all(tables), tables)
    check("access: each button has a name", named("button") and all(named("button")))
    check("access: each drawing has a name", len(named("image")) == 2 and all(named("image")),
          named("image"))
    same("access: headings begin at 1 and skip none", b.js(
        "[...document.querySelectorAll('h1, h2, h3')].filter(e => e.checkVisibility())"
        ".map(e => e.tagName).join(' ')"), "H1 H2 H2 H2 H2")
    same("access: one place alone speaks up by itself", b.js(
        "[...document.querySelectorAll('[aria-live], [role=status], [role=alert]')]"
        ".map(e => e.id)"), ["status"])
    # as blocks they are none for some browsers, unless it is said
    same("access: each part of a table says what it is", b.js(
        "[...document.querySelectorAll('table, thead, tbody, tr, th, td')]"
        ".filter(e => !e.hasAttribute('role')).map(e => e.outerHTML.slice(0, 60))"), [])
    b.size(400, 800)
    tree = b("Accessibility.getFullAXTree")["nodes"]
    check("access: at 400 pixels tables are tables, too", len(named("table")) == 3
          and len(named("columnheader")) == 16, named("table"), named("columnheader"))
    b.size(1280, 900)


def part_storm(b, c):
    """Events at full speed, with the page open."""
    b.js("frames_.length = 0")
    before = c.stats()["total"]
    updates = number(text(b, "updates"))
    listed, passed_over = number(text(b, "listed")), number(text(b, "passed"))
    stalled = socket.create_connection(("127.0.0.1", c.port))  # a page that never reads
    stalled.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    stalled.sendall(b"GET /live HTTP/1.1\r\nHost: localhost\r\n\r\n")
    start = time.monotonic()
    load = subprocess.Popen([LOAD, c.url + "/api/v1/telemetry", str(EVENTS), str(PER_SECOND)],
                            stdout=subprocess.DEVNULL)
    heaps = []
    for part in (EVENTS // 5, EVENTS):
        check("storm: %d events are seen" % part, b.wait(
            "+document.getElementById('total').textContent.replaceAll(',', '') >= %d"
            % (before + part), 120))
        if part == EVENTS:
            load.wait()
            b.wait("document.getElementById('total').textContent === '%s'" % num(before + EVENTS))
            figures.append("%d events in %.1f s" % (EVENTS, time.monotonic() - start))
        heaps.append(b.heap())
    same("storm: the program delivered all", load.returncode, 0)
    frames = b.js("frames_")
    gaps = [(a, z) for a, z in zip(frames, frames[1:]) if z[1] != a[2]]
    check("storm: no update is missing between two others", not gaps and len(frames) > 10, gaps[:3])
    same("storm: updates cover each event once", sum(f[2] - f[1] for f in frames), EVENTS)
    short = [f for f in frames if f[3] != min(f[2] - f[1], RECENT_MAX)]
    check("storm: each update lists its events, or as many as it may", not short, short[:3])
    numbers = [f for f in frames if f[3]]
    check("storm: numbers of the listed events follow each other",
          all(f[5] - f[4] + 1 == f[3] and f[5] == f[2] for f in numbers))
    same("storm: the page saw each event, or counted it",
         number(text(b, "listed")) - listed + number(text(b, "passed")) - passed_over, EVENTS)
    check("storm: the page took each update, and missed none", number(text(b, "missed")) == 0
          and number(text(b, "updates")) - updates >= len(frames) - 1)
    same("storm: the list has a limit", b.js("document.querySelectorAll('#list tbody tr').length"),
         30)
    grown = heaps[1][0] - heaps[0][0]
    check("storm: memory of the page does not grow", grown < HEAP_ROOM, heaps)
    check("storm: nor do its nodes", heaps[1][1] - heaps[0][1] < 1500, heaps)
    figures.append("%d updates, %d events not listed; heap %d KiB at %d events, %d KiB at %d" % (
        len(frames), number(text(b, "passed")) - passed_over, heaps[0][0] >> 10, EVENTS // 5,
        heaps[1][0] >> 10, EVENTS))
    stalled.close()
    check_numbers(b, c, "storm")
    days = {}
    for line in c.stored():
        days[line["created_at"][:10]] = days.get(line["created_at"][:10], 0) + 1
    check("storm: what is kept catches up", b.wait(
        "document.getElementById('days-most').textContent === 'at most %s a day'"
        % num(max(days.values()))))


def part_lost(b, c):
    total = text(b, "total")
    c.kill()
    check("lost: it is seen", b.wait("document.getElementById('status').textContent === "
                                     "'connection lost'"))
    why = text(b, "why")
    check("lost: it says what happened, and from when the numbers are",
          "127.0.0.1:%d does not answer" % c.port in why and "What you see is from" in why, why)
    check("lost: the title says so", b.js("document.title.startsWith('(lost)')"))
    b.picture(D + "/lost.png")
    for scheme in "light", "dark":
        b.media(prefers_color_scheme=scheme)
        check_contrast(b, "lost, " + scheme)
    b.media(prefers_color_scheme="light")
    check("lost: it tries again by itself", b.wait("/\\d times/.test("
          "document.getElementById('why').textContent)"))
    same("lost: the numbers stay", text(b, "total"), total)
    c.start()
    check("lost: it comes back by itself", b.wait(
        "document.getElementById('status').textContent === 'live' && "
        "document.getElementById('lost').hidden && !document.title.startsWith('(lost)')"))
    check_numbers(b, c, "after a killed collector")
    c.post("after.restart")
    check("lost: events arrive again", b.wait("[...document.querySelectorAll('#names tbody th')]"
                                              ".some(e => e.textContent === 'after.restart')"))
    c.kill()
    b.wait("!document.getElementById('lost').hidden")
    c.start()
    b.js("document.getElementById('again').focus()")
    b.key("Enter", 13, "\r")
    check("lost: or at once, when asked", b.wait("document.getElementById('lost').hidden"))
    if QUICK:
        return
    c.process.send_signal(signal.SIGSTOP)
    check("silent: a collector that hangs is seen", b.wait(
        "document.getElementById('why').textContent.includes('nothing was heard')", 40))
    c.process.send_signal(signal.SIGCONT)
    check("silent: and when it goes on", b.wait("document.getElementById('lost').hidden", 40))


def part_clone(b, c):
    """From a clone to the first event on the page: two commands, as README.md has them."""
    clone = D + "/clone"
    shutil.rmtree(clone, ignore_errors=True)
    if not os.path.exists(".git"):
        print("skip  no repository to clone")
        return
    start = time.monotonic()
    subprocess.run(["git", "clone", "-q", ".", clone], check=True)
    make = subprocess.Popen(["make", "-s", "dashboard", "PORT=0"], cwd=clone,
                            stdout=subprocess.DEVNULL, start_new_session=True)
    file, url = clone + "/build/dashboard/port", None
    while not url and make.poll() is None and time.monotonic() - start < 60:
        time.sleep(0.05)
        if os.path.exists(file):
            url = "http://127.0.0.1:%d/" % int(open(file).read())
    seen = url and b.open(url) and b.wait("document.querySelectorAll('#list tbody tr').length > 0",
                                          60)
    figures.append("from git clone to the first event on the page %.1f s"
                   % (time.monotonic() - start))
    check("clone: two commands later the first event is seen", seen)
    check("clone: and more come", b.wait("document.querySelectorAll('#names tbody tr').length > 10",
                                         60))
    os.killpg(make.pid, signal.SIGINT)
    try:
        make.wait(20)
        check("clone: it ends when it is interrupted", b.wait(
            "document.getElementById('status').textContent === 'connection lost'"))
    except subprocess.TimeoutExpired:
        os.killpg(make.pid, signal.SIGKILL)
        check("clone: it ends when it is interrupted", False)


PARTS = (part_kinds, part_keyboard, part_pause, part_storm, part_looks, part_access, part_lost,
         part_hostile, part_policy, part_clone)


def main():
    unknown = set(WANTED) - {part.__name__[5:] for part in PARTS}
    if unknown:
        sys.exit("no part: " + ", ".join(unknown))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    os.makedirs(D, exist_ok=True)
    for name in ("events", "state", "db"):
        shutil.rmtree(D + "/" + name, ignore_errors=True)
    c = Collector(D + "/events")
    b = cdp.Browser(os.path.abspath(D + "/profile"))
    try:
        figures.append(b("Browser.getVersion")["product"])
        b("Page.addScriptToEvaluateOnNewDocument", source=RECORD)
        b.size(1280, 900)
        b.media(prefers_color_scheme="light")
        part_empty(b, c)
        for part in PARTS:
            name = part.__name__[5:]
            if name in WANTED if WANTED else not (QUICK and part is part_clone):
                part(b, c)
        thrown = [e["params"] for e in b.events if e["method"] == "Runtime.exceptionThrown"]
        same("no error in the page", thrown, [])
    except Exception as error:  # what is not seen has failed
        check("the test comes to its end", False, repr(error))
    finally:
        b.close()
        c.kill(signal.SIGTERM)
    if contrasts:
        figures.append("least contrast %.1f" % min(contrasts))
    print("; ".join(figures))
    print("%d passed, %d failed" % (passed, failed))
    return 0 if passed and not failed else 1


if __name__ == "__main__":
    sys.exit(main())
