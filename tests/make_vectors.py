"""Prints the tables of tests/test_ids.c: own answers for vit_should_sample and vit_error_hash.

    python3 tests/make_vectors.py > build/vectors.txt

and paste what it prints between the two marks of tests/test_ids.c. The tests do not run it.
"""
import hashlib
import math
import re

# Non-ASCII characters that are no letters; all others, and bytes that are not UTF-8, are letters.
MARKS = ("\x80-\xa9\xab-\xb1\xb4\xb6-\xb8\xbb\xbf\xd7\xf7\u2000-\u206f\u20a0-\u20cf\u2190-\u2bff"
         "\u3000-\u3003\u3008-\u3011")
WORD = "(?:[0-9A-Za-z_]|[^\\x00-\\x7f" + MARKS + "])"


def quotient(event, seed):
    digest = hashlib.sha256(seed + b":" + event).hexdigest()
    return int(digest[:8], 16) / 0xFFFFFFFF


def error_hash(kind, message, frame):
    text = message.decode("utf-8", "surrogateescape")
    text = re.sub("0x[0-9a-fA-F]+", "#hex", text)
    text = re.sub("(?<!" + WORD + ")[0-9]+(?!" + WORD + ")", "#n", text)
    text = re.sub("['\"].*?['\"]", "#str", text)
    text = text.encode("utf-8", "surrogateescape").strip(b" \t\n\v\f\r")
    return hashlib.sha256(kind + b"|" + (frame or b"") + b"|" + text).hexdigest()[:16]


def c_text(b):
    if b is None:
        return "NULL"
    out = ""
    for c in b:
        out += chr(c) if 32 <= c < 127 and c not in b"\"\\?" else "\\%03o" % c
    return '"' + out + '"'


def row(*cells):
    line = "{ " + ", ".join(cells) + " },"
    if len(line) > 96:  # the last two cells begin a line of their own
        line = "{ " + ", ".join(cells[:-2]) + ",\n      " + ", ".join(cells[-2:]) + " },"
    print("    " + line)


def sampling():
    print("static const sample_vector sample_vectors[] = {")
    pairs = [(b"query.executed", b"8d3c7a52-5c3e-4f0e-9a53-3b0a4f6d1c11"),
             (b"embedding.request", b"8d3c7a52-5c3e-4f0e-9a53-3b0a4f6d1c11"),
             (b"query.executed", b"session-1"), (b"query.executed", b"session-2"),
             (b"embedding.request", b"session-1"), (b"a", b""), (b"", b"a"), (b"", b""),
             (None, b"seed"), (b"event", None), (None, None), (b"b", b"a:"), (b":b", b"a"),
             ("caf\u00e9".encode(), "\u96ea".encode()), (b"x" * 64, b"y" * 64),
             (b"UncaughtException", b"0")]
    for event, seed in pairs:
        q = quotient(event or b"", seed or b"")
        for rate in (q, math.nextafter(q, 1), math.nextafter(q, 0), 0.05, 0.5):
            row(c_text(event), rate.hex(), c_text(seed), "true" if q < rate else "false")
    # NaN, infinities, and at or beyond the ends
    for rate, want in (("NAN", 0), ("INFINITY", 1), ("-INFINITY", 0), ("1.0", 1), ("2.0", 1),
                       ("0.0", 0), ("-0.0", 0), ("-1.0", 0), ("0x1p-1074", 0)):
        row('"query.executed"', rate, '"session-1"', "true" if want else "false")
    print("};")


