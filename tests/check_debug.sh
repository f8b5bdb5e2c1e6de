#!/bin/sh
# check_debug.sh: VITELEMETRY_DEBUG in the environment: each request is shown and goes nowhere, nothing on
# the disk is read or written; a program built with NDEBUG does not know it.
set -u
D=build/debug
CC=${CC:-cc}
passed=0 failed=0
rm -rf $D
mkdir -p $D/data
. tests/lib.sh
unset DO_NOT_TRACK VI_NO_TELEMETRY VITELEMETRY_OPTOUT VECTOR_INSPECTOR_TELEMETRY_OPTOUT
XDG_CONFIG_HOME=/nonexistent
export XDG_CONFIG_HOME

cat >$D/program.c <<'C'
#define VITELEMETRY_IMPLEMENTATION
#include "vitelemetry.h"

#include <stdio.h>

static vit_response send_it(const vit_request *request, void *user)
{
    vit_response answer = { 200, 0 };
    (void)user;
    printf("sent %lu\n", (unsigned long)request->body_size);
    return answer;
}

int main(int argc, char **argv)
{
    vit_options o = { 0 };
    vit_client *t;
    o.endpoint = "https://telemetry.example.org/api";
    o.consent = argc > 1 ? VIT_CONSENT_UNKNOWN : VIT_CONSENT_GRANTED;
    o.allow_in_ci = true;
    o.data_dir = "build/debug/data";
    o.transport.send_fn = send_it;
    t = vit_create(&o);
    (void)argv;
    vit_track_feature_toggled(t, &(vit_feature_toggled){ .feature_name = "dark_mode" });
    vit_flush(t, 2000);
    printf("delivered %lu\n", (unsigned long)vit_get_stats(t).delivered);
    return !vit_destroy(t, 2000);
}
C

# what the machine refuses is no matter of the test
program() { $CC -std=c99 '-DVITP_OS_ETC="/nonexistent"' -I. "$@" $D/program.c -o $D/program -pthread; }
files() { find $D/data -type f | wc -l | tr -d ' '; }

shown() {
    program && VITELEMETRY_DEBUG=1 $D/program >$D/out 2>$D/err || return 1
    cat $D/out $D/err
    grep -qx 'vitelemetry: VITELEMETRY_DEBUG: not sent: POST https://telemetry.example.org/api, application/json, [0-9]* bytes' $D/err &&
        grep -q '^{"hwid":".*"event_name":"feature.toggled".*"feature_name":"dark_mode"' $D/err &&
        ! grep -q sent $D/out && grep -qx 'delivered 1' $D/out
}
no_file() { [ "$(files)" = 0 ] || { find $D/data; return 1; }; }
no_consent() {
    VITELEMETRY_DEBUG=1 $D/program ask >$D/out 2>$D/err || return 1
    cat $D/out $D/err
    grep -q '^vitelemetry: VITELEMETRY_DEBUG: .*consent' $D/err && ! grep -q POST $D/err && grep -qx 'delivered 0' $D/out
}
switched_off() {
    DO_NOT_TRACK=1 VITELEMETRY_DEBUG=1 $D/program >$D/out 2>$D/err || return 1
    cat $D/out $D/err
    grep -q '^vitelemetry: VITELEMETRY_DEBUG: telemetry is off' $D/err && ! grep -q POST $D/err
}
off() { # value
    VITELEMETRY_DEBUG=$1 $D/program >$D/out 2>$D/err || return 1
    cat $D/out $D/err
    grep -q '^sent' $D/out && [ ! -s $D/err ] && [ "$(files)" != 0 ]
}
released() {
    program -DNDEBUG && VITELEMETRY_DEBUG=1 $D/program >$D/out 2>$D/err || return 1
    cat $D/out $D/err
    grep -q '^sent' $D/out && [ ! -s $D/err ] &&
        ! strings $D/program | grep -q VITELEMETRY_DEBUG
}

check 'the request is shown, not sent, and counts as delivered' shown
check 'nothing is written' no_file
check 'without consent no request is shown, but that it is missing' no_consent
check 'that the environment refuses is shown, too' switched_off
check 'VITELEMETRY_DEBUG=0 is none' off 0
check 'an empty one is none' off ''
check 'a program built with NDEBUG sends' released

echo "$passed passed, $failed failed"
[ $failed = 0 ]
