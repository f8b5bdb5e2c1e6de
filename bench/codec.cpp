/* The parts that turn an event into bytes, beside others, in the same run: SHA-256, JSON, UUIDs;
   and the scrubber, which has nobody beside it.

   SHA-256     of 16 bytes to 16 KiB: OpenSSL (EVP with the algorithm fetched once, and its one-shot
               SHA256()), Nettle, libsodium
   JSON        one event, and one with a text of 1 KiB, by our writer, RapidJSON's Writer (as it
               comes, and validating UTF-8 as ours does) and Jansson; and a record of our queue to
               JSON, which includes the scan of its labels
   UUID        as text, by a client's generator, vit_uuid4 and libuuid
   scrubber    MB/s over prose, a program's log, and lines full of what it has to remove

   Before that all digests are compared, JSON is read back by the others' parsers and must be the
   same document, and UUIDs must be of version 4.

   bench/codec SUFFIX does SHA-256 only, ours in portable C, names its panels so and writes
   codec-SUFFIX.tsv: it is run again where the others' instructions for SHA are switched off by
   their own variables, and once more where all beyond plain x86-64 is (bench/codec.sh). All at -O2;
   repetitions (REPEATS=n, 11) are interleaved. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif
#define VITELEMETRY_IMPLEMENTATION
#define VITELEMETRY_WHITEBOX
#include "../vitelemetry.h"

#include "bench.h"
#include "../tests/json_strict.h"

#include <functional>
#include <string>
#include <vector>

#if __has_include(<openssl/evp.h>)
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <openssl/crypto.h>
#define WITH_OPENSSL
#endif
#if __has_include(<nettle/sha2.h>)
#include <nettle/sha2.h>
#define WITH_NETTLE
#endif
#if __has_include(<sodium.h>)
#include <sodium.h>
#define WITH_SODIUM
#endif
#if __has_include(<rapidjson/writer.h>)
#include <rapidjson/document.h>
#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>
#define WITH_RAPIDJSON
#endif
#if __has_include(<jansson.h>)
#include <jansson.h>
#define WITH_JANSSON
#endif
#if __has_include(<uuid/uuid.h>)
#include <uuid/uuid.h>
#define WITH_UUID
#endif

namespace
{

constexpr size_t   BIG = 16384;
constexpr uint64_t LOOP_NS = 4000000; /* one measurement, about */

std::string suffix; /* of the panels */

unsigned char data[BIG];
uint32_t      sink;

/* One of a panel. */
struct Subject {
    std::string           panel, name, unit;
    double                bytes; /* of one call, for MB/s; 0: ns a call */
    std::function<void()> call;  /* 16 times */
    uint32_t              batches;
};
std::vector<Subject> subjects;

template <class F> void add(const std::string &panel, const char *name, F call, double bytes = 0)
{
    subjects.push_back({ panel, name, bytes > 0 ? "MB/s" : "ns", bytes,
                         [call] {
                             for (int i = 0; i < 16; i++) call();
                         },
                         0 });
}

/* How many batches of 16 fill LOOP_NS is found once. Time of the processor, not of the clock. */
void measure(Subject &s)
{
    uint64_t begin, ns;
    s.call();
    if (s.batches == 0) {
        for (begin = bench_now_ns(); bench_now_ns() - begin < LOOP_NS; s.batches++) s.call();
    }
    begin = bench_cpu_ns();
    for (uint32_t i = 0; i < s.batches; i++) s.call();
    ns = bench_cpu_ns() - begin;
    double calls = 16.0 * s.batches;
    bench_note(s.panel.c_str(), s.name.c_str(),
               s.bytes > 0 ? s.bytes * calls * 1000 / double(ns) : double(ns) / calls,
               s.unit.c_str());
}

/* ---- SHA-256 -------------------------------------------------------------------------------- */

using Digest = std::function<void(unsigned char *out, const unsigned char *in, size_t size)>;

struct Hash {
    const char *name;
    Digest      digest;
};
std::vector<Hash> hashes;

