/* json_strict.h - a strict reader of JSON (RFC 8259): refuses a key given twice, finds members */

#ifndef TESTS_JSON_STRICT_H
#define TESTS_JSON_STRICT_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#ifndef JSON_FN
#define JSON_FN static __attribute__((unused))
#endif
#ifndef JSON_DEPTH_MAX
#define JSON_DEPTH_MAX 32
#endif
#ifndef JSON_KEYS_MAX
#define JSON_KEYS_MAX 256
#endif
#ifndef JSON_TWICE
#define JSON_TWICE false /* may a key be given twice? */
#endif

/* Is it one of these characters? No NUL is. */
JSON_FN bool json_is_of(char c, const char *set) { return c && strchr(set, c); }

JSON_FN const char *json_space(const char *p, const char *end)
{
    while (p < end && (*p == ' ' || *p == '\t' || *p == '\n' || *p == '\r')) p++;
    return p;
}

/* Bytes of the well-formed UTF-8 character at p; 0: malformed, overlong or a surrogate. */
JSON_FN size_t json_character(const char *p, const char *end)
{
    const unsigned char *c = (const unsigned char *)p;
    size_t n = *c < 0x80 ? 1 : *c < 0xC2 ? 0 : *c < 0xE0 ? 2 : *c < 0xF0 ? 3 : *c < 0xF5 ? 4 : 0;
    size_t i;
    if (n == 0 || (size_t)(end - p) < n) return 0;
    for (i = 1; i < n; i++)
        if ((c[i] & 0xC0u) != 0x80u) return 0;
    if ((*c == 0xE0 && c[1] < 0xA0) || (*c == 0xED && c[1] > 0x9F) || (*c == 0xF0 && c[1] < 0x90) ||
        (*c == 0xF4 && c[1] > 0x8F))
        return 0;
    return n;
}

/* Behind the string that begins at p, or NULL. */
JSON_FN const char *json_string(const char *p, const char *end)
{
    size_t i, n;
    if (p >= end || *p++ != '"') return NULL;
    while (p < end && *p != '"') {
        if ((unsigned char)*p < 0x20) return NULL;
        if (*p == '\\') {
            if (++p >= end || !json_is_of(*p, "\"\\/bfnrtu")) return NULL;
            if (*p++ != 'u') continue;
            for (i = 0; i < 4; i++, p++)
                if (p >= end || !json_is_of(*p, "0123456789abcdefABCDEF")) return NULL;
            continue;
        }
        n = json_character(p, end);
        if (n == 0) return NULL;
        p += n;
    }
    return p < end ? p + 1 : NULL;
}

JSON_FN const char *json_digits(const char *p, const char *end)
{
    const char *begin = p;
    while (p < end && *p >= '0' && *p <= '9') p++;
    return p > begin ? p : NULL;
}

JSON_FN const char *json_number(const char *p, const char *end)
{
    if (p < end && *p == '-') p++;
    if (p < end && *p == '0') p++;
    else if (!(p = json_digits(p, end))) return NULL;
    if (p < end && *p == '.' && !(p = json_digits(p + 1, end))) return NULL;
    if (p < end && (*p == 'e' || *p == 'E')) {
        p++;
        if (p < end && (*p == '+' || *p == '-')) p++;
        p = json_digits(p, end);
    }
    return p;
}

JSON_FN const char *json_value(const char *p, const char *end, int depth);

/* The members of an object or the elements of an array, from behind its bracket. */
JSON_FN const char *json_inside(const char *p, const char *end, bool object, int depth)
{
    struct {
        const char *at;
        size_t      size;
    } keys[JSON_KEYS_MAX];
    size_t count = 0, i;
    char   close = object ? '}' : ']';
    p = json_space(p, end);
    if (p < end && *p == close) return p + 1;
    for (;;) {
        p = json_space(p, end);
        if (object) {
            const char *key = p;
            p = json_string(p, end);
            if (!p || (!JSON_TWICE && count == JSON_KEYS_MAX)) return NULL;
            for (i = 0; !JSON_TWICE && i < count; i++)
                if (keys[i].size == (size_t)(p - key) && memcmp(keys[i].at, key, keys[i].size) == 0)
                    return NULL;
            if (!JSON_TWICE) {
                keys[count].at = key;
                keys[count++].size = (size_t)(p - key);
            }
            p = json_space(p, end);
            if (p >= end || *p++ != ':') return NULL;
        }
        p = json_value(p, end, depth + 1);
        if (!p) return NULL;
        p = json_space(p, end);
        if (p >= end || (*p != ',' && *p != close)) return NULL;
        if (*p++ == close) return p;
    }
}

/* Behind the value that begins at p, or NULL. */
JSON_FN const char *json_value(const char *p, const char *end, int depth)
{
    static const char *const words[] = { "true", "false", "null" };
    size_t                   i;
    p = json_space(p, end);
    if (p >= end || depth > JSON_DEPTH_MAX) return NULL;
    if (*p == '"') return json_string(p, end);
    if (*p == '{' || *p == '[') return json_inside(p + 1, end, *p == '{', depth);
    for (i = 0; i < sizeof words / sizeof words[0]; i++)
        if ((size_t)(end - p) >= strlen(words[i]) && memcmp(p, words[i], strlen(words[i])) == 0)
            return p + strlen(words[i]);
    return json_number(p, end);
}

JSON_FN bool json_is_valid(const char *json, size_t size)
{
    const char *p = json_value(json, json + size, 0);
    return p && json_space(p, json + size) == json + size;
}

/* The value of a member of an object, as it stands in the text; NULL: there is none. */
JSON_FN const char *json_member(const char *p, const char *end, const char *key, size_t key_size,
                                size_t *size)
{
    const char *name, *name_end, *value;
    p = json_space(p, end);
    if (p >= end || *p != '{') return NULL;
    for (p++;; p++) {
        name = json_space(p, end);
        name_end = json_string(name, end);
        if (!name_end) return NULL;
        value = json_space(json_space(name_end, end) + 1, end);
        p = json_value(value, end, 0);
        if (!p) return NULL;
        *size = (size_t)(p - value);
        if ((size_t)(name_end - name) == key_size + 2 && memcmp(name + 1, key, key_size) == 0)
            return value;
        p = json_space(p, end);
        if (p >= end || *p != ',') return NULL;
    }
}

#endif /* TESTS_JSON_STRICT_H */
