/* privacy.c - what vit_scrub finds, what it damages, how fast it is

   privacy [-v] OWN [OTHER ...]         recall, harmless lines and speed; -v shows each failure
   privacy --test OWN                   no timing: failures, then `N passed, N failed`
   privacy --list-misses OWN [...]      class<TAB>text<TAB>output of each failure, nothing else

   Each set is two arguments, its positive and its negative file. Lines of a positive file are
   class<TAB>strings that must not survive, separated by U+001F<TAB>text; of a negative one
   kind<TAB>text, which must come out unchanged. Further columns, headings and lines that begin with
   # are passed over; \\ \t \n \r are escapes. Lines for scripts come last:
   benchmark<TAB>subject<TAB>value<TAB>... The status says whether OWN came out as it should;
   others and times are only reported. */

#define VITELEMETRY_IMPLEMENTATION
#include "../vitelemetry.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define LINE_MAX_BYTES 65536u
#define CLASSES_MAX    64u
#define SETS_MAX       8u
#define REPETITIONS    9
#define SMALL          ((size_t)64 * 1024)
#define LARGE          ((size_t)1024 * 1024)
#define COUNT(array)   (sizeof(array) / sizeof *(array))

typedef enum view {
    VIEW_SUMS,
    VIEW_FAILURES,
    VIEW_TSV,
    VIEW_TEST
} view;

/* Lines of a class, and those of them from which nothing survived. */
typedef struct tally {
    char     name[24];
    unsigned lines, clean;
} tally;

typedef struct set {
    const char *positive, *negative;
    tally       classes[CLASSES_MAX];
    unsigned    class_count;
    tally       gated, second, harmless;
    unsigned    unstable;  /* scrubbed twice is not scrubbed once */
    unsigned    too_long;  /* more than 8 bytes a marker were added */
    unsigned    malformed; /* lines of the file that say nothing */
} set;

static view show;
static char line[LINE_MAX_BYTES], out[9 * LINE_MAX_BYTES + 9], again[9 * LINE_MAX_BYTES + 9];

/* ---- lines -------------------------------------------------------------------------------- */

/* In place. */
static void unescape(char *text)
{
    char *to = text;

    for (; *text; text++) {
        char c = *text;

        if (c == '\\' && text[1]) {
            c = *++text;
            if (c == 'n') c = '\n';
            else if (c == 't') c = '\t';
            else if (c == 'r') c = '\r';
            else if (c != '\\') *to++ = '\\';
        }
        *to++ = c;
    }
    *to = '\0';
}

static void put_escaped(const char *text)
{
    for (; *text; text++) {
        switch (*text) {
        case '\\': fputs("\\\\", stdout); break;
        case '\t': fputs("\\t", stdout); break;
        case '\n': fputs("\\n", stdout); break;
        case '\r': fputs("\\r", stdout); break;
        default: putchar(*text);
        }
    }
}

/* Cuts the field that ends at a tab; returns what follows, or NULL. */
static char *cut_field(char *field)
{
    char *tab = strchr(field, '\t');

    if (tab) *tab++ = '\0';
    return tab;
}

static bool is_second_tier(const char *class_name)
{
    static const char *const second[] = { "card", "creditcard", "iban",       "ssn",       "phone",
                                          "imei", "hex",        "b64",        "base64",    "wallet",
                                          "uuid", "crypto",     "hex_secret", "b64_secret" };
    size_t                   i;

    for (i = 0; i < COUNT(second); i++)
        if (strcmp(class_name, second[i]) == 0) return true;
    return false;
}

static tally *class_of(set *s, const char *name)
{
    unsigned i;

    for (i = 0; i < s->class_count; i++)
        if (strcmp(s->classes[i].name, name) == 0) return &s->classes[i];
    if (s->class_count == CLASSES_MAX) return &s->classes[CLASSES_MAX - 1];
    snprintf(s->classes[i].name, sizeof s->classes[i].name, "%s", name);
    return &s->classes[s->class_count++];
}

static void count_line(tally *t, bool clean)
{
    t->lines++;
    if (clean) t->clean++;
}

/* [a-z0-9] in brackets. */
static size_t count_markers(const char *text)
{
    size_t n = 0;

    for (; (text = strchr(text, '[')) != NULL; text++) {
        size_t size = strspn(text + 1, "abcdefghijklmnopqrstuvwxyz0123456789");

        if (size >= 2 && size <= 8 && text[size + 1] == ']') n++;
    }
    return n;
}

