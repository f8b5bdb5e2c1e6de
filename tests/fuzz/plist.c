/* plist.c: the reader of property lists, binary and XML, on any bytes. It may say that a key
   refuses, or nothing. */

#include "header.h"

static void fuzz_plist(const uint8_t *data, size_t size)
{
    static const char *const keys[] = { "ThirdPartyDataSubmit", "allowDiagnosticSubmission", "a" };
    const char              *text = (const char *)data;
    size_t                   i;
    for (i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        demand(vitp_consent_plist(data, size, keys[i]) <= VITP_ANSWER_UNREADABLE, "an answer");
        demand(vitp_plist_binary(data, size, keys[i]) <= VITP_ANSWER_UNREADABLE, "of a binary one");
        demand(vitp_plist_xml(text, size, keys[i]) <= VITP_ANSWER_UNREADABLE, "of an XML one");
    }
}

FUZZ_TARGET(plist)
