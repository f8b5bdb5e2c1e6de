/* plist.c: the reader of property lists, binary and XML, on any bytes (libFuzzer, `make
   fuzz-settings`). It may say that a key refuses, or nothing. */

#define VITELEMETRY_WHITEBOX
#define VITELEMETRY_OS_SETTINGS
#define VITELEMETRY_IMPLEMENTATION
#include "../../vitelemetry.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const keys[] = { "ThirdPartyDataSubmit", "allowDiagnosticSubmission", "a" };
    size_t                   i;
    for (i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        if (vitp_consent_plist(data, size, keys[i]) > VITP_ANSWER_UNREADABLE) abort();
        if (vitp_plist_binary(data, size, keys[i]) > VITP_ANSWER_UNREADABLE) abort();
        if (vitp_plist_xml((const char *)data, size, keys[i]) > VITP_ANSWER_UNREADABLE) abort();
    }
    return 0;
}
