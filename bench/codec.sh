#!/bin/sh
# codec.sh: runs build/bench/codec, and SHA-256 again without the instructions for it: OpenSSL and
# Nettle are told so by their own variables.
set -u
B=build/bench
$B/codec >$B/codec.out
NETTLE_FAT_OVERRIDE=vendor:other OPENSSL_ia32cap=:~0x20000000 \
    $B/codec 'no SHA instructions' >$B/codec-1.out
NETTLE_FAT_OVERRIDE=vendor:other OPENSSL_ia32cap=0x0:0x0 \
    $B/codec 'plain x86-64' >$B/codec-2.out
for f in "$B/codec.out" "$B/codec-1.out" "$B/codec-2.out"; do
    awk '/^[0-9]+ passed, [0-9]+ failed$/ { next } { print }' "$f"
done
cat "$B/codec-no SHA instructions.tsv" "$B/codec-plain x86-64.tsv" >>$B/codec.tsv
cat $B/codec.out $B/codec-1.out $B/codec-2.out |
    awk '/^[0-9]+ passed, [0-9]+ failed$/ { p += $1; f += $3; n++ }
        END { printf "%d passed, %d failed\n", p, f + 3 - n; exit f + 3 - n > 0 }'
