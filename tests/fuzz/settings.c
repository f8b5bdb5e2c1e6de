/* settings.c: the reader of the stored settings on any bytes. What was read and is written again
   reads the same; bytes that hold no consent grant nothing. */

#include "header.h"

static void fuzz_settings(const uint8_t *data, size_t size)
{
    static struct {
        char text[VITP_SETTINGS_MAX], guard[FUZZ_GUARD];
    } out;
    vitp_settings s, again;
    fuzz_guard(out.guard);
    vitp_settings_parse(&s, (const char *)data, size);
    demand(s.consent <= VIT_CONSENT_VERBOSE, "a consent there is");
    demand(s.has_consent || s.consent == VIT_CONSENT_UNKNOWN, "nothing grants nothing");
    vitp_settings_parse(&again, out.text, vitp_settings_print(&s, out.text));
    fuzz_guarded(out.guard);
    demand(!again.unreadable && !again.outdated && again.off == s.off, "it is read again");
    demand(again.has_consent == s.has_consent && again.consent == s.consent, "the same consent");
    demand(again.has_hwid == s.has_hwid && strcmp(again.hwid, s.has_hwid ? s.hwid : "") == 0,
           "the same hwid");
    demand(again.has_salt == s.has_salt && strcmp(again.salt, s.has_salt ? s.salt : "") == 0,
           "the same salt");
}

FUZZ_TARGET(settings)
