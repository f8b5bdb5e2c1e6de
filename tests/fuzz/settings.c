/* settings.c: the readers of text files on any bytes (libFuzzer, `make fuzz-settings`): the stored
   settings, the administrator's file, the system's hints. What was read and is written again reads
   the same; bytes that hold no consent grant nothing. */

#define VITELEMETRY_WHITEBOX
#define VITELEMETRY_IMPLEMENTATION
#include "../../vitelemetry.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool good)
{
    if (!good) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char   *text = (const char *)data;
    vitp_settings s, again;
    char          out[VITP_SETTINGS_MAX];
    uint32_t      i;
    vitp_settings_parse(&s, text, size);
    check(s.consent <= VIT_CONSENT_VERBOSE);
    check(s.has_consent || s.consent == VIT_CONSENT_UNKNOWN);
    vitp_settings_parse(&again, out, vitp_settings_print(&s, out));
    check(!again.unreadable && !again.outdated && again.off == s.off);
    check(again.has_consent == s.has_consent && again.consent == s.consent);
    check(again.has_hwid == s.has_hwid && strcmp(again.hwid, s.has_hwid ? s.hwid : "") == 0);
    check(again.has_salt == s.has_salt && strcmp(again.salt, s.has_salt ? s.salt : "") == 0);
    check(vitp_consent_admin(text, size) <= VITP_ANSWER_UNREADABLE);
    for (i = 0; vitp_os_hint_of(i); i++)
        check(vitp_consent_hint(vitp_os_hint_of(i), text, size) <= VITP_ANSWER_UNREADABLE);
    return 0;
}