/* vit_sha256 of a processor without instructions for it. */
void portable_sha256(unsigned char *out, const unsigned char *in, size_t size)
{
    unsigned char last[128] = {};
    size_t        rest = size % 64, end = rest < 56 ? 64 : 128;
    vitp_sha256   s;
    vitp_sha256_begin(&s);
    vitp_sha256_portable(s.state, in, size / 64);
    memcpy(last, in + size - rest, rest);
    last[rest] = 0x80;
    for (size_t i = 0; i < 8; i++) last[end - 8 + i] = (unsigned char)(size * 8 >> (56 - 8 * i));
    vitp_sha256_portable(s.state, last, end / 64);
    for (size_t i = 0; i < 32; i++) out[i] = (unsigned char)(s.state[i / 4] >> (24 - 8 * (i % 4)));
}

void collect_hashes()
{
    if (suffix.empty()) hashes.push_back({ "vitelemetry", vit_sha256 });
    else hashes.push_back({ "vitelemetry", portable_sha256 });
#ifdef WITH_OPENSSL
    static EVP_MD     *md = EVP_MD_fetch(nullptr, "SHA256", nullptr);
    static EVP_MD_CTX *context = EVP_MD_CTX_new();
    hashes.push_back({ "OpenSSL, EVP", [](unsigned char *out, const unsigned char *in, size_t n) {
                          EVP_DigestInit_ex2(context, md, nullptr);
                          EVP_DigestUpdate(context, in, n);
                          EVP_DigestFinal_ex(context, out, nullptr);
                      } });
    hashes.push_back({ "OpenSSL, SHA256()", [](unsigned char *out, const unsigned char *in,
                                               size_t n) { SHA256(in, n, out); } });
#else
    printf("not here: OpenSSL\n");
#endif
#ifdef WITH_NETTLE
    hashes.push_back({ "Nettle", [](unsigned char *out, const unsigned char *in, size_t n) {
                          sha256_ctx c;
                          sha256_init(&c);
                          sha256_update(&c, n, in);
                          sha256_digest(&c, 32, out);
                      } });
#else
    printf("not here: Nettle\n");
#endif
#ifdef WITH_SODIUM
    hashes.push_back({ "libsodium", [](unsigned char *out, const unsigned char *in, size_t n) {
                          crypto_hash_sha256(out, in, n);
                      } });
#else
    printf("not here: libsodium\n");
#endif
}

/* All agree on the first 300 lengths and on the greatest. */
void check_hashes()
{
    unsigned char one[32], other[32];
    for (Hash &h : hashes) {
        unsigned wrong = 0;
        for (size_t n = 0; n <= 300; n++) {
            size_t size = n == 300 ? BIG : n;
            hashes[0].digest(one, data, size);
            h.digest(other, data, size);
            wrong += memcmp(one, other, 32) != 0;
            vit_sha256(other, data, size);
            wrong += memcmp(one, other, 32) != 0;
        }
        bench_check(wrong == 0, h.name);
    }
    static const unsigned char abc[4] = { 0xba, 0x78, 0x16, 0xbf }; /* FIPS 180-4 */
    hashes[0].digest(one, reinterpret_cast<const unsigned char *>("abc"), 3);
    bench_check(memcmp(one, abc, 4) == 0, "SHA-256 of abc");
}

void add_hashes()
{
    static const size_t sizes[] = { 16, 64, 256, 1024, BIG };
    for (size_t size : sizes)
        for (Hash &h : hashes) {
            Digest      digest = h.digest;
            std::string panel = "SHA-256, " + std::to_string(size) + " bytes" + suffix;
            add(
                panel, h.name,
                [digest, size] {
                    unsigned char out[32];
                    digest(out, data, size);
                    sink += out[0];
                },
                size >= 1024 ? double(size) : 0);
        }
}

/* ---- JSON ----------------------------------------------------------------------------------- */

const char *const HWID = "3f2b8c1e-9a4d-4f6b-8e21-7c5d0a9b1e42";
const char *const ID = "75bad758-5286-41f7-b8ca-ef3f4b2fbacc";

std::string long_text; /* of an error: 1 KiB with some quotes, line ends and characters of others */

/* What an event consists of, for whatever writer. */
template <class W> void write_event(W &w, const char *text)
{
    w.open();
    w.text("hwid", HWID);
    w.text("event_name", "query.executed");
    w.text("app_version", "1.2.3");
    w.text("client_type", "vector-inspector");
    w.key("metadata");
    w.open();
    w.text("query_type", "similarity");
    w.text("db_type", "chromadb");
    w.integer("result_count", 575);
    w.integer("latency_ms", 137);
    w.text("filters_applied", "none");
    w.flag("success", true);
    if (text) w.text("message", text);
    w.text("correlation_id", ID);
    w.close();
    w.close();
}

