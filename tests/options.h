/* options.h - options of a client that may send, and whether its books balance. After
   vitelemetry.h. */

#ifndef TESTS_OPTIONS_H
#define TESTS_OPTIONS_H

#include <string.h>

#define OPTIONS_FN static __attribute__((unused))

/* Granted, also where the tests run by themselves. */
OPTIONS_FN vit_options options_granted(const char *endpoint, const char *data_dir)
{
    vit_options o;
    memset(&o, 0, sizeof o);
    o.endpoint = endpoint;
    o.data_dir = data_dir;
    o.consent = VIT_CONSENT_GRANTED;
    o.allow_in_ci = true;
    return o;
}

/* accepted + adopted = delivered + queued + spooled + handed_over + dropped, at a quiet moment. */
OPTIONS_FN bool balances(const vit_stats *s)
{
    uint64_t dropped = 0;
    size_t   i;
    for (i = 0; i < VIT_DROP_COUNT; i++) dropped += s->dropped[i];
    return s->accepted + s->adopted ==
           s->delivered + s->queued + s->spooled + s->handed_over + dropped;
}

OPTIONS_FN bool is_balanced(const vit_client *t)
{
    vit_stats s = vit_get_stats(t);
    return balances(&s);
}

#endif
