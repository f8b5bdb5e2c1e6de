/* all.c: all targets that need the header, without libFuzzer: runs each file that it is given by
   the target after which its folder is called, each line of a .tsv by scrub, and the seeds that
   targets make; prints `N passed, 0 failed`. A broken promise aborts. */

#ifndef FUZZ_FILES
#define FUZZ_FILES
#endif
#include "scrub.c"
#include "answer.c"
#include "conf.c"
#include "date.c"
#include "dconf.c"
#include "record.c"
#include "spool.c"
#include "json.c"
#include "plist.c"
#include "settings.c"

int main(int argc, char **argv)
{
    static fuzz_target targets[] = {
        { "scrub", fuzz_scrub, NULL, 0 },       { "answer", fuzz_answer, NULL, 0 },
        { "conf", fuzz_conf, NULL, 0 },         { "date", fuzz_date, NULL, 0 },
        { "dconf", fuzz_dconf, NULL, 0 },       { "json", fuzz_json, NULL, 0 },
        { "plist", fuzz_plist, NULL, 0 },       { "record", fuzz_record, seed_record, 0 },
        { "settings", fuzz_settings, NULL, 0 }, { "spool", fuzz_spool, seed_spool, 0 },
    };
    return fuzz_files_main(argc, argv, targets, sizeof targets / sizeof targets[0]);
}
