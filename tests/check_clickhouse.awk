# check_clickhouse.awk - one line an event: its members by name, with their values (any POSIX awk)
#
#     awk -f check_clickhouse.awk sent.ndjson       {"hwid":...,"metadata":{"os":...}}
#     awk -f check_clickhouse.awk stored.ndjson     {"hwid":...,"metadata.os":...}
#
# The same events give the same lines: members of an object get its name and a dot, those that are
# null are left out, true is 1 and false 0, each character of a text is written in one way. Needs
# LC_ALL=C (bytes). Status 1: a line is not an object.

BEGIN {
    split("b t n . f r", short, " ")
    for (i = 0; i < 16; i++) digit[substr("0123456789abcdef", i + 1, 1)] = i
}

{
    rest = $0
    fields = 0
    object("")
    if (rest != "") bad()
    print_sorted()
}

function bad() {
    printf "%s:%d: malformed at: %s\n", FILENAME, FNR, rest >"/dev/stderr"
    exit 1
}

function next_is(c) { return substr(rest, 1, 1) == c }

function take(c) {
    if (!next_is(c)) bad()
    rest = substr(rest, 2)
}

function object(prefix,    name) {
    take("{")
    while (!next_is("}")) {
        name = text()
        take(":")
        value(prefix name)
        if (next_is(",")) take(",")
        else if (!next_is("}")) bad()
    }
    take("}")
}

function value(name,    word) {
    if (next_is("{")) object(name ".")
    else if (next_is("\"")) add(name, "\"" text() "\"")
    else {
        if (!match(rest, /^[-+.0-9A-Za-z]+/)) bad()
        word = substr(rest, 1, RLENGTH)
        rest = substr(rest, RLENGTH + 1)
        if (word != "null") add(name, word == "true" ? 1 : word == "false" ? 0 : word)
    }
}

function add(name, v) { field[++fields] = name "=" v }

function text(    out, c) {
    take("\"")
    while (!next_is("\"")) {
        if (match(rest, /^[^"\\]+/)) {
            out = out substr(rest, 1, RLENGTH)
            rest = substr(rest, RLENGTH + 1)
        } else {
            take("\\")
            c = substr(rest, 1, 1)
            take(c)
            out = out (c == "u" ? character() : c == "/" ? c : "\\" c)
        }
        if (rest == "") bad()
    }
    take("\"")
    return out
}

# After \u: ASCII as itself or by its short escape, all else in UTF-8.
function character(    code, i) {
    for (i = 1; i <= 4; i++) code = code * 16 + digit[tolower(substr(rest, i, 1))]
    rest = substr(rest, 5)
    if (code >= 8 && code <= 13 && code != 11) return "\\" short[code - 7]
    if (code < 32) return sprintf("\\u%04x", code)
    if (code == 34 || code == 92) return sprintf("\\%c", code)
    if (code < 128) return sprintf("%c", code)
    if (code < 2048) return sprintf("%c%c", 192 + int(code / 64), 128 + code % 64)
    return sprintf("%c%c%c", 224 + int(code / 4096), 128 + int(code / 64) % 64, 128 + code % 64)
}

function print_sorted(    i, j, moved) {
    for (i = 2; i <= fields; i++) {
        moved = field[i]
        for (j = i - 1; j > 0 && field[j] > moved; j--) field[j + 1] = field[j]
        field[j + 1] = moved
    }
    for (i = 1; i <= fields; i++) printf "%s%s", field[i], i < fields ? "\t" : "\n"
}
