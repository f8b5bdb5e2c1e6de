# check_demo.awk - what examples/inspector.c must report, computed a second time (any POSIX awk)
#
#     awk -v mode=model -v bytes=SIZE -f check_demo.awk TEXT      numbers by the rules in the head
#                                                                 comment of examples/inspector.c
#     awk -v mode=stored -f check_demo.awk events-*.ndjson        the same names, from what the
#                                                                 backend stored; "keys" a line
#
# Both print lines of `name value`. Needs LC_ALL=C (bytes); all whole numbers stay below 2^31.

BEGIN {
    for (i = 1; i < 256; i++) byte_of[sprintf("%c", i)] = i
    near = 0.3141592
    rows = 0
}

mode == "model" {
    size[rows] = length($0)
    embed($0)
    rows++
}

mode == "stored" { read_event($0) }

END { if (mode == "model") model() }

# ---- model: V[row, 0..255], mean M, centres C ----------------------------------------------------

function embed(line,    n, first, i, h, p, sum, j) {
    for (j = 0; j < 256; j++) V[rows, j] = 0
    n = length(line)
    for (first = 1; first <= (n > 2 ? n - 2 : n > 0); first++) {
        h = 0
        for (p = first; p < first + 3 && p <= n; p++)
            h = (h * 1009 + byte_of[substr(line, p, 1)]) % 1000003
        V[rows, h % 256]++
    }
    for (j = 0; j < 256; j++) sum += V[rows, j] * V[rows, j]
    if (sum > 0)
        for (j = 0; j < 256; j++) V[rows, j] /= sqrt(sum)
}

function cosine_with_probe(row,    j, sum) {
    for (j = 0; j < 256; j++) sum += V[row, j] * probe[j]
    return sum
}

function similarity(    best, i, j, hits) {
    for (i = 1; i < rows; i++) if (size[i] > size[best + 0]) best = i
    for (j = 0; j < 256; j++) probe[j] = V[best + 0, j]
    for (i = 0; i < rows; i++) hits += i != best + 0 && cosine_with_probe(i) > near
    return hits + 0
}

function vector(    i, j, sum, hits) {
    for (j = 0; j < 256; j++) {
        probe[j] = 0
        for (i = 0; i < rows; i++) probe[j] += V[i, j]
        if (rows) probe[j] /= rows
    }
    for (j = 0; j < 256; j++) sum += probe[j] * probe[j]
    for (j = 0; j < 256 && sum > 0; j++) probe[j] /= sqrt(sum)
    for (i = 0; i < rows; i++) hits += cosine_with_probe(i) > near
    return hits > 10 ? 10 : hits + 0
}

function nearest(row,    i, j, d, sum, least, best) {
    for (i = 0; i < k; i++) {
        sum = 0
        for (j = 0; j < 256; j++) {
            d = C[i, j] - V[row, j]
            sum += d * d
        }
        if (i == 0 || sum < least) { least = sum; best = i }
    }
    return best
}

function one_pass(    i, to, changed) {
    for (i = 0; i < k; i++) members[i] = 0
    for (i = 0; i < rows; i++) {
        to = nearest(i)
        if (passes == 0 || to != of[i]) changed = 1
        of[i] = to
        members[to]++
    }
    return changed
}

function move(    i, j) {
    for (i = 0; i < k; i++)
        for (j = 0; j < 256 && members[i]; j++) C[i, j] = 0
    for (i = 0; i < rows; i++)
        for (j = 0; j < 256; j++) C[of[i], j] += V[i, j]
    for (i = 0; i < k; i++)
        for (j = 0; j < 256 && members[i]; j++) C[i, j] /= members[i]
}

function k_means(    i, j, changed) {
    k = int(sqrt(rows / 2))
    if (k > 8) k = 8
    if (k < 1 && rows) k = 1
    for (i = 0; i < k; i++)
        for (j = 0; j < 256; j++) C[i, j] = V[int(i * rows / k), j]
    while (rows) {
        changed = one_pass()
        passes++
        if (passes == 12 || !changed) break
        move()
    }
    for (i = 0; i < k; i++) found += members[i] > 0
}

function model(    i, long_lines, drawn) {
    for (i = 0; i < rows; i++) {
        long_lines += size[i] >= 40
        drawn += size[i] > 0
    }
    k_means()
    print "estimated_rows", int((bytes + 39) / 40)
    print "rows_created", rows
    print "batch_size", rows
    print "similarity", similarity()
    print "vector", vector()
    print "metadata", long_lines + 0
    print "params", "k=" k ",iterations=" passes + 0
    print "dataset_size", rows
    print "cluster_count", found + 0
    print "noise_count", 0
    print "points_rendered", drawn + 0
}

# ---- stored: a reader for one flat object in another ---------------------------------------------

# Takes a string at the start of `rest` and returns it as written, without its quotes.
function take_string(    i, c, text) {
    for (i = 2; i <= length(rest); i++) {
        c = substr(rest, i, 1)
        if (c == "\\") i++
        else if (c == "\"") break
    }
    text = substr(rest, 2, i - 2)
    rest = substr(rest, i + 1)
    return text
}

# Takes any value; objects are read member by member into value[prefix name].
function take_value(prefix,    text) {
    if (rest ~ /^"/) return take_string()
    if (rest ~ /^\{/) return take_object(prefix)
    match(rest, /^[^,}]*/)
    text = substr(rest, 1, RLENGTH)
    rest = substr(rest, RLENGTH + 1)
    return text
}

# Returns the names of an object's members, joined by commas, in their order.
function take_object(prefix,    names, name) {
    rest = substr(rest, 2)
    while (rest ~ /^"/) {
        name = take_string()
        rest = substr(rest, 2)
        names = names (names ? "," : "") name
        value[prefix name] = take_value(prefix name ".")
        if (rest ~ /^,/) rest = substr(rest, 2)
    }
    rest = substr(rest, 2)
    return names
}

function show(member) { print member, value["metadata." member] }

function read_event(line,    event, name) {
    for (name in value) delete value[name]
    rest = line
    print "keys", take_object("") (rest == "" ? "" : "+garbage")
    event = value["event_name"]
    print "event", event
    if (event == "sample_db.create_started") show("estimated_rows")
    if (event == "sample_db.create_completed") show("rows_created")
    if (event == "embedding.request") show("batch_size")
    if (event == "query.executed")
        print value["metadata.query_type"], value["metadata.result_count"]
    if (event == "clustering.run") {
        show("params")
        show("dataset_size")
        show("cluster_count")
        show("noise_count")
    }
    if (event == "visualization.generated") show("points_rendered")
}
