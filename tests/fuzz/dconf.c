/* dconf.c: the reader of dconf's database on any bytes. It may say that a key refuses, or
   nothing. */

#include "header.h"

static void fuzz_dconf(const uint8_t *data, size_t size)
{
    static const char *const keys[] = { "/org/gnome/desktop/privacy/report-technical-problems",
                                        "/org/gnome/desktop/privacy/send-software-usage-stats",
                                        "/" };
    vitp_dconf               d;
    size_t                   i;
    for (i = 0; i < sizeof keys / sizeof keys[0]; i++)
        demand(vitp_consent_dconf(data, size, keys[i]) <= VITP_ANSWER_UNREADABLE, "an answer");
    if (!vitp_dconf_open(&d, data, size)) return;
    demand(d.items >= data && d.items + (size_t)d.count * VITP_DCONF_ITEM <= data + size,
           "the items lie in the file");
}

FUZZ_TARGET(dconf)