/* Through the functions that our own JSON goes through. */
struct OurWriter {
    char      memory[8192];
    vitp_json json;
    bool      first = true;
    OurWriter() : json() { json.data = memory, json.capacity = sizeof memory; }
    void open()
    {
        vitp_json_raw(&json, "{", 1);
        first = true;
    }
    void close()
    {
        vitp_json_raw(&json, "}", 1);
        first = false;
    }
    void key(const char *k)
    {
        if (!first) vitp_json_raw(&json, ",", 1);
        first = false;
        vitp_json_raw(&json, "\"", 1);
        vitp_json_raw(&json, k, strlen(k));
        vitp_json_raw(&json, "\":", 2);
    }
    void text(const char *k, const char *v)
    {
        key(k);
        vitp_json_string(&json, v, strlen(v));
    }
    void integer(const char *k, int64_t v)
    {
        key(k);
        vitp_json_int(&json, v);
    }
    void flag(const char *k, bool v)
    {
        key(k);
        vitp_json_raw(&json, v ? "true" : "false", v ? 4 : 5);
    }
    std::string result() const { return std::string(memory, json.size); }
};

#ifdef WITH_RAPIDJSON
template <unsigned FLAGS> struct RapidWriter {
    using Writer = rapidjson::Writer<rapidjson::StringBuffer, rapidjson::UTF8<>, rapidjson::UTF8<>,
                                     rapidjson::CrtAllocator, FLAGS>;
    rapidjson::StringBuffer &buffer;
    Writer                   w;
    explicit RapidWriter(rapidjson::StringBuffer &b) : buffer(b), w(b) { b.Clear(); }
    void open() { w.StartObject(); }
    void close() { w.EndObject(); }
    void key(const char *k) { w.Key(k, rapidjson::SizeType(strlen(k))); }
    void text(const char *k, const char *v)
    {
        key(k);
        w.String(v, rapidjson::SizeType(strlen(v)));
    }
    void integer(const char *k, int64_t v)
    {
        key(k);
        w.Int64(v);
    }
    void flag(const char *k, bool v)
    {
        key(k);
        w.Bool(v);
    }
};

template <unsigned FLAGS> std::string write_rapidjson(const char *text)
{
    static rapidjson::StringBuffer buffer;
    RapidWriter<FLAGS>             w(buffer);
    write_event(w, text);
    sink += uint32_t(buffer.GetSize());
    return std::string();
}

std::string rapidjson_text(const char *text)
{
    rapidjson::StringBuffer                            buffer;
    RapidWriter<rapidjson::kWriteValidateEncodingFlag> w(buffer);
    write_event(w, text);
    return buffer.GetString();
}
#endif

#ifdef WITH_JANSSON
struct JanssonWriter {
    std::vector<json_t *> open_objects;
    const char           *last = nullptr;
    json_t               *whole = nullptr;
    void                  open()
    {
        json_t *o = json_object();
        if (open_objects.empty()) whole = o;
        else json_object_set_new(open_objects.back(), last, o);
        open_objects.push_back(o);
    }
    void close() { open_objects.pop_back(); }
    void key(const char *k) { last = k; }
    void text(const char *k, const char *v)
    {
        json_object_set_new(open_objects.back(), k, json_string(v));
    }
    void integer(const char *k, int64_t v)
    {
        json_object_set_new(open_objects.back(), k, json_integer(v));
    }
    void flag(const char *k, bool v)
    {
        json_object_set_new(open_objects.back(), k, json_boolean(v));
    }
};

std::string jansson_text(const char *text)
{
    JanssonWriter w;
    write_event(w, text);
    char       *out = json_dumps(w.whole, JSON_COMPACT);
    std::string result = out;
    free(out);
    json_decref(w.whole);
    return result;
}
#endif

