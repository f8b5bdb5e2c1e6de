# curves.awk: line charts of panel<TAB>series<TAB>median<TAB>min<TAB>max<TAB>unit<TAB>x lines, as SVG.
#   awk -f bench/curves.awk build/bench/curves.tsv >curves.svg
# One chart a panel; both scales are logarithmic, so that what grows in proportion is a slope of one
# and what does not grow is level. The line is the median, the band min to max. Readable on light
# and dark ground.

BEGIN {
    FS = "\t"
    COLUMNS = 2; WIDTH = 420; HEIGHT = 250; LEFT = 58; RIGHT = 16; TOP = 40; BOTTOM = 46
    panels = 0
}

NF == 7 && $7 > 0 && $3 > 0 {
    if (!($1 in number)) { number[$1] = panels; name[panels++] = $1 }
    p = number[$1]
    if (!((p, $2) in series)) { series[p, $2] = lines[p] + 0; label[p, lines[p] + 0] = $2; lines[p]++ }
    s = series[p, $2] + 0
    i = points[p, s]++ + 0
    x[p, s, i] = $7; y[p, s, i] = $3; low[p, s, i] = $4 > 0 ? $4 : $3; high[p, s, i] = $5
    unit[p] = $6
    if (!(p in x0) || $7 < x0[p]) x0[p] = $7
    if (!(p in x1) || $7 > x1[p]) x1[p] = $7
    if (!(p in y0) || $3 < y0[p]) y0[p] = $3
    if (!(p in y1) || $3 > y1[p]) y1[p] = $3
}

function escape(s) {
    gsub(/&/, "\\&amp;", s); gsub(/</, "\\&lt;", s); gsub(/>/, "\\&gt;", s)
    return s
}

function amount(v) {
    if (v >= 1e6) return sprintf("%gM", v / 1e6)
    if (v >= 1e4 && v % 1000 == 0) return sprintf("%dk", v / 1e3)
    return v >= 1e4 ? sprintf("%d", v) : sprintf("%g", v)
}

function px(p, v) {
    if (x1[p] == x0[p]) return LEFT
    return LEFT + (WIDTH - LEFT - RIGHT) * log(v / x0[p]) / log(x1[p] / x0[p])
}

function py(p, v) {
    v = log(v / bottom[p]) / log(top[p] / bottom[p])
    v = v < 0 ? 0 : v > 1 ? 1 : v
    return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * v
}

# Whole powers of ten around what is drawn.
function scale(p) {
    bottom[p] = 1; top[p] = 1
    while (bottom[p] > y0[p]) bottom[p] /= 10
    while (bottom[p] * 10 <= y0[p]) bottom[p] *= 10
    while (top[p] < y1[p]) top[p] *= 10
    if (top[p] <= bottom[p]) top[p] = bottom[p] * 10
}

function grid(p,    v, s, i, last) {
    for (v = bottom[p]; v <= top[p] * 1.001; v *= 10) {
        printf "<path class=\"grid\" d=\"M%d %.1fH%d\"/>\n", LEFT, py(p, v), WIDTH - RIGHT
        printf "<text class=\"unit\" x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%s</text>\n", LEFT - 6, \
            py(p, v) + 4, amount(v)
    }
    last = -99
    for (i = 0; i < points[p, 0]; i++) {
        v = px(p, x[p, 0, i])
        if (v - last < 30) continue
        last = v
        printf "<text class=\"unit\" x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%s</text>\n", v, \
            HEIGHT - BOTTOM + 16, amount(x[p, 0, i])
    }
}

function draw(p, s,    i, d, band) {
    for (i = 0; i < points[p, s]; i++) {
        d = d sprintf("%s%.1f %.1f", i ? "L" : "M", px(p, x[p, s, i]), py(p, y[p, s, i]))
        band = band sprintf("%s%.1f %.1f", i ? "L" : "M", px(p, x[p, s, i]), py(p, high[p, s, i]))
    }
    for (i = points[p, s] - 1; i >= 0; i--)
        band = band sprintf("L%.1f %.1f", px(p, x[p, s, i]), py(p, low[p, s, i]))
    printf "<path class=\"band s%d\" d=\"%sz\"/>\n<path class=\"line s%d\" d=\"%s\"/>\n", s, band, s, d
    for (i = 0; i < points[p, s]; i++) {
        printf "<circle class=\"dot s%d\" cx=\"%.1f\" cy=\"%.1f\" r=\"2.5\">", s, px(p, x[p, s, i]), \
            py(p, y[p, s, i])
        printf "<title>%s at %s: %s %s</title></circle>\n", escape(label[p, s]), \
            amount(x[p, s, i]), amount(y[p, s, i]), unit[p]
    }
}

function legend(p,    s, at) {
    at = LEFT
    for (s = 0; s < lines[p]; s++) {
        printf "<path class=\"line s%d\" d=\"M%d %dh14\"/>\n", s, at, HEIGHT - 10
        printf "<text x=\"%d\" y=\"%d\">%s</text>\n", at + 18, HEIGHT - 6, escape(label[p, s])
        at += 30 + 6 * length(label[p, s])
    }
}

END {
    if (panels == 0) exit 1
    rows = int((panels + COLUMNS - 1) / COLUMNS)
    printf "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" " \
        "height=\"%d\" font-family=\"system-ui, sans-serif\" font-size=\"11\">\n", \
        COLUMNS * WIDTH, rows * HEIGHT + 12, COLUMNS * WIDTH, rows * HEIGHT + 12
    print "<style>"
    print "svg{background:#fff} text{fill:#333} .title{font-size:13px;font-weight:600} .unit{fill:#777}"
    print ".grid{stroke:#e3e6ea} .line{fill:none;stroke-width:2} .band{stroke:none;fill-opacity:.15}"
    print ".line.s0{stroke:#1668c1} .s0{fill:#1668c1} .line.s1{stroke:#b3541e} .s1{fill:#b3541e}"
    print ".line.s2{stroke:#3b7d3b} .s2{fill:#3b7d3b} path.line{fill:none}"
    print "@media (prefers-color-scheme:dark){svg{background:#14171b} text{fill:#d5d9de}"
    print ".unit{fill:#8b939c} .grid{stroke:#2a3038} .line.s0{stroke:#58a6ff} .s0{fill:#58a6ff}"
    print ".line.s1{stroke:#f0a36b} .s1{fill:#f0a36b} .line.s2{stroke:#7cc47c} .s2{fill:#7cc47c}"
    print "}"
    print "</style>"
    for (p = 0; p < panels; p++) {
        scale(p)
        printf "<g transform=\"translate(%d %d)\">\n", p % COLUMNS * WIDTH, int(p / COLUMNS) * HEIGHT + 6
        printf "<text class=\"title\" x=\"%d\" y=\"16\">%s</text>\n", LEFT, escape(name[p])
        printf "<text class=\"unit\" x=\"%d\" y=\"31\">%s an event</text>\n", LEFT, escape(unit[p])
        grid(p)
        for (s = 0; s < lines[p]; s++) draw(p, s)
        legend(p)
        print "</g>"
    }
    print "</svg>"
}
