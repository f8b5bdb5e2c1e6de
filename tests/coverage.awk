# coverage.awk: unites what llvm-cov-19 says of each program, and judges it. Called by coverage.sh:
#   awk -f coverage.awk vitelemetry.h coverage_excluded.txt {X.folded X.lcov RS=... X.json RS=...}
# X.folded: places (line:column) of branches that are constant in program X.
# Variables: lines, branches, mcdc (the least percentages), table, missing (files to write).

function name_of(s,   n)
{
    sub(/^.*[:;]/, "", s)
    if (s !~ /^_Z/) return s
    if (match(s, /^_ZL?[0-9]+/) == 0) return "" # a method, a template: its place tells
    n = substr(s, 1, RLENGTH)
    sub(/^_ZL?/, "", n)
    return substr(s, RLENGTH + 1, n + 0)
}

# the places of the macros through which one comes to file f of this function; root: the first
function site(f, place,   s)
{
    root = place
    for (s = ""; f in from; f = inside[f]) { s = s "<" from[f]; root = from[f] }
    return s
}

function before(l, c, l2, c2) { return l < l2 || (l == l2 && c < c2) }

function depth_of(f,   d)
{
    for (d = 0; f in from; f = inside[f]) d++
    return d
}

# Of the branches that begin at one place of the function, through macros or not, the outermost is
# the condition that stands there, whatever a program has defined the macro to be: it is known by
# that place alone. Fills outer[place]: the number of it.
function find_outer(parts, n,   c, w, d, span)
{
    split("", outer); split("", depth); split("", size)
    for (c = 1; c <= n; c++) {
        split(parts[c], w, ",")
        site(w[7], w[1] ":" w[2])
        d = depth_of(w[7])
        span = (w[3] - w[1]) * 10000 + w[4] - w[2]
        if ((root in outer) && (d > depth[root] || (d == depth[root] && span <= size[root]))) continue
        outer[root] = c
        depth[root] = d
        size[root] = span
    }
}

function function_of(r,   head, parts, n, i, k, b, w, m, f, key, name, c, cond, at, list)
{
    i = index(r, "],\"count\":")
    k = index(r, ",\"name\":\"")
    if (i == 0 || k == 0 || r !~ /"filenames":\["[^"]*vitelemetry\.h"/) return
    head = substr(r, k + 9)
    name = name_of(substr(head, 1, index(head, "\"") - 1))
    split("", from); split("", inside); split("", spot); split("", spots); split("", seen)
    b = substr(r, index(r, "\"regions\":[[") + 12)
    n = split(b, parts, /\],\[/)
    for (c = 1; c <= n; c++) {
        split(parts[c], w, ",")
        if (w[8] + 0 == 1) { from[w[7]] = w[1] ":" w[2]; inside[w[7]] = w[6] }
        else { m = w[1] ":" w[2] ":" w[3] ":" w[4]; spot[m, ++spots[m]] = w[6] }
    }
    head = substr(r, index(r, "\"filenames\":[") + 13)
    split(substr(head, 1, index(head, "]") - 1), files, ",")
    cond = 0
    n = i > 3 ? split(substr(r, 3, i - 3), parts, /\],\[/) : 0
    find_outer(parts, n)
    for (c = 1; c <= n; c++) {
        split(parts[c], w, ",")
        sub(/\]*$/, "", w[9])
        if (w[9] == 6) { line[++cond] = w[1] + 0; column[cond] = w[2] + 0; within[cond] = w[7] }
        if ((w[1] ":" w[2]) in folded) continue
        key = name "|" w[1] ":" w[2] site(w[7], w[1] ":" w[2])
        if (outer[root] == c) key = name "|" root
        if (files[w[7] + 1] ~ /vitelemetry\.h"/) {
            branch[key] = root + 0
            spelled[key] = w[1] ":" w[2]
            place[key] = substr(root, index(root, ":") + 1)
        } else if (outer[root] != c) continue # within a macro of a test's or the system's
        if (w[5] != "0") yes[key] = 1
        if (w[6] != "0") no[key] = 1
    }
    b = substr(r, index(r, "\"mcdc_records\":[") + 16)
    b = substr(b, 1, index(b, ",\"name\":") - 2)
    n = split(b, parts, /\]\],\[/)
    for (c = 1; c <= n && b != ""; c++) {
        gsub(/[][]/, "", parts[c])
        k = split(parts[c], w, ",") - 6
        key = w[1] ":" w[2] ":" w[3] ":" w[4]
        f = spot[key, ++seen[key]]
        m = 0
        for (i = 1; i <= cond; i++)
            if (!before(line[i], column[i], w[1] + 0, w[2] + 0) &&
                before(line[i], column[i], w[3] + 0, w[4] + 0))
                list[++m] = i
        # the record does not say of which file it is: an expression or a condition there does
        if (f == "") f = m ? within[list[1]] : 0
        if (files[f + 1] !~ /vitelemetry\.h"/) continue
        # where it ends depends on what a program has defined its last macro to be
        key = name "|" w[1] ":" w[2] site(f, w[1] ":" w[2]) "|" k
        for (i = 1; i <= k; i++) {
            at = m == k ? line[list[i]] ":" column[list[i]] : w[1] ":" w[2]
            if (at in folded) continue
            if (m == k || !((key, i) in condition)) condition[key, i] = f in from ? root : at
            if (w[6 + i] == "true") alone[key, i] = 1
        }
    }
}

