/* gate.c: prints what a new client is allowed here, and by which gate: `consent N gate N usage N
   errors N` (VIT_OK is 0, VIT_DISABLED is 2). windows.sh compares it for keys of the registry. */

#define VITELEMETRY_IMPLEMENTATION
#include "../vitelemetry.h"

#include <stdio.h>
#include <string.h>

int main(void)
{
    vit_options         o;
    vit_client         *t;
    vit_gate            why = VIT_GATE_BUILD;
    vit_consent         consent;
    vit_feature_toggled usage = { 0, 0, 0 };
    vit_error           error = { 0, 0, 0, 0, 0, 0, 0, 0, 0 };
    memset(&o, 0, sizeof o);
    o.data_dir = "";
    o.consent = VIT_CONSENT_GRANTED;
    o.allow_in_ci = true;
    o.no_thread = true;
    t = vit_create(&o);
    if (!t) return 1;
    consent = vit_get_consent(t, &why);
    printf("consent %d gate %d usage %d errors %d\n", (int)consent, (int)why,
           (int)vit_track_feature_toggled(t, &usage), (int)vit_track_error(t, &error));
    return vit_destroy(t, 0) ? 0 : 1;
}
