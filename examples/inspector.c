/* inspector.c - a tiny vector inspector, instrumented with vitelemetry.h

    cc -O2 -I. examples/inspector.c examples/http.c -o build/examples/inspector -pthread -lm
    build/examples/inspector [--endpoint URL] [--data-dir DIR] [--dir DIR]
                             [--wire event|array|ndjson] [FILE]

It makes vectors of the lines of FILE (README.md), keeps them in a small database, asks it, groups
and draws them, and reports each step as an event with what it measured. POSIX.

THE RULES, for whoever wants to compute the same numbers
    Arithmetic is IEEE double without contraction; sums run upwards from 0: over rows in file
    order, over dimensions from 0 to 255.
    Line      what ends at a byte 10, and the rest of the file when it is not empty; 100,000 at
              most. Bytes, whatever they are; the line end does not count.
    Estimate  estimated_rows: the file's size / 40, rounded up; 0 when it has none (a pipe).
    Vector    each three bytes in a row are a gram; a line of one or two bytes is one gram, an
              empty line has none. Hash of a gram: h = 0, then h = (h * 1009 + byte) mod 1000003
              for each byte. v[h mod 256] counts the grams. Then each v[j] is divided by the root
              of the sum of the squares; without grams it stays zero.
    Queries   similarity: rows, but the asked one, whose dot product with the longest line's (the
              first of these) is above 0.3141592 (a number on which no two lines happen to lie).
              vector: the mean of all rows, divided by its length as above, asks in the same way;
              the 10 nearest at most. metadata: rows of 40 bytes or more.
    k-means   k = floor(sqrt(rows / 2)), but 1 to 8. Centre i begins as row
              floor(i * rows / k). A pass gives each row to the nearest centre (sum of squared
              differences; the first of equals). After the 12th pass, or a later than the first
              that changed no row, it ends; else each centre becomes the mean of its rows, if it
              has any. iterations counts passes, cluster_count the centres that have rows at last;
              without rows k, iterations and cluster_count are 0.
    PCA       two components by 20 steps of power iteration on the centred rows, from
              v[j] = 1 / (j + 1). Lines with at least one byte are drawn, each as one point.
    Database  native byte order: 8 bytes of magic, uint32 0x01020304, uint32 256, uint64 rows; then
              for each row uint64 bytes of the line and 256 doubles.

Public domain by the Unlicense, as vitelemetry.h. */

#define VITELEMETRY_IMPLEMENTATION
#include "vitelemetry.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

vit_response http_send(const vit_request *request, void *user); /* http.c */

#ifdef __clang__
#pragma STDC FP_CONTRACT OFF /* gcc: -std=c99 does it */
#endif

/* clang-format off */
#define NEAR    0.3141592
#define DB_TYPE "flatfile"
enum {
    DIMS = 256, GRAM = 3, LINES_MAX = 100000, HITS_MAX = 10, LONG_LINE = 40, BYTES_A_ROW = 40,
    K_MAX = 8, PASSES_MAX = 12, PCA_STEPS = 20, WIDTH = 60, HEIGHT = 16, PATH_SIZE = 4096
};

typedef struct row { uint64_t bytes; double v[DIMS]; } row;
typedef struct table { size_t rows; row *row; } table;
typedef struct header { char magic[8]; uint32_t order, dims; uint64_t rows; } header;

static const header new_header = { { 'V', 'E', 'C', 'T', 'O', 'R', 'S', '1' },
                                   0x01020304, DIMS, 0 };
/* clang-format on */

/* ---- vectors --------------------------------------------------------------------------------- */

static double dot(const double *a, const double *b)
{
    double sum = 0;
    for (int j = 0; j < DIMS; j++) sum += a[j] * b[j];
    return sum;
}

static double distance(const double *a, const double *b)
{
    double sum = 0;
    for (int j = 0; j < DIMS; j++) sum += (a[j] - b[j]) * (a[j] - b[j]);
    return sum;
}