def errors():
    print("static const hash_vector hash_vectors[] = {")
    e = b"ValueError"
    messages = [
        b"", b" ", b" \t\r\n\v\f", b"plain", b"  plain\n", b"\x1cplain\x1f", b"two  words", b"1",
        b"12 34", b"a1", b"1a", b"1_", b"_1", b"1.5", b"-7", b"a 1 b", b"(404)", b"#1", b"1#",
        b"v2.10.3", b"10%", b"3,000,000", b"0x1F", b"0X1F", b"0x", b"0xg", b"0x1Fg", b"a0x1F",
        b"x0x1F", b"00x1F", b"120x1F", b"a120x1F", b"0x0x1", b"0x1 0x2",
        b"0x12345678901234567890abcdefABCDEF", b"1 0x1F", b"0x1F 1", b"120x1Fg", b"0x1F_1",
        b"7 120x1", b"'a'", b'"a"', b"'a\"", b"\"a'", b"''", b"'''", b"''''", b"'", b"'open",
        b"open'", b"it's 5", b"'1'", b"'0x1F'", b"1'1'1", b"a'1'b", b"'a' 'b'", b"'a\nb'",
        b"'a\nb' c'", b"\"a\rb\"", b"'\n'\n'", b"'a' '",
        b"no such file: '/home/u/1.txt' (errno 2)", b"12'34\"56'78", b"1\n2", b"\n1\n",
        b"1\t2\v3\f4", "\u00e91".encode(), "1\u00e9".encode(), "\u00e9 1 \u00e9".encode(),
        "\u96ea12".encode(), "12\u96ea".encode(), "1\u20ac".encode(), "\u20ac1".encode(),
        "5\u00b0".encode(), "5\u00b2".encode(), "\u00b55".encode(), "3\u00d74".encode(),
        "3\u00f74".encode(), "\u00aa1".encode(), "\u00ba1".encode(), "\u00bf1".encode(),
        "\u00bb1\u00ab".encode(), "\u00bd1".encode(), "\u00c01".encode(), "\u00801".encode(),
        "\u00a91".encode(), "1\u2013".encode(), "1\u206f".encode(), "1\u2070".encode(),
        "1\u1fff".encode(), "1\u209f".encode(), "1\u20a0".encode(), "1\u20cf".encode(),
        "1\u20d0".encode(), "1\u2189".encode(), "1\u2190".encode(), "1\u2bff".encode(),
        "1\u2c00".encode(), "1\u3000".encode(), "1\u3003".encode(), "1\u3004".encode(),
        "1\u3007".encode(), "1\u3008".encode(), "1\u3011".encode(), "1\u3012".encode(),
        "\u201c1\u201d".encode(), "1\U0001f600".encode(), "\U0001f6001".encode(),
        "\u0661".encode(), "\uff11 1".encode(), "\ufffd1".encode(), "\u00a01\u00a0".encode(),
        "'\u96ea'".encode(), "\u30000x1F".encode(), b"\x801", b"1\x80", b"\xff1", b"1\xff 2",
        b"\xc31", b"1\xc3", b"\xe2\x821", b"1\xe2\x82", b"1\xe2\x82 2", b"\xed\xa0\x801",
        b"\xc0\x801", b"1\xc0\xaf", b"\xf4\x90\x80\x801", b"1\xf0\x9f\x98", b"'\xff'",
        b"\xe0\x80\xa01", b"\xc2\xa91\xa9",
        b"Connection to 10.0.0.7:5432 refused after 3 attempts (0xdeadbeef)",
        b"index 17 is out of bounds for axis 0 with size 17", b"#n #hex #str", b"a\\'b'c",
        b"1" * 40 + b"a 2"]
    for m in messages:
        row(c_text(e), c_text(m), c_text(None), '"' + error_hash(e, m, None) + '"')
    cases = [
        (b"", b"", b""), (None, None, None), (None, b"x", None), (b"E", b"x", b"main.py:12"),
        (b"E", b"x", b""), (b"E", b"x", b"'1' 0x2 3 "), (b"A|B", b"c", b"d"), (b"A", b"c", b"B|d"),
        (b"1 0x2", b"3", b"4"), (b" E ", b" 5 ", b" f "), (b"QtError", b"bad '7'", b"view.cpp:88"),
        ("\u00c9".encode(), "\u00e9".encode(), "\u96ea:1".encode())]
    for kind, m, frame in cases:
        want = error_hash(kind or b"", m or b"", frame)
        row(c_text(kind), c_text(m), c_text(frame), '"' + want + '"')
    print("};")


sampling()
errors()
