#!/bin/sh
# stack.sh GRAPH.ci HEADER: from gcc's -fcallgraph-info=su, each public function of the header, the
# bytes of the deepest path of calls from it, and the path. And the client's thread.
set -u
public=$(sed -n 's/^VIT_API .*[ *]\(vit_[a-z0-9_]*\)(.*/\1/p' "$2" | sort -u | tr '\n' ' ')
sed 's/[{}]//g' "$1" | awk -v public="$public" '
    function name(s) { gsub(/"/, "", s); sub(/^.*:/, "", s); return s }
    $1 == "node:" {
        n = name($3)
        if (match($0, /[0-9]+ bytes \([a-z,]+\)/)) {
            split(substr($0, RSTART, RLENGTH), part, " ")
            own[n] = part[1]
            if (part[3] ~ /dynamic/ && part[3] !~ /bounded/) unbounded = unbounded " " n
        }
    }
    $1 == "edge:" {
        for (i = 2; i < NF; i++) {
            if ($i == "sourcename:") from = name($(i + 1))
            if ($i == "targetname:") to = name($(i + 1))
        }
        if (!((from, to) in edge)) { edge[from, to] = 1; calls[from] = calls[from] " " to }
    }
    function deepest(f,    i, n, list, d, m, way) {
        if (f in done) return done[f]
        if (f in open) return 0
        open[f] = 1
        n = split(calls[f], list, " ")
        for (i = 1; i <= n; i++) {
            d = deepest(list[i])
            if (d > m) { m = d; way = path[list[i]] }
        }
        delete open[f]
        path[f] = f (way == "" ? "" : " " way)
        return done[f] = own[f] + m
    }
    END {
        for (f in own) base[f] = f
        n = split(public, list, " ")
        for (i = 1; i <= n; i++)
            if (list[i] in own) { print list[i], deepest(list[i]), path[list[i]]; count++ }
        for (f in own)
            if (f ~ /^vit_track_/ && index(" " public, " " f " ") == 0) { print f, deepest(f), path[f]; count++ }
        if ("vitp_worker_main" in own) print "thread:vitp_worker_main", deepest("vitp_worker_main"), path["vitp_worker_main"]
        if (unbounded != "") print "unbounded:" unbounded > "/dev/stderr"
        exit count < 20
    }' | sort -k1,1
