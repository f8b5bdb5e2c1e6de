/* date.c: what a server may say in Retry-After: seconds, or a date in any of the three forms of
   RFC 9110. A date that was made of a time means that time, by the C library's calendar; digits
   mean their value; and nothing means more than 24 hours. The first byte chooses. */

#include "header.h"

#define DATE_TEXT  64u
#define DATE_DAY   86400
#define DATE_YEARS INT64_C(253402300800) /* the year 10000 */

enum {
    DATE_FORM = 3,
    DATE_NEAR = 4,
    DATE_CHANGED = 8,
    DATE_BLANKS = 16
};

static struct {
    char text[DATE_TEXT], guard[FUZZ_GUARD];
} date_in;

/* In its place so that the NUL is the last byte that may be read. */
static uint32_t date_ask(const char *text, size_t size, int64_t now_s)
{
    char    *at = date_in.text + DATE_TEXT - 1u - size;
    uint32_t wait_s;
    memcpy(at, text, size);
    at[size] = 0;
    wait_s = vit_retry_after(at, now_s);
    demand(wait_s <= DATE_DAY, "no longer than a day");
    return wait_s;
}

static uint32_t date_wait(int64_t then_s, int64_t now_s)
{
    if (then_s <= now_s) return 0;
    return then_s - now_s > DATE_DAY ? DATE_DAY : (uint32_t)(then_s - now_s);
}

static size_t date_print(char out[DATE_TEXT], unsigned form, const struct tm *t)
{
    static const char *const days[] = { "Sunday",   "Monday", "Tuesday", "Wednesday",
                                        "Thursday", "Friday", "Saturday" };
    static const char *const months[] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                          "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };
    const char              *day = days[t->tm_wday], *month = months[t->tm_mon];
    int                      n;
    if (form == 0)
        n = snprintf(out, DATE_TEXT, "%.3s, %02d %s %04d %02d:%02d:%02d GMT", day, t->tm_mday,
                     month, t->tm_year + 1900, t->tm_hour, t->tm_min, t->tm_sec);
    else if (form == 1)
        n = snprintf(out, DATE_TEXT, "%s, %02d-%s-%02d %02d:%02d:%02d GMT", day, t->tm_mday, month,
                     t->tm_year % 100, t->tm_hour, t->tm_min, t->tm_sec);
    else
        n = snprintf(out, DATE_TEXT, "%.3s %s %2d %02d:%02d:%02d %04d", day, month, t->tm_mday,
                     t->tm_hour, t->tm_min, t->tm_sec, t->tm_year + 1900);
    return (size_t)n;
}

/* Two digits mean a year at most 50 years ahead; near that bound either is as good. */
static bool date_is_certain(unsigned form, const struct tm *then, int64_t now_s)
{
    time_t    now = (time_t)now_s;
    struct tm t;
    if (form != 1) return true;
    gmtime_r(&now, &t);
    return then->tm_year - t.tm_year < 49 && t.tm_year - then->tm_year < 49;
}

static void date_made(fuzz_feed *f, unsigned what)
{
    char      text[DATE_TEXT];
    int64_t   then_s = (int64_t)(fuzz_u64(f) % (uint64_t)DATE_YEARS), now_s;
    time_t    then = (time_t)then_s;
    struct tm t;
    size_t    size;
    uint32_t  wait_s;
    now_s = what & DATE_NEAR ? then_s + (int64_t)(fuzz_u64(f) % 200000u) - 100000
                             : (int64_t)(fuzz_u64(f) % (uint64_t)DATE_YEARS);
    if (now_s < 0) now_s = 0;
    gmtime_r(&then, &t);
    size = date_print(text, what & DATE_FORM, &t);
    wait_s = date_ask(text, size, now_s);
    if (date_is_certain(what & DATE_FORM, &t, now_s))
        demand(wait_s == date_wait(then_s, now_s), "a date is the time that it was made of");
    if (what & DATE_BLANKS) {
        memmove(text + 2, text, size);
        text[0] = '\t', text[1] = text[size + 2] = ' ';
        demand(date_ask(text, size + 3, now_s) == wait_s, "blanks around it mean nothing");
        memmove(text, text + 2, size);
    }
    if (!(what & DATE_CHANGED)) return;
    text[size] = '0';
    demand(date_ask(text, size + 1, now_s) == 0, "behind a date is nothing more");
    text[fuzz_u8(f) % size] = (char)fuzz_u8(f);
    (void)date_ask(text, size, now_s);
    demand(date_ask(text, size, INT64_MAX) == 0, "no date is later than the last second");
}

/* Digits, read with nothing of the header's. */
static uint32_t date_digits(const char *text)
{
    uint64_t value = 0;
    size_t   i = strspn(text, " \t");
    for (; text[i] >= '0' && text[i] <= '9'; i++) {
        value = value * 10u + (uint64_t)(text[i] - '0');
        if (value > DATE_DAY) value = DATE_DAY;
    }
    return text[i + strspn(text + i, " \t\n\v\f\r")] ? 0 : (uint32_t)value;
}

static void date_any(fuzz_feed *f)
{
    char    text[DATE_TEXT];
    int64_t now_s = (int64_t)fuzz_u64(f);
    size_t  size = DATE_TEXT - 1u;
    memcpy(text, fuzz_bytes(f, &size), size);
    text[size] = 0;
    size = strlen(text);
    if (text[strspn(text, " \t")] >= '0' && text[strspn(text, " \t")] <= '9')
        demand(date_ask(text, size, now_s) == date_digits(text), "digits are seconds");
    else if (!strstr(text, "GMT") && size < 24)
        demand(date_ask(text, size, now_s) == 0, "it is no date");
    else (void)date_ask(text, size, now_s);
}

static void fuzz_date(const uint8_t *data, size_t size)
{
    fuzz_feed f = { data, size };
    unsigned  what = fuzz_u8(&f);
    fuzz_guard(date_in.guard);
    if ((what & DATE_FORM) == DATE_FORM) date_any(&f);
    else date_made(&f, what);
    fuzz_guarded(date_in.guard);
}

FUZZ_TARGET(date)