/* Divides v by its length; below `least` it becomes (or stays) zero. */
static void normalise(double *v, double least)
{
    double length = sqrt(dot(v, v));
    for (int j = 0; j < DIMS; j++) v[j] = length > least ? v[j] / length : 0;
}

static void count_gram(double *v, const unsigned char *gram, size_t size)
{
    uint32_t hash = 0;
    for (size_t i = 0; i < size; i++) hash = (hash * 1009 + gram[i]) % 1000003;
    v[hash % DIMS] += 1;
}

/* Makes the vector of the next line, of any length. False: there is none. */
static bool embed_line(FILE *in, row *r)
{
    unsigned char gram[GRAM] = { 0 };
    int           c;
    memset(r, 0, sizeof *r);
    while ((c = getc(in)) != EOF && c != '\n') {
        memmove(gram, gram + 1, GRAM - 1);
        gram[GRAM - 1] = (unsigned char)c;
        if (++r->bytes >= GRAM) count_gram(r->v, gram, GRAM);
    }
    if (r->bytes > 0 && r->bytes < GRAM) count_gram(r->v, gram + GRAM - r->bytes, (size_t)r->bytes);
    normalise(r->v, 0);
    return c != EOF || r->bytes > 0;
}

static void mean_of(const table *db, double *mean)
{
    memset(mean, 0, DIMS * sizeof *mean);
    for (size_t i = 0; i < db->rows; i++)
        for (int j = 0; j < DIMS; j++) mean[j] += db->row[i].v[j];
    for (int j = 0; j < DIMS && db->rows; j++) mean[j] /= (double)db->rows;
}

/* Rows near a probe: how many, and the nearest of them, the nearest first. */
typedef struct hits {
    size_t found, row[HITS_MAX];
    double score[HITS_MAX];
} hits;

static void keep(hits *h, size_t row_number, double score)
{
    size_t i = h->found < HITS_MAX ? h->found : HITS_MAX;
    h->found++;
    for (; i > 0 && score > h->score[i - 1]; i--) {
        if (i == HITS_MAX) continue;
        h->score[i] = h->score[i - 1];
        h->row[i] = h->row[i - 1];
    }
    if (i == HITS_MAX) return;
    h->score[i] = score;
    h->row[i] = row_number;
}

/* All rows whose cosine with the probe is above NEAR, without row `but`. */
static void search(const table *db, const double *probe, size_t but, hits *h)
{
    for (size_t n = 0; n < db->rows; n++) {
        double score = dot(db->row[n].v, probe);
        if (n != but && score > NEAR) keep(h, n, score);
    }
}

/* ---- database -------------------------------------------------------------------------------- */

/* Reads rows while there are any: into db->row when that is not NULL. */
static size_t db_scan(FILE *in, uint64_t rows, const table *db)
{
    row    buffer;
    size_t i = 0;
    while (i < rows && fread(db ? &db->row[i] : &buffer, sizeof buffer, 1, in) == 1) i++;
    return i;
}

/* Opens a database and reads its header. NULL: errno says why, 0 that it is damaged. */
static FILE *db_open(const char *path, header *head)
{
    FILE *in = fopen(path, "rb");
    if (!in) return NULL;
    if (fread(head, sizeof *head, 1, in) == 1 && head->rows <= LINES_MAX &&
        memcmp(head, &new_header, offsetof(header, rows)) == 0)
        return in;
    fclose(in);
    errno = 0;
    return NULL;
}

