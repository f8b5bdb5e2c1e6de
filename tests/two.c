/* two.c: a file that only uses what one.c implements: as C by structs, as C++ by overloads too. */

#include "../vitelemetry.h"

#include <string.h>

#define APP_FILE_OPENED(X) X(VIT_LABEL, format) X(VIT_INT, size_kb) X(VIT_MS, duration_ms)
VIT_EVENT_DECLARE(file_opened, APP_FILE_OPENED);

VIT_EXTERN_C int two_run(vit_client *t);
VIT_EXTERN_C const vit_schema *two_schema(void);

const vit_schema *two_schema(void) { return vit_schema_file_opened(); }

/* How many calls did not return VIT_OK. */
int two_run(vit_client *t)
{
    int                 wrong = 0;
    vit_event           e;
    vit_op              op = vit_op_begin();
    vit_feature_toggled toggled;
    vit_file_opened     opened;
    memset(&toggled, 0, sizeof toggled);
    memset(&opened, 0, sizeof opened);
    toggled.feature_name = "dark_mode";
    toggled.new_value    = true;
    opened.op            = &op;
    opened.format        = "csv";
    opened.size_kb       = 12;
    opened.duration_ms   = 7;
#ifdef __cplusplus
    wrong += vit_track(t, toggled) != VIT_OK;
    wrong += vit_track(t, opened) != VIT_OK;
#endif
    wrong += vit_track_feature_toggled(t, &toggled) != VIT_OK;
    wrong += vit_track_file_opened(t, &opened) != VIT_OK;
    vit_event_begin(&e, t, "two.built", &op);
    vit_add_int(&e, "n", 2);
    wrong += vit_event_send(&e) != VIT_OK;
    return wrong;
}
