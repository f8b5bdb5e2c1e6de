# chart.awk: bar chart of benchmark<TAB>subject<TAB>median<TAB>min<TAB>max<TAB>unit lines, as SVG.
#   awk -f bench/chart.awk build/bench/peers.tsv >peers.svg
# One panel a benchmark, in the order of the file. The bar is the median, the whisker min to max.
# A bar that leaves its panel ends in a notch: the scale goes to four times the middle of the
# medians. OURS is the subject that is ours (by default the first of the file), also where its name
# goes on behind a comma; LABEL the room for names. Readable on light and dark ground.

BEGIN {
    FS = "\t"
    COLUMNS = 3; VALUE = 80; ROW = 17; HEAD = 40; GAP = 24
    if (!LABEL) LABEL = 150
    WIDTH = 270 + LABEL
    ours = OURS
}

NF == 6 {
    if (!($1 in count)) name[panels++] = $1
    i = count[$1]++
    subject[$1, i] = $2; median[$1, i] = $3 + 0; low[$1, i] = $4 + 0; high[$1, i] = $5 + 0
    unit[$1] = $6
}

function escape(s) {
    gsub(/&/, "\\&amp;", s); gsub(/</, "\\&lt;", s); gsub(/>/, "\\&gt;", s)
    return s
}

function amount(x) {
    if (x >= 1e6) return sprintf("%.1fM", x / 1e6)
    if (x >= 1e4) return sprintf("%.1fk", x / 1e3)
    return sprintf(x >= 100 ? "%.0f" : x >= 10 ? "%.1f" : "%.2f", x)
}

# End of the scale: all medians, but at most four times their middle.
function scale_of(p,    n, i, j, x, sorted, most) {
    n = count[p]
    for (i = 0; i < n; i++) {
        x = median[p, i]
        for (j = i; j > 0 && sorted[j - 1] > x; j--) sorted[j] = sorted[j - 1]
        sorted[j] = x
    }
    most = 4 * sorted[int(n / 2)]
    x = sorted[n - 1]
    if (most > 0 && x > most) x = most
    return x > 0 ? x * 1.05 : 1
}

function place(x, scale,    w) {
    w = (WIDTH - LABEL - VALUE) * x / scale
    if (w > WIDTH - LABEL - VALUE) w = WIDTH - LABEL - VALUE
    return w < 0 ? 0 : w
}

function bar(p, i, y, scale,    w, a, b, class, c) {
    w = place(median[p, i], scale); a = place(low[p, i], scale); b = place(high[p, i], scale)
    class = subject[p, i] == ours || index(subject[p, i], ours ",") == 1 ? "ours" : "peer"
    c = y + ROW / 2
    printf "<text class=\"%s\" x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%s</text>\n", class, \
        LABEL - 6, c + 4, escape(subject[p, i])
    printf "<rect class=\"%s\" x=\"%d\" y=\"%.1f\" width=\"%.1f\" height=\"%d\">", class, LABEL, \
        y + 2, (w < 0.5 ? 0.5 : w), ROW - 4
    printf "<title>%s: median %s, min %s, max %s %s</title></rect>\n", escape(subject[p, i]), \
        amount(median[p, i]), amount(low[p, i]), amount(high[p, i]), unit[p]
    if (median[p, i] > scale)
        printf "<path class=\"notch\" d=\"M%.1f %.1fl4 %dm-8 0l4 %d\"/>\n", LABEL + w - 8, y + 1, \
            ROW - 2, -(ROW - 2)
    printf "<path class=\"range\" d=\"M%.1f %.1fH%.1f\"/>\n", LABEL + a, c, LABEL + b
    printf "<text class=\"%s\" x=\"%.1f\" y=\"%.1f\">%s</text>\n", class, \
        LABEL + (w > b ? w : b) + 5, c + 4, amount(median[p, i])
}

function panel(p, x, y,    i, scale) {
    scale = scale_of(p)
    printf "<g transform=\"translate(%d %d)\">\n", x, y
    printf "<text class=\"title\" x=\"%d\" y=\"16\">%s</text>\n", LABEL, escape(p)
    printf "<text class=\"unit\" x=\"%d\" y=\"31\">%s, %s is better</text>\n", LABEL, \
        escape(unit[p]), unit[p] == "ns" ? "less" : "more"
    for (i = 0; i < count[p]; i++) bar(p, i, HEAD + i * ROW, scale)
    print "</g>"
}

# Height of the row of panels that begins with this one.
function row_height(first,    i, most) {
    for (i = first; i < first + COLUMNS && i < panels; i++)
        if (count[name[i]] > most) most = count[name[i]]
    return HEAD + most * ROW + GAP
}

END {
    if (panels == 0) exit 1
    # The first subject that is not the unit of measure, and is in more than one panel.
    for (i = 0; i < panels && ours == ""; i++)
        if (count[name[i]] > 1) ours = subject[name[i], 0]
    for (i = 0; i < panels; i += COLUMNS) height += row_height(i)
    printf "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" " \
        "height=\"%d\" font-family=\"system-ui, sans-serif\" font-size=\"11\">\n", \
        COLUMNS * WIDTH, height + GAP, COLUMNS * WIDTH, height + GAP
    print "<style>"
    print "svg{background:#fff} text{fill:#333} .title{font-size:13px;font-weight:600}"
    print ".unit{fill:#777} .peer{fill:#333} rect.peer{fill:#a9b4c0} rect.ours{fill:#1668c1}"
    print "text.ours{font-weight:600} .range{stroke:#222;stroke-opacity:.55}"
    print ".notch{stroke:#fff;stroke-width:2;fill:none}"
    print "@media (prefers-color-scheme:dark){svg{background:#14171b} text,text.peer{fill:#d5d9de}"
    print ".unit{fill:#8b939c} rect.peer{fill:#4c5866} rect.ours{fill:#58a6ff}"
    print ".range{stroke:#fff} .notch{stroke:#14171b}}"
    print "</style>"
    for (i = y = 0; i < panels; i++) {
        if (i > 0 && i % COLUMNS == 0) y += row_height(i - COLUMNS)
        panel(name[i], (i % COLUMNS) * WIDTH, y + GAP / 2)
    }
    print "</svg>"
}