/* Reads all of a database; the caller frees db->row. False: what says why. */
static bool db_load(const char *path, table *db, char *what, size_t what_size)
{
    header head;
    FILE  *in = db_open(path, &head);
    db->row = NULL;
    snprintf(what, what_size, "%s", errno ? strerror(errno) : "its header is cut or foreign");
    if (!in) return false;
    db->row = malloc(((size_t)head.rows + 1) * sizeof *db->row);
    db->rows = db->row ? db_scan(in, head.rows, db) : 0;
    fclose(in);
    if (db->row && db->rows == head.rows) return true;
    snprintf(what, what_size, db->row ? "row %lu of %lu is cut" : "no memory for %lu to %lu",
             (unsigned long)db->rows + 1, (unsigned long)head.rows);
    free(db->row);
    db->row = NULL;
    return false;
}

/* How many rows can be read back. */
static size_t db_count(const char *path)
{
    header head;
    FILE  *in = db_open(path, &head);
    size_t rows = in ? db_scan(in, head.rows, NULL) : 0;
    if (in) fclose(in);
    return rows;
}

/* ---- k-means --------------------------------------------------------------------------------- */

typedef struct clusters {
    int    k, passes, found, *of;
    double centre[K_MAX][DIMS];
} clusters;

static int nearest(const clusters *c, const double *v)
{
    int    best = 0;
    double least = distance(c->centre[0], v);
    for (int i = 1; i < c->k; i++) {
        double d = distance(c->centre[i], v);
        if (d >= least) continue;
        best = i;
        least = d;
    }
    return best;
}

/* Gives each row to a centre; true when one changed. */
static bool assign(const table *db, clusters *c)
{
    bool changed = false;
    for (size_t n = 0; n < db->rows; n++) {
        int to = nearest(c, db->row[n].v);
        changed = changed || to != c->of[n];
        c->of[n] = to;
    }
    return changed;
}

/* Sums the rows of centre i; returns how many it has. */
static size_t sum_members(const table *db, const clusters *c, int i, double *sum)
{
    size_t members = 0;
    memset(sum, 0, DIMS * sizeof *sum);
    for (size_t n = 0; n < db->rows; n++) {
        if (c->of[n] != i) continue;
        members++;
        for (int j = 0; j < DIMS; j++) sum[j] += db->row[n].v[j];
    }
    return members;
}

static void move_centres(const table *db, clusters *c)
{
    double sum[DIMS];
    for (int i = 0; i < c->k; i++) {
        size_t members = sum_members(db, c, i, sum);
        for (int j = 0; j < DIMS && members; j++) c->centre[i][j] = sum[j] / (double)members;
    }
}

/* c->of has room for one number a row. */
static void k_means(const table *db, clusters *c)
{
    bool   going = db->rows > 0;
    double sum[DIMS];
    c->k = (int)sqrt((double)db->rows / 2);
    c->k = !going ? 0 : c->k < 1 ? 1 : c->k > K_MAX ? K_MAX : c->k;
    for (size_t n = 0; n < db->rows; n++) c->of[n] = 0;
    for (int i = 0; i < c->k; i++)
        memcpy(c->centre[i], db->row[(size_t)i * db->rows / (size_t)c->k].v, sizeof c->centre[i]);
    while (going) {
        bool changed = assign(db, c);
        going = ++c->passes < PASSES_MAX && (changed || c->passes == 1);
        if (going) move_centres(db, c);
    }
    for (int i = 0; i < c->k; i++) c->found += sum_members(db, c, i, sum) > 0;
}

/* ---- PCA ------------------------------------------------------------------------------------- */

/* v becomes the covariance times v, at a right angle to first (when not NULL), of length 1. */
static void power_step(const table *db, const double *mean, const double *first, double *v)
{
    double next[DIMS] = { 0 }, offset = dot(mean, v), along;
    for (size_t n = 0; n < db->rows; n++) {
        double s = dot(db->row[n].v, v) - offset;
        for (int j = 0; j < DIMS; j++) next[j] += s * (db->row[n].v[j] - mean[j]);
    }
    along = first ? dot(next, first) : 0;
    for (int j = 0; j < DIMS; j++) v[j] = next[j] - (first ? along * first[j] : 0);
    normalise(v, 1e-12);
}