/* Scrubs text into out and looks at what holds for every text. */
static void scrub_line(set *s, const char *text)
{
    size_t size = strlen(text), length = vit_scrub(out, sizeof out, text, size);

    if (length > size + 8 * count_markers(out)) {
        s->too_long++;
        if (show == VIEW_FAILURES || show == VIEW_TEST) printf("too long: %s\n", out);
    }
    if (vit_scrub(again, sizeof again, out, length) != length || strcmp(out, again) != 0) {
        s->unstable++;
        if (show == VIEW_FAILURES || show == VIEW_TEST)
            printf("changes again: %s\n  to %s\n", out, again);
    }
}

static void show_failure(const char *class_name, const char *text, const char *survivor)
{
    if (show == VIEW_SUMS) return;
    if (show != VIEW_TSV) printf("%s: ", class_name);
    else printf("%s\t", class_name);
    put_escaped(text);
    fputs(show == VIEW_TSV ? "\t" : "\n   -> ", stdout);
    put_escaped(out);
    if (survivor && show != VIEW_TSV) printf("\n   survived: %s", survivor);
    putchar('\n');
}

/* The first of the strings that is in the output, or NULL; `listed`: all stand in the text. */
static const char *survivor_of(char *strings, const char *text, bool *listed)
{
    const char *found = NULL;
    char       *one;

    *listed = *strings != '\0';
    for (one = strtok(strings, "\x1f"); one; one = strtok(NULL, "\x1f")) {
        if (!strstr(text, one)) *listed = false;
        if (!found && strstr(out, one)) found = one;
    }
    return found;
}

static void positive_line(set *s, char *class_name)
{
    char       *strings = cut_field(class_name), *text = strings ? cut_field(strings) : NULL;
    const char *survivor;
    bool        listed;

    if (!text) {
        s->malformed++;
        return;
    }
    cut_field(text);
    unescape(strings);
    unescape(text);
    scrub_line(s, text);
    survivor = survivor_of(strings, text, &listed);
    if (!listed) s->malformed++;
    count_line(class_of(s, class_name), !survivor);
    count_line(is_second_tier(class_name) ? &s->second : &s->gated, !survivor);
    if (survivor) show_failure(class_name, text, survivor);
}

static void negative_line(set *s, char *kind)
{
    char *text = cut_field(kind);

    if (!text) {
        s->malformed++;
        return;
    }
    cut_field(text);
    unescape(text);
    scrub_line(s, text);
    count_line(&s->harmless, strcmp(text, out) == 0);
    if (strcmp(text, out) != 0) show_failure("harmless", text, NULL);
}

/* Names of columns. */
static bool is_heading(const char *fields)
{
    return strncmp(fields, "class\t", 6) == 0 || strncmp(fields, "kind\t", 5) == 0 ||
           strncmp(fields, "trap\t", 5) == 0;
}

static void each_line(set *s, const char *path, void (*read_fn)(set *s, char *fields))
{
    FILE *f = fopen(path, "rb");

    if (!f) {
        perror(path);
        exit(2);
    }
    while (fgets(line, sizeof line, f)) {
        line[strcspn(line, "\n")] = '\0';
        if (line[0] != '#' && line[0] && !is_heading(line)) read_fn(s, line);
    }
    fclose(f);
}

static void run_set(set *s, char **paths)
{
    s->positive = paths[0];
    s->negative = paths[1];
    each_line(s, s->positive, positive_line);
    each_line(s, s->negative, negative_line);
}

static bool is_right(const set *s)
{
    return s->gated.clean == s->gated.lines && s->second.clean == s->second.lines &&
           s->harmless.clean == s->harmless.lines && !s->unstable && !s->too_long && !s->malformed;
}

/* ---- report ------------------------------------------------------------------------------- */

static double share(const tally *t) { return t->lines ? (double)t->clean / (double)t->lines : 1.0; }

static void print_tally(const char *name, const tally *t)
{
    printf("  %-14s %5u of %5u  %.3f\n", name, t->clean, t->lines, share(t));
}

static void print_set(const set *s)
{
    tally    all = s->gated;
    unsigned i, tier;

    all.lines += s->second.lines;
    all.clean += s->second.clean;
    printf("%s, %s\n", s->positive, s->negative);
    for (tier = 0; tier < 2; tier++) {
        for (i = 0; i < s->class_count; i++)
            if (is_second_tier(s->classes[i].name) == (tier == 1))
                print_tally(s->classes[i].name, &s->classes[i]);
        print_tally(tier ? "T2" : "T1", tier ? &s->second : &s->gated);
    }
    print_tally("all", &all);
    print_tally("harmless", &s->harmless);
    printf("  %u not idempotent, %u too long, %u lines not understood\n\n", s->unstable,
           s->too_long, s->malformed);
}