void check_json(const char *text)
{
    OurWriter w;
    write_event(w, text);
    std::string ours = w.result();
    bench_check(!w.json.full && json_is_valid(ours.c_str(), ours.size()), "our JSON is valid");
#ifdef WITH_RAPIDJSON
    rapidjson::Document a, b;
    a.Parse(ours.c_str());
    b.Parse(rapidjson_text(text).c_str());
    bench_check(!a.HasParseError() && !b.HasParseError() && a == b,
                "RapidJSON reads the same in ours as in its own");
#endif
#ifdef WITH_JANSSON
    json_t *c = json_loads(ours.c_str(), 0, nullptr);
    json_t *d = json_loads(jansson_text(text).c_str(), 0, nullptr);
    bench_check(c && d && json_equal(c, d), "Jansson reads the same in ours as in its own");
    json_decref(c);
    json_decref(d);
#endif
}

void add_json(const std::string &panel, const char *text)
{
    add(panel, "vitelemetry", [text] {
        OurWriter w;
        write_event(w, text);
        sink += uint32_t(w.json.size);
    });
#ifdef WITH_RAPIDJSON
    add(panel, "RapidJSON", [text] { write_rapidjson<rapidjson::kWriteDefaultFlags>(text); });
    add(panel, "RapidJSON, validating",
        [text] { write_rapidjson<rapidjson::kWriteValidateEncodingFlag>(text); });
#endif
#ifdef WITH_JANSSON
    add(panel, "Jansson", [text] { sink += uint32_t(jansson_text(text).size()); });
#endif
}

/* ---- a client: records to JSON, and its generator of ids ------------------------------------- */

vit_client *client;
vit_op      op;
char        record_memory[8192];

struct Taken {
    const void *record;
    uint32_t    size;
} taken;

bool take(const void *record, uint32_t size, void *)
{
    taken = { record, size };
    return true;
}

size_t record_to_json()
{
    vitp_json     json;
    vitp_wire_job job = vitp_stock_job(&client->own, VITP_SHAPE_JSON, vitp_os_now_ns());
    json.data = record_memory;
    json.capacity = sizeof record_memory;
    json.size = 0;
    json.full = false;
    return vitp_wire_event(&client->wire, &job, &json, "", taken.record, taken.size) ==
                   VITP_WIRE_WRITTEN
               ? json.size
               : 0;
}

void prepare_client()
{
    vit_options o = bench_options("", nullptr);
    o.no_thread = true;
    client = vit_create(&o);
    if (!client) abort();
    vit_set_rate(client, "query.executed", 1.0);
    op = vit_op_begin();
    vit_query_executed e = bench_event(&op, 575);
    bench_check(vit_track_query_executed(client, &e) == VIT_OK, "an event is accepted");
    bench_check(vit_queue_peek(client->own.queue, take, nullptr, 1) == 1, "a record is there");
    size_t size = record_to_json();
    bench_check(size > 0 && json_is_valid(record_memory, size), "the record becomes JSON");
}

void add_ids()
{
    std::string panel = "UUID as text";
    add(panel, "vitelemetry, of a client", [] {
        unsigned char id[16];
        char          text[37];
        vitp_id_next(client->recorder.ids, id);
        vitp_text_uuid(text, id);
        __asm__ volatile("" : : "r"(text) : "memory");
    });
    add(panel, "vitelemetry, vit_uuid4", [] {
        char text[37];
        vit_uuid4(text);
        __asm__ volatile("" : : "r"(text) : "memory");
    });
#ifdef WITH_UUID
    add(panel, "libuuid", [] {
        uuid_t id;
        char   text[37];
        uuid_generate_random(id);
        uuid_unparse_lower(id, text);
        __asm__ volatile("" : : "r"(text) : "memory");
    });
#else
    printf("not here: libuuid\n");
#endif
}

void check_ids()
{
    unsigned char id[16];
    char          text[37], before[37] = "";
    unsigned      bad = 0;
    for (int i = 0; i < 1000; i++) {
        vitp_id_next(client->recorder.ids, id);
        vitp_text_uuid(text, id);
        bad += strlen(text) != 36 || text[14] != '4' || !strchr("89ab", text[19]) ||
               strcmp(text, before) == 0;
        memcpy(before, text, sizeof text);
    }
    bench_check(bad == 0, "ids are UUIDs of version 4");
}

/* ---- the scrubber ---------------------------------------------------------------------------- */

