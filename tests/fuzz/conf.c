/* conf.c: the readers of the administrator's file and of the system's hints (KDE,
   popularity-contest, apport, whoopsie, abrt) on any bytes. The administrator's answer is compared
   with that of a reader which shares no code with the header; a hint's does not change by what
   says nothing. */

#include "header.h"

#include <ctype.h>
#include <strings.h>

#define CONF_MAX 1024u

static bool conf_is_one_of(const char *text, size_t size, const char *const words[4])
{
    int i;
    for (i = 0; i < 4; i++)
        if (size == strlen(words[i]) && strncasecmp(text, words[i], size) == 0) return true;
    return false;
}

static bool conf_is_blank(char c) { return c && strchr(" \t\n\v\f\r", c) != NULL; }

static void conf_trim(const char **begin, const char **end)
{
    while (*begin < *end && conf_is_blank(**begin)) ++*begin;
    while (*begin < *end && conf_is_blank((*end)[-1])) --*end;
}

static vitp_answer conf_line(const char *begin, const char *end)
{
    static const char *const on[4] = { "1", "true", "yes", "on" };
    static const char *const off[4] = { "0", "false", "no", "off" };
    const char              *equals, *name_end, *value;
    conf_trim(&begin, &end);
    if (begin == end || *begin == '#' || *begin == ';') return VITP_ANSWER_NONE;
    for (equals = begin; equals < end && *equals != '=';) equals++;
    if (equals == end) return VITP_ANSWER_UNREADABLE;
    name_end = equals, value = equals + 1;
    conf_trim(&begin, &name_end);
    conf_trim(&value, &end);
    if (name_end - begin != 8 || strncasecmp(begin, "disabled", 8) != 0)
        return VITP_ANSWER_UNREADABLE;
    if (conf_is_one_of(value, (size_t)(end - value), on)) return VITP_ANSWER_REFUSES;
    return conf_is_one_of(value, (size_t)(end - value), off) ? VITP_ANSWER_NONE
                                                             : VITP_ANSWER_UNREADABLE;
}

/* The last line that says something counts. */
static vitp_answer conf_admin(const char *text, size_t size)
{
    const char *end = text + size, *line_end;
    vitp_answer answer = VITP_ANSWER_NONE, one;
    if (size >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0) text += 3;
    for (; text < end; text = line_end + 1) {
        for (line_end = text; line_end < end && *line_end != '\n';) line_end++;
        one = conf_line(text, line_end);
        if (one != VITP_ANSWER_NONE) answer = one;
    }
    return answer;
}

static void fuzz_conf(const uint8_t *data, size_t size)
{
    static char         longer[CONF_MAX + 16u];
    const char         *text = (const char *)data;
    const vitp_os_hint *hint;
    vitp_answer         answer;
    uint32_t            i;
    if (size > CONF_MAX) size = CONF_MAX;
    demand(vitp_consent_admin(text, size) == conf_admin(text, size), "the administrator is obeyed");
    memcpy(longer, data, size);
    memcpy(longer + size, "\n# or not\n \n", 13);
    for (i = 0; (hint = vitp_os_hint_of(i)) != NULL; i++) {
        answer = vitp_consent_conf(hint, text, size);
        demand(answer <= VITP_ANSWER_REFUSES, "a hint refuses or says nothing");
        demand(vitp_consent_conf(hint, longer, size + 13) == answer, "a comment says nothing");
    }
}

FUZZ_TARGET(conf)