/* Coordinates of the rows: at[2 * n] and at[2 * n + 1]. All zero where all rows are equal. */
static void pca(const table *db, double *at)
{
    double mean[DIMS], axis[2][DIMS];
    mean_of(db, mean);
    for (int i = 0; i < 2; i++) {
        for (int j = 0; j < DIMS; j++) axis[i][j] = 1.0 / (j + 1);
        for (int step = 0; step < PCA_STEPS; step++)
            power_step(db, mean, i ? axis[0] : NULL, axis[i]);
        for (size_t n = 0; n < db->rows; n++)
            at[2 * n + (size_t)i] = dot(db->row[n].v, axis[i]) - dot(mean, axis[i]);
    }
}

/* Where x lies between least and most in cells 0 to size - 1; without a range, in the middle. */
static int cell(double x, double least, double most, int size)
{
    if (most - least < 1e-9) return size / 2;
    return (int)((x - least) / (most - least) * (size - 1) + 0.5);
}

/* Draws the lines that have text as the letters of their clusters; returns the points drawn. */
static size_t plot(const table *db, const clusters *c, const double *at)
{
    char   grid[HEIGHT][WIDTH];
    double least[2] = { 0, 0 }, most[2] = { 0, 0 };
    size_t points = 0;
    memset(grid, ' ', sizeof grid);
    for (size_t n = 0; n < 2 * db->rows; n++) {
        if (db->row[n / 2].bytes == 0) continue;
        least[n % 2] = at[n] < least[n % 2] ? at[n] : least[n % 2];
        most[n % 2] = at[n] > most[n % 2] ? at[n] : most[n % 2];
    }
    for (size_t n = 0; n < db->rows; n++) {
        if (db->row[n].bytes == 0) continue;
        grid[HEIGHT - 1 - cell(at[2 * n + 1], least[1], most[1], HEIGHT)]
            [cell(at[2 * n], least[0], most[0], WIDTH)] = (char)('A' + c->of[n]);
        points++;
    }
    for (int y = 0; y < HEIGHT; y++) printf("  |%.*s|\n", WIDTH, grid[y]);
    return points;
}

/* ---- the program and its events -------------------------------------------------------------- */

typedef struct app {
    const char *file, *endpoint, *data_dir, *dir;
    vit_wire    wire;
    vit_client *t;
    bool        terminal;
    uint64_t    size;    /* of the file; 0: it has none */
    int         percent; /* shown last */
    char        temporary[64];
    char        base[PATH_SIZE], damaged[PATH_SIZE];
    table       db;
} app;

static void progress(app *a, uint64_t done)
{
    static const char marks[] = "##################################################";
    int percent = done < a->size ? (int)(done * 100 / a->size) : 100, step = a->terminal ? 2 : 25;
    if (percent / step == a->percent / step) return;
    a->percent = percent;
    printf("%sembedding   [%-50.*s] %3d %%%s", a->terminal ? "\r" : "", percent / 2, marks, percent,
           a->terminal && percent < 100 ? "" : "\n");
    fflush(stdout);
}

/* A bar that stopped before its end gets its line end. */
static void end_progress(const app *a)
{
    if (a->terminal && a->percent >= 0 && a->percent < 100) putchar('\n');
}

/* Events are written like rows of a table. */
/* clang-format off */

