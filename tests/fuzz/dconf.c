/* dconf.c: the reader of dconf's database on any bytes (libFuzzer, `make fuzz-settings`). It may
   say that a key refuses, or nothing; and what it says does not depend on what lies behind the
   end. */

#define VITELEMETRY_WHITEBOX
#define VITELEMETRY_OS_SETTINGS
#define VITELEMETRY_IMPLEMENTATION
#include "../../vitelemetry.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const keys[] = { "/org/gnome/desktop/privacy/report-technical-problems",
                                        "/org/gnome/desktop/privacy/send-software-usage-stats",
                                        "/" };
    vitp_dconf               d;
    size_t                   i;
    for (i = 0; i < sizeof keys / sizeof keys[0]; i++)
        if (vitp_consent_dconf(data, size, keys[i]) > VITP_ANSWER_UNREADABLE) abort();
    if (vitp_dconf_open(&d, data, size) &&
        (d.items < data || (size_t)d.count * VITP_DCONF_ITEM > size ||
         d.items + (size_t)d.count * VITP_DCONF_ITEM > data + size))
        abort();
    return 0;
}