static void print_share(const char *what, const set *s, const tally *t)
{
    printf("%s: %s\tvitelemetry\t%.4f\t%u\t%u\tlines\n", what, s->positive, share(t), t->clean,
           t->lines);
}

static void print_set_for_scripts(const set *s)
{
    print_share("scrub recall T1", s, &s->gated);
    print_share("scrub recall T2", s, &s->second);
    print_share("scrub harmless untouched", s, &s->harmless);
}

static int print_test(const set *s)
{
    unsigned passed = s->gated.clean + s->second.clean + s->harmless.clean;
    unsigned failed = s->gated.lines + s->second.lines + s->harmless.lines - passed;

    failed += s->unstable + s->too_long + s->malformed;
    printf("%u passed, %u failed\n", passed, failed);
    return failed ? 1 : 0;
}

/* ---- speed -------------------------------------------------------------------------------- */

static const char *const prose[] = {
    "The index was rebuilt in the background, and queries kept running.\n",
    "Loading the collection took longer than usual; most of it was spent on disk.\n",
    "A segment with few deletions is merged later than one with many.\n",
    "When the dimension of a vector differs, the whole batch is refused.\n",
    "Neighbours are found layer by layer, from the top to the bottom.\n",
    "The filter matched nothing, so the result of the search is empty.\n",
    "Memory grew slowly at first and then stayed where it was.\n",
    "Retrying in a moment (third attempt of five).\n",
    "Could not read the header of the file: it is shorter than expected.\n",
};

/* A unit is repeated after the head. */
typedef struct hostile {
    const char *head, *unit;
} hostile;

/* clang-format off */
static const hostile hostiles[] = {
    { "", "@" },          { "", ":" },           { "", "." },         { "", "/" },
    { "", "\\" },         { "", "=" },           { "", "-" },         { "", "%" },
    { "", "\"" },         { "", "\"'\"'" },      { "", "`" },         { "", "[" },
    { "", "[[ip]" },      { "", "::::1" },       { "", "a.a.a." },    { "", "1.1.1.1." },
    { "", "a@a." },       { "", "a@a.bc" },      { "", "%40" },       { "", "%40%40a" },
    { "", "%3D" },        { "", "\\n\\\"" },     { "", "sk-" },       { "", "sk-sk-sk-a1" },
    { "", "eyJ" },        { "", "eyJa.eyJb." },  { "", "ghp_" },      { "", "AKIA" },
    { "", "-----BEGIN " },                       { "", "-----BEGIN A-----" },
    { "-----BEGIN RSA PRIVATE KEY-----", "-----END " },
    { "", "password=" },  { "", "password=password=" },               { "", "password " },
    { "password='", "''" },                      { "password=\"", "\\\"" },
    { "", "key key=" },   { "", "Server=;" },    { "", "uid=;pwd=;" },{ "", "a;b=c" },
    { "", "user " },      { "", "user 'user '" },{ "", "for user " }, { "", "host=" },
    { "", "connect to host " },                  { "", "Authorization: " },
    { "", "Bearer " },    { "", "Cookie:" },     { "", "curl -u " },  { "", "--password " },
    { "", "identified by " },                    { "", "-p -p" },     { "", "+1 " },
    { "", "+1 +1 +1-" },  { "", "7" },           { "", "4111 1111 " },{ "", "4111-" },
    { "", "123-45-" },    { "", "DE12 " },       { "", "GB82WEST" },  { "", "a" },
    { "", "0a" },         { "", "A1b2" },        { "", "aB3/" },      { "", "Aa" },
    { "", "00:11:" },     { "", "aa-bb-" },      { "", "aabb." },     { "", "fe80:" },
    { "", "1:2:3:4:5:6:7:8:" },                  { "", "http://" },   { "http://", "a:b@" },
    { "", "://" },        { "", "a/b " },        { "", "/a/b c" },    { "/a", "/b c" },
    { "", "C:\\" },       { "C:\\a", " b\\c" },  { "", "\\\\a\\" },   { "", "~/" },
    { "", "$HOME" },      { "", "%A%" },         { "", "&amp;" },     { "", "\033[1m" },
    { "", "\303" },       { "", "\360\237" },    { "", "\303\251@" }, { "", "\n" },
    { "", "a-b.c_d-" },   { "", "x--" },         { "", ", " },        { "", "imei 1" },
    { "", "phone " },     { "", "0x0" },         { "", "s.h.svc." },  { "", "<pwd>a<" },
    { "", "-u a:b " },    { "", "'a'@'b'" },     { "", "user=" },     { "", "passwd: str =" },
    { "", "-u a -p Ab1cd2 " },                   { "", "password (a" },
    { "", "aKey=" },      { "", "KEY=" },        { "", "node.a1=" },  { "", "db-1:5432 " },
    { "", "abc:def@h:1 " },                      { "", "sq0" },       { "", "x.com " },
    { "", "a\357\274\232" },                     { "", "PAROL \346\230\257 " },
};
/* clang-format on */