static const char *errno_name(int error)
{
    static const struct { int error; const char *name; } names[] = {
        { ENOENT, "ENOENT" }, { EACCES, "EACCES" }, { ENOTDIR, "ENOTDIR" }, { EISDIR, "EISDIR" },
        { ENOSPC, "ENOSPC" }, { EROFS, "EROFS" }, { EMFILE, "EMFILE" }, { EIO, "EIO" },
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (names[i].error == error) return names[i].name;
    return "OTHER";
}

/* The path in the message is for the terminal; the event carries it scrubbed. Returns false. */
static bool create_failed(const app *a, const vit_op *op, const char *id, const char *path,
                          int error)
{
    char text[PATH_SIZE + 128];
    snprintf(text, sizeof text, "cannot use %s: %s", path, strerror(error));
    printf("failure     %s\n", text);
    vit_track_sample_db_create_failed(
        a->t, &(vit_sample_db_create_failed){
                  .op = op, .db_type = DB_TYPE, .sample_db_id = id,
                  .error_code = errno_name(error), .retriable = error == ENOSPC || error == EMFILE,
                  .message = text, .exception_type = "FileError", .top_frame = __func__ });
    return false;
}

/* Writes the vectors of all lines. Returns 0, or the errno of what failed. */
static int write_rows(app *a, FILE *in, FILE *out, header *head)
{
    row      r;
    uint64_t done = 0;
    bool     ok = fwrite(head, sizeof *head, 1, out) == 1;
    while (ok && head->rows < LINES_MAX && embed_line(in, &r)) {
        ok = fwrite(&r, sizeof r, 1, out) == 1;
        head->rows += ok;
        done += r.bytes + 1;
        if (done < a->size) progress(a, done);
    }
    if (!ok || ferror(in)) return errno ? errno : EIO;
    if (head->rows < LINES_MAX || getc(in) == EOF) progress(a, a->size);
    else {
        end_progress(a);
        printf("stopped     at %d lines, the rest is left out\n", LINES_MAX);
    }
    rewind(out);
    return fwrite(head, sizeof *head, 1, out) == 1 && fflush(out) == 0 ? 0 : errno;
}

static int embed(app *a, FILE *in, FILE *out)
{
    vit_op op = vit_op_begin();
    header head = new_header;
    int    error = write_rows(a, in, out, &head);
    vit_track_embedding_request(
        a->t, &(vit_embedding_request){
                  .op = &op, .provider = "local", .model_id = "char-ngram-256",
                  .batch_size = (int64_t)head.rows, .latency_ms = VIT_SINCE_OP,
                  .error_code = error ? errno_name(error) : NULL, .success = error == 0 });
    return error;
}

/* Both files are open, or it returns the errno of the one that is not. */
static int open_both(app *a, FILE **in, FILE **out, const char **path)
{
    struct stat info;
    *path = a->file;
    *in = fopen(a->file, "rb");
    if (!*in) return errno;
    if (fstat(fileno(*in), &info) == 0 && S_ISREG(info.st_mode)) a->size = (uint64_t)info.st_size;
    *path = a->base;
    *out = fopen(a->base, "wb");
    return *out ? 0 : errno;
}

static bool create_sample(app *a)
{
    vit_op      op = vit_op_begin();
    const char *path;
    FILE       *in = NULL, *out = NULL;
    int         error = open_both(a, &in, &out, &path);
    size_t      rows;
    vit_track_sample_db_create_started(
        a->t, &(vit_sample_db_create_started){
                  .op = &op, .db_type = DB_TYPE, .sample_db_id = "lines",
                  .estimated_rows = (int64_t)((a->size + BYTES_A_ROW - 1) / BYTES_A_ROW) });
    if (error == 0) {
        error = embed(a, in, out);
        if (ferror(in)) path = a->file;
    }
    if (in) fclose(in);
    if (out) fclose(out);
    if (error) {
        end_progress(a);
        return create_failed(a, &op, "lines", path, error);
    }
    rows = db_count(a->base);
    printf("database    %lu rows created, %d dimensions\n", (unsigned long)rows, DIMS);
    vit_track_sample_db_create_completed(
        a->t, &(vit_sample_db_create_completed){
                  .op = &op, .success = true, .db_type = DB_TYPE, .sample_db_id = "lines",
                  .rows_created = (int64_t)rows, .duration_ms = VIT_SINCE_OP });
    return true;
}

static bool connect_base(app *a)
{
    vit_op op = vit_op_begin();
    char   host[256] = "", what[128];
    gethostname(host, sizeof host - 1);
    vit_track_db_connection_attempt(
        a->t, &(vit_db_connection_attempt){
                  .op = &op, .db_type = DB_TYPE, .host = host, .connection_id = "local-1" });
    bool ok = db_load(a->base, &a->db, what, sizeof what);
    vit_track_db_connection_result(
        a->t, &(vit_db_connection_result){
                  .op = &op, .success = ok, .db_type = DB_TYPE, .error_code = ok ? NULL : "UNREAD",
                  .error_class = ok ? NULL : "DamagedDatabase", .duration_ms = VIT_SINCE_OP });
    if (!ok) printf("failure     the database could not be read back: %s\n", what);
    return ok;
}

static void query_done(const app *a, const vit_op *op, const char *type, const char *filters,
                       size_t results)
{
    vit_track_query_executed(
        a->t, &(vit_query_executed){
                  .op = op, .query_type = type, .db_type = DB_TYPE,
                  .result_count = (int64_t)results, .latency_ms = VIT_SINCE_OP,
                  .filters_applied = filters, .success = true });
    printf("query       %-10s  %lu results", type, (unsigned long)results);
}

static void query_vectors(const app *a, const double *probe, size_t but, const char *type,
                          size_t most)
{
    vit_op op = vit_op_begin();
    hits   h = { 0 };
    search(&a->db, probe, but, &h);
    query_done(a, &op, type, "cosine", h.found < most ? h.found : most);
    if (h.found) printf(", nearest line %lu", (unsigned long)h.row[0] + 1);
    printf("\n");
}

static void query_lengths(const app *a)
{
    vit_op op = vit_op_begin();
    size_t found = 0;
    for (size_t n = 0; n < a->db.rows; n++) found += a->db.row[n].bytes >= LONG_LINE;
    query_done(a, &op, "metadata", "line_length", found);
    printf(" of %d bytes or more\n", LONG_LINE);
}

static void query(const app *a)
{
    const table *db = &a->db;
    size_t       longest = 0;
    double       mean[DIMS];
    mean_of(db, mean);
    normalise(mean, 0);
    for (size_t n = 0; n < db->rows; n++)
        if (db->row[n].bytes > db->row[longest].bytes) longest = n;
    query_vectors(a, db->rows ? db->row[longest].v : mean, longest, "similarity", SIZE_MAX);
    query_vectors(a, mean, SIZE_MAX, "vector", HITS_MAX);
    query_lengths(a);
}

static void cluster(const app *a, clusters *c)
{
    vit_op op = vit_op_begin();
    char   label[40];
    k_means(&a->db, c);
    snprintf(label, sizeof label, "k=%d,iterations=%d", c->k, c->passes);
    vit_track_clustering_run(
        a->t, &(vit_clustering_run){
                  .op = &op, .algorithm = "kmeans", .params = label,
                  .dataset_size = (int64_t)a->db.rows, .cluster_count = c->found,
                  .noise_count = 0, .duration_ms = VIT_SINCE_OP, .success = true });
    printf("k-means     %d clusters of %d, %d passes\n", c->found, c->k, c->passes);
}

static void draw(const app *a, const clusters *c, double *at)
{
    vit_op op = vit_op_begin();
    pca(&a->db, at);
    size_t points = plot(&a->db, c, at);
    vit_track_visualization_generated(
        a->t, &(vit_visualization_generated){
                  .op = &op, .method = "pca", .dims = 2, .points_rendered = (int64_t)points,
                  .duration_ms = VIT_SINCE_OP, .success = true });
    printf("PCA         %lu points\n", (unsigned long)points);
}

static bool analyse(const app *a)
{
    clusters c = { 0 };
    double  *at = malloc((2 * a->db.rows + 1) * sizeof *at);
    c.of = malloc((a->db.rows + 1) * sizeof *c.of);
    if (at && c.of) {
        cluster(a, &c);
        draw(a, &c, at);
    }
    free(c.of);
    free(at);
    return at && c.of;
}

/* The first half of the database, 4 KiB at most, under another name. */
static bool damage(const app *a)
{
    char   half[4096];
    FILE  *in = fopen(a->base, "rb"), *out = fopen(a->damaged, "wb");
    size_t size = in ? fread(half, 1, sizeof half, in) / 2 : 0;
    bool   ok = out && fwrite(half, 1, size, out) == size;
    if (in) fclose(in);
    if (out) fclose(out);
    return ok && size > 0;
}

/* Two things that go wrong for real: a database in a folder that is a file, and half of one. */
static void fail_twice(const app *a)
{
    vit_op op = vit_op_begin();
    char   path[PATH_SIZE + 16], what[128] = "", text[192], trace[32];
    table  half;
    printf("now two failures on purpose\n");
    snprintf(path, sizeof path, "%s/vectors.db", a->base);
    FILE *out = fopen(path, "wb");
    if (out) fclose(out);
    else create_failed(a, &op, "induced", path, errno);
    op = vit_op_begin();
    if (!damage(a) || db_load(a->damaged, &half, what, sizeof what)) return;
    snprintf(text, sizeof text, "the damaged database was refused: %s", what);
    snprintf(trace, sizeof trace, "inspector.c:%d", __LINE__);
    vit_track_uncaught_exception(
        a->t, &(vit_uncaught_exception){
                  .op = &op, .message = text, .traceback = trace,
                  .exception_type = "DamagedDatabase", .top_frame = "db_load" });
    vit_qt_message(a->t, 2, __FILE__, __LINE__, __func__, "inspector", text);
    printf("failure     %s\n", text);
}

static bool inspect(app *a)
{
    vit_session_begin(a->t, NULL, "command_line");
    vit_track_app_launch(a->t, &(vit_app_launch){ 0 });
    vit_track_feature_toggled(
        a->t, &(vit_feature_toggled){ .feature_name = "progress_bar", .new_value = a->terminal });
    bool ok = create_sample(a) && connect_base(a);
    if (ok) {
        vit_set_context(a->t, DB_TYPE, a->file);
        query(a);
        ok = analyse(a);
        fail_twice(a);
    }
    vit_session_end(a->t, VIT_EXIT_NORMAL);
    return ok;
}

/* Waits for the deliveries and says what became of the events: main's status. */
static int report(const app *a)
{
    static const char *const gates[] = {
        "nothing", "this build", "the administrator", "the environment", "continuous integration",
        "the system's diagnostics setting", "the stored setting", "consent" };
    vit_gate  why = VIT_GATE_NONE;
    bool      client = a->t || !*vit_version(); /* VITELEMETRY_DISABLE has neither */
    bool      refused = client && vit_get_consent(a->t, &why) < VIT_CONSENT_GRANTED;
    bool      flushed = vit_flush(a->t, 5000);
    vit_stats s = vit_get_stats(a->t);
    uint64_t  dropped = 0;
    for (int i = 0; i < VIT_DROP_COUNT; i++) dropped += s.dropped[i];
    printf("telemetry   %lu accepted, %lu delivered, %lu dropped, %lu waiting\n",
           (unsigned long)s.accepted, (unsigned long)s.delivered, (unsigned long)dropped,
           (unsigned long)s.queued);
    if (refused) printf("telemetry   refused by %s: nothing was sent\n", gates[why]);
    else if (why == VIT_GATE_SYSTEM)
        printf("telemetry   %s refuses some kinds of events: they were not sent\n", gates[why]);
    if (!refused && !(flushed && s.accepted > 0 && s.accepted == s.delivered)) return 1;
    return !refused && why == VIT_GATE_SYSTEM ? 3 : 0;
}

/* clang-format on */

static void log_line(vit_log_level level, vit_log_item item, const char *text, void *user)
{
    (void)item;
    (void)user;
    if (level <= VIT_LOG_LEVEL_WARNING) fprintf(stderr, "telemetry   %s\n", text);
}

static vit_client *start(const app *a)
{
    vit_options options = { .endpoint = a->endpoint, .data_dir = a->data_dir, .wire = a->wire };
    options.app_version = VITELEMETRY_VERSION;
    options.consent = VIT_CONSENT_GRANTED;
    options.allow_in_ci = true;
    options.transport.send_fn = http_send;
    options.logger.log_fn = log_line;
    vit_client *t = vit_create(&options);
    vit_set_rate(t, "query.executed", 1);
    vit_set_rate(t, "embedding.request", 1);
    printf("inspector   %s -> %s\n"
           "telemetry   consent is taken as granted, also in CI: this is an example; the rates of\n"
           "            query.executed and embedding.request are 1, not 0.05, so that all show\n",
           a->file, a->endpoint);
    return t;
}

/* The folder of the database: the one that was asked for, or a temporary one. */
static bool open_folder(app *a)
{
    const char *top = getenv("TMPDIR");
    if (!a->dir) {
        if (!top || strlen(top) > 40) top = "/tmp";
        snprintf(a->temporary, sizeof a->temporary, "%s/inspector-XXXXXX", top);
        a->dir = mkdtemp(a->temporary);
    } else if (mkdir(a->dir, 0700) != 0 && errno != EEXIST) return false;
    return a->dir && strlen(a->dir) < PATH_SIZE - 32 &&
           snprintf(a->base, PATH_SIZE, "%s/vectors.db", a->dir) > 0 &&
           snprintf(a->damaged, PATH_SIZE, "%s/damaged.db", a->dir) > 0;
}

static void close_folder(const app *a)
{
    remove(a->damaged);
    if (!a->temporary[0]) return;
    remove(a->base);
    rmdir(a->temporary);
}

static bool set_wire(app *a, const char *name)
{
    static const char *const names[] = { "event", "array", "ndjson" };
    for (int i = 0; i < 3; i++) {
        if (strcmp(name, names[i]) != 0) continue;
        a->wire = (vit_wire)i;
        return true;
    }
    return false;
}

/* False: not understood. */
static bool parse(app *a, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;
        if (strncmp(argv[i], "--", 2) != 0) a->file = argv[i];
        else if (!value) return false;
        else if (strcmp(argv[i], "--endpoint") == 0) a->endpoint = value;
        else if (strcmp(argv[i], "--data-dir") == 0) a->data_dir = value;
        else if (strcmp(argv[i], "--dir") == 0) a->dir = value;
        else if (strcmp(argv[i], "--wire") != 0 || !set_wire(a, value)) return false;
        i += strncmp(argv[i], "--", 2) == 0;
    }
    return true;
}

/* 0: all that was accepted was delivered, or a gate refuses. 1: not. 2: wrong options. 3: as 0, but
   the system refuses some kinds of events. */
int main(int argc, char **argv)
{
    app a = { .file = "README.md",
              .endpoint = "http://127.0.0.1:8080/api/v1/telemetry",
              .percent = -100 };
    if (!parse(&a, argc, argv)) {
        fprintf(stderr, "usage: inspector [--endpoint URL] [--data-dir DIR] [--dir DIR]\n"
                        "                 [--wire event|array|ndjson] [FILE]\n");
        return 2;
    }
    if (!open_folder(&a)) {
        fprintf(stderr, "inspector: no folder for the database: %s\n", strerror(errno));
        return 1;
    }
    a.terminal = isatty(STDOUT_FILENO) != 0;
    a.t = start(&a);
    bool inspected = inspect(&a);
    int  reported = report(&a);
    vit_destroy(a.t, 1000);
    free(a.db.row);
    close_folder(&a);
    return inspected ? reported : 1;
}