FNR == 1 { ++file; kind = FILENAME; sub(/^.*\./, "", kind) }
file == 1 { # the header
    if (!match($0, />>[a-z0-9]+:/)) section[FNR] = current
    else section[FNR] = current = substr($0, RSTART + 2, RLENGTH - 3)
    if (current == "") section[FNR] = "(public)"
    if ($0 ~ /^[A-Za-z].*[A-Za-z0-9_]\(/ && match($0, /[A-Za-z0-9_]+\(/))
        head = substr($0, RSTART, RLENGTH - 1)
    if ($0 ~ /^\{/ || ($0 ~ /^[A-Za-z].*\) \{/)) now = head
    owner[FNR] = now
    text[FNR] = $0
    if ($0 ~ /^\}/ || $0 ~ /^[A-Za-z].*\) \{.*\}$/) now = ""
    next
}
file == 2 { # what is excluded
    if ($0 == "" || /^#/) next
    if (split($0, part, /\t+/) != 3) { complain(FNR, "not three columns"); next }
    e_line[++entries] = FNR
    e_owner[entries] = part[1]
    e_text[entries] = part[2]
    e_why[entries] = part[3]
    next
}
kind == "folded" { if (FNR == 1) split("", folded); if ($0 != "-") folded[$0] = 1; next }
kind == "lcov" {
    if (/^SF:/) ours = /vitelemetry\.h$/
    if (ours && /^DA:/) { split(substr($0, 4), w, ","); run[w[1]] = run[w[1]] || w[2] + 0 > 0 }
    next
}
kind == "json" { function_of($0); next }

# percent, rounded down
function share(x, s) { return all[x, s] ? int(got[x, s] * 1000 / all[x, s]) / 10 : 100 }

function complain(entry, what) { print "FAIL  coverage_excluded.txt:" entry ": " what; bad++ }

# Is the place of the line excluded? Column 0: the line was not run.
function is_excluded(l, column,   i, from)
{
    column += 0 # a piece of a text until now
    for (i = 1; i <= matches[l]; i++) {
        from = index(text[l], e_text[match_of[l, i]])
        if (column && (column < from || column >= from + length(e_text[match_of[l, i]]))) continue
        used[match_of[l, i]] = 1
        why[l] = e_why[match_of[l, i]]
        return 1
    }
    return 0
}

# notes what is missing; true: it counts
function note(l, column, what)
{
    if (is_excluded(l, column)) return 0
    gap[l] = gap[l] (gap[l] == "" ? "" : "; ") what
    return 1
}

function find_matches(   e, l, met)
{
    for (e = 1; e <= entries; e++) {
        met = 0
        for (l = 1; l <= last; l++)
            if (index(text[l], e_text[e]) && (owner[l] == "" ? "-" : owner[l]) == e_owner[e]) {
                met = 1
                match_of[l, ++matches[l]] = e
            }
        if (!met) { complain(e_line[e], "matches nothing"); used[e] = 1 }
    }
}

function judge(what, have, least)
{
    if (have + 0 >= least + 0) { passed++; print "ok    " what " " have " %, at least " least }
    else { failed++; print "FAIL  " what " " have " %, not " least }
}

END {
    for (l in text) if (l + 0 > last) last = l + 0
    find_matches()
    for (l = 1; l <= last; l++) {
        s = section[l]
        if (!(s in known)) { known[s] = 1; names[++sections] = s }
        if (!(l in run)) continue
        measured++
        if (run[l] || note(l, 0, "not run")) { all["l", s]++; got["l", s] += run[l] }
    }
    for (k in branch) {
        l = branch[k]; s = section[l]; n = (k in yes) + (k in no)
        at = spelled[k] # in a macro: it may be excluded for all places of use
        if (n < 2 && (at + 0 != l) && is_excluded(at + 0, substr(at, index(at, ":") + 1))) at = ""
        what = k in yes ? " never false" : k in no ? " never true" : " never asked"
        if (n == 2 || at != "" && note(l, place[k], "column " place[k] what)) {
            all["b", s] += 2
            got["b", s] += n
        } else { all["b", s] += n; got["b", s] += n }
    }
    for (k in condition) {
        l = condition[k] + 0; s = section[l]
        at = substr(condition[k], index(condition[k], ":") + 1)
        if ((k in alone) || note(l, at, "condition at " condition[k] " never decides alone")) {
            all["m", s]++
            got["m", s] += k in alone
        }
    }
    # that no case of a switch was met is derived from the others: a kill in it looks like that
    for (e = 1; e <= entries; e++)
        if (!(e in used) && e_text[e] !~ /^switch \(/) complain(e_line[e], "is covered")
    for (l in why) excluded++
    printf "%-10s %21s %21s %21s\n", "section", "lines", "branches", "MC/DC" >table
    for (i = 1; i <= sections + 1; i++) {
        s = i > sections ? "all" : names[i]
        if (s != "all" && !all["l", s] && !all["b", s]) continue
        out = sprintf("%-10s", s)
        split("l b m", letters, " ")
        for (j = 1; j <= 3; j++) {
            x = letters[j]
            out = out sprintf(" %6d of %5d %5.1f%%", got[x, s], all[x, s], share(x, s))
            if (s != "all") { got[x, "all"] += got[x, s]; all[x, "all"] += all[x, s] }
        }
        print out >table
    }
    for (l = 1; l <= last; l++)
        {
            if (l in why)
                printf "%d\texcluded: %s\t%s\t\t%s\n", l, why[l], owner[l], text[l] >missing
            if (l in gap)
                printf "%d\tmissing\t%s\t%s\t%s\n", l, owner[l], gap[l], text[l] >missing
        }
    close(table)
    while ((getline out <table) > 0) print out
    judge("lines", share("l", "all"), lines)
    judge("branches", share("b", "all"), branches)
    judge("MC/DC", share("m", "all"), mcdc)
    what = "lines excluded: " excluded + 0 " of " measured ", 2 % at most"
    if (excluded * 50 <= measured) { passed++; print "ok    " what }
    else { failed++; print "FAIL  " what }
    if (bad) failed++
    else { passed++; print "ok    each exclusion is needed" }
    printf "coverage: lines %s %%, branches %s %%, MC/DC %s %%", share("l", "all"),
        share("b", "all"), share("m", "all")
    printf " (%d lines excluded of %d)\n", excluded, measured
    print passed + 0 " " failed + 0 >(table ".count")
}