static char *text_buffer, *scrub_buffer;

static void fill(char *to, size_t size, const hostile *h)
{
    size_t head = strlen(h->head), unit = strlen(h->unit), i;

    for (i = 0; i < size; i++) to[i] = i < head ? h->head[i] : h->unit[(i - head) % unit];
}

/* The next text of a positive file, from its start again after the last; NULL: there is none. Not
   of the class pem: a key without its end takes the rest of the buffer with it. */
static const char *next_text(FILE *f)
{
    int   tries;
    char *text;

    for (tries = 0; f && tries < 64; tries++) {
        if (!fgets(line, sizeof line, f)) rewind(f);
        else if (line[0] != '#' && strncmp(line, "pem\t", 4) != 0 && (text = cut_field(line)) &&
                 (text = cut_field(text))) {
            cut_field(text);
            unescape(text); /* ends in a line feed, which the file has */
            return text;
        }
    }
    return NULL;
}

/* Lines of prose, every tenth one from the positive file if there is one. */
static void fill_lines(char *to, size_t size, const char *positive)
{
    FILE  *f = positive ? fopen(positive, "rb") : NULL;
    size_t used = 0, n;

    for (n = 0; used < size; n++) {
        const char *hit = n % 10 == 9 ? next_text(f) : NULL;
        const char *text = hit ? hit : prose[n % COUNT(prose)];
        size_t      part = strlen(text) < size - used ? strlen(text) : size - used;

        memcpy(to + used, text, part);
        used += part;
    }
    if (f) fclose(f);
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* By the processor's time: the machine may have other work. */
static double ns_per_byte(size_t size)
{
    clock_t begin = clock();

    vit_scrub(scrub_buffer, 9 * LARGE + 9, text_buffer, size);
    return (double)(clock() - begin) * (1e9 / CLOCKS_PER_SEC) / (double)size;
}

/* Median of several runs over the buffer; of one run if that is so slow that it says enough. */
static double median_ns(size_t size)
{
    double values[REPETITIONS];
    int    i;

    for (i = 0; i < REPETITIONS; i++) {
        values[i] = ns_per_byte(size);
        if (values[i] * (double)size > 2e8) return values[i];
    }
    qsort(values, REPETITIONS, sizeof values[0], by_value);
    return values[REPETITIONS / 2];
}

static void print_speed(const char *name, double ns)
{
    printf("%s\tvitelemetry\t%.1f\tMB/s\n", name, 1e3 / ns);
}

/* What is known of a hostile text: times clean prose at 64 KiB and at 1 MiB, and the ratio of a
   byte of 1 MiB to one of 64 KiB. */
enum {
    TIMES_SMALL,
    TIMES_LARGE,
    TIMES_A_BYTE,
    FACTORS
};

typedef struct speeds {
    double         clean, mixed, quiet;
    double         factor[FACTORS]; /* the worst of all hostile texts */
    const hostile *worst[FACTORS];
} speeds;

/* False: it is so slow that a MiB was not tried. */
static bool measure_factors(const hostile *h, double *factors)
{
    double clean, small, large;

    fill_lines(text_buffer, LARGE, NULL); /* beside it in time: the machine is not always as fast */
    clean = median_ns(LARGE);
    fill(text_buffer, SMALL, h);
    small = median_ns(SMALL);
    factors[TIMES_SMALL] = small / clean;
    factors[TIMES_LARGE] = factors[TIMES_A_BYTE] = 0;
    if (factors[TIMES_SMALL] > 1000) return false;
    fill(text_buffer, LARGE, h);
    large = median_ns(LARGE);
    factors[TIMES_LARGE] = large / clean;
    factors[TIMES_A_BYTE] = large / small;
    return true;
}

/* A new worst one is measured again, lest a hiccup counts. */
static void measure_hostile(speeds *s, const hostile *h)
{
    double first[FACTORS], second[FACTORS];
    bool   again_too = false;
    int    i;

    if (measure_factors(h, first))
        for (i = 0; i < FACTORS; i++) again_too = again_too || first[i] > s->factor[i];
    if (again_too && measure_factors(h, second))
        for (i = 0; i < FACTORS; i++) first[i] = second[i] < first[i] ? second[i] : first[i];
    for (i = 0; i < FACTORS; i++) {
        if (first[i] <= s->factor[i]) continue;
        s->factor[i] = first[i];
        s->worst[i] = h;
    }
    if (show != VIEW_FAILURES) return;
    printf("  %6.2f %6.2f  ", first[TIMES_SMALL], first[TIMES_LARGE]);
    put_escaped(h->head);
    put_escaped(h->unit);
    putchar('\n');
}

static void measure(speeds *s, const char *positive)
{
    static const hostile beyond_ascii = { "", "\346\226\207\345\255\227 \350\252\236, " };
    size_t               i;

    memset(s, 0, sizeof *s);
    text_buffer = (char *)malloc(LARGE);
    scrub_buffer = (char *)malloc(9 * LARGE + 9);
    if (!text_buffer || !scrub_buffer) exit(2);
    memset(scrub_buffer, 0, 9 * LARGE + 9);
    fill_lines(text_buffer, LARGE, NULL);
    s->clean = median_ns(LARGE);
    fill_lines(text_buffer, LARGE, positive);
    s->mixed = median_ns(LARGE);
    fill(text_buffer, LARGE, &beyond_ascii);
    s->quiet = median_ns(LARGE);
    if (show == VIEW_FAILURES) puts("times clean prose, 64 KiB and 1 MiB of hostile text");
    for (i = 0; i < COUNT(hostiles); i++) measure_hostile(s, &hostiles[i]);
    free(text_buffer);
    free(scrub_buffer);
}

static void print_speeds(const speeds *s)
{
    static const char *const what[FACTORS] = { "hostile 64 KiB, times clean",
                                               "hostile 1 MiB, times clean",
                                               "hostile 1 MiB, times 64 KiB" };
    int                      i;

    printf("  %-34s %8.1f MB/s\n", "clean prose", 1e3 / s->clean);
    printf("  %-34s %8.1f MB/s\n", "every tenth line with a hit", 1e3 / s->mixed);
    printf("  %-34s %8.1f MB/s\n", "no byte that asks a matcher", 1e3 / s->quiet);
    for (i = 0; i < FACTORS; i++) {
        printf("  %-34s %8.2f  ", what[i], s->factor[i]);
        put_escaped(s->worst[i] ? s->worst[i]->head : "");
        put_escaped(s->worst[i] ? s->worst[i]->unit : "");
        putchar('\n');
    }
    putchar('\n');
    print_speed("scrub clean prose", s->clean);
    print_speed("scrub, every tenth line with a hit", s->mixed);
    print_speed("scrub, no byte that asks a matcher", s->quiet);
    for (i = 0; i < FACTORS; i++)
        printf("scrub %s\tvitelemetry\t%.2f\tratio\n", what[i], s->factor[i]);
}

/* ------------------------------------------------------------------------------------------- */

static int usage(void)
{
    fputs("usage: privacy [-v | --test | --list-misses] POSITIVE NEGATIVE ...\n", stderr);
    return 2;
}

int main(int argc, char **argv)
{
    static set sets[SETS_MAX];
    speeds     speed;
    unsigned   n = 0, i;

    argv++, argc--;
    if (argc && argv[0][0] == '-') {
        if (strcmp(argv[0], "-v") == 0) show = VIEW_FAILURES;
        else if (strcmp(argv[0], "--test") == 0) show = VIEW_TEST;
        else if (strcmp(argv[0], "--list-misses") == 0) show = VIEW_TSV;
        else return usage();
        argv++, argc--;
    }
    if (argc < 2 || argc % 2 || argc > (int)(2 * SETS_MAX)) return usage();
    for (; argc; argv += 2, argc -= 2) run_set(&sets[n++], argv);
    if (show == VIEW_TEST) return print_test(&sets[0]);
    if (show != VIEW_TSV) {
        for (i = 0; i < n; i++) print_set(&sets[i]);
        measure(&speed, sets[0].positive);
        print_speeds(&speed);
        for (i = 0; i < n; i++) print_set_for_scripts(&sets[i]);
    }
    return is_right(&sets[0]) ? 0 : 1;
}
