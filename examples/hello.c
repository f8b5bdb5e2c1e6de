#define VITELEMETRY_IMPLEMENTATION
#define VITELEMETRY_CURL
#include "vitelemetry.h"

int main(int argc, char **argv)
{
    vit_options options = { 0 };
    options.consent = VIT_CONSENT_GRANTED;
    options.endpoint = argc > 1 ? argv[1] : "http://127.0.0.1:8080/api/v1/telemetry";
    vit_client *t = vit_create(&options);

    vit_feature_toggled event = { 0 };
    event.feature_name = "dark_mode";
    vit_track_feature_toggled(t, &event);

    vit_destroy(t, 2000);
}