void add_scrubber()
{
    static const char *const kinds[][2] = {
        { "prose", "The index was built from the collection in the background and then read " },
        { "a program's log", "2026-01-14 08:12:33.120 INFO  worker-3 segment 118 of 240 merged in "
                             "37 ms, 4096 rows\n" },
        { "all of it personal", "user ann.smith@example.org from 192.168.4.27 opened "
                                "/home/ann/letters/tax-2024.pdf\n" }
    };
    static std::string texts[3];
    for (size_t k = 0; k < 3; k++) {
        while (texts[k].size() < 4096) texts[k] += kinds[k][1];
        texts[k].resize(4096);
        const std::string &text = texts[k];
        static char        out[16384];
        size_t             size = vit_scrub(out, sizeof out, text.c_str(), text.size());
        if (k == 0) bench_check(size == 4096 && text == out, "prose passes as it is");
        if (k == 2) bench_check(!strstr(out, "ann") && !strstr(out, "192.168"), "what is removed");
        add(
            "scrubber, 4 KiB", kinds[k][0],
            [&text] { sink += uint32_t(vit_scrub(out, sizeof out, text.c_str(), text.size())); },
            4096);
    }
}

/* ---- report ---------------------------------------------------------------------------------- */

void print_ratios()
{
    const char *us = "vitelemetry";
    std::string big = "SHA-256, 16384 bytes" + suffix, small = "SHA-256, 64 bytes" + suffix;
    printf("ratios\n");
    bench_ratio(("ours / OpenSSL (EVP), " + big).c_str(),
                bench_better(big.c_str(), us, "OpenSSL, EVP"),
                suffix.empty() ? "0.95 or more" : "0.9 or more");
    bench_ratio(("ours / OpenSSL's SHA256(), " + small).c_str(),
                bench_better(small.c_str(), us, "OpenSSL, SHA256()"), "above 1");
    if (!suffix.empty()) return;
    for (const char *panel : { "JSON of an event", "JSON of an event with 1 KiB of text" })
        for (const char *peer : { "RapidJSON", "RapidJSON, validating", "Jansson" })
            bench_ratio((std::string("ours / ") + peer + ", " + panel).c_str(),
                        bench_better(panel, us, peer), "above 1");
    bench_ratio("ours / libuuid, UUID as text",
                bench_better("UUID as text", "vitelemetry, of a client", "libuuid"), "above 1");
    printf("absolute\n  UUID of a client as text: %.1f ns (aim: 10 or less)\n",
           bench_of("UUID as text", "vitelemetry, of a client"));
}

/* All but SHA-256: once is enough. */
void add_the_rest()
{
    prepare_client();
    check_json(nullptr);
    while (long_text.size() < 1000)
        long_text +=
            "cannot open \"customers\": caf\xC3\xA9 closed, 3 tries left, the next in 250 ms\n";
    check_json(long_text.c_str());
    check_ids();
    add_json("JSON of an event", nullptr);
    add("JSON of an event", "vitelemetry, from its record",
        [] { sink += uint32_t(record_to_json()); });
    add_json("JSON of an event with 1 KiB of text", long_text.c_str());
    add_ids();
    add_scrubber();
}

} // namespace

int main(int argc, char **argv)
{
    int rounds = bench_rounds(11);
    environment_forget();
    bench_clock_init();
    if (argc > 1) suffix = std::string(", ") + argv[1];
    for (size_t i = 0; i < BIG; i++) data[i] = (unsigned char)(i * 31 + i / 256);
    collect_hashes();
    check_hashes();
    add_hashes();
    if (suffix.empty()) add_the_rest();
    for (int round = 0; round < rounds; round++)
        for (size_t k = 0; k < subjects.size(); k++)
            measure(subjects[(k + size_t(round)) % subjects.size()]);
    print_ratios();
    bench_print();
#ifdef WITH_OPENSSL
    printf("\n%s, %s\n", OpenSSL_version(OPENSSL_VERSION), OPENSSL_info(OPENSSL_INFO_CPU_SETTINGS));
#endif
    bench_write(("build/bench/codec" + std::string(argc > 1 ? "-" : "") +
                 std::string(argc > 1 ? argv[1] : "") + ".tsv")
                    .c_str(),
                false);
    if (client) vit_destroy(client, 0);
    return bench_end() + (sink == 1);
}
