/* vitelemetry.h - v0.1.0 - product telemetry for desktop programs, tools and plugins, in one header

This comment is the manual: what you need to write a program, and from WHAT IT DOES on what you can
rely on.

DO THIS
    In ONE C or C++ file, before any system header:

        #define VITELEMETRY_IMPLEMENTATION
        #include "vitelemetry.h"

    and everywhere else only the #include. Link with -pthread on POSIX systems. There is nothing
    else to build or to install. With VITELEMETRY_CURL (and -lcurl) events travel by libcurl, with
    VITELEMETRY_WINHTTP (and -lwinhttp) by the system's own HTTP on Windows; without either you
    give a callback that does the POST (options.transport; examples/http.c is one over plain
    sockets).

A COMPLETE PROGRAM

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

KINDS: one word says type, wire form and privacy
    VIT_LABEL  const char *  constant text, 64 bytes at most; scanned by the scrubber as well
    VIT_TEXT   const char *  scrubbed, then cut to 1 KiB between characters, not in a marker
    VIT_HASH   const char *  <member>_hash: 16 hex digits of sha256(value + the installation's salt)
    VIT_GROUP  const char *  as HASH with options.group_salt: equal in all installations
    VIT_ROW    const char *  as HASH, 12 hex digits
    VIT_TRACE  const char *  nothing; under VIT_CONSENT_VERBOSE lines of `module:line`
    VIT_FRAME  const char *  nothing; goes into error_hash
    VIT_FILE   const char *  the file's name without its folders
    VIT_INT    int64_t       number
    VIT_REAL   double        number, shortest form that reads back the same; null when not finite
                             (OTLP: "NaN", "Infinity", "-Infinity")
    VIT_FLAG   bool          true or false
    VIT_MS     int64_t       milliseconds; VIT_SINCE_OP (-1): since the op began; 0 without an op
    VIT_UUID   const char *  a UUID's 36 characters

YOUR OWN EVENTS
        #define APP_FILE_OPENED(X) X(VIT_LABEL, format) X(VIT_INT, size_kb) X(VIT_MS, duration_ms)
        VIT_EVENT_DECLARE(file_opened, APP_FILE_OPENED);                     in a header of yours
        VIT_EVENT_DEFINE (file_opened, "file.opened", 1.0, APP_FILE_OPENED)  in one file
        vit_track_file_opened(t, &(vit_file_opened){ .format = "csv", .size_kb = 12 });

    or without a declaration, by a builder on your stack:

        vit_event e;
        vit_event_begin(&e, t, "file.opened", NULL);
        vit_add_label(&e, "format", "csv");
        vit_add_int(&e, "size_kb", 12);
        vit_event_send(&e);

ERRORS
    Errors are values. Tracking returns a vit_status; every refusal is counted in vit_stats and
    logged once an item through options.logger. A NULL client is valid in every call and makes it
    do nothing.

THREADS
    vit_track_*, vit_add_*, vit_event_send and vit_get_stats may be called from any thread at any
    time and never wait. The other calls may be called from any thread; they take a lock that is
    never held while your callbacks run, except by vit_export, and by alloc_fn and free_fn while a
    file of the spool or a large settings file of the system is read; and they read and write files
    under it, so that a home folder on a network that hangs can hold up vit_flush and vit_destroy,
    too. vit_create and vit_destroy bracket them all. A forked child records into its parent's queue
    where crash_surviving is true, else nothing (VIT_DISABLED); all other calls do nothing in it (do
    not fork in a signal handler that may interrupt a tracking call). Callbacks may track; vit_flush
    from a callback returns false at once. They return: one that throws or jumps out leaves a client
    that sends nothing more and cannot be destroyed. A thread that is cancelled (pthread_cancel, but
    not asynchronously) in a call ends behind it.

WHEN SOMETHING IS WRONG
    The compiler or the linker says      and that is
    undefined reference to vit_create    no file of the program defines VITELEMETRY_IMPLEMENTATION
    multiple definition of vit_two_...   two of them do
    include it before any system header  the file that does has an #include above it
    this compiler has no atomic ...      it is tcc, say: VITELEMETRY_NO_THREADS, and vit_pump
    undefined reference to curl_...      VITELEMETRY_CURL, without -lcurl

    Nothing arrives: set options.logger, which says why and what to do, once an item; ask
    vit_get_consent, and look at vit_stats. A vit_client that is NULL was refused by vit_create.
    To see what would be sent, set VITELEMETRY_DEBUG=1 in the environment of a program that is built
    without NDEBUG: each request is written to stderr and goes nowhere, and the data folder is left
    alone. So is each log item, where there is no logger: without consent, for one, there is no
    request.

WHAT IT DOES
    A host thread encodes an event into a lock-free queue and goes on: no allocation, no lock, no
    I/O. One consumer (a thread of the client's own, or your loop by vit_pump) turns records into
    JSON and hands them to the transport. A record leaves the queue only when the server has
    taken it (2xx) or refuses it for good, or when the user refuses or forgets it.
    The thread sleeps while nothing is queued and nothing waits, until the next event or call, and
    is up for a moment every five minutes, with options.crash_handler every seven seconds.

    With consent the queue lies in a file in memory (Linux: $XDG_RUNTIME_DIR or /dev/shm, else the
    data folder on ext4 and xfs; Windows: the data folder) that outlives the process. What a killed
    process had accepted is taken over by the next vit_create of the same program and data folder,
    in the words of the run that recorded it, and a request that was under way is repeated under its
    Idempotency-Key. A log-out or a reboot ends that. Where no file is safe (a full, network or
    copy-on-write file system; macOS and BSD), or each of these folders has 16 of the same program
    and data folder, the queue is plain memory, and vit_stats.crash_surviving is false.

    What cannot be delivered goes to the disk: events that have waited for flush_ms while the server
    is away, and in vit_destroy all that is left. The spool is files in the data folder, 0600,
    scrubbed, without hwid, at most spool_bytes_max (of its requests without an error event the
    oldest are dropped first, then those with one) and spool_days_max old. Several processes may
    share it; each event is delivered by one. Nothing is flushed to the disk: a power loss may take
    the last seconds.
    The data folder is options.data_dir, by default <client_type> in $XDG_STATE_HOME, else in
    ~/.local/state; macOS: in ~/Library/Application Support; Windows: in %LOCALAPPDATA%. Root makes
    no folder in one of another user's, such as his home: there it is as with "".

        host threads -> allowed? sampled? -> typed record -> queue -> consumer -> JSON -> transport
                                                                         |         ^
                                                                         v         |
                                                                        spool -----+

DELIVERY
    At least once. A request that may have been received is repeated with the same events, by this
    run or the next, under the same Idempotency-Key; delay_s and the times of OTLP are those of the
    repetition. What became of a request (RFC 9110, 15):

        2xx                     delivered; of OTLP's partialSuccess the rest is dropped as REJECTED
        408, 425, 429, 5xx,     tried again after a random part of 1 s, 2 s, 4 s ... 15 min, or as
        407, no answer          Retry-After says, at most 24 h, which holds for the next start too
        409 to a repetition     the same, 8 times in a row: the first try may be under way there
        400, 413, 422, ...      the batch is halved until the bad event is alone and dropped
        401, 403                nothing more is sent in this run
        404, 410, 3xx           the same: redirects are not followed

    At most 120 requests an hour fail. After an outage what is in the spool is spread over as long
    as that lasted, an hour at most, and behind a Retry-After a client waits up to a quarter of it
    more, 15 minutes at most, so that many do not come at once; vit_flush and vit_destroy do not
    wait for either. What was dropped or refused is told to the server by one event
    telemetry.report behind the next delivery, at most once a minute.

WHAT LEAVES YOUR MACHINE
    One JSON object an event: hwid (a random UUID of this installation, never derived from
    hardware), event_name, app_version, client_type, and metadata: the members of the event as KINDS
    says, correlation_id, session_id, what was set by vit_set_context, sampling_rate,
    sampling_seed_type and sampling_version where the rate is below 1, and delay_s where the event
    waited for more than a minute (OTLP has its time in place of that).
    Free text is scrubbed of addresses, paths, names and secrets before it enters the queue.
    Identifiers leave as salted hashes. Before consent is granted nothing leaves, and nothing but
    a refusal is written to disk. The request's headers are Content-Type, Idempotency-Key (a hash of
    this run's random id and a number), X-Telemetry-Key where options.telemetry_key is set, and what
    your transport adds; no cookie, no identity. The server sees an IP address.

CONSENT: any refusal wins, and vit_get_consent names the gate
    BUILD        VITELEMETRY_DISABLE.
    ADMIN        `disabled = 1` (or true, yes, on) in /etc/<client_type>/telemetry.conf or
                 /etc/vitelemetry.conf. Such a file refuses too when it is malformed, misspelt, not
                 root's, others may write to it, or it or its folder cannot be read: it can only
                 take away. Windows: the number AllowTelemetry
                 in HKLM\SOFTWARE\Policies\<client_type>, when it is anything but 3. macOS:
                 allowDiagnosticSubmission false in the profile of com.apple.applicationaccess (*).
    ENVIRONMENT  DO_NOT_TRACK, VI_NO_TELEMETRY, VITELEMETRY_OPTOUT, <CLIENT_TYPE>_TELEMETRY_OPTOUT
                 (upper case, other characters _), set to anything but "", 0, false, no, off. Two or
                 more of other products': DOTNET_CLI_TELEMETRY_OPTOUT, HOMEBREW_NO_ANALYTICS,
                 POWERSHELL_TELEMETRY_OPTOUT, NEXT_TELEMETRY_DISABLED, GATSBY_TELEMETRY_DISABLED,
                 AZURE_CORE_COLLECT_TELEMETRY=0, SAM_CLI_TELEMETRY=0.
    CI           continuous integration and test runners by their variables, unless
                 options.allow_in_ci.
    SYSTEM       usage events: Windows diagnostic data below 3 (optional); send-software-usage-stats
                 false in GNOME (*); PARTICIPATE="no" in popularity-contest.conf. Error events:
                 Windows Error Reporting disabled; report-technical-problems false in GNOME (*);
                 apport, whoopsie or abrt turned off in /etc; ThirdPartyDataSubmit false in macOS
                 (*). Both: Windows diagnostic data 0; KDE's UserFeedback.conf; a setuid program
                 that runs as another user than its caller. What is not set or cannot be read is no
                 opinion.
    SETTING      telemetry_enabled = false in telemetry.conf in the data folder; a telemetry.conf
                 that cannot be read, is a link or another user's, or that others may write to
                 (whose it is, Windows is not asked: the profile's rights see to it).
    CONSENT      the user: denied, or not asked yet.
    All are asked in vit_create, and all but ENVIRONMENT and CI again in vit_set_consent and right
    before each request: a refusal by another process counts before the next bytes leave (a grant
    by another one, at the next vit_create). In between a call looks at one flag. Error events are
    those of the catalogue's error rows (VIT_ROW_ERROR) and those with vit_add_error; the others are
    usage.
    The user's refusal, options.consent DENIED and telemetry_enabled = false erase: what waits, the
    hwid, the salt and the lists of what was sent are gone. Every other gate may open again: when it
    shuts, what the client holds is dropped; hwid, salt and lists stay, and so does, unsent, what a
    client that starts behind it finds of earlier runs.

WHAT THE USER CAN READ
    All of it: vit_export shows what waits, byte for byte as it will be sent (with VIT_WIRE_OTLP the
    same names and values, but as VIT_WIRE_EVENT would send them), and with options.audit each event
    that the server took (2xx) is appended as one line to sent.ndjson in the data folder, 0600, as
    it left (of OTLP each request). A full file (256 KiB) becomes sent.1.ndjson, so that the last
    256 to 512 KiB are there. vit_purge, vit_reset_identity and a refusal that erases (CONSENT)
    remove both, also those of an earlier run. Nothing is listed without consent or without a data
    folder. examples/privacy.c prints what the catalogue can send at all, and who refuses.

SESSIONS, FAILURES AND CRASHES OF THE HOST
    vit_session_begin and _end record session.start and session.end. A run that does not end by
    vit_destroy leaves a marker: the next vit_create with the same folder, where consent is given,
    records its session.end with its own version and session id, once, whoever comes first.
    exit_reason is `crash` where a crash was recorded or no crash handler was on, else
    `forced_close`; vit_crashed_last_run says the same.

    vit_track_error, vit_fail and vit_qt_message record a failure once in a session: those with the
    same error_hash, event name, code, function and feature are counted, and one event
    error.repeated says how often they came again, in vit_flush, vit_session_end and vit_destroy,
    else after flush_ms and then once a minute. (The catalogue's own calls and vit_add_error record
    each time.)

    With options.crash_handler, and a queue that survives the process from vit_create on, a crash is
    recorded as UncaughtException: exception_type is the signal (SIGSEGV) or the exception of
    Windows, message says whether it touched a null, a stack or another address. No address leaves:
    module and offset go into error_hash. It is sent by the next start. The handler writes one
    record that was reserved beforehand, and then does what would be done without it: calls the
    handler that was there before, else the system's. The record is withdrawn when the program goes
    on: that handler returns, and has neither put the default back nor was it abort(); or the client
    is seen alive more than 15 s later (siglongjmp; also a handler that takes so long). Not when
    that handler calls vit_destroy or exit(). What the host ignores (SIG_IGN) stays ignored. An
    overflow of the stack is seen in the thread that called vit_create, which gets a stack for
    signals (64 KiB) where it has none, and in threads that have their own. Where this header is
    compiled into a module that is not the program itself, such as a plugin, only crashes in that
    module's own code are recorded, and none by abort(). vit_destroy takes the handlers back, unless
    somebody has put his own on top, who calls ours: a plugin then stays in memory though it is
    unloaded (not where its own destructor or DllMain calls vit_destroy). One client of a process,
    and of a copy of this header, has the handler: the first that asks.

MACROS: where the implementation is (I), or the same in every file (E)
    VITELEMETRY_IMPLEMENTATION  I  emit the implementation here
    VITELEMETRY_STATIC          I  every function is static: for a plugin or program whose calls are
                                   in one file (a plugin of several: -fvisibility=hidden instead)
    VITELEMETRY_CURL            I  libcurl is the default transport
    VITELEMETRY_WINHTTP         I  WinHTTP is; Windows only, and not together with VITELEMETRY_CURL
    VITELEMETRY_NO_THREADS      I  no thread, no atomics: call vit_pump; all calls from one thread
    VITELEMETRY_NO_FILES        I  no settings on disk: as data_dir "" (the administrator's and the
                                   system's files are read all the same)
    VITELEMETRY_NO_CRASH        I  no crash handler: options.crash_handler has no effect
    VITELEMETRY_QT              E  C++: vit::install_qt_handler, with the headers of Qt 5 or 6
    VITELEMETRY_OS_SETTINGS     I  read dconf and property lists too: (*) in CONSENT
    VITELEMETRY_CONSENT_VERSION I  1; a whole number. Raise it when what is sent changes: consent
                                   that was granted to another version is asked for again
    VITELEMETRY_DISABLE         E  every call is an empty static inline

LIMITS
    event name 64 bytes, key 64, LABEL 64, TEXT 1 KiB of the first 4 KiB, hashed value 4 KiB, one
    event 2.5 KiB as a record (by vit_event_begin 2 KiB, its keys too) and 32 KiB as JSON, 128
    members of a declared one, 128 declared event types and 64 names with a rate of their own a
    client, 16 registered secrets of 128 bytes, 60 changes of context while events wait, 32 KiB of
    schemas, 256 KiB of each of the two files of options.audit.
    A child that is killed while it records keeps a piece of the queue until the client ends; if
    that is between two certain instructions, what children record behind it waits, too, for the
    next start, and vit_flush says false.
    endpoint 1 KiB, the data folder's path 1000 bytes. 256 different failures a session are counted;
    others are recorded each time. Crashes are located in the first 96 modules that were loaded at
    vit_create, on Windows in the program, this header's module and the system's.

LICENCE
    Public domain by the Unlicense; see the end of this file. */

#ifndef VITELEMETRY_H
#define VITELEMETRY_H

#define VITELEMETRY_VERSION       "0.1.0"
#define VITELEMETRY_VERSION_MAJOR 0
#define VITELEMETRY_VERSION_MINOR 1
#define VITELEMETRY_VERSION_PATCH 0

/* The system's headers show what the implementation needs only when they are asked before the
   first of them is read, which under -std=c99 must be here. */
#if defined(VITELEMETRY_IMPLEMENTATION) && !defined(_WIN32)
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif
#if defined(__APPLE__) && !defined(_DARWIN_C_SOURCE)
#define _DARWIN_C_SOURCE 1
#endif
#ifndef _FILE_OFFSET_BITS /* else 32-bit systems cannot read folders of large file systems */
#define _FILE_OFFSET_BITS 64
#endif
#endif

#include <stddef.h>
#include <stdint.h>
#ifndef __cplusplus
#include <stdbool.h>
#endif

/* VIT_API stands before every declaration, VIT_EXTERN_C before those that a macro makes. */
#ifdef __cplusplus
#define VIT_EXTERN_C extern "C"
#else
#define VIT_EXTERN_C
#endif
#if defined(__GNUC__) || defined(__clang__)
#define VIT_STATIC_ static __attribute__((unused))
#else
#define VIT_STATIC_ static
#endif
/* The overloads of C++ are static where the functions that they call are. */
#if defined(VITELEMETRY_STATIC) || defined(VITELEMETRY_DISABLE)
#define VIT_OVERLOAD_API_ VIT_STATIC_ inline
#else
#define VIT_OVERLOAD_API_ inline
#endif
#if defined(VITELEMETRY_DISABLE)
#define VIT_API VIT_STATIC_ inline
#elif defined(VITELEMETRY_STATIC)
#define VIT_API       VIT_STATIC_
#define VIT_EVENT_API VIT_API
#else
#define VIT_API
#define VIT_EVENT_API VIT_EXTERN_C
#endif

/* ---- types ------------------------------------------------------------------------------- */

typedef struct vit_client vit_client;
typedef struct vit_queue  vit_queue;
typedef struct vit_schema vit_schema;

/* What became of a call. The first two: the event was accepted. */
typedef enum vit_status {
    VIT_OK = 0,
    VIT_TRUNCATED,   /* accepted, but a text was cut or a member did not fit */
    VIT_DISABLED,    /* NULL client, consent or a switch refuses, or a forked child (THREADS) */
    VIT_SAMPLED_OUT, /* not chosen at this event's rate */
    VIT_QUEUE_FULL,  /* refused: the consumer does not keep up, or the server is away */
    VIT_INVALID      /* malformed call: see the log */
} vit_status;

typedef enum vit_consent {
    VIT_CONSENT_UNKNOWN = 0, /* not asked: events wait in memory, nothing is stored or sent */
    VIT_CONSENT_DENIED,
    VIT_CONSENT_GRANTED,
    VIT_CONSENT_VERBOSE /* granted, and stack traces as module:line */
} vit_consent;

typedef enum vit_wire {
    VIT_WIRE_EVENT = 0, /* one JSON object a request */
    VIT_WIRE_ARRAY,     /* a JSON array */
    VIT_WIRE_NDJSON,    /* one object a line, application/x-ndjson */
    VIT_WIRE_OTLP       /* OpenTelemetry: OTLP/HTTP logs as JSON, for .../v1/logs */
} vit_wire;

typedef enum vit_sampling {
    VIT_SAMPLE_SESSION = 0, /* for each event name a session keeps all of its events or none */
    VIT_SAMPLE_FLOW         /* the same for each correlation id, at one SHA-256 an event */
} vit_sampling;

/* The gates of consent, in the order in which they are asked; any refusal wins. CONSENT at the top
   says what each of them reads. */
typedef enum vit_gate {
    VIT_GATE_NONE = 0,
    VIT_GATE_BUILD,
    VIT_GATE_ADMIN,
    VIT_GATE_ENVIRONMENT,
    VIT_GATE_CI,
    VIT_GATE_SYSTEM,
    VIT_GATE_SETTING,
    VIT_GATE_CONSENT
} vit_gate;

/* Why an accepted event was given up; index of vit_stats.dropped. */
typedef enum vit_drop {
    VIT_DROP_CONSENT = 0, /* consent refused or withdrawn, or vit_purge */
    VIT_DROP_REJECTED,    /* the server refused this event for good */
    VIT_DROP_TOO_OLD,
    VIT_DROP_SPOOL_FULL,
    VIT_DROP_SECRET,  /* it held a registered secret */
    VIT_DROP_CORRUPT, /* its record could not be read */
    VIT_DROP_EXIT,    /* still waiting when the client was destroyed */
    VIT_DROP_COUNT
} vit_drop;

typedef enum vit_exit {
    VIT_EXIT_NORMAL = 0,
    VIT_EXIT_CRASH,
    VIT_EXIT_FORCED_CLOSE
} vit_exit;

typedef enum vit_log_level {
    VIT_LOG_LEVEL_ERROR = 1,
    VIT_LOG_LEVEL_WARNING,
    VIT_LOG_LEVEL_INFO
} vit_log_level;

/* Each item is logged once a client. X(ITEM, level, what it means and what to do) */
#define VIT_LOG_ITEMS(X)                                                                           \
    X(QUEUE_FULL, WARNING, "queue full: raise options.queue_bytes, or call vit_pump more often")   \
    X(OPTION_INVALID, ERROR,                                                                       \
      "an option breaks the rule in its comment in vit_options, so there is no client: look at "   \
      "client_type and endpoint first")                                                            \
    X(NO_MEMORY, ERROR,                                                                            \
      "no memory for the client: lower options.queue_bytes, or look at options.allocator")         \
    X(NO_THREAD, WARNING, "no thread could be started: call vit_pump from a loop of yours")        \
    X(NO_TRANSPORT, WARNING,                                                                       \
      "no transport: set options.transport, or define VITELEMETRY_CURL or VITELEMETRY_WINHTTP; "   \
      "nothing is sent")                                                                           \
    X(PLAIN_HTTP, WARNING, "the endpoint is http:// beyond this machine: use https://")            \
    X(NAME_INVALID, ERROR,                                                                         \
      "an event name is NULL or not [A-Za-z0-9_.]{1,64}: the event was refused; rename it")        \
    X(KEY_INVALID, ERROR,                                                                          \
      "a key is NULL, not [a-z0-9_.]{1,64}, reserved or given twice: the event was refused; "      \
      "rename the key")                                                                            \
    X(VALUE_INVALID, ERROR,                                                                        \
      "a UUID is not the 36 characters of one (see vit_uuid4), or an event is NULL: the event "    \
      "was refused")                                                                               \
    X(TEXT_CUT, INFO,                                                                              \
      "a text was cut: make it shorter, or let a LABEL (64 bytes) be a TEXT (1 KiB)")              \
    X(EVENT_CUT, WARNING,                                                                          \
      "an event was larger than a record (2.5 KiB; vit_event_begin: 2), members were left out: "   \
      "shorten its texts, or make two events of it")                                               \
    X(TYPES_FULL, ERROR,                                                                           \
      "more than 128 declared event types: the event was refused; use vit_event_begin for some")   \
    X(RATES_FULL, ERROR,                                                                           \
      "more than 64 event names or 400 different rates in vit_set_rate: the rate was not set; "    \
      "leave the others at their defaults")                                                        \
    X(GROUP_SALT_MISSING, ERROR, "a GROUP member was left out: set options.group_salt")            \
    X(SECRET_REFUSED, ERROR,                                                                       \
      "a secret is not watched: vit_register_secret takes 16, of 4 to 128 bytes; use it for the "  \
      "part that matters")                                                                         \
    X(SECRET_STOPPED, ERROR,                                                                       \
      "an event held a registered secret and was dropped: pass that value as TEXT, or not at all") \
    X(CONTEXT_LOST, WARNING,                                                                       \
      "the context changed too often while events waited, and some go without: call "              \
      "vit_set_context less often, or lower options.flush_ms")                                     \
    X(CONSENT_UNKNOWN, INFO, "nothing is sent until vit_set_consent or options.consent grants it") \
    X(CONSENT_REFUSED, INFO, "telemetry is off: ask vit_get_consent which gate refused")           \
    X(NO_DATA_FOLDER, WARNING,                                                                     \
      "no usable folder for settings (missing, read-only or not yours), so memory only: set "      \
      "options.data_dir")                                                                          \
    X(SETTINGS_UNREADABLE, WARNING,                                                                \
      "the settings cannot be read: taken as a refusal until vit_set_consent writes them")         \
    X(ADMIN_UNREADABLE, WARNING,                                                                   \
      "the administrator's file or policy cannot be read, or is not the administrator's: it "      \
      "refuses until the administrator mends it")                                                  \
    X(PART_REFUSED, INFO,                                                                          \
      "the system's settings refuse usage events, or error events: those are not recorded until "  \
      "the user changes them")                                                                     \
    X(SETTINGS_NOT_SAVED, WARNING,                                                                 \
      "the settings could not be saved, so identity and consent last for this run: make room, or " \
      "set options.data_dir")                                                                      \
    X(SPOOL_FULL, WARNING,                                                                         \
      "the spool is full: its oldest events were dropped; raise options.spool_bytes_max")          \
    X(SPOOL_NOT_WRITTEN, WARNING,                                                                  \
      "the spool cannot be written (full, read-only or no folder), so events wait in the queue: "  \
      "make room, or set options.data_dir")                                                        \
    X(AUDIT_NOT_WRITTEN, WARNING,                                                                  \
      "sent.ndjson could not be written and lacks events that were sent: make room on that disk")  \
    X(RANDOM_WEAK, WARNING,                                                                        \
      "the system gave no random bytes, so ids are unique but guessable: a sandbox should let "    \
      "this program use getrandom or /dev/urandom")                                                \
    X(POOL_PLAIN, INFO,                                                                            \
      "no safe place for a file in memory, or 16 are there, so what waits is lost when the "       \
      "process is killed: on Linux give it $XDG_RUNTIME_DIR or /dev/shm")                          \
    X(POOL_CORRUPT, WARNING,                                                                       \
      "what a killed process left could not be read in part or at all: nothing to do, the rest "   \
      "is sent")                                                                                   \
    X(POOL_FOREIGN, INFO,                                                                          \
      "what a killed process left cannot be read by this version: the one that wrote it sends it " \
      "when it runs again")                                                                        \
    X(RECORD_CORRUPT, ERROR,                                                                       \
      "a record could not be read and was dropped: if it comes again, look with a sanitizer for "  \
      "what writes into the queue")                                                                \
    X(SERVER_PAUSED, WARNING,                                                                      \
      "the server refused us (401, 403), nothing more is sent in this run: see "                   \
      "options.telemetry_key")                                                                     \
    X(SERVER_GONE, WARNING,                                                                        \
      "the endpoint is gone or moved (404, 410, 3xx), nothing more is sent in this run: see "      \
      "options.endpoint")                                                                          \
    X(SERVER_REJECTED, WARNING,                                                                    \
      "the server refused an event for good and it was dropped: compare what vit_export shows "    \
      "with what the server takes")                                                                \
    X(SERVER_AWAY, INFO,                                                                           \
      "no answer (status 0, or VIT_HTTP_PENDING without end), or the server is busy: events wait " \
      "and are tried again; if it stays so, see options.endpoint and what your transport returns") \
    X(CALLBACK_BUSY, WARNING,                                                                      \
      "vit_destroy: the transport has not returned; call vit_destroy again")                       \
    X(CRASH_NOT_BUILT, WARNING,                                                                    \
      "options.crash_handler: this build has none: leave VITELEMETRY_NO_CRASH out, and use "       \
      "another compiler than tcc")                                                                 \
    X(CRASH_TAKEN, WARNING,                                                                        \
      "options.crash_handler: another client of this process has the handler: ask for it in one")  \
    X(REENTRANT_CALL, ERROR,                                                                       \
      "a call from inside a callback would wait for itself and did nothing: callbacks may only "   \
      "track")                                                                                     \
    X(NO_ENDPOINT, WARNING,                                                                        \
      "no endpoint: set options.endpoint to the URL of your server; nothing is sent")

#define VIT_LOG_ENUM_(item, level, text) VIT_LOG_##item,
typedef enum vit_log_item {
    VIT_LOG_NONE = 0,
    VIT_LOG_ITEMS(VIT_LOG_ENUM_) VIT_LOG_ITEM_COUNT
} vit_log_item;
#undef VIT_LOG_ENUM_

/* Memory comes in vit_create, and goes in vit_destroy. Both or none; malloc and free by default.
   alloc_fn gives memory aligned as malloc's; NULL is allowed and makes vit_create fail. The
   consumer takes some more for each queue of a killed process and each file of the spool, one at a
   time, and gives it back; so does whoever reads a large dconf database (CONSENT). */
typedef struct vit_allocator {
    void *(*alloc_fn)(size_t size, void *user);
    void (*free_fn)(void *memory, void *user);
    void *user;
} vit_allocator;

/* log_fn may be called from any thread that calls the client and from the client's own. */
typedef struct vit_logger {
    void (*log_fn)(vit_log_level level, vit_log_item item, const char *text, void *user);
    void *user;
} vit_logger;

#define VIT_HTTP_PENDING (-1) /* http_status: not yet; ask again at the next step, or in the end */
#define VIT_SINCE_OP     (-1) /* MS: measure since .op began */

/* One POST. Texts end with NUL; the body does not. All of it is valid until send_fn returns. It may
   be cancelled on entry: also for the last time, in vit_destroy, where the answer was "not yet". */
typedef struct vit_request {
    const char *url, *content_type, *headers; /* headers: CRLF lines, may be "", never NULL */
    const char *body;
    size_t      body_size;
    uint32_t    timeout_ms; /* the whole request should end by then */
    char       *reply;      /* optional: the start of the answer's body, NUL-terminated */
    size_t      reply_size;
    const void *vitp_cancel;
} vit_request;

/* http_status 0: no answer. retry_after_s: 0 or what vit_retry_after made of the header. */
typedef struct vit_response {
    int      http_status;
    uint32_t retry_after_s;
} vit_response;

typedef struct vit_transport {
    vit_response (*send_fn)(const vit_request *request, void *user);
    void *user;
} vit_transport;

/* Zero is the default of every member. */
typedef struct vit_options {
    uint32_t      _start_canary;
    const char   *endpoint;        /* URL of the POST; ""; printable ASCII, 1 KiB at most */
    const char   *app_version;     /* "0.0.0"; printable ASCII, 64 bytes at most */
    const char   *client_type;     /* "vector-inspector"; [A-Za-z0-9_-][A-Za-z0-9_.-]{0,63} */
    const char   *data_dir;        /* NULL: see the top; a folder, made if missing; "": none */
    const char   *group_salt;      /* none; project-wide, for GROUP members; 256 bytes at most */
    const char   *telemetry_key;   /* none; X-Telemetry-Key; printable ASCII, 256 bytes at most */
    vit_consent   consent;         /* UNKNOWN; the host's default where nothing is stored */
    vit_wire      wire;            /* VIT_WIRE_EVENT */
    vit_sampling  sampling;        /* VIT_SAMPLE_SESSION */
    uint32_t      queue_bytes;     /* 512 KiB; 64 KiB to 1 GiB, rounded up to a power of two */
    uint32_t      flush_ms;        /* 5000; an event waits no longer before it is sent */
    uint32_t      timeout_ms;      /* 5000; of one request */
    uint32_t      batch_events;    /* 100; of one request; with VIT_WIRE_EVENT always 1 */
    uint32_t      batch_bytes;     /* 256 KiB; at least 32 KiB, with VIT_WIRE_OTLP 64 */
    uint32_t      spool_bytes_max; /* 4 MiB; of all files of the spool together */
    uint32_t      spool_days_max;  /* 30; 7 to 30; older events are dropped */
    bool          no_thread;       /* false; true: you call vit_pump */
    bool          crash_handler;   /* false; true: crashes are recorded, see the top */
    bool          audit;           /* false; true: what was sent is listed, see the top */
    bool          allow_in_ci;     /* false; true: continuous integration does not refuse */
    vit_transport transport;       /* by VITELEMETRY_CURL or VITELEMETRY_WINHTTP, else none */
    vit_allocator allocator;       /* malloc and free */
    vit_logger    logger;          /* none */
    uint32_t      _end_canary;
} vit_options;

/* One operation: what its events have in common, and when it began. A plain value; copy it across
   threads. */
typedef struct vit_op {
    unsigned char correlation_id[16];
    uint64_t      begin_ns;
} vit_op;

/* Builder of an event without a declaration, 2304 bytes on the caller's stack; may be abandoned. */
typedef struct vit_event {
    uint64_t vitp_opaque[288];
} vit_event;

/* For vit_track_error. Any member may be NULL. */
typedef struct vit_error {
    const vit_op *op;
    const char   *event_name; /* "Error" */
    const char   *type;       /* exception_type */
    const char   *message;    /* TEXT */
    const char   *frame;      /* where: goes into error_hash only */
    const char   *trace;      /* TRACE */
    const char   *function, *feature, *code;
} vit_error;

/* accepted + adopted = delivered + queued + spooled + handed_over + sum of dropped, at any quiet
   moment. The refused were never accepted. Counts since vit_create; those of the record path are
   of pointer size. */
typedef struct vit_stats {
    uint64_t accepted, adopted, delivered, queued, spooled, handed_over, dropped[VIT_DROP_COUNT];
    uint64_t refused_disabled, refused_sampled, refused_full, refused_invalid, truncated;
    uint64_t requests, retries, bytes_sent;
    bool     crash_surviving; /* what waits outlives the process, see the top */
} vit_stats;

/* ---- schema of a declared event ---------------------------------------------------------- */

typedef enum vit_kind {
    VIT_LABEL = 1,
    VIT_TEXT,
    VIT_HASH,
    VIT_GROUP,
    VIT_ROW,
    VIT_TRACE,
    VIT_FRAME,
    VIT_FILE,
    VIT_INT,
    VIT_REAL,
    VIT_FLAG,
    VIT_MS,
    VIT_UUID
} vit_kind;

typedef struct vit_member {
    const char *name;
    vit_kind    kind;
    size_t      offset;
} vit_member;

#define VIT_ROW_CORRELATED 1u /* gets a correlation id even without .op */
#define VIT_ROW_ERROR      2u /* always rate 1, and has the queue's reserve */
#define VIT_ROW_AT_LINE    4u /* last comes error_hash of name, message and "<file>:<line>" */
#define VIT_ROW_MACHINE    8u /* NULL or 0 in os, cpu_arch, cpu_count, ram_gb: this machine's */

struct vit_schema {
    const char       *name; /* [A-Za-z0-9_.]{1,64} */
    double            rate; /* default sampling rate */
    const vit_member *members;
    uint32_t          member_count;
    uint32_t          flags; /* VIT_ROW_* */
};

#define VIT_TYPE_VIT_LABEL const char *
#define VIT_TYPE_VIT_TEXT  const char *
#define VIT_TYPE_VIT_HASH  const char *
#define VIT_TYPE_VIT_GROUP const char *
#define VIT_TYPE_VIT_ROW   const char *
#define VIT_TYPE_VIT_TRACE const char *
#define VIT_TYPE_VIT_FRAME const char *
#define VIT_TYPE_VIT_FILE  const char *
#define VIT_TYPE_VIT_UUID  const char *
#define VIT_TYPE_VIT_INT   int64_t
#define VIT_TYPE_VIT_REAL  double
#define VIT_TYPE_VIT_FLAG  bool
#define VIT_TYPE_VIT_MS    int64_t

/* VIT_EVENT_DECLARE turns (file_opened, MEMBERS) into
       typedef struct vit_file_opened { const vit_op *op; ...members... } vit_file_opened;
       vit_status vit_track_file_opened(vit_client *t, const vit_file_opened *event);
       inline vit_status vit_track(vit_client *t, const vit_file_opened &event);      (C++)
       const vit_schema *vit_schema_file_opened(void);
   at file scope, outside of extern "C" and of namespaces. [own_events.c] */
#define VIT_FIELD_(kind, member) VIT_TYPE_##kind member;
#ifdef __cplusplus
#define VIT_OVERLOAD_(event)                                                    \
    VIT_OVERLOAD_API_ vit_status vit_track(vit_client *t, const vit_##event &e) \
    {                                                                           \
        return vit_track_##event(t, &e);                                        \
    }
#else
#define VIT_OVERLOAD_(event)
#endif
#define VIT_EVENT_STRUCT_(event, MEMBERS)   \
    typedef struct vit_##event {            \
        const vit_op *op; /* may be NULL */ \
        MEMBERS(VIT_FIELD_)                 \
    } vit_##event;
#ifdef VITELEMETRY_DISABLE
#define VIT_EVENT_DECLARE(event, MEMBERS)                                            \
    VIT_EVENT_STRUCT_(event, MEMBERS)                                                \
    VIT_API const vit_schema *vit_schema_##event(void) { return NULL; }              \
    VIT_API vit_status        vit_track_##event(vit_client *t, const vit_##event *e) \
    {                                                                                \
        (void)t, (void)e;                                                            \
        return VIT_DISABLED;                                                         \
    }                                                                                \
    VIT_OVERLOAD_(event)                                                             \
    struct vit_##event
#else
#define VIT_EVENT_DECLARE(event, MEMBERS)                                            \
    VIT_EVENT_STRUCT_(event, MEMBERS)                                                \
    VIT_EVENT_API vit_status vit_track_##event(vit_client *t, const vit_##event *e); \
    VIT_OVERLOAD_(event)                                                             \
    VIT_EVENT_API const vit_schema *vit_schema_##event(void)
#endif

/* VIT_EVENT_DEFINE makes the two functions: a constant table of (name, kind, offset), and the
   call with it. An event may be without members, but no table is empty: its end is not counted. */
#define VIT_MEMBER_(kind, member) { #member, kind, offsetof(vit_self_, member) },
#ifdef __cplusplus /* it stands in files of the host's, whose warnings may be strict */
#define VIT_COUNT_(n) static_cast<uint32_t>(n)
#else
#define VIT_COUNT_(n) ((uint32_t)(n))
#endif
#define VIT_MEMBERS_END_                 \
    {                                    \
        "", VIT_LABEL, sizeof(vit_self_) \
    }
#ifdef VITELEMETRY_DISABLE
#define VIT_EVENT_DEFINE_ROW(event, text, default_rate, row_flags, MEMBERS) struct vit_##event;
#else
#define VIT_EVENT_DEFINE_ROW(event, text, default_rate, row_flags, MEMBERS)                     \
    VIT_EVENT_API const vit_schema *vit_schema_##event(void)                                    \
    {                                                                                           \
        typedef vit_##event     vit_self_;                                                      \
        static const vit_member members[] = { MEMBERS(VIT_MEMBER_) VIT_MEMBERS_END_ };          \
        static const vit_schema schema = { text, default_rate, members,                         \
                                           VIT_COUNT_(sizeof members / sizeof members[0] - 1u), \
                                           row_flags };                                         \
        return &schema;                                                                         \
    }                                                                                           \
    VIT_EVENT_API vit_status vit_track_##event(vit_client *t, const vit_##event *e)             \
    {                                                                                           \
        return vit_track_schema(t, vit_schema_##event(), e);                                    \
    }
#endif
#define VIT_EVENT_DEFINE(event, text, default_rate, MEMBERS) \
    VIT_EVENT_DEFINE_ROW(event, text, default_rate, 0u, MEMBERS)

/* clang-format off */
/* ---- catalogue: members in wire order ---------------------------------------------------- */

#define VIT_SESSION_START(X) X(VIT_LABEL, os) X(VIT_LABEL, launch_source)
#define VIT_SESSION_ENDED(X) X(VIT_LABEL, os) X(VIT_LABEL, exit_reason) X(VIT_MS, duration_ms)
#define VIT_APP_LAUNCH(X) \
    X(VIT_LABEL, os) X(VIT_LABEL, cpu_arch) X(VIT_INT, cpu_count) X(VIT_INT, ram_gb)
#define VIT_FEATURE_TOGGLED(X) X(VIT_LABEL, feature_name) X(VIT_FLAG, new_value)
#define VIT_DB_CONNECTION_ATTEMPT(X) \
    X(VIT_LABEL, db_type) X(VIT_HASH, host) X(VIT_LABEL, connection_id)
#define VIT_DB_CONNECTION_RESULT(X)                                                               \
    X(VIT_FLAG, success) X(VIT_LABEL, db_type) X(VIT_LABEL, error_code) X(VIT_LABEL, error_class) \
    X(VIT_MS, duration_ms)
#define VIT_SAMPLE_DB_CREATE_STARTED(X) \
    X(VIT_LABEL, db_type) X(VIT_LABEL, sample_db_id) X(VIT_INT, estimated_rows)
#define VIT_SAMPLE_DB_CREATE_COMPLETED(X)                                                          \
    X(VIT_FLAG, success) X(VIT_LABEL, db_type) X(VIT_LABEL, sample_db_id) X(VIT_INT, rows_created) \
    X(VIT_MS, duration_ms)
#define VIT_SAMPLE_DB_CREATE_FAILED(X)                                        \
    X(VIT_LABEL, db_type) X(VIT_LABEL, sample_db_id) X(VIT_LABEL, error_code) \
    X(VIT_FLAG, retriable)                                                    \
    X(VIT_TEXT, message) X(VIT_LABEL, exception_type) X(VIT_FRAME, top_frame)
#define VIT_QUERY_EXECUTED(X)                                                                     \
    X(VIT_LABEL, query_type) X(VIT_LABEL, db_type) X(VIT_INT, result_count) X(VIT_MS, latency_ms) \
    X(VIT_LABEL, filters_applied) X(VIT_FLAG, success)
#define VIT_EMBEDDING_REQUEST(X)                                                               \
    X(VIT_LABEL, provider) X(VIT_LABEL, model_id) X(VIT_INT, batch_size) X(VIT_MS, latency_ms) \
    X(VIT_LABEL, error_code) X(VIT_FLAG, success)
#define VIT_CLUSTERING_RUN(X)                                             \
    X(VIT_LABEL, algorithm) X(VIT_LABEL, params) X(VIT_INT, dataset_size) \
    X(VIT_INT, cluster_count) X(VIT_INT, noise_count) X(VIT_MS, duration_ms) X(VIT_FLAG, success)
#define VIT_VISUALIZATION_GENERATED(X)                                                       \
    X(VIT_LABEL, method) X(VIT_INT, dims) X(VIT_INT, points_rendered) X(VIT_MS, duration_ms) \
    X(VIT_FLAG, success)
#define VIT_UNCAUGHT_EXCEPTION(X)                \
    X(VIT_TEXT, message) X(VIT_TRACE, traceback) \
    X(VIT_LABEL, exception_type) X(VIT_FRAME, top_frame)
#define VIT_QT_ERROR(X)                                           \
    X(VIT_TEXT, message) X(VIT_LABEL, msg_type) X(VIT_FILE, file) \
    X(VIT_INT, line) X(VIT_LABEL, function)
#define VIT_ERROR_EVENT(X)                                                     \
    X(VIT_TEXT, message) X(VIT_LABEL, exception_type) X(VIT_LABEL, error_code) \
    X(VIT_LABEL, function) X(VIT_LABEL, feature) X(VIT_TRACE, traceback)       \
    X(VIT_FRAME, top_frame)
#define VIT_ERROR_REPEATED(X) X(VIT_LABEL, error_hash) X(VIT_INT, occurrences)
#define VIT_TELEMETRY_REPORT(X) X(VIT_INT, accepted) X(VIT_INT, dropped) X(VIT_INT, refused_full)

/* E(C name, wire name, default rate, VIT_ROW_*, members). Structs, functions, overloads, encoder,
   documentation and golden tests all come from these rows. (session.end is session_ended in C:
   vit_session_end is the call that records it.) */
#define VIT_CATALOGUE(E)                                                  \
    E(session_start, "session.start", 1.0,                                \
      VIT_ROW_MACHINE, VIT_SESSION_START)                                 \
    E(session_ended, "session.end", 1.0,                                  \
      VIT_ROW_MACHINE, VIT_SESSION_ENDED)                                 \
    E(app_launch, "app_launch", 1.0,                                      \
      VIT_ROW_MACHINE, VIT_APP_LAUNCH)                                    \
    E(feature_toggled, "feature.toggled", 1.0,                            \
      0u, VIT_FEATURE_TOGGLED)                                            \
    E(db_connection_attempt, "db.connection_attempt", 1.0,                \
      VIT_ROW_CORRELATED, VIT_DB_CONNECTION_ATTEMPT)                      \
    E(db_connection_result, "db.connection_result", 1.0,                  \
      VIT_ROW_CORRELATED, VIT_DB_CONNECTION_RESULT)                       \
    E(sample_db_create_started, "sample_db.create_started", 1.0,          \
      VIT_ROW_CORRELATED, VIT_SAMPLE_DB_CREATE_STARTED)                   \
    E(sample_db_create_completed, "sample_db.create_completed", 1.0,      \
      VIT_ROW_CORRELATED, VIT_SAMPLE_DB_CREATE_COMPLETED)                 \
    E(sample_db_create_failed, "sample_db.create_failed", 1.0,            \
      VIT_ROW_CORRELATED | VIT_ROW_ERROR, VIT_SAMPLE_DB_CREATE_FAILED)    \
    E(query_executed, "query.executed", 0.05,                             \
      VIT_ROW_CORRELATED, VIT_QUERY_EXECUTED)                             \
    E(embedding_request, "embedding.request", 0.05,                       \
      VIT_ROW_CORRELATED, VIT_EMBEDDING_REQUEST)                          \
    E(clustering_run, "clustering.run", 1.0,                              \
      VIT_ROW_CORRELATED, VIT_CLUSTERING_RUN)                             \
    E(visualization_generated, "visualization.generated", 1.0,            \
      VIT_ROW_CORRELATED, VIT_VISUALIZATION_GENERATED)                    \
    E(uncaught_exception, "UncaughtException", 1.0,                       \
      VIT_ROW_CORRELATED | VIT_ROW_ERROR, VIT_UNCAUGHT_EXCEPTION)         \
    E(qt_error, "QtError", 1.0,                                           \
      VIT_ROW_CORRELATED | VIT_ROW_ERROR | VIT_ROW_AT_LINE, VIT_QT_ERROR) \
    E(error_event, "Error", 1.0,                                          \
      VIT_ROW_CORRELATED | VIT_ROW_ERROR, VIT_ERROR_EVENT)                \
    E(error_repeated, "error.repeated", 1.0,                              \
      VIT_ROW_ERROR, VIT_ERROR_REPEATED)                                  \
    E(telemetry_report, "telemetry.report", 1.0,                          \
      0u, VIT_TELEMETRY_REPORT)
/* clang-format on */

/* One struct vit_<event> and one vit_track_<event>(t, &event) a row. In C++ also vit_track(t,
   event). NULL text is absent. NULL or 0 in os, cpu_arch, cpu_count and ram_gb means this
   machine's. Returns VIT_OK, or why not; any thread; never waits. */
#define VIT_DECLARE_ROW_(event, text, rate, flags, MEMBERS) VIT_EVENT_DECLARE(event, MEMBERS);
VIT_CATALOGUE(VIT_DECLARE_ROW_)
#undef VIT_DECLARE_ROW_

/* ---- functions --------------------------------------------------------------------------- */

#ifndef VITELEMETRY_DISABLE
#ifdef __cplusplus
extern "C" {
#endif

/* [In brackets: where to see a call used: a file in examples/, or in tests/ if it is a test_*.c.]
   Which thread may call what: THREADS at the top. */

/* Makes a client: takes all of its memory, reads the stored settings, starts the consumer unless
   options.no_thread. NULL options: all defaults. Texts in the options are copied. Returns NULL
   when the options are malformed or memory is short (see the log); a struct that was not zeroed
   is told by a line on stderr, since its logger cannot be trusted. [hello.c] */
VIT_API vit_client *vit_create(const vit_options *options);

/* Waits until everything accepted so far is delivered, what is in the spool too: true. 0 only wakes
   the consumer and returns what is so now. Tries at once where a retry was waiting for its time,
   but never before a Retry-After ends, nor more than 120 times an hour in vain. False at once when
   the server has refused us, without consent, or from a callback. [offline.c] */
VIT_API bool vit_flush(vit_client *t, uint32_t timeout_ms);

/* One step of delivery for options.no_thread: one request at most. False: nothing to do now, or the
   client has a thread. A transport that answers VIT_HTTP_PENDING is offered the same request at the
   next step, which returns false too. [pump.c] */
VIT_API bool vit_pump(vit_client *t);

/* Delivers what it can in timeout_ms or until a request fails, cancels the one in flight, puts what
   is left into the spool, ends the thread, frees the client: true. That takes 50 ms more at most; a
   queue in plain memory (crash_surviving false), which nothing else keeps, may take as long as its
   writing does, and a second where another process has the folder. False: your transport has not
   returned within 40 ms of its cancellation; the client lives on, call again before you unload the
   code. False also from a callback. [plugin.c] */
VIT_API bool vit_destroy(vit_client *t, uint32_t timeout_ms);

/* What vit_track_<event> does, for a schema made by VIT_EVENT_DEFINE, which must outlive the
   client. event: that schema's struct. [test_events.c] */
VIT_API vit_status vit_track_schema(vit_client *t, const vit_schema *schema, const void *event);

/* Begins an operation: a fresh correlation id (16 bytes from the system) and the time now. Needs no
   client. [operations.c] */
VIT_API vit_op vit_op_begin(void);
/* Writes the correlation id as 36 characters and a NUL. NULL op: the nil UUID. [operations.c] */
VIT_API void vit_op_text(const vit_op *op, char out[37]);

/* Builder: begin, add members, send. A wrong call marks the event, and vit_event_send says so.
   Not for two threads at once. Keys: [a-z0-9_.]{1,64}, no envelope name, none twice. NULL values
   are left out. op may be NULL; vit_add_ms takes VIT_SINCE_OP. [own_events.c, test_events.c] */
VIT_API void vit_event_begin(vit_event *e, vit_client *t, const char *name, const vit_op *op);
VIT_API void vit_add_label(vit_event *e, const char *key, const char *value);
VIT_API void vit_add_text(vit_event *e, const char *key, const char *value);
VIT_API void vit_add_hash(vit_event *e, const char *key, const char *value);
VIT_API void vit_add_group(vit_event *e, const char *key, const char *value);
VIT_API void vit_add_row(vit_event *e, const char *key, const char *value);
VIT_API void vit_add_file(vit_event *e, const char *key, const char *value);
VIT_API void vit_add_uuid(vit_event *e, const char *key, const char *value);
VIT_API void vit_add_int(vit_event *e, const char *key, int64_t value);
VIT_API void vit_add_ms(vit_event *e, const char *key, int64_t value);
VIT_API void vit_add_real(vit_event *e, const char *key, double value);
VIT_API void vit_add_flag(vit_event *e, const char *key, bool value);
/* Adds message, exception_type, error_hash and traceback (each text may be NULL); the event is then
   an error event: never sampled out. [test_events.c] */
VIT_API void vit_add_error(vit_event *e, const char *type, const char *message, const char *frame,
                           const char *trace);
/* Records the event, in the session and context of now. The builder is spent: sending it again
   returns VIT_INVALID, uncounted, as its client may be gone by then. [own_events.c] */
VIT_API vit_status vit_event_send(vit_event *e);

/* An error event under the name that error->event_name gives ("Error" by default). Rate 1. One that
   was recorded before in this session is counted instead (see the top): VIT_OK, below 100 ns where
   type, message and frame have the same bytes. NULL error: VIT_INVALID. [errors.c] */
VIT_API vit_status vit_track_error(vit_client *t, const vit_error *error);
/* Reports a failed operation and returns code, so that it can stand in a return:
       if (!file) return vit_fail(t, &op, "DataImportError", "data_import", errno);
   error_code is the name of an errno value (ENOENT) where code is one of the usual; on Windows also
   of a value of GetLastError (ERROR_SHARING_VIOLATION), which as HRESULT_FROM_WIN32(e) is told from
   an errno of the same number; else the number. event_name NULL: "Error"; op and feature may be
   NULL. [errors.c] */
VIT_API int vit_fail(vit_client *t, const vit_op *op, const char *event_name, const char *feature,
                     int code);

/* Begins a session: its id (NULL: a new UUID; 64 bytes at most) goes into every event,
   session.start is recorded with launch_source (a LABEL, may be NULL), and sampling is decided
   anew. A session that is open ends first. The id is scanned as a LABEL is: a UUID with its dashes
   passes, but 32 hex digits in a row leave as [hex], which is then the id of all sessions.
   [errors.c] */
VIT_API void vit_session_begin(vit_client *t, const char *session_id, const char *launch_source);
/* Records session.end with its duration, which vit_destroy does not do by itself. Without a session
   it does nothing. [errors.c] */
VIT_API void vit_session_end(vit_client *t, vit_exit reason);
/* True when a run that was found at vit_create crashed, the last if there are several. A run that
   was closed by force (killed, power lost) counts as crashed where it had no crash handler. False
   without consent. [errors.c] */
VIT_API bool vit_crashed_last_run(const vit_client *t);

/* For the C++ part: the terminate and the Qt handler, and a text that is kept for a LABEL. */
enum {
    VIT_HOOK_TERMINATE_ = 0,
    VIT_HOOK_QT_ = 1
};
VIT_API vit_client *vit_hook_client_(int hook, void (**previous_fn)(void));
VIT_API void        vit_hook_set_(int hook, vit_client *t, void (*previous_fn)(void));
VIT_API void        vit_hook_stays_(void (*handler_fn)(void));
VIT_API void        vit_uncaught_(vit_client *t, const char *type, const char *message);
VIT_API void        vit_keep_label_(vit_client *t, char *out, size_t out_size, const char *text);

/* One message of a Qt message handler: type is a QtMsgType (0 debug, 1 warning, 2 critical, 3
   fatal, 4 info). Critical and fatal ones become QtError events; category is not sent. Texts are
   UTF-8. In C++ vit::install_qt_handler calls it. [inspector.c] */
VIT_API void vit_qt_message(vit_client *t, int type, const char *file, int line,
                            const char *function, const char *category, const char *message);

/* The user's decision; stored in the data folder with VITELEMETRY_CONSENT_VERSION. DENIED: when the
   call returns nothing more is handed to the transport, and what was waiting, the hwid and the salt
   are gone; works offline, and whatever the other gates say. GRANTED does not overrule a gate, and
   is not stored while one refuses. [consent.c] */
VIT_API void vit_set_consent(vit_client *t, vit_consent consent);
/* The permission in force. why (may be NULL): the first gate that refuses, VIT_GATE_NONE when none
   does. When the system refuses only usage events or only error events, this is the user's consent
   all the same, and why is VIT_GATE_SYSTEM: the events that it refuses return VIT_DISABLED. NULL
   client, and in a forked child that records nothing: DENIED, by none. [consent.c] */
VIT_API vit_consent vit_get_consent(const vit_client *t, vit_gate *why);

/* Goes into every later event: db_provider (a LABEL) and collection_name_hash (a HASH). NULL:
   none. [inspector.c] */
VIT_API void vit_set_context(vit_client *t, const char *provider, const char *collection);
/* Share of this event's occurrences that is recorded, 0 to 1; for 64 names at most. Error events
   stay at 1. [own_events.c] */
VIT_API void vit_set_rate(vit_client *t, const char *event_name, double rate);
/* Watches a secret (key, password, collection name) of 4 to 128 bytes, 16 of them at most; a copy
   is kept. As it is, with percent (RFC 3986) or JSON escapes (RFC 8259) for any of its bytes, or in
   base64 (RFC 4648, both alphabets) it is replaced in TEXT, FRAME and FILE, and lines of a TRACE
   that have it are left out; an event that would carry it elsewhere, in an identifier (UUID,
   vit_op), too, is dropped. Numbers are not looked at: a count may be the same. size 0: strlen.
   False: it is not watched (see log). [test_canary.c] */
VIT_API bool vit_register_secret(vit_client *t, const char *text, size_t size);

/* Calls line_fn with each waiting event as it would be sent: those in the queue, oldest first, then
   those in the spool. With VIT_WIRE_OTLP, too, as VIT_WIRE_EVENT would send it, by the same names
   and values. json has no NUL and is valid until line_fn returns. Returns their number. The lock is
   held: line_fn may track, but other calls from it do nothing. [consent.c] */
VIT_API size_t vit_export(vit_client *t, void (*line_fn)(const char *json, size_t size, void *user),
                          void       *user);
/* Forgets everything unsent, and the list of what was sent (options.audit). [test_audit.c] */
VIT_API void vit_purge(vit_client *t);
/* vit_purge, then a new hwid and a new salt, stored where consent allows it. [test_consent.c] */
VIT_API void vit_reset_identity(vit_client *t);
/* Counters; those of different threads may be an event apart. NULL: zeros. [offline.c] */
VIT_API vit_stats vit_get_stats(const vit_client *t);

/* Without a client: any thread, no state. */

/* True for the share `rate` of all seeds: first 8 hex digits of sha256(seed + ":" + event_name)
   as an integer, divided by 0xFFFFFFFF, below rate. rate >= 1 always, rate <= 0 and NaN never;
   NULL is "". [test_ids.c] */
VIT_API bool vit_should_sample(const char *event_name, double rate, const char *seed);
/* Groups like failures: 16 hex digits and a NUL, of sha256(type|frame|message), numbers, addresses
   and quoted parts of the message replaced. NULL is "". [test_ids.c] */
VIT_API void vit_error_hash(char out[17], const char *type, const char *message,
                            const char *top_frame);
/* Replaces what names a person, a machine or a secret by a marker: [email] [ip] [mac] [host] [user]
   [path] [url] [secret] [token] [jwt] [key] [card] [iban] [ssn] [phone] [hex] [b64] [id]. Returns
   the length of the whole scrubbed text (the text and 8 bytes a marker at most), as snprintf does;
   out (may be NULL) gets what fits, cut at a character boundary and never inside a marker, and a
   NUL. Linear time, no memory; scrubbing twice changes nothing. Patterns only: what the client
   itself sends loses this machine's user, host and home and the registered secrets too.
   [test_scrub.c] */
VIT_API size_t vit_scrub(char *out, size_t out_size, const char *text, size_t text_size);
/* SHA-256 (FIPS 180-4). NULL data: of no bytes. [test_sha256.c] */
VIT_API void vit_sha256(unsigned char digest[32], const void *data, size_t size);
/* A random UUID, version 4 (RFC 9562), as 36 characters and a NUL. [test_ids.c] */
VIT_API void vit_uuid4(char out[37]);
/* VITELEMETRY_VERSION of the implementation that is linked. [inspector.c] */
VIT_API const char *vit_version(void);
/* "VIT_OK" and so on, "unknown" for any other number; never NULL. [test_events.c] */
VIT_API const char *vit_status_text(vit_status s);

/* The queue by itself: many producers, one consumer, records of 1 to record_max bytes over memory
   of yours that is aligned to 64 bytes. Producers never wait and never make a system call.
   [queue.c, test_queue.c] */

/* Bytes of memory for a capacity of that many bytes (rounded up to a power of two, 16 KiB to 1
   GiB). 0: capacity is 0 or too large. */
VIT_API size_t vit_queue_bytes(size_t capacity);
/* Takes the largest capacity that fits. NULL: memory is NULL, not aligned to 64, or too small. */
VIT_API vit_queue *vit_queue_init(void *memory, size_t bytes);
/* Largest record: a chunk (capacity / 32, between 4 and 32 KiB) less 72 bytes. NULL: 0. */
VIT_API uint32_t vit_queue_record_max(const vit_queue *q);
/* Copies a record in. False: full, or size is 0 or above record_max. Any thread. */
VIT_API bool vit_queue_push(vit_queue *q, const void *record, uint32_t size);
/* The same; may also use the last eighth of the chunks, which is kept back for it. */
VIT_API bool vit_queue_push_important(vit_queue *q, const void *record, uint32_t size);
/* Room for a record, aligned to 8 bytes, or NULL when full. Fill it and commit it in the same
   thread, with that size or less, 0 for none after all. Until then other threads go on; records
   that this one pushes in between take a longer way. */
VIT_API void *vit_queue_reserve(vit_queue *q, uint32_t size);
VIT_API void  vit_queue_commit(vit_queue *q, void *record, uint32_t size);
/* Consumer: calls record_fn for the records that are there now, at most `most`, and frees them.
   Each thread's come in their order. record_fn returns false to stop after this one. Returns how
   many it was called for. record_fn may push. */
VIT_API size_t vit_queue_drain(vit_queue *q,
                               bool (*record_fn)(const void *record, uint32_t size, void *user),
                               void *user, size_t most);
/* Consumer: the same without freeing; a later call begins at the oldest again. */
VIT_API size_t vit_queue_peek(vit_queue *q,
                              bool (*record_fn)(const void *record, uint32_t size, void *user),
                              void *user, size_t most);
/* Consumer: frees the oldest records. */
VIT_API void vit_queue_release(vit_queue *q, size_t records);

/* The transport by libcurl, defined with VITELEMETRY_CURL only. http and https, by the proxy of the
   environment (http_proxy, https_proxy, all_proxy), an endpoint on loopback, too, unless no_proxy
   names it; no redirect. user: NULL, or the address of a void * that is NULL at first and keeps the
   handles with their connections; a NULL request frees them. Looks at its cancellation every 20 ms.
   [curl.c] */
#ifdef VITELEMETRY_CURL
VIT_API vit_response vit_curl_send(const vit_request *request, void *user);
#endif

/* The transport by WinHTTP, defined with VITELEMETRY_WINHTTP only. http and https by the system's
   proxy; no redirect, cookie, log-in or client certificate. URL and headers have 2083 characters at
   most, the answer's headers what WinHTTP takes (64 KiB), and of its body 64 KiB are read. Ends
   within timeout_ms, and about 50 ms after a cancel; an answer that is not complete by then is
   none. user: NULL, or the address of a void * that is NULL at first and keeps the session with its
   connections, for WinHttpCloseHandle; one request at a time. [tests/winhttp.c] */
#ifdef VITELEMETRY_WINHTTP
VIT_API vit_response vit_winhttp_send(const vit_request *request, void *user);
#endif

/* For transports: true when the answer is no longer wanted; give up soon and return any status.
   [http.c] */
VIT_API bool vit_request_cancelled(const vit_request *request);
/* Seconds from a Retry-After value (RFC 9110, 10.2.3): a number or an HTTP date, which is taken
   relative to now_s (Unix time). NULL, malformed and past: 0. At most 24 h. [http.c] */
VIT_API uint32_t vit_retry_after(const char *header_value, int64_t now_s);

#ifdef __cplusplus
}
#endif
#endif /* !VITELEMETRY_DISABLE */

/* ---- VITELEMETRY_DISABLE: the same calls, empty ------------------------------------------ */

#ifdef VITELEMETRY_DISABLE
#ifdef __cplusplus
extern "C" {
#endif
#define VIT_EMPTY_(type, name, parameters, use, result) \
    VIT_API type name parameters                        \
    {                                                   \
        use;                                            \
        return result;                                  \
    }
#define VIT_NOTHING_(name, parameters, use) \
    VIT_API void name parameters { use; }
#define VIT_ADD_(name, type)                                         \
    VIT_NOTHING_(name, (vit_event * e, const char *key, type value), \
                 ((void)e, (void)key, (void)value))
typedef bool (*vit_record_fn)(const void *record, uint32_t size, void *user);

VIT_EMPTY_(vit_client *, vit_create, (const vit_options *options), (void)options, NULL)
VIT_EMPTY_(bool, vit_flush, (vit_client * t, uint32_t ms), ((void)t, (void)ms), true)
VIT_EMPTY_(bool, vit_pump, (vit_client * t), (void)t, false)
VIT_EMPTY_(bool, vit_destroy, (vit_client * t, uint32_t ms), ((void)t, (void)ms), true)
VIT_EMPTY_(vit_status, vit_track_schema, (vit_client * t, const vit_schema *schema, const void *e),
           ((void)t, (void)schema, (void)e), VIT_DISABLED)
VIT_NOTHING_(vit_event_begin, (vit_event * e, vit_client *t, const char *name, const vit_op *op),
             ((void)e, (void)t, (void)name, (void)op))
VIT_ADD_(vit_add_label, const char *)
VIT_ADD_(vit_add_text, const char *)
VIT_ADD_(vit_add_hash, const char *)
VIT_ADD_(vit_add_group, const char *)
VIT_ADD_(vit_add_row, const char *)
VIT_ADD_(vit_add_file, const char *)
VIT_ADD_(vit_add_uuid, const char *)
VIT_ADD_(vit_add_int, int64_t)
VIT_ADD_(vit_add_ms, int64_t)
VIT_ADD_(vit_add_real, double)
VIT_ADD_(vit_add_flag, bool)
VIT_NOTHING_(vit_add_error,
             (vit_event * e, const char *type, const char *message, const char *frame,
              const char *trace),
             ((void)e, (void)type, (void)message, (void)frame, (void)trace))
VIT_EMPTY_(vit_status, vit_event_send, (vit_event * e), (void)e, VIT_DISABLED)
VIT_EMPTY_(vit_status, vit_track_error, (vit_client * t, const vit_error *error),
           ((void)t, (void)error), VIT_DISABLED)
VIT_EMPTY_(int, vit_fail,
           (vit_client * t, const vit_op *op, const char *name, const char *feature, int code),
           ((void)t, (void)op, (void)name, (void)feature), code)
VIT_NOTHING_(vit_session_begin, (vit_client * t, const char *id, const char *source),
             ((void)t, (void)id, (void)source))
VIT_NOTHING_(vit_session_end, (vit_client * t, vit_exit reason), ((void)t, (void)reason))
VIT_EMPTY_(bool, vit_crashed_last_run, (const vit_client *t), (void)t, false)
VIT_NOTHING_(vit_qt_message,
             (vit_client * t, int type, const char *file, int line, const char *function,
              const char *category, const char *message),
             ((void)t, (void)type, (void)file, (void)line, (void)function, (void)category,
              (void)message))
VIT_NOTHING_(vit_set_consent, (vit_client * t, vit_consent consent), ((void)t, (void)consent))
VIT_EMPTY_(vit_consent, vit_get_consent, (const vit_client *t, vit_gate *why),
           ((void)t, why ? (void)(*why = VIT_GATE_BUILD) : (void)0), VIT_CONSENT_DENIED)
VIT_NOTHING_(vit_set_context, (vit_client * t, const char *provider, const char *collection),
             ((void)t, (void)provider, (void)collection))
VIT_NOTHING_(vit_set_rate, (vit_client * t, const char *name, double rate),
             ((void)t, (void)name, (void)rate))
VIT_EMPTY_(bool, vit_register_secret, (vit_client * t, const char *text, size_t size),
           ((void)t, (void)text, (void)size), false)
VIT_EMPTY_(size_t, vit_export,
           (vit_client * t, void (*line_fn)(const char *json, size_t size, void *user), void *user),
           ((void)t, (void)line_fn, (void)user), 0)
VIT_NOTHING_(vit_purge, (vit_client * t), (void)t)
VIT_NOTHING_(vit_reset_identity, (vit_client * t), (void)t)
VIT_EMPTY_(bool, vit_should_sample, (const char *name, double rate, const char *seed),
           ((void)name, (void)rate, (void)seed), false)
VIT_API void vit_error_hash(char out[17], const char *type, const char *message,
                            const char *top_frame)
{
    (void)type, (void)message, (void)top_frame;
    if (out) out[0] = 0;
}
VIT_EMPTY_(size_t, vit_scrub, (char *out, size_t out_size, const char *text, size_t text_size),
           ((void)text, (void)text_size, !out || !out_size ? (void)0 : (void)(out[0] = 0)), 0)
VIT_API void vit_sha256(unsigned char digest[32], const void *data, size_t size)
{
    int i;
    (void)data, (void)size;
    for (i = 0; digest && i < 32; i++) digest[i] = 0;
}
VIT_API void vit_uuid4(char out[37])
{
    if (out) out[0] = 0;
}
VIT_API void vit_op_text(const vit_op *op, char out[37])
{
    (void)op;
    if (out) out[0] = 0;
}
VIT_EMPTY_(const char *, vit_version, (void), (void)0, "")
VIT_EMPTY_(const char *, vit_status_text, (vit_status s), (void)s, "")
VIT_EMPTY_(size_t, vit_queue_bytes, (size_t capacity), (void)capacity, 0)
VIT_EMPTY_(vit_queue *, vit_queue_init, (void *memory, size_t bytes), ((void)memory, (void)bytes),
           NULL)
VIT_EMPTY_(uint32_t, vit_queue_record_max, (const vit_queue *q), (void)q, 0)
VIT_EMPTY_(bool, vit_queue_push, (vit_queue * q, const void *record, uint32_t size),
           ((void)q, (void)record, (void)size), false)
VIT_EMPTY_(bool, vit_queue_push_important, (vit_queue * q, const void *record, uint32_t size),
           ((void)q, (void)record, (void)size), false)
VIT_EMPTY_(void *, vit_queue_reserve, (vit_queue * q, uint32_t size), ((void)q, (void)size), NULL)
VIT_NOTHING_(vit_queue_commit, (vit_queue * q, void *record, uint32_t size),
             ((void)q, (void)record, (void)size))
VIT_EMPTY_(size_t, vit_queue_drain,
           (vit_queue * q, vit_record_fn record_fn, void *user, size_t most),
           ((void)q, (void)record_fn, (void)user, (void)most), 0)
VIT_EMPTY_(size_t, vit_queue_peek,
           (vit_queue * q, vit_record_fn record_fn, void *user, size_t most),
           ((void)q, (void)record_fn, (void)user, (void)most), 0)
VIT_NOTHING_(vit_queue_release, (vit_queue * q, size_t records), ((void)q, (void)records))
VIT_EMPTY_(bool, vit_request_cancelled, (const vit_request *request), (void)request, true)
VIT_EMPTY_(uint32_t, vit_retry_after, (const char *value, int64_t now_s),
           ((void)value, (void)now_s), 0)
VIT_API vit_op vit_op_begin(void)
{
    vit_op op = { { 0 }, 0 };
    return op;
}
#ifdef VITELEMETRY_CURL
VIT_API vit_response vit_curl_send(const vit_request *request, void *user)
{
    vit_response none = { 0, 0 };
    (void)request, (void)user;
    return none;
}
#endif
#ifdef VITELEMETRY_WINHTTP
VIT_API vit_response vit_winhttp_send(const vit_request *request, void *user)
{
    vit_response none = { 0, 0 };
    (void)request, (void)user;
    return none;
}
#endif
VIT_API vit_stats vit_get_stats(const vit_client *t)
{
    vit_stats stats = { 0, 0, 0, 0, 0, 0, { 0 }, 0, 0, 0, 0, 0, 0, 0, 0, false };
    (void)t;
    return stats;
}
#undef VIT_EMPTY_
#undef VIT_NOTHING_
#undef VIT_ADD_
#ifdef __cplusplus
}
#endif
#endif /* VITELEMETRY_DISABLE */

/* ---- C++11: exceptions, scopes, std::terminate, Qt ---------------------------------------- */

#if defined(__cplusplus) && \
    (__cplusplus >= 201103L || (defined(_MSVC_LANG) && _MSVC_LANG >= 201103L))

#include <utility>
#ifndef VITELEMETRY_DISABLE
#include <cstdlib>
#include <exception>
#include <typeinfo>
#ifdef __GNUC__
#include <cxxabi.h>
#endif
#ifdef VITELEMETRY_QT
#include <QtCore/qlogging.h>
#include <QtCore/QString>
#endif
#endif

/* The caller's name as a default argument, where the compiler knows it. */
#define VIT_CALLER_ nullptr
#if defined(__has_builtin)
#if __has_builtin(__builtin_FUNCTION)
#undef VIT_CALLER_
#define VIT_CALLER_ __builtin_FUNCTION()
#endif
#elif (defined(__GNUC__) && !defined(__clang__)) || (defined(_MSC_VER) && _MSC_VER >= 1926)
#undef VIT_CALLER_
#define VIT_CALLER_ __builtin_FUNCTION()
#endif

#if defined(__cpp_exceptions) || defined(__EXCEPTIONS) || defined(_CPPUNWIND)
#define VIT_THROWS_ /* not -fno-exceptions */
#endif

/* Members of a class: no copy of them is left for another file or plugin to take for its own. */
#if defined(__GNUC__) || defined(__clang__)
#define VIT_INLINE_ __attribute__((always_inline))
#elif defined(_MSC_VER)
#define VIT_INLINE_ __forceinline
#else
#define VIT_INLINE_
#endif

namespace vit
{

#ifdef VITELEMETRY_DISABLE

template <typename F>
static inline auto report_exceptions(vit_client *, const char *, const char *, F &&f,
                                     const char * = nullptr) -> decltype(std::forward<F>(f)())
{
    return std::forward<F>(f)();
}

template <typename F>
static inline auto report_exceptions(vit_client *, const vit_op *, const char *, const char *,
                                     F &&f, const char * = nullptr)
    -> decltype(std::forward<F>(f)())
{
    return std::forward<F>(f)();
}

class operation
{
  public:
    VIT_INLINE_ explicit operation(vit_client *, const char *, const char * = nullptr) noexcept
        : op_(vit_op_begin())
    {
    }
    VIT_INLINE_ ~operation() noexcept {}
    operation(const operation &) = delete;
    operation &operator=(const operation &) = delete;

    VIT_INLINE_ void          fail(const char *) noexcept {}
    VIT_INLINE_ const vit_op *op() const noexcept { return &op_; }

  private:
    vit_op op_;
};

static inline bool install_terminate_handler(vit_client *) { return true; }
#ifdef VITELEMETRY_QT
static inline bool install_qt_handler(vit_client *) { return true; }
#endif

#else /* !VITELEMETRY_DISABLE */

/* The exception in hand, which is one of C++: its type's name (*owned is to be freed), or NULL. */
#ifdef __GNUC__
static inline const char *exception_type_(char **owned) noexcept
{
    const std::type_info *info = abi::__cxa_current_exception_type();
    int                   status = 0;
    if (!info) return nullptr;
    *owned = abi::__cxa_demangle(info->name(), nullptr, nullptr, &status);
    return *owned ? *owned : info->name();
}
#elif defined(VIT_THROWS_) && defined(_CPPRTTI)
static inline const char *exception_plain_(const char *name) noexcept
{
    const char *prefixes[] = { "class ", "struct " };
    for (const char *prefix : prefixes) {
        size_t size = 0;
        while (prefix[size] && name[size] == prefix[size]) size++;
        if (!prefix[size]) return name + size;
    }
    return name;
}

static inline const char *exception_type_(char **) noexcept
{
    try {
        throw;
    } catch (const std::exception &e) {
        return exception_plain_(typeid(e).name());
    } catch (int) {
        return "int";
    } catch (const char *) {
        return "char const*";
    } catch (...) {
        return nullptr;
    }
}
#else
static inline const char *exception_type_(char **) noexcept { return nullptr; }
#endif

#ifdef VIT_THROWS_
static inline const char *exception_what_(const std::exception &e) noexcept
{
    try {
        return e.what(); /* some libraries let it throw */
    } catch (...) {
        return nullptr;
    }
}

/* Its text, or NULL; lives as long as the exception. */
static inline const char *exception_text_() noexcept
{
    try {
        throw;
    } catch (const std::exception &e) {
        return exception_what_(e);
    } catch (const char *text) {
        return text;
    } catch (...) {
        return nullptr;
    }
}

/* In a handler. An exception of another language has no type that could be asked for, and would not
   outlive a second handler. */
static inline void report_exception_(vit_client *t, const vit_op *op, const char *event_name,
                                     const char *feature, const char *function) noexcept
{
    vit_error error = vit_error();
    char     *owned = nullptr;
    if (!t) return;
    error.op = op;
    error.event_name = event_name;
    error.type = "foreign";
    if (std::current_exception()) {
        error.type = exception_type_(&owned);
        error.message = exception_text_();
    }
    error.function = function;
    error.feature = feature;
    (void)vit_track_error(t, &error);
    std::free(owned);
}
#endif

/* Calls f() and returns what it returns. When it throws, an error event is recorded and the same
   exception goes on: event_name (NULL: "Error") with the type's name, what() or a thrown text as
   message, the calling function, feature (may be NULL), and op's correlation id. Another language's
   exception has the type "foreign"; the end of a thread by pthread_cancel or pthread_exit is not
   reported. Any thread; takes a little memory for the type's name when it reports, and without it
   reports the mangled name. NULL client, -fno-exceptions: calls f only. [cpp17.cpp] */
template <typename F>
static inline auto report_exceptions(vit_client *t, const vit_op *op, const char *event_name,
                                     const char *feature, F &&f, const char *function = VIT_CALLER_)
    -> decltype(std::forward<F>(f)())
{
#ifdef VIT_THROWS_
    try {
        return std::forward<F>(f)();
    }
#ifdef __GLIBCXX__
    catch (const abi::__forced_unwind &) {
        throw;
    }
#endif
    catch (...) {
        report_exception_(t, op, event_name, feature, function);
        throw;
    }
#else
    (void)t, (void)op, (void)event_name, (void)feature, (void)function;
    return std::forward<F>(f)();
#endif
}

template <typename F>
static inline auto report_exceptions(vit_client *t, const char *event_name, const char *feature,
                                     F &&f, const char *function = VIT_CALLER_)
    -> decltype(std::forward<F>(f)())
{
    return report_exceptions(t, static_cast<const vit_op *>(nullptr), event_name, feature,
                             std::forward<F>(f), function);
}

/* How many exceptions are on their way; before C++17 whether one is. */
static inline int exceptions_() noexcept
{
#if defined(__cpp_lib_uncaught_exceptions) || __cplusplus >= 201703L
    return std::uncaught_exceptions();
#else
    return std::uncaught_exception() ? 1 : 0;
#endif
}

static inline void operation_end_(vit_client *t, const vit_op *op, const char *event_name,
                                  const char *feature, bool success, const char *code) noexcept
{
    vit_event e;
    vit_event_begin(&e, t, event_name, op);
    vit_add_label(&e, "feature", feature);
    vit_add_flag(&e, "success", success);
    vit_add_label(&e, "error_code", code[0] ? code : nullptr);
    vit_add_ms(&e, "duration_ms", VIT_SINCE_OP);
    (void)vit_event_send(&e);
}

/* A scope that is one operation: its end records one event, event_name with the LABELs feature and
   error_code where they are given, the FLAG success and the MS duration_ms. success is false when
   fail() was called or an exception leaves the scope (before C++17 that is not seen in a destructor
   that runs because of another exception; nor is one of another language). event_name and feature
   must live as long; of error_code a copy is kept. Not for two threads at once. Never throws, takes
   no memory. NULL client: records nothing. [cpp17.cpp] */
class operation
{
  public:
    VIT_INLINE_ explicit operation(vit_client *t, const char *event_name,
                                   const char *feature = nullptr) noexcept
        : client_(t), event_name_(event_name), feature_(feature), op_(vit_op_begin()),
          exceptions_then_(exceptions_()), failed_(false), code_()
    {
    }

    VIT_INLINE_ ~operation() noexcept
    {
        bool success = !failed_ && exceptions_() <= exceptions_then_;
        operation_end_(client_, &op_, event_name_, feature_, success, code_);
    }

    operation(const operation &) = delete;
    operation &operator=(const operation &) = delete;

    /* The operation failed. error_code (may be NULL): a LABEL; the last call's counts. */
    VIT_INLINE_ void fail(const char *error_code) noexcept
    {
        vit_keep_label_(client_, code_, sizeof code_, error_code);
        failed_ = true;
    }

    /* For other events, which then have the same correlation id. */
    VIT_INLINE_ const vit_op *op() const noexcept { return &op_; }

  private:
    vit_client *client_;
    const char *event_name_, *feature_;
    vit_op      op_;
    int         exceptions_then_;
    bool        failed_;
    char        code_[72]; /* more than a LABEL has, so that a cut is one of the event, too */
};

/* The client is taken out first: a what() that ends here again must not be asked again. */
[[noreturn]] static inline void on_terminate_()
{
    void (*previous)() = nullptr;
    vit_client *t = vit_hook_client_(VIT_HOOK_TERMINATE_, &previous);
    if (t) vit_hook_set_(VIT_HOOK_TERMINATE_, nullptr, previous);
    if (t && std::current_exception()) {
        char       *owned = nullptr;
        const char *type = exception_type_(&owned), *text = nullptr;
#ifdef VIT_THROWS_
        text = exception_text_();
#endif
        vit_uncaught_(t, type, text);
        std::free(owned);
    }
    if (previous) previous();
    std::abort();
}

/* What ends the program by std::terminate because nobody caught it is recorded as
   UncaughtException (not sent: the next run does that where stats.crash_surviving is true); then
   the handler that was there before goes on, and after it std::abort. Without an exception, or with
   one of another language, nothing is recorded; from a file with -fno-exceptions, without its
   message. One client of the program has it: a second call replaces that. NULL: nothing is recorded
   any more, and the handler before is put back; do that before vit_destroy, and in the file that
   installed it. False: that one stands below a third handler, stays, and only passes on; so does a
   plugin's code, which is then not unloaded. MSVC: std::terminate has a handler for each thread, so
   this holds for the calling one. Not for two threads at once. [cpp17.cpp] */
static inline bool install_terminate_handler(vit_client *t)
{
    void (*previous)() = nullptr;
    (void)vit_hook_client_(VIT_HOOK_TERMINATE_, &previous);
    if (previous) { /* it is installed */
        bool on_top = std::get_terminate() == &on_terminate_;
        if (!t && on_top) std::set_terminate(previous);
        vit_hook_set_(VIT_HOOK_TERMINATE_, t, !t && on_top ? nullptr : previous);
        if (!t && !on_top) vit_hook_stays_(&on_terminate_);
        return t || on_top;
    }
    if (!t) return true;
    previous = std::get_terminate();
    vit_hook_set_(VIT_HOOK_TERMINATE_, t, previous ? previous : &std::abort);
    std::set_terminate(&on_terminate_);
    return true;
}

#ifdef VITELEMETRY_QT
/* Qt itself sees to it that a message from within goes to stderr and not here again. */
static inline void on_qt_message_(QtMsgType type, const QMessageLogContext &context,
                                  const QString &text)
{
    void (*previous)() = nullptr;
    vit_client *t = vit_hook_client_(VIT_HOOK_QT_, &previous);
    if (t)
        vit_qt_message(t, static_cast<int>(type), context.file, context.line, context.function,
                       context.category, text.toUtf8().constData());
    if (previous) reinterpret_cast<QtMessageHandler>(previous)(type, context, text);
}

/* Qt's critical and fatal messages become QtError events (vit_qt_message); every message goes on to
   the handler that was there before, Qt's own by default. File, line and function are there with
   QT_MESSAGELOGCONTEXT. A second call, NULL and what is returned: as for install_terminate_handler.
   Not for two threads at once, nor while another writes its messages. [qt_app.cpp] */
static inline bool install_qt_handler(vit_client *t)
{
    void (*previous)() = nullptr;
    (void)vit_hook_client_(VIT_HOOK_QT_, &previous);
    if (!previous && !t) return true;
    if (previous && t) {
        vit_hook_set_(VIT_HOOK_QT_, t, previous);
        return true;
    }
    QtMessageHandler was = qInstallMessageHandler(reinterpret_cast<QtMessageHandler>(previous));
    if (previous && was != &on_qt_message_) {
        qInstallMessageHandler(was);
        vit_hook_set_(VIT_HOOK_QT_, nullptr, previous);
        vit_hook_stays_(reinterpret_cast<void (*)()>(&on_qt_message_));
        return false;
    }
    vit_hook_set_(VIT_HOOK_QT_, t, t ? reinterpret_cast<void (*)()>(was) : nullptr);
    if (t) qInstallMessageHandler(&on_qt_message_);
    return true;
}
#endif

#endif /* VITELEMETRY_DISABLE */

} // namespace vit

#undef VIT_CALLER_
#undef VIT_THROWS_
#undef VIT_INLINE_

#endif /* C++11 */

#endif /* VITELEMETRY_H */

#if defined(VITELEMETRY_IMPLEMENTATION) && !defined(VITELEMETRY_DISABLE) && \
    !defined(VITELEMETRY_IMPLEMENTED)
#define VITELEMETRY_IMPLEMENTED

/* ============================================================================================
   >>limits: constants of the implementation, each with its reason
   ============================================================================================ */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef VITELEMETRY_CONSENT_VERSION
#define VITELEMETRY_CONSENT_VERSION 1
#endif
#if VITELEMETRY_CONSENT_VERSION < 1 || VITELEMETRY_CONSENT_VERSION > 999999999
#error "VITELEMETRY_CONSENT_VERSION is a whole number from 1 to 999999999"
#endif

#define VITP_NAME_MAX  64u /* bytes of an event name or key: the backend's rule */
#define VITP_LABEL_MAX 64u /* bytes of a LABEL */
#define VITP_LABEL_SCRUBBED_MAX \
    (4u * VITP_LABEL_MAX)          /* markers may be longer than what they replace */
#define VITP_TEXT_MAX        1024u /* bytes of a TEXT or TRACE after scrubbing */
#define VITP_TEXT_READ_MAX   4096u /* bytes of a text, or of a value to hash, that are looked at */
#define VITP_TRACE_LINES_MAX 32u
#define VITP_RECORD_MAX      2560u /* two full texts, four labels, a name and the head fit */
#define VITP_EVENT_JSON_MAX \
    32768u                    /* a record of which each byte becomes \u00XX, and the envelope */
#define VITP_MEMBERS_MAX 128u /* of a declared event: with their keys they fit the JSON */
#ifndef VITP_TYPES_MAX
#define VITP_TYPES_MAX 128u /* power of two: slots of a hash table */
#endif
#define VITP_RATES_MAX          64u
#define VITP_RATE_VALUES_MAX    400u /* below VITP_VERDICT_DEFAULT */
#define VITP_SECRETS_MAX        16u
#define VITP_SECRET_MAX         128u
#define VITP_SECRET_SPELLED_MAX ((size_t)6u * VITP_SECRET_MAX) /* \u0020 for each byte */
#define VITP_KNOWN_MAX          16u
#ifndef VITP_CONTEXTS_MAX
#define VITP_CONTEXTS_MAX 64u /* power of two */
#endif
#define VITP_LABEL_CACHE  64u /* power of two: labels whose scan is remembered */
#define VITP_PATH_MAX     1024u
#define VITP_KEY_MAX      256u /* bytes of options.telemetry_key */
#define VITP_HEADERS_MAX  (VITP_KEY_MAX + 128u)
#define VITP_REPLY_MAX    1024u   /* bytes of an answer that are looked at */
#define VITP_POOLS_MAX    16u     /* files in one folder: of runs that live, or could not deliver */
#define VITP_POOL_OLD_S   2592000 /* 30 days: a pool that cannot be read is removed */
#define VITP_SETTINGS_MAX 4096u   /* bytes of the settings file that are accepted */
#ifndef VITP_HOLD_MS
#define VITP_HOLD_MS 80u /* how long another process's hold on the settings is waited for */
#endif
#ifndef VITP_HOLD_GRANT_MS
#define VITP_HOLD_GRANT_MS 2000u /* and where a consent is written anew: not without it */
#endif
#define VITP_HINT_MAX  4194304u /* bytes of a desktop's database of settings */
#define VITP_MS        1000000u /* nanoseconds */
#define VITP_CANCEL_MS 40u      /* how long vit_destroy waits for a cancelled transport */

/* ============================================================================================
   >>atomics: of uint32_t, and of uintptr_t (_PTR). Replaceable: a test may define them all first.

   The two barriers are one that costs the frequent side nothing: after LIGHT, which only holds the
   compiler, and HEAVY, a system call that makes every running thread of the process pass a full
   barrier, at least one of the two sides sees what the other wrote before. HEAVY is false where the
   system has none. A checker defines both as full fences.
   ============================================================================================ */

#if defined(__GNUC__) || defined(__clang__)
#if defined(__OPTIMIZE_SIZE__)
#define VITP_INLINE inline
#else
#define VITP_INLINE inline __attribute__((always_inline))
#endif
#define VITP_NOINLINE    __attribute__((noinline))
#define VITP_UNLIKELY(x) __builtin_expect(!!(x), 0)
#define VITP_LIKELY(x)   __builtin_expect(!!(x), 1)
#else
#define VITP_INLINE inline
#define VITP_NOINLINE
#define VITP_UNLIKELY(x) (x)
#define VITP_LIKELY(x)   (x)
#endif

#ifndef VITP_ATOMIC_LOAD
#if defined(VITELEMETRY_NO_THREADS)
#define VITP_ATOMIC_LOAD(p)             (*(p))
#define VITP_ATOMIC_LOAD_ACQUIRE(p)     (*(p))
#define VITP_ATOMIC_STORE(p, v)         ((void)(*(p) = (v)))
#define VITP_ATOMIC_STORE_RELEASE(p, v) ((void)(*(p) = (v)))
#define VITP_ATOMIC_ADD(p, v)           ((void)(*(p) += (v)))
#define VITP_ATOMIC_OR(p, v)            vitp_atomic_or((p), (v))
#define VITP_ATOMIC_EXCHANGE(p, v)      vitp_atomic_exchange((p), (v))
#define VITP_ATOMIC_CAS(p, expected, v) vitp_atomic_cas((p), (expected), (v))
static bool vitp_atomic_cas(uint32_t *p, uint32_t *expected, uint32_t v)
{
    bool same = *p == *expected;
    if (same) *p = v;
    else *expected = *p;
    return same;
}
static uint32_t vitp_atomic_or(uint32_t *p, uint32_t v)
{
    uint32_t old = *p;
    *p = old | v;
    return old;
}
static uint32_t vitp_atomic_exchange(uint32_t *p, uint32_t v)
{
    uint32_t old = *p;
    *p = v;
    return old;
}
#define VITP_ATOMIC_LOAD_PTR(p)             VITP_ATOMIC_LOAD(p)
#define VITP_ATOMIC_LOAD_PTR_ACQUIRE(p)     VITP_ATOMIC_LOAD(p)
#define VITP_ATOMIC_STORE_PTR(p, v)         VITP_ATOMIC_STORE(p, v)
#define VITP_ATOMIC_STORE_PTR_RELEASE(p, v) VITP_ATOMIC_STORE(p, v)
#define VITP_ATOMIC_ADD_PTR(p, v)           vitp_atomic_add_ptr((p), (v))
#define VITP_ATOMIC_CAS_PTR(p, expected, v) vitp_atomic_cas_ptr((p), (expected), (v))
#define VITP_ATOMIC_LIGHT_BARRIER()         ((void)0)
#define VITP_ATOMIC_HEAVY_BARRIER()         true
static bool vitp_atomic_cas_ptr(uintptr_t *p, uintptr_t *expected, uintptr_t v)
{
    bool same = *p == *expected;
    if (same) *p = v;
    else *expected = *p;
    return same;
}
static uintptr_t vitp_atomic_add_ptr(uintptr_t *p, uintptr_t v)
{
    uintptr_t old = *p;
    *p = old + v;
    return old;
}
#elif defined(_MSC_VER) && !defined(__clang__)
/* clang-format off */
#include <intrin.h>
#define VITP_ATOMIC_LOAD(p)         ((uint32_t) * (const volatile uint32_t *)(p))
#define VITP_ATOMIC_LOAD_PTR(p)     ((uintptr_t) * (const volatile uintptr_t *)(p))
#define VITP_ATOMIC_STORE(p, v)     ((void)(*(volatile uint32_t *)(p) = (v)))
#define VITP_ATOMIC_STORE_PTR(p, v) ((void)(*(volatile uintptr_t *)(p) = (v)))
#if defined(_M_IX86) || (defined(_M_X64) && !defined(_M_ARM64EC))
/* Each load acquires and each store releases here: the compiler alone must keep their order. */
static VITP_INLINE uint32_t vitp_atomic_load_acquire(const volatile uint32_t *p)
{
    uint32_t v = *p;
    _ReadWriteBarrier();
    return v;
}
static VITP_INLINE uintptr_t vitp_atomic_load_ptr_acquire(const volatile uintptr_t *p)
{
    uintptr_t v = *p;
    _ReadWriteBarrier();
    return v;
}
#define VITP_ATOMIC_LOAD_ACQUIRE(p)         vitp_atomic_load_acquire(p)
#define VITP_ATOMIC_LOAD_PTR_ACQUIRE(p)     vitp_atomic_load_ptr_acquire(p)
#define VITP_ATOMIC_STORE_RELEASE(p, v)     (_ReadWriteBarrier(), VITP_ATOMIC_STORE(p, v))
#define VITP_ATOMIC_STORE_PTR_RELEASE(p, v) (_ReadWriteBarrier(), VITP_ATOMIC_STORE_PTR(p, v))
#else
#define VITP_ATOMIC_LOAD_ACQUIRE(p) ((uint32_t)_InterlockedOr((volatile long *)(p), 0))
#define VITP_ATOMIC_LOAD_PTR_ACQUIRE(p) \
    ((uintptr_t)_InterlockedCompareExchangePointer((void *volatile *)(p), 0, 0))
#define VITP_ATOMIC_STORE_RELEASE(p, v) \
    ((void)_InterlockedExchange((volatile long *)(p), (long)(v)))
#define VITP_ATOMIC_STORE_PTR_RELEASE(p, v) \
    ((void)_InterlockedExchangePointer((void *volatile *)(p), (void *)(v)))
#endif
#define VITP_ATOMIC_ADD(p, v) \
    ((void)_InterlockedExchangeAdd((volatile long *)(p), (long)(v)))
#define VITP_ATOMIC_OR(p, v)            ((uint32_t)_InterlockedOr((volatile long *)(p), (long)(v)))
#define VITP_ATOMIC_EXCHANGE(p, v) \
    ((uint32_t)_InterlockedExchange((volatile long *)(p), (long)(v)))
#define VITP_ATOMIC_CAS(p, expected, v) vitp_atomic_cas((p), (expected), (v))
static bool vitp_atomic_cas(uint32_t *p, uint32_t *expected, uint32_t v)
{
    uint32_t was = *expected;
    *expected = (uint32_t)_InterlockedCompareExchange((volatile long *)p, (long)v, (long)was);
    return *expected == was;
}
#define VITP_ATOMIC_LIGHT_BARRIER()         _ReadWriteBarrier()
#define VITP_ATOMIC_HEAVY_BARRIER()         vitp_os_heavy_barrier()
#define VITP_ATOMIC_ADD_PTR(p, v)           vitp_atomic_add_ptr((p), (v))
#define VITP_ATOMIC_CAS_PTR(p, expected, v) vitp_atomic_cas_ptr((p), (expected), (v))
static bool vitp_atomic_cas_ptr(uintptr_t *p, uintptr_t *expected, uintptr_t v)
{
    uintptr_t was = *expected;
    *expected =
        (uintptr_t)_InterlockedCompareExchangePointer((void *volatile *)p, (void *)v, (void *)was);
    return *expected == was;
}
static uintptr_t vitp_atomic_add_ptr(uintptr_t *p, uintptr_t v)
{
    uintptr_t old = VITP_ATOMIC_LOAD_PTR(p);
    while (!vitp_atomic_cas_ptr(p, &old, old + v)) {}
    return old;
}
/* clang-format on */
#else
#ifndef __ATOMIC_RELEASE
#error "vitelemetry.h: this compiler has no atomic operations: define VITELEMETRY_NO_THREADS"
#endif
#define VITP_ATOMIC_LOAD(p)             __atomic_load_n((p), __ATOMIC_RELAXED)
#define VITP_ATOMIC_LOAD_ACQUIRE(p)     __atomic_load_n((p), __ATOMIC_ACQUIRE)
#define VITP_ATOMIC_STORE(p, v)         __atomic_store_n((p), (v), __ATOMIC_RELAXED)
#define VITP_ATOMIC_STORE_RELEASE(p, v) __atomic_store_n((p), (v), __ATOMIC_RELEASE)
#define VITP_ATOMIC_ADD(p, v)           ((void)__atomic_fetch_add((p), (v), __ATOMIC_RELAXED))
#define VITP_ATOMIC_OR(p, v)            __atomic_fetch_or((p), (v), __ATOMIC_RELAXED)
#define VITP_ATOMIC_EXCHANGE(p, v)      __atomic_exchange_n((p), (v), __ATOMIC_ACQ_REL)
#define VITP_ATOMIC_CAS(p, expected, v) \
    __atomic_compare_exchange_n((p), (expected), (v), 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)
#define VITP_ATOMIC_LOAD_PTR(p)             VITP_ATOMIC_LOAD(p)
#define VITP_ATOMIC_LOAD_PTR_ACQUIRE(p)     VITP_ATOMIC_LOAD_ACQUIRE(p)
#define VITP_ATOMIC_STORE_PTR(p, v)         VITP_ATOMIC_STORE(p, v)
#define VITP_ATOMIC_STORE_PTR_RELEASE(p, v) VITP_ATOMIC_STORE_RELEASE(p, v)
#define VITP_ATOMIC_ADD_PTR(p, v)           __atomic_fetch_add((p), (v), __ATOMIC_RELAXED)
#define VITP_ATOMIC_CAS_PTR(p, expected, v) VITP_ATOMIC_CAS(p, expected, v)
#define VITP_ATOMIC_LIGHT_BARRIER()         __atomic_signal_fence(__ATOMIC_SEQ_CST)
#define VITP_ATOMIC_HEAVY_BARRIER()         vitp_os_heavy_barrier()
#if defined(__x86_64__) && !defined(__ILP32__)
#define VITP_ATOMIC_ADD_OWN_PTR(p, v) __asm__("addq %1, %0" : "+m"(*(p)) : "er"((uint64_t)(v)))
#endif
#endif
#endif /* !VITP_ATOMIC_LOAD */

/* Where one thread alone adds, and its signal handlers. Not locked where one instruction adds. */
#ifndef VITP_ATOMIC_ADD_OWN_PTR
#define VITP_ATOMIC_ADD_OWN_PTR(p, v) ((void)VITP_ATOMIC_ADD_PTR((p), (v)))
#endif

/* ============================================================================================
   >>platform: everything that asks the operating system. Two blocks with the same functions,
   Windows and POSIX; nothing below this section knows which.

   vitp_os_now_ns, _coarse_ns    monotonic clock; the coarse one is cheaper and some ms behind
   vitp_os_wall_ns, _wall_s      Unix time
   vitp_os_random                false: the system gave nothing
   vitp_os_mutex, _cond, _wake   a lock, its condition, and an auto-reset event that never locks
   vitp_os_thread                one thread, with every signal blocked that is no crash
   VITP_OS_THREAD_POINTER        tells running threads apart at the cost of a load
   vitp_os_hold_cancel, _let_cancel
                                 in between a thread of the host's is not cancelled
   vitp_os_hold_pipe, _let_pipe  in between it gets no SIGPIPE
   vitp_os_known                 names of user and machine that are taken out of texts
   vitp_os_heavy_barrier         see >>atomics; it does not reach other processes
   vitp_os_has_sha256            what the processor can do
   vitp_os_page                  memory that tells a forked child from its parent
   vitp_os_read_file and others  whole small files, private to the user, no links followed
   vitp_os_admin_path, _hint_of, _ask_policy
                                 where the administrator and the system keep their refusals
   vitp_os_users_differ          a program that runs as another user than the one who started it
   vitp_os_pool                  a file in memory that outlives the process, and a lock on it that
                                 does not
   vitp_os_modules, _crash_begin what is loaded, and a hook that is called when the process crashes
   vitp_os_keep_loaded           a module whose code may still be called is not unloaded

   Each call of the system that can fail, waits or holds something, and malloc and free, is written
   VITP_OS(name)(...): a test defines VITP_OS first to put functions of its own in their places
   (tests/torture.h).
   ============================================================================================ */

#ifndef VITP_OS
#define VITP_OS(name) name
#endif

typedef enum vitp_os_read {
    VITP_OS_READ_OK,
    VITP_OS_READ_ABSENT,
    VITP_OS_READ_REFUSED,
    VITP_OS_READ_LATER /* says nothing of the file: no descriptor, no memory, a failing disk */
} vitp_os_read;
typedef enum vitp_os_found {
    VITP_OS_FOUND_OURS,   /* open, and locked by this process */
    VITP_OS_FOUND_BUSY,   /* its process lives, or it is gone meanwhile; it may be open */
    VITP_OS_FOUND_REFUSED /* a link, no plain file, or somebody else's */
} vitp_os_found;
typedef void (*vitp_os_thread_fn)(void *argument);

/* Whose a file must be to be believed. */
typedef enum vitp_os_owner {
    VITP_OS_MINE,   /* this user's, no link, and nobody else may write to it */
    VITP_OS_ADMINS, /* the administrator's, and nobody else may write to it */
    VITP_OS_ANYONES
} vitp_os_owner;

/* A place where the system or a desktop keeps a switch that false, no, off or 0 turns off. */
typedef enum vitp_os_form {
    VITP_OS_CONF, /* lines of name = value, in [groups] or not */
    VITP_OS_DCONF,
    VITP_OS_PLIST
} vitp_os_form;
enum {
    VITP_OS_TAKES_USAGE = 1,
    VITP_OS_TAKES_ERRORS = 2,
    VITP_OS_TAKES_ALL = 4 /* the administrator's */
};
typedef struct vitp_os_hint {
    vitp_os_form form;
    bool         own; /* the path begins in the user's configuration folder */
    const char  *path, *group, *key;
    uint32_t     takes; /* VITP_OS_TAKES_* */
} vitp_os_hint;

/* Numbers in the registry of Windows. */
typedef struct vitp_os_number {
    vitp_os_read how; /* REFUSED: it is there, but no number, or not to be read */
    uint32_t     value;
} vitp_os_number;
typedef struct vitp_os_policy {
    vitp_os_number product;    /* Policies\<client_type>: AllowTelemetry */
    vitp_os_number levels[3];  /* of diagnostic data: 0 to 3 */
    vitp_os_number reports[4]; /* Windows Error Reporting: Disabled */
} vitp_os_policy;

/* False: no more of them. */
typedef bool (*vitp_os_name_fn)(const char *folder, const char *name, void *user);
#define VITP_POOL_PATH_MAX (VITP_PATH_MAX + 128u) /* a folder and one of our names */

#ifdef VITELEMETRY_NO_FILES
typedef struct vitp_os_pool {
    void *memory;
    bool  open;
} vitp_os_pool;
#endif

#ifndef VITELEMETRY_NO_CRASH
/* A crash, as the handler finds it. */
typedef struct vitp_os_fault {
    const char *type;    /* SIGSEGV */
    uintptr_t   at;      /* the instruction; 0: not known */
    uintptr_t   touched; /* what it touched */
    uintptr_t   stack;   /* the stack pointer; 0: not known */
    uintptr_t   frame;   /* an address above the frames of the handler, on its stack */
    bool        memory;  /* it touched memory that it may not */
    bool        aborted; /* by abort() */
} vitp_os_fault;

/* Both are called in a signal handler: no memory, locks, stdio, thread-local storage. crash_fn
   returns the number of what it noted, 0: nothing; survived_fn: and a handler of the host has dealt
   with it. */
typedef uint32_t (*vitp_os_crash_fn)(const vitp_os_fault *fault, void *user);
typedef void (*vitp_os_survived_fn)(uint32_t noted, void *user);

typedef struct vitp_os_module {
    uintptr_t begin, end; /* of its code */
    char      name[40];
} vitp_os_module;
#endif

/* Whether the processor has the instructions for SHA-256. CPUID, leaf 7: SHA; leaf 1: SSSE3 and
   SSE4.1, which go with them. */
#if defined(__GNUC__) && defined(__x86_64__) && !defined(__ILP32__)
#define VITP_OS_SHA256_X86
static bool vitp_os_has_sha256(void)
{
    uint32_t a = 0, b, c = 0, d, sse;
    __asm__("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
    if (a < 7) return false;
    a = 1, c = 0;
    __asm__("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
    sse = c;
    a = 7, c = 0;
    __asm__("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
    return (b >> 29 & 1u) && (sse >> 9 & 1u) && (sse >> 19 & 1u);
}
#endif

#if defined(VITELEMETRY_NO_THREADS) && !defined(VITP_OS_THREAD_POINTER)
#define VITP_OS_THREAD_POINTER() ((uintptr_t)64u)
#endif

#ifndef VITELEMETRY_NO_FILES
/* Name of a temporary file beside `path`, of no other thread or process. False: it is too
   long. */
static bool vitp_os_temporary_name(char *out, size_t capacity, const char *path, uint32_t process,
                                   uint64_t random)
{
    int n = snprintf(out, capacity, "%s.%lu-%08lx%08lx", path, (unsigned long)process,
                     (unsigned long)(random >> 32), (unsigned long)(random & 0xFFFFFFFFu));
    return (size_t)n < capacity; /* a negative one is more than any size */
}
#endif

#if defined(_WIN32)

#ifdef WIN32_LEAN_AND_MEAN
#include <windows.h>
#else
#define WIN32_LEAN_AND_MEAN /* winsock.h and others are the host's to ask for */
#include <windows.h>
#undef WIN32_LEAN_AND_MEAN
#endif

static uint64_t vitp_os_now_ns(void)
{
    LARGE_INTEGER ticks, per_s;
    uint64_t      whole, rest;
    VITP_OS(QueryPerformanceCounter)(&ticks);
    VITP_OS(QueryPerformanceFrequency)(&per_s);
    whole = (uint64_t)ticks.QuadPart / (uint64_t)per_s.QuadPart;
    rest = (uint64_t)ticks.QuadPart % (uint64_t)per_s.QuadPart;
    return whole * 1000000000u + rest * 1000000000u / (uint64_t)per_s.QuadPart;
}

static uint64_t vitp_os_coarse_ns(void) { return vitp_os_now_ns(); }

/* 0: a clock that stands before 1970. */
static uint64_t vitp_os_wall_ns(void)
{
    FILETIME t;
    uint64_t ticks; /* of 100 ns, since 1601 */
    VITP_OS(GetSystemTimeAsFileTime)(&t);
    ticks = ((uint64_t)t.dwHighDateTime << 32) | t.dwLowDateTime;
    return ticks > 116444736000000000u ? (ticks - 116444736000000000u) * 100u : 0u;
}

/* The module that has this address stays until the process ends. */
static bool vitp_os_keep_loaded(uintptr_t at)
{
    HMODULE module;
    return VITP_OS(GetModuleHandleExW)(GET_MODULE_HANDLE_EX_FLAG_PIN |
                                           GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS,
                                       (const wchar_t *)at, &module) != 0;
}

/* A function of advapi32, looked up so that nothing more need be linked, and kept: the lock of the
   loader may belong to a DllMain that waits for our thread. NULL: there is none. */
static FARPROC vitp_os_advapi(uintptr_t *kept, const char *name)
{
    union {
        uintptr_t at;
        FARPROC   address;
    } f;
    HMODULE module;
    f.at = VITP_ATOMIC_LOAD_PTR(kept);
    if (f.at) return f.address;
    module = VITP_OS(LoadLibraryA)("advapi32.dll");
    if (!module) return NULL;
    f.address = VITP_OS(GetProcAddress)(module, name);
    if (f.address && !vitp_os_keep_loaded(f.at)) f.address = NULL;
    VITP_ATOMIC_STORE_PTR(kept, f.at);
    VITP_OS(FreeLibrary)(module);
    return f.address;
}

/* SystemFunction036 is RtlGenRandom. */
static bool vitp_os_random(void *out, size_t size)
{
    typedef BOOLEAN(WINAPI * random_fn)(void *, ULONG);
    static uintptr_t kept;
    union {
        FARPROC   address;
        random_fn call;
    } f;
    f.address = vitp_os_advapi(&kept, "SystemFunction036");
    return f.address && f.call(out, (ULONG)size) != 0;
}

static const char *vitp_os_env(const char *name) { return VITP_OS(getenv)(name); }

static bool vitp_os_users_differ(void) { return false; }

static uintptr_t vitp_os_thread_id(void) { return (uintptr_t)GetCurrentThreadId(); }

static uint32_t vitp_os_process_id(void) { return (uint32_t)VITP_OS(GetCurrentProcessId)(); }

#ifndef VITELEMETRY_NO_THREADS
static bool vitp_os_heavy_barrier(void)
{
    VITP_OS(FlushProcessWriteBuffers)();
    return true;
}

#ifndef VITP_OS_THREAD_POINTER
#define VITP_OS_THREAD_POINTER() ((uintptr_t)NtCurrentTeb())
#endif
#endif

typedef struct vitp_os_mutex {
    CRITICAL_SECTION lock;
} vitp_os_mutex;
typedef struct vitp_os_cond {
    CONDITION_VARIABLE condition;
} vitp_os_cond;
typedef struct vitp_os_wake {
    HANDLE event;
} vitp_os_wake;

static bool vitp_os_mutex_init(vitp_os_mutex *m)
{
    InitializeCriticalSection(&m->lock);
    return true;
}
static void vitp_os_mutex_free(vitp_os_mutex *m) { DeleteCriticalSection(&m->lock); }
static void vitp_os_lock(vitp_os_mutex *m) { EnterCriticalSection(&m->lock); }
static void vitp_os_unlock(vitp_os_mutex *m) { LeaveCriticalSection(&m->lock); }
static bool vitp_os_cond_init(vitp_os_cond *c)
{
    InitializeConditionVariable(&c->condition);
    return true;
}
static void vitp_os_cond_free(vitp_os_cond *c) { (void)c; }
static void vitp_os_broadcast(vitp_os_cond *c) { WakeAllConditionVariable(&c->condition); }

#ifndef VITELEMETRY_NO_THREADS
static void vitp_os_cond_wait(vitp_os_cond *c, vitp_os_mutex *m, uint32_t ms)
{
    (void)VITP_OS(SleepConditionVariableCS)(&c->condition, &m->lock, ms);
}
#endif

static bool vitp_os_wake_init(vitp_os_wake *w)
{
    w->event = VITP_OS(CreateEventA)(NULL, FALSE, FALSE, NULL);
    return w->event != NULL;
}

static void vitp_os_wake_free(vitp_os_wake *w) { VITP_OS(CloseHandle)(w->event); }
static void vitp_os_wake_set(vitp_os_wake *w) { VITP_OS(SetEvent)(w->event); }
static void vitp_os_wake_at(vitp_os_wake *w, uint32_t *word) { (void)w, (void)word; }
#ifndef VITELEMETRY_NO_THREADS
static void vitp_os_wake_wait(vitp_os_wake *w, uint32_t ms)
{
    VITP_OS(WaitForSingleObject)(w->event, ms);
}
#endif
static int  vitp_os_hold_cancel(void) { return 0; }
static void vitp_os_let_cancel(int before) { (void)before; }
static void vitp_os_sleep(uint32_t ms) { VITP_OS(Sleep)(ms); }
#ifdef VITELEMETRY_CURL
typedef struct vitp_os_pipe {
    int none;
} vitp_os_pipe;
static void vitp_os_hold_pipe(vitp_os_pipe *held) { (void)held; }
static void vitp_os_let_pipe(const vitp_os_pipe *held) { (void)held; }
#endif

#ifndef VITELEMETRY_NO_THREADS
typedef struct vitp_os_thread {
    HANDLE            handle;
    vitp_os_thread_fn run_fn;
    void             *argument;
} vitp_os_thread;

static DWORD WINAPI vitp_os_thread_main(void *thread)
{
    vitp_os_thread *t = (vitp_os_thread *)thread;
    t->run_fn(t->argument);
    return 0;
}

static bool vitp_os_thread_start(vitp_os_thread *t, vitp_os_thread_fn run_fn, void *argument)
{
    t->run_fn = run_fn;
    t->argument = argument;
    t->handle = VITP_OS(CreateThread)(NULL, 0, vitp_os_thread_main, t, 0, NULL);
    return t->handle != NULL;
}

#define VITP_OS_JOIN_MS 1000u /* more than a thread needs to come out of our code */

/* A thread that has done all has only to return. It cannot end while a DllMain waits for it, as it
   needs the lock of the loader for that, but it has left our code by then. */
static void vitp_os_thread_join(vitp_os_thread *t)
{
    VITP_OS(WaitForSingleObject)(t->handle, VITP_OS_JOIN_MS);
    VITP_OS(CloseHandle)(t->handle);
}

/* The process ends, which kills its threads before the DllMain of its modules is called. */
static bool vitp_os_thread_is_gone(const vitp_os_thread *t)
{
    return VITP_OS(WaitForSingleObject)(t->handle, 0) == WAIT_OBJECT_0;
}
#endif

typedef struct vitp_os_page {
    void *memory;
} vitp_os_page;

static bool vitp_os_page_init(vitp_os_page *p, size_t size)
{
    p->memory = VITP_OS(VirtualAlloc)(NULL, size, MEM_COMMIT | MEM_RESERVE, PAGE_READWRITE);
    return p->memory != NULL;
}

static void vitp_os_page_free(vitp_os_page *p) { VITP_OS(VirtualFree)(p->memory, 0, MEM_RELEASE); }

/* There is no fork. */
static bool vitp_os_page_asks(const vitp_os_page *p)
{
    (void)p;
    return false;
}

static bool vitp_os_page_forked(const vitp_os_page *p)
{
    (void)p;
    return false;
}

static void vitp_os_name(char *out, size_t size)
{
    typedef LONG(WINAPI * version_fn)(OSVERSIONINFOW *);
    union {
        FARPROC    address;
        version_fn call;
    } f;
    OSVERSIONINFOW v;
    memset(&v, 0, sizeof v);
    v.dwOSVersionInfoSize = sizeof v;
    f.address = VITP_OS(GetProcAddress)(GetModuleHandleA("ntdll.dll"), "RtlGetVersion");
    if (f.address) (void)f.call(&v);
    if (v.dwBuildNumber >= 22000u) v.dwMajorVersion = 11u; /* Windows 11 still says 10.0 */
    snprintf(out, size, "Windows-%lu", (unsigned long)v.dwMajorVersion);
}

static void vitp_os_arch(char *out, size_t size)
{
    SYSTEM_INFO info;
    VITP_OS(GetNativeSystemInfo)(&info);
    snprintf(out, size, "%s",
             info.wProcessorArchitecture == PROCESSOR_ARCHITECTURE_AMD64   ? "x86_64"
             : info.wProcessorArchitecture == PROCESSOR_ARCHITECTURE_INTEL ? "x86"
             : info.wProcessorArchitecture == 12                           ? "arm64"
                                                                           : "other");
}

static int64_t vitp_os_cpu_count(void)
{
    SYSTEM_INFO info;
    GetSystemInfo(&info);
    return (int64_t)info.dwNumberOfProcessors;
}

static uint64_t vitp_os_ram_bytes(void)
{
    MEMORYSTATUSEX status;
    memset(&status, 0, sizeof status);
    status.dwLength = sizeof status;
    return VITP_OS(GlobalMemoryStatusEx)(&status) ? (uint64_t)status.ullTotalPhys : 0u;
}

static bool vitp_os_from_wide(char *out, size_t size, const wchar_t *wide)
{
    return WideCharToMultiByte(CP_UTF8, 0, wide, -1, out, (int)size, NULL, NULL) > 0;
}

static bool vitp_os_wide_env(char *out, size_t size, const wchar_t *name)
{
    wchar_t wide[VITP_PATH_MAX];
    DWORD   n = VITP_OS(GetEnvironmentVariableW)(name, wide, VITP_PATH_MAX);
    return n > 0 && n < VITP_PATH_MAX && vitp_os_from_wide(out, size, wide);
}

/* The n-th name of this user or machine that may stand in texts, "" if it is not known, and what
   stands for it ([user] also for a home folder). False: no more. */
static bool vitp_os_known(uint32_t n, char *out, size_t size, const char **marker)
{
    static const struct {
        const wchar_t *name;
        const char    *marker;
    } rows[] = { { L"USERNAME", "[user]" },      { L"USERPROFILE", "[user]" },
                 { L"COMPUTERNAME", "[host]" },  { L"USERDOMAIN", "[host]" },
                 { L"USERDNSDOMAIN", "[host]" }, { L"TEMP", "[path]" },
                 { L"TMP", "[path]" },           { L"LOCALAPPDATA", "[path]" } };
    out[0] = 0;
    if (n >= sizeof rows / sizeof rows[0]) return false;
    *marker = rows[n].marker;
    if (!vitp_os_wide_env(out, size, rows[n].name)) out[0] = 0;
    return true;
}

/* Of a path behind \\?\, / would be a part of a name. */
static bool vitp_os_wide(wchar_t *out, const char *path)
{
    if (MultiByteToWideChar(CP_UTF8, 0, path, -1, out, (int)VITP_PATH_MAX) <= 0) return false;
    for (; *out; out++)
        if (*out == L'/') *out = L'\\';
    return true;
}

#define VITP_OS_TRIES 8u /* within VITP_HOLD_MS, where somebody has a file open */

/* True: the call just failed because somebody has the file open, as scanners do for a moment; that
   moment has been waited, so try again. */
static bool vitp_os_again(uint32_t *tries)
{
    DWORD error = GetLastError();
    if ((error != ERROR_SHARING_VIOLATION && error != ERROR_ACCESS_DENIED) ||
        *tries == VITP_OS_TRIES)
        return false;
    ++*tries;
    VITP_OS(Sleep)(VITP_HOLD_MS / VITP_OS_TRIES);
    return true;
}

/* Why a file could not be opened. */
static vitp_os_read vitp_os_unread(DWORD error)
{
    return error == ERROR_FILE_NOT_FOUND || error == ERROR_PATH_NOT_FOUND ? VITP_OS_READ_ABSENT
           : error == ERROR_ACCESS_DENIED || error == ERROR_INVALID_NAME || error == ERROR_DIRECTORY
               ? VITP_OS_READ_REFUSED
               : VITP_OS_READ_LATER; /* as while a scanner has it open */
}

/* One that was deleted is denied for as long as somebody has it open; and a client that begins is
   not refused for a scanner. Of a link the text would be empty, which refuses nothing. */
static vitp_os_read vitp_os_read_file(const char *path, vitp_os_owner owner, void *out,
                                      size_t capacity, size_t *size)
{
    wchar_t                    wide[VITP_PATH_MAX];
    BY_HANDLE_FILE_INFORMATION info;
    HANDLE                     file;
    DWORD                      n = 0;
    uint32_t                   tries = 0;
    bool                       ok, link;
    (void)owner; /* the profile's rights see to it */
    *size = 0;
    if (!vitp_os_wide(wide, path)) return VITP_OS_READ_REFUSED;
    do
        file = VITP_OS(CreateFileW)(wide, GENERIC_READ,
                                    FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE, NULL,
                                    OPEN_EXISTING, FILE_FLAG_OPEN_REPARSE_POINT, NULL);
    while (file == INVALID_HANDLE_VALUE && vitp_os_again(&tries));
    if (file == INVALID_HANDLE_VALUE) return vitp_os_unread(GetLastError());
    ok = VITP_OS(GetFileInformationByHandle)(file, &info) != 0;
    link = ok && (info.dwFileAttributes & FILE_ATTRIBUTE_REPARSE_POINT);
    ok = ok && VITP_OS(ReadFile)(file, out, (DWORD)capacity, &n, NULL);
    VITP_OS(CloseHandle)(file);
    *size = n;
    return !ok                     ? VITP_OS_READ_LATER
           : !link && n < capacity ? VITP_OS_READ_OK
                                   : VITP_OS_READ_REFUSED;
}

typedef LONG(WINAPI *vitp_os_registry_fn)(HKEY, LPCWSTR, LPCWSTR, DWORD, LPDWORD, PVOID, LPDWORD);

#define VITP_OS_REGISTRY_ANY 0x1FFFFu /* values of any type, in the view of 64-bit programs */

/* get_fn: NULL where there is none just now. */
static vitp_os_number vitp_os_registry(vitp_os_registry_fn get_fn, HKEY root, const wchar_t *key,
                                       const wchar_t *name)
{
    vitp_os_number n = { VITP_OS_READ_LATER, 0 };
    DWORD          type = 0, value = 0, size = sizeof value;
    LONG           error;
    if (!get_fn) return n;
    error = get_fn(root, key, name, VITP_OS_REGISTRY_ANY, &type, &value, &size);
    if (error == ERROR_FILE_NOT_FOUND || error == ERROR_PATH_NOT_FOUND) n.how = VITP_OS_READ_ABSENT;
    else if (error == ERROR_SUCCESS && type == REG_DWORD) n.how = VITP_OS_READ_OK;
    else if (error == ERROR_SUCCESS || error == ERROR_MORE_DATA || error == ERROR_ACCESS_DENIED)
        n.how = VITP_OS_READ_REFUSED;
    n.value = (uint32_t)value;
    return n;
}

static void vitp_os_registry_all(vitp_os_registry_fn get_fn, vitp_os_policy *p,
                                 const wchar_t *product)
{
    static const wchar_t collection[] = L"SOFTWARE\\Policies\\Microsoft\\Windows\\DataCollection";
    static const wchar_t chosen[] =
        L"SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\Policies\\DataCollection";
    static const wchar_t reports[] = L"SOFTWARE\\Microsoft\\Windows\\Windows Error Reporting";
    static const wchar_t reports_policy[] =
        L"SOFTWARE\\Policies\\Microsoft\\Windows\\Windows Error Reporting";
    HKEY machine = HKEY_LOCAL_MACHINE, user = HKEY_CURRENT_USER;
    p->product = vitp_os_registry(get_fn, machine, product, L"AllowTelemetry");
    p->levels[0] = vitp_os_registry(get_fn, machine, collection, L"AllowTelemetry");
    p->levels[1] = vitp_os_registry(get_fn, machine, chosen, L"AllowTelemetry");
    p->levels[2] = vitp_os_registry(get_fn, machine, chosen, L"MaxTelemetryAllowed");
    p->reports[0] = vitp_os_registry(get_fn, user, reports, L"Disabled");
    p->reports[1] = vitp_os_registry(get_fn, machine, reports, L"Disabled");
    p->reports[2] = vitp_os_registry(get_fn, user, reports_policy, L"Disabled");
    p->reports[3] = vitp_os_registry(get_fn, machine, reports_policy, L"Disabled");
}

/* False: there is nothing to ask. */
static bool vitp_os_ask_policy(vitp_os_policy *p, const char *client_type)
{
    static uintptr_t kept;
    union {
        FARPROC             address;
        vitp_os_registry_fn call;
    } f;
    char    key[VITP_LABEL_MAX + 32u];
    wchar_t product[VITP_PATH_MAX];
    (void)snprintf(key, sizeof key, "SOFTWARE\\Policies\\%s", client_type);
    f.address = vitp_os_advapi(&kept, "RegGetValueW");
    if (!vitp_os_wide(product, key)) return false;
    vitp_os_registry_all(f.call, p, product);
    return true;
}

static bool vitp_os_admin_path(uint32_t which, const char *client_type, char *out, size_t size)
{
    (void)which, (void)client_type, (void)out, (void)size; /* the registry is all there is */
    return false;
}
static const vitp_os_hint *vitp_os_hint_of(uint32_t which)
{
    (void)which;
    return NULL;
}
static bool vitp_os_config_folder(char *out, size_t size)
{
    (void)out, (void)size;
    return false;
}
static uint64_t vitp_os_stamp(const char *path)
{
    (void)path;
    return 0;
}

#ifndef VITELEMETRY_NO_FILES
static bool vitp_os_state_folder(char *out, size_t size)
{
    return vitp_os_wide_env(out, size, L"LOCALAPPDATA");
}

/* The user's own part of the file system is private by its access list. */
static bool vitp_os_make_folder(const char *path)
{
    wchar_t wide[VITP_PATH_MAX];
    size_t  i;
    DWORD   attributes;
    if (!vitp_os_wide(wide, path)) return false;
    for (i = 1; wide[i]; i++) {
        wchar_t c = wide[i];
        if (c != L'/' && c != L'\\') continue;
        wide[i] = 0;
        (void)VITP_OS(CreateDirectoryW)(wide, NULL);
        wide[i] = c;
    }
    (void)VITP_OS(CreateDirectoryW)(wide, NULL);
    attributes = VITP_OS(GetFileAttributesW)(wide);
    return attributes != INVALID_FILE_ATTRIBUTES && (attributes & FILE_ATTRIBUTE_DIRECTORY) &&
           !(attributes & FILE_ATTRIBUTE_REPARSE_POINT);
}

static bool vitp_os_put_file(const wchar_t *path, const char *data, size_t size)
{
    DWORD  n = 0;
    HANDLE file =
        VITP_OS(CreateFileW)(path, GENERIC_WRITE, 0, NULL, CREATE_NEW, FILE_ATTRIBUTE_NORMAL, NULL);
    bool ok;
    if (file == INVALID_HANDLE_VALUE) return false;
    ok = VITP_OS(WriteFile)(file, data, (DWORD)size, &n, NULL) && n == size &&
         VITP_OS(FlushFileBuffers)(file); /* before it takes the place of the old one */
    VITP_OS(CloseHandle)(file);
    return ok;
}

static bool vitp_os_move_file(const wchar_t *from, const wchar_t *to, DWORD flags)
{
    uint32_t tries = 0;
    while (!VITP_OS(MoveFileExW)(from, to, flags))
        if (!vitp_os_again(&tries)) return false;
    return true;
}

static bool vitp_os_write_file(const char *path, const char *data, size_t size, bool only_new)
{
    wchar_t  wide[VITP_PATH_MAX], temporary[VITP_PATH_MAX];
    char     name[VITP_PATH_MAX];
    uint64_t random = vitp_os_now_ns() ^ (uint64_t)vitp_os_thread_id() << 24;
    bool     ok;
    (void)vitp_os_random(&random, sizeof random);
    if (!vitp_os_temporary_name(name, sizeof name, path, vitp_os_process_id(), random))
        return false;
    if (!vitp_os_wide(wide, path) || !vitp_os_wide(temporary, name)) return false;
    ok = vitp_os_put_file(temporary, data, size) &&
         vitp_os_move_file(temporary, wide,
                           MOVEFILE_WRITE_THROUGH |
                               (only_new ? 0u : (DWORD)MOVEFILE_REPLACE_EXISTING));
    if (!ok) (void)VITP_OS(DeleteFileW)(temporary);
    return ok;
}

/* By what name a folder is known: in capitals, as a letter of either case names the same file. */
static const char *vitp_os_folder_key(const char *path, char out[VITP_PATH_MAX])
{
    wchar_t wide[VITP_PATH_MAX];
    return vitp_os_wide(wide, path) &&
                   LCMapStringW(LOCALE_INVARIANT, LCMAP_UPPERCASE, wide, -1, wide,
                                (int)VITP_PATH_MAX) > 0 &&
                   vitp_os_from_wide(out, VITP_PATH_MAX, wide)
               ? out
               : path;
}

/* NULL: there is none. One that was made with the administrator's rights can be waited for, and no
   more is asked of it. */
static HANDLE vitp_os_named_mutex(const char *where, uint64_t hash)
{
    char   name[64];
    HANDLE mutex;
    (void)snprintf(name, sizeof name, "%s\\vitelemetry-%08lx%08lx", where,
                   (unsigned long)(hash >> 32), (unsigned long)(hash & 0xFFFFFFFFu));
    mutex = VITP_OS(CreateMutexA)(NULL, FALSE, name);
    if (!mutex && GetLastError() == ERROR_ACCESS_DENIED)
        mutex = VITP_OS(OpenMutexA)(SYNCHRONIZE, FALSE, name);
    return mutex;
}

/* Keeps the other processes of this user from changing what is in the folder while we read it and
   write it anew; not for long: one that hangs must not stop us. Also those of another session, but
   in a container that has names of its own. 0: there are no locks here; else where it is not held,
   another has it. */
static intptr_t vitp_os_hold_folder(const char *path, uint32_t ms, bool *held)
{
    char     memory[VITP_PATH_MAX];
    uint64_t hash = 1;
    HANDLE   mutex;
    for (path = vitp_os_folder_key(path, memory); *path; path++)
        hash = (hash ^ (unsigned char)*path) * 0x100000001b3u;
    mutex = vitp_os_named_mutex("Global", hash);
    if (!mutex) mutex = vitp_os_named_mutex("Local", hash);
    *held = mutex && VITP_OS(WaitForSingleObject)(mutex, ms) != WAIT_TIMEOUT;
    return (intptr_t)mutex;
}

static void vitp_os_release_folder(intptr_t hold)
{
    HANDLE mutex = (HANDLE)hold;
    if (!mutex) return;
    (void)VITP_OS(ReleaseMutex)(mutex);
    VITP_OS(CloseHandle)(mutex);
}

/* A folder of this user's that nobody else may write to: the profile's rights see to it. */
static bool vitp_os_is_private(const char *path)
{
    wchar_t wide[VITP_PATH_MAX];
    DWORD   attributes =
        vitp_os_wide(wide, path) ? VITP_OS(GetFileAttributesW)(wide) : INVALID_FILE_ATTRIBUTES;
    return attributes != INVALID_FILE_ATTRIBUTES && (attributes & FILE_ATTRIBUTE_DIRECTORY) &&
           !(attributes & FILE_ATTRIBUTE_REPARSE_POINT);
}

/* The host may change its folder later, and one folder has one name. */
static bool vitp_os_make_absolute(char *path, size_t size)
{
    wchar_t wide[VITP_PATH_MAX], full[VITP_PATH_MAX];
    DWORD   n;
    if (!vitp_os_wide(wide, path)) return false;
    n = VITP_OS(GetFullPathNameW)(wide, VITP_PATH_MAX, full, NULL);
    if (n == 0 || n >= VITP_PATH_MAX) return false;
    while (n > 1 && full[n - 1] == L'\\' && full[n - 2] != L':') full[--n] = 0;
    return vitp_os_from_wide(path, size, full);
}

/* A file that only grows, by whole pieces also where two processes write. */
typedef struct vitp_os_appender {
    HANDLE   file;
    uint64_t size; /* when it was opened */
} vitp_os_appender;

static bool vitp_os_append_open(vitp_os_appender *a, const char *path)
{
    wchar_t                    wide[VITP_PATH_MAX];
    BY_HANDLE_FILE_INFORMATION info;
    if (!vitp_os_wide(wide, path)) return false;
    a->file = VITP_OS(CreateFileW)(wide, FILE_APPEND_DATA | FILE_READ_ATTRIBUTES,
                                   FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE, NULL,
                                   OPEN_ALWAYS,
                                   FILE_ATTRIBUTE_NORMAL | FILE_FLAG_OPEN_REPARSE_POINT, NULL);
    if (a->file == INVALID_HANDLE_VALUE) return false;
    if (VITP_OS(GetFileInformationByHandle)(a->file, &info) && info.nNumberOfLinks <= 1 &&
        !(info.dwFileAttributes & (FILE_ATTRIBUTE_DIRECTORY | FILE_ATTRIBUTE_REPARSE_POINT))) {
        a->size = (uint64_t)info.nFileSizeHigh << 32 | info.nFileSizeLow;
        return true;
    }
    VITP_OS(CloseHandle)(a->file);
    return false;
}

static bool vitp_os_append(const vitp_os_appender *a, const char *data, size_t size)
{
    DWORD n = 0;
    return VITP_OS(WriteFile)(a->file, data, (DWORD)size, &n, NULL) && n == size;
}

/* Closes the file. old: its new name; NULL: it keeps its own. */
static bool vitp_os_append_close(const vitp_os_appender *a, const char *path, const char *old)
{
    wchar_t from[VITP_PATH_MAX], to[VITP_PATH_MAX];
    VITP_OS(CloseHandle)(a->file);
    return !old || (vitp_os_wide(from, path) && vitp_os_wide(to, old) &&
                    (vitp_os_move_file(from, to, MOVEFILE_REPLACE_EXISTING) ||
                     GetLastError() == ERROR_FILE_NOT_FOUND));
}

static void vitp_os_remove_file(const char *path)
{
    wchar_t  wide[VITP_PATH_MAX];
    uint32_t tries = 0;
    if (!vitp_os_wide(wide, path)) return;
    while (!VITP_OS(DeleteFileW)(wide) && vitp_os_again(&tries)) {}
}

/* The share mode is the lock: nobody else can open the file while its process lives. */
typedef struct vitp_os_pool {
    void    *memory; /* NULL: not mapped */
    uint64_t size;
    HANDLE   file, mapping, last; /* last: whose end removes the file; NULL: none does */
    bool     open;
    int64_t  changed_s; /* Unix time */
    char     path[VITP_POOL_PATH_MAX];
} vitp_os_pool;

static bool vitp_os_pool_base(uint32_t which, char *out, size_t size)
{
    (void)which, (void)out, (void)size; /* the data folder is all there is */
    return false;
}

static void vitp_os_pool_close(vitp_os_pool *m)
{
    if (m->memory) VITP_OS(UnmapViewOfFile)(m->memory);
    if (m->mapping) VITP_OS(CloseHandle)(m->mapping);
    if (m->open) VITP_OS(CloseHandle)(m->file);
    if (m->last) VITP_OS(CloseHandle)(m->last);
    m->memory = NULL;
    m->mapping = m->last = NULL;
    m->open = false;
}

/* The open handle is the lock. */
static void vitp_os_pool_share(vitp_os_pool *m) { (void)m; }
static void vitp_os_pool_unlock(vitp_os_pool *m) { vitp_os_pool_close(m); }

/* Nobody can remove it while it is open. */
static bool vitp_os_pool_is_there(const vitp_os_pool *m)
{
    (void)m;
    return true;
}

/* False: its name stays as long as it is open. */
static bool vitp_os_pool_unname(vitp_os_pool *m) { return !m->open; }

/* Of a mapped file, whose name stays as long as it is open: it goes with this process, however that
   ends. */
static void vitp_os_pool_disown(vitp_os_pool *m)
{
    wchar_t wide[VITP_PATH_MAX];
    if (!m->open || m->last || !vitp_os_wide(wide, m->path)) return;
    m->last = VITP_OS(CreateFileW)(
        wide, DELETE, FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE, NULL, OPEN_EXISTING,
        FILE_FLAG_DELETE_ON_CLOSE | FILE_FLAG_OPEN_REPARSE_POINT, NULL);
    if (m->last == INVALID_HANDLE_VALUE) m->last = NULL;
}

static void vitp_os_pool_remove(vitp_os_pool *m)
{
    if (!m->open) return;
    vitp_os_pool_close(m);
    vitp_os_remove_file(m->path);
}

static bool vitp_os_pool_write(vitp_os_pool *m, uint64_t offset, const void *data, size_t size)
{
    LARGE_INTEGER at;
    DWORD         n = 0;
    at.QuadPart = (LONGLONG)offset;
    return VITP_OS(SetFilePointerEx)(m->file, at, NULL, FILE_BEGIN) &&
           VITP_OS(WriteFile)(m->file, data, (DWORD)size, &n, NULL) && n == size;
}

/* What lies behind size is gone. */
static bool vitp_os_pool_cut(vitp_os_pool *m, uint64_t size)
{
    LARGE_INTEGER at;
    at.QuadPart = (LONGLONG)size;
    return VITP_OS(SetFilePointerEx)(m->file, at, NULL, FILE_BEGIN) &&
           VITP_OS(SetEndOfFile)(m->file);
}

static bool vitp_os_pool_read(vitp_os_pool *m, uint64_t offset, void *out, size_t size)
{
    LARGE_INTEGER at;
    DWORD         n = 0;
    at.QuadPart = (LONGLONG)offset;
    return VITP_OS(SetFilePointerEx)(m->file, at, NULL, FILE_BEGIN) &&
           VITP_OS(ReadFile)(m->file, out, (DWORD)size, &n, NULL) && n == size;
}

/* A local drive, neither compressed nor sparse: a store into the mapping cannot fail. */
static bool vitp_os_pool_is_safe(const wchar_t *path)
{
    wchar_t root[VITP_PATH_MAX];
    DWORD   attributes = VITP_OS(GetFileAttributesW)(path);
    return VITP_OS(GetVolumePathNameW)(path, root, VITP_PATH_MAX) &&
           VITP_OS(GetDriveTypeW)(root) == DRIVE_FIXED && attributes != INVALID_FILE_ATTRIBUTES &&
           !(attributes & (FILE_ATTRIBUTE_COMPRESSED | FILE_ATTRIBUTE_SPARSE_FILE |
                           FILE_ATTRIBUTE_REPARSE_POINT));
}

/* Written to its end, so that its space is there. */
static bool vitp_os_pool_fill(vitp_os_pool *m, size_t size)
{
    static const char zeros[4096] = { 0 };
    uint64_t          at;
    for (at = 0; at < size; at += sizeof zeros)
        if (!vitp_os_pool_write(m, at, zeros,
                                size - at < sizeof zeros ? (size_t)(size - at) : sizeof zeros))
            return false;
    return true;
}

static bool vitp_os_pool_make(vitp_os_pool *m, const char *path, DWORD share)
{
    wchar_t wide[VITP_PATH_MAX];
    memset(m, 0, sizeof *m);
    if (snprintf(m->path, sizeof m->path, "%s", path) >= (int)sizeof m->path ||
        !vitp_os_wide(wide, path))
        return false;
    m->file =
        VITP_OS(CreateFileW)(wide, GENERIC_READ | GENERIC_WRITE, share, NULL, CREATE_NEW,
                             FILE_ATTRIBUTE_NORMAL | FILE_ATTRIBUTE_NOT_CONTENT_INDEXED, NULL);
    m->open = m->file != INVALID_HANDLE_VALUE;
    return m->open;
}

/* An empty file, which is locked. */
static bool vitp_os_pool_begin(vitp_os_pool *m, const char *path)
{
    return vitp_os_pool_make(m, path, 0);
}

/* It may be removed while it is open: see vitp_os_pool_disown. */
static bool vitp_os_pool_create(vitp_os_pool *m, const char *path, size_t size)
{
    wchar_t wide[VITP_PATH_MAX];
    if (!vitp_os_pool_make(m, path, FILE_SHARE_DELETE)) return false;
    m->size = size;
    if (vitp_os_wide(wide, path) && vitp_os_pool_is_safe(wide) && vitp_os_pool_fill(m, size))
        m->mapping = VITP_OS(CreateFileMappingW)(m->file, NULL, PAGE_READWRITE, 0, 0, NULL);
    if (m->mapping) m->memory = VITP_OS(MapViewOfFile)(m->mapping, FILE_MAP_ALL_ACCESS, 0, 0, 0);
    if (m->memory) return true;
    vitp_os_pool_remove(m);
    return false;
}

static vitp_os_found vitp_os_pool_open(vitp_os_pool *m, const char *path)
{
    wchar_t       wide[VITP_PATH_MAX];
    LARGE_INTEGER size;
    FILETIME      changed;
    DWORD         attributes;
    memset(m, 0, sizeof *m);
    if (snprintf(m->path, sizeof m->path, "%s", path) >= (int)sizeof m->path ||
        !vitp_os_wide(wide, path))
        return VITP_OS_FOUND_REFUSED;
    attributes = VITP_OS(GetFileAttributesW)(wide);
    if (attributes == INVALID_FILE_ATTRIBUTES) return VITP_OS_FOUND_BUSY;
    if (attributes & (FILE_ATTRIBUTE_DIRECTORY | FILE_ATTRIBUTE_REPARSE_POINT))
        return VITP_OS_FOUND_REFUSED;
    m->file =
        VITP_OS(CreateFileW)(wide, GENERIC_READ | GENERIC_WRITE, 0, NULL, OPEN_EXISTING, 0, NULL);
    m->open = m->file != INVALID_HANDLE_VALUE;
    if (!m->open) return VITP_OS_FOUND_BUSY;
    if (VITP_OS(GetFileSizeEx)(m->file, &size)) m->size = (uint64_t)size.QuadPart;
    if (VITP_OS(GetFileTime)(m->file, NULL, NULL, &changed)) /* 100 ns since 1601 */
        m->changed_s = (int64_t)(((uint64_t)changed.dwHighDateTime << 32 | changed.dwLowDateTime) /
                                 10000000u) -
                       11644473600;
    return VITP_OS_FOUND_OURS;
}

/* The open handle is the lock already; a new name would say no more. */
static bool vitp_os_pool_rename(vitp_os_pool *m, const char *path)
{
    (void)m, (void)path;
    return true;
}

/* Bytes of a plain file, 0: there is none. */
static uint64_t vitp_os_size_of(const char *path)
{
    wchar_t                   wide[VITP_PATH_MAX];
    WIN32_FILE_ATTRIBUTE_DATA d;
    if (!vitp_os_wide(wide, path) ||
        !VITP_OS(GetFileAttributesExW)(wide, GetFileExInfoStandard, &d) ||
        (d.dwFileAttributes & (FILE_ATTRIBUTE_DIRECTORY | FILE_ATTRIBUTE_REPARSE_POINT)))
        return 0;
    return (uint64_t)d.nFileSizeHigh << 32 | d.nFileSizeLow;
}

/* False: not all of its files could be looked at. */
static bool vitp_os_each_file(const char *folder, vitp_os_name_fn name_fn, void *user)
{
    char             pattern[VITP_PATH_MAX], name[VITP_PATH_MAX];
    wchar_t          wide[VITP_PATH_MAX];
    WIN32_FIND_DATAW found;
    HANDLE           search;
    bool             all = true, more = true;
    if (snprintf(pattern, sizeof pattern, "%s/*", folder) >= (int)sizeof pattern ||
        !vitp_os_wide(wide, pattern))
        return false;
    search = FindFirstFileW(wide, &found);
    if (search == INVALID_HANDLE_VALUE) return false;
    while (more) {
        if (vitp_os_from_wide(name, sizeof name, found.cFileName) && !name_fn(folder, name, user))
            break;
        more = FindNextFileW(search, &found) != 0;
        all = more || GetLastError() == ERROR_NO_MORE_FILES;
    }
    FindClose(search);
    return all;
}

/* A process that has ended can be opened as long as anybody keeps a handle of it. */
static HANDLE vitp_os_open_running(uint32_t process)
{
    HANDLE handle = VITP_OS(OpenProcess)(PROCESS_QUERY_LIMITED_INFORMATION | SYNCHRONIZE, FALSE,
                                         (DWORD)process);
    if (!handle || VITP_OS(WaitForSingleObject)(handle, 0) != WAIT_OBJECT_0) return handle;
    VITP_OS(CloseHandle)(handle);
    SetLastError(ERROR_INVALID_PARAMETER); /* what OpenProcess says of one that is not there */
    return NULL;
}

static bool vitp_os_process_is_gone(uint32_t process)
{
    HANDLE handle = process > 0 ? vitp_os_open_running(process) : NULL;
    if (handle) VITP_OS(CloseHandle)(handle);
    return process > 0 && !handle && GetLastError() == ERROR_INVALID_PARAMETER;
}

/* When a process began, 0: it is gone, or not to be asked. */
static uint64_t vitp_os_process_start(uint32_t process)
{
    FILETIME begin, ignored[3];
    uint64_t start = 0;
    HANDLE   handle = vitp_os_open_running(process);
    if (!handle) return 0;
    if (VITP_OS(GetProcessTimes)(handle, &begin, &ignored[0], &ignored[1], &ignored[2]))
        start = (uint64_t)begin.dwHighDateTime << 32 | begin.dwLowDateTime;
    VITP_OS(CloseHandle)(handle);
    return start;
}
#endif /* !VITELEMETRY_NO_FILES */

#ifndef VITELEMETRY_NO_CRASH
/* ---- crashes: the filter of unhandled exceptions, and the C library's handlers ----------- */

#include <signal.h>

/* clang-format off */
#define VITP_OS_EXCEPTIONS(X)                                                                    \
    X(EXCEPTION_ACCESS_VIOLATION) X(EXCEPTION_STACK_OVERFLOW) X(EXCEPTION_IN_PAGE_ERROR)         \
    X(EXCEPTION_INT_DIVIDE_BY_ZERO) X(EXCEPTION_INT_OVERFLOW) X(EXCEPTION_FLT_DIVIDE_BY_ZERO)    \
    X(EXCEPTION_FLT_INVALID_OPERATION) X(EXCEPTION_FLT_OVERFLOW) X(EXCEPTION_FLT_UNDERFLOW)      \
    X(EXCEPTION_ILLEGAL_INSTRUCTION) X(EXCEPTION_PRIV_INSTRUCTION) X(EXCEPTION_BREAKPOINT)       \
    X(EXCEPTION_SINGLE_STEP) X(EXCEPTION_ARRAY_BOUNDS_EXCEEDED)                                  \
    X(EXCEPTION_DATATYPE_MISALIGNMENT) X(EXCEPTION_NONCONTINUABLE_EXCEPTION)                     \
    X(EXCEPTION_INVALID_DISPOSITION)
/* clang-format on */
#define VITP_OS_STACK_BYTES 65536u /* kept for the filter in an overflow */

typedef void (*vitp_os_abort_fn)(int number);

/* One a process and copy of this header. */
static struct {
    uintptr_t                    user; /* whose it is; 0: nobody's */
    vitp_os_crash_fn             crash_fn;
    vitp_os_survived_fn          survived_fn;
    bool                         installed; /* ours is somewhere in the chain; each has its own */
    bool                         abort_installed, pure_installed, invalid_installed;
    LPTOP_LEVEL_EXCEPTION_FILTER previous;
    vitp_os_abort_fn             previous_abort;
    _purecall_handler            previous_pure;
    _invalid_parameter_handler   previous_invalid;
} vitp_os_hook;

static const char *vitp_os_exception_name(DWORD code)
{
#define VITP_OS_EXCEPTION_ROW(name) { (DWORD)name, #name },
    static const struct {
        DWORD       code;
        const char *name;
    } rows[] = { VITP_OS_EXCEPTIONS(VITP_OS_EXCEPTION_ROW) };
#undef VITP_OS_EXCEPTION_ROW
    size_t i;
    for (i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (rows[i].code == code) return rows[i].name;
    return "EXCEPTION";
}

static uint32_t vitp_os_tell_crash(const vitp_os_fault *fault)
{
    void *user = (void *)VITP_ATOMIC_LOAD_PTR_ACQUIRE(&vitp_os_hook.user);
    return user ? vitp_os_hook.crash_fn(fault, user) : 0;
}

static void vitp_os_survived(uint32_t noted)
{
    void *user = (void *)VITP_ATOMIC_LOAD_PTR_ACQUIRE(&vitp_os_hook.user);
    if (user) vitp_os_hook.survived_fn(noted, user);
}

static LONG WINAPI vitp_os_on_exception(EXCEPTION_POINTERS *info)
{
    const EXCEPTION_RECORD *r = info->ExceptionRecord;
    vitp_os_fault           fault;
    LONG                    answer = EXCEPTION_CONTINUE_SEARCH;
    uint32_t                noted;
    memset(&fault, 0, sizeof fault);
    fault.type = vitp_os_exception_name(r->ExceptionCode);
    fault.at = (uintptr_t)r->ExceptionAddress;
    fault.frame = (uintptr_t)info->ContextRecord; /* the system puts it on the thread's stack */
#if defined(_M_X64) || defined(__x86_64__)
    fault.stack = (uintptr_t)info->ContextRecord->Rsp;
#elif defined(_M_IX86) || defined(__i386__)
    fault.stack = (uintptr_t)info->ContextRecord->Esp;
#elif defined(_M_ARM64) || defined(__aarch64__)
    fault.stack = (uintptr_t)info->ContextRecord->Sp;
#endif
    fault.memory = (r->ExceptionCode == (DWORD)EXCEPTION_ACCESS_VIOLATION ||
                    r->ExceptionCode == (DWORD)EXCEPTION_IN_PAGE_ERROR) &&
                   r->NumberParameters > 1;
    if (fault.memory) fault.touched = (uintptr_t)r->ExceptionInformation[1];
    if (r->ExceptionCode == (DWORD)EXCEPTION_STACK_OVERFLOW) {
        fault.memory = true;
        fault.touched = fault.stack;
    }
    noted = vitp_os_tell_crash(&fault);
    if (vitp_os_hook.previous) answer = vitp_os_hook.previous(info);
    if (noted && answer == EXCEPTION_CONTINUE_EXECUTION) vitp_os_survived(noted);
    return answer;
}

/* One that the C library reports. frame: something in the frame of its handler. */
static uint32_t vitp_os_tell_library(const char *type, bool aborted, const void *frame)
{
    vitp_os_fault fault;
    memset(&fault, 0, sizeof fault);
    fault.type = type;
    fault.aborted = aborted;
    fault.stack = fault.frame = (uintptr_t)frame;
    return vitp_os_tell_crash(&fault);
}

static void __cdecl vitp_os_on_abort(int number)
{
    vitp_os_abort_fn previous = vitp_os_hook.previous_abort;
    (void)vitp_os_tell_library("SIGABRT", true, &number);
    if (previous != SIG_DFL && previous != SIG_IGN && previous != SIG_ERR) {
        previous(number);
        return; /* abort() goes on, and ends the program */
    }
    /* What the library does where there is no handler, as is so by now: without it a program would
       go on that has raised the signal itself. */
#if defined(_MSC_VER) || defined(_UCRT)
    (void)_set_abort_behavior(0, _WRITE_ABORT_MSG); /* abort() has written it already */
    abort();
#else
    (void)VITP_OS(raise)(SIGABRT);
#endif
}

static void __cdecl vitp_os_on_pure_call(void)
{
    char here = 0;
    (void)vitp_os_tell_library("PureCall", false, &here);
    if (!vitp_os_hook.previous_pure) abort();
    vitp_os_hook.previous_pure(); /* when it returns, the library ends the program */
}

static void __cdecl vitp_os_on_invalid(const wchar_t *expression, const wchar_t *function,
                                       const wchar_t *file, unsigned line, uintptr_t reserved)
{
    uint32_t noted = vitp_os_tell_library("InvalidParameter", false, &line);
    if (vitp_os_hook.previous_invalid) {
        vitp_os_hook.previous_invalid(expression, function, file, line, reserved);
        if (noted) vitp_os_survived(noted);
        return;
    }
#if defined(_MSC_VER)
    __fastfail(5); /* FAST_FAIL_INVALID_ARG: what the library does where there is no handler */
#else
    if (noted) vitp_os_survived(noted); /* msvcrt goes on with an error number */
#endif
}

/* False: it is another client's. */
static bool vitp_os_crash_begin(vitp_os_crash_fn crash_fn, vitp_os_survived_fn survived_fn,
                                void *user)
{
    uintptr_t nobody = 0;
    ULONG     bytes = VITP_OS_STACK_BYTES;
    if (!VITP_ATOMIC_CAS_PTR(&vitp_os_hook.user, &nobody, (uintptr_t)user)) return false;
    vitp_os_hook.crash_fn = crash_fn;
    vitp_os_hook.survived_fn = survived_fn;
    (void)VITP_OS(SetThreadStackGuarantee)(&bytes);
    if (!vitp_os_hook.installed)
        vitp_os_hook.previous = SetUnhandledExceptionFilter(vitp_os_on_exception);
    if (!vitp_os_hook.abort_installed)
        vitp_os_hook.previous_abort = signal(SIGABRT, vitp_os_on_abort);
    if (vitp_os_hook.previous_abort == SIG_IGN) (void)signal(SIGABRT, SIG_IGN);
    if (!vitp_os_hook.pure_installed)
        vitp_os_hook.previous_pure = _set_purecall_handler(vitp_os_on_pure_call);
    if (!vitp_os_hook.invalid_installed)
        vitp_os_hook.previous_invalid = _set_invalid_parameter_handler(vitp_os_on_invalid);
    return true;
}

/* What was installed after ours stays, and ours with it, which passes on all: true. */
static bool vitp_os_crash_end(const void *user)
{
    LPTOP_LEVEL_EXCEPTION_FILTER filter;
    vitp_os_abort_fn             on_abort;
    _purecall_handler            pure;
    _invalid_parameter_handler   invalid;
    if (VITP_ATOMIC_LOAD_PTR(&vitp_os_hook.user) != (uintptr_t)user) return false;
    filter = SetUnhandledExceptionFilter(vitp_os_hook.previous);
    on_abort = signal(SIGABRT, vitp_os_hook.previous_abort);
    pure = _set_purecall_handler(vitp_os_hook.previous_pure);
    invalid = _set_invalid_parameter_handler(vitp_os_hook.previous_invalid);
    vitp_os_hook.installed = filter != vitp_os_on_exception;
    vitp_os_hook.abort_installed =
        on_abort != vitp_os_on_abort && on_abort != SIG_DFL && on_abort != SIG_IGN;
    vitp_os_hook.pure_installed = pure != vitp_os_on_pure_call;
    vitp_os_hook.invalid_installed = invalid != vitp_os_on_invalid;
    if (vitp_os_hook.installed) (void)SetUnhandledExceptionFilter(filter);
    if (on_abort != vitp_os_on_abort) (void)signal(SIGABRT, on_abort);
    if (vitp_os_hook.pure_installed) (void)_set_purecall_handler(pure);
    if (vitp_os_hook.invalid_installed) (void)_set_invalid_parameter_handler(invalid);
    VITP_ATOMIC_STORE_PTR_RELEASE(&vitp_os_hook.user, (uintptr_t)0);
    return vitp_os_hook.installed || vitp_os_hook.abort_installed || vitp_os_hook.pure_installed ||
           vitp_os_hook.invalid_installed;
}

/* ---- what is loaded: the program itself first -------------------------------------------- */

static uint32_t vitp_os_add_module(vitp_os_module *m, HMODULE module, const char *name)
{
    const char             *base = (const char *)module;
    const IMAGE_DOS_HEADER *dos = (const IMAGE_DOS_HEADER *)(const void *)base;
    const IMAGE_NT_HEADERS *nt;
    if (!module) return 0;
    nt = (const IMAGE_NT_HEADERS *)(const void *)(base + dos->e_lfanew);
    memset(m, 0, sizeof *m);
    m->begin = (uintptr_t)base;
    m->end = m->begin + nt->OptionalHeader.SizeOfImage;
    (void)snprintf(m->name, sizeof m->name, "%.39s", name);
    return 1;
}

static uintptr_t vitp_os_own_code(void) { return (uintptr_t)vitp_os_on_exception; }

/* The program, the module of this header and the system's; how many, `most` at most. */
static uint32_t vitp_os_modules(vitp_os_module *rows, uint32_t most)
{
    static const char *const others[] = { "ntdll.dll", "kernel32.dll", "kernelbase.dll",
                                          "msvcrt.dll", "ucrtbase.dll" };
    uint32_t                 count, i;
    HMODULE                  own = NULL, program = GetModuleHandleW(NULL);
    if (most < 2u + sizeof others / sizeof others[0]) return 0;
    count = vitp_os_add_module(rows, program, "program");
    if (VITP_OS(GetModuleHandleExW)(GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS |
                                        GET_MODULE_HANDLE_EX_FLAG_UNCHANGED_REFCOUNT,
                                    (const wchar_t *)vitp_os_own_code(), &own) &&
        own != program)
        count += vitp_os_add_module(rows + count, own, "module");
    for (i = 0; i < sizeof others / sizeof others[0]; i++)
        count += vitp_os_add_module(rows + count, GetModuleHandleA(others[i]), others[i]);
    return count;
}
#endif /* !VITELEMETRY_NO_CRASH */

/* Of a value of GetLastError, or NULL. */
/* clang-format off */
#define VITP_OS_ERRORS(X)                                                                        \
    X(ERROR_INVALID_FUNCTION) X(ERROR_FILE_NOT_FOUND) X(ERROR_PATH_NOT_FOUND)                    \
    X(ERROR_TOO_MANY_OPEN_FILES) X(ERROR_ACCESS_DENIED) X(ERROR_INVALID_HANDLE)                  \
    X(ERROR_NOT_ENOUGH_MEMORY) X(ERROR_INVALID_DATA) X(ERROR_OUTOFMEMORY)                        \
    X(ERROR_INVALID_DRIVE) X(ERROR_NOT_SAME_DEVICE) X(ERROR_WRITE_PROTECT) X(ERROR_NOT_READY)    \
    X(ERROR_CRC) X(ERROR_WRITE_FAULT) X(ERROR_READ_FAULT) X(ERROR_GEN_FAILURE)                   \
    X(ERROR_SHARING_VIOLATION) X(ERROR_LOCK_VIOLATION) X(ERROR_HANDLE_EOF)                       \
    X(ERROR_HANDLE_DISK_FULL) X(ERROR_NOT_SUPPORTED) X(ERROR_BAD_NETPATH)                        \
    X(ERROR_NETWORK_ACCESS_DENIED) X(ERROR_FILE_EXISTS) X(ERROR_INVALID_PARAMETER)               \
    X(ERROR_BROKEN_PIPE) X(ERROR_DISK_FULL) X(ERROR_CALL_NOT_IMPLEMENTED) X(ERROR_SEM_TIMEOUT)   \
    X(ERROR_INSUFFICIENT_BUFFER) X(ERROR_INVALID_NAME) X(ERROR_MOD_NOT_FOUND)                    \
    X(ERROR_PROC_NOT_FOUND) X(ERROR_DIR_NOT_EMPTY) X(ERROR_BUSY) X(ERROR_ALREADY_EXISTS)         \
    X(ERROR_FILENAME_EXCED_RANGE) X(ERROR_BAD_EXE_FORMAT) X(ERROR_MORE_DATA)                     \
    X(ERROR_NO_MORE_ITEMS) X(ERROR_DIRECTORY) X(ERROR_OPERATION_ABORTED) X(ERROR_IO_PENDING)     \
    X(ERROR_NOACCESS) X(ERROR_STACK_OVERFLOW) X(ERROR_NOT_FOUND) X(ERROR_CANCELLED)              \
    X(ERROR_PRIVILEGE_NOT_HELD) X(ERROR_LOGON_FAILURE) X(ERROR_TIMEOUT)
/* clang-format on */
static const char *vitp_os_error_name(int code)
{
#define VITP_OS_ERROR_ROW(name) { name, #name },
    static const struct {
        DWORD       code;
        const char *name;
    } rows[] = { VITP_OS_ERRORS(VITP_OS_ERROR_ROW) };
#undef VITP_OS_ERROR_ROW
    DWORD  error = (DWORD)code;
    size_t i;
    if (error >> 16 == 0x8007u) error &= 0xFFFFu; /* HRESULT_FROM_WIN32 */
    for (i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (rows[i].code == error) return rows[i].name;
    return NULL;
}

#else /* POSIX */

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/utsname.h>
#include <time.h>
#include <signal.h>
#include <unistd.h>
#ifndef VITELEMETRY_NO_THREADS
#include <pthread.h>
#endif
#if defined(__linux__)
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#elif defined(__APPLE__)
#include <dispatch/dispatch.h>
#include <sys/random.h>
#include <sys/sysctl.h>
#else
#include <semaphore.h>
#include <sys/sysctl.h>
#endif

/* The last shows whether _GNU_SOURCE came in time, whatever the C library. */
#if !defined(CLOCK_MONOTONIC) || !defined(O_NOFOLLOW) || !defined(MAP_ANONYMOUS) || \
    (defined(__linux__) && !defined(FALLOC_FL_KEEP_SIZE))
#error \
    "vitelemetry.h: include it before any system header where VITELEMETRY_IMPLEMENTATION is defined"
#error "(an earlier include of vitelemetry.h without that macro brings system headers, too)"
#endif

#if defined(__TINYC__) && !defined(VITELEMETRY_NO_CRASH)
#define VITELEMETRY_NO_CRASH /* <link.h> has a type that tcc lacks */
#endif

#ifndef VITP_OS_ETC
#define VITP_OS_ETC "/etc" /* a text literal */
#endif
#ifndef VITP_OS_ADMIN
#define VITP_OS_ADMIN ((uid_t)0)
#endif

#ifndef VITP_OS_CLOCK_NS /* a test has clocks of its own; waits end by the system's */
#define VITP_OS_CLOCK_NS(clock) vitp_os_clock_ns(clock)
#endif

static uint64_t vitp_os_clock_ns(clockid_t clock)
{
    struct timespec t;
    VITP_OS(clock_gettime)(clock, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static const char *vitp_os_error_name(int code)
{
    if (code == EDQUOT) return "EDQUOT"; /* no errno values of Windows */
    return code == ESTALE ? "ESTALE" : NULL;
}

static uint64_t vitp_os_now_ns(void) { return VITP_OS_CLOCK_NS(CLOCK_MONOTONIC); }

static uint64_t vitp_os_coarse_ns(void)
{
#if defined(CLOCK_MONOTONIC_COARSE)
    return VITP_OS_CLOCK_NS(CLOCK_MONOTONIC_COARSE);
#elif defined(CLOCK_MONOTONIC_FAST)
    return VITP_OS_CLOCK_NS(CLOCK_MONOTONIC_FAST);
#else
    return VITP_OS_CLOCK_NS(CLOCK_MONOTONIC);
#endif
}

/* 0: a clock that stands before 1970. */
static uint64_t vitp_os_wall_ns(void)
{
    uint64_t now_ns = VITP_OS_CLOCK_NS(CLOCK_REALTIME);
    return now_ns >> 63 ? 0u : now_ns;
}

static bool vitp_os_read_all(int fd, void *out, size_t size)
{
    char *at = (char *)out;
    while (size > 0) {
        ssize_t n = VITP_OS(read)(fd, at, size);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return false;
        at += n;
        size -= (size_t)n;
    }
    return true;
}

#ifndef VITELEMETRY_NO_FILES
static bool vitp_os_write_all(int fd, const void *data, size_t size)
{
    const char *at = (const char *)data;
    while (size > 0) {
        ssize_t n = VITP_OS(write)(fd, at, size);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return false;
        at += n;
        size -= (size_t)n;
    }
    return true;
}
#endif

/* A host that has closed 0 to 2 goes on to print there: no file of ours gets such a number. */
static int vitp_os_lift(int fd)
{
    int higher, error;
    if (fd < 0 || fd > 2) return fd;
    higher = VITP_OS(fcntl)(fd, F_DUPFD_CLOEXEC, 3);
    error = errno;
    (void)VITP_OS(close)(fd);
    errno = error;
    return higher;
}

static bool vitp_os_random(void *out, size_t size)
{
    int  fd;
    bool ok;
#if defined(__linux__) && defined(SYS_getrandom)
    if (VITP_OS(syscall)(SYS_getrandom, out, size, 0u) == (long)size) return true;
#elif !defined(__linux__)
    if (size <= 256 && VITP_OS(getentropy)(out, size) == 0) return true;
#endif
    fd = vitp_os_lift(VITP_OS(open)("/dev/urandom", O_RDONLY | O_CLOEXEC));
    if (fd < 0) return false;
    ok = vitp_os_read_all(fd, out, size);
    VITP_OS(close)(fd);
    return ok;
}

/* A program that runs as another user than the one who started it (setuid). */
static bool vitp_os_users_differ(void) { return getuid() != geteuid() || getgid() != getegid(); }

/* The environment of another user is not believed. */
static const char *vitp_os_env(const char *name)
{
    return vitp_os_users_differ() ? NULL : VITP_OS(getenv)(name);
}

static uint32_t vitp_os_process_id(void) { return (uint32_t)VITP_OS(getpid)(); }

#if !defined(VITELEMETRY_NO_THREADS) || defined(VITELEMETRY_CURL) || \
    (defined(__linux__) && !defined(VITELEMETRY_NO_FILES))
/* Of the signals of this thread. False: before has nothing. */
static bool vitp_os_mask(int how, const sigset_t *set, sigset_t *before)
{
#ifdef VITELEMETRY_NO_THREADS
    return VITP_OS(sigprocmask)(how, set, before) == 0;
#else
    return VITP_OS(pthread_sigmask)(how, set, before) == 0;
#endif
}
#endif

#ifdef VITELEMETRY_NO_THREADS

typedef struct vitp_os_mutex {
    int none;
} vitp_os_mutex;
typedef struct vitp_os_cond {
    int none;
} vitp_os_cond;
typedef struct vitp_os_wake {
    int none;
} vitp_os_wake;
static bool vitp_os_mutex_init(vitp_os_mutex *m)
{
    m->none = 0;
    return true;
}
static void vitp_os_mutex_free(vitp_os_mutex *m) { (void)m; }
static void vitp_os_lock(vitp_os_mutex *m) { (void)m; }
static void vitp_os_unlock(vitp_os_mutex *m) { (void)m; }
static bool vitp_os_cond_init(vitp_os_cond *c)
{
    c->none = 0;
    return true;
}
static void vitp_os_cond_free(vitp_os_cond *c) { (void)c; }
static void vitp_os_broadcast(vitp_os_cond *c) { (void)c; }
static bool vitp_os_wake_init(vitp_os_wake *w)
{
    w->none = 0;
    return true;
}
static void      vitp_os_wake_free(vitp_os_wake *w) { (void)w; }
static void      vitp_os_wake_set(vitp_os_wake *w) { (void)w; }
static void      vitp_os_wake_at(vitp_os_wake *w, uint32_t *word) { (void)w, (void)word; }
static uintptr_t vitp_os_thread_id(void) { return 1u; }

#else

static uintptr_t vitp_os_thread_id(void) { return (uintptr_t)pthread_self(); }

/* The thread pointer, where the compiler or the machine gives it; elsewhere the address of errno,
   which each thread has. Multiples of 4 at least. */
#ifndef VITP_OS_THREAD_POINTER
#if defined(__x86_64__) && defined(__linux__) && !defined(__ILP32__)
static inline uintptr_t vitp_os_thread_pointer(void)
{
    uintptr_t pointer;
    __asm__("mov %%fs:0, %0" : "=r"(pointer));
    return pointer;
}
#define VITP_OS_THREAD_POINTER() vitp_os_thread_pointer()
#elif defined(__APPLE__) && defined(__aarch64__) && defined(__GNUC__)
/* Where the compiler's function reads, the system keeps the number of the processor. */
static inline uintptr_t vitp_os_thread_pointer(void)
{
    uintptr_t pointer;
    __asm__("mrs %0, TPIDRRO_EL0" : "=r"(pointer));
    return pointer & ~(uintptr_t)7u; /* other bits were the processor's there, too */
}
#define VITP_OS_THREAD_POINTER() vitp_os_thread_pointer()
#elif defined(__aarch64__) && defined(__GNUC__)
#define VITP_OS_THREAD_POINTER() ((uintptr_t)__builtin_thread_pointer())
#else
#define VITP_OS_THREAD_POINTER() ((uintptr_t)&errno)
#endif
#endif

/* Every Apple processor of this kind has the instructions. */
#if defined(__GNUC__) && defined(__aarch64__) && !defined(__AARCH64EB__)
#if defined(__APPLE__)
#define VITP_OS_SHA256_ARM
static bool vitp_os_has_sha256(void) { return true; }
#elif defined(__linux__)
#define VITP_OS_SHA256_ARM
static bool vitp_os_has_sha256(void) { return getauxval(AT_HWCAP) >> 6 & 1u; } /* HWCAP_SHA2 */
#endif
#endif

/* membarrier, of Linux 4.14 or newer. */
static bool vitp_os_heavy_barrier(void)
{
#if defined(__linux__) && defined(SYS_membarrier)
    enum {
        PRIVATE_EXPEDITED = 1 << 3,
        REGISTER_PRIVATE_EXPEDITED = 1 << 4
    };
    if (VITP_OS(syscall)(SYS_membarrier, PRIVATE_EXPEDITED, 0, 0) == 0) return true;
    return VITP_OS(syscall)(SYS_membarrier, REGISTER_PRIVATE_EXPEDITED, 0, 0) == 0 &&
           VITP_OS(syscall)(SYS_membarrier, PRIVATE_EXPEDITED, 0, 0) == 0;
#else
    return false;
#endif
}

typedef struct vitp_os_mutex {
    pthread_mutex_t lock;
} vitp_os_mutex;
typedef struct vitp_os_cond {
    pthread_cond_t condition;
} vitp_os_cond;

static bool vitp_os_mutex_init(vitp_os_mutex *m)
{
    return VITP_OS(pthread_mutex_init)(&m->lock, NULL) == 0;
}
static void vitp_os_mutex_free(vitp_os_mutex *m) { VITP_OS(pthread_mutex_destroy)(&m->lock); }
static void vitp_os_lock(vitp_os_mutex *m) { VITP_OS(pthread_mutex_lock)(&m->lock); }
static void vitp_os_unlock(vitp_os_mutex *m) { VITP_OS(pthread_mutex_unlock)(&m->lock); }
static void vitp_os_cond_free(vitp_os_cond *c) { VITP_OS(pthread_cond_destroy)(&c->condition); }
static void vitp_os_broadcast(vitp_os_cond *c) { VITP_OS(pthread_cond_broadcast)(&c->condition); }

static bool vitp_os_cond_init(vitp_os_cond *c)
{
#if defined(__APPLE__)
    return VITP_OS(pthread_cond_init)(&c->condition, NULL) == 0;
#else
    pthread_condattr_t attributes;
    bool               ok;
    if (VITP_OS(pthread_condattr_init)(&attributes) != 0) return false;
    ok = VITP_OS(pthread_condattr_setclock)(&attributes, CLOCK_MONOTONIC) == 0 &&
         VITP_OS(pthread_cond_init)(&c->condition, &attributes) == 0;
    VITP_OS(pthread_condattr_destroy)(&attributes);
    return ok;
#endif
}

static struct timespec vitp_os_timespec(uint64_t ns)
{
    struct timespec t;
    t.tv_sec = (time_t)(ns / 1000000000u);
    t.tv_nsec = (long)(ns % 1000000000u);
    return t;
}

static void vitp_os_cond_wait(vitp_os_cond *c, vitp_os_mutex *m, uint32_t ms)
{
#if defined(__APPLE__)
    struct timespec t = vitp_os_timespec((uint64_t)ms * VITP_MS);
    (void)VITP_OS(pthread_cond_timedwait_relative_np)(&c->condition, &m->lock, &t);
#else
    struct timespec t =
        vitp_os_timespec(vitp_os_clock_ns(CLOCK_MONOTONIC) + (uint64_t)ms * VITP_MS);
    (void)VITP_OS(pthread_cond_timedwait)(&c->condition, &m->lock, &t);
#endif
}

/* The event that a producer may set: it must not lock, so each system has its own. */
#if defined(__linux__)
/* FUTEX_... of <linux/futex.h>, which musl does not bring; not private: the word may lie in memory
   that a forked child shares */
enum {
    VITP_OS_FUTEX_WAIT = 0,
    VITP_OS_FUTEX_WAKE = 1
};
#define VITP_OS_WAKE_SHARED true
typedef struct vitp_os_wake {
    uint32_t *set, own;
} vitp_os_wake;
static bool vitp_os_wake_init(vitp_os_wake *w)
{
    w->own = 0;
    w->set = &w->own;
    return true;
}
static void vitp_os_wake_free(vitp_os_wake *w) { (void)w; }

/* Before the first wait: word is 0, and lies in what a forked child shares. */
static void vitp_os_wake_at(vitp_os_wake *w, uint32_t *word) { w->set = word; }

static void vitp_os_wake_set(vitp_os_wake *w)
{
    if (__atomic_exchange_n(w->set, 1u, __ATOMIC_RELEASE) == 0u)
        (void)VITP_OS(syscall)(SYS_futex, w->set, VITP_OS_FUTEX_WAKE, 1, NULL, NULL, 0);
}

static void vitp_os_wake_wait(vitp_os_wake *w, uint32_t ms)
{
    struct {
        long s, ns; /* what this call takes, also where time_t is wider */
    } t;
    t.s = (long)(ms / 1000u);
    t.ns = (long)(ms % 1000u) * 1000000L;
    if (__atomic_exchange_n(w->set, 0u, __ATOMIC_ACQUIRE) != 0u) return;
    (void)VITP_OS(syscall)(SYS_futex, w->set, VITP_OS_FUTEX_WAIT, 0, &t, NULL, 0);
    (void)__atomic_exchange_n(w->set, 0u, __ATOMIC_ACQUIRE);
}
#elif defined(__APPLE__)
typedef struct vitp_os_wake {
    dispatch_semaphore_t semaphore;
} vitp_os_wake;
static void vitp_os_wake_free(vitp_os_wake *w) { VITP_OS(dispatch_release)(w->semaphore); }
static void vitp_os_wake_set(vitp_os_wake *w)
{
    (void)VITP_OS(dispatch_semaphore_signal)(w->semaphore);
}

static bool vitp_os_wake_init(vitp_os_wake *w)
{
    w->semaphore = VITP_OS(dispatch_semaphore_create)(0);
    return w->semaphore != NULL;
}

static void vitp_os_wake_wait(vitp_os_wake *w, uint32_t ms)
{
    (void)VITP_OS(dispatch_semaphore_wait)(w->semaphore,
                                           dispatch_time(DISPATCH_TIME_NOW, (int64_t)ms * VITP_MS));
}
#else
typedef struct vitp_os_wake {
    sem_t semaphore;
} vitp_os_wake;
static bool vitp_os_wake_init(vitp_os_wake *w)
{
    return VITP_OS(sem_init)(&w->semaphore, 0, 0) == 0;
}
static void vitp_os_wake_free(vitp_os_wake *w) { VITP_OS(sem_destroy)(&w->semaphore); }
static void vitp_os_wake_set(vitp_os_wake *w) { (void)VITP_OS(sem_post)(&w->semaphore); }

static void vitp_os_wake_wait(vitp_os_wake *w, uint32_t ms)
{
#if defined(__FreeBSD__) /* elsewhere a clock that is set back makes the wait longer */
    struct timespec t = vitp_os_timespec((uint64_t)ms * VITP_MS);
    (void)VITP_OS(sem_clockwait_np)(&w->semaphore, CLOCK_MONOTONIC, 0, &t, NULL);
#else
    struct timespec t = vitp_os_timespec(vitp_os_clock_ns(CLOCK_REALTIME) + (uint64_t)ms * VITP_MS);
    (void)VITP_OS(sem_timedwait)(&w->semaphore, &t);
#endif
}
#endif

#ifndef VITP_OS_WAKE_SHARED
static void vitp_os_wake_at(vitp_os_wake *w, uint32_t *word) { (void)w, (void)word; }
#endif

typedef struct vitp_os_thread {
    pthread_t id;
    vitp_os_thread_fn run_fn;
    void *argument;
} vitp_os_thread;

static void *vitp_os_thread_main(void *thread)
{
    vitp_os_thread *t = (vitp_os_thread *)thread;
    t->run_fn(t->argument);
    return NULL;
}

/* The host's signal handlers never run on our thread, and SIGPIPE of its sockets stays pending
   here; but a crash in a callback is one as in any other thread. */
static bool vitp_os_thread_start(vitp_os_thread *t, vitp_os_thread_fn run_fn, void *argument)
{
    static const int of_crashes[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGSYS, SIGTRAP };
    sigset_t all, before;
    size_t i;
    bool ok;
    t->run_fn = run_fn;
    t->argument = argument;
    sigfillset(&all);
    for (i = 0; i < sizeof of_crashes / sizeof of_crashes[0]; i++) sigdelset(&all, of_crashes[i]);
    if (!vitp_os_mask(SIG_SETMASK, &all, &before)) return false;
    ok = VITP_OS(pthread_create)(&t->id, NULL, vitp_os_thread_main, t) == 0;
    (void)vitp_os_mask(SIG_SETMASK, &before, NULL);
    return ok;
}

static void vitp_os_thread_join(vitp_os_thread *t) { VITP_OS(pthread_join)(t->id, NULL); }
static bool vitp_os_thread_is_gone(const vitp_os_thread *t)
{
    (void)t; /* one thread ends with the process, and not before it */
    return false;
}

#endif /* !VITELEMETRY_NO_THREADS */

/* A thread of the host's that is cancelled meanwhile ends later, by vitp_os_let_cancel: it may have
   a lock, or be in the middle of a file. Returns what to give back to that. */
static int vitp_os_hold_cancel(void)
{
    int before = 0;
#if !defined(VITELEMETRY_NO_THREADS) && defined(PTHREAD_CANCEL_DISABLE)
    (void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before);
#endif
    return before;
}

static void vitp_os_let_cancel(int before)
{
#if !defined(VITELEMETRY_NO_THREADS) && defined(PTHREAD_CANCEL_DISABLE)
    (void)pthread_setcancelstate(before, NULL);
#else
    (void)before;
#endif
}

#ifdef VITELEMETRY_CURL
typedef struct vitp_os_pipe {
    sigset_t mask;    /* to be put back */
    bool     masked;  /* it could be changed */
    bool     pending; /* one was there before, which is the host's */
} vitp_os_pipe;

static bool vitp_os_pipe_is_pending(void)
{
    sigset_t set;
    return sigpending(&set) == 0 && sigismember(&set, SIGPIPE) == 1;
}

/* Who writes to a connection that is gone gets SIGPIPE, in that thread, which may be the host's: it
   stays pending here, and is taken away by vitp_os_let_pipe. */
static void vitp_os_hold_pipe(vitp_os_pipe *held)
{
    sigset_t one;
    (void)sigemptyset(&one);
    (void)sigaddset(&one, SIGPIPE);
    held->masked = vitp_os_mask(SIG_BLOCK, &one, &held->mask);
    held->pending = vitp_os_pipe_is_pending();
}

static void vitp_os_let_pipe(const vitp_os_pipe *held)
{
    sigset_t one;
    int      number;
    if (!held->masked) return;
    (void)sigemptyset(&one);
    (void)sigaddset(&one, SIGPIPE);
    if (!held->pending && vitp_os_pipe_is_pending()) (void)sigwait(&one, &number);
    (void)vitp_os_mask(SIG_SETMASK, &held->mask, NULL);
}
#endif

static void vitp_os_sleep(uint32_t ms)
{
    struct timespec t;
    t.tv_sec = (time_t)(ms / 1000u);
    t.tv_nsec = (long)(ms % 1000u) * 1000000L;
    (void)VITP_OS(nanosleep)(&t, NULL);
}

/* Memory that a forked child finds wiped, which tells it apart without a system call; where the
   system cannot wipe, the process id does. */
typedef struct vitp_os_page {
    void    *memory;
    size_t   size;
    uint32_t owner;
} vitp_os_page;

/* False: here nothing wipes it. */
static bool vitp_os_wipe_on_fork(void *memory, size_t size)
{
#if defined(MADV_WIPEONFORK)
    return VITP_OS(madvise)(memory, size, MADV_WIPEONFORK) == 0;
#elif defined(INHERIT_ZERO)     /* FreeBSD */
    return VITP_OS(minherit)(memory, size, INHERIT_ZERO) == 0;
#elif defined(MAP_INHERIT_ZERO) /* OpenBSD, NetBSD */
    return VITP_OS(minherit)(memory, size, MAP_INHERIT_ZERO) == 0;
#else
    (void)memory, (void)size;
    return false;
#endif
}

static bool vitp_os_page_init(vitp_os_page *p, size_t size)
{
    p->size = (size + 65535u) & ~(size_t)65535u;
    p->owner = vitp_os_process_id();
    p->memory =
        VITP_OS(mmap)(NULL, p->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p->memory == MAP_FAILED) p->memory = NULL;
    if (p->memory && vitp_os_wipe_on_fork(p->memory, p->size)) p->owner = 0;
    if (p->memory) *(volatile uint32_t *)p->memory = 1u;
    return p->memory != NULL;
}

static void vitp_os_page_free(vitp_os_page *p) { VITP_OS(munmap)(p->memory, p->size); }

/* vitp_os_page_forked needs a system call. */
static bool vitp_os_page_asks(const vitp_os_page *p) { return p->owner != 0; }

static bool vitp_os_page_forked(const vitp_os_page *p)
{
    return p->owner ? p->owner != vitp_os_process_id()
                    : *(const volatile uint32_t *)p->memory == 0u;
}

static void vitp_os_name(char *out, size_t size)
{
    struct utsname u;
    size_t         digits;
    if (VITP_OS(uname)(&u) != 0) {
        snprintf(out, size, "unknown");
        return;
    }
    digits = strspn(u.release, "0123456789.");
    snprintf(out, size, "%.32s-%.*s", u.sysname, (int)(digits < 24 ? digits : 24), u.release);
}

static void vitp_os_arch(char *out, size_t size)
{
    struct utsname u;
    snprintf(out, size, "%.32s", VITP_OS(uname)(&u) == 0 ? u.machine : "unknown");
}

static int64_t vitp_os_cpu_count(void)
{
    long n = VITP_OS(sysconf)(_SC_NPROCESSORS_ONLN);
    return n > 0 ? (int64_t)n : 1;
}

static uint64_t vitp_os_ram_bytes(void)
{
#if defined(_SC_PHYS_PAGES)
    long pages = VITP_OS(sysconf)(_SC_PHYS_PAGES), page = VITP_OS(sysconf)(_SC_PAGESIZE);
    return pages > 0 && page > 0 ? (uint64_t)pages * (uint64_t)page : 0u;
#else
    return 0u;
#endif
}

static bool vitp_os_copy_env(char *out, size_t size, const char *name)
{
    const char *value = vitp_os_env(name);
    size_t      n = value ? strlen(value) : 0;
    if (n == 0 || n >= size) return false;
    memcpy(out, value, n + 1);
    return true;
}

#ifdef VITELEMETRY_NO_FILES
static void vitp_os_account(uint32_t field, char *out, size_t size)
{
    (void)field, (void)size;
    out[0] = 0;
}
#else
/* Copies the field of a line of passwd(5) if it is this user's; out is "" where it is not. */
static bool vitp_os_account_field(const char *line, uint32_t field, char *out, size_t size)
{
    const char *at[7];
    uint32_t n = 0;
    size_t length;
    at[n++] = line;
    for (; *line && n < 7; line++)
        if (*line == ':') at[n++] = line + 1;
    if (n < 7 || strtoul(at[2], NULL, 10) != (unsigned long)geteuid()) return false;
    length = strcspn(at[field], field == 4 ? ":," : ":"); /* the full name ends at a comma */
    if (length < size) {
        memcpy(out, at[field], length);
        out[length] = 0;
    }
    return true;
}

/* A field of this user's line of /etc/passwd: 0 name, 4 full name, 5 home. Nobody else is
   asked: that could mean to wait for a network. */
static void vitp_os_account(uint32_t field, char *out, size_t size)
{
    char block[512], line[512];
    size_t used = 0, i;
    ssize_t got;
    int file = vitp_os_lift(VITP_OS(open)("/etc/passwd", O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    bool found = false;
    out[0] = 0;
    if (file < 0) return;
    while (!found && (got = VITP_OS(read)(file, block, sizeof block)) > 0)
        for (i = 0; i < (size_t)got && !found; i++) {
            if (block[i] != '\n') {
                if (used < sizeof line - 1) line[used++] = block[i];
                continue;
            }
            line[used] = 0;
            used = 0;
            found = vitp_os_account_field(line, field, out, size);
        }
    line[used] = 0; /* the last line may have no end */
    if (!found) (void)vitp_os_account_field(line, field, out, size);
    (void)VITP_OS(close)(file);
}
#endif

/* The folder of this program, or "": one of the system names nobody. */
static void vitp_os_program_folder(char *out, size_t size)
{
#ifdef __linux__
    ssize_t n = VITP_OS(readlink)("/proc/self/exe", out, size - 1);
    size_t  end = n > 0 ? (size_t)n : 0;
    while (end > 0 && out[end - 1] != '/') end--;
    out[end > 1 ? end - 1 : 0] = 0;
    if (strncmp(out, "/usr/", 5) == 0 || strncmp(out, "/bin", 4) == 0 ||
        strncmp(out, "/opt/", 5) == 0 || strncmp(out, "/sbin", 5) == 0)
        out[0] = 0;
#else
    (void)size;
    out[0] = 0;
#endif
}

/* The n-th name of this user or machine that may stand in texts, "" if it is not known, and what
   stands for it ([user] also for a home folder). False: no more. */
static bool vitp_os_known(uint32_t n, char *out, size_t size, const char **marker)
{
    static const char *const env[] = { "USER", "LOGNAME", "HOME", "TMPDIR" };
    static const char *const markers[] = { "[user]", "[user]", "[user]", "[path]", "[user]",
                                           "[user]", "[user]", "[host]", "[path]" };
    out[0] = 0;
    if (n >= sizeof markers / sizeof markers[0]) return false;
    *marker = markers[n];
    if (n < 4) {
        if (!vitp_os_copy_env(out, size, env[n])) out[0] = 0;
    } else if (n < 7) {
        vitp_os_account(n == 4 ? 0u : n - 1u, out, size);
    } else if (n == 8) {
        vitp_os_program_folder(out, size);
    } else if (VITP_OS(gethostname)(out, size) != 0) {
        out[0] = 0;
    }
    out[size - 1] = 0;
    return true;
}

static bool vitp_os_is_owned(const struct stat *s, vitp_os_owner owner)
{
    if (owner == VITP_OS_ANYONES) return true;
    return s->st_uid == (owner == VITP_OS_ADMINS ? VITP_OS_ADMIN : geteuid()) &&
           !(s->st_mode & 022);
}

/* Why a file could not be opened. What tells nothing of the file itself passes. */
static vitp_os_read vitp_os_unread(int error)
{
    static const int passing[] = { EMFILE, ENFILE, ENOMEM, EINTR,     EIO,
                                   EAGAIN, ESTALE, EBUSY,  ETIMEDOUT, ENOBUFS };
    size_t           i;
    for (i = 0; i < sizeof passing / sizeof passing[0]; i++)
        if (error == passing[i]) return VITP_OS_READ_LATER;
    return error == ENOENT || error == ENOTDIR ? VITP_OS_READ_ABSENT : VITP_OS_READ_REFUSED;
}

/* size: of the file, also where it is too large. */
static vitp_os_read vitp_os_read_file(const char *path, vitp_os_owner owner, void *out,
                                      size_t capacity, size_t *size)
{
    struct stat  s;
    vitp_os_read how = VITP_OS_READ_OK;
    int          last = owner == VITP_OS_MINE ? O_NOFOLLOW : 0;
    int          fd = vitp_os_lift(VITP_OS(open)(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | last));
    *size = 0;
    if (fd < 0) return vitp_os_unread(errno);
    if (VITP_OS(fstat)(fd, &s) != 0) {
        how = VITP_OS_READ_LATER;
    } else if (!S_ISREG(s.st_mode) || !vitp_os_is_owned(&s, owner) || s.st_size < 0) {
        how = VITP_OS_READ_REFUSED;
    } else {
        *size = (uint64_t)s.st_size < SIZE_MAX ? (size_t)s.st_size : SIZE_MAX;
        if (*size >= capacity) how = VITP_OS_READ_REFUSED;
        else if (!vitp_os_read_all(fd, out, *size)) how = VITP_OS_READ_LATER; /* or it shrank */
    }
    VITP_OS(close)(fd);
    return how;
}

/* Becomes another number when the file does; 0: it is not there. */
static uint64_t vitp_os_stamp(const char *path)
{
    struct stat s;
    uint64_t    parts[5], stamp = 1;
    size_t      i;
    if (VITP_OS(stat)(path, &s) != 0) return 0;
    parts[0] = (uint64_t)s.st_dev;
    parts[1] = (uint64_t)s.st_ino;
    parts[2] = (uint64_t)s.st_size;
    parts[3] = (uint64_t)s.st_ctime;
#if defined(__APPLE__)
    parts[4] = (uint64_t)s.st_ctimespec.tv_nsec;
#else
    parts[4] = (uint64_t)s.st_ctim.tv_nsec;
#endif
    for (i = 0; i < 5; i++) stamp = (stamp ^ parts[i]) * 0x100000001b3u; /* as FNV-1a */
    return stamp;
}

/* The administrator's file for this product, and that for all. False: no more of them. */
static bool vitp_os_admin_path(uint32_t which, const char *client_type, char *out, size_t size)
{
    int n = which == 0   ? snprintf(out, size, VITP_OS_ETC "/%s/telemetry.conf", client_type)
            : which == 1 ? snprintf(out, size, VITP_OS_ETC "/vitelemetry.conf")
                         : -1;
    return (size_t)n < size;
}

/* Desktops and crash reporters. NULL: no more of them. */
static const vitp_os_hint *vitp_os_hint_of(uint32_t which)
{
#define VITP_OS_PRIVACY "/org/gnome/desktop/privacy/"
    static const vitp_os_hint hints[] = {
        { VITP_OS_CONF, true, "KDE/UserFeedback.conf", "UserFeedback", "Enabled",
          VITP_OS_TAKES_USAGE | VITP_OS_TAKES_ERRORS },
        { VITP_OS_CONF, false, VITP_OS_ETC "/default/apport", "", "enabled", VITP_OS_TAKES_ERRORS },
        { VITP_OS_CONF, false, VITP_OS_ETC "/default/whoopsie", "", "report_crashes",
          VITP_OS_TAKES_ERRORS },
        { VITP_OS_CONF, false, VITP_OS_ETC "/abrt/abrt.conf", "", "AutoreportingEnabled",
          VITP_OS_TAKES_ERRORS },
        { VITP_OS_CONF, false, VITP_OS_ETC "/popularity-contest.conf", "", "PARTICIPATE",
          VITP_OS_TAKES_USAGE },
#if defined(VITELEMETRY_OS_SETTINGS) && defined(__APPLE__)
        { VITP_OS_PLIST, false, "/Library/Managed Preferences/com.apple.applicationaccess.plist",
          "", "allowDiagnosticSubmission", VITP_OS_TAKES_ALL },
        { VITP_OS_PLIST, false,
          "/Library/Application Support/CrashReporter/DiagnosticMessagesHistory.plist", "",
          "ThirdPartyDataSubmit", VITP_OS_TAKES_ERRORS },
#elif defined(VITELEMETRY_OS_SETTINGS)
        { VITP_OS_DCONF, true, "dconf/user", "", VITP_OS_PRIVACY "report-technical-problems",
          VITP_OS_TAKES_ERRORS },
        { VITP_OS_DCONF, true, "dconf/user", "", VITP_OS_PRIVACY "send-software-usage-stats",
          VITP_OS_TAKES_USAGE },
#endif
    };
#undef VITP_OS_PRIVACY
    return which < sizeof hints / sizeof hints[0] ? &hints[which] : NULL;
}

static bool vitp_os_config_folder(char *out, size_t size)
{
    char home[VITP_PATH_MAX];
    int  n;
    if (vitp_os_copy_env(out, size, "XDG_CONFIG_HOME") && out[0] == '/') return true;
    if (!vitp_os_copy_env(home, sizeof home, "HOME") || home[0] != '/') return false;
    n = snprintf(out, size, "%s/.config", home);
    return (size_t)n < size;
}

static bool vitp_os_ask_policy(vitp_os_policy *p, const char *client_type)
{
    (void)p, (void)client_type; /* files are all there is */
    return false;
}

#ifndef VITELEMETRY_NO_FILES
static bool vitp_os_state_folder(char *out, size_t size)
{
    char home[VITP_PATH_MAX];
    int  n;
    if (vitp_os_copy_env(out, size, "XDG_STATE_HOME") && out[0] == '/') return true;
    if (!vitp_os_copy_env(home, sizeof home, "HOME") || home[0] != '/') return false;
#if defined(__APPLE__)
    n = snprintf(out, size, "%s/Library/Application Support", home);
#else
    n = snprintf(out, size, "%s/.local/state", home);
#endif
    return (size_t)n < size;
}

/* By what name a folder is known. */
static const char *vitp_os_folder_key(const char *path, char out[VITP_PATH_MAX])
{
    (void)out;
    return path;
}

/* Keeps the other processes of this user from changing what is in the folder while we read it and
   write it anew; not for long: one that hangs must not stop us. A lock on the folder itself, so
   that no file is made. 0: there are no locks here; else where it is not held, another has it, or
   may have: there was no descriptor to ask with. */
static intptr_t vitp_os_hold_folder(const char *path, uint32_t ms, bool *held)
{
    int folder = vitp_os_lift(VITP_OS(open)(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    int turns = (int)ms;
    *held = false;
    if (folder < 0) return vitp_os_unread(errno) == VITP_OS_READ_LATER ? -1 : 0;
    while (VITP_OS(flock)(folder, LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK && errno != EINTR) {
            (void)VITP_OS(close)(folder);
            return 0;
        }
        if (turns-- == 0) return (intptr_t)folder + 1;
        vitp_os_sleep(1);
    }
    *held = true;
    return (intptr_t)folder + 1;
}

static void vitp_os_release_folder(intptr_t hold)
{
    if (hold <= 0) return;
    (void)VITP_OS(flock)((int)(hold - 1), LOCK_UN); /* a forked child has it open, too */
    (void)VITP_OS(close)((int)(hold - 1));
}

/* A folder of this user's that nobody else may write to. */
static bool vitp_os_is_private(const char *path)
{
    char        bare[VITP_PATH_MAX];
    struct stat s;
    size_t      size = strlen(path);
    while (size > 1 && path[size - 1] == '/') size--; /* lstat would follow a link that ends so */
    if (size == 0 || size >= sizeof bare) return false;
    memcpy(bare, path, size);
    bare[size] = 0;
    return VITP_OS(lstat)(bare, &s) == 0 && S_ISDIR(s.st_mode) && s.st_uid == geteuid() &&
           !(s.st_mode & 022);
}

/* The host may change its folder later. */
static bool vitp_os_make_absolute(char *path, size_t size)
{
    char   full[VITP_PATH_MAX];
    size_t base, own = strlen(path);
    if (path[0] == '/') return true;
    if (!VITP_OS(getcwd)(full, sizeof full)) return false;
    base = strlen(full);
    if (base + 1 + own >= size || base + 1 + own >= sizeof full) return false;
    full[base] = '/';
    memcpy(full + base + 1, path, own + 1);
    memcpy(path, full, base + 1 + own + 1);
    return true;
}

/* Root makes nothing in a folder of another user's, as in the home that sudo may leave in HOME:
   neither that user nor his programs could use it. But in one that is there for all, which in a
   namespace of its own may seem another's. */
static bool vitp_os_may_make(const char *path)
{
    char        parent[VITP_PATH_MAX];
    struct stat s;
    const char *end = strrchr(path, '/');
    size_t      size = end && end > path ? (size_t)(end - path) : 1u;
    if (geteuid() != 0) return true;
    memcpy(parent, path, size);
    parent[size] = 0;
    return VITP_OS(stat)(parent, &s) == 0 && (s.st_uid == 0 || (s.st_mode & 02));
}

/* A folder that only the user may use. A umask that takes something from the user, too, would leave
   one that this run and all later ones could not use. */
static void vitp_os_make_part(const char *path)
{
    struct stat s;
    if (vitp_os_may_make(path) && VITP_OS(mkdir)(path, 0700) == 0 &&
        VITP_OS(lstat)(path, &s) == 0 && S_ISDIR(s.st_mode) && (s.st_mode & 0700) != 0700)
        (void)VITP_OS(chmod)(path, 0700);
}

/* Makes the missing parts of a path, private to the user. True: the last is private and may be
   written to. */
static bool vitp_os_make_folder(const char *path)
{
    char   part[VITP_PATH_MAX];
    size_t i, size = strlen(path);
    while (size > 1 && path[size - 1] == '/') size--;
    if (size == 0 || size >= sizeof part) return false;
    for (i = 1; i <= size; i++) {
        if (path[i] != '/' && i != size) continue;
        memcpy(part, path, i);
        part[i] = 0;
        vitp_os_make_part(part);
    }
    return vitp_os_is_private(part) && VITP_OS(access)(part, W_OK | X_OK) == 0;
}

/* A file may have that many bytes. Where the host has a limit, a write across it would end the host
   by SIGXFSZ. */
static bool vitp_os_may_grow(uint64_t size)
{
    struct rlimit l;
    return VITP_OS(getrlimit)(RLIMIT_FSIZE, &l) != 0 || l.rlim_cur == RLIM_INFINITY ||
           size <= (uint64_t)l.rlim_cur;
}

static bool vitp_os_put_file(const char *path, const char *data, size_t size)
{
    int fd = vitp_os_lift(
        VITP_OS(open)(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    bool ok;
    if (fd < 0) return false;
    ok = VITP_OS(fchmod)(fd, 0600) == 0 && vitp_os_may_grow(size) &&
         vitp_os_write_all(fd, data, size);
    ok = VITP_OS(fsync)(fd) == 0 && ok;
    return VITP_OS(close)(fd) == 0 && ok;
}

/* By a temporary file, so that a reader sees the old text or the new one. only_new: false when
   the file is there already, which of two processes lets one win. */
static bool vitp_os_write_file(const char *path, const char *data, size_t size, bool only_new)
{
    char     temporary[VITP_POOL_PATH_MAX + 32];
    uint64_t random = vitp_os_now_ns() ^ (uint64_t)vitp_os_thread_id() << 24;
    bool     ok;
    (void)vitp_os_random(&random, sizeof random);
    if (!vitp_os_temporary_name(temporary, sizeof temporary, path, vitp_os_process_id(), random))
        return false;
    ok = vitp_os_put_file(temporary, data, size);
    errno = 0;
    if (ok && only_new && (VITP_OS(link)(temporary, path) == 0 || errno == EEXIST)) {
        ok = errno != EEXIST;
        (void)VITP_OS(unlink)(temporary);
        return ok;
    }
    if (only_new) ok = ok && vitp_os_put_file(path, "", 0); /* a file system without links */
    ok = ok && VITP_OS(rename)(temporary, path) == 0;
    if (!ok) (void)VITP_OS(unlink)(temporary);
    return ok;
}

/* A file that only grows, by whole pieces also where two processes write. */
typedef struct vitp_os_appender {
    int      file;
    uint64_t size; /* when it was opened */
} vitp_os_appender;

/* A plain file of this user's, made where there is none, and readable by nobody else. */
static bool vitp_os_append_open(vitp_os_appender *a, const char *path)
{
    struct stat s;
    a->file = vitp_os_lift(VITP_OS(open)(
        path, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, 0600));
    if (a->file < 0) return false;
    if (VITP_OS(fstat)(a->file, &s) == 0 && S_ISREG(s.st_mode) && s.st_uid == geteuid() &&
        s.st_nlink <= 1 && s.st_size >= 0 && VITP_OS(fchmod)(a->file, 0600) == 0) {
        a->size = (uint64_t)s.st_size;
        return true;
    }
    VITP_OS(close)(a->file);
    return false;
}

/* By one call of the system. What a full disk took only a part of is taken back, but nothing that
   another process has written since the file was opened. */
static bool vitp_os_append(const vitp_os_appender *a, const char *data, size_t size)
{
    off_t   end = VITP_OS(lseek)(a->file, 0, SEEK_END);
    ssize_t n = -1;
    if (end >= 0 && vitp_os_may_grow((uint64_t)end + size)) n = VITP_OS(write)(a->file, data, size);
    if (n == (ssize_t)size) return true;
    if (n > 0) (void)!VITP_OS(ftruncate)(a->file, VITP_OS(lseek)(a->file, 0, SEEK_CUR) - n);
    return false;
}

/* Closes the file. old: its new name, unless another process was faster; NULL: it keeps its own. */
static bool vitp_os_append_close(const vitp_os_appender *a, const char *path, const char *old)
{
    struct stat own, there;
    bool        ok = true;
    if (old && VITP_OS(fstat)(a->file, &own) == 0 && VITP_OS(lstat)(path, &there) == 0 &&
        own.st_dev == there.st_dev && own.st_ino == there.st_ino)
        ok = VITP_OS(rename)(path, old) == 0 || errno == ENOENT;
    return VITP_OS(close)(a->file) == 0 && ok;
}

static void vitp_os_remove_file(const char *path) { (void)VITP_OS(unlink)(path); }

/* A file whose flock tells that its process lives, or a child of it that was forked. */
typedef struct vitp_os_pool {
    void    *memory; /* NULL: not mapped */
    uint64_t size;
    int      file;
    bool     open;
    int64_t  changed_s; /* Unix time */
    dev_t    device;    /* with inode: which file it is */
    ino_t    inode;
    char     path[VITP_POOL_PATH_MAX];
} vitp_os_pool;

/* Where a mapping may lie beside the data folder: what is the system's to make, we do not make, as
   the run folder of a user who has left, or /dev in a chroot. False: nowhere. */
static bool vitp_os_pool_base(uint32_t which, char *out, size_t size)
{
#if defined(__linux__)
    char run[VITP_PATH_MAX];
    int  n = -1;
    if (which == 0 && vitp_os_copy_env(run, sizeof run, "XDG_RUNTIME_DIR") && run[0] == '/' &&
        VITP_OS(access)(run, F_OK) == 0)
        n = snprintf(out, size, "%s/vitelemetry", run);
    if (which == 1 && VITP_OS(access)("/dev/shm", F_OK) == 0)
        n = snprintf(out, size, "/dev/shm/vitelemetry-%lu", (unsigned long)geteuid());
    return (size_t)n < size;
#else
    (void)which, (void)out, (void)size;
    return false;
#endif
}

static bool vitp_os_pool_is_file(const vitp_os_pool *m, const struct stat *s)
{
    return s->st_dev == m->device && s->st_ino == m->inode;
}

/* A host that closes all descriptors may have opened a file of its own under this number. */
static bool vitp_os_pool_is_held(const vitp_os_pool *m)
{
    struct stat s;
    return m->open && VITP_OS(fstat)(m->file, &s) == 0 && vitp_os_pool_is_file(m, &s);
}

static void vitp_os_pool_close(vitp_os_pool *m)
{
    struct stat s;
    bool foreign = m->open && VITP_OS(fstat)(m->file, &s) == 0 && !vitp_os_pool_is_file(m, &s);
    if (m->memory) VITP_OS(munmap)(m->memory, (size_t)m->size);
    if (m->open && !foreign) VITP_OS(close)(m->file);
    m->memory = NULL;
    m->open = false;
}

/* What path names is this file. */
static bool vitp_os_pool_is_at(const vitp_os_pool *m, const char *path)
{
    struct stat s;
    return VITP_OS(lstat)(path, &s) == 0 && vitp_os_pool_is_file(m, &s);
}

static bool vitp_os_pool_is_there(const vitp_os_pool *m)
{
    return vitp_os_pool_is_held(m) && vitp_os_pool_is_at(m, m->path);
}

/* Others may lock it while it is read here; so may they where a forked child has a copy of it. */
static void vitp_os_pool_share(vitp_os_pool *m)
{
    if (vitp_os_pool_is_held(m)) (void)VITP_OS(flock)(m->file, LOCK_UN);
}

static void vitp_os_pool_unlock(vitp_os_pool *m)
{
    vitp_os_pool_share(m);
    vitp_os_pool_close(m);
}

/* False: its name stays, as in a folder that may not be written to. */
static bool vitp_os_pool_unname(vitp_os_pool *m)
{
    return !m->open || !vitp_os_pool_is_at(m, m->path) || VITP_OS(unlink)(m->path) == 0;
}

/* It goes with this process, however that ends. */
static void vitp_os_pool_disown(vitp_os_pool *m) { (void)vitp_os_pool_unname(m); }

static void vitp_os_pool_remove(vitp_os_pool *m)
{
    (void)vitp_os_pool_unname(m);
    vitp_os_pool_close(m);
}

static bool vitp_os_pool_write(vitp_os_pool *m, uint64_t offset, const void *data, size_t size)
{
    return vitp_os_pool_is_held(m) && vitp_os_may_grow(offset + size) &&
           VITP_OS(lseek)(m->file, (off_t)offset, SEEK_SET) >= 0 &&
           vitp_os_write_all(m->file, data, size);
}

/* What lies behind size is gone. */
static bool vitp_os_pool_cut(vitp_os_pool *m, uint64_t size)
{
    return vitp_os_pool_is_held(m) && VITP_OS(ftruncate)(m->file, (off_t)size) == 0;
}

static bool vitp_os_pool_read(vitp_os_pool *m, uint64_t offset, void *out, size_t size)
{
    return vitp_os_pool_is_held(m) && VITP_OS(lseek)(m->file, (off_t)offset, SEEK_SET) >= 0 &&
           vitp_os_read_all(m->file, out, size);
}

#ifdef MAP_POPULATE
#define VITP_OS_POPULATE MAP_POPULATE /* all pages now: no fault on the record path */
#else
#define VITP_OS_POPULATE 0
#endif

#ifndef VITP_OS_POOL_KEEPS_SPACE
#define VITP_OS_POOL_KEEPS_SPACE(file, size) vitp_os_pool_keeps_space((file), (size))
#endif

/* Takes the space now, so that no later store can meet a full disk, which would be a SIGBUS. True
   on file systems that then keep it: memory, and those that do not copy on write. A signal ends the
   call and gives all of it back, so that a timer of the host's could keep us here for ever. */
static bool vitp_os_pool_keeps_space(int file, size_t size)
{
#if defined(__linux__)
    struct statfs s;
    sigset_t      all, before;
    int           result;
    bool          masked;
    if (!vitp_os_may_grow(size) || VITP_OS(fstatfs)(file, &s) != 0) return false;
    switch ((uint32_t)s.f_type) {
    case 0x01021994u: /* tmpfs */
    case 0x0000EF53u: /* ext4 */
    case 0x58465342u: /* xfs */ break;
    default: return false;
    }
    (void)sigfillset(&all);
    masked = vitp_os_mask(SIG_SETMASK, &all, &before);
    do result = VITP_OS(fallocate)(file, 0, 0, (off_t)size);
    while (result != 0 && errno == EINTR);
    if (masked) (void)vitp_os_mask(SIG_SETMASK, &before, NULL);
    return result == 0;
#else
    (void)file, (void)size;
    return false;
#endif
}

static bool vitp_os_pool_rename(vitp_os_pool *m, const char *path)
{
    if (!vitp_os_pool_is_at(m, m->path) || VITP_OS(rename)(m->path, path) != 0) return false;
    return snprintf(m->path, sizeof m->path, "%s", path) < (int)sizeof m->path &&
           vitp_os_pool_is_at(m, path);
}

/* Opens the file at m->path, and learns which one it is. */
static bool vitp_os_pool_take(vitp_os_pool *m, int flags, struct stat *s)
{
    m->file = vitp_os_lift(VITP_OS(open)(m->path, flags | O_RDWR | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (m->file < 0) return false;
    m->open = VITP_OS(fstat)(m->file, s) == 0;
    m->device = s->st_dev;
    m->inode = s->st_ino;
    if (!m->open) VITP_OS(close)(m->file);
    return m->open;
}

/* An empty file, locked, under a temporary name that ends in .new: whoever sees the last name sees
   it locked. */
static bool vitp_os_pool_begin(vitp_os_pool *m, const char *path)
{
    struct stat s;
    memset(m, 0, sizeof *m);
    memset(&s, 0, sizeof s);
    if (snprintf(m->path, sizeof m->path, "%s.new", path) >= (int)sizeof m->path) return false;
    if (!vitp_os_pool_take(m, O_CREAT | O_EXCL, &s)) return false;
    if (VITP_OS(fchmod)(m->file, 0600) == 0 && VITP_OS(flock)(m->file, LOCK_EX | LOCK_NB) == 0)
        return true;
    vitp_os_pool_remove(m);
    return false;
}

static bool vitp_os_pool_create(vitp_os_pool *m, const char *path, size_t size)
{
    void *memory = MAP_FAILED;
    if (!vitp_os_pool_begin(m, path)) return false;
    m->size = size;
    if (VITP_OS_POOL_KEEPS_SPACE(m->file, size))
        memory = VITP_OS(mmap)(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | VITP_OS_POPULATE,
                               m->file, 0);
    if (memory != MAP_FAILED) m->memory = memory;
    if (m->memory && vitp_os_pool_rename(m, path)) return true;
    vitp_os_pool_remove(m);
    return false;
}

static vitp_os_found vitp_os_pool_open(vitp_os_pool *m, const char *path)
{
    struct stat   s;
    vitp_os_found found = VITP_OS_FOUND_REFUSED;
    memset(m, 0, sizeof *m);
    memset(&s, 0, sizeof s);
    if (snprintf(m->path, sizeof m->path, "%s", path) >= (int)sizeof m->path) return found;
    if (!vitp_os_pool_take(m, O_NONBLOCK, &s)) return errno == ENOENT ? VITP_OS_FOUND_BUSY : found;
    if (S_ISREG(s.st_mode) && s.st_uid == geteuid() && !(s.st_mode & 022) && s.st_nlink == 1 &&
        s.st_size >= 0)
        found = VITP_OS(flock)(m->file, LOCK_EX | LOCK_NB) == 0 ? VITP_OS_FOUND_OURS
                                                                : VITP_OS_FOUND_BUSY;
    if (found != VITP_OS_FOUND_REFUSED &&
        VITP_OS(fstat)(m->file, &s) == 0) { /* as it is under the lock */
        m->size = (uint64_t)s.st_size;
        m->changed_s = (int64_t)s.st_mtime;
        if (vitp_os_pool_is_at(m, path)) return found;
    }
    vitp_os_pool_close(m);
    return found == VITP_OS_FOUND_REFUSED ? found : VITP_OS_FOUND_BUSY;
}

/* Bytes of a plain file, 0: there is none. */
static uint64_t vitp_os_size_of(const char *path)
{
    struct stat s;
    return VITP_OS(lstat)(path, &s) == 0 && S_ISREG(s.st_mode) && s.st_size > 0
               ? (uint64_t)s.st_size
               : 0u;
}

/* False: not all of its files could be looked at. */
static bool vitp_os_each_file(const char *folder, vitp_os_name_fn name_fn, void *user)
{
    DIR           *d = VITP_OS(opendir)(folder);
    struct dirent *entry;
    bool           all;
    if (!d) return false;
    for (;;) {
        errno = 0;
        entry = VITP_OS(readdir)(d);
        if (!entry || !name_fn(folder, entry->d_name, user)) break;
    }
    all = entry || errno == 0;
    VITP_OS(closedir)(d);
    return all;
}

static bool vitp_os_process_is_gone(uint32_t process)
{
    return process > 0 && VITP_OS(kill)((pid_t)process, 0) != 0 && errno == ESRCH;
}

/* When a process began, in a unit of the system's; 0: it is gone, or there is nothing to ask. */
static uint64_t vitp_os_process_start(uint32_t process)
{
    uint64_t    start = 0;
#if defined(__linux__)
    char        path[32], text[1024];
    const char *at;
    ssize_t     n;
    int         fd, field;
    (void)snprintf(path, sizeof path, "/proc/%lu/stat", (unsigned long)process);
    fd = vitp_os_lift(VITP_OS(open)(path, O_RDONLY | O_CLOEXEC));
    if (fd < 0) return 0;
    n = VITP_OS(read)(fd, text, sizeof text - 1);
    VITP_OS(close)(fd);
    text[n > 0 ? n : 0] = 0;
    at = strrchr(text, ')'); /* behind the name, which may hold anything: fields from the third */
    for (field = 2; at && field < 22; field++) at = strchr(at + 1, ' ');
    if (at) start = strtoull(at, NULL, 10);
#else
    (void)process;
#endif
    return start;
}
#endif /* !VITELEMETRY_NO_FILES */

#ifndef VITELEMETRY_NO_CRASH
#ifndef __APPLE__
#include <link.h>
#endif

/* ---- crashes: signals, chained to whatever was there before ------------------------------ */

/* clang-format off */
#define VITP_OS_SIGNALS(X)  \
    X(SIGSEGV) X(SIGBUS) X(SIGFPE) X(SIGILL) X(SIGABRT) X(SIGSYS) X(SIGTRAP)
/* clang-format on */
#define VITP_OS_SIGNAL_COUNT       7u
#define VITP_OS_STACK_BYTES        65536u /* for the handlers of the host, too */

/* One a process and copy of this header: a signal has one handler. */
static struct {
    uintptr_t           user; /* whose it is; 0: nobody's */
    vitp_os_crash_fn    crash_fn;
    vitp_os_survived_fn survived_fn;
    bool                installed[VITP_OS_SIGNAL_COUNT]; /* ours is somewhere in the chain */
    struct sigaction    previous[VITP_OS_SIGNAL_COUNT];
    void               *stack; /* NULL: the thread had one */
    uintptr_t           stack_thread;
} vitp_os_hook;

typedef struct vitp_os_signal {
    int         number;
    const char *name;
} vitp_os_signal;

static const vitp_os_signal *vitp_os_signals(void)
{
#define VITP_OS_SIGNAL_ROW(number) { number, #number },
    static const vitp_os_signal rows[VITP_OS_SIGNAL_COUNT] = { VITP_OS_SIGNALS(
        VITP_OS_SIGNAL_ROW) };
#undef VITP_OS_SIGNAL_ROW
    return rows;
}

/* Index of a signal that has a handler of ours. */
static uint32_t vitp_os_signal_index(int number)
{
    uint32_t i = 0;
    while (i + 1u < VITP_OS_SIGNAL_COUNT && vitp_os_signals()[i].number != number) i++;
    return i;
}

/* Instruction and stack pointer of the interrupted code; 0 where this is not known to read them. */
static void vitp_os_registers(const void *context, vitp_os_fault *fault)
{
    const ucontext_t *u = (const ucontext_t *)context;
#if defined(__linux__) && defined(__x86_64__)
    fault->at = (uintptr_t)u->uc_mcontext.gregs[REG_RIP];
    fault->stack = (uintptr_t)u->uc_mcontext.gregs[REG_RSP];
#elif defined(__linux__) && defined(__i386__)
    fault->at = (uintptr_t)u->uc_mcontext.gregs[REG_EIP];
    fault->stack = (uintptr_t)u->uc_mcontext.gregs[REG_ESP];
#elif defined(__linux__) && defined(__aarch64__)
    fault->at = (uintptr_t)u->uc_mcontext.pc;
    fault->stack = (uintptr_t)u->uc_mcontext.sp;
#elif defined(__linux__) && defined(__arm__)
    fault->at = (uintptr_t)u->uc_mcontext.arm_pc;
    fault->stack = (uintptr_t)u->uc_mcontext.arm_sp;
#elif defined(__linux__) && defined(__riscv)
    fault->at = (uintptr_t)u->uc_mcontext.__gregs[REG_PC];
    fault->stack = (uintptr_t)u->uc_mcontext.__gregs[REG_SP];
#elif defined(__linux__) && defined(__s390__)
    fault->at = (uintptr_t)u->uc_mcontext.psw.addr;
    fault->stack = (uintptr_t)u->uc_mcontext.gregs[15];
#elif defined(__linux__) && defined(__mips__)
    fault->at = (uintptr_t)u->uc_mcontext.pc;
    fault->stack = (uintptr_t)u->uc_mcontext.gregs[29];
#elif defined(__APPLE__) && defined(__x86_64__)
    fault->at = (uintptr_t)u->uc_mcontext->__ss.__rip;
    fault->stack = (uintptr_t)u->uc_mcontext->__ss.__rsp;
#elif defined(__APPLE__) && defined(__aarch64__)
    fault->at = (uintptr_t)u->uc_mcontext->__ss.__pc;
    fault->stack = (uintptr_t)u->uc_mcontext->__ss.__sp;
#else
    (void)u, (void)fault;
#endif
}

/* The number of what was noted, 0: nothing. */
static uint32_t vitp_os_tell_crash(int number, const siginfo_t *info, const void *context)
{
    vitp_os_fault fault;
    void         *user = (void *)VITP_ATOMIC_LOAD_PTR_ACQUIRE(&vitp_os_hook.user);
    if (!user) return 0;
    fault.type = vitp_os_signals()[vitp_os_signal_index(number)].name;
    fault.at = fault.stack = 0;
    fault.frame = (uintptr_t)context; /* the system puts it above the handler's frames */
    vitp_os_registers(context, &fault);
    fault.memory = info->si_code > 0 && (number == SIGSEGV || number == SIGBUS);
    fault.touched = fault.memory ? (uintptr_t)info->si_addr : 0;
#if defined(SI_KERNEL)
    if (info->si_code == SI_KERNEL) fault.touched = UINTPTR_MAX; /* no address of any memory */
#endif
    fault.aborted = number == SIGABRT;
    return vitp_os_hook.crash_fn(&fault, user);
}

/* Behind the handler the instruction is tried again, and ends the process. Not known where the
   kernel gives no reason: behind `int $4` of x86, a SIGSEGV, the program would go on. */
static bool vitp_os_comes_again(int number, const siginfo_t *info)
{
#if defined(SI_KERNEL)
    if (info->si_code == SI_KERNEL) return false;
#endif
#if defined(BUS_MCEERR_AO)
    if (number == SIGBUS && info->si_code == BUS_MCEERR_AO) return false; /* no instruction's */
#endif
#if !defined(__s390__) /* there they point behind the instruction */
    if (number == SIGFPE || number == SIGILL) return info->si_code > 0;
#endif
    return info->si_code > 0 && (number == SIGSEGV || number == SIGBUS);
}

/* Does what would be done without us. True: a handler of the host has returned. */
static bool vitp_os_chain(int number, siginfo_t *info, void *context)
{
    const struct sigaction *old = &vitp_os_hook.previous[vitp_os_signal_index(number)];
    bool                    none = !(old->sa_flags & SA_SIGINFO) && old->sa_handler == SIG_DFL;
    struct sigaction        by_default;
    sigset_t                blocked = old->sa_mask;
    memset(&by_default, 0, sizeof by_default);
    by_default.sa_handler = SIG_DFL;
    if (none || (old->sa_flags & (int)SA_RESETHAND))
        (void)VITP_OS(sigaction)(number, &by_default, NULL);
    if (none || !(old->sa_flags & SA_NODEFER)) (void)sigaddset(&blocked, number);
    (void)VITP_OS(sigprocmask)(SIG_BLOCK, &blocked, NULL);
    if (none) { /* what is raised comes when the handler returns, where the crash was */
        if (!vitp_os_comes_again(number, info)) (void)VITP_OS(raise)(number);
        return false;
    }
    if (old->sa_flags & SA_SIGINFO) old->sa_sigaction(number, info, context);
    else old->sa_handler(number);
    return true;
}

/* A handler of the host has returned: may the program go on? Not when it restored the default, and
   raised the signal or lets the instruction do it, nor out of abort(). */
static bool vitp_os_goes_on(int number)
{
    struct sigaction now;
    return number != SIGABRT && VITP_OS(sigaction)(number, NULL, &now) == 0 &&
           ((now.sa_flags & SA_SIGINFO) || now.sa_handler != SIG_DFL);
}

/* Nothing is blocked while it runs, so that a crash in it goes to the host's handler as well. */
static void vitp_os_on_signal(int number, siginfo_t *info, void *context)
{
    int      before = errno;
    uint32_t noted = vitp_os_tell_crash(number, info, context);
    if (vitp_os_chain(number, info, context) && noted && vitp_os_goes_on(number)) {
        void *user = (void *)VITP_ATOMIC_LOAD_PTR_ACQUIRE(&vitp_os_hook.user);
        if (user) vitp_os_hook.survived_fn(noted, user);
    }
    errno = before;
}

static bool vitp_os_is_hooked(int number)
{
    struct sigaction now;
    return VITP_OS(sigaction)(number, NULL, &now) == 0 && (now.sa_flags & SA_SIGINFO) &&
           now.sa_sigaction == vitp_os_on_signal;
}

/* What the host ignores stays ignored. Ours may still be there, under a handler of the host's that
   calls it. */
static void vitp_os_hook_signal(uint32_t i)
{
    int              number = vitp_os_signals()[i].number;
    bool            *installed = &vitp_os_hook.installed[i], ignored, none;
    struct sigaction old, ours;
    if (VITP_OS(sigaction)(number, NULL, &old) != 0) return;
    ignored = !(old.sa_flags & SA_SIGINFO) && old.sa_handler == SIG_IGN;
    none = !(old.sa_flags & SA_SIGINFO) && old.sa_handler == SIG_DFL;
    if (ignored || none) *installed = false;
    if (ignored || *installed) return;
    vitp_os_hook.previous[i] = old;
    memset(&ours, 0, sizeof ours);
    ours.sa_sigaction = vitp_os_on_signal;
    ours.sa_flags = SA_SIGINFO | SA_NODEFER | (old.sa_flags & (SA_RESTART | SA_ONSTACK));
    if (none || vitp_os_hook.stack) ours.sa_flags |= SA_ONSTACK; /* the host's may be too small */
    (void)sigemptyset(&ours.sa_mask);
    *installed = VITP_OS(sigaction)(number, &ours, NULL) == 0;
}

/* A stack for the handler, where this thread has none: without it an overflow runs no handler. */
static void vitp_os_stack_begin(void)
{
    stack_t now, own;
    void   *memory;
    if (VITP_OS(sigaltstack)(NULL, &now) != 0 || !(now.ss_flags & SS_DISABLE)) return;
    memory = VITP_OS(mmap)(NULL, VITP_OS_STACK_BYTES, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return;
    memset(&own, 0, sizeof own);
    own.ss_sp = memory;
    own.ss_size = VITP_OS_STACK_BYTES;
    if (VITP_OS(sigaltstack)(&own, NULL) != 0) {
        VITP_OS(munmap)(memory, VITP_OS_STACK_BYTES);
        return;
    }
    vitp_os_hook.stack = memory;
    vitp_os_hook.stack_thread = vitp_os_thread_id();
}

/* Another thread cannot take it away: then its memory stays. */
static void vitp_os_stack_end(void)
{
    stack_t now, none;
    void   *memory = vitp_os_hook.stack;
    vitp_os_hook.stack = NULL;
    if (!memory || vitp_os_hook.stack_thread != vitp_os_thread_id()) return;
    memset(&none, 0, sizeof none);
    none.ss_flags = SS_DISABLE;
    if (VITP_OS(sigaltstack)(NULL, &now) == 0 && now.ss_sp == memory &&
        VITP_OS(sigaltstack)(&none, NULL) == 0)
        VITP_OS(munmap)(memory, VITP_OS_STACK_BYTES);
}

/* False: it is another client's. */
static bool vitp_os_crash_begin(vitp_os_crash_fn crash_fn, vitp_os_survived_fn survived_fn,
                                void *user)
{
    uintptr_t nobody = 0;
    uint32_t  i;
    if (!VITP_ATOMIC_CAS_PTR(&vitp_os_hook.user, &nobody, (uintptr_t)user)) return false;
    vitp_os_hook.crash_fn = crash_fn;
    vitp_os_hook.survived_fn = survived_fn;
    vitp_os_stack_begin();
    for (i = 0; i < VITP_OS_SIGNAL_COUNT; i++) vitp_os_hook_signal(i);
    return true;
}

/* A handler that was installed after ours and calls it keeps ours, which passes on all: true. */
static bool vitp_os_crash_end(const void *user)
{
    bool     stays = false;
    uint32_t i;
    if (VITP_ATOMIC_LOAD_PTR(&vitp_os_hook.user) != (uintptr_t)user) return false;
    for (i = 0; i < VITP_OS_SIGNAL_COUNT; i++) {
        int number = vitp_os_signals()[i].number;
        if (vitp_os_hook.installed[i] && vitp_os_is_hooked(number))
            vitp_os_hook.installed[i] =
                VITP_OS(sigaction)(number, &vitp_os_hook.previous[i], NULL) != 0;
        stays = stays || vitp_os_hook.installed[i];
    }
    vitp_os_stack_end();
    VITP_ATOMIC_STORE_PTR_RELEASE(&vitp_os_hook.user, (uintptr_t)0);
    return stays;
}

/* ---- what is loaded: the program itself first -------------------------------------------- */

/* An address in this header's own code. */
static uintptr_t vitp_os_own_code(void) { return (uintptr_t)vitp_os_on_signal; }

#ifdef __APPLE__
/* No queue outlives its process there, so that no crash is recorded. */
static uint32_t vitp_os_modules(vitp_os_module *rows, uint32_t most)
{
    (void)rows, (void)most;
    return 0;
}
#else
typedef struct vitp_os_module_list {
    vitp_os_module *rows;
    uint32_t count, most;
} vitp_os_module_list;

static int vitp_os_add_module(struct dl_phdr_info *info, size_t size, void *user)
{
    vitp_os_module_list *list = (vitp_os_module_list *)user;
    vitp_os_module one, *m = &one;
    const char *name = info->dlpi_name ? info->dlpi_name : "", *base;
    uint32_t i;
    (void)size;
    memset(m, 0, sizeof *m);
    for (i = 0; i < info->dlpi_phnum; i++) { /* no pointer to an entry: OpenBSD has no ElfW */
        uintptr_t begin = (uintptr_t)info->dlpi_addr + (uintptr_t)info->dlpi_phdr[i].p_vaddr;
        uintptr_t end = begin + (uintptr_t)info->dlpi_phdr[i].p_memsz;
        if (info->dlpi_phdr[i].p_type != PT_LOAD || !(info->dlpi_phdr[i].p_flags & PF_X)) continue;
        if (m->begin == 0 || begin < m->begin) m->begin = begin;
        if (end > m->end) m->end = end;
    }
    base = strrchr(name, '/');
    (void)snprintf(m->name, sizeof m->name, "%.39s",
                   list->count == 0 ? "program"
                   : base ? base + 1
                          : name);
    if (m->begin && list->count < list->most) list->rows[list->count++] = *m;
    else if (vitp_os_own_code() >= m->begin && vitp_os_own_code() < m->end)
        list->rows[list->most - 1u] = *m; /* without it, nothing tells what is its own code */
    return 0;
}

/* How many there are, `most` at most. */
static uint32_t vitp_os_modules(vitp_os_module *rows, uint32_t most)
{
    vitp_os_module_list list;
    list.rows = rows;
    list.count = 0;
    list.most = most;
    (void)VITP_OS(dl_iterate_phdr)(vitp_os_add_module, &list);
    return list.count;
}
#endif

#endif /* !VITELEMETRY_NO_CRASH */

/* ---- what is not unloaded ---------------------------------------------------------------- */

/* In a program there is nothing to keep, but for the libcurl that it may have. */
#if defined(__GNUC__) && (defined(__ELF__) || defined(__APPLE__)) && \
    ((defined(__PIC__) && !defined(__PIE__)) || defined(VITELEMETRY_CURL))
#include <dlfcn.h>
#ifdef RTLD_NOLOAD
#define VITP_OS_KEEPS_LOADED
#endif
#endif
#ifdef VITP_OS_KEEPS_LOADED

#ifdef __APPLE__
static const char *vitp_os_path_at(uintptr_t at)
{
    Dl_info module;
    return VITP_OS(dladdr)((const void *)at, &module) ? module.dli_fname : NULL;
}
#else
#include <link.h>

typedef struct vitp_os_address {
    uintptr_t at;
    uint32_t before;  /* modules that do not have it */
    const char *path; /* of the one that has it; NULL: the program */
} vitp_os_address;

static int vitp_os_find_path(struct dl_phdr_info *info, size_t size, void *user)
{
    vitp_os_address *address = (vitp_os_address *)user;
    uintptr_t offset = address->at - (uintptr_t)info->dlpi_addr;
    uint32_t i;
    (void)size;
    for (i = 0; i < info->dlpi_phnum; i++) {
        if (info->dlpi_phdr[i].p_type != PT_LOAD ||
            offset - (uintptr_t)info->dlpi_phdr[i].p_vaddr >= (uintptr_t)info->dlpi_phdr[i].p_memsz)
            continue;
        if (address->before > 0) address->path = info->dlpi_name;
        return 1;
    }
    address->before++;
    return 0;
}

/* Of the module that has this address; NULL: none has, or the program, which stays anyway. */
static const char *vitp_os_path_at(uintptr_t at)
{
    vitp_os_address address;
    memset(&address, 0, sizeof address);
    address.at = at;
    (void)VITP_OS(dl_iterate_phdr)(vitp_os_find_path, &address);
    return address.path;
}
#endif

/* Older ones of libc have it in a library that may not be there. Only this name is weak: where the
   host calls dlopen itself, that library is linked. */
__attribute__((weakref("dlopen"), nothrow)) static void *vitp_os_dlopen(const char *path, int how);

/* The module that has this address stays until the process ends. False: it may go. */
static bool vitp_os_keep_loaded(uintptr_t at)
{
    const char *path = vitp_os_dlopen ? vitp_os_path_at(at) : NULL;
    return path && VITP_OS(vitp_os_dlopen)(path, RTLD_LAZY | RTLD_NOLOAD | RTLD_NODELETE) != NULL;
}
#else
static bool vitp_os_keep_loaded(uintptr_t at)
{
    (void)at;
    return false;
}
#endif

#endif /* POSIX */

#ifndef VITP_OS_WAKE_SHARED /* true: a forked child can wake its parent's consumer */
#define VITP_OS_WAKE_SHARED false
#endif

static int64_t vitp_os_wall_s(void) { return (int64_t)(vitp_os_wall_ns() / 1000000000u); }

/* ============================================================================================
   >>log: each item once a client. Noted anywhere, told to the host where no lock of ours is held.
   ============================================================================================ */

typedef struct vitp_log {
    vit_logger logger;
    uint32_t   noted[2], told[2]; /* bit sets of items; any thread */
    uintptr_t  teller;            /* thread that is in log_fn, 0: none */
    uintptr_t  quiet;             /* thread that records under the client's lock: tells later */
} vitp_log;

typedef struct vitp_log_line {
    vit_log_level level;
    const char   *text;
} vitp_log_line;

static const vitp_log_line *vitp_log_line_of(uint32_t item)
{
#define VITP_LOG_LINE(item, level, text) { VIT_LOG_LEVEL_##level, text },
    static const vitp_log_line lines[] = { { VIT_LOG_LEVEL_INFO, "" },
                                           VIT_LOG_ITEMS(VITP_LOG_LINE) };
#undef VITP_LOG_LINE
    return &lines[item];
}

static void vitp_log_note(vitp_log *log, vit_log_item item)
{
    uint32_t bit = 1u << ((uint32_t)item & 31u);
    (void)VITP_ATOMIC_OR(&log->noted[(uint32_t)item >> 5], bit);
}

static uint32_t vitp_log_fresh(const vitp_log *log, uint32_t i)
{
    return VITP_ATOMIC_LOAD(&log->noted[i]) & ~VITP_ATOMIC_LOAD(&log->told[i]);
}

static void vitp_log_tell_word(vitp_log *log, uint32_t i)
{
    uint32_t fresh = vitp_log_fresh(log, i), item;
    fresh &= ~VITP_ATOMIC_OR(&log->told[i], fresh);
    for (item = i * 32u; fresh && log->logger.log_fn; item++, fresh >>= 1)
        if (fresh & 1u)
            log->logger.log_fn(vitp_log_line_of(item)->level, (vit_log_item)item,
                               vitp_log_line_of(item)->text, log->logger.user);
}

/* False: another thread is telling. The callback may be where a thread is cancelled. */
static bool vitp_log_tell_fresh(vitp_log *log)
{
    int       before = vitp_os_hold_cancel();
    uintptr_t none = 0;
    bool      mine = VITP_ATOMIC_CAS_PTR(&log->teller, &none, vitp_os_thread_id());
    if (mine) {
        vitp_log_tell_word(log, 0);
        vitp_log_tell_word(log, 1);
        VITP_ATOMIC_STORE_PTR_RELEASE(&log->teller, (uintptr_t)0); /* with what it did */
    }
    vitp_os_let_cancel(before);
    return mine;
}

/* One thread at a time tells; what others note meanwhile it tells as well. */
static void vitp_log_tell(vitp_log *log)
{
    uintptr_t quiet = VITP_ATOMIC_LOAD_PTR(&log->quiet);
    if (quiet != 0 && quiet == vitp_os_thread_id()) return;
    while ((vitp_log_fresh(log, 0) | vitp_log_fresh(log, 1)) && vitp_log_tell_fresh(log)) {}
}

/* ============================================================================================
   >>text: bytes and characters. No locale; UTF-8 is looked at byte by byte (RFC 3629).
   ============================================================================================ */

#define VITP_TEXT_BAD 0xFFFDu /* what a malformed sequence decodes to */

static bool vitp_text_is_digit(char c) { return c >= '0' && c <= '9'; }
static bool vitp_text_is_lower(char c) { return c >= 'a' && c <= 'z'; }
static bool vitp_text_is_alpha(char c) { return vitp_text_is_lower(c) || (c >= 'A' && c <= 'Z'); }
static bool vitp_text_is_alnum(char c) { return vitp_text_is_digit(c) || vitp_text_is_alpha(c); }
static char vitp_text_lower(char c) { return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c; }
static bool vitp_text_is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

static int vitp_text_hex_value(char c)
{
    if (vitp_text_is_digit(c)) return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

static bool vitp_text_is_hex(const char *text, size_t size)
{
    size_t i;
    for (i = 0; i < size && vitp_text_hex_value(text[i]) >= 0;) i++;
    return i == size;
}

/* Length of a text, at most `most`: a longer one is not read to its end. */
static size_t vitp_text_size(const char *text, size_t most)
{
    const char *end = text ? (const char *)memchr(text, 0, most) : text;
    return !text ? 0 : end ? (size_t)(end - text) : most;
}

static bool vitp_text_copy(char *out, size_t capacity, const char *text)
{
    size_t size = vitp_text_size(text, capacity);
    if (size == capacity) return false;
    if (size) memcpy(out, text, size);
    out[size] = 0;
    return true;
}

/* Length of the character at text (size >= 1); a malformed one gives VITP_TEXT_BAD and the length
   of its maximal part that could have begun a character (Unicode 15, 3.9, U+FFFD substitution).
   */
static size_t vitp_text_decode(const char *text, size_t size, uint32_t *code)
{
    unsigned char c = (unsigned char)text[0];
    unsigned char low = 0x80u, high = 0xBFu; /* range of the second byte */
    size_t        n = c < 0xE0u ? 2 : c < 0xF0u ? 3 : 4, i;
    *code = c;
    if (c < 0x80u) return 1;
    *code = VITP_TEXT_BAD;
    if (c < 0xC2u || c > 0xF4u) return 1;
    if (c == 0xE0u) low = 0xA0u;
    if (c == 0xEDu) high = 0x9Fu; /* no surrogates */
    if (c == 0xF0u) low = 0x90u;
    if (c == 0xF4u) high = 0x8Fu;
    for (i = 1; i < n; i++, low = 0x80u, high = 0xBFu)
        if (i >= size || (unsigned char)text[i] < low || (unsigned char)text[i] > high) return i;
    *code = c & (0x7Fu >> n);
    for (i = 1; i < n; i++) *code = (*code << 6) | ((unsigned char)text[i] & 0x3Fu);
    return n;
}

#define VITP_TEXT_EACH(byte) ((byte)*UINT64_C(0x0101010101010101))

/* Eight bytes of [a-z0-9_.], or of letters of both cases with fold 0x20 in each byte. Sums stay in
   their bytes, as none has its high bit; the high bit is the answer of a byte. */
static VITP_INLINE bool vitp_text_are_key(uint64_t w, uint64_t fold)
{
    const uint64_t high = VITP_TEXT_EACH(0x80u);
    uint64_t       letter = (w | fold) + VITP_TEXT_EACH(0x80u - 'a');
    uint64_t       digit = w + VITP_TEXT_EACH(0x80u - '.');
    if (w & high) return false;
    letter &= ~((w | fold) + VITP_TEXT_EACH(0x7Fu - 'z'));
    digit &= ~(w + VITP_TEXT_EACH(0x7Fu - '9'));                /* from '.' to '9', */
    digit &= (w ^ VITP_TEXT_EACH('/')) + VITP_TEXT_EACH(0x7Fu); /* but for '/' */
    letter |= ~((w ^ VITP_TEXT_EACH('_')) + VITP_TEXT_EACH(0x7Fu));
    return ((letter | digit) & high) == high;
}

/* All of it, and as much as a name may be. */
static bool vitp_text_is_of(const char *text, size_t size, uint64_t fold)
{
    uint64_t w = VITP_TEXT_EACH('a'); /* stands in where there are fewer than eight */
    size_t   i;
    if (size == 0 || size > VITP_NAME_MAX) return false;
    if (size < 8) {
        for (i = 0; i < size; i++) w = w << 8 | (unsigned char)text[i];
        return vitp_text_are_key(w, fold);
    }
    for (i = 0; i < size - 8; i += 8) {
        memcpy(&w, text + i, 8);
        if (!vitp_text_are_key(w, fold)) return false;
    }
    memcpy(&w, text + size - 8, 8); /* these overlap */
    return vitp_text_are_key(w, fold);
}

/* An event's name: [A-Za-z0-9_.]{1,64}. */
static bool vitp_text_is_name(const char *text, size_t size)
{
    return vitp_text_is_of(text, size, VITP_TEXT_EACH(0x20u));
}

/* A name without capitals. */
static bool vitp_text_is_key(const char *text, size_t size)
{
    return vitp_text_is_of(text, size, 0);
}

/* Bytes of an event name, 0: malformed. */
static uint32_t vitp_text_name_size(const char *text)
{
    size_t size = vitp_text_size(text, VITP_NAME_MAX + 1u);
    return vitp_text_is_name(text, size) ? (uint32_t)size : 0;
}

static uint32_t vitp_text_key_size(const char *text)
{
    size_t size = vitp_text_size(text, VITP_NAME_MAX + 1u);
    return vitp_text_is_key(text, size) ? (uint32_t)size : 0;
}

static bool vitp_text_is_printable(const char *text, size_t most)
{
    size_t size = vitp_text_size(text, most + 1u), i;
    for (i = 0; i < size; i++)
        if (text[i] < ' ' || text[i] > '~') return false;
    return size <= most;
}

/* clang-format off */
#define VITP_TEXT_HEX_ROW(h) \
    h "0" h "1" h "2" h "3" h "4" h "5" h "6" h "7" h "8" h "9" h "a" h "b" h "c" h "d" h "e" h "f"

/* Two digits for each byte. */
static const char vitp_text_hex_pairs[] =
    VITP_TEXT_HEX_ROW("0") VITP_TEXT_HEX_ROW("1") VITP_TEXT_HEX_ROW("2") VITP_TEXT_HEX_ROW("3")
    VITP_TEXT_HEX_ROW("4") VITP_TEXT_HEX_ROW("5") VITP_TEXT_HEX_ROW("6") VITP_TEXT_HEX_ROW("7")
    VITP_TEXT_HEX_ROW("8") VITP_TEXT_HEX_ROW("9") VITP_TEXT_HEX_ROW("a") VITP_TEXT_HEX_ROW("b")
    VITP_TEXT_HEX_ROW("c") VITP_TEXT_HEX_ROW("d") VITP_TEXT_HEX_ROW("e") VITP_TEXT_HEX_ROW("f");
/* clang-format on */

static VITP_INLINE void vitp_text_hex_byte(char *out, unsigned char byte)
{
    memcpy(out, vitp_text_hex_pairs + (size_t)2 * byte, 2);
}

static void vitp_text_hex(char *out, const unsigned char *bytes, size_t count)
{
    size_t i;
    for (i = 0; i < count; i++) vitp_text_hex_byte(out + 2 * i, bytes[i]);
    out[2 * count] = 0;
}

#if defined(__has_builtin) && (defined(__SSE2__) || defined(__ARM_NEON))
#if __has_builtin(__builtin_shufflevector)
#define VITP_TEXT_VECTOR
#endif
#endif

#if defined(VITP_TEXT_VECTOR)
typedef unsigned char vitp_text_bytes __attribute__((__vector_size__(16)));
typedef uint32_t      vitp_text_fours __attribute__((__vector_size__(16)));
typedef uint64_t      vitp_text_eights __attribute__((__vector_size__(16)));

/* A digit for each of 16 values below 16. */
static VITP_INLINE vitp_text_bytes vitp_text_digits(vitp_text_bytes values)
{
    vitp_text_bytes letter = (vitp_text_bytes)(values > 9) & ('a' - '0' - 10);
    return values + '0' + letter;
}

static VITP_INLINE void vitp_text_put_four(char *out, vitp_text_bytes from, int which)
{
    uint32_t four = ((vitp_text_fours)from)[which];
    memcpy(out, &four, 4);
}

static VITP_INLINE void vitp_text_put_eight(char *out, vitp_text_bytes from, int which)
{
    uint64_t eight = ((vitp_text_eights)from)[which];
    memcpy(out, &eight, 8);
}

/* Reads the halves one by one: whoever has just made an id stored it so, and a load of both would
   wait for the stores. */
static VITP_INLINE vitp_text_bytes vitp_text_get_halves(const unsigned char id[16])
{
    uint64_t         first, last;
    vitp_text_eights both = { 0, 0 };
    memcpy(&first, id, 8);
    memcpy(&last, id + 8, 8);
    __asm__("" : "+r"(first)); /* compilers would make one load of them */
    both[0] = first;
    both[1] = last;
    return (vitp_text_bytes)both;
}

/* The 36 characters of a UUID (RFC 9562, 4) and a NUL. */
static void vitp_text_uuid(char out[37], const unsigned char id[16])
{
    vitp_text_bytes both = vitp_text_get_halves(id), high = both / 16, low = both & 15;
    vitp_text_bytes begin, end;
    /* clang-format off */
    begin = vitp_text_digits(__builtin_shufflevector(high, low, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20,
                                                     5, 21, 6, 22, 7, 23));
    end = vitp_text_digits(__builtin_shufflevector(high, low, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28,
                                                   13, 29, 14, 30, 15, 31));
    /* clang-format on */
    vitp_text_put_eight(out, begin, 0);
    out[8] = '-';
    vitp_text_put_four(out + 9, begin, 2);
    out[13] = '-';
    vitp_text_put_four(out + 14, begin, 3);
    out[18] = '-';
    vitp_text_put_four(out + 19, end, 0);
    out[23] = '-';
    vitp_text_put_four(out + 24, end, 1);
    vitp_text_put_eight(out + 28, end, 1);
    out[36] = 0;
}
#else
static VITP_INLINE void vitp_text_hex_two(char *out, const unsigned char *bytes)
{
    vitp_text_hex_byte(out, bytes[0]);
    vitp_text_hex_byte(out + 2, bytes[1]);
}

/* The 36 characters of a UUID (RFC 9562, 4) and a NUL. */
static void vitp_text_uuid(char out[37], const unsigned char id[16])
{
    vitp_text_hex_two(out, id);
    vitp_text_hex_two(out + 4, id + 2);
    out[8] = '-';
    vitp_text_hex_two(out + 9, id + 4);
    out[13] = '-';
    vitp_text_hex_two(out + 14, id + 6);
    out[18] = '-';
    vitp_text_hex_two(out + 19, id + 8);
    out[23] = '-';
    vitp_text_hex_two(out + 24, id + 10);
    vitp_text_hex_two(out + 28, id + 12);
    vitp_text_hex_two(out + 32, id + 14);
    out[36] = 0;
}
#endif

static bool vitp_text_parse_uuid(unsigned char id[16], const char *text)
{
    size_t i, at = 0;
    if (vitp_text_size(text, 37) != 36) return false;
    for (i = 0; i < 16; i++) {
        int high, low;
        if (i == 4 || i == 6 || i == 8 || i == 10)
            if (text[at++] != '-') return false;
        high = vitp_text_hex_value(text[at++]);
        low = vitp_text_hex_value(text[at++]);
        if (high < 0 || low < 0) return false;
        id[i] = (unsigned char)(high * 16 + low);
    }
    return true;
}

/* The first that linkers name when two files of a program have the implementation. */
VIT_EVENT_API const char *vit_two_files_define_VITELEMETRY_IMPLEMENTATION(void);
VIT_EVENT_API const char *vit_two_files_define_VITELEMETRY_IMPLEMENTATION(void)
{
    return VITELEMETRY_VERSION;
}

const char *vit_version(void) { return vit_two_files_define_VITELEMETRY_IMPLEMENTATION(); }

const char *vit_status_text(vit_status s)
{
    static const char *const texts[] = { "VIT_OK",          "VIT_TRUNCATED",  "VIT_DISABLED",
                                         "VIT_SAMPLED_OUT", "VIT_QUEUE_FULL", "VIT_INVALID" };
    return (unsigned)s < sizeof texts / sizeof texts[0] ? texts[(unsigned)s] : "unknown";
}

/* ============================================================================================
   >>sha256: FIPS 180-4
   ============================================================================================ */

typedef struct vitp_sha256 {
    uint32_t      state[8];
    uint64_t      size; /* bytes so far */
    unsigned char block[64];
} vitp_sha256;

static uint32_t vitp_sha256_rotate(uint32_t x, unsigned n) { return (x >> n) | (x << (32u - n)); }

static uint32_t vitp_sha256_word(const unsigned char *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* 4.2.2 */
static const uint32_t vitp_sha256_k[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2
};

/* One round of 6.2.2, step 3. Names take the place of moves: the new a is in h, the new e in d. */
#define VITP_SHA256_ROUND(a, b, c, d, e, f, g, h, word)                                         \
    (h) += (vitp_sha256_rotate(e, 6) ^ vitp_sha256_rotate(e, 11) ^ vitp_sha256_rotate(e, 25)) + \
           ((g) ^ ((e) & ((f) ^ (g)))) + (word);                                                \
    (d) += (h);                                                                                 \
    (h) += (vitp_sha256_rotate(a, 2) ^ vitp_sha256_rotate(a, 13) ^ vitp_sha256_rotate(a, 22)) + \
           (((a) & (b)) | ((c) & ((a) | (b))))

/* W of 6.2.2, step 1: expanded in place, 16 words at a time. */
static VITP_INLINE uint32_t vitp_sha256_schedule(uint32_t w[16], unsigned t)
{
    uint32_t x = w[(t + 1u) & 15u], y = w[(t + 14u) & 15u];
    uint32_t s0 = vitp_sha256_rotate(x, 7) ^ vitp_sha256_rotate(x, 18) ^ (x >> 3);
    uint32_t s1 = vitp_sha256_rotate(y, 17) ^ vitp_sha256_rotate(y, 19) ^ (y >> 10);
    return w[t & 15u] += s0 + s1 + w[(t + 9u) & 15u];
}

#define VITP_SHA256_WORD(i)     ((w[i] = vitp_sha256_word(data + (size_t)4 * (i))) + k[i])
#define VITP_SHA256_SCHEDULE(i) (vitp_sha256_schedule(w, i) + k[i])
#define VITP_SHA256_EIGHT(WORD, i)                             \
    VITP_SHA256_ROUND(a, b, c, d, e, f, g, h, WORD(i));        \
    VITP_SHA256_ROUND(h, a, b, c, d, e, f, g, WORD((i) + 1u)); \
    VITP_SHA256_ROUND(g, h, a, b, c, d, e, f, WORD((i) + 2u)); \
    VITP_SHA256_ROUND(f, g, h, a, b, c, d, e, WORD((i) + 3u)); \
    VITP_SHA256_ROUND(e, f, g, h, a, b, c, d, WORD((i) + 4u)); \
    VITP_SHA256_ROUND(d, e, f, g, h, a, b, c, WORD((i) + 5u)); \
    VITP_SHA256_ROUND(c, d, e, f, g, h, a, b, WORD((i) + 6u)); \
    VITP_SHA256_ROUND(b, c, d, e, f, g, h, a, WORD((i) + 7u))

static void vitp_sha256_portable(uint32_t state[8], const unsigned char *data, size_t blocks)
{
    for (; blocks > 0; blocks--, data += 64) {
        const uint32_t *k = vitp_sha256_k;
        uint32_t        w[16], a = state[0], b = state[1], c = state[2], d = state[3];
        uint32_t        e = state[4], f = state[5], g = state[6], h = state[7], i;
        VITP_SHA256_EIGHT(VITP_SHA256_WORD, 0u);
        VITP_SHA256_EIGHT(VITP_SHA256_WORD, 8u);
        for (i = 0; i < 3; i++) {
            k += 16;
            VITP_SHA256_EIGHT(VITP_SHA256_SCHEDULE, 0u);
            VITP_SHA256_EIGHT(VITP_SHA256_SCHEDULE, 8u);
        }
        state[0] += a, state[1] += b, state[2] += c, state[3] += d;
        state[4] += e, state[5] += f, state[6] += g, state[7] += h;
    }
}

/* By the processor's own instructions, where it has them: asked at run time, so that no compiler
   option is needed. Written in assembler, as compilers name these instructions differently, and
   some only under an option. */
#if defined(VITP_OS_SHA256_X86)
typedef uint32_t vitp_sha256_four __attribute__((vector_size(16)));

/* The state as these instructions want it. */
typedef struct vitp_sha256_state {
    vitp_sha256_four feba, hgdc;
} vitp_sha256_state;

static VITP_INLINE vitp_sha256_state vitp_sha256_pack(const uint32_t s[8])
{
    vitp_sha256_four  feba = { s[5], s[4], s[1], s[0] }, hgdc = { s[7], s[6], s[3], s[2] };
    vitp_sha256_state packed;
    packed.feba = feba;
    packed.hgdc = hgdc;
    return packed;
}

static VITP_INLINE void vitp_sha256_unpack(uint32_t s[8], const vitp_sha256_state *packed)
{
    s[0] = packed->feba[3], s[1] = packed->feba[2], s[4] = packed->feba[1], s[5] = packed->feba[0];
    s[2] = packed->hgdc[3], s[3] = packed->hgdc[2], s[6] = packed->hgdc[1], s[7] = packed->hgdc[0];
}

static VITP_INLINE vitp_sha256_four vitp_sha256_load(const unsigned char *data)
{
    static const unsigned char swap[16] = { 3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12 };
    vitp_sha256_four           m, order;
    memcpy(&m, data, 16);
    memcpy(&order, swap, 16);
    __asm__("pshufb %1, %0" : "+x"(m) : "x"(order));
    return m;
}

/* Four rounds; m: words and constants. */
static VITP_INLINE void vitp_sha256_rounds(vitp_sha256_state *s, vitp_sha256_four m)
{
    __asm__("sha256rnds2 %2, %1, %0" : "+x"(s->hgdc) : "x"(s->feba), "Yz"(m));
    __asm__("pshufd $14, %1, %0" : "=x"(m) : "x"(m));
    __asm__("sha256rnds2 %2, %1, %0" : "+x"(s->feba) : "x"(s->hgdc), "Yz"(m));
}

/* The four words behind a, b, c, d. */
static VITP_INLINE vitp_sha256_four vitp_sha256_next(vitp_sha256_four a, vitp_sha256_four b,
                                                     vitp_sha256_four c, vitp_sha256_four d)
{
    vitp_sha256_four middle = d;
    __asm__("sha256msg1 %1, %0" : "+x"(a) : "x"(b));
    __asm__("palignr $4, %1, %0" : "+x"(middle) : "x"(c));
    a += middle;
    __asm__("sha256msg2 %1, %0" : "+x"(a) : "x"(d));
    return a;
}

static VITP_INLINE void vitp_sha256_sum(vitp_sha256_state *s, const vitp_sha256_state *was)
{
    s->feba += was->feba;
    s->hgdc += was->hgdc;
}
#elif defined(VITP_OS_SHA256_ARM)
typedef uint32_t vitp_sha256_four __attribute__((vector_size(16)));

typedef struct vitp_sha256_state {
    vitp_sha256_four abcd, efgh;
} vitp_sha256_state;

static VITP_INLINE vitp_sha256_state vitp_sha256_pack(const uint32_t s[8])
{
    vitp_sha256_state packed;
    memcpy(&packed.abcd, s, 16);
    memcpy(&packed.efgh, s + 4, 16);
    return packed;
}

static VITP_INLINE void vitp_sha256_unpack(uint32_t s[8], const vitp_sha256_state *packed)
{
    memcpy(s, &packed->abcd, 16);
    memcpy(s + 4, &packed->efgh, 16);
}

static VITP_INLINE vitp_sha256_four vitp_sha256_load(const unsigned char *data)
{
    vitp_sha256_four m;
    memcpy(&m, data, 16);
    __asm__("rev32 %0.16b, %0.16b" : "+w"(m));
    return m;
}

#define VITP_SHA256_ASM(text) ".arch_extension crypto\n\t" text

/* Four rounds; m: words and constants. */
static VITP_INLINE void vitp_sha256_rounds(vitp_sha256_state *s, vitp_sha256_four m)
{
    vitp_sha256_four abcd = s->abcd;
    __asm__(VITP_SHA256_ASM("sha256h %q0, %q1, %2.4s") : "+w"(s->abcd) : "w"(s->efgh), "w"(m));
    __asm__(VITP_SHA256_ASM("sha256h2 %q0, %q1, %2.4s") : "+w"(s->efgh) : "w"(abcd), "w"(m));
}

/* The four words behind a, b, c, d. */
static VITP_INLINE vitp_sha256_four vitp_sha256_next(vitp_sha256_four a, vitp_sha256_four b,
                                                     vitp_sha256_four c, vitp_sha256_four d)
{
    __asm__(VITP_SHA256_ASM("sha256su0 %0.4s, %1.4s") : "+w"(a) : "w"(b));
    __asm__(VITP_SHA256_ASM("sha256su1 %0.4s, %1.4s, %2.4s") : "+w"(a) : "w"(c), "w"(d));
    return a;
}

static VITP_INLINE void vitp_sha256_sum(vitp_sha256_state *s, const vitp_sha256_state *was)
{
    s->abcd += was->abcd;
    s->efgh += was->efgh;
}
#endif

#if defined(VITP_OS_SHA256_X86) || defined(VITP_OS_SHA256_ARM)
static VITP_INLINE vitp_sha256_four vitp_sha256_keyed(vitp_sha256_four m, unsigned i)
{
    vitp_sha256_four k;
    memcpy(&k, vitp_sha256_k + (size_t)4 * i, 16);
    return m + k;
}

static void vitp_sha256_by_instructions(uint32_t state[8], const unsigned char *data, size_t blocks)
{
    vitp_sha256_state s = vitp_sha256_pack(state);
    for (; blocks > 0; blocks--, data += 64) {
        const vitp_sha256_state was = s;
        vitp_sha256_four        m0 = vitp_sha256_load(data), m1 = vitp_sha256_load(data + 16);
        vitp_sha256_four        m2 = vitp_sha256_load(data + 32), m3 = vitp_sha256_load(data + 48);
        unsigned                i;
        for (i = 0; i < 16; i += 4) {
            vitp_sha256_rounds(&s, vitp_sha256_keyed(m0, i));
            vitp_sha256_rounds(&s, vitp_sha256_keyed(m1, i + 1));
            vitp_sha256_rounds(&s, vitp_sha256_keyed(m2, i + 2));
            vitp_sha256_rounds(&s, vitp_sha256_keyed(m3, i + 3));
            if (i == 12) break;
            m0 = vitp_sha256_next(m0, m1, m2, m3);
            m1 = vitp_sha256_next(m1, m2, m3, m0);
            m2 = vitp_sha256_next(m2, m3, m0, m1);
            m3 = vitp_sha256_next(m3, m0, m1, m2);
        }
        vitp_sha256_sum(&s, &was);
    }
    vitp_sha256_unpack(state, &s);
}
#endif

#ifndef VITP_OS_HAS_SHA256 /* a test says that the processor can do less */
#define VITP_OS_HAS_SHA256() vitp_os_has_sha256()
#endif

static void vitp_sha256_blocks(uint32_t state[8], const unsigned char *data, size_t blocks)
{
#if defined(VITP_OS_SHA256_X86) || defined(VITP_OS_SHA256_ARM)
    static uint32_t way; /* of this machine; 0: not asked yet, 1: portable, 2: by instructions */
    uint32_t        known = VITP_ATOMIC_LOAD(&way);
    if (VITP_UNLIKELY(known == 0)) {
        known = VITP_OS_HAS_SHA256() ? 2u : 1u;
        VITP_ATOMIC_STORE(&way, known);
    }
    if (known == 2u) {
        vitp_sha256_by_instructions(state, data, blocks);
        return;
    }
#endif
    vitp_sha256_portable(state, data, blocks);
}

static void vitp_sha256_begin(vitp_sha256 *s)
{
    static const uint32_t first[8] = { 0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                       0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19 };
    memcpy(s->state, first, sizeof first);
    s->size = 0;
}

static void vitp_sha256_add(vitp_sha256 *s, const void *data, size_t size)
{
    const unsigned char *p = (const unsigned char *)data;
    size_t               held = (size_t)(s->size & 63u), part;
    if (size == 0) return;
    s->size += size;
    if (held) {
        part = size < 64 - held ? size : 64 - held;
        memcpy(s->block + held, p, part);
        if (held + part < 64) return;
        vitp_sha256_blocks(s->state, s->block, 1);
        p += part;
        size -= part;
    }
    if (size >= 64) vitp_sha256_blocks(s->state, p, size / 64);
    if (size & 63u) memcpy(s->block, p + (size & ~(size_t)63u), size & 63u);
}

static void vitp_sha256_add_text(vitp_sha256 *s, const char *text)
{
    if (text) vitp_sha256_add(s, text, strlen(text));
}

static void vitp_sha256_end(vitp_sha256 *s, unsigned char digest[32])
{
    static const unsigned char pad[64] = { 0x80 };
    unsigned char              length[8];
    uint64_t                   bits = s->size * 8u;
    size_t                     held = (size_t)(s->size & 63u), i;
    for (i = 0; i < 8; i++) length[i] = (unsigned char)(bits >> (56 - 8 * i));
    vitp_sha256_add(s, pad, held < 56 ? 56 - held : 120 - held);
    vitp_sha256_add(s, length, 8);
    for (i = 0; i < 32; i++) digest[i] = (unsigned char)(s->state[i / 4] >> (24 - 8 * (i % 4)));
}

void vit_sha256(unsigned char digest[32], const void *data, size_t size)
{
    vitp_sha256 s;
    vitp_sha256_begin(&s);
    if (data) vitp_sha256_add(&s, data, size);
    if (digest) vitp_sha256_end(&s, digest);
}

/* ============================================================================================
   >>ids: UUIDs, sampling, salted hashes, error hashes
   ============================================================================================ */

/* Ids of events: a counter under a 128-bit key that the system's random source gave. It lies in
   the page that a fork wipes, so that a child seeds its own. Any thread. Who has some of the ids
   can tell which others are of the same key: another identity has another. */
#define VITP_ID_WORDS (16u / sizeof(uintptr_t))
typedef struct vitp_id_source {
    uint32_t  alive;  /* 1; 0: wiped by a fork */
    uint32_t  seeded; /* 1 while key is valid */
    uint32_t  weak;   /* 1: the system gave no random bytes */
    uint32_t  owner;  /* process that seeded it after a fork that wiped nothing, else 0 */
    uintptr_t key[VITP_ID_WORDS]; /* one of which a part is another's serves as well */
    uintptr_t count;
} vitp_id_source;

/* The finaliser of SplitMix64: a bijection in which each input bit changes half of the output
   bits. */
static uint64_t vitp_id_mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

/* Random bytes; false when they had to be made from clocks and addresses. */
static bool vitp_id_random(void *out, size_t size)
{
    unsigned char *at = (unsigned char *)out;
    uint64_t       x;
    size_t         i;
    if (vitp_os_random(out, size)) return true;
    x = vitp_os_now_ns() ^ (uint64_t)(uintptr_t)&at ^ (uint64_t)vitp_os_process_id() << 40;
    x ^= (uint64_t)vitp_os_wall_s() << 20 ^ (uint64_t)vitp_os_thread_id();
    for (i = 0; i < size; i++)
        at[i] = (unsigned char)(vitp_id_mix(x + i * 0x9e3779b97f4a7c15u) >> 32);
    return false;
}

static VITP_NOINLINE void vitp_id_seed(vitp_id_source *s)
{
    uintptr_t key[VITP_ID_WORDS];
    uint32_t  i;
    s->weak = !vitp_id_random(key, sizeof key);
    for (i = 0; i < VITP_ID_WORDS; i++) VITP_ATOMIC_STORE_PTR(&s->key[i], key[i]);
    VITP_ATOMIC_STORE_RELEASE(&s->seeded, 1u);
}

/* Version 4 and variant 10 (RFC 9562, 5.4). By words: a byte that is set alone in what was just
   written as words holds up whoever reads the words again. */
static VITP_INLINE void vitp_id_stamp(uint64_t id[2])
{
    static const unsigned char kept[16] = { 255,  255, 255, 255, 255, 255, 0x0F, 255,
                                            0x3F, 255, 255, 255, 255, 255, 255,  255 };
    static const unsigned char version[16] = { 0, 0, 0, 0, 0, 0, 0x40, 0, 0x80 };
    uint64_t                   keep[2], add[2];
    memcpy(keep, kept, 16);
    memcpy(add, version, 16);
    id[0] = (id[0] & keep[0]) | add[0];
    id[1] = (id[1] & keep[1]) | add[1];
}

/* A random id that is no client's. */
static void vitp_id_fresh(unsigned char out[16])
{
    uint64_t id[2];
    (void)vitp_id_random(id, sizeof id);
    vitp_id_stamp(id);
    memcpy(out, id, 16);
}

/* In a forked child. What was not wiped is the key of its parent, which goes on with it. */
static void vitp_id_own(vitp_id_source *s)
{
    uint32_t process;
    if (!s->alive) return;
    process = vitp_os_process_id();
    if (VITP_ATOMIC_LOAD(&s->owner) == process) return;
    vitp_id_seed(s);
    VITP_ATOMIC_STORE(&s->owner, process);
}

static void vitp_id_next(vitp_id_source *s, unsigned char out[16])
{
    uint64_t  n, id[2];
    uintptr_t key[VITP_ID_WORDS];
    uint32_t  i;
    if (VITP_UNLIKELY(!VITP_ATOMIC_LOAD_ACQUIRE(&s->seeded))) vitp_id_seed(s);
    for (i = 0; i < VITP_ID_WORDS; i++) key[i] = VITP_ATOMIC_LOAD_PTR(&s->key[i]);
    memcpy(id, key, sizeof id);
    n = (uint64_t)VITP_ATOMIC_ADD_PTR(&s->count, 1u) * 0x9e3779b97f4a7c15u;
    id[0] = vitp_id_mix(id[0] + n);
    id[1] = vitp_id_mix(id[1] ^ n);
    vitp_id_stamp(id);
    memcpy(out, id, 16);
}

void vit_uuid4(char out[37])
{
    unsigned char id[16];
    if (!out) return;
    vitp_id_fresh(id);
    vitp_text_uuid(out, id);
}

vit_op vit_op_begin(void)
{
    vit_op op;
    vitp_id_fresh(op.correlation_id);
    op.begin_ns = vitp_os_now_ns();
    return op;
}

void vit_op_text(const vit_op *op, char out[37])
{
    static const unsigned char zeros[16] = { 0 };
    if (out) vitp_text_uuid(out, op ? op->correlation_id : zeros);
}

bool vit_should_sample(const char *event_name, double rate, const char *seed)
{
    vitp_sha256     s;
    unsigned char   digest[32];
    volatile double quotient; /* rounded to double, also where registers are wider */
    if (rate >= 1.0) return true;
    if (!(rate > 0.0)) return false;
    vitp_sha256_begin(&s);
    vitp_sha256_add_text(&s, seed);
    vitp_sha256_add(&s, ":", 1);
    vitp_sha256_add_text(&s, event_name);
    vitp_sha256_end(&s, digest);
    quotient = (double)vitp_sha256_word(digest) / 4294967295.0;
    return quotient < rate;
}

/* First 8 bytes of sha256(value + salt). */
static void vitp_id_hash(unsigned char out[8], const char *value, size_t size, const char *salt)
{
    vitp_sha256   s;
    unsigned char digest[32];
    vitp_sha256_begin(&s);
    vitp_sha256_add(&s, value, size);
    vitp_sha256_add_text(&s, salt);
    vitp_sha256_end(&s, digest);
    memcpy(out, digest, 8);
}

/* Which characters make words in an error message: ASCII letters, digits and underscore, and all
   others but the ones of this table (signs, punctuation, currency, arrows, symbols, CJK
   punctuation). */
static bool vitp_id_is_word(uint32_t c)
{
    static const struct {
        uint32_t first, last;
    } marks[] = { { 0x80, 0xA9 },     { 0xAB, 0xB1 },     { 0xB4, 0xB4 },     { 0xB6, 0xB8 },
                  { 0xBB, 0xBB },     { 0xBF, 0xBF },     { 0xD7, 0xD7 },     { 0xF7, 0xF7 },
                  { 0x2000, 0x206F }, { 0x20A0, 0x20CF }, { 0x2190, 0x2BFF }, { 0x3000, 0x3003 },
                  { 0x3008, 0x3011 } };
    size_t i;
    if (c < 0x80u) return vitp_text_is_alnum((char)c) || c == '_';
    for (i = 0; i < sizeof marks / sizeof marks[0]; i++)
        if (c >= marks[i].first && c <= marks[i].last) return false;
    return true;
}

/* Length of 0x and hex digits at text, or 0. */
static size_t vitp_id_hex_span(const char *text, size_t size)
{
    size_t n = 2;
    if (size < 3 || text[0] != '0' || text[1] != 'x') return 0;
    while (n < size && vitp_text_hex_value(text[n]) >= 0) n++;
    return n > 2 ? n : 0;
}

/* Length of the quoted part at text, or 0: either quote closes it, a newline does not stand in
   it. */
static size_t vitp_id_quote_span(const char *text, size_t size)
{
    size_t n = 1;
    if (text[0] != '\'' && text[0] != '"') return 0;
    while (n < size && text[n] != '\'' && text[n] != '"' && text[n] != '\n') n++;
    return n < size && text[n] != '\n' ? n + 1 : 0;
}

/* Length of the digits at text when a word ends behind them, or 0. An address (0x1f) that begins
   with the last of them was replaced before, and its mark begins no word. */
static size_t vitp_id_number_span(const char *text, size_t size)
{
    size_t   n = 0;
    uint32_t next;
    while (n < size && vitp_text_is_digit(text[n])) n++;
    if (n > 1 && vitp_id_hex_span(text + n - 1, size - n + 1)) return n - 1;
    if (n == 0 || n == size) return n;
    (void)vitp_text_decode(text + n, size - n, &next);
    return vitp_id_is_word(next) ? 0 : n;
}

/* One pass does what the rule says in three: 0x... -> #hex, \b\d+\b -> #n, quoted -> #str.
   A quote is no word character, and neither a number nor an address goes across one: the order of
   the three does not matter. */
static void vitp_id_add_normalised(vitp_sha256 *s, const char *text, size_t size)
{
    bool   in_word = false;
    size_t i = 0, literal = 0, n;
    while (i < size) {
        const char *mark = "#str";
        uint32_t    c;
        if ((n = vitp_id_quote_span(text + i, size - i)) == 0) {
            mark = "#hex";
            n = vitp_id_hex_span(text + i, size - i);
        }
        if (n == 0 && !in_word) {
            mark = "#n";
            n = vitp_id_number_span(text + i, size - i);
        }
        if (n == 0) {
            i += vitp_text_decode(text + i, size - i, &c);
            in_word = vitp_id_is_word(c);
            continue;
        }
        vitp_sha256_add(s, text + literal, i - literal);
        vitp_sha256_add_text(s, mark);
        literal = i += n;
        in_word = mark[1] == 'h' || mark[1] == 'n';
    }
    vitp_sha256_add(s, text + literal, size - literal);
}

static void vitp_id_error_hash(unsigned char out[8], const char *type, size_t type_size,
                               const char *message, size_t size, const char *frame,
                               size_t frame_size)
{
    vitp_sha256   s;
    unsigned char digest[32];
    while (size > 0 && vitp_text_is_space(message[0])) message++, size--;
    while (size > 0 && vitp_text_is_space(message[size - 1])) size--;
    vitp_sha256_begin(&s);
    vitp_sha256_add(&s, type, type_size);
    vitp_sha256_add(&s, "|", 1);
    vitp_sha256_add(&s, frame, frame_size);
    vitp_sha256_add(&s, "|", 1);
    vitp_id_add_normalised(&s, message, size);
    vitp_sha256_end(&s, digest);
    memcpy(out, digest, 8);
}

void vit_error_hash(char out[17], const char *type, const char *message, const char *top_frame)
{
    unsigned char hash[8];
    if (!out) return;
    vitp_id_error_hash(hash, type ? type : "", type ? strlen(type) : 0, message ? message : "",
                       message ? strlen(message) : 0, top_frame ? top_frame : "",
                       top_frame ? strlen(top_frame) : 0);
    vitp_text_hex(out, hash, 8);
}

/* ============================================================================================
   >>scrub: replaces what names a person, a machine or a secret by a marker.

   One pass: a byte that can belong to such a text (a trigger) asks the matchers of its class,
   which look back no further than the end of the last replacement and give the span they claim.
   What a matcher looks at and does not claim is bounded or ends at the next trigger of its kind,
   so time is linear in the text. Markers in the text are copied as they are and nothing reads
   across one, so scrubbing twice changes nothing. A marker has 8 bytes at most: the output is no
   longer than the text and 8 a span. Matchers that few triggers need are not inlined
   (VITP_NOINLINE): all would pay for their registers and frames.

   Names are known by their place (host=x, for user x, could not resolve host x) and by their form
   (x.example.com); a run of letters and digits without either by how often small letters, capitals
   and digits alternate.

   Formats: RFC 5321 and 6531 (addresses), RFC 4291 and 5952 (IPv6), RFC 3986 (URLs), RFC 7468
   (PEM), RFC 7519 (JWT), RFC 7235 (credentials), ISO/IEC 7812 (cards), ISO 13616 (IBAN), E.164
   (telephones), RFC 4648 (base64); token prefixes as their issuers publish them.
   ============================================================================================ */

/* Class of a byte. Sets of classes are 32-bit masks. */
enum {
    VITP_SCRUB_CONTROL,
    VITP_SCRUB_SPACE, /* and tab */
    VITP_SCRUB_LINE,  /* \n \r */
    VITP_SCRUB_DIGIT,
    VITP_SCRUB_HEXLOW, /* a-f */
    VITP_SCRUB_LOW,    /* g-z */
    VITP_SCRUB_HEXUP,  /* A-F */
    VITP_SCRUB_UP,     /* G-Z */
    VITP_SCRUB_HIGH,   /* 0x80 and more: UTF-8 */
    VITP_SCRUB_UNDERSCORE,
    VITP_SCRUB_DASH,
    VITP_SCRUB_DOT,
    VITP_SCRUB_EQUAL,
    VITP_SCRUB_PLUS,
    VITP_SCRUB_SLASH,
    VITP_SCRUB_BACKSLASH,
    VITP_SCRUB_COLON,
    VITP_SCRUB_AT,
    VITP_SCRUB_QUOTE,
    VITP_SCRUB_TICK,
    VITP_SCRUB_BACKTICK,
    VITP_SCRUB_PERCENT,
    VITP_SCRUB_DOLLAR,
    VITP_SCRUB_TILDE,
    VITP_SCRUB_AMPERSAND,
    VITP_SCRUB_LIST,  /* , ; */
    VITP_SCRUB_PAREN, /* ( ) */
    VITP_SCRUB_OPEN,  /* [ */
    VITP_SCRUB_BRACE, /* ] { } */
    VITP_SCRUB_ANGLE, /* < > */
    VITP_SCRUB_WILD,  /* * ? | */
    VITP_SCRUB_OTHER  /* ! # ^ */
};

/* The class of each byte, 16 in a row: for a table of them, and for one of their sets. */
/* clang-format off */
#define VITP_SCRUB_CLASSES(row) \
    row( 0,  0,  0,  0,  0,  0,  0,  0,  0,  1,  2,  0,  0,  2,  0,  0) /* 0x00 */ \
    row( 0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0) /* 0x10 */ \
    row( 1, 31, 18, 31, 22, 21, 24, 19, 26, 26, 30, 13, 25, 10, 11, 14) /* ' ' */ \
    row( 3,  3,  3,  3,  3,  3,  3,  3,  3,  3, 16, 25, 29, 12, 29, 30) /* '0' */ \
    row(17,  6,  6,  6,  6,  6,  6,  7,  7,  7,  7,  7,  7,  7,  7,  7) /* '@' */ \
    row( 7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7, 27, 15, 28, 31,  9) /* 'P' */ \
    row(20,  4,  4,  4,  4,  4,  4,  5,  5,  5,  5,  5,  5,  5,  5,  5) /* '`' */ \
    row( 5,  5,  5,  5,  5,  5,  5,  5,  5,  5,  5, 28, 30, 28, 23,  0) /* 'p' */ \
    row( 8,  8,  8,  8,  8,  8,  8,  8,  8,  8,  8,  8,  8,  8,  8,  8) /* 0x80 */ \
    row( 8,  8,  8,  8,  8,  8,  8,  8,  8,  8,  8,  8,  8,  8,  8,  8) /* 0x90 */ \
    row( 8,  8,  8,  8,  8,  8,  8,  8,  8,  8,  8,  8,  8,  8,  8,  8) /* 0xa0 */ \
    row( 8,  8,  8,  8,  8,  8,  8,  8,  8,  8,  8,  8,  8,  8,  8,  8) /* 0xb0 */ \
    row( 8,  8,  8,  8,  8,  8,  8,  8,  8,  8,  8,  8,  8,  8,  8,  8) /* 0xc0 */ \
    row( 8,  8,  8,  8,  8,  8,  8,  8,  8,  8,  8,  8,  8,  8,  8,  8) /* 0xd0 */ \
    row( 8,  8,  8,  8,  8,  8,  8,  8,  8,  8,  8,  8,  8,  8,  8,  8) /* 0xe0 */ \
    row( 8,  8,  8,  8,  8,  8,  8,  8,  8,  8,  8,  8,  8,  8,  8,  8) /* 0xf0 */
/* clang-format on */
#define VITP_SCRUB_NUMBERS(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p) \
    a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p,
#define VITP_SCRUB_BIT(number) (UINT32_C(1) << (number))
#define VITP_SCRUB_BITS(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p)                            \
    VITP_SCRUB_BIT(a), VITP_SCRUB_BIT(b), VITP_SCRUB_BIT(c), VITP_SCRUB_BIT(d), VITP_SCRUB_BIT(e), \
        VITP_SCRUB_BIT(f), VITP_SCRUB_BIT(g), VITP_SCRUB_BIT(h), VITP_SCRUB_BIT(i),                \
        VITP_SCRUB_BIT(j), VITP_SCRUB_BIT(k), VITP_SCRUB_BIT(l), VITP_SCRUB_BIT(m),                \
        VITP_SCRUB_BIT(n), VITP_SCRUB_BIT(o), VITP_SCRUB_BIT(p),

static const uint8_t  vitp_scrub_class[256] = { VITP_SCRUB_CLASSES(VITP_SCRUB_NUMBERS) };
static const uint32_t vitp_scrub_sets[256] = { VITP_SCRUB_CLASSES(VITP_SCRUB_BITS) };

/* VITP_SCRUB_SET(DOT) is the set of the class VITP_SCRUB_DOT; sets are joined by |. */
#define VITP_SCRUB_SET(name) (UINT32_C(1) << VITP_SCRUB_##name)

#define VITP_SCRUB_LOWER  (VITP_SCRUB_SET(HEXLOW) | VITP_SCRUB_SET(LOW))
#define VITP_SCRUB_UPPER  (VITP_SCRUB_SET(HEXUP) | VITP_SCRUB_SET(UP))
#define VITP_SCRUB_LETTER (VITP_SCRUB_LOWER | VITP_SCRUB_UPPER)
#define VITP_SCRUB_ALNUM  (VITP_SCRUB_LETTER | VITP_SCRUB_SET(DIGIT))
#define VITP_SCRUB_HEX    (VITP_SCRUB_SET(DIGIT) | VITP_SCRUB_SET(HEXLOW) | VITP_SCRUB_SET(HEXUP))
#define VITP_SCRUB_WORD   (VITP_SCRUB_ALNUM | VITP_SCRUB_SET(UNDERSCORE))
/* clang-format off */
#define VITP_SCRUB_QUOTES \
    (VITP_SCRUB_SET(QUOTE) | VITP_SCRUB_SET(TICK) | VITP_SCRUB_SET(BACKTICK))
/* clang-format on */
#define VITP_SCRUB_BLANK    (VITP_SCRUB_SET(CONTROL) | VITP_SCRUB_SET(SPACE) | VITP_SCRUB_SET(LINE))
#define VITP_SCRUB_BRACKETS (VITP_SCRUB_SET(PAREN) | VITP_SCRUB_SET(OPEN) | VITP_SCRUB_SET(BRACE))
/* Bytes of an identifier that may be the key of a value. */
#define VITP_SCRUB_NAME \
    (VITP_SCRUB_WORD | VITP_SCRUB_SET(DOT) | VITP_SCRUB_SET(DASH) | VITP_SCRUB_SET(DOLLAR))
/* Local part of a mail address (RFC 5321 atoms without what is rather syntax around it). */
#define VITP_SCRUB_LOCAL                                                                   \
    (VITP_SCRUB_WORD | VITP_SCRUB_SET(HIGH) | VITP_SCRUB_SET(DOT) | VITP_SCRUB_SET(DASH) | \
     VITP_SCRUB_SET(PLUS) | VITP_SCRUB_SET(PERCENT) | VITP_SCRUB_SET(TILDE) |              \
     VITP_SCRUB_SET(AMPERSAND) | VITP_SCRUB_SET(TICK) | VITP_SCRUB_SET(OTHER))
#define VITP_SCRUB_LABEL (VITP_SCRUB_ALNUM | VITP_SCRUB_SET(HIGH) | VITP_SCRUB_SET(DASH))
#define VITP_SCRUB_SCHEME \
    (VITP_SCRUB_ALNUM | VITP_SCRUB_SET(PLUS) | VITP_SCRUB_SET(DOT) | VITP_SCRUB_SET(DASH))
#define VITP_SCRUB_URL (~(VITP_SCRUB_BLANK | VITP_SCRUB_QUOTES | VITP_SCRUB_SET(ANGLE)))
/* Punctuation that ends a sentence rather than a URL or value. */
#define VITP_SCRUB_TAIL                                                                         \
    (VITP_SCRUB_SET(DOT) | VITP_SCRUB_SET(LIST) | VITP_SCRUB_SET(COLON) | VITP_SCRUB_BRACKETS | \
     VITP_SCRUB_SET(BACKSLASH))
/* A segment of a path, of a Unix one and of a Windows one. */
#define VITP_SCRUB_SEGMENT                                                                  \
    (~(VITP_SCRUB_BLANK | VITP_SCRUB_QUOTES | VITP_SCRUB_BRACKETS | VITP_SCRUB_SET(SLASH) | \
       VITP_SCRUB_SET(BACKSLASH) | VITP_SCRUB_SET(COLON) | VITP_SCRUB_SET(WILD) |           \
       VITP_SCRUB_SET(ANGLE) | VITP_SCRUB_SET(LIST)))
#define VITP_SCRUB_FOLDER  (VITP_SCRUB_SEGMENT | VITP_SCRUB_SET(PAREN))
#define VITP_SCRUB_SLASHES (VITP_SCRUB_SET(SLASH) | VITP_SCRUB_SET(BACKSLASH))
/* A value without quotes. */
#define VITP_SCRUB_BARE                                                                          \
    (~(VITP_SCRUB_BLANK | VITP_SCRUB_QUOTES | VITP_SCRUB_SET(LIST) | VITP_SCRUB_SET(AMPERSAND) | \
       VITP_SCRUB_SET(ANGLE) | VITP_SCRUB_SET(PAREN) | VITP_SCRUB_SET(OPEN)))
/* Alphabets of tokens. */
#define VITP_SCRUB_CAPITALS (VITP_SCRUB_UPPER | VITP_SCRUB_SET(DIGIT))
#define VITP_SCRUB_SLUG     (VITP_SCRUB_WORD | VITP_SCRUB_SET(DASH))
#define VITP_SCRUB_UUID     (VITP_SCRUB_HEX | VITP_SCRUB_SET(DASH))
#define VITP_SCRUB_DOTTED   (VITP_SCRUB_SLUG | VITP_SCRUB_SET(DOT) | VITP_SCRUB_SET(EQUAL))
#define VITP_SCRUB_BASE64 \
    (VITP_SCRUB_ALNUM | VITP_SCRUB_SET(PLUS) | VITP_SCRUB_SET(SLASH) | VITP_SCRUB_SET(EQUAL))
/* Base64 of both alphabets (RFC 4648), without what fills it up. */
#define VITP_SCRUB_SOLID      (VITP_SCRUB_SLUG | VITP_SCRUB_SET(PLUS) | VITP_SCRUB_SET(SLASH))
#define VITP_SCRUB_TOKEN      (VITP_SCRUB_DOTTED | VITP_SCRUB_BASE64 | VITP_SCRUB_SET(TILDE))
#define VITP_SCRUB_CREDENTIAL (VITP_SCRUB_TOKEN | VITP_SCRUB_SET(PERCENT) | VITP_SCRUB_SET(COLON))
/* Bytes of these classes ask their matchers, letters and digits where a run of them starts. */
#define VITP_SCRUB_TRIGGER                                                                 \
    (VITP_SCRUB_QUOTES | VITP_SCRUB_SLASHES | VITP_SCRUB_SET(DASH) | VITP_SCRUB_SET(DOT) | \
     VITP_SCRUB_SET(EQUAL) | VITP_SCRUB_SET(COLON) | VITP_SCRUB_SET(AT) |                  \
     VITP_SCRUB_SET(PERCENT) | VITP_SCRUB_SET(PLUS) | VITP_SCRUB_SET(ANGLE) |              \
     VITP_SCRUB_SET(AMPERSAND) | VITP_SCRUB_SET(PAREN))

/* What a rejected matcher may have read of a value. */
#define VITP_SCRUB_PROBE 32u
/* Shortest known value, and shortest token with its prefix. */
#define VITP_SCRUB_VALUE_MIN 4u
#define VITP_SCRUB_TOKEN_MIN 13u

/* All markers of this and of later versions, so that a text scrubbed by either stays as it is. */
static const char *const vitp_scrub_markers[] = {
    "[email]", "[ip]",   "[mac]",  "[path]", "[url]", "[secret]", "[token]", "[jwt]", "[key]",
    "[user]",  "[host]", "[card]", "[iban]", "[ssn]", "[phone]",  "[hex]",   "[b64]", "[id]",
};

/* Tables of words are sorted and have an index. By first letter, `seconds` says which second ones
   there are, a bit for each (bit 0: none, or a digit). `rows` says where in itself the pairs of
   each first letter begin, then the first row of each pair, then how many rows there are. A test
   compares both with the table. */

/* Words in names of values, sorted by their first two letters. Sign: + secret, ? secret if the
   value could be no word, # secret if digits, @ host, : host if a port follows it, & user (after an
   option: a secret if it has a colon), ~ hardware address, ! header, - harmless (goes before a
   shorter word that it contains).
   _ is an optional separator, a dot is a word boundary (a change of case counts), a $ the end of
   the name (digits and _ may follow). */
#define VITP_SCRUB_WORD_ROW 22u
static const char vitp_scrub_words[][VITP_SCRUB_WORD_ROW] = {
    "?access_key_id",
    "?access_key",
    "?account_key",
    "&.account$",
    "&.account_name$",
    "&.actor$",
    ":.address$",
    ":.addr$",
    "?api_key",
    "?app_key",
    "?application_key",
    "&.assigned_to$",
    "&.assignee$",
    "!authorization.",
    "?auth_key",
    "?backup_code",
    "+bearer$",
    "+bind_pw",
    ":.broker$",
    "~bssid",
    "-bucket_key",
    "-bypass",
    "-cache_key",
    "+community_string",
    "-compass",
    "@computer_name$",
    "@.computer$",
    "!cookie.",
    "+contrase",
    "+contribsys",
    "#confirmation_code",
    "-config_key",
    "-composite_key",
    "+credential",
    "&.created_by$",
    "@.data_source$",
    "@dbhost$",
    "&dbuser$",
    "@.device_name$",
    "?.dsn$",
    "-duplicate_key",
    "-encompass",
    ":.endpoint$",
    "@failover_partner$",
    "-foreign_key",
    "@.fqdn$",
    "-group_key",
    "-hash_key",
    "+heslo",
    "@.host$",
    "@.host_name$",
    "~hwaddr",
    "+identified_by",
    "-idempotency_key",
    "-index_key",
    ":.instance$",
    "?jsessionid",
    "?.jwt$",
    "+kennwort",
    "?.key$",
    ":.leader$",
    "?license_key",
    "&login_name$",
    "&logname$",
    "&.login_user$",
    "#login_code",
    "&.login$",
    "-lookup_key",
    "+master_auth",
    "@.machine_name$",
    "~.mac$",
    "~mac_addr",
    "-message_key",
    "@network_address$",
    "@.node$",
    "@.node_name$",
    "-object_key",
    "#one_time_code",
    "#.otp",
    "-overpass",
    "&.owner$",
    "-password_encryption",
    "+passw",
    "+passphrase",
    "+passcode",
    "-pass_rate",
    "-pass_count",
    "-pass_through",
    "-pass_fail",
    "+pass.",
    "+pasw",
    "+paswd",
    "-partition_key",
    "+paasw",
    "+.passe$",
    "+passowrd",
    ":.peer$",
    "&pguser$",
    "@pghost$",
    "#.pin.",
    "#.pin_code",
    "-primary_key",
    "?private_key",
    "+psk$",
    "+pswd",
    "-public_key_token",
    "-public_key",
    "+pwd",
    "+.pw$",
    "+require_pass",
    "+recovery_phrase",
    "-registry_key",
    "-render_pass",
    "?recovery_code",
    "@.rhost$",
    "-row_key",
    "+root_pw",
    "-routing_key",
    "&ruser$",
    "-running_pass",
    "?.sas$",
    "&sam_account_name$",
    "+salasana",
    "-schema_key",
    "-secretar",
    "+secret",
    "-sequence_key",
    "@.server$",
    "@.server_name$",
    "?sessid",
    "+senha",
    "+secure_string",
    "#security_code",
    "+seed_phrase",
    "-service_account",
    "-shard_key",
    "?.sig$",
    "?signature",
    "-sort_key",
    "?sumo_logic_access_id",
    "-surpass",
    ":.target$",
    "-tokeniz",
    "-tokens",
    "?token",
    "-trespass",
    "-translation_key",
    "&.u$",
    "&.uid$",
    "-unique_key",
    "&.uname$",
    "&.updated_by$",
    ":.upstream$",
    "&.usr_name$",
    "&.user$",
    "&.user_name$",
    "&.user_id$",
    "&.usr$",
    "#verification_code",
    "+wachtwoord",
    "@.workstation$",
    "@.workstation_name$",
};
static const uint32_t vitp_scrub_word_seconds[26] = {
    0x00290018, 0x022c0222, 0x00048002, 0x00280026, 0x00004000, 0x00028002, 0x00040000,
    0x00808022, 0x00004010, 0x00880000, 0x00000020, 0x00008220, 0x00000022, 0x00008020,
    0x00d04004, 0x00ac02a2, 0x00000000, 0x00208120, 0x0020832a, 0x00048002, 0x00094201,
    0x00000020, 0x00008002, 0x00000000, 0x00000000, 0x00000000
};
static const uint16_t vitp_scrub_word_rows[] = {
    26,  31,  38,  41,  46,  47,  50,  51,  55,  57,  59,  60,  63,  65,  67,  72,  80,  80,
    84,  91,  94,  99,  100, 102, 102, 102, 0,   6,   8,   11,  13,  15,  16,  17,  18,  19,
    20,  21,  22,  23,  33,  35,  36,  38,  39,  40,  41,  43,  44,  45,  46,  47,  48,  49,
    51,  52,  54,  56,  57,  58,  60,  61,  62,  68,  72,  73,  74,  76,  77,  78,  79,  80,
    81,  96,  97,  99,  101, 103, 105, 107, 109, 114, 115, 118, 120, 123, 124, 135, 136, 138,
    139, 141, 142, 145, 147, 148, 149, 151, 153, 158, 159, 160, 162
};

/* Whole words. Sign: % as the last part of a name says something about a secret (token_count), 0 is
   no value, > stands between a name and its quoted value, # stands before four numbers that are a
   version (or an OID), $ does if the first number has one digit, @ begins a header's value, . ends
   a file name and looks like a top-level domain (icon@2x.png), : is a scheme whose URL has no //,
   = stands where a user would and names nobody, ; the same for hosts, & says of hexadecimal digits
   that they are a checksum or an identifier (| of no base64), * stands before a phone number, +
   before a social security number, ! before an IMEI. Sorted as those above. */
#define VITP_SCRUB_ROW 17u
static const char vitp_scrub_lexicon[][VITP_SCRUB_ROW] = {
    "=a",
    "=account",
    "=accounts",
    "=action",
    "=actions",
    "=active",
    "&actor",
    "=address",
    "=addresses",
    "=admin",
    "=administrator",
    "=administrators",
    "=agent",
    "=agents",
    "%alg",
    "%algo",
    "%algorithm",
    "=all",
    ";amd64",
    "=an",
    "=and",
    "=anonymous",
    "=another",
    "=any",
    "0apache",
    "@apikey",
    "$app",
    "=approval",
    "=are",
    ";argon2i",
    ";argon2id",
    ";arm64",
    "&artifact",
    "=as",
    ">as",
    "#assemblyversion",
    "=at",
    "=authentication",
    "0await",
    ";bank",
    ";base64",
    "@basic",
    ";batch",
    "=bearer",
    "@bearer",
    "|blob",
    ";block",
    "0bool",
    "=bool",
    "#build",
    "&build",
    "=button",
    "=by",
    ">by",
    "*call",
    "*callback",
    "=can",
    "0cannot",
    "=cannot",
    ";case",
    "*cell",
    "0changed",
    "&checksum",
    "$chroma",
    "$chromadb",
    "$chrome",
    "&chunk",
    ";chunk",
    "$clang",
    "=closed",
    "0cloudflare",
    "%code",
    ";code",
    "=code",
    ";col",
    "=commands",
    "&commit",
    "=consent",
    "*contact",
    "&container",
    ";conv",
    "&correlation",
    "%cost",
    "=could",
    "%count",
    ";cpu",
    "&crc",
    "=creation",
    ".css",
    "$cuda",
    "#cudnn",
    "=current",
    "=daemon",
    "=darwin",
    "=data",
    "=database",
    "0default",
    "=default",
    "=defined",
    "=deletion",
    "0denied",
    "=denied",
    "!device",
    "=did",
    "&digest",
    "@digest",
    "#directml",
    "%disabled",
    "=disabled",
    ".dll",
    "=do",
    "=does",
    "%down",
    "#downgrade",
    "#downgraded",
    "#downgrading",
    "#driver",
    ".dylib",
    "=each",
    "$edge",
    "$elasticsearch",
    "$electron",
    "0empty",
    "=empty",
    "%enabled",
    "=enabled",
    "%encryption",
    "0envoy",
    ";epoch",
    ";err",
    "%error",
    "0error",
    ";error",
    "=error",
    "=errors",
    ";es6",
    "&etag",
    "%event",
    "=every",
    ".exe",
    "=existing",
    "0expected",
    "=experience",
    "%expired",
    "0expired",
    "=expired",
    "%expires",
    "%expiry",
    "%failed",
    "0failed",
    "=failed",
    "=failure",
    "$faiss",
    "0false",
    "=false",
    "*fax",
    "=feedback",
    "%field",
    "%file",
    ":file",
    "#fileversion",
    "&fingerprint",
    "$firefox",
    "#firmware",
    ";float32",
    ";float64",
    ";fold",
    "=form",
    "%format",
    "=found",
    "%frame",
    "$framework",
    "=from",
    "0function",
    "$gcc",
    ".gif",
    "$glibc",
    ";gpu",
    "=group",
    "=groups",
    "=guest",
    "0gunicorn",
    ".gz",
    "=has",
    "%hash",
    "&hash",
    ";head",
    "=header",
    "0hidden",
    "%hint",
    ";http1",
    ";http2",
    ";http3",
    ";i386",
    ";i686",
    ".ico",
    "%id",
    ";id",
    "=id",
    "%ids",
    "=ids",
    "=if",
    "&image",
    "!imei",
    "=in",
    "=inactive",
    "0include",
    "0incorrect",
    "%index",
    "=input",
    "=inputs",
    "0int",
    "=int",
    ";int32",
    ";int64",
    "&integrity",
    "=interface",
    "0invalid",
    "=invalid",
    ";ipv4",
    ";ipv6",
    "0is",
    "=is",
    ">is",
    ";iso",
    "=it",
    ";item",
    "=its",
    ".jar",
    ":jdbc",
    "&job",
    ".jpeg",
    ".jpg",
    ".js",
    ".json",
    "$kernel",
    "0kestrel",
    "%label",
    "$lancedb",
    "&layer",
    ";layer",
    "%len",
    "%length",
    ";level",
    "=level",
    "0lighttpd",
    "%limit",
    ";line",
    "$linux",
    "=linux",
    "=local",
    "=localhost",
    "=locked",
    ";log4j",
    "=login",
    "$macos",
    "=management",
    "%manager",
    "%max",
    "=may",
    "&md5",
    ";md5",
    "&md5sum",
    "%method",
    "#microsoft",
    "$milvus",
    "%min",
    "0missing",
    "=missing",
    "*mobile",
    "=mode",
    "$mongodb",
    ".mount",
    "0must",
    "=must",
    "=my",
    "$mysql",
    "%name",
    "=name",
    "%names",
    "@negotiate",
    "=network",
    "0new",
    "=new",
    "0nginx",
    "0nil",
    "=nil",
    "0no",
    "=no",
    "=nobody",
    "$node",
    "0none",
    "=none",
    "0not",
    "=not",
    "@ntlm",
    "#nuget",
    "0null",
    "=null",
    "*number",
    "$numpy",
    "0object",
    "=object",
    "|object",
    "=of",
    ">of",
    "0off",
    "#oid",
    "0ok",
    "0omit",
    "0on",
    "=on",
    "0openresty",
    "$opensearch",
    "$openssl",
    "=operation",
    "=operations",
    "=option",
    "0optional",
    "=optional",
    "=or",
    "=other",
    "=our",
    ";page",
    "=page",
    "|parent",
    ";part",
    "=password",
    "%path",
    "%pattern",
    ";pbkdf2",
    "=permission",
    "=permissions",
    "$pgvector",
    ";phase",
    "*phone",
    ";pid",
    "$pinecone",
    "%placeholder",
    ".png",
    "%policy",
    ";port",
    "%pos",
    "$postgres",
    "=postgres",
    "$postgresql",
    "=preference",
    "=preferences",
    "%prefix",
    "=privacy",
    "=process",
    "$product",
    "#productversion",
    "=profile",
    "=profiles",
    "%prompt",
    "=prompt",
    "%provider",
    ";ps5",
    "=public",
    "$python",
    ";python3",
    "$qdrant",
    "$qt",
    ";rank",
    "=realm",
    "0redacted",
    "$redis",
    "%ref",
    "%refs",
    "%regex",
    "=registration",
    "#release",
    "&request",
    "=request",
    "=requests",
    "%required",
    "0required",
    "=required",
    "0reset",
    "#rev",
    "&rev",
    "#revision",
    "&revision",
    "=role",
    "=roles",
    "=root",
    "%rounds",
    ";row",
    "&run",
    "$runtime",
    "$safari",
    "=same",
    "0same-origin",
    "%scheme",
    "=scheme",
    ".scope",
    "=screen",
    "$sdk",
    "#section",
    "+security",
    ".service",
    "=service",
    "=session",
    "=sessions",
    "=settings",
    "&sha",
    ";sha",
    "&sha1",
    ";sha1",
    "&sha1sum",
    "&sha224",
    "&sha256",
    ";sha256",
    "&sha256sum",
    "&sha384",
    "&sha512",
    "&sha512sum",
    ";shard",
    "=should",
    "%size",
    ".slice",
    ";slot",
    "*sms",
    "&snapshot",
    ".socket",
    "%space",
    "=space",
    "&span",
    "=specified",
    "$sqlite",
    "+ssn",
    "@ssws",
    ";stage",
    "%status",
    ";step",
    "%store",
    "0str",
    "=str",
    "%strength",
    "0string",
    "=string",
    "=succeeded",
    "=successful",
    "&sum",
    "=suspended",
    ".svg",
    "=system",
    "=table",
    ".target",
    "&task",
    ";task",
    ";tcp4",
    ";tcp6",
    "*tel",
    "*telefon",
    "=telemetry",
    "*telephone",
    "*telepono",
    "#tensorrt",
    ";test",
    "0text",
    "=text",
    ".tgz",
    "=that",
    "=the",
    "=their",
    "=this",
    ";thread",
    ".timer",
    "=to",
    ">to",
    "=token",
    "@token",
    "0too",
    ";top",
    "&trace",
    "&traceparent",
    "|tree",
    "0true",
    "=true",
    "%ttl",
    "%type",
    "=uid",
    "0undefined",
    "=undefined",
    "0unknown",
    "=unknown",
    "0unset",
    "%up",
    "#upgrade",
    "#upgraded",
    "#upgrading",
    "%uri",
    "%url",
    "%usage",
    "=user",
    "=userid",
    "=username",
    "=users",
    ";utf",
    ";utf16",
    ";utf8",
    "0uvicorn",
    "#v",
    "0value",
    "=value",
    "%vault",
    "#ver",
    "#version",
    "%version",
    ";version",
    "#versions",
    "&volume",
    "0was",
    "=was",
    ">was",
    "$weaviate",
    ";web2",
    ".webp",
    "=were",
    "0werkzeug",
    "*whatsapp",
    "=when",
    "=where",
    "=which",
    "=while",
    ".whl",
    "=who",
    "=whom",
    "=will",
    ";win32",
    ";win64",
    "$windows",
    "=with",
    "&worker",
    ";worker",
    "0wrong",
    "=www-data",
    ";x64",
    ";x86",
    ".yaml",
    "0yes",
    ".yml",
    "=your",
};
static const uint32_t vitp_scrub_lexicon_seconds[26] = {
    0x00bd7099, 0x02209022, 0x002d9122, 0x02049222, 0x015d7012, 0x00249222, 0x04251208,
    0x00100222, 0x00196059, 0x00098012, 0x00000020, 0x00008222, 0x02208232, 0x003082a2,
    0x00356a44, 0x022cd3a6, 0x00100010, 0x00208022, 0x027bf33a, 0x021483aa, 0x005d4200,
    0x00008023, 0x00848322, 0x00000001, 0x0000a022, 0x00000000
};
static const uint16_t vitp_scrub_lexicon_rows[] = {
    26,  39,  45,  54,  61,  72,  79,  86,  90,  99,  104, 105, 109, 116, 123, 133, 146, 148, 152,
    169, 179, 186, 190, 197, 198, 202, 0,   1,   7,   12,  14,  18,  19,  24,  28,  33,  36,  37,
    38,  39,  43,  45,  47,  49,  52,  54,  60,  61,  68,  71,  85,  86,  88,  89,  92,  96,  103,
    109, 110, 116, 117, 118, 119, 120, 122, 124, 128, 129, 135, 136, 137, 139, 148, 156, 157, 164,
    166, 170, 173, 174, 175, 176, 177, 178, 180, 182, 183, 186, 188, 190, 193, 195, 196, 201, 202,
    204, 219, 221, 225, 228, 229, 230, 231, 233, 235, 237, 241, 245, 250, 255, 260, 263, 264, 269,
    273, 275, 277, 280, 284, 285, 287, 295, 296, 301, 304, 307, 308, 309, 310, 312, 320, 321, 322,
    323, 330, 331, 333, 334, 336, 338, 339, 340, 346, 358, 359, 360, 362, 363, 364, 365, 384, 389,
    391, 394, 398, 399, 406, 420, 421, 423, 424, 425, 426, 430, 431, 433, 442, 446, 447, 448, 452,
    454, 463, 464, 469, 470, 476, 481, 482, 483, 484, 489, 493, 495, 500, 503, 504, 505, 508, 513,
    514, 517, 522, 530, 535, 537, 538, 539, 541, 542, 543, 544, 545
};

/* Labels of names with dots, under their first letter. Sign: ~ is a top-level domain (or one that
   is used inside companies), - one that needs three labels, ^ one that is more often something
   else and needs a port or a digit too, / begins names of packages, . is an object of programs. */
static const char vitp_scrub_labels[][VITP_SCRUB_ROW] = {
    ".ado",      "~ae",          "~agency",      "-ai",       "/android",     "/androidx",
    "-app",      ".app",         ".application", "~ar",       ".args",        "~arpa",
    ".asp",      "^at",          "~au",          "^be",       "~bg",          "~biz",
    "-box",      "~br",          "-ca",          ".cfg",      "~ch",          "~cl",
    "~cloud",    ".cls",         "^club",        "-cluster",  "~cn",          "-co",
    "/com",      "~com",         "~company",     ".config",   ".console",     "~consul",
    ".context",  "~corp",        ".ctx",         "~cz",       ".data",        "~de",
    ".default",  "~dev",         "~digital",     "~dk",       ".docker",      ".document",
    "~edu",      "~ee",          ".env",         ".environ",  ".environment", "^es",
    "~eu",       "-example",     "~fi",          "^fm",       "~fr",          "^gg",
    ".global",   "~gov",         "~gr",          "^group",    "~hk",          "-home",
    "-host",     "~hu",          "^id",          "~il",       "^in",          "^info",
    "^int",      "~internal",    "~intra",       "~intranet", "-invalid",     "-io",
    "/io",       "~ir",          "^is",          "^it",       "/jakarta",     "/java",
    "/javax",    "/jdk",         "^jobs",        "~jp",       "/kotlin",      "~kr",
    "-la",       "-lab",         "~lan",         "~li",       "^link",        "^live",
    "~local",    "~localdomain", "~localnet",    ".log",      ".logger",      "~lt",
    "~lu",       "~lv",          "-me",          "^media",    "/microsoft",   "~mil",
    ".ml",       "^mobi",        ".model",       ".module",   "^ms",          "~mx",
    "~my",       "^name",        "/net",         "~net",      "-network",     "~nl",
    "^no",       ".node",        ".np",          "~nz",       "^one",         "~onion",
    "~online",   ".options",     ".opts",        "/org",      "~org",         ".os",
    ".package",  "^page",        ".params",      ".parent",   ".pd",          "~pe",
    "~ph",       "~pk",          "-pl",          "~private",  "^pro",         ".process",
    ".props",    "~pt",          ".request",     ".response", "~ro",          ".root",
    "~ru",       "/scala",       "-se",          ".self",     "-server",      "-services",
    ".session",  ".settings",    "~sg",          "^shop",     "^site",        "~sk",
    "~software", "~solutions",   "^space",       "-st",       ".state",       ".std",
    ".storage",  "^store",       "^studio",      "/sun",      "-svc",         ".sys",
    ".system",   "~systems",     "^team",        "~tech",     "^test",        ".tf",
    "~th",       ".this",        ".thread",      "^to",       "^tools",       "^top",
    "~tr",       "-tv",          "~tw",          "~ua",       "~uk",          "-us",
    ".user",     ".vb",          "-ve",          "~vn",       "~website",     ".window",
    "^world",    "^ws",          "~xyz",         "~za",       "^zone",
};
static const uint32_t vitp_scrub_label_seconds[26] = {
    0x003d42b0, 0x000482a0, 0x0410d142, 0x00008a22, 0x01284030, 0x00042200, 0x00049080,
    0x00208800, 0x001cd010, 0x00018012, 0x00048000, 0x00708202, 0x03089220, 0x04019022,
    0x000d4000, 0x00141932, 0x00000000, 0x00208020, 0x02718ba8, 0x00c48160, 0x00080802,
    0x00004024, 0x00088220, 0x02000000, 0x00000000, 0x00008002
};
static const uint16_t vitp_scrub_label_rows[] = {
    26,  36,  41,  49,  54,  60,  63,  67,  70,  77,  81,  83,  89,  96,  102, 106, 114, 114, 117,
    129, 136, 139, 142, 146, 147, 147, 0,   1,   2,   3,   4,   6,   9,   12,  13,  14,  15,  16,
    17,  18,  19,  20,  21,  22,  23,  28,  29,  38,  39,  40,  41,  44,  45,  46,  48,  49,  50,
    53,  54,  55,  56,  57,  58,  59,  60,  61,  62,  64,  65,  67,  68,  69,  70,  77,  79,  80,
    81,  82,  85,  86,  87,  88,  89,  90,  93,  96,  101, 102, 103, 104, 106, 108, 109, 112, 113,
    114, 115, 116, 119, 120, 122, 123, 124, 127, 129, 131, 132, 136, 137, 138, 139, 140, 141, 145,
    146, 148, 150, 151, 152, 158, 159, 160, 161, 162, 164, 165, 171, 172, 173, 176, 179, 180, 183,
    186, 187, 188, 189, 190, 191, 193, 194, 195, 196, 197, 198, 199, 200, 201, 202, 203
};

/* What says of the word behind it that it names somebody, in whatever case. Sign: @ a host, * a
   host if it has a digit or quotes, ? a host as Go names one, & a user, + one with a digit or
   quotes, ' one in quotes, ! a credential (schemes of RFC 7235 and their kin; PASSWORD and
   IDENTIFIED BY are SQL), $ a program whose -p is a password (< -a, > -w), % the same if it stands
   directly behind the letter, ^ a secret if it has letters and digits, = the same behind whose it
   is (password for x is y), : a user before " : ", ~ a host or a user if the words before
   it say so, | the value of the name before it, - that the word before it is a user. Sorted. */
#define VITP_SCRUB_OPENER_ROW 36u
static const char vitp_scrub_openers[][VITP_SCRUB_OPENER_ROW] = {
    "!access key ",
    "+account ",
    "@address associated with hostname: ",
    "@address information: ",
    "!apikey ",
    "&as user ",
    "!auth login ",
    "!auth plain ",
    "&authenticated as ",
    "&authenticating user ",
    "&authentication failure for ",
    "$az login ",
    "!basic ",
    "$bcp ",
    "!bearer ",
    "^bindpw ",
    "*broker ",
    "&by user ",
    "@cannot resolve ",
    "-cmd (",
    "*computer ",
    "*connect to ",
    "@connect to host ",
    "*connect to server on ",
    "*connected to ",
    "*connecting to ",
    "*connection to ",
    "*connection to server at ",
    "$cqlsh ",
    "+denied for ",
    "~denied to ",
    "$docker login",
    "@eai_again ",
    "@enotfound ",
    "+exceeded for ",
    "-fail login",
    "+failed for ",
    "@failed to resolve ",
    "&for user ",
    "&from user ",
    "@gaierror: ",
    "@getaddrinfo failed: ",
    "$helm registry",
    "*host ",
    "@host address ",
    "*host key for ",
    "*hostname ",
    "!identified by ",
    "&imap(",
    "&impersonating ",
    "&impersonating user ",
    "&invalid user ",
    "^key 0 ",
    "^key 6 ",
    "^key 7 ",
    ">ldap",
    "&lmtp(",
    "&logged in as ",
    "&logged in as user ",
    "&logged in as: ",
    "'login ",
    "&login as: ",
    "&login failed for ",
    "?lookup ",
    "*machine ",
    "%mariadb",
    "^masterauth ",
    "$mongo ",
    "$mongosh ",
    "%mysql",
    "!negotiate ",
    "&new user: name=",
    "@no such host: ",
    "-no such user",
    "*node ",
    "@not known: ",
    "@nslookup: can't resolve ",
    "!ntlm ",
    "&of user ",
    "-ok login",
    "^passcode is ",
    "^passphrase ",
    "=passphrase for ",
    "^passphrase is ",
    "^passwd ",
    "=passwd for ",
    "^passwd is ",
    "!password ",
    "^password ",
    "&password changed for ",
    "=password for ",
    "&password for ",
    "=password in ",
    "^password is ",
    "=password is generated for ",
    "^password is: ",
    "=password of ",
    "*peer ",
    "*permanently added ",
    "$plink",
    "$podman login",
    "&pop3(",
    "*primary ",
    "$pscp",
    "$psexec",
    "-pts/",
    "&publickey for ",
    "^pw ",
    "=pw for ",
    "^pw is ",
    "=pw of ",
    "^pwd ",
    "=pwd for ",
    "^pwd is ",
    "=pwd of ",
    "$rabbitmqadmin",
    "<redis-cli ",
    "|reg_sz ",
    "*replica ",
    "^requirepass ",
    "@resolution failed for ",
    "@resolve host ",
    "@resolve host: ",
    "@resolve hostname ",
    "'role ",
    "^rootpw ",
    "&running as ",
    "^secret ",
    "^secret is ",
    "^secret key ",
    "*server ",
    "*server at ",
    "*server on ",
    "&session for user ",
    "&signed in as ",
    "~smp ",
    "^snmp-server community ",
    "$sqlcmd ",
    "$sshpass",
    ":sudo: ",
    "-sudoers file",
    "!token ",
    "!token is ",
    "@translate host name ",
    "@unknown host ",
    "@unknown host: ",
    "&unknown user ",
    "@unknownhostexception: ",
    "*upstream ",
    "+user ",
    "+username ",
    "$zip ",
};
static const uint32_t vitp_scrub_opener_seconds[26] = {
    0x04290018, 0x0204022a, 0x0002a002, 0x00008020, 0x01004002, 0x00048002, 0x00000022,
    0x00008020, 0x00006010, 0x00000000, 0x00000020, 0x0000a010, 0x02008002, 0x00188020,
    0x00000840, 0x00bc9022, 0x00000000, 0x00208022, 0x002a6220, 0x00048000, 0x00094000,
    0x00000000, 0x00000000, 0x00000000, 0x00000000, 0x00000200
};
static const uint16_t vitp_scrub_opener_rows[] = {
    26,  32,  38,  42,  44,  47,  50,  52,  54,  57,  57,  58,  61,  64,  68,  70,  79,
    79,  83,  90,  92,  95,  95,  95,  95,  95,  0,   2,   4,   5,   6,   11,  12,  13,
    14,  15,  16,  17,  18,  19,  20,  28,  29,  31,  32,  33,  34,  35,  38,  39,  40,
    41,  42,  43,  47,  48,  51,  52,  55,  56,  57,  64,  67,  69,  70,  72,  76,  77,
    78,  79,  80,  97,  99,  100, 102, 103, 105, 106, 107, 115, 116, 124, 126, 127, 134,
    135, 136, 137, 138, 139, 141, 143, 144, 148, 149, 151, 152
};
/* As `seconds`, of those behind whose first letters no blank stands. */
static const uint32_t vitp_scrub_opener_others[26] = {
    0x00000000, 0x00000000, 0x00000000, 0x00000000, 0x00000002, 0x00000000, 0x00000002,
    0x00000000, 0x00002000, 0x00000000, 0x00000000, 0x00002010, 0x02000002, 0x00080000,
    0x00000000, 0x00189000, 0x00000000, 0x00000022, 0x00284000, 0x00000000, 0x00004000,
    0x00000000, 0x00000000, 0x00000000, 0x00000000, 0x00000000
};
/* How many letters stand before the first blank of those with a first letter, a bit for each. */
static const uint16_t vitp_scrub_opener_lengths[26] = {
    0x60d4, 0x006c, 0x07e8, 0x0040, 0x0300, 0x0058, 0x0800, 0x0110, 0x2480,
    0x0000, 0x0008, 0x0060, 0x04a0, 0x021c, 0x0004, 0x0fdc, 0x0000, 0x0cd0,
    0x00c8, 0x0220, 0x0190, 0x0000, 0x0000, 0x0000, 0x0000, 0x0008
};

/* Prefix of a token, the alphabet after it, the least number of its letters, the marker. Sorted by
   the first letter in whatever case and the second byte; a row stands before a shorter prefix of
   the same text. */
typedef struct vitp_scrub_token {
    char        prefix[18];
    uint8_t     least;
    uint32_t    alphabet;
    const char *marker; /* NULL: [token] */
} vitp_scrub_token;

static const vitp_scrub_token vitp_scrub_tokens[] = {
    { "A3-", 25, VITP_SCRUB_SLUG, NULL },     /* 1Password */
    { "A3T", 17, VITP_SCRUB_CAPITALS, NULL }, /* AWS */
    { "ABIA", 16, VITP_SCRUB_CAPITALS, NULL },
    { "ABSK", 28, VITP_SCRUB_BASE64, NULL },
    { "ACCA", 16, VITP_SCRUB_CAPITALS, NULL },
    { "AGE-SECRET-KEY-1", 50, VITP_SCRUB_CAPITALS, NULL },
    { "AIDA", 16, VITP_SCRUB_CAPITALS, NULL },
    { "AIza", 30, VITP_SCRUB_SLUG, NULL },     /* Google */
    { "AKCp", 50, VITP_SCRUB_ALNUM, NULL },    /* Artifactory */
    { "AKIA", 16, VITP_SCRUB_CAPITALS, NULL }, /* AWS */
    { "AROA", 16, VITP_SCRUB_CAPITALS, NULL },
    { "ASIA", 16, VITP_SCRUB_CAPITALS, NULL },
    { "ATATT3", 60, VITP_SCRUB_DOTTED, NULL }, /* Atlassian */
    { "ATBB", 28, VITP_SCRUB_ALNUM, NULL },
    { "ATCTT3", 60, VITP_SCRUB_DOTTED, NULL },        /* Bitbucket */
    { "access-sandbox-", 36, VITP_SCRUB_UUID, NULL }, /* Plaid */
    { "access-production", 37, VITP_SCRUB_UUID, NULL },
    { "amzn.mws.", 36, VITP_SCRUB_SLUG, NULL }, /* AWS */
    { "api_org_", 30, VITP_SCRUB_ALNUM, NULL }, /* Hugging Face */
    { "BBDC-", 30, VITP_SCRUB_SLUG, NULL },
    { "bedrock-api-key-", 20, VITP_SCRUB_BASE64, NULL },
    { "cfat_", 40, VITP_SCRUB_ALNUM, NULL }, /* Cloudflare */
    { "cfk_", 40, VITP_SCRUB_ALNUM, NULL },
    { "cfut_", 40, VITP_SCRUB_ALNUM, NULL },
    { "ck-", 32, VITP_SCRUB_ALNUM, NULL },   /* Chroma */
    { "cmVmd", 40, VITP_SCRUB_ALNUM, NULL }, /* Artifactory */
    { "cosmo_", 32, VITP_SCRUB_HEX, NULL },  /* WunderGraph */
    { "dapi", 32, VITP_SCRUB_HEX, NULL },    /* Databricks */
    { "dckr_", 20, VITP_SCRUB_SLUG, NULL },  /* Docker */
    { "doo_v1_", 40, VITP_SCRUB_HEX, NULL }, /* DigitalOcean */
    { "dop_v1_", 40, VITP_SCRUB_HEX, NULL }, /* DigitalOcean */
    { "dor_v1_", 40, VITP_SCRUB_HEX, NULL },
    { "dp.audit.", 40, VITP_SCRUB_ALNUM, NULL }, /* Doppler */
    { "dp.pt.", 40, VITP_SCRUB_ALNUM, NULL },    /* Doppler */
    { "dp.scim.", 40, VITP_SCRUB_ALNUM, NULL },
    { "dp.st.", 40, VITP_SCRUB_DOTTED, NULL },
    { "dt0c01.", 60, VITP_SCRUB_DOTTED, NULL },    /* Dynatrace */
    { "duffel_live_", 40, VITP_SCRUB_SLUG, NULL }, /* Duffel */
    { "duffel_test_", 40, VITP_SCRUB_SLUG, NULL },
    { "EAAA", 22, VITP_SCRUB_SLUG, NULL },      /* Square, Facebook */
    { "EAA", 80, VITP_SCRUB_ALNUM, NULL },      /* Facebook */
    { "esecret_", 20, VITP_SCRUB_ALNUM, NULL }, /* Anyscale */
    { "eyJ", 20, VITP_SCRUB_DOTTED, "[jwt]" },
    { "figd_", 30, VITP_SCRUB_SLUG, NULL },     /* Figma */
    { "fm2_", 60, VITP_SCRUB_BASE64, NULL },    /* Fly.io */
    { "GOCSPX-", 20, VITP_SCRUB_SLUG, NULL },   /* Google */
    { "GR1348941", 18, VITP_SCRUB_SLUG, NULL }, /* GitLab */
    { "gho_", 20, VITP_SCRUB_DOTTED, NULL },
    { "ghp_", 20, VITP_SCRUB_DOTTED, NULL }, /* GitHub */
    { "ghr_", 20, VITP_SCRUB_DOTTED, NULL },
    { "ghs_", 20, VITP_SCRUB_DOTTED, NULL },
    { "ghu_", 20, VITP_SCRUB_DOTTED, NULL },
    { "github_pat_", 40, VITP_SCRUB_WORD, NULL },
    { "glagent-", 20, VITP_SCRUB_SLUG, NULL }, /* GitLab */
    { "glc_", 32, VITP_SCRUB_BASE64, NULL },   /* Grafana */
    { "glcbt-", 16, VITP_SCRUB_DOTTED, NULL },
    { "gldt-", 16, VITP_SCRUB_SLUG, NULL },
    { "glffct-", 16, VITP_SCRUB_SLUG, NULL },
    { "glft-", 16, VITP_SCRUB_SLUG, NULL },
    { "glimt-", 16, VITP_SCRUB_SLUG, NULL },
    { "gloas-", 40, VITP_SCRUB_SLUG, NULL },
    { "glpat-", 16, VITP_SCRUB_DOTTED, NULL }, /* GitLab */
    { "glptt-", 20, VITP_SCRUB_SLUG, NULL },
    { "glrt-", 16, VITP_SCRUB_DOTTED, NULL },
    { "glrtr-", 16, VITP_SCRUB_DOTTED, NULL },
    { "glsa_", 38, VITP_SCRUB_WORD, NULL },
    { "glsoat-", 16, VITP_SCRUB_SLUG, NULL },
    { "gsk_", 40, VITP_SCRUB_ALNUM, NULL }, /* Groq */
    { "HRKU-", 30, VITP_SCRUB_SLUG, NULL }, /* Heroku */
    { "hf_", 30, VITP_SCRUB_ALNUM, NULL },  /* Hugging Face */
    { "hvb.", 20, VITP_SCRUB_SLUG, NULL },
    { "hvr.", 20, VITP_SCRUB_SLUG, NULL }, /* HashiCorp */
    { "hvs.", 20, VITP_SCRUB_SLUG, NULL }, /* HashiCorp */
    { "IGQV", 40, VITP_SCRUB_SLUG, NULL }, /* Instagram */
    { "jina_", 40, VITP_SCRUB_ALNUM, NULL },
    { "key-", 32, VITP_SCRUB_HEX, NULL },                 /* Mailgun */
    { "LS0tLS1CRUdJTi", 20, VITP_SCRUB_BASE64, "[key]" }, /* base64 of "-----BEGIN " */
    { "LTAI", 12, VITP_SCRUB_ALNUM, NULL },               /* Alibaba */
    { "lin_api_", 30, VITP_SCRUB_ALNUM, NULL },           /* Linear */
    { "llx-", 40, VITP_SCRUB_SLUG, NULL },                /* LlamaCloud */
    { "lsv2_", 40, VITP_SCRUB_WORD, NULL },               /* LangSmith */
    { "NRAK-", 20, VITP_SCRUB_ALNUM, NULL },              /* New Relic */
    { "NRII-", 20, VITP_SCRUB_SLUG, NULL },               /* New Relic */
    { "NRJS-", 16, VITP_SCRUB_SLUG, NULL },
    { "nfp_", 30, VITP_SCRUB_ALNUM, NULL }, /* Netlify */
    { "npm_", 30, VITP_SCRUB_ALNUM, NULL },
    { "ntn_", 36, VITP_SCRUB_ALNUM, NULL },                        /* Notion */
    { "nvapi-", 60, VITP_SCRUB_SLUG, NULL },                       /* NVIDIA */
    { "oy2", 43, VITP_SCRUB_LOWER | VITP_SCRUB_SET(DIGIT), NULL }, /* NuGet */
    { "PMAK-", 40, VITP_SCRUB_SLUG, NULL },                        /* Postman */
    { "PMAT-", 24, VITP_SCRUB_SLUG, NULL },                        /* Postman */
    { "pa-", 40, VITP_SCRUB_SLUG, NULL },                          /* Voyage */
    { "pat-eu1-", 36, VITP_SCRUB_UUID, NULL },
    { "pat-na1-", 36, VITP_SCRUB_UUID, NULL }, /* HubSpot */
    { "pcsk_", 40, VITP_SCRUB_WORD, NULL },    /* Pinecone */
    { "phc_", 40, VITP_SCRUB_ALNUM, NULL },    /* PostHog */
    { "phx_", 40, VITP_SCRUB_ALNUM, NULL },
    { "pk-lf-", 36, VITP_SCRUB_SLUG, NULL },    /* Langfuse */
    { "pk_live_", 16, VITP_SCRUB_ALNUM, NULL }, /* Stripe */
    { "pnu_", 30, VITP_SCRUB_ALNUM, NULL },     /* Prefect */
    { "pplx-", 40, VITP_SCRUB_ALNUM, NULL },    /* Perplexity */
    { "pscale_", 20, VITP_SCRUB_DOTTED, NULL }, /* PlanetScale */
    { "pul-", 40, VITP_SCRUB_HEX, NULL },       /* Pulumi */
    { "pypi-", 50, VITP_SCRUB_SLUG, NULL },
    { "r8_", 37, VITP_SCRUB_SLUG, NULL },       /* Replicate */
    { "rk_live_", 16, VITP_SCRUB_ALNUM, NULL }, /* Stripe */
    { "rk_test_", 16, VITP_SCRUB_ALNUM, NULL },
    { "rubygems_", 40, VITP_SCRUB_HEX, NULL },
    { "SCW", 17, VITP_SCRUB_CAPITALS, NULL },    /* Scaleway */
    { "SG.", 30, VITP_SCRUB_DOTTED, NULL },      /* SendGrid */
    { "SWMKEY-1-", 30, VITP_SCRUB_SLUG, NULL },  /* Docker */
    { "SWMTKN-1-", 40, VITP_SCRUB_SLUG, NULL },  /* Docker */
    { "sbp_", 30, VITP_SCRUB_WORD, NULL },       /* Supabase */
    { "sb_secret_", 20, VITP_SCRUB_SLUG, NULL }, /* Supabase */
    { "sdk-", 36, VITP_SCRUB_UUID, NULL },       /* LaunchDarkly */
    { "sgp_", 30, VITP_SCRUB_WORD, NULL },       /* Sourcegraph */
    { "sha256~", 40, VITP_SCRUB_SLUG, NULL },    /* OpenShift */
    { "shpat_", 30, VITP_SCRUB_ALNUM, NULL },    /* Shopify */
    { "shpca_", 30, VITP_SCRUB_ALNUM, NULL },    /* Shopify */
    { "shppa_", 30, VITP_SCRUB_ALNUM, NULL },
    { "shpss_", 30, VITP_SCRUB_ALNUM, NULL },
    { "sk-", 20, VITP_SCRUB_SLUG, NULL }, /* OpenAI, Anthropic and many others */
    { "sk_live_", 16, VITP_SCRUB_ALNUM, NULL },
    { "sk_test_", 16, VITP_SCRUB_ALNUM, NULL },
    { "sntrys_", 40, VITP_SCRUB_DOTTED, NULL }, /* Sentry */
    { "sntryu_", 60, VITP_SCRUB_HEX, NULL },
    { "sq0atp-", 20, VITP_SCRUB_SLUG, NULL }, /* Square */
    { "sq0csp-", 20, VITP_SCRUB_SLUG, NULL },
    { "sqa_", 40, VITP_SCRUB_ALNUM, NULL }, /* SonarQube */
    { "sqp_", 40, VITP_SCRUB_ALNUM, NULL },
    { "squ_", 40, VITP_SCRUB_ALNUM, NULL },
    { "tgp_v1_", 40, VITP_SCRUB_SLUG, NULL },       /* Together */
    { "TlRMTVNTUAA", 20, VITP_SCRUB_BASE64, NULL }, /* base64 of "NTLMSSP" */
    { "tskey-", 20, VITP_SCRUB_SLUG, NULL },        /* Tailscale */
    { "tvly-", 20, VITP_SCRUB_SLUG, NULL },         /* Tavily */
    { "vca_", 40, VITP_SCRUB_ALNUM, NULL },         /* Vercel */
    { "vci_", 40, VITP_SCRUB_ALNUM, NULL },
    { "vck_", 40, VITP_SCRUB_ALNUM, NULL },
    { "vcp_", 40, VITP_SCRUB_ALNUM, NULL },
    { "vcr_", 40, VITP_SCRUB_ALNUM, NULL },
    { "whsec_", 24, VITP_SCRUB_BASE64, NULL }, /* Stripe */
    { "xai-", 60, VITP_SCRUB_SLUG, NULL },
    { "xapp-", 16, VITP_SCRUB_SLUG, NULL },    /* Slack */
    { "xkeysib-", 60, VITP_SCRUB_SLUG, NULL }, /* Brevo */
    { "xoxa-", 8, VITP_SCRUB_SLUG, NULL },
    { "xoxb-", 16, VITP_SCRUB_SLUG, NULL },
    { "xoxe-", 16, VITP_SCRUB_SLUG, NULL },
    { "xoxe.", 16, VITP_SCRUB_SLUG, NULL },
    { "xoxo-", 8, VITP_SCRUB_SLUG, NULL },
    { "xoxp-", 16, VITP_SCRUB_SLUG, NULL },
    { "xoxr-", 8, VITP_SCRUB_SLUG, NULL },
    { "xoxs-", 8, VITP_SCRUB_SLUG, NULL },
    { "xoxc-", 16, VITP_SCRUB_SLUG, NULL },
    { "xoxd-", 16, VITP_SCRUB_SOLID | VITP_SCRUB_SET(PERCENT), NULL },
    { "ya29.", 20, VITP_SCRUB_SLUG, NULL },     /* Google */
    { "ZXlK", 40, VITP_SCRUB_BASE64, "[jwt]" }, /* base64 of "eyJ" */
};
/* By c >> 1: digits, capitals and small letters are apart. */
static const uint64_t vitp_scrub_token_seconds[26] = {
    0x0142063a02000000, 0x0004000200000000, 0x00e8000000000000, 0x0583000000000000,
    0x1200000100000000, 0x0050000000000000, 0x0250028000000000, 0x0808020000000000,
    0x0000000800000000, 0x0010000000000000, 0x0004000000000000, 0x0250060000000000,
    0x0000000000000000, 0x0d08020000000000, 0x1000000000000000, 0x17b3004000000000,
    0x0000000000000000, 0x0420000010000000, 0x01be080a00000000, 0x0a48000000000000,
    0x0000000000000000, 0x0002000000000000, 0x0010000000000000, 0x00a1000000000000,
    0x0001000000000000, 0x0000100000000000
};
/* The same of their third bytes. */
static const uint64_t vitp_scrub_token_thirds[26] = {
    0x2012069700400000, 0x0004000400000000, 0x0621080000400000, 0x03a8000001800000,
    0x0004002100000000, 0x0008000002000000, 0x07bf000201000000, 0x0202802000000000,
    0x0000010000000000, 0x0080000000000000, 0x1000000000000000, 0x1880000101000000,
    0x0000000000000000, 0x01c1003100000000, 0x0000000002000000, 0x1742800100400000,
    0x0000000000000000, 0x0002800000000000, 0x0521884001c00000, 0x0160020000000000,
    0x0000000000000000, 0x0331000000000000, 0x0200000000000000, 0x1114000000000000,
    0x0000000002000000, 0x0040000000000000
};
static const uint16_t vitp_scrub_token_rows[] = {
    26,  36,  38,  42,  47,  50,  52,  57,  60,  61,  62,  63,  68,  68,  73,  74,  84,  84,  87,
    97,  101, 101, 102, 103, 106, 107, 0,   2,   5,   6,   8,   10,  12,  15,  17,  18,  19,  20,
    21,  24,  25,  26,  27,  28,  29,  32,  36,  39,  41,  42,  43,  44,  45,  46,  47,  53,  67,
    68,  69,  70,  73,  74,  75,  76,  77,  78,  79,  80,  81,  84,  85,  86,  87,  88,  89,  91,
    94,  95,  97,  99,  100, 101, 102, 103, 104, 105, 107, 108, 109, 110, 112, 114, 115, 116, 121,
    124, 126, 131, 132, 133, 134, 135, 140, 141, 143, 144, 154, 155, 156
};
#define VITP_SCRUB_TOKENS (sizeof vitp_scrub_tokens / sizeof *vitp_scrub_tokens)

/* What of a text is the same in base64 (RFC 4648) whatever stands around it, for each of the three
   places in a group of three bytes at which it can begin. */
typedef struct vitp_scrub_core {
    char     text[VITP_SECRET_MAX * 4u / 3u + 4u];
    uint32_t size;
} vitp_scrub_core;

/* A text to be replaced wherever it stands, as it is or with percent (RFC 3986) or JSON escapes
   (RFC 8259) for any of its bytes. Whole words (user, host, home) are found in any case of ASCII
   letters, others (registered secrets) as they are and in base64 too. */
typedef struct vitp_scrub_value {
    const char            *text;
    uint32_t               size;
    const char            *marker;
    bool                   whole_word;
    const vitp_scrub_core *cores; /* three, or NULL */
} vitp_scrub_value;

typedef struct vitp_scrub_values {
    const vitp_scrub_value *values;
    uint32_t                count;
    uint8_t                 first[256]; /* by first byte: VITP_SCRUB_STARTS_* */
    bool                    blanks;     /* a word has one */
} vitp_scrub_values;

/* A matcher that claims nothing decides by so many bytes at most and what follows them up to the
   next blank. (Where a quoted text ends matters only if it is short.) */
#define VITP_SCRUB_NEAR 256u

#define VITP_SCRUB_STARTS_WORD   1u
#define VITP_SCRUB_STARTS_SECRET 2u

static const vitp_scrub_values vitp_scrub_no_values = { NULL, 0, { 0 }, false };

/* What a reader remembers of the line: a command with an option that is a password. */
typedef struct vitp_scrub_line {
    size_t command;  /* where its name ends, or 0 */
    size_t seen;     /* from it to here no line ended */
    char   letter;   /* of its option: p (or P), a, w */
    bool   attached; /* the password stands directly behind the letter */
} vitp_scrub_line;

/* The first and the last trigger behind the floor whose matchers read on behind the next blank:
   place + 1, 0: none. */
typedef struct vitp_scrub_reach {
    size_t first, last;
} vitp_scrub_reach;

/* A part of the text that is known to hold none of some bytes. */
typedef struct vitp_scrub_gap {
    size_t start, end;
} vitp_scrub_gap;

/* The text and how far it is done. */
typedef struct vitp_scrub {
    const char              *text;
    size_t                   floor; /* end of the last span or marker: nothing before is read */
    size_t                   size;  /* end of what may be read: the text's, or the next marker */
    bool                     more;  /* a marker stands there */
    size_t                   whole; /* the text's end: a registered secret is read across markers */
    size_t                   run_end;   /* end of the run of token bytes seen last */
    size_t                   solid_end; /* the same of VITP_SCRUB_SOLID */
    size_t                   dull;      /* before it no token with a short prefix begins */
    vitp_scrub_gap           plain;     /* without a digit or = */
    vitp_scrub_gap           wordy;     /* without a digit */
    vitp_scrub_gap           bare;      /* of VITP_SCRUB_BARE */
    size_t                   trigger;   /* whose matchers are asked */
    vitp_scrub_reach         reach;
    vitp_scrub_line          line;
    const vitp_scrub_values *values;
} vitp_scrub;

typedef struct vitp_scrub_span {
    size_t      start, end;
    const char *marker;
} vitp_scrub_span;

typedef struct vitp_scrub_sink {
    char  *out;
    size_t room;   /* for text, without the NUL */
    size_t kept;   /* bytes written */
    size_t length; /* bytes of the whole scrubbed text */
    bool   full;   /* something did not fit: no more is written */
} vitp_scrub_sink;

/* ---- bytes and runs ---------------------------------------------------------------------- */

static uint32_t vitp_scrub_set_of(char c) { return vitp_scrub_sets[(unsigned char)c]; }

static bool vitp_scrub_is(char c, uint32_t set) { return (vitp_scrub_set_of(c) & set) != 0; }

/* The byte, NUL after the end. */
static char vitp_scrub_at(const vitp_scrub *s, size_t at)
{
    return at < s->size ? s->text[at] : '\0';
}

static bool vitp_scrub_in(const vitp_scrub *s, size_t at, uint32_t set)
{
    return at < s->size && vitp_scrub_is(s->text[at], set);
}

/* The byte before: ']' after a span, as if its marker already stood there. */
static char vitp_scrub_before(const vitp_scrub *s, size_t at)
{
    if (at > s->floor) return s->text[at - 1];
    return at ? ']' : ' ';
}

/* End of the run of bytes of the set, of `most` bytes at most. */
static size_t vitp_scrub_run(const vitp_scrub *s, size_t at, uint32_t set, size_t most)
{
    size_t end = at >= s->size ? at : most < s->size - at ? at + most : s->size;

    while (at < end && vitp_scrub_is(s->text[at], set)) at++;
    return at;
}

/* Start of the run that ends at `at`. */
static size_t vitp_scrub_back(const vitp_scrub *s, size_t at, uint32_t set, size_t most)
{
    size_t start = at - s->floor > most ? at - most : s->floor;

    while (at > start && vitp_scrub_is(s->text[at - 1], set)) at--;
    return at;
}

static bool vitp_scrub_has(const vitp_scrub *s, size_t at, size_t end, uint32_t set)
{
    while (at < end && !vitp_scrub_is(s->text[at], set)) at++;
    return at < end;
}

/* The sets of the bytes of [at, end), joined. */
static uint32_t vitp_scrub_sets_of(const vitp_scrub *s, size_t at, size_t end)
{
    uint32_t sets = 0;

    for (; at < end; at++) sets |= vitp_scrub_set_of(s->text[at]);
    return sets;
}

/* The first byte of the set in [at, end), or `end`. What is known of it from before is not read
   again. */
static size_t vitp_scrub_until(const vitp_scrub *s, vitp_scrub_gap *known, uint32_t set, size_t at,
                               size_t end)
{
    if (at < known->start || at > known->end) known->start = known->end = at;
    while (known->end < end && !vitp_scrub_is(s->text[known->end], set)) known->end++;
    return known->end < end ? known->end : end;
}

/* Different bytes (without the highest bit). */
static unsigned vitp_scrub_distinct(const vitp_scrub *s, size_t at, size_t end)
{
    uint64_t seen[2] = { 0, 0 };
    unsigned count = 0;

    for (; at < end; at++) seen[(s->text[at] >> 6) & 1] |= UINT64_C(1) << (s->text[at] & 63);
    for (; seen[0] || seen[1]; count++) seen[seen[0] ? 0 : 1] &= seen[seen[0] ? 0 : 1] - 1;
    return count;
}

/* Inline: of a literal the length is known then, and most differ in the first byte. */
static VITP_INLINE bool vitp_scrub_starts(const vitp_scrub *s, size_t at, const char *word)
{
    size_t n = strlen(word);

    return at <= s->size && n <= s->size - at && memcmp(s->text + at, word, n) == 0;
}

/* Is it the byte of a table, of which letters are small, in whatever case? */
static VITP_INLINE bool vitp_scrub_folds(char c, char lower)
{
    return c == lower || ((c ^ lower) == 0x20 && lower >= 'a');
}

/* Does the word end in this, in whatever case? */
static bool vitp_scrub_ends_in(const vitp_scrub *s, size_t start, size_t end, const char *word)
{
    size_t n = strlen(word);

    if (n > end - start) return false;
    while (n > 0 && vitp_text_lower(s->text[end - 1]) == word[n - 1]) n--, end--;
    return n == 0;
}

/* Is it one of so many words, in whatever case? */
static bool vitp_scrub_is_any(const vitp_scrub *s, size_t start, size_t end,
                              const char *const *words, size_t count)
{
    size_t i;

    for (i = 0; i < count; i++)
        if (strlen(words[i]) == end - start && vitp_scrub_ends_in(s, start, end, words[i]))
            return true;
    return false;
}

/* How many bits are set? */
static VITP_INLINE unsigned vitp_scrub_bits(uint32_t set)
{
    set -= set >> 1 & 0x55555555u;
    set = (set & 0x33333333u) + (set >> 2 & 0x33333333u);
    set = (set + (set >> 4)) & 0x0F0F0F0Fu;
    return set * 0x01010101u >> 24;
}

/* The bit of the second byte of a word in an index. */
static VITP_INLINE unsigned vitp_scrub_second(char c) { return c & 0x40 ? (unsigned)c & 31u : 0u; }

/* Some rows of a table: those from `row` on, before `stop`. */
typedef struct vitp_scrub_rows {
    unsigned row, stop;
} vitp_scrub_rows;

/* The rows of a table with this index whose words begin with a letter and a byte. */
static VITP_INLINE vitp_scrub_rows vitp_scrub_rows_of(const uint32_t  seconds[26],
                                                      const uint16_t *rows, char first, char second)
{
    vitp_scrub_rows found = { 0, 0 };
    unsigned        letter = ((unsigned)first & 31u) - 1;
    uint32_t        bit = UINT32_C(1) << vitp_scrub_second(second);

    if (seconds[letter] & bit) {
        rows += rows[letter] + vitp_scrub_bits(seconds[letter] & (bit - 1));
        found.row = rows[0];
        found.stop = rows[1];
    }
    return found;
}

/* May a word of vitp_scrub_openers begin here? All its second bytes are letters. */
static VITP_INLINE bool vitp_scrub_may_open(const vitp_scrub *s, size_t at)
{
    char second = vitp_scrub_at(s, at + 1);

    return vitp_scrub_in(s, at, VITP_SCRUB_LETTER) &&
           (vitp_scrub_opener_seconds[(s->text[at] & 31) - 1] >> (second & 31) & 1u) &&
           (second & 0x40);
}

/* The same where the letters are known to end at `end`, of fifteen at most. */
static VITP_INLINE bool vitp_scrub_opens(const vitp_scrub *s, size_t at, size_t end)
{
    unsigned letter = ((unsigned)s->text[at] & 31u) - 1;

    if (!vitp_scrub_may_open(s, at)) return false;
    if (vitp_scrub_opener_others[letter] >> (s->text[at + 1] & 31) & 1u) return true;
    return vitp_scrub_at(s, end) == ' ' && (vitp_scrub_opener_lengths[letter] >> (end - at) & 1u);
}

/* The bit of the second or third byte of a token's prefix. */
static VITP_INLINE unsigned vitp_scrub_token_bit(char c) { return (unsigned)c >> 1 & 63u; }

/* May one of vitp_scrub_tokens begin here? */
static VITP_INLINE bool vitp_scrub_may_be_token(const vitp_scrub *s, size_t at)
{
    unsigned letter = ((unsigned)s->text[at] & 31u) - 1;

    return vitp_scrub_is(s->text[at], VITP_SCRUB_LETTER) && s->size - at >= VITP_SCRUB_TOKEN_MIN &&
           (vitp_scrub_token_seconds[letter] >> vitp_scrub_token_bit(s->text[at + 1]) & 1u) &&
           (vitp_scrub_token_thirds[letter] >> vitp_scrub_token_bit(s->text[at + 2]) & 1u);
}

/* The sign of the first row of the sorted table with the word [at, end) and one of these signs, or
   0. */
static VITP_NOINLINE char vitp_scrub_among(const vitp_scrub *s, const char (*table)[VITP_SCRUB_ROW],
                                           const uint32_t seconds[26], const uint16_t *rows,
                                           size_t at, size_t end, const char *signs)
{
    vitp_scrub_rows r;
    size_t          size = end - at, k;

    if (size < 1 || size > VITP_SCRUB_ROW - 2 || !vitp_scrub_is(s->text[at], VITP_SCRUB_LETTER))
        return 0;
    r = vitp_scrub_rows_of(seconds, rows, s->text[at], size > 1 ? s->text[at + 1] : '\0');
    for (; r.row < r.stop; r.row++) {
        const char *word = table[r.row] + 1;

        if (word[size - 1] != vitp_text_lower(s->text[end - 1]) || word[size]) continue;
        for (k = 1; k + 1 < size && vitp_scrub_folds(s->text[at + k], word[k]); k++) continue;
        if (k + 1 >= size && strchr(signs, word[-1])) return word[-1];
    }
    return 0;
}

/* Is it a word of vitp_scrub_lexicon with one of these signs? */
static bool vitp_scrub_listed(const vitp_scrub *s, size_t at, size_t end, const char *signs)
{
    return vitp_scrub_among(s, vitp_scrub_lexicon, vitp_scrub_lexicon_seconds,
                            vitp_scrub_lexicon_rows, at, end, signs) != 0;
}

/* The sign with which it is a word of vitp_scrub_labels, of these, or 0. */
static char vitp_scrub_labeled(const vitp_scrub *s, size_t at, size_t end, const char *signs)
{
    return vitp_scrub_among(s, vitp_scrub_labels, vitp_scrub_label_seconds, vitp_scrub_label_rows,
                            at, end, signs);
}

/* Does a marker stand here: one of the text, or one that is about to be written? */
static bool vitp_scrub_marker(const vitp_scrub *s, size_t at) { return s->more && at == s->size; }

/* Does a marker begin in [at, end]? */
static bool vitp_scrub_has_marker(const vitp_scrub *s, size_t at, size_t end)
{
    return s->more && at <= s->size && s->size <= end;
}

/* Is what follows no boundary? A marker may stand for a letter or digit. */
static bool vitp_scrub_goes_on(const vitp_scrub *s, size_t at)
{
    return vitp_scrub_in(s, at, VITP_SCRUB_ALNUM) || vitp_scrub_marker(s, at);
}

/* Does the separator and a hex digit (or a marker in its place) follow? */
static bool vitp_scrub_more(const vitp_scrub *s, size_t at, char separator)
{
    return vitp_scrub_at(s, at) == separator &&
           (vitp_scrub_in(s, at + 1, VITP_SCRUB_HEX) || vitp_scrub_marker(s, at + 1));
}

/* To be called by a matcher that reads behind the next blank, unless what it then claims
   begins no later than the trigger. */
static void vitp_scrub_reads_on(vitp_scrub *s)
{
    s->reach.last = s->trigger + 1;
    if (!s->reach.first) s->reach.first = s->reach.last;
}

/* The same of one that looked for a value at `value` and would find none if a marker stood there.
   Returns `found`. */
static bool vitp_scrub_reads_value(vitp_scrub *s, size_t value, bool found,
                                   const vitp_scrub_span *span)
{
    if (!found || span->start != value) vitp_scrub_reads_on(s);
    return found;
}

static bool vitp_scrub_claim(vitp_scrub_span *span, size_t start, size_t end, const char *marker)
{
    span->start = start;
    span->end = end;
    span->marker = marker;
    return true;
}

/* Index of the quote that closes what starts at `at`, on this line, or the text's size. `escaped`:
   it was opened by \", else \" is a quote in the value; so are the first `doubled` quotes that are
   doubled (a limit, or time would not be linear). */
static size_t vitp_scrub_close(const vitp_scrub *s, size_t at, char quote, bool escaped,
                               unsigned doubled)
{
    size_t i;

    for (i = at; i < s->size && !vitp_scrub_in(s, i, VITP_SCRUB_SET(LINE)); i++) {
        if (s->text[i] != quote) continue;
        if (!escaped && i > at && s->text[i - 1] == '\\') continue;
        if (i == at || doubled == 0 || vitp_scrub_at(s, i + 1) != quote) return i;
        doubled--;
        i++;
    }
    return s->size;
}

/* Where a run of letters starts as a reader sees it: after the n of \n and the m of a colour. */
static VITP_INLINE size_t vitp_scrub_letters(const vitp_scrub *s, size_t at)
{
    char   c = s->text[at];
    size_t i;

    if (c != 'n' && c != 'r' && c != 't' && c != 'm') return at;
    if (vitp_scrub_before(s, at) == '\\') return c != 'm' ? at + 1 : at;
    if (c != 'm') return at;
    i = vitp_scrub_back(s, at, VITP_SCRUB_SET(DIGIT) | VITP_SCRUB_SET(LIST), 12);
    return i < at && vitp_scrub_before(s, i) == '[' ? at + 1 : at;
}

/* Does a colon and a port follow? */
static bool vitp_scrub_port(const vitp_scrub *s, size_t at)
{
    return vitp_scrub_at(s, at) == ':' && vitp_scrub_in(s, at + 1, VITP_SCRUB_SET(DIGIT));
}

/* ---- addresses --------------------------------------------------------------------------- */

/* End of the domain that starts here, at its last label that can be a top-level one; or 0. */
static size_t vitp_scrub_domain(const vitp_scrub *s, size_t at)
{
    size_t   found = 0;
    unsigned labels;

    for (labels = 0; labels < 32; labels++) {
        size_t end = vitp_scrub_run(s, at, VITP_SCRUB_LABEL, 254);
        size_t word = vitp_scrub_run(s, at, VITP_SCRUB_LETTER | VITP_SCRUB_SET(HIGH), 254);

        if (end == at) break;
        if (vitp_scrub_starts(s, end, ".(none)")) return end + 7; /* of git */
        if (vitp_scrub_starts(s, at, "xn--")) word = end;
        if (labels && word - at >= 2 && !vitp_scrub_in(s, word, VITP_SCRUB_SET(DIGIT)) &&
            !vitp_scrub_marker(s, word) && !vitp_scrub_listed(s, at, word, "."))
            found = word;
        if (vitp_scrub_at(s, end) != '.') break;
        at = end + 1;
    }
    return found;
}

/* Does the domain say that what stands before it is an algorithm of SSH (RFC 4251, section 6)? */
static bool vitp_scrub_is_algorithm(const vitp_scrub *s, size_t at, size_t end)
{
    static const char *const names[] = { "libssh.org", "lysator.liu.se", "openssh.com" };

    return vitp_scrub_is_any(s, at, end, names, sizeof names / sizeof *names);
}

/* The @ of an address, in `width` bytes (%40 is one too). */
static bool vitp_scrub_email(const vitp_scrub *s, size_t at, size_t width, vitp_scrub_span *span)
{
    size_t end =
        vitp_scrub_in(s, at + width, VITP_SCRUB_LABEL) ? vitp_scrub_domain(s, at + width) : 0;
    size_t start;

    if (!end || vitp_scrub_is_algorithm(s, at + width, end)) return false;
    start = vitp_scrub_back(s, at, VITP_SCRUB_LOCAL, 64);
    while (start < at && (!vitp_scrub_is(s->text[start], VITP_SCRUB_WORD | VITP_SCRUB_SET(HIGH)) ||
                          ((unsigned char)s->text[start] & 0xC0u) == 0x80u))
        start++;
    /* <bounce=ann=example.org@list.example>: in brackets it is one address */
    if (vitp_scrub_before(s, start) == '=') {
        size_t open = vitp_scrub_back(s, start, VITP_SCRUB_LOCAL | VITP_SCRUB_SET(EQUAL), 64);

        if (open < start && vitp_scrub_before(s, open) == '<') start = open;
    }
    return start < at && vitp_scrub_claim(span, start, end, "[email]");
}

/* The @ of user:password@tcp(host) and user:password@host:port, which are no addresses of mail. */
static VITP_NOINLINE bool vitp_scrub_login(const vitp_scrub *s, size_t at, vitp_scrub_span *span)
{
    size_t host = vitp_scrub_run(s, at + 1, VITP_SCRUB_LABEL | VITP_SCRUB_SET(DOT), 64);
    size_t password, user;

    if (host == at + 1 || (vitp_scrub_at(s, host) != '(' && !vitp_scrub_port(s, host)))
        return false;
    password = vitp_scrub_back(s, at,
                               vitp_scrub_starts(s, at + 1, "tcp(")
                                   ? ~(VITP_SCRUB_BLANK | VITP_SCRUB_QUOTES | VITP_SCRUB_SET(COLON))
                                   : VITP_SCRUB_BARE & ~VITP_SCRUB_SET(COLON),
                               64);
    if (at - password < 3 || vitp_scrub_before(s, password) != ':') return false;
    user = vitp_scrub_back(s, password - 1, VITP_SCRUB_WORD | VITP_SCRUB_SET(DASH), 64);
    return user < password - 1 && vitp_scrub_claim(span, user, at, "[secret]");
}

/* The @ of rabbit@db-1, as programs in Erlang call their nodes: claims the machine. */
static VITP_NOINLINE bool vitp_scrub_erlang(const vitp_scrub *s, size_t at, vitp_scrub_span *span)
{
    static const char *const names[] = { "couchdb", "ejabberd", "emqx", "rabbit" };
    size_t                   end = vitp_scrub_run(s, at + 1, VITP_SCRUB_LABEL, 64);
    size_t                   start = vitp_scrub_back(s, at, VITP_SCRUB_NAME, 16);

    if (end < at + 3 || vitp_scrub_goes_on(s, end) || vitp_scrub_at(s, end) == '.' ||
        (end == at + 10 && vitp_scrub_starts(s, at + 1, "localhost")))
        return false;
    return vitp_scrub_is_any(s, start, at, names, sizeof names / sizeof *names) &&
           vitp_scrub_claim(span, at + 1, end, "[host]");
}

/* The @ of user@host:/path, user@host:~$ and [user@host ~], as shells and scp have it, and of
   ssh user@host. */
static VITP_NOINLINE bool vitp_scrub_shell(const vitp_scrub *s, size_t at, vitp_scrub_span *span)
{
    size_t end = vitp_scrub_run(s, at + 1, VITP_SCRUB_LABEL, 64), start;
    char   before, next = vitp_scrub_at(s, end + 1);
    bool   folder = next == '/' || next == '~';

    if (vitp_scrub_at(s, end) == '.') return false;
    start = vitp_scrub_back(s, at, VITP_SCRUB_NAME, 32);
    before = vitp_scrub_before(s, start);
    if (start == at || end - at < 3 || !vitp_scrub_is(s->text[start], VITP_SCRUB_LETTER) ||
        !vitp_scrub_is(s->text[at + 1], VITP_SCRUB_LETTER) || vitp_scrub_goes_on(s, end) ||
        vitp_scrub_is(before, VITP_SCRUB_WORD | VITP_SCRUB_SLASHES | VITP_SCRUB_SET(AT) |
                                  VITP_SCRUB_SET(HIGH)))
        return false;
    if (!(folder && vitp_scrub_at(s, end) == ':') &&
        !(folder && vitp_scrub_at(s, end) == ' ' && before == '[') &&
        !(start - s->floor >= 4 && memcmp(s->text + start - 4, "ssh ", 4) == 0))
        return false;
    return vitp_scrub_claim(span, start, end, "[user]");
}

/* End of four numbers of 0 to 255 with the separator between them, or 0. */
static size_t vitp_scrub_quad(const vitp_scrub *s, size_t at, char separator)
{
    unsigned i;

    for (i = 0; i < 4; i++) {
        size_t   end = vitp_scrub_run(s, at, VITP_SCRUB_SET(DIGIT), 4);
        unsigned value = 0;

        if (end == at || end - at > 3) return 0;
        for (; at < end; at++) value = value * 10 + (unsigned)(s->text[at] - '0');
        if (value > 255) return 0;
        if (i < 3 && vitp_scrub_at(s, at++) != separator) return 0;
    }
    return at;
}

/* Do the words before say that four numbers are a version? */
static bool vitp_scrub_is_version(const vitp_scrub *s, size_t at)
{
    size_t end = vitp_scrub_back(s, at,
                                 VITP_SCRUB_QUOTES | VITP_SCRUB_SET(SPACE) | VITP_SCRUB_SET(PAREN) |
                                     VITP_SCRUB_SET(COLON) | VITP_SCRUB_SET(EQUAL) |
                                     VITP_SCRUB_SET(SLASH) | VITP_SCRUB_SET(DASH),
                                 3);
    size_t start = vitp_scrub_back(s, end, VITP_SCRUB_LETTER, 24);

    if (start == end && end < at && vitp_scrub_before(s, end) == '.') { /* ver. 1.2.3.4 */
        start = vitp_scrub_back(s, end - 1, VITP_SCRUB_LETTER, 5);
        return end - 1 - start <= 4 && vitp_scrub_listed(s, start, end - 1, "#");
    }
    /* arcs of X.509 names and extensions */
    if (vitp_scrub_starts(s, at, "2.5.29.") || vitp_scrub_starts(s, at, "2.5.4.")) return true;
    if (start == end) return false;
    if (end + 1 == at && s->text[end] == '-' && vitp_scrub_at(s, at + 1) == '.')
        return true; /* base-4.17.0.0: of a package */
    if (end - start == 2 && memcmp(s->text + start, "to", 2) == 0) { /* from 1.2.3.4 to 1.2.4.0 */
        end = vitp_scrub_back(s, start, VITP_SCRUB_SET(SPACE), 1);
        end = vitp_scrub_back(s, end, VITP_SCRUB_SET(DIGIT) | VITP_SCRUB_SET(DOT), 16);
        end = vitp_scrub_back(s, end, VITP_SCRUB_SET(SPACE), 1);
        start = vitp_scrub_back(s, end, VITP_SCRUB_LETTER, 24);
    }
    if (end - start == 4 && memcmp(s->text + start, "from", 4) == 0) { /* upgrade from 1.2.3.4 */
        end = vitp_scrub_back(s, start, VITP_SCRUB_SET(SPACE), 1);
        start = vitp_scrub_back(s, end, VITP_SCRUB_LETTER, 24);
    }
    if (vitp_scrub_listed(s, start, end, "#")) return true;
    /* Chrome/126.0.0.0, but /Srv/10.0.0.1 is a path */
    if (s->text[end] == '/' && vitp_scrub_is(s->text[start], VITP_SCRUB_UPPER)) return true;
    return vitp_scrub_at(s, at + 1) == '.' && vitp_scrub_listed(s, start, end, "$");
}

/* End of a URL or of what follows an address. */
static size_t vitp_scrub_url_end(const vitp_scrub *s, size_t at)
{
    size_t end = vitp_scrub_run(s, at, VITP_SCRUB_URL, s->size);

    while (end > at && vitp_scrub_is(s->text[end - 1], VITP_SCRUB_TAIL)) end--;
    return end;
}

/* Is it one of the two of tcpdump, with a port behind a dot: 10.0.0.9.51122 > 10.0.0.1.53: ? */
static bool vitp_scrub_is_sent(const vitp_scrub *s, size_t at, size_t end)
{
    size_t port = vitp_scrub_run(s, end + 1, VITP_SCRUB_SET(DIGIT), 6);

    return vitp_scrub_starts(s, port, " > ") ||
           (vitp_scrub_starts(s, port, ": ") && at - s->floor > 2 &&
            memcmp(s->text + at - 3, " > ", 3) == 0);
}

static bool vitp_scrub_ipv4(const vitp_scrub *s, size_t at, vitp_scrub_span *span)
{
    size_t end = vitp_scrub_quad(s, at, '.');
    size_t port;

    if (!end || vitp_scrub_goes_on(s, end)) return false;
    if (vitp_scrub_more(s, end, '.') && !vitp_scrub_is_sent(s, at, end)) return false;
    if (vitp_scrub_before(s, at) == '.' &&
        vitp_scrub_is(vitp_scrub_before(s, at - 1), VITP_SCRUB_ALNUM))
        return false;
    if (vitp_scrub_before(s, at) == '~') return false; /* a version: name~amd64~6.1.1.2 */
    if ((end - at == 9 && vitp_scrub_starts(s, at, "127.0.0.1")) ||
        (end - at == 7 && vitp_scrub_starts(s, at, "0.0.0.0")) || vitp_scrub_is_version(s, at))
        return false;
    port =
        vitp_scrub_at(s, end) == ':' ? vitp_scrub_run(s, end + 1, VITP_SCRUB_SET(DIGIT), 5) : end;
    /* a path goes with its address, a port alone stays */
    if (vitp_scrub_at(s, port) == '/') end = vitp_scrub_url_end(s, port);
    return vitp_scrub_claim(span, at, end, "[ip]");
}

/* Does the ':' before `at` end a word (addr:) and not a group of hex digits? */
static bool vitp_scrub_after_word(const vitp_scrub *s, size_t at)
{
    size_t end = at - 1;
    size_t start = vitp_scrub_back(s, end, VITP_SCRUB_ALNUM, 5);

    return start < end && (end - start > 4 || vitp_scrub_has(s, start, end, ~VITP_SCRUB_HEX));
}

/* May an address of groups with ':' start here? */
static bool vitp_scrub_group_start(const vitp_scrub *s, size_t at)
{
    char before = vitp_scrub_before(s, at);

    if (before == ':')
        return at - 1 > s->floor && (vitp_scrub_is(vitp_scrub_before(s, at - 1),
                                                   VITP_SCRUB_SET(DASH) | VITP_SCRUB_SET(PLUS)) ||
                                     vitp_scrub_after_word(s, at));
    return !vitp_scrub_is(before, VITP_SCRUB_WORD | VITP_SCRUB_SET(DOT));
}

/* Are the hex digits in [at, end) a whole group? */
static bool vitp_scrub_is_group(const vitp_scrub *s, size_t at, size_t end)
{
    return end > at && !vitp_scrub_goes_on(s, end) && !vitp_scrub_more(s, end, '.');
}

/* End of an IPv6 address as inet_pton reads it, or 0. */
static size_t vitp_scrub_groups(const vitp_scrub *s, size_t at)
{
    unsigned groups = 0;
    bool     gap = vitp_scrub_starts(s, at, "::");
    size_t   start = gap ? at + 2 : at;
    size_t   end = start;

    while (groups < 8u - gap) {
        size_t group = vitp_scrub_run(s, start, VITP_SCRUB_HEX, 4);
        size_t quad = vitp_scrub_at(s, group) == '.' ? vitp_scrub_quad(s, start, '.') : 0;

        if (!vitp_scrub_is_group(s, start, group)) group = 0;
        if (quad && vitp_scrub_goes_on(s, quad)) quad = 0;
        if (!quad && !group) break;
        end = quad ? quad : group;
        groups += quad ? 2 : 1;
        start = end + 1;
        if (quad || vitp_scrub_at(s, end) != ':') break;
        if (vitp_scrub_at(s, start) != ':') continue;
        if (gap) return 0;
        gap = true;
        end = ++start;
    }
    if (gap) return groups > 1 || (groups == 1 && vitp_scrub_at(s, end) == '/') ? end : 0;
    return groups == 8 && !vitp_scrub_more(s, end, ':') ? end : 0;
}

/* An address that starts here, with its zone, prefix and brackets. */
static bool vitp_scrub_ipv6(const vitp_scrub *s, size_t start, vitp_scrub_span *span)
{
    size_t end = vitp_scrub_groups(s, start), zero;

    if (!end ||
        !(vitp_scrub_has(s, start, end, VITP_SCRUB_SET(DIGIT)) ||
          (end - start >= 12 && vitp_scrub_is(vitp_scrub_before(s, start),
                                              VITP_SCRUB_SET(OPEN) | VITP_SCRUB_SET(PAREN)))))
        return false;
    for (zero = start; zero < end && (s->text[zero] == '0' || s->text[zero] == ':');) zero++;
    if (zero == end) return false; /* of no machine */
    if (end - start == 3 && vitp_scrub_starts(s, start, "::1")) return false;
    if (vitp_scrub_goes_on(s, end)) return false;
    if (vitp_scrub_before(s, start) == '-' && vitp_scrub_starts(s, start, "20") &&
        vitp_scrub_starts(s, start + 4, "::"))
        return false; /* a date of Erlang: 1-Mar-2026::10:11:12 */
    if (vitp_scrub_at(s, end) == '%')
        end = vitp_scrub_run(s, end + 1, VITP_SCRUB_SLUG | VITP_SCRUB_SET(DOT), 32);
    if (vitp_scrub_at(s, end) == '/') end = vitp_scrub_run(s, end + 1, VITP_SCRUB_SET(DIGIT), 4);
    if (vitp_scrub_before(s, start) == '[' && vitp_scrub_at(s, end) == ']') {
        start--;
        end++;
    }
    return vitp_scrub_claim(span, start, end, "[ip]");
}

/* 6 or 8 pairs of hex digits, or 14 (two addresses and a type, MAC= of Linux): the first separator,
   and the start of the digits before it. */
static bool vitp_scrub_mac(const vitp_scrub *s, size_t at, size_t start, vitp_scrub_span *span)
{
    char     separator = s->text[at], before = vitp_scrub_before(s, start);
    size_t   end = start;
    unsigned pairs = 0;

    if (at - start != 2 || vitp_scrub_at(s, at + 3) != separator || before == '-') return false;
    if (separator == '-' && vitp_scrub_is(before, VITP_SCRUB_WORD)) return false;
    while (vitp_scrub_run(s, end, VITP_SCRUB_HEX, 2) == end + 2 &&
           vitp_scrub_is_group(s, end, end + 2)) {
        pairs++;
        end += 2;
        if (pairs == 14 || vitp_scrub_at(s, end) != separator) break;
        end++;
    }
    if (pairs < 6 || (pairs > 8 && pairs < 14) ||
        (pairs == 14 && vitp_scrub_more(s, end, separator)))
        return false;
    end = start + (pairs == 14 ? 41 : pairs == 8 ? 23 : 17);
    return !vitp_scrub_starts(s, start, "00:00:00:00:00:00") &&
           (vitp_scrub_distinct(s, start, end) > 2 ||
            !vitp_scrub_folds(s->text[start], 'f')) && /* to all */
           vitp_scrub_claim(span, start, end, "[mac]");
}

/* The first ':' of groups of hex digits. */
static VITP_NOINLINE bool vitp_scrub_hex_groups(const vitp_scrub *s, size_t at,
                                                vitp_scrub_span *span)
{
    size_t start = vitp_scrub_back(s, at, VITP_SCRUB_HEX, 5);

    if (at - start > 4 || !vitp_scrub_group_start(s, start)) return false;
    if (vitp_scrub_at(s, at + 1) != ':' &&
        vitp_scrub_at(s, vitp_scrub_run(s, at + 1, VITP_SCRUB_HEX, 4)) != ':')
        return false; /* two groups */
    return vitp_scrub_mac(s, at, start, span) || vitp_scrub_ipv6(s, start, span);
}

/* The first dot of hhhh.hhhh.hhhh. */
static bool vitp_scrub_mac_dotted(const vitp_scrub *s, size_t at, vitp_scrub_span *span)
{
    size_t start, end;

    if (vitp_scrub_at(s, at + 5) != '.') return false;
    start = vitp_scrub_back(s, at, VITP_SCRUB_HEX, 5);
    end = start + 14;
    if (at - start != 4 || vitp_scrub_run(s, at + 1, VITP_SCRUB_HEX, 5) != at + 5) return false;
    if (vitp_scrub_run(s, at + 6, VITP_SCRUB_HEX, 5) != end) return false;
    return !vitp_scrub_is(vitp_scrub_before(s, start), VITP_SCRUB_WORD | VITP_SCRUB_SET(DOT)) &&
           !vitp_scrub_goes_on(s, end) && vitp_scrub_has(s, start, end, VITP_SCRUB_LETTER) &&
           vitp_scrub_claim(span, start, end, "[mac]");
}

/* Twelve hex digits that are called so, perhaps in a quote. */
static bool vitp_scrub_bare_mac(const vitp_scrub *s, size_t at, vitp_scrub_span *span)
{
    size_t end;

    at = vitp_scrub_run(s, at, VITP_SCRUB_QUOTES | VITP_SCRUB_SET(BACKSLASH), 2);
    end = vitp_scrub_run(s, at, VITP_SCRUB_HEX, 13);
    return end == at + 12 && !vitp_scrub_marker(s, end) &&
           !vitp_scrub_in(s, end, VITP_SCRUB_WORD) && vitp_scrub_claim(span, at, end, "[mac]");
}

/* ---- names of hosts ---------------------------------------------------------------------- */

/* A name with dots: its end, its number of labels, and where the last one begins. */
typedef struct vitp_scrub_dotted {
    size_t   end, last;
    unsigned labels;
} vitp_scrub_dotted;

static vitp_scrub_dotted vitp_scrub_dots(const vitp_scrub *s, size_t at)
{
    vitp_scrub_dotted d = { at, at, 0 };

    do {
        d.last = d.labels ? d.end + 1 : at;
        d.end = vitp_scrub_run(s, d.last, VITP_SCRUB_LABEL, 64);
        d.labels++;
    } while (d.labels < 16 && vitp_scrub_at(s, d.end) == '.' &&
             vitp_scrub_in(s, d.end + 1, VITP_SCRUB_LABEL));
    return d;
}

/* Sign of the last label in vitp_scrub_labels, or 0. Capitals: the name of a type, unless all of
   the name has them. */
static char vitp_scrub_top_level(const vitp_scrub *s, size_t start, const vitp_scrub_dotted *d)
{
    if (d->end - d->last < 2) return 0;
    if (vitp_scrub_starts(s, d->last, "xn--")) return '~';
    if (vitp_scrub_has(s, d->last, d->end, VITP_SCRUB_UPPER) &&
        vitp_scrub_has(s, start, d->end, VITP_SCRUB_LOWER))
        return 0;
    return vitp_scrub_labeled(s, d->last, d->end, "~-^");
}

/* May the name with dots be one of a host by itself? */
static bool vitp_scrub_is_domain(const vitp_scrub *s, size_t start, const vitp_scrub_dotted *d)
{
    char   top = vitp_scrub_top_level(s, start, d);
    size_t first;

    if (!top || (top != '~' && vitp_scrub_at(s, d->end) == '=')) return false; /* a.b.host=x */
    first = vitp_scrub_run(s, start, VITP_SCRUB_LABEL, 64);
    if (vitp_scrub_labeled(s, start, first, "/")) return false;
    if (vitp_scrub_port(s, d->end) && (top == '~' || d->labels > 2)) return true;
    if (d->labels <= 3 && vitp_scrub_labeled(s, start, first, ".") &&
        !(d->labels == 3 && d->end - d->last == 3 && vitp_scrub_starts(s, d->last, "com")))
        return false;
    if (top == '~') /* no type has a dash: Anns-MacBook.local */
        return d->labels > 2 || !vitp_scrub_has(s, start, first, VITP_SCRUB_UPPER) ||
               vitp_scrub_has(s, start, first, VITP_SCRUB_SET(DASH));
    return d->labels > 2 &&
           (top == '-' ||
            vitp_scrub_has(s, start, d->last, VITP_SCRUB_SET(DASH) | VITP_SCRUB_SET(DIGIT)));
}

/* Claims a host, and the path that follows it. */
static bool vitp_scrub_claim_host(const vitp_scrub *s, size_t start, size_t end,
                                  vitp_scrub_span *span)
{
    size_t port;

    if (vitp_scrub_at(s, end) == '\\' &&
        vitp_scrub_in(s, end + 1, VITP_SCRUB_UPPER)) /* SQL Server */
        end = vitp_scrub_run(s, end + 1, VITP_SCRUB_WORD, 32);
    port = vitp_scrub_port(s, end) ? vitp_scrub_run(s, end + 1, VITP_SCRUB_SET(DIGIT), 5) : end;

    if (vitp_scrub_at(s, port) == '/') end = vitp_scrub_url_end(s, port);
    return vitp_scrub_claim(span, start, end, "[host]");
}

/* Is it where packages of programs are named after (github.com/x/y)? */
static bool vitp_scrub_is_import(const vitp_scrub *s, size_t start, size_t end)
{
    static const char *const hosts[] = { "github.com",    "golang.org", "google.golang.org",
                                         "gopkg.in",      "gitlab.com", ".k8s.io",
                                         "go.uber.org",   "k8s.io",     "cloud.google.com",
                                         ".kubernetes.io" };
    size_t                   i;

    if (vitp_scrub_is(vitp_scrub_before(s, start), VITP_SCRUB_SLASHES | VITP_SCRUB_SET(AT)))
        return false;
    for (i = 0; i < sizeof hosts / sizeof *hosts; i++) { /* what begins with a dot ends them */
        size_t n = strlen(hosts[i]);

        if ((hosts[i][0] == '.' ? n < end - start : n == end - start) &&
            vitp_scrub_starts(s, end - n, hosts[i]))
            return true;
    }
    return false;
}

/* The first dot of a name such as db-1.example.com. */
static bool vitp_scrub_host(const vitp_scrub *s, size_t at, vitp_scrub_span *span)
{
    size_t            start = vitp_scrub_back(s, at, VITP_SCRUB_LABEL, 64);
    char              before = vitp_scrub_before(s, start);
    vitp_scrub_dotted d;

    if (start == at || !vitp_scrub_in(s, at + 1, VITP_SCRUB_LABEL)) return false;
    if (vitp_scrub_is(before, VITP_SCRUB_WORD | VITP_SCRUB_SET(DOT) | VITP_SCRUB_SET(DOLLAR) |
                                  VITP_SCRUB_SET(BACKSLASH)) &&
        vitp_scrub_letters(s, start - 1) != start &&
        !(before == '.' && vitp_scrub_before(s, start - 1) == '*') &&
        !(start - s->floor >= 5 && (memcmp(s->text + start - 5, "_tcp.", 5) == 0 ||
                                    memcmp(s->text + start - 5, "_udp.", 5) == 0)))
        return false;
    while (start < at && s->text[start] == '-') start++;
    d = vitp_scrub_dots(s, start);
    if (start == at || d.labels < 2 || vitp_scrub_marker(s, d.end)) return false;
    if (vitp_scrub_in(s, d.end, VITP_SCRUB_SET(UNDERSCORE)) || vitp_scrub_at(s, d.end) == '(')
        return false;
    if (vitp_scrub_at(s, d.end) == '/' && vitp_scrub_is_import(s, start, d.end)) return false;
    if (before == '@' && vitp_scrub_is_algorithm(s, start, d.end)) return false;
    if (!vitp_scrub_is_domain(s, start, &d)) return false;
    if (vitp_scrub_at(s, d.end) == '@' && vitp_scrub_domain(s, d.end + 1)) return false; /* mail */
    return vitp_scrub_claim_host(s, start, d.end, span);
}

/* The first dash of ip-10-0-4-17, a name that clouds give to machines. */
static VITP_NOINLINE bool vitp_scrub_numbered(const vitp_scrub *s, size_t at, vitp_scrub_span *span)
{
    size_t end = vitp_scrub_quad(s, at + 1, '-');

    if (!end || at - s->floor < 2 || memcmp(s->text + at - 2, "ip", 2) != 0 ||
        vitp_scrub_is(vitp_scrub_before(s, at - 2), VITP_SCRUB_WORD) || vitp_scrub_goes_on(s, end))
        return false;
    /* with a domain it is looked at whole */
    if (vitp_scrub_at(s, end) == '.' && vitp_scrub_in(s, end + 1, VITP_SCRUB_ALNUM)) return false;
    return vitp_scrub_claim(span, at - 2, end, "[host]");
}

/* The dash of DESKTOP-1A2B3C4 and its kin, which Windows draws for a machine without a name. */
static VITP_NOINLINE bool vitp_scrub_unnamed(const vitp_scrub *s, size_t at, vitp_scrub_span *span)
{
    static const struct {
        char    word[8];
        uint8_t drawn;
    } names[] = {
        { "DESKTOP", 7 }, { "EC2AMAZ", 7 }, { "LAPTOP", 8 }, { "MININT", 7 }, { "WIN", 11 }
    };
    size_t start = vitp_scrub_back(s, at, VITP_SCRUB_CAPITALS, 8);
    size_t end = vitp_scrub_run(s, at + 1, VITP_SCRUB_CAPITALS, 12), i;

    if (vitp_scrub_is(vitp_scrub_before(s, start), VITP_SCRUB_WORD | VITP_SCRUB_SET(DASH)) ||
        vitp_scrub_goes_on(s, end) || !vitp_scrub_has(s, at + 1, end, VITP_SCRUB_SET(DIGIT)))
        return false;
    for (i = 0; i < sizeof names / sizeof *names; i++)
        if (end - at - 1 == names[i].drawn && strlen(names[i].word) == at - start &&
            vitp_scrub_starts(s, start, names[i].word))
            return vitp_scrub_claim(span, start, end, "[host]");
    return false;
}

/* The last ':' of a time at the start of a line of a log: the machine stands behind it, then the
   program and its number (Nov  3 09:00:01 web-4 cron[221]: ...). */
static VITP_NOINLINE bool vitp_scrub_logged_by(vitp_scrub *s, size_t at, vitp_scrub_span *span)
{
    const uint32_t digit = VITP_SCRUB_SET(DIGIT);
    const uint32_t name = VITP_SCRUB_WORD | VITP_SCRUB_SET(DOT) | VITP_SCRUB_SET(DASH);
    size_t         start = at + 4, end, program;

    if (at - s->floor < 6 || s->text[at - 3] != ':' ||
        vitp_scrub_run(s, at + 1, digit, 3) != at + 3 || vitp_scrub_back(s, at, digit, 3) != at - 2)
        return false;
    vitp_scrub_reads_on(s);
    end = vitp_scrub_run(s, start, name, 64);
    program = end + 1;
    if (end - start < 2 || vitp_scrub_at(s, end) != ' ' ||
        !vitp_scrub_has(s, start, end, VITP_SCRUB_LOWER)) /* INFO */
        return false;
    end = vitp_scrub_run(s, program, name | VITP_SCRUB_SET(SLASH), 48);
    if (end == program || vitp_scrub_at(s, end) != '[') return false;
    end = vitp_scrub_run(s, end + 1, digit, 10);
    return vitp_scrub_starts(s, end, "]:") && vitp_scrub_in(s, end - 1, digit) &&
           vitp_scrub_claim(span, start, program - 1, "[host]");
}

/* Is it one of many things with numbers (layer3, gpu0)? */
static bool vitp_scrub_is_noun(const vitp_scrub *s, size_t at)
{
    size_t end = vitp_scrub_run(s, at, VITP_SCRUB_LETTER, 16);

    return vitp_scrub_listed(s, at, end, ";=");
}

/* Does the label at `at` follow one whose words before the first dash begin it (db-0.db-svc)? So
   clusters name the members of a set. *start: of the first. */
static bool vitp_scrub_is_of_set(const vitp_scrub *s, size_t at, size_t *start)
{
    size_t first = vitp_scrub_back(s, at - 1, VITP_SCRUB_ALNUM | VITP_SCRUB_SET(DASH), 64);
    size_t dash = vitp_scrub_run(s, first, VITP_SCRUB_ALNUM, 32);

    *start = first;
    return dash - first > 1 && dash - first <= s->size - at && vitp_scrub_at(s, dash) == '-' &&
           memcmp(s->text + first, s->text + at, dash - first) == 0;
}

/* The ':' of db-1:5432: a name with a digit or dash before, four or five digits behind it. */
static VITP_NOINLINE bool vitp_scrub_with_port(const vitp_scrub *s, size_t at,
                                               vitp_scrub_span *span)
{
    const uint32_t set = VITP_SCRUB_ALNUM | VITP_SCRUB_SET(DASH);
    size_t         end = vitp_scrub_run(s, at + 1, VITP_SCRUB_SET(DIGIT), 6), start;

    if (end - at < 5 || end - at > 6 || vitp_scrub_goes_on(s, end)) return false;
    if (vitp_scrub_in(s, end,
                      VITP_SCRUB_SET(DOT) | VITP_SCRUB_SET(COLON) | VITP_SCRUB_SET(DASH) |
                          VITP_SCRUB_SET(UNDERSCORE)) &&
        (vitp_scrub_goes_on(s, end + 1) || vitp_scrub_at(s, end) == '_'))
        return false;
    start = vitp_scrub_back(s, at, set, 64);
    if (start > s->floor + 4 && s->text[start - 1] == '.' &&
        !vitp_scrub_is_of_set(s, start, &start))
        return false;
    if (at - start < 3 || !vitp_scrub_is(s->text[start], VITP_SCRUB_LETTER) ||
        !vitp_scrub_has(s, start, at, VITP_SCRUB_SET(DIGIT) | VITP_SCRUB_SET(DASH)))
        return false;
    if (vitp_scrub_is(vitp_scrub_before(s, start),
                      VITP_SCRUB_WORD | VITP_SCRUB_SET(DOT) | VITP_SCRUB_SLASHES |
                          VITP_SCRUB_SET(COLON) | VITP_SCRUB_SET(DOLLAR) | VITP_SCRUB_SET(HIGH) |
                          VITP_SCRUB_SET(BRACE)))
        return false;
    return !vitp_scrub_is_noun(s, start) && vitp_scrub_claim(span, start, at, "[host]");
}

/* ---- URLs and paths ---------------------------------------------------------------------- */

/* The ':' after a scheme: scheme://, scheme:\/\/ as JSON may have it, jdbc: and file:/. A slash is
   behind it, or a c before it. */
static VITP_NOINLINE bool vitp_scrub_url(const vitp_scrub *s, size_t at, vitp_scrub_span *span)
{
    size_t rest = at + 1;
    size_t start, end;

    start = vitp_scrub_back(s, at, VITP_SCRUB_SCHEME, 26);
    while (start < at && !vitp_scrub_is(s->text[start], VITP_SCRUB_LETTER)) start++;
    if (at - start < 2) return false;
    if (vitp_scrub_starts(s, rest, "//")) rest += 2;
    else if (vitp_scrub_starts(s, rest, "\\/\\/")) rest += 4;
    else if (!vitp_scrub_listed(s, start, at, ":") ||
             !(vitp_scrub_at(s, rest) == '/' || (vitp_text_lower(s->text[start]) == 'j' &&
                                                 vitp_scrub_in(s, rest, VITP_SCRUB_LETTER))))
        return false;
    end = vitp_scrub_marker(s, rest) ? rest : vitp_scrub_url_end(s, rest);
    return end > rest && vitp_scrub_claim(span, start, end, "[url]");
}

/* The first ':' of an Amazon resource name (arn:aws:...): account, user and folder are in it. */
static VITP_NOINLINE bool vitp_scrub_resource(const vitp_scrub *s, size_t at, vitp_scrub_span *span)
{
    size_t start = at - 3, end;

    if (at - s->floor < 3 || memcmp(s->text + start, "arn", 3) != 0 ||
        vitp_scrub_is(vitp_scrub_before(s, start), VITP_SCRUB_WORD) ||
        !vitp_scrub_starts(s, at, ":aws"))
        return false;
    if (vitp_scrub_starts(s, at, ":aws:iam::aws:")) return false; /* Amazon's own policies */
    end = vitp_scrub_url_end(s, at);
    return end > at + 8 && vitp_scrub_claim(span, start, end, "[id]");
}

/* Does the text that ends here have a file name's extension? */
static bool vitp_scrub_extension(const vitp_scrub *s, size_t end)
{
    size_t start = vitp_scrub_back(s, end, VITP_SCRUB_ALNUM, 6);

    return start < end && end - start < 6 && vitp_scrub_before(s, start) == '.' &&
           vitp_scrub_is(vitp_scrub_before(s, start - 1), VITP_SCRUB_WORD | VITP_SCRUB_SET(HIGH)) &&
           vitp_scrub_has(s, start, end, VITP_SCRUB_LETTER);
}

/* End of a path of the set that may have spaces: it goes on if one of the next `words` words has a
   separator or an extension. */
static size_t vitp_scrub_spaced(const vitp_scrub *s, size_t end, uint32_t set, uint32_t separator,
                                unsigned words)
{
    size_t at = end;

    while (words && vitp_scrub_at(s, at) == ' ' && !vitp_scrub_extension(s, end)) {
        size_t start = at + 1;

        at = vitp_scrub_run(s, start, set | separator, s->size);
        if (at == start || vitp_scrub_is(s->text[start], separator)) return end;
        if (vitp_scrub_has(s, start, at, separator) || vitp_scrub_extension(s, at)) end = at;
        else words--;
    }
    return end;
}

/* End of a path in quotes, if `start` follows one, else 0. */
static size_t vitp_scrub_in_quotes(const vitp_scrub *s, size_t start)
{
    char   quote = vitp_scrub_before(s, start);
    size_t end;

    if (!vitp_scrub_is(quote, VITP_SCRUB_QUOTES)) return 0;
    end = vitp_scrub_close(s, start, quote, true, 0);
    if (end == s->size) return 0;
    return vitp_scrub_at(s, end - 1) == '\\' ? end - 1 : end;
}

/* Where the path starts whose first '/' is at `at`; its size if nowhere. ~/ ~user/ $HOME/ ${HOME}/
   and an option's letter (-I/usr) may stand before. */
static size_t vitp_scrub_root(const vitp_scrub *s, size_t at)
{
    char   before = vitp_scrub_before(s, at);
    size_t start = before == '}' ? at - 1 : at;
    char   sign;

    if (before == '\\') /* \/ of JSON */
        return vitp_scrub_is(vitp_scrub_before(s, at - 1), VITP_SCRUB_WORD | VITP_SCRUB_SLASHES)
                   ? s->size
                   : at - 1;
    start = vitp_scrub_back(s, start, VITP_SCRUB_WORD, 32);
    sign = vitp_scrub_before(s, start);
    if (before == '}')
        return sign == '{' && vitp_scrub_before(s, start - 1) == '$' ? start - 2 : s->size;
    if (sign == '~' || (sign == '$' && start < at)) return start - 1;
    if (sign == '-' && at - start == 1)
        return vitp_scrub_is(before, VITP_SCRUB_LETTER) &&
                       !vitp_scrub_is(vitp_scrub_before(s, start - 1), VITP_SCRUB_WORD)
                   ? at
                   : s->size;
    return vitp_scrub_is(before, VITP_SCRUB_WORD | VITP_SCRUB_SLASHES | VITP_SCRUB_SET(DOT) |
                                     VITP_SCRUB_SET(BRACE)) ||
                   before == ')' || before == '<'
               ? s->size
               : at;
}

static VITP_NOINLINE bool vitp_scrub_path(vitp_scrub *s, size_t at, vitp_scrub_span *span)
{
    size_t   start = vitp_scrub_root(s, at);
    size_t   end = at;
    size_t   quoted;
    unsigned segments = start < at && vitp_scrub_before(s, at) != '\\';

    if (start == s->size) return false;
    if (vitp_scrub_is(vitp_scrub_before(s, start), VITP_SCRUB_QUOTES)) vitp_scrub_reads_on(s);
    while (vitp_scrub_at(s, end) == '/' || vitp_scrub_starts(s, end, "\\/") ||
           (end > at && vitp_scrub_starts(s, end, "\\ "))) {
        size_t first = end + 1 + (s->text[end] == '\\');

        if (first > end + 1 && s->text[end + 1] == ' ') vitp_scrub_reads_on(s);
        end = vitp_scrub_run(s, first, VITP_SCRUB_SEGMENT, s->size);
        if (end == first && segments == 0) return false;
        segments += end > first;
    }
    quoted = vitp_scrub_in_quotes(s, start);
    if (quoted > end && vitp_scrub_has(s, at + 1, quoted, VITP_SCRUB_SET(SLASH)) &&
        !vitp_scrub_has_marker(s, at, quoted))
        return vitp_scrub_claim(span, start, quoted, "[path]");
    if (segments < 2) return false;
    end = vitp_scrub_spaced(s, end, VITP_SCRUB_SEGMENT, VITP_SCRUB_SET(SLASH),
                            vitp_scrub_starts(s, at, "/Volumes/") ? 3 : 1);
    while (s->text[end - 1] == '.') end--;
    return vitp_scrub_claim(span, start, end, "[path]");
}

/* Claims a Windows path that starts at `start`, its first segment at `at`. */
static bool vitp_scrub_folders(const vitp_scrub *s, size_t start, size_t at, vitp_scrub_span *span)
{
    uint32_t set = VITP_SCRUB_FOLDER | VITP_SCRUB_SLASHES;
    size_t   end, quoted;

    if (!vitp_scrub_in(s, at, VITP_SCRUB_SEGMENT)) return false;
    end = vitp_scrub_run(s, at, set, s->size);
    quoted = vitp_scrub_in_quotes(s, start);
    if (quoted > at) return vitp_scrub_claim(span, start, quoted, "[path]");
    end = vitp_scrub_spaced(s, end, VITP_SCRUB_FOLDER, VITP_SCRUB_SLASHES, 3);
    while (end > at + 1 && vitp_scrub_is(s->text[end - 1], VITP_SCRUB_TAIL)) end--;
    return vitp_scrub_claim(span, start, end, "[path]");
}

/* The ':' of C:\ and C:/ (not of a://). */
static VITP_NOINLINE bool vitp_scrub_drive(const vitp_scrub *s, size_t at, vitp_scrub_span *span)
{
    size_t first = vitp_scrub_run(s, at + 1, VITP_SCRUB_SLASHES, 3);

    return first > at + 1 && !vitp_scrub_starts(s, at + 1, "//") && at > s->floor &&
           vitp_scrub_is(s->text[at - 1], VITP_SCRUB_LETTER) &&
           !vitp_scrub_is(vitp_scrub_before(s, at - 1), VITP_SCRUB_WORD) &&
           vitp_scrub_folders(s, at - 1, first, span);
}

/* The first letter behind a yen sign, which stands for a backslash: \Users\name. */
static VITP_NOINLINE bool vitp_scrub_yen(const vitp_scrub *s, size_t at, vitp_scrub_span *span)
{
    size_t start = at - 2;
    size_t end = vitp_scrub_run(s, at, VITP_SCRUB_SEGMENT, s->size);

    if (at - s->floor < 2 || memcmp(s->text + start, "\xC2\xA5", 2) != 0) return false;
    if (vitp_scrub_is(vitp_scrub_before(s, start), VITP_SCRUB_WORD)) return false;
    for (at++; at + 1 < end; at++)
        if (memcmp(s->text + at, "\xC2\xA5", 2) == 0) {
            if (vitp_scrub_before(s, start) == ':' && start - s->floor > 1) start -= 2;
            return vitp_scrub_claim(span, start, end, "[path]");
        }
    return false;
}

/* The first backslash of \\host\share (doubled: \\\\host\\share), \\?\ and \\.\, or of the one
   after %VARIABLE%. */
static VITP_NOINLINE bool vitp_scrub_unc(const vitp_scrub *s, size_t at, vitp_scrub_span *span)
{
    size_t host, end, wide, start;
    char   before = vitp_scrub_before(s, at);

    if (before == '\\' || vitp_scrub_is(before, VITP_SCRUB_WORD)) return false;
    host = vitp_scrub_run(s, at, VITP_SCRUB_SET(BACKSLASH), 5);
    wide = (host - at) / 2;
    if (before == '%' && host - at <= 2) {
        start = vitp_scrub_back(s, at - 1, VITP_SCRUB_WORD, 24);
        return start < at - 1 && vitp_scrub_before(s, start) == '%' &&
               vitp_scrub_folders(s, start - 1, host, span);
    }
    if (host - at != 2 && host - at != 4) return false;
    end = vitp_scrub_run(s, host, VITP_SCRUB_NAME | VITP_SCRUB_SET(HIGH), 64);
    if (vitp_scrub_at(s, host) == '?') end = host + 1;
    else if (end - host < 2 && vitp_scrub_at(s, host) != '.') return false;
    if (vitp_scrub_run(s, end, VITP_SCRUB_SET(BACKSLASH), 3) != end + wide) return false;
    end += wide;
    /* \\?\C:\ */
    if (vitp_scrub_at(s, end + 1) == ':' && vitp_scrub_at(s, end + 2) != '\\') return false;
    if (vitp_scrub_at(s, end + 1) == ':')
        end = vitp_scrub_run(s, end + 2, VITP_SCRUB_SET(BACKSLASH), 2);
    return vitp_scrub_folders(s, at, end, span);
}

/* ---- values of names --------------------------------------------------------------------- */

/* Does a word begin or end between the bytes at - 1 and at? */
static bool vitp_scrub_edge(const vitp_scrub *s, size_t start, size_t at, size_t end)
{
    if (at == start || at == end) return true;
    return !vitp_scrub_is(s->text[at - 1], VITP_SCRUB_LETTER) ||
           !vitp_scrub_is(s->text[at], VITP_SCRUB_LETTER) ||
           (vitp_scrub_is(s->text[at - 1], VITP_SCRUB_LOWER) &&
            vitp_scrub_is(s->text[at], VITP_SCRUB_UPPER));
}

/* Length of the word (behind its first dot), whose first letter stands at `at` of the name
   [start, end), if all of it does; or 0. */
static size_t vitp_scrub_word_length(const vitp_scrub *s, size_t start, size_t at, size_t end,
                                     const char *word)
{
    const uint32_t count = VITP_SCRUB_SET(DIGIT) | VITP_SCRUB_SET(UNDERSCORE);
    size_t         i = at + 1;

    for (word++; *word; word++) {
        char c = i < end ? s->text[i] : '\0';

        if (*word >= 'a') {
            if ((c | 0x20) != *word) return 0;
            i++;
            continue;
        }
        if (*word == '.') return vitp_scrub_edge(s, start, i, end) ? i - at : 0;
        if (*word == '$') return vitp_scrub_run(s, i, count, end - i) == end ? i - at : 0;
        i += c == '_' || c == '-' || c == '.' || c == ' ';
    }
    return i - at;
}

/* A word of the table, without the dot before it. */
static const char *vitp_scrub_word_of(unsigned row)
{
    return vitp_scrub_words[row] + (vitp_scrub_words[row][1] == '.' ? 2 : 1);
}

/* Sign of the word of vitp_scrub_words at `at`, its length in *length; or 0. */
static char vitp_scrub_word(const vitp_scrub *s, size_t start, size_t at, size_t end,
                            size_t *length)
{
    vitp_scrub_rows r;
    char            second = '\0', third;

    if (!vitp_scrub_is(s->text[at], VITP_SCRUB_LETTER)) return 0;
    if (at + 1 < end && vitp_scrub_is(s->text[at + 1], VITP_SCRUB_LETTER)) second = s->text[at + 1];
    r = vitp_scrub_rows_of(vitp_scrub_word_seconds, vitp_scrub_word_rows, s->text[at], second);
    third = at + 2 < end ? vitp_text_lower(s->text[at + 2]) : '\0';
    for (; r.row < r.stop; r.row++) {
        const char *word = vitp_scrub_word_of(r.row);

        if (word[2] != third && word[2] >= 'a') continue;
        if (word[-1] == '.' && !vitp_scrub_edge(s, start, at, end)) continue;
        *length = vitp_scrub_word_length(s, start, at, end, word);
        if (*length) return vitp_scrub_words[r.row][0];
    }
    return 0;
}

/* Does the last part of the name (from `at` on, after its key word) say it is none? */
static bool vitp_scrub_is_about(const vitp_scrub *s, size_t at, size_t end)
{
    size_t start = end;

    while (start > at && vitp_scrub_is(s->text[start - 1], VITP_SCRUB_LOWER)) start--;
    if (start == end)
        while (start > at && vitp_scrub_is(s->text[start - 1], VITP_SCRUB_UPPER)) start--;
    else if (start > at && vitp_scrub_is(s->text[start - 1], VITP_SCRUB_UPPER)) start--;
    return vitp_scrub_listed(s, start, end, "%");
}

/* Sign of the name that ends at `end` (see vitp_scrub_words), or 0; *start is where it begins. A
   key word may reach back over one space (api key). */
static char vitp_scrub_name(const vitp_scrub *s, size_t end, size_t *start)
{
    size_t at, first, length, after = end;
    char   sign = 0;

    *start = vitp_scrub_back(s, end, VITP_SCRUB_NAME, 40);
    if (end - *start < 2) return 0;
    at = vitp_scrub_before(s, *start) == ' ' && *start > s->floor
             ? vitp_scrub_back(s, *start - 1, VITP_SCRUB_NAME, 16)
             : *start;
    for (first = at; at < end;) {
        char found = vitp_scrub_word(s, first, at, end, &length);

        at += found ? length : 1;
        if (!found || at <= *start) continue;
        if (found == '-') sign = 0;
        else if (sign != '+') sign = found;
        after = at;
    }
    if (sign == '#' || sign == '!') return sign;
    return sign && (after == end || !vitp_scrub_is_about(s, after, end)) ? sign : '\0';
}

/* "password" in other languages, as it ends before a separator. */
static bool vitp_scrub_is_foreign(const vitp_scrub *s, size_t end)
{
    static const char *const words[] = {
        "\xD0\xBF\xD0\xB0\xD1\x80\xD0\xBE\xD0\xBB\xD1\x8C", /* Russian */
        "\xE5\xAF\x86\xE7\xA0\x81",
        "\xE5\xAF\x86\xE7\xA2\xBC",
        "\xE5\x8F\xA3\xE4\xBB\xA4",                                     /* Chinese */
        "\xE3\x83\x91\xE3\x82\xB9\xE3\x83\xAF\xE3\x83\xBC\xE3\x83\x89", /* Japanese */
        "\xED\x8C\xA8\xEC\x8A\xA4\xEC\x9B\x8C\xEB\x93\x9C",
        "\xEC\x95\x94\xED\x98\xB8",
        "\xEB\xB9\x84\xEB\xB2\x88",
        "\xEB\xB9\x84\xEB\xB0\x80\xEB\xB2\x88\xED\x98\xB8", /* Korean */
        "\xED\x86\xA0\xED\x81\xB0",                         /* the same, "token" */
        "\xE4\xBB\xA4\xE7\x89\x8C",                         /* Chinese */
        "\xE5\xAF\x86\xE9\x92\xA5",                         /* "key" */
        "contrase\303\261a", /* Spanish; octal, as "\xB1a" would be one character */
        "has\xC5\x82o",      /* Polish */
        "\xC5\x9Fifre",      /* Turkish */
        "l\xC3\xB6senord",   /* Swedish */
    };
    size_t i;

    for (i = 0; i < sizeof words / sizeof *words; i++) {
        size_t n = strlen(words[i]);

        if (n <= end - s->floor && memcmp(s->text + end - n, words[i], n) == 0) return true;
    }
    return false;
}

/* Does "password" in another language, or a name of a secret with a particle of Korean, end at
   `end`? */
static bool vitp_scrub_is_told_foreign(const vitp_scrub *s, size_t end)
{
    size_t start = vitp_scrub_back(s, end, VITP_SCRUB_SET(HIGH), 18), name;

    if (vitp_scrub_is_foreign(s, end)) return true;
    if (end - start < 3 || (memcmp(s->text + end - 3, "\xEB\x8A\x94", 3) != 0 &&
                            memcmp(s->text + end - 3, "\xEC\x9D\x80", 3) != 0))
        return false;
    if (vitp_scrub_is_foreign(s, end - 3)) return true;
    if (start - s->floor >= 3 && s->text[start - 2] == '/')
        return vitp_scrub_folds(s->text[start - 3], 'p') &&
               vitp_scrub_folds(s->text[start - 1], 'w');
    return vitp_scrub_name(s, start, &name) == '+';
}

/* The name in quotes before "value": "name":"PASSWORD","value":, key="Password" value= and
   "password": {"value":. */
static char vitp_scrub_pair_name(const vitp_scrub *s, size_t value, size_t *start)
{
    const uint32_t quotes = VITP_SCRUB_QUOTES | VITP_SCRUB_SET(BACKSLASH);
    size_t         open = vitp_scrub_back(s, value, quotes, 2);
    size_t         gap = vitp_scrub_back(s, open,
                                         VITP_SCRUB_SET(SPACE) | VITP_SCRUB_SET(LIST) |
                                             VITP_SCRUB_SET(COLON) | VITP_SCRUB_SET(BRACE),
                                         4);
    size_t         end = vitp_scrub_back(s, gap, quotes, 2);

    return gap < open && end < gap ? vitp_scrub_name(s, end, start) : '\0';
}

/* Does a name at `at` belong to a user: "user": {"name": "x"}, User(name=x)? */
static bool vitp_scrub_is_users(const vitp_scrub *s, size_t at)
{
    const uint32_t quotes = VITP_SCRUB_QUOTES | VITP_SCRUB_SET(BACKSLASH);
    size_t         open = vitp_scrub_back(s, at, quotes, 2), end, start;
    char           before = vitp_scrub_before(s, open);

    if ((before != '{' && before != '(') || open == s->floor) return false;
    end = vitp_scrub_back(
        s, open - 1, quotes | VITP_SCRUB_SET(SPACE) | VITP_SCRUB_SET(COLON) | VITP_SCRUB_SET(EQUAL),
        5);
    return vitp_scrub_name(s, end, &start) == '&';
}

/* The name that a separator's value belongs to where it does not stand before it:
   key="Password" value="x", and passwd: str = "x". *start: of the name before it. */
static char vitp_scrub_other_name(const vitp_scrub *s, size_t end, size_t *start)
{
    size_t type = end - *start > 16 ? end - 16 : *start;
    size_t before = vitp_scrub_back(s, type, VITP_SCRUB_SET(SPACE), 2);
    char   c = vitp_scrub_before(s, before);
    char   sign = 0;

    *start = type;
    if (end - type == 4 && vitp_scrub_starts(s, type, "name") && vitp_scrub_is_users(s, type))
        return '&';
    if (type > s->floor && vitp_scrub_is(s->text[type - 1], VITP_SCRUB_SET(HIGH)) &&
        vitp_scrub_is_foreign(s, end))
        return '+';
    if (type == end) return '\0';
    if (type > s->floor + 1 && end - type == 1 && s->text[type - 1] == '/' &&
        vitp_scrub_folds(s->text[type - 2], 'p') && vitp_scrub_folds(s->text[type], 'w'))
        return '+';
    if (c == ':' && before < type && before > s->floor)
        sign = vitp_scrub_name(s, before - 1, start);
    else if (end - type == 5 && vitp_text_lower(s->text[type]) == 'v' &&
             vitp_scrub_starts(s, type + 1, "alue"))
        sign = vitp_scrub_pair_name(s, type, start);
    return sign == '+' || sign == '?' ? sign : '\0';
}

/* Is it the {{ name }} of a template, as far as the text goes? */
static bool vitp_scrub_is_template(const vitp_scrub *s, size_t at)
{
    size_t end =
        vitp_scrub_run(s, at + 2,
                       VITP_SCRUB_NAME | VITP_SCRUB_QUOTES | VITP_SCRUB_SET(SPACE) |
                           VITP_SCRUB_SET(PAREN) | VITP_SCRUB_SET(LIST) | VITP_SCRUB_SET(WILD),
                       64);

    return vitp_scrub_starts(s, at, "{{") && (end == s->size || vitp_scrub_starts(s, end, "}}"));
}

/* Is it a command of PowerShell that makes a value (Read-Host, Get-Content)? */
static bool vitp_scrub_is_cmdlet(const vitp_scrub *s, size_t at)
{
    static const char *const verbs[] = { "ConvertFrom-", "ConvertTo-", "Get-",
                                         "Import-",      "New-",       "Read-" };
    size_t                   i;

    for (i = 0; i < sizeof verbs / sizeof *verbs; i++)
        if (vitp_scrub_starts(s, at, verbs[i]))
            return vitp_scrub_in(s, at + strlen(verbs[i]), VITP_SCRUB_UPPER);
    return false;
}

/* Is it a parameter of a statement (:password, @password, @p1, ?, ?1)? */
static bool vitp_scrub_is_parameter(const vitp_scrub *s, size_t at, size_t end)
{
    char   c = s->text[at], sign;
    size_t name;

    if (c == '?') return vitp_scrub_run(s, at + 1, VITP_SCRUB_SET(DIGIT), 3) == end;
    if (c == ':')
        return end > at + 1 &&
               !vitp_scrub_has(s, at + 1, end, ~(VITP_SCRUB_LOWER | VITP_SCRUB_SET(UNDERSCORE)));
    if (c != '@' || vitp_scrub_has(s, at + 1, end, ~VITP_SCRUB_WORD)) return false;
    if (end - at <= 4) return vitp_scrub_at(s, at + 1) == 'p';
    sign = vitp_scrub_name(s, end, &name);
    return sign == '+' || sign == '?';
}

/* Is it a variable of a shell, of PHP or of printf ($X, $$X, ${X}, $(x), $_POST['x'], %X%, %s)? */
static bool vitp_scrub_is_variable(const vitp_scrub *s, size_t at, size_t end)
{
    char   c = s->text[at];
    size_t word;

    if (c == '$' && vitp_scrub_at(s, at + 1) == '$') at++;
    word = vitp_scrub_run(s, at + 1, VITP_SCRUB_WORD, VITP_SCRUB_PROBE);
    if (c == '%' && vitp_scrub_at(s, word) == '%') return true;
    if (c == '$' && word > at + 1 && vitp_scrub_at(s, word) == '[') return true;
    return (word == end && (c == '$' || word - at <= 4)) || /* %s, %08x */
           vitp_scrub_in(s, at + 1, VITP_SCRUB_BRACKETS);
}

/* Is all of [at, end) a name in braces ({name}, { name }), as formats have it? */
static bool vitp_scrub_is_field(const vitp_scrub *s, size_t at, size_t end)
{
    return end > at + 2 && s->text[end - 1] == '}' && end - at <= 48 &&
           !vitp_scrub_has(s, at + 1, end - 1, ~(VITP_SCRUB_NAME | VITP_SCRUB_SET(SPACE))) &&
           !vitp_scrub_has(s, at + 1, end - 1, VITP_SCRUB_SET(DIGIT));
}

/* Does the sign with which the value begins say that it stands for another (${X}, $(x), $X, <x>,
   {{x}}, {x}, #{x}, %X%, ***)? */
static bool vitp_scrub_is_substitute(const vitp_scrub *s, size_t at, size_t end)
{
    char   c = s->text[at];
    size_t word;

    if (vitp_scrub_is(c, VITP_SCRUB_QUOTES | VITP_SCRUB_SET(BACKSLASH)) &&
        vitp_scrub_at(s, at + 1) == '$') { /* "'$X'", \\$X */
        end -= s->text[end - 1] == c;
        c = s->text[++at];
    }
    if (c == '$' || c == '%') return vitp_scrub_is_variable(s, at, end);
    if (c == '<' || c == '*' || (c == '{' && vitp_scrub_is_template(s, at))) return true;
    if ((c == '{' && vitp_scrub_is_field(s, at, end)) || vitp_scrub_starts(s, at, "#{") ||
        vitp_scrub_starts(s, at, "&lt;"))
        return true;
    if (vitp_scrub_is_parameter(s, at, end)) return true;
    if (c != '[' && c != '(') return false; /* [REDACTED], [], (), (known after apply) */
    word = vitp_scrub_run(s, at + 1, VITP_SCRUB_LETTER | VITP_SCRUB_SET(SPACE), 24);
    word = vitp_scrub_run(s, word, VITP_SCRUB_SET(WILD), 2); /* (char *) */
    return vitp_scrub_in(s, word, VITP_SCRUB_BRACKETS);
}

/* The same of what is no sign: XXX, x.y of code (process.env.X, os.environ["X"], self.password),
   f(x), X{. */
static bool vitp_scrub_is_reference(const vitp_scrub *s, size_t at, size_t end)
{
    char   c = s->text[at];
    size_t word;

    if (!vitp_scrub_is(c, VITP_SCRUB_WORD | VITP_SCRUB_SET(DOT)))
        return vitp_scrub_is_substitute(s, at, end);
    if (vitp_scrub_before(s, at) == ':' && vitp_scrub_before(s, at - 1) == '=' &&
        vitp_scrub_is_parameter(s, at - 1, end)) /* password=:password */
        return true;
    if ((c | 0x20) == 'x' && end > at + 2 &&
        vitp_scrub_distinct(s, at, end - at > VITP_SCRUB_PROBE ? at + VITP_SCRUB_PROBE : end) == 1)
        return true;
    word = vitp_scrub_run(s, at, VITP_SCRUB_LETTER, 16);
    if (vitp_scrub_at(s, word) == '.' && vitp_scrub_in(s, word + 1, VITP_SCRUB_LETTER) &&
        vitp_scrub_labeled(s, at, word, "."))
        return true;
    if (vitp_scrub_is(c, VITP_SCRUB_UPPER) &&
        !vitp_scrub_is(vitp_scrub_before(s, at), VITP_SCRUB_QUOTES) && vitp_scrub_is_cmdlet(s, at))
        return true;
    if (vitp_scrub_starts(s, at, "arn:aws")) return true; /* it goes by its own rule */
    if (vitp_scrub_is(vitp_scrub_before(s, at), VITP_SCRUB_QUOTES)) return false;
    if (word > at + 2 && vitp_scrub_at(s, word) == '{') return true; /* Token{id=1} */
    if (word > at + 2 && vitp_scrub_at(s, word) == '[' &&
        vitp_scrub_in(s, word + 1, VITP_SCRUB_QUOTES | VITP_SCRUB_SET(BACKSLASH)))
        return true; /* credentials["x"] */
    word = vitp_scrub_run(s, word, VITP_SCRUB_WORD | VITP_SCRUB_SET(DOT) | VITP_SCRUB_SET(COLON),
                          VITP_SCRUB_PROBE - (word - at));
    return word <= end && vitp_scrub_at(s, word) == '(';
}

/* Changes between letters and digits, and with `cases` between small letters and capitals; *kinds:
   which of them there are. */
static size_t vitp_scrub_changes(const vitp_scrub *s, size_t at, size_t end, bool cases,
                                 uint32_t *kinds)
{
    size_t   changes = 0;
    size_t   i;
    uint32_t last = 0;

    for (*kinds = 0, i = at; i < end; i++) {
        uint32_t set = vitp_scrub_set_of(s->text[i]);
        uint32_t kind = set & VITP_SCRUB_LOWER   ? VITP_SCRUB_LOWER
                        : set & VITP_SCRUB_UPPER ? VITP_SCRUB_UPPER
                                                 : set & VITP_SCRUB_SET(DIGIT);

        *kinds |= kind;
        if (!cases && (kind & VITP_SCRUB_LETTER)) kind = VITP_SCRUB_LETTER;
        changes += last && kind && kind != last;
        last = kind;
    }
    return changes;
}

/* There are many in what was drawn at random. */
static bool vitp_scrub_is_random(const vitp_scrub *s, size_t at, size_t end)
{
    uint32_t kinds;

    return vitp_scrub_changes(s, at, end, true, &kinds) * 3 > end - at;
}

/* Is [at, end) a path of identifiers (module.member)? */
static bool vitp_scrub_is_member(const vitp_scrub *s, size_t at, size_t end)
{
    size_t i;

    for (i = at; i < end; i++) {
        if (!vitp_scrub_is(s->text[i], VITP_SCRUB_WORD | VITP_SCRUB_SET(DOT))) return false;
        if ((i == at || s->text[i - 1] == '.') && !vitp_scrub_is(s->text[i], VITP_SCRUB_LETTER))
            return false;
    }
    return vitp_scrub_has(s, at, end, VITP_SCRUB_SET(DOT)) && !vitp_scrub_is_random(s, at, end);
}

/* Does nothing but the end of the line, punctuation, an option or the name of another value (User:
   ann Group Name: x) follow? */
static bool vitp_scrub_stands_alone(const vitp_scrub *s, size_t end)
{
    if (!vitp_scrub_in(s, end, VITP_SCRUB_SET(SPACE))) return true;
    end = vitp_scrub_run(s, end, VITP_SCRUB_SET(SPACE), 8);
    if (vitp_scrub_in(s, end, VITP_SCRUB_UPPER)) {
        size_t name = vitp_scrub_run(s, end, VITP_SCRUB_LETTER | VITP_SCRUB_SET(SPACE), 32);

        if (vitp_scrub_starts(s, name, ": ")) return true;
    }
    return (end == s->size && !s->more) ||
           vitp_scrub_in(s, end,
                         VITP_SCRUB_SET(LINE) | VITP_SCRUB_SET(DASH) | VITP_SCRUB_SET(WILD));
}

/* user:password or key: as some servers have it, and not $USER:$PASSWORD or user:${PASSWORD}? */
static bool vitp_scrub_credentials(const vitp_scrub *s, size_t at, size_t end)
{
    size_t most = end - at < 128 ? end - at : 128;
    size_t colon = vitp_scrub_run(s, at, ~VITP_SCRUB_SET(COLON), most);

    return !vitp_scrub_has_marker(s, at, end) && vitp_scrub_at(s, colon) == ':' &&
           (colon + 1 < end
                ? !vitp_scrub_starts(s, colon + 1, "${") &&
                      !vitp_scrub_starts(s, colon + 1, "$(") &&
                      (s->text[at] != '$' || s->text[colon + 1] != '$')
                : colon - at >= 8 && vitp_scrub_has(s, at, colon, VITP_SCRUB_SET(DIGIT)));
}

/* Is what stands before the value at `at` a name of a list with semicolons (Server=x;Password=)? */
static bool vitp_scrub_is_listed_pair(const vitp_scrub *s, size_t at)
{
    size_t name;

    if (vitp_scrub_before(s, at) != '=' || at == s->floor) return false;
    name = vitp_scrub_back(s, at - 1, VITP_SCRUB_NAME | VITP_SCRUB_SET(SPACE), 24);
    return name < at - 1 && name > s->floor && s->text[name - 1] == ';';
}

/* Is it a name of a secret itself: password = newPassword; or = var.password without quotes, in
   quotes the selector "#new-password"? In a connection string it is one. */
static bool vitp_scrub_is_own_name(const vitp_scrub *s, size_t at, size_t end)
{
    bool   quoted = vitp_scrub_is(vitp_scrub_before(s, at), VITP_SCRUB_QUOTES);
    size_t start;
    char   sign;

    if (quoted) {
        if (s->text[at] != '#') return false;
        at++;
        if (vitp_scrub_has(s, at, end, ~(VITP_SCRUB_LOWER | VITP_SCRUB_SET(DASH)))) return false;
    } else if (!vitp_scrub_has(s, at, end, ~(VITP_SCRUB_LOWER | VITP_SCRUB_SET(DASH)))) {
        if (vitp_scrub_name(s, end, &start) == '?' && start == at) return true; /* api-key */
        if (!vitp_scrub_in(s, end, VITP_SCRUB_SET(LIST) | VITP_SCRUB_SET(PAREN)) ||
            vitp_scrub_has(s, at, end, VITP_SCRUB_SET(DASH)) || vitp_scrub_is_listed_pair(s, at))
            return false;
    } else if (vitp_scrub_has(s, at, end, ~(VITP_SCRUB_WORD | VITP_SCRUB_SET(DOT))) ||
               !(vitp_scrub_in(s, end, VITP_SCRUB_SET(LIST) | VITP_SCRUB_SET(PAREN)) ||
                 vitp_scrub_is_member(s, at, end)) ||
               vitp_scrub_is_listed_pair(s, at)) {
        return false;
    }
    sign = vitp_scrub_name(s, end, &start);
    return (sign == '+' || sign == '?') && start == at;
}

/* Could eight bytes or more be no word: with a digit, or many letters that are of one case or drawn
   at random? */
static bool vitp_scrub_is_opaque(const vitp_scrub *s, size_t at, size_t end, bool digit)
{
    size_t probe = end - at > VITP_SCRUB_PROBE ? at + VITP_SCRUB_PROBE : end;

    if (digit) return true;
    return end - at >= 24 && !vitp_scrub_has(s, at, probe, ~VITP_SCRUB_LETTER) &&
           (!vitp_scrub_has(s, at, probe, VITP_SCRUB_LOWER) ||
            !vitp_scrub_has(s, at, probe, VITP_SCRUB_UPPER) || vitp_scrub_is_random(s, at, probe));
}

/* Could it be whatever its end? */
static bool vitp_scrub_may_be_opaque(vitp_scrub *s, size_t at)
{
    size_t probe = s->size - at > VITP_SCRUB_PROBE ? at + VITP_SCRUB_PROBE : s->size;

    return vitp_scrub_until(s, &s->wordy, VITP_SCRUB_SET(DIGIT), at, probe) < probe ||
           vitp_scrub_run(s, at, VITP_SCRUB_LETTER, 24) == at + 24;
}

/* Is [at, end) a value for a name of this sign? `loose`: what stands before it is found in prose
   too, so it must not look like a word of it. Reads VITP_SCRUB_PROBE bytes at most. */
static bool vitp_scrub_is_value(vitp_scrub *s, char sign, bool loose, size_t at, size_t end)
{
    size_t probe = end - at > VITP_SCRUB_PROBE ? at + VITP_SCRUB_PROBE : end;
    bool   digit, digits;

    if (at == end || (sign == '?' && end - at < 8)) return false;
    if (vitp_scrub_has_marker(s, at, probe - 1)) return false;
    digit = vitp_scrub_until(s, &s->wordy, VITP_SCRUB_SET(DIGIT), at, probe) < probe;
    digits = !vitp_scrub_has(s, at, probe, ~VITP_SCRUB_SET(DIGIT));
    if (sign == '?' && !vitp_scrub_is_opaque(s, at, end, digit)) return false;
    if (sign == '#' && (!digits || end - at > 10)) return false;
    if (digits && end - at < 4 && sign != '&') return false;
    if (sign == '&' && !vitp_scrub_credentials(s, at, end)) return false;
    if (vitp_scrub_is_reference(s, at, end)) return false;
    if (probe == end && vitp_scrub_listed(s, at, end, "0")) return false;
    if (!digit && probe == end && vitp_scrub_is_own_name(s, at, end)) return false;
    if (sign == '&' || sign == '#') return true;
    if (sign == '?') return !vitp_scrub_is_member(s, at, probe);
    if (!loose || (unsigned char)s->text[at] >= 0xF0u) return true; /* no letter of a language */
    if (vitp_scrub_is_member(s, at, probe)) return false;
    return digit || vitp_scrub_stands_alone(s, end) ||
           vitp_scrub_has(s, at, probe,
                          ~(VITP_SCRUB_NAME | VITP_SCRUB_SET(SPACE) | VITP_SCRUB_SET(COLON) |
                            VITP_SCRUB_SET(HIGH)));
}

/* End of a value without quotes: a bracket that begins no marker belongs to it. */
static size_t vitp_scrub_bare_end(vitp_scrub *s, size_t at, size_t most)
{
    size_t stop = most < s->size - at ? at + most : s->size;

    for (;; at++) {
        at = vitp_scrub_until(s, &s->bare, ~VITP_SCRUB_BARE, at, stop);
        if (at == stop || vitp_scrub_marker(s, at)) return at;
        if (s->text[at] != '(' && s->text[at] != '[') return at;
    }
}

/* The end without what closes the text around the value. */
static size_t vitp_scrub_trim(const vitp_scrub *s, size_t at, size_t end)
{
    const uint32_t closing =
        VITP_SCRUB_SET(BRACE) | VITP_SCRUB_SET(DOT) | VITP_SCRUB_SET(BACKSLASH);

    while (end > at && vitp_scrub_is(s->text[end - 1], closing)) end--;
    return end;
}

/* Do sixteen bytes without a blank stand here, a digit among them? */
static bool vitp_scrub_is_long(vitp_scrub *s, size_t at)
{
    size_t end = vitp_scrub_bare_end(s, at, VITP_SCRUB_PROBE);

    return end - at >= 16 && vitp_scrub_has(s, at, end, VITP_SCRUB_SET(DIGIT));
}

/* Claims the value of a header: up to `quote` or the end of the line. */
static bool vitp_scrub_header(vitp_scrub *s, size_t at, char quote, vitp_scrub_span *span)
{
    size_t word = at;
    size_t end = s->size - at < VITP_SCRUB_PROBE + 16 ? s->size : at + VITP_SCRUB_PROBE + 16;

    if (vitp_scrub_at(s, vitp_scrub_run(s, at, VITP_SCRUB_LETTER, 12)) != ' ' &&
        vitp_scrub_until(s, &s->plain, VITP_SCRUB_SET(DIGIT) | VITP_SCRUB_SET(EQUAL), at, end) ==
            end)
        return false;
    end = vitp_scrub_run(s, at, VITP_SCRUB_ALNUM, VITP_SCRUB_PROBE);
    word = vitp_scrub_run(s, end, VITP_SCRUB_SET(SPACE), 4);
    if (word == end ||
        !(vitp_scrub_listed(s, at, end, "@") ||
          (vitp_scrub_is(s->text[at], VITP_SCRUB_UPPER) && vitp_scrub_is_long(s, word))))
        word = at;
    end = vitp_scrub_bare_end(s, word, VITP_SCRUB_PROBE);
    if (end - word < 6 || vitp_scrub_marker(s, end) || vitp_scrub_is_reference(s, word, end))
        return false;
    if (!vitp_scrub_has(s, word, end, VITP_SCRUB_SET(DIGIT) | VITP_SCRUB_SET(EQUAL)) &&
        (word == at || end - word < 12 || vitp_scrub_in(s, end, VITP_SCRUB_SET(SPACE))))
        return false;
    for (end = at; end < s->size && !vitp_scrub_in(s, end, VITP_SCRUB_SET(LINE)); end++)
        if (s->text[end] == quote && vitp_scrub_is(quote, VITP_SCRUB_QUOTES)) break;
    while (vitp_scrub_is(s->text[end - 1], VITP_SCRUB_SET(SPACE) | VITP_SCRUB_SET(BACKSLASH)))
        end--;
    return vitp_scrub_claim(span, at, end, "[secret]");
}

/* Claims the value of a header X-...-Key to the end of the line, unless it is about a value. */
static bool vitp_scrub_header_line(const vitp_scrub *s, size_t at, vitp_scrub_span *span)
{
    size_t end = vitp_scrub_run(s, at, VITP_SCRUB_ALNUM, VITP_SCRUB_PROBE);

    if (end - at < 4 || vitp_scrub_listed(s, at, end, "0=")) return false;
    for (end = at; end < s->size; end++)
        if (vitp_scrub_in(s, end, VITP_SCRUB_SET(LINE) | VITP_SCRUB_QUOTES) ||
            vitp_scrub_marker(s, end))
            break;
    while (end > at && vitp_scrub_is(s->text[end - 1], VITP_SCRUB_SET(SPACE))) end--;
    return vitp_scrub_claim(span, at, end, "[secret]");
}

/* Behind the colour of a terminal (ESC [ ... m) that starts here. */
static size_t vitp_scrub_uncolored(const vitp_scrub *s, size_t at)
{
    size_t end;

    if (!vitp_scrub_starts(s, at, "\x1b[")) return at;
    end = vitp_scrub_run(s, at + 2, VITP_SCRUB_SET(DIGIT) | VITP_SCRUB_SET(LIST), 16);
    return vitp_scrub_at(s, end) == 'm' ? end + 1 : at;
}

/* {secret} as ODBC has it (}} stands for }), and the bytes of a C array; {name} stands for
   another. */
static bool vitp_scrub_braced(const vitp_scrub *s, size_t at, vitp_scrub_span *span)
{
    size_t end = at + 1;
    size_t stop = vitp_scrub_run(s, at, ~VITP_SCRUB_SET(LINE), 48);

    while (end < stop && !(s->text[end] == '}' && vitp_scrub_at(s, end + 1) != '}'))
        end += s->text[end] == '}' ? 2 : 1;
    if (end >= stop || end - at < 4 || s->text[at + 1] == '{') return false;
    return vitp_scrub_has(s, at + 1, end,
                          ~(VITP_SCRUB_NAME | VITP_SCRUB_SET(COLON) | VITP_SCRUB_SET(BRACE))) &&
           !vitp_scrub_has(s, at + 1, end, VITP_SCRUB_QUOTES | VITP_SCRUB_SET(OPEN)) &&
           vitp_scrub_claim(span, at + 1, end, "[secret]");
}

/* Is what stands in the quotes a label ("Password:")? */
static bool vitp_scrub_is_label(const vitp_scrub *s, size_t at, size_t end)
{
    return end > at && s->text[end - 1] == ':' &&
           !vitp_scrub_has(s, at, end, VITP_SCRUB_SET(DIGIT));
}

/* Is it a sentence ("This field is required.")? */
static bool vitp_scrub_is_sentence(const vitp_scrub *s, size_t at, size_t end)
{
    size_t probe = end - at > VITP_SCRUB_PROBE ? at + VITP_SCRUB_PROBE : end;

    return end - at > 8 && s->text[end - 1] == '.' &&
           vitp_scrub_is(s->text[at], VITP_SCRUB_UPPER) &&
           vitp_scrub_has(s, at, probe, VITP_SCRUB_SET(SPACE)) &&
           !vitp_scrub_has(s, at, probe, VITP_SCRUB_SET(DIGIT));
}

/* Does it say of the value what is wrong with it ("is too short", "can't be blank")? */
static bool vitp_scrub_is_complaint(const vitp_scrub *s, size_t at, size_t end)
{
    static const char *const verbs[] = { "are", "can", "cannot", "does", "doesn", "has",
                                         "is",  "may", "must",   "only", "should" };
    size_t                   word = vitp_scrub_run(s, at, VITP_SCRUB_LOWER, 8), i;

    for (i = 0; i < sizeof verbs / sizeof *verbs; i++)
        if (strlen(verbs[i]) == word - at && vitp_scrub_starts(s, at, verbs[i])) break;
    if (i == sizeof verbs / sizeof *verbs) return false;
    if (vitp_scrub_starts(s, word, "'t")) word += 2;
    return word < end && vitp_scrub_at(s, word) == ' ' &&
           vitp_scrub_run(s, word + 1, VITP_SCRUB_LOWER, 16) > word + 2;
}

/* Behind the texts in quotes that follow one, which `quote` closes at `end`, in a list. */
static size_t vitp_scrub_list_end(const vitp_scrub *s, size_t end, char quote)
{
    for (;;) {
        size_t next = vitp_scrub_run(s, end + 1, VITP_SCRUB_SET(SPACE) | VITP_SCRUB_SET(LIST), 2);

        if (vitp_scrub_at(s, end + 1) != ',' || vitp_scrub_at(s, next) != quote) return end;
        next = vitp_scrub_close(s, next + 1, quote, false, 0);
        if (next == s->size) return end;
        end = next;
    }
}

/* "user":"password", of which the first part ends at `end`. */
static bool vitp_scrub_two_parts(const vitp_scrub *s, size_t at, size_t end, vitp_scrub_span *span)
{
    if (vitp_scrub_at(s, at) == '$') return false; /* "$USER":"$PASSWORD" */
    end = vitp_scrub_run(s, end, ~VITP_SCRUB_BLANK, 128);
    return !vitp_scrub_has_marker(s, at, end) && vitp_scrub_claim(span, at, end, "[secret]");
}

/* Claims the value at `at` for a name of this sign that starts at `name`. */
static bool vitp_scrub_value_at(vitp_scrub *s, size_t at, char sign, bool loose, size_t name,
                                vitp_scrub_span *span)
{
    size_t end, open;
    char   quote = vitp_scrub_before(s, name);
    bool   list;

    at = vitp_scrub_uncolored(s, at);
    if (vitp_scrub_at(s, at) == '{' && sign == '+') return vitp_scrub_braced(s, at, span);
    list = vitp_scrub_at(s, at) == '[';
    if (list) {
        open = vitp_scrub_run(s, at + 1, VITP_SCRUB_SET(SPACE), 1);
        list = vitp_scrub_in(s, open, VITP_SCRUB_QUOTES);
        if (list) at = open;
    }
    open = vitp_scrub_run(s, at, VITP_SCRUB_SET(BACKSLASH), 3);

    /* b'...', r"...", @"..." */
    if (vitp_scrub_in(s, at, VITP_SCRUB_LETTER | VITP_SCRUB_SET(AT)) &&
        vitp_scrub_in(s, at + 1, VITP_SCRUB_QUOTES))
        open = at + 1;
    if (vitp_scrub_in(s, open, VITP_SCRUB_QUOTES)) {
        /* the quote of "Password:" closes the text that the name begins */
        if (s->text[open] == quote && s->text[open - 1] != '\\' &&
            !vitp_scrub_has(s, name, open, VITP_SCRUB_QUOTES))
            return false;
        quote = s->text[open];
        at = open + 1;
        if (sign == '!') return vitp_scrub_header(s, at, quote, span);
        end = vitp_scrub_close(s, at, quote, open > 0 && s->text[open - 1] == '\\', 2);
        vitp_scrub_reads_on(s);
        /* not closed: the text was cut */
        if (end == s->size) end = vitp_scrub_run(s, at, ~VITP_SCRUB_SET(LINE), s->size);
        if (sign == '&' && vitp_scrub_at(s, end) == quote && vitp_scrub_at(s, end + 1) == ':')
            return vitp_scrub_two_parts(s, at, end, span);
        if (sign == '&' && vitp_scrub_marker(s, end)) return false; /* as credentials has it */
        while (end > at && s->text[end - 1] == '\\') end--;
        if (vitp_scrub_is_label(s, at, end) || (list && vitp_scrub_is_sentence(s, at, end)) ||
            vitp_scrub_is_complaint(s, at, end) || !vitp_scrub_is_value(s, sign, loose, at, end))
            return false;
        if (list && vitp_scrub_at(s, end) == quote) end = vitp_scrub_list_end(s, end, quote);
        return vitp_scrub_claim(span, at, end, "[secret]");
    }
    if (sign == '!') return vitp_scrub_header(s, at, quote, span);
    if (sign == '?' && !vitp_scrub_may_be_opaque(s, at)) return false;
    end = vitp_scrub_bare_end(s, at, VITP_SCRUB_PROBE + 1);
    if (sign == '&' && end > at && s->text[end - 1] == ':' &&
        vitp_scrub_in(s, end, VITP_SCRUB_QUOTES))
        return vitp_scrub_two_parts(s, at, end, span); /* user:"password" */
    if (vitp_scrub_marker(s, end) ||
        !vitp_scrub_is_value(s, sign, loose, at, vitp_scrub_trim(s, at, end)))
        return false;
    if (end - at > VITP_SCRUB_PROBE) end = vitp_scrub_bare_end(s, end, s->size);
    return vitp_scrub_claim(span, at, vitp_scrub_trim(s, at, end), "[secret]");
}

/* password hunter22: a word of six bytes with letters and digits, perhaps behind the number of its
   kind (password 7 x, of Cisco). */
static bool vitp_scrub_told_password(vitp_scrub *s, size_t at, vitp_scrub_span *span)
{
    size_t end, trimmed;

    if (vitp_scrub_in(s, at, VITP_SCRUB_SET(DIGIT)) && vitp_scrub_at(s, at + 1) == ' ') at += 2;
    end = vitp_scrub_bare_end(s, at, VITP_SCRUB_PROBE + 1);
    trimmed = vitp_scrub_trim(s, at, end);
    if (trimmed - at < 6 || end - at > VITP_SCRUB_PROBE || vitp_scrub_marker(s, end)) return false;
    if (!vitp_scrub_has(s, at, trimmed, VITP_SCRUB_LETTER) ||
        !vitp_scrub_has(s, at, trimmed, VITP_SCRUB_SET(DIGIT)) ||
        vitp_scrub_has(s, at, trimmed,
                       VITP_SCRUB_SET(EQUAL) | VITP_SCRUB_BRACKETS | VITP_SCRUB_SLASHES))
        return false;
    return !vitp_scrub_listed(s, at, trimmed, "&;") &&
           vitp_scrub_is_value(s, '+', false, at, trimmed) &&
           vitp_scrub_claim(span, at, trimmed, "[secret]");
}

/* Is [at, end) no word of prose: drawn at random, or with a sign that no name has? */
static bool vitp_scrub_is_drawn(const vitp_scrub *s, size_t at, size_t end)
{
    return vitp_scrub_is_random(s, at, end) ||
           vitp_scrub_has(s, at, end, ~(VITP_SCRUB_NAME | VITP_SCRUB_SET(HIGH)));
}

/* The same of what is told: password - x. */
static bool vitp_scrub_told_drawn(vitp_scrub *s, size_t at, vitp_scrub_span *span)
{
    return vitp_scrub_told_password(s, at, span) && vitp_scrub_is_drawn(s, at, span->end);
}

/* Is [at, end) one of the short words for a password, in whatever case? */
static bool vitp_scrub_is_password_word(const vitp_scrub *s, size_t at, size_t end)
{
    static const char *const words[] = { "pw", "pwd", "pass", "passwd", "password" };

    return vitp_scrub_is_any(s, at, end, words, sizeof words / sizeof *words);
}

/* Behind the names of two values, ID/PW, id(pw) or user/password, of which the second starts at
   `word`: both values, ann/x, ann(x) or ann x, as one. */
static bool vitp_scrub_two_values(vitp_scrub *s, size_t word, vitp_scrub_span *span)
{
    const uint32_t between = VITP_SCRUB_SET(SPACE) | VITP_SCRUB_SET(COLON) | VITP_SCRUB_SET(EQUAL) |
                             VITP_SCRUB_SET(DASH) | VITP_SCRUB_SET(ANGLE) | VITP_SCRUB_SET(PAREN);
    const uint32_t beside = VITP_SCRUB_SET(SPACE) | VITP_SCRUB_SET(SLASH) | VITP_SCRUB_SET(LIST) |
                            VITP_SCRUB_SET(COLON) | VITP_SCRUB_SET(PAREN);
    size_t   end = vitp_scrub_run(s, word, VITP_SCRUB_LETTER, 9), at, first;
    unsigned words;

    if (!vitp_scrub_is_password_word(s, word, end)) return false;
    first = at = vitp_scrub_run(s, end, between, 5);
    if (at == end) return false;
    vitp_scrub_reads_on(s);
    for (words = 0; words < 3; words++) {
        size_t next;

        if (vitp_scrub_told_drawn(s, at, span))
            return words > 0 && vitp_scrub_claim(span, first, span->end, "[secret]");
        end = vitp_scrub_run(s, at, VITP_SCRUB_NAME | VITP_SCRUB_SET(AT), 64);
        next = vitp_scrub_run(s, end, beside, 4);
        if (end == at || next == end) return false;
        at = next;
    }
    return false;
}

/* Does a name of a user end here: id, user, username, login, account? */
static bool vitp_scrub_ends_user(const vitp_scrub *s, size_t end)
{
    static const char *const words[] = { "id", "user", "username", "login", "account" };
    size_t                   start = vitp_scrub_back(s, end, VITP_SCRUB_LETTER, 16), i;

    if (start == end) return vitp_scrub_is(vitp_scrub_before(s, end), VITP_SCRUB_SET(HIGH));
    for (i = 0; i < sizeof words / sizeof *words; i++)
        if (vitp_scrub_ends_in(s, start, end, words[i])) return true;
    return false;
}

/* The '/' of ann/hunter22! and of 10.0.0.9 (ann/hunter22): behind an address, or with a sign that
   no path has. */
static VITP_NOINLINE bool vitp_scrub_user_and_password(vitp_scrub *s, size_t at,
                                                       vitp_scrub_span *span)
{
    const uint32_t between = VITP_SCRUB_SET(SPACE) | VITP_SCRUB_SET(PAREN) | VITP_SCRUB_SET(LIST) |
                             VITP_SCRUB_SET(DASH) | VITP_SCRUB_SET(ANGLE);
    const uint32_t signs = VITP_SCRUB_SET(OTHER) | VITP_SCRUB_SET(DOLLAR);
    size_t         start = vitp_scrub_back(s, at, VITP_SCRUB_NAME, 40), gap;
    size_t         value = at + 1 + (vitp_scrub_at(s, at + 1) == '/');

    if (start == at || vitp_scrub_is(vitp_scrub_before(s, start), VITP_SCRUB_SLASHES)) return false;
    if (!vitp_scrub_told_password(s, value, span) || !vitp_scrub_is_random(s, value, span->end) ||
        !vitp_scrub_has(s, value, span->end, VITP_SCRUB_UPPER) ||
        !vitp_scrub_has(s, value, span->end, VITP_SCRUB_LOWER) ||
        vitp_scrub_in(s, span->end, VITP_SCRUB_SLASHES))
        return false;
    gap = vitp_scrub_back(s, start, between, 4);
    return ((gap == s->floor && gap > 0 && gap < start) ||
            vitp_scrub_has(s, value, span->end, signs)) &&
           vitp_scrub_claim(span, start, span->end, "[secret]");
}

/* The first '-' of password-x, PASS - x and password ---- x. */
static VITP_NOINLINE bool vitp_scrub_dashed(vitp_scrub *s, size_t at, vitp_scrub_span *span)
{
    size_t end = vitp_scrub_back(s, at, VITP_SCRUB_SET(SPACE), 32), value;

    if (!vitp_scrub_is_password_word(s, vitp_scrub_back(s, end, VITP_SCRUB_LETTER, 9), end))
        return false;
    value = vitp_scrub_run(s, at, VITP_SCRUB_SET(DASH), 32);
    if (end < at && value == at + 1 && vitp_scrub_at(s, value) != ' ') return false; /* -x */
    vitp_scrub_reads_on(s);
    value = vitp_scrub_run(s, value, VITP_SCRUB_SET(SPACE), 32);
    return vitp_scrub_told_drawn(s, value, span);
}

/* ---- hosts and users by the name of their value ------------------------------------------ */

/* Is [at, end) the name of one machine? `plain`: a word without digits and dots is enough. */
static bool vitp_scrub_is_machine(const vitp_scrub *s, size_t at, size_t end, bool plain)
{
    vitp_scrub_dotted d;
    uint32_t          sets = vitp_scrub_sets_of(s, at, end);
    bool              digit = (sets & VITP_SCRUB_SET(DIGIT)) != 0;

    if (at == end || !vitp_scrub_is(s->text[at], VITP_SCRUB_ALNUM)) return false;
    if (!plain && !digit && !(sets & VITP_SCRUB_SET(DOT))) return false;
    if (vitp_scrub_starts(s, at, "0x")) return false;
    if (!(sets & VITP_SCRUB_LETTER) || vitp_scrub_at(s, end) == '(' || vitp_scrub_marker(s, end))
        return false;
    d = vitp_scrub_dots(s, at);
    if (!digit && sets & VITP_SCRUB_SET(UNDERSCORE) && sets & VITP_SCRUB_UPPER)
        return false; /* SSL_CTX_free, EAI_NODATA */
    if (d.labels > 1 && d.end == end && vitp_scrub_listed(s, d.last, end, ".")) return false;
    if (vitp_scrub_listed(s, at, end, "=;0") ||
        (d.labels <= 3 && vitp_scrub_is_reference(s, at, end)))
        return false;
    if (d.labels > 1 && d.end == end) return plain || vitp_scrub_top_level(s, at, &d);
    if (plain) return true;
    return digit && vitp_scrub_is(s->text[at], VITP_SCRUB_LETTER) && end - at > 2 &&
           !vitp_scrub_in(s, end, VITP_SCRUB_SET(SLASH)) && !(sets & VITP_SCRUB_SET(UNDERSCORE));
}

/* The same of one person's account. */
static bool vitp_scrub_is_account(const vitp_scrub *s, size_t at, size_t end)
{
    size_t last = end;

    if (end - at < 2 || vitp_scrub_at(s, end) == '=' || vitp_scrub_marker(s, end)) return false;
    while (last > at && s->text[last - 1] != '\\') last--;
    return vitp_scrub_has(s, at, end, VITP_SCRUB_LETTER | VITP_SCRUB_SET(HIGH)) &&
           !vitp_scrub_listed(s, last, end, "=0") &&
           (vitp_scrub_starts(s, end, "(uid") ||
            (vitp_scrub_at(s, end) != '(' && !vitp_scrub_is_reference(s, at, end)));
}

#define VITP_SCRUB_MACHINE (VITP_SCRUB_WORD | VITP_SCRUB_SET(DOT) | VITP_SCRUB_SET(DASH))
#define VITP_SCRUB_ACCOUNT \
    (VITP_SCRUB_MACHINE | VITP_SCRUB_SET(HIGH) | VITP_SCRUB_SET(DOLLAR) | VITP_SCRUB_SET(BACKSLASH))

/* The end of a name without the dots and dashes behind it. */
static size_t vitp_scrub_name_end(const vitp_scrub *s, size_t at, uint32_t set)
{
    size_t end = vitp_scrub_run(s, at, set, 128);

    if (vitp_scrub_marker(s, end)) return at; /* it went on */
    while (end > at && vitp_scrub_is(s->text[end - 1], VITP_SCRUB_SET(DOT) | VITP_SCRUB_SET(DASH) |
                                                           VITP_SCRUB_SET(BACKSLASH)))
        end--;
    return end;
}

/* Does what follows end the sentence or go on as it does behind a name? */
static bool vitp_scrub_after_name(const vitp_scrub *s, size_t end)
{
    static const char words[][13] = { "NotReady",    "after ", "at ",     "by ",       "cannot ",
                                      "closed",      "could ", "does ",   "down",      "failed",
                                      "from ",       "has ",   "in ",     "is ",       "not ",
                                      "on ",         "port ",  "refused", "timed out", "to ",
                                      "unreachable", "using ", "via ",    "was ",      "with " };
    size_t            i, at = vitp_scrub_run(s, end, VITP_SCRUB_SET(SPACE), 2);
    char              c = vitp_scrub_at(s, at);

    if (at == end || at == s->size) return !vitp_scrub_marker(s, at);
    for (i = 0; i < sizeof words / sizeof *words && words[i][0] <= c; i++)
        if (words[i][0] == c && vitp_scrub_starts(s, at, words[i])) return true;
    return vitp_scrub_in(s, at,
                         VITP_SCRUB_SET(LINE) | VITP_SCRUB_SET(PAREN) | VITP_SCRUB_SET(OPEN));
}

/* Claims the host (sign @) or the user (&) at `at`. `tight`: its name stands directly before it,
   with no more than = between. */
static bool vitp_scrub_identity(vitp_scrub *s, size_t at, char sign, bool tight, bool loose,
                                vitp_scrub_span *span)
{
    size_t open = vitp_scrub_run(s, at, VITP_SCRUB_SET(BACKSLASH), 3);
    size_t end;
    bool   quoted = vitp_scrub_in(s, open, VITP_SCRUB_QUOTES | VITP_SCRUB_SET(OPEN));
    char   quote = vitp_scrub_at(s, open) == '[' ? ']' : vitp_scrub_at(s, open);

    if (quoted) at = open + 1;
    if (sign == '@' && vitp_scrub_starts(s, at, "tcp:")) at += 4;
    if (sign == '@' && vitp_scrub_starts(s, at, ".\\")) at += 2;
    if (sign == '&' && vitp_scrub_starts(s, at, "arn:aws")) return false; /* it goes whole */
    end = vitp_scrub_name_end(s, at, sign == '@' ? VITP_SCRUB_MACHINE : VITP_SCRUB_ACCOUNT);
    /* user@domain of one label, which is no mail */
    if (sign == '&' && vitp_scrub_at(s, end) == '@' &&
        !vitp_scrub_in(s, vitp_scrub_run(s, end + 1, VITP_SCRUB_LABEL, 64), VITP_SCRUB_SET(DOT)))
        end = vitp_scrub_name_end(s, end + 1, VITP_SCRUB_LABEL);
    if (sign == '&' && quoted && vitp_scrub_at(s, end) == ':') /* 'user:group' */
        end = vitp_scrub_name_end(s, end + 1, VITP_SCRUB_ACCOUNT);
    if (quoted) {
        size_t rest = sign == '@' && vitp_scrub_port(s, end)
                          ? vitp_scrub_run(s, end + 1, VITP_SCRUB_SET(DIGIT), 5)
                          : end;
        char   close = vitp_scrub_at(s, vitp_scrub_run(s, rest, VITP_SCRUB_SET(BACKSLASH), 3));

        if (close != quote && !(quote == '`' && close == '\'') && !(sign == '@' && close == ','))
            return false;
        if (sign == '&' && vitp_scrub_starts(s, end, "] -> [")) { /* of Samba: asked for, and who */
            size_t other = vitp_scrub_name_end(s, end + 6, VITP_SCRUB_ACCOUNT);

            if (vitp_scrub_at(s, other) == ']') end = other;
        }
    }
    if (sign == '@')
        return vitp_scrub_is_machine(s, at, end,
                                     quoted || tight ||
                                         (vitp_scrub_has(s, at, end, VITP_SCRUB_SET(DASH)) &&
                                          vitp_scrub_stands_alone(s, end))) &&
               vitp_scrub_claim_host(s, at, end, span);
    if (!vitp_scrub_is_account(s, at, end)) return false;
    if (vitp_scrub_at(s, end) == '@' || vitp_scrub_starts(s, end, "%40")) return false; /* mail */
    if (!quoted && !tight && vitp_scrub_is_member(s, at, end)) return false;
    if (!quoted && loose && !vitp_scrub_stands_alone(s, end) &&
        !(vitp_scrub_has(s, at, end, VITP_SCRUB_SET(DIGIT)) && vitp_scrub_after_name(s, end)))
        return false;
    if (!quoted && vitp_scrub_at(s, end) == '/' && vitp_scrub_told_password(s, end + 1, span))
        end = span->end; /* login: x/password */
    return vitp_scrub_claim(span, at, end, "[user]");
}

/* ---- names and their values -------------------------------------------------------------- */

/* May a name end here: two bytes of one, one behind a blank or slash, or another script's? Not
   where digits alone stand behind a colon (12:34). */
static bool vitp_scrub_ends_name(const vitp_scrub *s, size_t end)
{
    uint32_t last = vitp_scrub_set_of(vitp_scrub_before(s, end));

    if (!(last & VITP_SCRUB_NAME)) return (last & VITP_SCRUB_SET(HIGH)) != 0;
    return vitp_scrub_is(vitp_scrub_before(s, end - 1), VITP_SCRUB_NAME | VITP_SCRUB_SET(SPACE) |
                                                            VITP_SCRUB_SET(SLASH) |
                                                            VITP_SCRUB_SET(HIGH)) &&
           !((last & VITP_SCRUB_SET(DIGIT)) &&
             vitp_scrub_before(s, vitp_scrub_back(s, end, VITP_SCRUB_SET(DIGIT), 16)) == ':');
}

/* Where the value of a name in YAML begins that stands in the next line, which is indented: behind
   | or > (*marked), which may have a tag before them, or alone. Or 0. */
static size_t vitp_scrub_block(const vitp_scrub *s, size_t at, bool *marked)
{
    size_t line, value;

    if (vitp_scrub_at(s, at) == '!') {
        at = vitp_scrub_run(s, at + 1, VITP_SCRUB_NAME, 24);
        at = vitp_scrub_run(s, at, VITP_SCRUB_SET(SPACE), 1);
    }
    *marked = vitp_scrub_at(s, at) == '|' || vitp_scrub_at(s, at) == '>';
    if (*marked) at = vitp_scrub_run(s, at + 1, VITP_SCRUB_SET(DASH) | VITP_SCRUB_SET(PLUS), 1);
    line = vitp_scrub_run(s, at, VITP_SCRUB_SET(LINE), 2);
    value = vitp_scrub_run(s, line, VITP_SCRUB_SET(SPACE), 32);
    return line > at && value > line ? value : 0;
}

/* Does a port follow the name of a machine, perhaps in a quote? */
static bool vitp_scrub_has_port(const vitp_scrub *s, size_t at)
{
    size_t end, port;

    at = vitp_scrub_run(s, at, VITP_SCRUB_QUOTES | VITP_SCRUB_SET(BACKSLASH), 2);
    end = vitp_scrub_name_end(s, at, VITP_SCRUB_MACHINE);
    if (!vitp_scrub_port(s, end)) return false;
    port = vitp_scrub_run(s, end + 1, VITP_SCRUB_SET(DIGIT), 6);
    return port - end > (vitp_scrub_has(s, at, end, VITP_SCRUB_SET(DOT)) ? 4u : 2u);
}

/* Is what stands before the separator at `end` a name of programs (DB_HOST: db), and its
   value one word? */
static bool vitp_scrub_is_only(const vitp_scrub *s, size_t name, size_t end, size_t value)
{
    return vitp_scrub_has(s, name, end, VITP_SCRUB_SET(UNDERSCORE)) &&
           vitp_scrub_stands_alone(s, vitp_scrub_name_end(s, value, VITP_SCRUB_MACHINE));
}

/* Claims the value at `value` for a name of this sign that starts at `name`; the separator between
   them is at `at`. */
static bool vitp_scrub_value_behind(vitp_scrub *s, size_t at, size_t value, char sign, size_t name,
                                    vitp_scrub_span *span)
{
    bool   blank = vitp_scrub_is(s->text[value - 1], VITP_SCRUB_SET(SPACE));
    bool   loose = s->text[at] == ':' && blank, marked;
    size_t block;

    if (loose && sign != '!' && vitp_text_lower(s->text[name]) == 'x' && s->text[name + 1] == '-' &&
        vitp_scrub_header_line(s, value, span))
        return true;
    if (sign == ':' && !vitp_scrub_has_port(s, value)) return false;
    if (sign == '@' || sign == '&' || sign == ':')
        return vitp_scrub_identity(s, value, sign == '&' ? '&' : '@',
                                   sign == ':' || (s->text[at] != ':' && !blank) ||
                                       (sign == '@' && vitp_scrub_is_only(s, name, at, value)),
                                   loose, span);
    if (sign == '~') return vitp_scrub_bare_mac(s, value, span);
    if (s->text[at] == ':' && (sign == '+' || sign == '?') &&
        (block = vitp_scrub_block(s, value, &marked)) > 0)
        return marked ? vitp_scrub_value_at(s, block, sign, true, name, span)
                      : vitp_scrub_told_password(s, block, span);
    return vitp_scrub_value_at(s, value, sign, loose, name, span);
}

/* The value behind the separator, of `width` bytes, of a name that ends at `end`. */
static VITP_NOINLINE bool vitp_scrub_value_of(vitp_scrub *s, size_t end, size_t at, size_t width,
                                              vitp_scrub_span *span)
{
    char   sign;
    size_t name, value;

    sign = vitp_scrub_name(s, end, &name);
    if (!sign) sign = vitp_scrub_other_name(s, end, &name);
    if (!sign || (sign == '&' && end - name < 2)) return false;
    if (s->text[at] == '-' && (sign == '@' || sign == '&')) return false; /* the arrow of a type */
    if (vitp_scrub_before(s, name) == '{' && vitp_scrub_before(s, name - 1) == '$') return false;
    value = vitp_scrub_run(s, at + width, VITP_SCRUB_SET(EQUAL) | VITP_SCRUB_SET(COLON), 3);
    if (s->text[at] == ':' && value == at + 2 && s->text[at + 1] == ':' &&
        !(sign == '+' && vitp_scrub_at(s, value) == ' ')) /* of LDIF */
        return false;
    if (vitp_scrub_at(s, value) == '>') value++;
    value = vitp_scrub_run(s, value, VITP_SCRUB_SET(SPACE), 32);
    return vitp_scrub_reads_value(s, value, vitp_scrub_value_behind(s, at, value, sign, name, span),
                                  span);
}

/* The separator of name = value, in `width` bytes: = : := => == != and so on, %3D. */
static bool vitp_scrub_pair(vitp_scrub *s, size_t at, size_t width, vitp_scrub_span *span)
{
    char   before = vitp_scrub_before(s, at);
    size_t end = before == '!' || before == '?' ? at - 1 : at;

    if (before == '=' || before == ':' || end < s->floor + 2) return false;
    if (vitp_scrub_marker(s, at + width)) return false; /* that is its value */
    if (vitp_scrub_in(s, at + width, VITP_SCRUB_SET(LIST) | VITP_SCRUB_SET(AMPERSAND)))
        return false; /* it has none */
    if ((before == 'D' || before == 'd') && end - s->floor > 3 && s->text[end - 3] == '%' &&
        s->text[end - 2] == '5') { /* user[password]=x, in percent encoding */
        end -= 3;
    } else if (!vitp_scrub_is(before, VITP_SCRUB_NAME)) {
        end = vitp_scrub_back(s, end, VITP_SCRUB_SET(SPACE), 32);
        end = vitp_scrub_back(s, end,
                              VITP_SCRUB_QUOTES | VITP_SCRUB_SET(BACKSLASH) |
                                  VITP_SCRUB_SET(BRACE) | VITP_SCRUB_SET(PAREN),
                              4);
        if (before == ']') { /* password[0] = x */
            size_t number = vitp_scrub_back(s, end, VITP_SCRUB_SET(DIGIT), 4);

            if (vitp_scrub_before(s, number) == '[' && number > s->floor) end = number - 1;
        }
    }
    return vitp_scrub_ends_name(s, end) && vitp_scrub_value_of(s, end, at, width, span);
}

#define VITP_SCRUB_GAP (VITP_SCRUB_SET(SPACE) | VITP_SCRUB_SET(LIST) | VITP_SCRUB_SET(PAREN))

/* secret "x" not found: so clusters name an object, whose value they do not show. */
static bool vitp_scrub_is_named_secret(const vitp_scrub *s, size_t name, size_t end, size_t close)
{
    static const char *const rest[] = { " not found", " already exists", " is forbidden",
                                        " in namespace", " in the namespace" };
    size_t                   i, word = vitp_scrub_run(s, name, VITP_SCRUB_LETTER, end - name);

    if (word != end || vitp_text_lower(s->text[name]) != 's' || end - name > 7 ||
        !vitp_scrub_starts(s, name + 1, "ecret"))
        return false;
    close = vitp_scrub_run(s, close, VITP_SCRUB_QUOTES | VITP_SCRUB_SET(BACKSLASH), 2);
    for (i = 0; i < sizeof rest / sizeof *rest; i++)
        if (vitp_scrub_starts(s, close, rest[i])) return true;
    return false;
}

/* "field":"password","code":3: is what its quote closes behind `end` the name of a value itself? */
static bool vitp_scrub_is_next_name(const vitp_scrub *s, size_t end)
{
    end = vitp_scrub_run(s, end, VITP_SCRUB_QUOTES | VITP_SCRUB_SET(BACKSLASH), 2);
    return vitp_scrub_at(s, vitp_scrub_run(s, end, VITP_SCRUB_SET(SPACE), 1)) == ':';
}

/* newSecret("myToken"): is what the call is given a name of a secret in letters of both cases? */
static bool vitp_scrub_names_secret(const vitp_scrub *s, const vitp_scrub_span *span)
{
    size_t start;

    return !vitp_scrub_has(s, span->start, span->end, ~VITP_SCRUB_LETTER) &&
           vitp_scrub_is(s->text[span->start], VITP_SCRUB_LOWER) &&
           vitp_scrub_has(s, span->start, span->end, VITP_SCRUB_UPPER) &&
           vitp_scrub_name(s, span->end, &start) != '\0' && start == span->start;
}

/* The quote that opens a value after a name and a gap: password "x", PASSWORD('x'). */
static VITP_NOINLINE bool vitp_scrub_quoted(vitp_scrub *s, size_t at, vitp_scrub_span *span)
{
    size_t open = vitp_scrub_back(s, at, VITP_SCRUB_SET(BACKSLASH), 2);
    size_t end = vitp_scrub_back(s, open, VITP_SCRUB_GAP, 4);
    size_t word, name;
    char   sign;

    if (end == open) return false;
    word = vitp_scrub_back(s, end, VITP_SCRUB_LETTER, 4);
    sign = vitp_scrub_name(
        s, vitp_scrub_back(s, end, VITP_SCRUB_QUOTES | VITP_SCRUB_SET(BACKSLASH), 2), &name);
    if (!sign && vitp_scrub_listed(s, word, end, ">") && vitp_scrub_before(s, word) == ' ' &&
        word > s->floor) {
        sign = vitp_scrub_name(
            s, vitp_scrub_back(s, word - 1, VITP_SCRUB_QUOTES | VITP_SCRUB_SET(BACKSLASH), 2),
            &name);
        if (sign == '&' && (s->text[word] == 'i' || s->text[word] == 'w')) /* user is "x" */
            return vitp_scrub_identity(s, open, '&', false, false, span);
    }
    if ((sign == '@' || sign == '&') && s->text[end] == '(') { /* setHostName("x") */
        word = vitp_scrub_back(s, end, VITP_SCRUB_WORD, 32);
        return vitp_scrub_starts(s, word, "set") && vitp_scrub_in(s, word + 3, VITP_SCRUB_UPPER) &&
               vitp_scrub_identity(s, open, sign, true, false, span);
    }
    return (sign == '+' || sign == '?') && vitp_scrub_value_at(s, open, sign, true, name, span) &&
           !vitp_scrub_is_named_secret(s, name, end, span->end) &&
           !(vitp_scrub_at(s, end) == '(' && vitp_scrub_names_secret(s, span)) &&
           !(vitp_scrub_has(s, end, open, VITP_SCRUB_SET(LIST)) &&
             vitp_scrub_is_next_name(s, span->end));
}

/* The '(' of Credential("user", "secret"), auth=("user", "secret") and their kin: two or three
   texts, as one; of connect("host", "user", "secret") and PHP's __construct (sign 3) not two. */
static VITP_NOINLINE bool vitp_scrub_call(vitp_scrub *s, size_t at, vitp_scrub_span *span)
{
    static const char *const names[] = { "+auth",     "+authentication", "+credential",
                                         "+login",    "+credentials",    "+directoryentry",
                                         "+basic",    "?getenv",         "3connect",
                                         "3construct" };
    size_t   end = vitp_scrub_back(s, at, VITP_SCRUB_SET(SPACE) | VITP_SCRUB_SET(EQUAL), 3);
    size_t   start = vitp_scrub_back(s, end, VITP_SCRUB_LETTER, 40), first = at, value = at, i;
    unsigned texts;

    for (i = 0; i < sizeof names / sizeof *names; i++)
        if (vitp_scrub_ends_in(s, start, end, names[i] + 1)) break;
    if (i == sizeof names / sizeof *names) return false;
    vitp_scrub_reads_on(s);
    for (texts = 0; texts < 3; texts++) {
        size_t open = vitp_scrub_run(s, at + 1, VITP_SCRUB_SET(SPACE), 2);

        if (!vitp_scrub_in(s, open, VITP_SCRUB_QUOTES)) break;
        value = open;
        at = vitp_scrub_close(s, open + 1, s->text[open], false, 0);
        if (at == s->size) return false;
        if (vitp_scrub_at(s, ++at) != ',') {
            texts++;
            break;
        }
    }
    first = vitp_scrub_run(s, first + 1, VITP_SCRUB_SET(SPACE), 2) + 1;
    return texts > (names[i][0] == '3' ? 2u : 1u) &&
           vitp_scrub_value_at(s, value, names[i][0] == '?' ? '?' : '+', true, start, span) &&
           vitp_scrub_claim(span, first, span->end, "[secret]");
}

/* The dash, behind no name, that starts an option with a value: --password x, -Token x. */
static bool vitp_scrub_option(vitp_scrub *s, size_t at, vitp_scrub_span *span)
{
    size_t end, name, value;
    char   sign;
    bool   found;

    end = vitp_scrub_run(s, at, VITP_SCRUB_NAME, 40);
    if (end - at < 2 || !vitp_scrub_in(s, end, VITP_SCRUB_SET(SPACE))) return false;
    value = vitp_scrub_run(s, end, VITP_SCRUB_SET(SPACE), 8);
    if (vitp_scrub_at(s, value) == '-' || vitp_scrub_marker(s, value)) return false;
    sign = vitp_scrub_name(s, end, &name);
    if (sign == '@' && end - at > 3) /* --host x */
        found = vitp_scrub_identity(s, value, sign, true, false, span);
    else if (sign == '+' || sign == '?' || sign == '&')
        found =
            vitp_scrub_value_at(s, value, sign, sign != '+', name, span) &&
            (sign == '&' ||
             !vitp_scrub_listed(s, value, vitp_scrub_run(s, value, VITP_SCRUB_LETTER, 16), "="));
    else return false;
    return vitp_scrub_reads_value(s, value, found, span);
}

/* ---- numbers of persons ------------------------------------------------------------------ */

/* Sum of Luhn (ISO/IEC 7812-1) over the digits of [at, end): is it a multiple of ten? */
static bool vitp_scrub_luhn(const vitp_scrub *s, size_t at, size_t end)
{
    unsigned sum = 0, even = 0;

    while (end-- > at) {
        unsigned digit = (unsigned)(s->text[end] - '0');

        if (digit > 9) continue;
        if (even) digit = digit > 4 ? 2 * digit - 9 : 2 * digit;
        sum += digit;
        even = !even;
    }
    return sum % 10 == 0;
}

/* Is a number of this many digits, which begins with these four, one that banks give out? */
static bool vitp_scrub_issued(unsigned four, unsigned digits)
{
    static const struct {
        uint16_t from, to;
        uint8_t  least, most;
    } rows[] = {
        { 2221, 2720, 16, 16 }, { 3000, 3059, 14, 14 }, { 3400, 3499, 15, 15 },
        { 3528, 3589, 16, 19 }, { 3600, 3699, 14, 14 }, { 3700, 3799, 15, 15 },
        { 3800, 3999, 14, 14 }, { 4000, 4999, 13, 13 }, { 4000, 4999, 16, 16 },
        { 4000, 4999, 19, 19 }, { 5000, 5099, 16, 19 }, { 5100, 5599, 16, 16 },
        { 5600, 5899, 16, 19 }, { 6000, 6999, 16, 19 },
    };
    size_t i;

    for (i = 0; i < sizeof rows / sizeof *rows; i++)
        if (four >= rows[i].from && four <= rows[i].to && digits >= rows[i].least &&
            digits <= rows[i].most)
            return true;
    return false;
}

/* End of a number of 13 to 19 digits, in groups of four (4-6-5) or in one; *digits is their
   number. Or 0. */
static size_t vitp_scrub_grouped(const vitp_scrub *s, size_t at, unsigned *digits)
{
    size_t end = vitp_scrub_run(s, at, VITP_SCRUB_SET(DIGIT), 20);
    char   separator = vitp_scrub_at(s, end);

    *digits = (unsigned)(end - at);
    if (end - at == 4 && (separator == ' ' || separator == '-')) {
        while (*digits < 19 && vitp_scrub_at(s, end) == separator) {
            size_t next = vitp_scrub_run(s, end + 1, VITP_SCRUB_SET(DIGIT), 7);
            size_t size = next - end - 1;

            if (size == 0 || size > 6) break;
            *digits += (unsigned)size;
            end = next;
            if (size != 4 && size != 6) break;
        }
    }
    return *digits >= 13 && *digits <= 19 ? end : 0;
}

/* May a number begin here? Not in identifiers, versions and other numbers. */
static bool vitp_scrub_begins_number(const vitp_scrub *s, size_t at)
{
    const uint32_t inside = VITP_SCRUB_WORD | VITP_SCRUB_SET(DASH) | VITP_SCRUB_SET(DOT) |
                            VITP_SCRUB_SET(PLUS) | VITP_SCRUB_SET(HIGH);
    char before = vitp_scrub_before(s, at);

    return !vitp_scrub_is(before, inside) || (before == '.' && at - 1 == s->floor);
}

/* May it end here? */
static bool vitp_scrub_ends_number(const vitp_scrub *s, size_t end)
{
    if (vitp_scrub_goes_on(s, end) || vitp_scrub_in(s, end, VITP_SCRUB_SET(UNDERSCORE)))
        return false;
    return !vitp_scrub_in(s, end,
                          VITP_SCRUB_SET(DASH) | VITP_SCRUB_SET(DOT) | VITP_SCRUB_SET(COLON)) ||
           !vitp_scrub_in(s, end + 1, VITP_SCRUB_ALNUM);
}

static bool vitp_scrub_card(vitp_scrub *s, size_t at, vitp_scrub_span *span)
{
    unsigned digits, four = 0, i;
    size_t   end = vitp_scrub_grouped(s, at, &digits);

    if (vitp_scrub_at(s, at + 4) == ' ' && vitp_scrub_in(s, at + 5, VITP_SCRUB_SET(DIGIT)))
        vitp_scrub_reads_on(s);
    if (!end || !vitp_scrub_ends_number(s, end)) return false;
    for (i = 0; i < 4; i++) four = four * 10 + (unsigned)(s->text[at + i] - '0');
    if (digits == 19 && end - at == 19) return false; /* nanoseconds, or a key */
    return vitp_scrub_issued(four, digits) && vitp_scrub_luhn(s, at, end) &&
           vitp_scrub_distinct(s, at, end) > 1 && vitp_scrub_claim(span, at, end, "[card]");
}

/* Does a word of such a sign stand before the number, with no more than a few bytes between? */
static bool vitp_scrub_called(const vitp_scrub *s, size_t at, const char *called)
{
    const uint32_t between = VITP_SCRUB_QUOTES | VITP_SCRUB_SET(SPACE) | VITP_SCRUB_SET(COLON) |
                             VITP_SCRUB_SET(EQUAL) | VITP_SCRUB_SET(DASH) | VITP_SCRUB_BRACKETS |
                             VITP_SCRUB_SET(OTHER) | VITP_SCRUB_SET(UNDERSCORE) |
                             VITP_SCRUB_SET(DOT);
    size_t   end = at;
    unsigned i;

    for (i = 0; i < 3; i++) { /* phone number is, device id: */
        size_t start;

        end = vitp_scrub_back(s, end, between, 4);
        start = vitp_scrub_back(s, end, VITP_SCRUB_LETTER, 12);
        if (start == end) return false;
        if (vitp_scrub_listed(s, start, end, called)) return true;
        end = start;
    }
    return false;
}

/* Three digits and a dash of ddd-dd-dddd, or nine digits that are called so. */
static bool vitp_scrub_ssn(const vitp_scrub *s, size_t at, vitp_scrub_span *span)
{
    const uint32_t digit = VITP_SCRUB_SET(DIGIT);
    size_t         end = vitp_scrub_run(s, at, digit, 10), group = at + 3, serial = at + 5;

    if (end - at == 3) {
        group = at + 4;
        serial = at + 7;
        if (vitp_scrub_run(s, group, digit, 3) != at + 6 || vitp_scrub_at(s, at + 6) != '-' ||
            vitp_scrub_run(s, serial, digit, 5) != at + 11)
            return false;
        end = at + 11;
    } else if (!vitp_scrub_called(s, at, "+")) {
        return false;
    }
    if (vitp_scrub_starts(s, at, "000") || vitp_scrub_starts(s, at, "666") || s->text[at] == '9' ||
        vitp_scrub_starts(s, group, "00") || vitp_scrub_starts(s, serial, "0000"))
        return false;
    return vitp_scrub_ends_number(s, end) && vitp_scrub_claim(span, at, end, "[ssn]");
}

/* Fifteen digits that are called so. */
static bool vitp_scrub_imei(const vitp_scrub *s, size_t at, vitp_scrub_span *span)
{
    size_t end = at + 15;

    return vitp_scrub_ends_number(s, end) && vitp_scrub_luhn(s, at, end) &&
           vitp_scrub_called(s, at, "!") && vitp_scrub_claim(span, at, end, "[id]");
}

/* End of a number with single separators of telephones in it; *digits is how many it has. */
static size_t vitp_scrub_dialed(const vitp_scrub *s, size_t at, unsigned *digits, bool *parted)
{
    size_t end = at;

    for (*digits = 0, *parted = false; *digits < 16; at++) {
        char c = vitp_scrub_at(s, at);

        if (vitp_scrub_is(c, VITP_SCRUB_SET(DIGIT))) {
            ++*digits;
            end = at + 1;
            continue;
        }
        if (c != ' ' && c != '-' && c != '.' && c != '(' && c != ')' && c != '/') break;
        if (at > end + 1) break; /* one, or a bracket and a blank */
        *parted = true;
    }
    return end;
}

/* Is it the number of something that has no telephone (order number)? */
static bool vitp_scrub_counts_others(const vitp_scrub *s, size_t at)
{
    static const char *const words[] = {
        "account",  "article", "batch",    "build",  "case",    "catalog",  "customer",
        "document", "error",   "invoice",  "issue",  "item",    "job",      "line",
        "model",    "order",   "page",     "part",   "process", "product",  "record",
        "revision", "row",     "sequence", "serial", "ticket",  "tracking", "version",
    };
    size_t end = vitp_scrub_back(s, at, VITP_SCRUB_SET(SPACE) | VITP_SCRUB_SET(UNDERSCORE), 1);
    size_t start = vitp_scrub_back(s, end, VITP_SCRUB_LETTER, 12), i;

    for (i = 0; i < sizeof words / sizeof *words && start < end; i++)
        if (strlen(words[i]) == end - start && vitp_scrub_ends_in(s, start, end, words[i]))
            return true;
    return false;
}

/* Is it called the number of a telephone: phone 5550123, phone number is, sms to? 1: by a word that
   stands before other numbers too (number, call, cell, contact), which needs one in parts. */
static unsigned vitp_scrub_phoned(const vitp_scrub *s, size_t at)
{
    const uint32_t between = VITP_SCRUB_QUOTES | VITP_SCRUB_SET(SPACE) | VITP_SCRUB_SET(COLON) |
                             VITP_SCRUB_SET(EQUAL) | VITP_SCRUB_SET(DASH) | VITP_SCRUB_BRACKETS |
                             VITP_SCRUB_SET(OTHER) | VITP_SCRUB_SET(UNDERSCORE) |
                             VITP_SCRUB_SET(DOT);
    size_t   end = at, start;
    unsigned i, found = 0;

    for (i = 0; i < 3; i++) {
        end = vitp_scrub_back(s, end, between, 4);
        start = vitp_scrub_back(s, end, VITP_SCRUB_LETTER, 12);
        if (start == end) return found;
        if (vitp_scrub_listed(s, start, end, "*")) {
            if (found || !vitp_scrub_folds(s->text[start], 'n'))
                return found || !vitp_scrub_folds(s->text[start], 'c') ? 2 : 1;
            if (vitp_scrub_counts_others(s, start)) return 0;
            found = 1;
        } else if (found || !vitp_scrub_listed(s, start, end, ">0")) {
            return found;
        }
        end = start;
    }
    return found;
}

/* What may stand between the parts of a number. */
#define VITP_SCRUB_JOINS                                                                          \
    (VITP_SCRUB_SET(SPACE) | VITP_SCRUB_SET(DASH) | VITP_SCRUB_SET(SLASH) | VITP_SCRUB_SET(DOT) | \
     VITP_SCRUB_SET(PAREN))

/* + and a country code, or (ddd) ddd-dddd, or a number that is called one of a telephone. */
static bool vitp_scrub_phone(vitp_scrub *s, size_t at, vitp_scrub_span *span)
{
    unsigned digits, called = 2;
    bool     parted;
    char     c = s->text[at];
    size_t   end;

    if (c == '+'   ? !vitp_scrub_in(s, at + 1, VITP_SCRUB_SET(DIGIT)) || s->text[at + 1] == '0'
        : c == '(' ? vitp_scrub_at(s, at + 4) != ')'
                   : (called = vitp_scrub_phoned(s, at)) == 0)
        return false;
    end = vitp_scrub_dialed(s, at + (c == '+'), &digits, &parted);
    vitp_scrub_reads_on(s);
    if (called == 1 && !vitp_scrub_has(s, at, end, VITP_SCRUB_JOINS & ~VITP_SCRUB_SET(DOT)))
        return false;
    if (digits < 7 || digits > 15 || vitp_scrub_goes_on(s, end) ||
        vitp_scrub_in(s, end, VITP_SCRUB_SET(UNDERSCORE)) || vitp_scrub_port(s, end) ||
        vitp_scrub_is(vitp_scrub_before(s, at),
                      VITP_SCRUB_WORD | VITP_SCRUB_SET(PLUS) | VITP_SCRUB_SET(DOT)))
        return false;
    if (c == '+' && digits < (parted ? 8u : 9u)) return false;
    if (c == '(' && (digits != 10 || vitp_scrub_at(s, end - 5) != '-')) return false;
    return vitp_scrub_claim(span, at, end, "[phone]");
}

/* Length of an IBAN of the country (ISO 13616 registry), or 0. */
static size_t vitp_scrub_iban_length(const char country[2])
{
    static const char lengths[] =
        "AD24AE23AL28AT20AZ28BA20BE16BG22BH22BR29BY28CH21CR22CY28CZ24DE22DK18DO28EE20EG29ES24FI18"
        "FO18FR27GB22GE22GI23GL18GR27GT28HR21HU28IE22IL23IQ23IS26IT27JO30KW30KZ20LB28LC32LI21LT20"
        "LU20LV21LY25MC27MD24ME22MK19MR27MT31MU30NL18NO15PK24PL28PS29PT25QA29RO24RS22SA24SC31SE24"
        "SI19SK24SM27ST25SV28TL23TN24TR26UA29VA22VG24XK20";
    const char *row = lengths;

    while (*row && *row < country[0]) row += 4;
    while (*row == country[0] && row[1] != country[1]) row += 4;
    return *row == country[0] ? (size_t)(row[2] - '0') * 10 + (size_t)(row[3] - '0') : 0;
}

/* Two capitals, two check digits, then letters and digits, with or without blanks after each
   four; modulo 97 it is 1, with the first four at its end. */
static VITP_NOINLINE bool vitp_scrub_iban(vitp_scrub *s, size_t at, vitp_scrub_span *span)
{
    size_t   length, count, end = at, i;
    unsigned rest = 0, first = 0;

    if (vitp_scrub_run(s, at, VITP_SCRUB_UPPER, 3) != at + 2 ||
        vitp_scrub_run(s, at + 2, VITP_SCRUB_SET(DIGIT), 2) != at + 4)
        return false;
    length = vitp_scrub_iban_length(s->text + at);
    if (length) vitp_scrub_reads_on(s);
    for (count = 0; count < length; count += 4) {
        size_t group = length - count < 4 ? length - count : 4;

        end += count && vitp_scrub_at(s, end) == ' ';
        if (vitp_scrub_run(s, end, VITP_SCRUB_ALNUM, group) != end + group) return false;
        end += group;
    }
    if (length == 0 || vitp_scrub_goes_on(s, end)) return false;
    for (i = at; i < end; i++) {
        unsigned c = (unsigned char)vitp_text_lower(s->text[i]);

        if (i == at + 4) first = rest, rest = 0;
        if (c != ' ') rest = c <= '9' ? rest * 10 + c - '0' : rest * 100 + c - 'a' + 10;
        if (i > at + 4) rest %= 97;
    }
    return (rest * 1000000 + first) % 97 == 1 && vitp_scrub_claim(span, at, end, "[iban]");
}

/* The first digit of a number. */
static VITP_NOINLINE bool vitp_scrub_number(vitp_scrub *s, size_t at, vitp_scrub_span *span)
{
    size_t n;
    char   next;

    if (vitp_scrub_before(s, at) == '.' &&
        vitp_scrub_is(vitp_scrub_before(s, at - 1), VITP_SCRUB_SET(DIGIT)))
        return false; /* inside of a number with dots */
    n = vitp_scrub_run(s, at, VITP_SCRUB_SET(DIGIT), 20) - at;
    next = vitp_scrub_at(s, at + n);
    if (next == '.' && n <= 3 && vitp_scrub_ipv4(s, at, span)) return true;
    if (vitp_scrub_begins_number(s, at) &&
        (((n == 4 || n >= 13) && vitp_scrub_card(s, at, span)) ||
         (((n == 3 && next == '-') || n == 9) && vitp_scrub_ssn(s, at, span)) ||
         (n == 15 && vitp_scrub_imei(s, at, span))))
        return true;
    return (n >= 7 || (n >= 2 && vitp_scrub_is(next, VITP_SCRUB_JOINS))) &&
           vitp_scrub_phone(s, at, span);
}

/* ---- secrets of commands and prose ------------------------------------------------------- */

/* The dash, behind a blank, of -p x, -P x, -pw x, -px, -a x or -w x of a command on the same
   line. */
static bool vitp_scrub_command_password(vitp_scrub *s, size_t at, vitp_scrub_span *span)
{
    char   letter = vitp_scrub_at(s, at + 1);
    size_t value = at + 2, blank;

    if (s->line.command == 0 || (letter != s->line.letter && letter != 'P')) return false;
    if (letter == 'P' && s->line.letter != 'p') return false;
    for (; s->line.seen < at; s->line.seen++)
        if (vitp_scrub_in(s, s->line.seen, VITP_SCRUB_SET(LINE))) {
            s->line.command = 0;
            return false;
        }
    vitp_scrub_reads_on(s);
    if (vitp_scrub_starts(s, value, "w ")) value++;
    blank = vitp_scrub_run(s, value, VITP_SCRUB_SET(SPACE), 4);
    if (s->line.attached ? blank > value || letter == 'P' : blank == value && letter == 'P')
        return false;
    return vitp_scrub_value_at(s, blank, '+', false, at + 1, span);
}

/* The same, of any bytes, that ends the line. */
static bool vitp_scrub_told_last(vitp_scrub *s, size_t at, vitp_scrub_span *span)
{
    size_t end = vitp_scrub_run(s, at, ~(VITP_SCRUB_BLANK | VITP_SCRUB_QUOTES), VITP_SCRUB_PROBE);

    if (end - at < 6 || vitp_scrub_marker(s, end) ||
        !(end == s->size || vitp_scrub_in(s, end, VITP_SCRUB_SET(LINE))))
        return false;
    return vitp_scrub_has(s, at, end, VITP_SCRUB_LETTER) &&
           vitp_scrub_has(s, at, end, VITP_SCRUB_SET(DIGIT)) &&
           vitp_scrub_is_value(s, '+', false, at, end) &&
           vitp_scrub_claim(span, at, end, "[secret]");
}

/* password for x is y, or : y, where x has three words at most: both go. */
static bool vitp_scrub_told_whose(vitp_scrub *s, size_t at, vitp_scrub_span *span)
{
    size_t   end = at, value, close;
    unsigned words;

    for (words = 0; words < 3; words++) {
        end = vitp_scrub_run(s, end, VITP_SCRUB_QUOTES, 1);
        end = vitp_scrub_run(s, end, VITP_SCRUB_NAME | VITP_SCRUB_SET(AT), 64);
        end = vitp_scrub_run(s, end, VITP_SCRUB_QUOTES, 1);
        if (vitp_scrub_starts(s, end, " is ") || vitp_scrub_at(s, end) == ':') break;
        if (vitp_scrub_at(s, end) != ' ') return false;
        end++;
    }
    if (words == 3) return false;
    value = vitp_scrub_at(s, end) == ':' ? vitp_scrub_run(s, end + 1, VITP_SCRUB_SET(SPACE), 1)
                                         : end + 4;
    if (!vitp_scrub_in(s, value, VITP_SCRUB_QUOTES)) {
        if (!vitp_scrub_told_last(s, value, span) && !vitp_scrub_told_password(s, value, span))
            return false;
    } else {
        close = vitp_scrub_close(s, value + 1, s->text[value], false, 0);
        if (close == s->size || !vitp_scrub_is_value(s, '+', false, value + 1, close)) return false;
        span->end = close;
    }
    return vitp_scrub_claim(span, at, span->end, "[secret]");
}

/* ---- names after words of prose ---------------------------------------------------------- */

/* Is it the address of a machine, or its marker? */
static bool vitp_scrub_is_address(const vitp_scrub *s, size_t at)
{
    return vitp_scrub_marker(s, at) || vitp_scrub_quad(s, at, '.') || vitp_scrub_groups(s, at);
}

/* Is the machine [at, end) told from other words by what is beside it: x (10.0.0.9), to x:5432 with
   the port before `port`, x, port 5432, x closed by remote host? */
static bool vitp_scrub_is_addressed(const vitp_scrub *s, size_t at, size_t end, size_t port)
{
    if (vitp_scrub_starts(s, end, " (") && vitp_scrub_has(s, at, end, VITP_SCRUB_SET(DASH)))
        return vitp_scrub_in(s, end + 2, VITP_SCRUB_SET(DIGIT)) || vitp_scrub_marker(s, end + 2);
    if (vitp_scrub_starts(s, end, ", port ") ||
        vitp_scrub_starts(s, end, " closed by remote host") ||
        vitp_scrub_starts(s, end, " not responding, still trying")) /* of NFS */
        return true;
    return port > end + 2 && at - s->floor > 3 &&
           (port > end + 4 || !vitp_scrub_has(s, at, end, VITP_SCRUB_SET(DOT))) &&
           (memcmp(s->text + at - 3, "to ", 3) == 0 || memcmp(s->text + at - 3, "on ", 3) == 0 ||
            memcmp(s->text + at - 3, "at ", 3) == 0);
}

/* Claims the host of the line by which Linux tells its version: Linux x 6.1.0-28 #1-a SMP. */
static bool vitp_scrub_kernel_of(const vitp_scrub *s, size_t smp, vitp_scrub_span *span)
{
    size_t build, version, start;

    if (smp - s->floor < 20 || s->text[smp - 1] != ' ') return false;
    build = vitp_scrub_back(s, smp - 1, ~VITP_SCRUB_BLANK, 40);
    if (build - s->floor < 12 || s->text[build] != '#' || s->text[build - 1] != ' ') return false;
    version = vitp_scrub_back(s, build - 1, VITP_SCRUB_MACHINE, 64);
    if (version - s->floor < 8 || !vitp_scrub_is(s->text[version], VITP_SCRUB_SET(DIGIT)) ||
        s->text[version - 1] != ' ')
        return false;
    start = vitp_scrub_back(s, version - 1, VITP_SCRUB_MACHINE, 64);
    return start - s->floor >= 6 && memcmp(s->text + start - 6, "Linux ", 6) == 0 &&
           vitp_scrub_is_machine(s, start, version - 1, true) &&
           vitp_scrub_claim(span, start, version - 1, "[host]");
}

/* Claims the user to whom a repository is denied: Permission to x/y.git denied to z. */
static bool vitp_scrub_denied(const vitp_scrub *s, size_t at, size_t user, vitp_scrub_span *span)
{
    size_t end = vitp_scrub_name_end(s, user, VITP_SCRUB_ACCOUNT);

    return at - s->floor > 5 && memcmp(s->text + at - 5, ".git ", 5) == 0 &&
           vitp_scrub_is_account(s, user, end) && vitp_scrub_claim(span, user, end, "[user]");
}

/* Claims the value of the name before a type of the registry: Password REG_SZ x. */
static bool vitp_scrub_registry(vitp_scrub *s, size_t type, size_t at, vitp_scrub_span *span)
{
    size_t end = vitp_scrub_back(s, type, VITP_SCRUB_SET(SPACE), 8), name;
    char   sign;

    if (end == type) return false;
    sign = vitp_scrub_name(s, end, &name);
    at = vitp_scrub_run(s, at, VITP_SCRUB_SET(SPACE), 8);
    if (sign == '@' || sign == '&') return vitp_scrub_identity(s, at, sign, true, false, span);
    return (sign == '+' || sign == '?') && vitp_scrub_value_at(s, at, sign, false, name, span);
}

/* What stands before and behind a user whom a phrase follows, which begins with the letter. */
typedef struct vitp_scrub_frame {
    char        letter;
    const char *before, *behind;
} vitp_scrub_frame;

/* Claims the user before a phrase. */
static bool vitp_scrub_named_before(const vitp_scrub *s, size_t at, vitp_scrub_span *span)
{
    static const vitp_scrub_frame frames[] = {
        { 'c', "(", ") " },            /* (x) CMD ( */
        { 'f', "[", "] " },            /* [x] FAIL LOGIN */
        { 'o', "[", "] " },            /* [x] OK LOGIN */
        { 'n', "'", "': " },           /* 'x': no such user */
        { 'p', ") ", " on " },         /* (to root) x on pts/0 */
        { 's', "", " is not in the " } /* x is not in the sudoers file */
    };
    const vitp_scrub_frame *f = frames;
    size_t                  before, behind, end, start;

    while (f < frames + 5 && !vitp_scrub_folds(s->text[at], f->letter)) f++;
    before = strlen(f->before);
    behind = strlen(f->behind);
    if (at - s->floor <= behind || memcmp(s->text + at - behind, f->behind, behind) != 0)
        return false;
    end = at - behind;
    start = vitp_scrub_back(s, end, VITP_SCRUB_ACCOUNT, 40);
    if (start - s->floor < before || memcmp(s->text + start - before, f->before, before) != 0)
        return false;
    return vitp_scrub_is_account(s, start, end) && vitp_scrub_claim(span, start, end, "[user]");
}

/* Claims the name after a phrase. */
static bool vitp_scrub_named(vitp_scrub *s, size_t at, char sign, vitp_scrub_span *span)
{
    bool   quoted = vitp_scrub_in(s, vitp_scrub_run(s, at, VITP_SCRUB_SET(BACKSLASH), 3),
                                  VITP_SCRUB_QUOTES | VITP_SCRUB_SET(OPEN));
    size_t end, port;
    bool   digit, plain;

    if (quoted)
        return vitp_scrub_identity(s, at,
                                   sign == '*' || sign == '?'    ? '@'
                                   : sign == '\'' || sign == '+' ? '&'
                                                                 : sign,
                                   false, false, span) &&
               !vitp_scrub_starts(s, span->end + 1, " given "); /* input columns */
    if (sign == '\'') return false;
    if (sign == '?') { /* of Go */
        end = vitp_scrub_name_end(s, at, VITP_SCRUB_MACHINE);
        return (vitp_scrub_starts(s, end, " on ") || vitp_scrub_starts(s, end, ": no such host") ||
                vitp_scrub_starts(s, end, ": server misbehaving")) &&
               vitp_scrub_is_machine(s, at, end, true) && vitp_scrub_claim_host(s, at, end, span);
    }
    if (sign == '*' || sign == '@') {
        end = vitp_scrub_name_end(s, at, VITP_SCRUB_MACHINE);
        port = vitp_scrub_port(s, end) ? vitp_scrub_run(s, end + 1, VITP_SCRUB_SET(DIGIT), 5) : end;
        plain = sign == '@' || vitp_scrub_is_addressed(s, at, end, port);
        return vitp_scrub_is_machine(s, at, end, plain) &&
               (vitp_scrub_after_name(s, port) || vitp_scrub_starts(s, end, ", port ")) &&
               vitp_scrub_claim_host(s, at, end, span);
    }
    if (sign == ':') { /* sudo:   x : TTY=... */
        at = vitp_scrub_run(s, at, VITP_SCRUB_SET(SPACE), 16);
        end = vitp_scrub_name_end(s, at, VITP_SCRUB_ACCOUNT);
        return vitp_scrub_starts(s, end, " : ") && vitp_scrub_is_account(s, at, end) &&
               vitp_scrub_claim(span, at, end, "[user]");
    }
    end = vitp_scrub_name_end(s, at, VITP_SCRUB_ACCOUNT);
    digit = end - at > 3 && vitp_scrub_is(s->text[at], VITP_SCRUB_LETTER) &&
            vitp_scrub_has(s, at, end, VITP_SCRUB_SET(DIGIT) | VITP_SCRUB_SET(BACKSLASH));
    if (sign == '+' && (!digit || vitp_scrub_is_noun(s, at)) &&
        !(vitp_scrub_starts(s, end, " from ") && vitp_scrub_is_address(s, end + 6)))
        return false;
    return (digit || vitp_scrub_after_name(s, end) ||
            (vitp_scrub_at(s, end) == ' ' && vitp_scrub_is_address(s, end + 1))) &&
           vitp_scrub_is_account(s, at, end) && vitp_scrub_claim(span, at, end, "[user]");
}

/* Is it part of a key of the registry (HKLM\SOFTWARE, HKLM:\SOFTWARE)? */
static bool vitp_scrub_is_key(const vitp_scrub *s, size_t at)
{
    const uint32_t set = VITP_SCRUB_WORD | VITP_SCRUB_SET(COLON) | VITP_SCRUB_SET(BACKSLASH);

    return vitp_scrub_starts(s, vitp_scrub_back(s, at, set, 40), "HK");
}

/* Is it what Windows counts devices, objects and services under (PCI\VEN_8086, ROOT\CIMV2)? */
static bool vitp_scrub_is_bus(const vitp_scrub *s, size_t at, size_t end)
{
    static const char *const buses[] = { "ACPI",    "APPPOOL", "BTHENUM", "DISPLAY",
                                         "HDAUDIO", "HID",     "IDE",     "MONITOR",
                                         "PCI",     "ROOT",    "SCSI",    "SERVICE",
                                         "SWD",     "STORAGE", "USB",     "USBSTOR" };
    size_t                   i;

    for (i = 0; i < sizeof buses / sizeof *buses; i++)
        if (strlen(buses[i]) == end - at && vitp_scrub_starts(s, at, buses[i])) return true;
    return false;
}

/* The backslash of DOMAIN\user, where it is no escape of a letter and no path. */
static VITP_NOINLINE bool vitp_scrub_domain_user(const vitp_scrub *s, size_t at,
                                                 vitp_scrub_span *span)
{
    static const char escapes[] = "nrtbfvux0";
    size_t start = vitp_scrub_back(s, at, VITP_SCRUB_CAPITALS | VITP_SCRUB_SET(DASH), 16);
    size_t first, end;

    if (at - start < 2 || vitp_scrub_is(vitp_scrub_before(s, start), VITP_SCRUB_WORD)) return false;
    if (vitp_scrub_before(s, start) == '\\' && vitp_scrub_is_key(s, start)) return false;
    first = vitp_scrub_run(s, at, VITP_SCRUB_SET(BACKSLASH), 3);
    end = vitp_scrub_name_end(s, first, VITP_SCRUB_MACHINE);
    if (vitp_scrub_starts(s, start, "HK") || first - at > 2 || end - first < 3) return false;
    if (first == at + 1 && memchr(escapes, s->text[first], sizeof escapes - 1) &&
        !(at - start == 9 && vitp_scrub_starts(s, start, "AUTHORITY")))
        return false;
    if (!vitp_scrub_is(vitp_scrub_at(s, first + 1), VITP_SCRUB_WORD | VITP_SCRUB_SET(DOT)))
        return false; /* \\d+ of an expression */
    return vitp_scrub_at(s, end) != '\\' && !vitp_scrub_is_bus(s, start, at) &&
           vitp_scrub_is_account(s, first, end) && vitp_scrub_claim(span, start, end, "[user]");
}

/* ---- credentials that are known by themselves -------------------------------------------- */

/* "-----BEGIN ": to the end of the END line, or of the text if it was cut before. */
static bool vitp_scrub_pem(vitp_scrub *s, size_t at, vitp_scrub_span *span)
{
    size_t end, i;

    if (!vitp_scrub_starts(s, at, "-----BEGIN ")) return false;
    vitp_scrub_reads_on(s);
    for (end = at + 11; !vitp_scrub_starts(s, end, "-----"); end++)
        if (end > at + 111 || !vitp_scrub_in(s, end,
                                             VITP_SCRUB_CAPITALS | VITP_SCRUB_SET(SPACE) |
                                                 VITP_SCRUB_SET(UNDERSCORE) | VITP_SCRUB_SET(DASH)))
            return false;
    for (i = end + 5; i < s->size && !vitp_scrub_starts(s, i, "-----END "); i++) continue;
    for (i += 9; i < s->size && !vitp_scrub_starts(s, i, "-----"); i++) continue;
    return vitp_scrub_claim(span, at, i + 5 < s->size ? i + 5 : s->size, "[key]");
}

/* The word of a scheme and its credential: Bearer x. PASSWORD x is SQL. */
static bool vitp_scrub_scheme(vitp_scrub *s, size_t at, size_t value, vitp_scrub_span *span)
{
    size_t end;

    if (vitp_text_lower(s->text[at]) == 'i' || s->text[at] == 'P')
        return vitp_scrub_value_at(s, value, s->text[at] == 'P' ? '?' : '+', true, at, span);
    if (s->text[at] == 'p') return false;
    end = vitp_scrub_run(s, value, VITP_SCRUB_LETTER, 16); /* token id=7 */
    if (vitp_scrub_at(s, end) == '=' && vitp_scrub_in(s, end + 1, VITP_SCRUB_ALNUM)) return false;
    end = vitp_scrub_run(s, value, VITP_SCRUB_CREDENTIAL, VITP_SCRUB_PROBE);
    if (end - value < 8 || vitp_scrub_marker(s, end) ||
        !(vitp_scrub_has(s, value, end,
                         VITP_SCRUB_SET(DIGIT) | VITP_SCRUB_SET(EQUAL) | VITP_SCRUB_SET(PLUS)) ||
          vitp_scrub_is_random(s, value, end)))
        return false;
    end = vitp_scrub_run(s, value, VITP_SCRUB_CREDENTIAL, s->size);
    while (s->text[end - 1] == '.' || s->text[end - 1] == ':') end--;
    return vitp_scrub_claim(span, value, end, "[secret]");
}

/* Does the body of a token look drawn at random, where its prefix is short? */
static bool vitp_scrub_is_body(const vitp_scrub *s, size_t at, size_t end)
{
    size_t most = (size_t)2 * VITP_SCRUB_PROBE, probe = end - at > most ? at + most : end;

    return vitp_scrub_has(s, at, probe, VITP_SCRUB_SET(DIGIT)) ||
           vitp_scrub_is_random(s, at, probe);
}

/* A prefix of vitp_scrub_tokens, whose first two bytes stand here, and enough of its alphabet. */
static VITP_NOINLINE bool vitp_scrub_prefixed(vitp_scrub *s, size_t at, vitp_scrub_span *span)
{
    unsigned        letter = ((unsigned)s->text[at] & 31u) - 1;
    uint64_t        bit = UINT64_C(1) << vitp_scrub_token_bit(s->text[at + 1]);
    uint64_t        before = vitp_scrub_token_seconds[letter] & (bit - 1);
    const uint16_t *rows = vitp_scrub_token_rows + vitp_scrub_token_rows[letter] +
                           vitp_scrub_bits((uint32_t)before) +
                           vitp_scrub_bits((uint32_t)(before >> 32));
    const vitp_scrub_token *t = vitp_scrub_tokens + rows[0], *last = vitp_scrub_tokens + rows[1];
    size_t                  body, end;

    for (; t < last; t++) {
        if (memcmp(t->prefix, s->text + at, 3) != 0) continue;
        body = at + 3;
        while (t->prefix[body - at] && t->prefix[body - at] == vitp_scrub_at(s, body)) body++;
        if (t->prefix[body - at]) continue;
        if (body - at < 4 && at < s->dull) continue;
        end = vitp_scrub_run(s, body, t->alphabet, t->least);
        if (end - body < t->least) continue;
        if (body - at < 4 && s->text[body - 1] != '.') {
            if (!vitp_scrub_is_body(s, body, end)) {
                s->dull = at + VITP_SCRUB_PROBE;
                continue;
            }
        }
        end = vitp_scrub_run(s, body, t->alphabet, s->size);
        if (t->alphabet == VITP_SCRUB_CAPITALS && vitp_scrub_goes_on(s, end)) continue;
        while (s->text[end - 1] == '.') end--;
        return vitp_scrub_claim(span, at, end, t->marker ? t->marker : "[token]");
    }
    return false;
}

/* Credentials without a prefix of their own: three parts as Discord has them, Azure's client
   secret (xxx8Q~...) and its other keys, which hold a signature of their kind. */
static bool vitp_scrub_shaped(const vitp_scrub *s, size_t at, vitp_scrub_span *span)
{
    size_t first = vitp_scrub_run(s, at, VITP_SCRUB_SLUG, 40);
    size_t second = first - at >= 23 && vitp_scrub_at(s, first) == '.'
                        ? vitp_scrub_run(s, first + 1, VITP_SCRUB_SLUG, 8)
                        : first;
    size_t third = vitp_scrub_at(s, second) == '.'
                       ? vitp_scrub_run(s, second + 1, VITP_SCRUB_SLUG, VITP_SCRUB_PROBE)
                       : second;

    if (first - at >= 23 && first - at <= 28 && second == first + 7 && third >= second + 26 &&
        vitp_scrub_is_random(s, second + 1, third))
        return vitp_scrub_claim(span, at, vitp_scrub_run(s, third, VITP_SCRUB_SLUG, s->size),
                                "[token]");
    if (s->run_end - at >= 37 && vitp_scrub_starts(s, at + 4, "Q~"))
        return vitp_scrub_claim(span, at, s->run_end, "[token]");
    if (first - at == 40 && s->run_end - at >= 76 && s->run_end - at <= 96 &&
        (vitp_scrub_starts(s, s->run_end - 12, "AZDO") ||
         vitp_scrub_starts(s, s->run_end - 8, "AZDO") || vitp_scrub_starts(s, at + 52, "JQQJ99")))
        return vitp_scrub_claim(span, at, s->run_end, "[token]");
    return false;
}

/* The first dash of a key of a product: four and more groups of as many capitals and digits, which
   change often. */
static VITP_NOINLINE bool vitp_scrub_product_key(const vitp_scrub *s, size_t at,
                                                 vitp_scrub_span *span)
{
    size_t   start = vitp_scrub_back(s, at, VITP_SCRUB_CAPITALS, 9);
    size_t   size = at - start, end = at;
    unsigned groups;
    uint32_t kinds;

    if (size < 4 || size > 8 ||
        vitp_scrub_is(vitp_scrub_before(s, start), VITP_SCRUB_WORD | VITP_SCRUB_SET(DASH)))
        return false;
    for (groups = 1; groups < 8 && vitp_scrub_at(s, end) == '-'; groups++) {
        if (vitp_scrub_run(s, end + 1, VITP_SCRUB_CAPITALS, size + 1) != end + 1 + size) break;
        end += 1 + size;
    }
    return groups >= 4 && !vitp_scrub_goes_on(s, end) &&
           !vitp_scrub_in(s, end, VITP_SCRUB_SET(DASH) | VITP_SCRUB_SET(UNDERSCORE)) &&
           vitp_scrub_changes(s, start, end, false, &kinds) >= 4 &&
           vitp_scrub_claim(span, start, end, "[key]");
}

/* The digit of $1$salt$hash, as crypt has it, perhaps with $rounds=n between. */
static VITP_NOINLINE bool vitp_scrub_crypt(const vitp_scrub *s, size_t at, vitp_scrub_span *span)
{
    const uint32_t set = VITP_SCRUB_ALNUM | VITP_SCRUB_SET(DOT) | VITP_SCRUB_SET(SLASH);
    size_t         salt = at + 2, end;

    if (vitp_scrub_at(s, at + 1) != '$' ||
        vitp_scrub_is(vitp_scrub_before(s, at - 1), VITP_SCRUB_WORD))
        return false;
    if (vitp_scrub_starts(s, salt, "rounds="))
        salt = vitp_scrub_run(s, salt + 7, VITP_SCRUB_SET(DIGIT), 10) + 1;
    end = vitp_scrub_run(s, salt, set, 17);
    if (end < salt || vitp_scrub_at(s, end) != '$') return false;
    salt = end + 1;
    end = vitp_scrub_run(s, salt, set, 88);
    return end - salt >= 22 && !vitp_scrub_marker(s, end) &&
           vitp_scrub_claim(span, at - 1, end, "[secret]");
}

/* The ':' of a bot's token: 8 to 10 digits before it, AA and 33 letters behind it. */
static VITP_NOINLINE bool vitp_scrub_bot(const vitp_scrub *s, size_t at, vitp_scrub_span *span)
{
    size_t start = vitp_scrub_back(s, at, VITP_SCRUB_SET(DIGIT), 11);
    size_t end;

    if (!vitp_scrub_starts(s, at + 1, "AA") || at - start < 8 || at - start > 10) return false;
    end = vitp_scrub_run(s, at + 1, VITP_SCRUB_SLUG, VITP_SCRUB_PROBE);
    if (end - at < VITP_SCRUB_PROBE + 1) return false;
    return vitp_scrub_claim(span, start, vitp_scrub_run(s, end, VITP_SCRUB_SLUG, s->size),
                            "[token]");
}

/* ---- long runs of hexadecimal digits and base64 ------------------------------------------ */

/* Does the word before say that what follows is a checksum or an identifier? */
static bool vitp_scrub_is_checksum(const vitp_scrub *s, size_t at, bool hex)
{
    const uint32_t between = VITP_SCRUB_QUOTES | VITP_SCRUB_SET(SPACE) | VITP_SCRUB_SET(COLON) |
                             VITP_SCRUB_SET(EQUAL) | VITP_SCRUB_SET(DASH) | VITP_SCRUB_BRACKETS |
                             VITP_SCRUB_SET(UNDERSCORE) | VITP_SCRUB_SET(SLASH) |
                             VITP_SCRUB_SET(AT) | VITP_SCRUB_SET(BACKSLASH);
    size_t   end = vitp_scrub_back(s, at, between, 6), start, whole;
    unsigned i;

    for (i = 0; i < 2; i++) { /* trace, and the trace of trace_id */
        whole = end;
        start = vitp_scrub_back(s, end, VITP_SCRUB_ALNUM, 16);
        if (start == end) return false;
        if (vitp_scrub_listed(s, start, end, hex ? "&|" : "&")) return true;
        while (start < end && !vitp_scrub_is(s->text[end - 1], VITP_SCRUB_UPPER)) end--;
        if (start + 1 < end && s->text[end - 2] == 'I') end--;                     /* traceID */
        if (start < end && vitp_scrub_listed(s, start, end - 1, "&")) return true; /* traceId */
        end = whole - start == 1 /* ETag: W/"..." */
                  ? vitp_scrub_back(s, start, between, 3)
                  : vitp_scrub_back(s, start,
                                    VITP_SCRUB_SET(UNDERSCORE) | VITP_SCRUB_SET(DASH) |
                                        VITP_SCRUB_SET(SPACE) | VITP_SCRUB_SET(DOT),
                                    1);
    }
    return false;
}

#define VITP_SCRUB_HEX_MIN    32u
#define VITP_SCRUB_BASE64_MIN 20u

static bool vitp_scrub_may_be_hex(const vitp_scrub *s, size_t at)
{
    return vitp_scrub_in(s, at + 8, VITP_SCRUB_HEX) && vitp_scrub_in(s, at + 21, VITP_SCRUB_HEX);
}

/* Is it the trace of 00-trace-span-01 (W3C Trace Context)? */
static bool vitp_scrub_is_traced(const vitp_scrub *s, size_t at, size_t end)
{
    return at - s->floor >= 3 && memcmp(s->text + at - 3, "00-", 3) == 0 &&
           vitp_scrub_at(s, end) == '-' &&
           vitp_scrub_run(s, end + 1, VITP_SCRUB_HEX, 17) == end + 17 &&
           vitp_scrub_at(s, end + 17) == '-';
}

/* Is it part of a file's name (app.d41d8cd9....js) or of a version (v1.r32-01eac0.2819f9d4...,
   3.1.2#8c9f5bd2...)? */
static bool vitp_scrub_is_named_after(const vitp_scrub *s, size_t at, size_t end)
{
    const uint32_t joins = VITP_SCRUB_SET(DOT) | VITP_SCRUB_SET(DASH) | VITP_SCRUB_SET(UNDERSCORE);
    char           before = vitp_scrub_before(s, at);
    size_t         start, stop;

    if (before == ':' || before == '#' || before == '+') { /* 3.1.2#8c9f5bd2... */
        stop = vitp_scrub_back(s, at - 1, VITP_SCRUB_SET(DIGIT), 4);
        return stop < at - 1 && vitp_scrub_before(s, stop) == '.' &&
               vitp_scrub_is(vitp_scrub_before(s, stop - 1), VITP_SCRUB_SET(DIGIT));
    }
    start = vitp_scrub_back(s, at, VITP_SCRUB_NAME, 40);
    if (start == at || !vitp_scrub_is(before, joins)) return false;
    if (s->text[at - 1] == '.' && s->text[start] == 'v' &&
        vitp_scrub_is(s->text[start + 1], VITP_SCRUB_SET(DIGIT)))
        return true;
    stop = vitp_scrub_run(s, end + 1, VITP_SCRUB_LOWER, 6);
    return vitp_scrub_at(s, end) == '.' && stop > end + 2 && stop < end + 7 &&
           !vitp_scrub_goes_on(s, stop) &&
           vitp_scrub_is(vitp_scrub_before(s, at - 1), VITP_SCRUB_WORD);
}

/* 32 and more hexadecimal digits that no word before them calls a checksum. 0x and 40 of them are
   the address of a wallet. */
static bool vitp_scrub_hex(const vitp_scrub *s, size_t at, vitp_scrub_span *span)
{
    size_t digits, end, probe;

    if (!vitp_scrub_may_be_hex(s, at)) return false;
    digits = vitp_scrub_starts(s, at, "0x") ? at + 2 : at;
    end = vitp_scrub_run(s, digits, VITP_SCRUB_HEX, s->size);
    probe = digits + VITP_SCRUB_HEX_MIN;
    if (end < probe || vitp_scrub_goes_on(s, end) || vitp_scrub_at(s, end) == '_') return false;
    if (digits > at && end - digits != 40) return false;
    if (end == probe && vitp_scrub_is_traced(s, at, end)) return false;
    if (!vitp_scrub_has(s, digits, probe, VITP_SCRUB_LETTER) ||
        !vitp_scrub_has(s, digits, probe, VITP_SCRUB_SET(DIGIT)) ||
        vitp_scrub_is_checksum(s, at, true) || vitp_scrub_is_named_after(s, at, end))
        return false;
    return vitp_scrub_distinct(s, digits, probe) > 6 && vitp_scrub_claim(span, at, end, "[hex]");
}

/* The longest stretch of letters and digits in [at, end): returns its start. */
static size_t vitp_scrub_stretch(const vitp_scrub *s, size_t at, size_t end, size_t *length)
{
    size_t best = at, start = at;

    for (*length = 0; at <= end; at++) {
        if (at < end && vitp_scrub_is(s->text[at], VITP_SCRUB_ALNUM)) continue;
        if (at - start > *length) best = start, *length = at - start;
        start = at + 1;
    }
    return best;
}

/* Bytes of the other stretches of [at, end) that look like words. */
static size_t vitp_scrub_wordlike(const vitp_scrub *s, size_t at, size_t end, size_t best)
{
    size_t start = at, words = 0;

    for (; at <= end; at++) {
        if (at < end && vitp_scrub_is(s->text[at], VITP_SCRUB_ALNUM)) continue;
        if (start != best && at - start >= 6 && !vitp_scrub_is_random(s, start, at) &&
            vitp_scrub_has(s, start, at, VITP_SCRUB_LETTER))
            words += at - start;
        start = at + 1;
    }
    return words;
}

/* The longest stretch of small letters in [at, end). */
static size_t vitp_scrub_longest_word(const vitp_scrub *s, size_t at, size_t end)
{
    size_t longest = 0, length = 0;

    for (; at < end; at++) {
        length = vitp_scrub_is(s->text[at], VITP_SCRUB_LOWER) ? length + 1 : 0;
        if (length > longest) longest = length;
    }
    return longest;
}

/* Is it an identifier as databases draw them: hexadecimal digits (of keys there are more: they are
   looked for elsewhere), or a ULID, which begins with its time? */
static bool vitp_scrub_is_object_id(const vitp_scrub *s, size_t at, size_t end, uint32_t kinds)
{
    if ((kinds & VITP_SCRUB_LETTER) == VITP_SCRUB_LETTER) return false; /* of one case */
    if (!vitp_scrub_has(s, at, end, ~VITP_SCRUB_HEX)) return true;
    if (end - at != 26 || !vitp_scrub_starts(s, at, "01")) return false;
    while (at < end && !memchr("ILOU", s->text[at] & ~0x20, 4)) at++;
    return at == end;
}

/* Is the longest stretch of letters and digits in [at, end) drawn at random, and not beside words
   of an identifier? Of a long run it is enough that it has no word of six letters. */
static bool vitp_scrub_is_base64(const vitp_scrub *s, size_t at, size_t end)
{
    uint32_t kinds, all;
    size_t   length, best = vitp_scrub_stretch(s, at, end, &length);
    size_t   changes = vitp_scrub_changes(s, at, end, true, &all);
    bool     mixed =
        (all & VITP_SCRUB_LOWER) && (all & VITP_SCRUB_UPPER) && (all & VITP_SCRUB_SET(DIGIT));

    if (mixed && end - at >= 40 && changes * 3 > end - at &&
        vitp_scrub_longest_word(s, at, end) < 6)
        return true;
    changes = vitp_scrub_changes(s, best, best + length, true, &kinds);
    if (length < 12 || !(kinds & VITP_SCRUB_SET(DIGIT)) || !(kinds & VITP_SCRUB_LETTER))
        return false;
    if (vitp_scrub_is_object_id(s, best, best + length, kinds)) return false;
    if (vitp_scrub_distinct(s, best, best + length) < length / 4 + 6) return false;
    if (vitp_scrub_wordlike(s, at, end, best) * 4 > length) return false;
    if ((kinds & VITP_SCRUB_LOWER) && (kinds & VITP_SCRUB_UPPER) && changes * 5 > length * 2)
        return true;
    return length >= 24 && vitp_scrub_changes(s, best, best + length, false, &kinds) * 4 > length;
}

/* Behind the words in small letters with which a run begins (https_token_...). */
static size_t vitp_scrub_behind_words(const vitp_scrub *s, size_t at, size_t end)
{
    for (;;) {
        size_t word = vitp_scrub_run(s, at, VITP_SCRUB_LOWER, 12);

        if (word == at || end - word < VITP_SCRUB_BASE64_MIN ||
            !vitp_scrub_in(s, word, VITP_SCRUB_SET(DASH) | VITP_SCRUB_SET(UNDERSCORE)))
            return at;
        at = word + 1;
    }
}

/* The start of a long run. Of what it does not claim it reads 64 bytes. */
static bool vitp_scrub_base64(const vitp_scrub *s, size_t at, vitp_scrub_span *span)
{
    size_t end = vitp_scrub_run(s, at, VITP_SCRUB_SOLID, 64);

    if (end - at < VITP_SCRUB_BASE64_MIN || vitp_scrub_marker(s, end)) return false;
    if (!vitp_scrub_is_base64(s, at, end) || vitp_scrub_is_checksum(s, at, false)) return false;
    at = vitp_scrub_behind_words(s, at, end);
    end = vitp_scrub_run(s, end, VITP_SCRUB_SOLID, s->size);
    end = vitp_scrub_run(s, end, VITP_SCRUB_SET(EQUAL), 2);
    if (vitp_scrub_starts(s, at, "AAAA") && vitp_scrub_at(s, end) == ' ') { /* of ssh, and whose */
        size_t whose = vitp_scrub_run(s, end + 1, VITP_SCRUB_NAME, 64);

        if (whose > end + 1 && vitp_scrub_at(s, whose) == '@')
            end = vitp_scrub_run(s, whose + 1, VITP_SCRUB_NAME, 64);
    }
    return vitp_scrub_claim(span, at, end, "[b64]");
}

/* What a long run of token bytes may be where it is drawn at random. */
static VITP_NOINLINE bool vitp_scrub_drawn(const vitp_scrub *s, size_t at, vitp_scrub_span *span)
{
    if (vitp_scrub_hex(s, at, span)) return true;
    return !vitp_scrub_is(vitp_scrub_before(s, at), VITP_SCRUB_SOLID) &&
           (vitp_scrub_shaped(s, at, span) || vitp_scrub_base64(s, at, span));
}

/* Do token bytes enough for any token stand here? */
static VITP_INLINE bool vitp_scrub_is_run(vitp_scrub *s, size_t at)
{
    if (s->run_end <= at) s->run_end = vitp_scrub_run(s, at, VITP_SCRUB_TOKEN, s->size);
    return s->run_end - at >= VITP_SCRUB_TOKEN_MIN;
}

/* Enough for one without a prefix? All but Azure's client secret need so many that are no dots. */
static VITP_INLINE bool vitp_scrub_may_be_drawn(vitp_scrub *s, size_t at)
{
    uint32_t before = vitp_scrub_set_of(vitp_scrub_before(s, at));

    if (s->run_end - at < VITP_SCRUB_BASE64_MIN || before & VITP_SCRUB_ALNUM) return false;
    /* inside of a run that was looked at */
    if (before & VITP_SCRUB_SOLID && !vitp_scrub_may_be_hex(s, at)) return false;
    if (s->text[at + 4] == 'Q') return true;
    if (!vitp_scrub_is(s->text[at + VITP_SCRUB_BASE64_MIN - 1], VITP_SCRUB_SOLID)) return false;
    if (s->solid_end <= at) s->solid_end = vitp_scrub_run(s, at, VITP_SCRUB_SOLID, s->size);
    return s->solid_end - at >= VITP_SCRUB_BASE64_MIN;
}

/* May a token begin here? */
static VITP_NOINLINE bool vitp_scrub_asks_tokens(vitp_scrub *s, size_t at)
{
    return vitp_scrub_is_run(s, at) &&
           (vitp_scrub_may_be_token(s, at) || vitp_scrub_may_be_drawn(s, at));
}

/* What a run of token bytes may be as a whole. */
static bool vitp_scrub_token_at(vitp_scrub *s, size_t at, vitp_scrub_span *span)
{
    return vitp_scrub_is_run(s, at) &&
           ((vitp_scrub_may_be_token(s, at) && vitp_scrub_prefixed(s, at, span)) ||
            (vitp_scrub_may_be_drawn(s, at) && vitp_scrub_drawn(s, at, span)));
}

/* ---- known values ------------------------------------------------------------------------ */

/* Fills in what base64 makes of the text behind `before` (0 to 2) other bytes. */
static void vitp_scrub_encode(vitp_scrub_core *core, const char *text, size_t size, size_t before)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t bit, skip = (before * 8u + 5u) / 6u * 6u; /* letters that hold bits of other bytes */
    size_t bits = (before + size) * 8u;

    core->size = 0;
    for (bit = skip; bit + 6u <= bits; bit += 6u) {
        size_t   at = bit / 8u - before; /* wraps never: skip is behind the other bytes */
        unsigned two = (unsigned)(unsigned char)text[at] << 8;

        if (at + 1 < size) two |= (unsigned char)text[at + 1];
        core->text[core->size++] = letters[two >> (10u - bit % 8u) & 63u];
    }
}

/* What stands for itself where it could also begin an escape. */
enum {
    VITP_SCRUB_RAW_PERCENT = 1,
    VITP_SCRUB_RAW_BACKSLASH = 2
};

static uint32_t vitp_scrub_code_unit(const char *hex)
{
    uint32_t code = 0, i;

    for (i = 0; i < 4; i++) code = code << 4 | (uint32_t)vitp_text_hex_value(hex[i]);
    return code;
}

/* One character of a text as it is read behind escapes: its bytes in out, and how long it is. */
static size_t vitp_scrub_unescape(const char *text, size_t size, unsigned char out[4],
                                  uint32_t *bytes)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    uint32_t          code, i;
    size_t            used = 6;
    const char       *found;

    *bytes = 1;
    out[0] = (unsigned char)text[0];
    if (size > 2 && text[0] == '%' && vitp_text_is_hex(text + 1, 2)) {
        out[0] = (unsigned char)(vitp_text_hex_value(text[1]) << 4 | vitp_text_hex_value(text[2]));
        return 3;
    }
    if (size < 2 || text[0] != '\\') return 1;
    if (text[1] != 'u' || size < 6 || !vitp_text_is_hex(text + 2, 4)) {
        found = (const char *)memchr(from, text[1], sizeof from - 1);
        if (found) out[0] = (unsigned char)to[found - from];
        return found ? 2 : 1;
    }
    code = vitp_scrub_code_unit(text + 2);
    if (code >> 10 == 0x36u && size >= 12 && memcmp(text + 6, "\\u", 2) == 0 &&
        vitp_text_is_hex(text + 8, 4)) {
        code = 0x10000u + ((code & 0x3FFu) << 10 | (vitp_scrub_code_unit(text + 8) & 0x3FFu));
        used = 12;
    }
    *bytes = code < 0x80u ? 1 : code < 0x800u ? 2 : code < 0x10000u ? 3 : 4;
    for (i = *bytes; i-- > 1; code >>= 6) out[i] = (unsigned char)(0x80u | (code & 63u));
    out[0] = (unsigned char)(*bytes == 1 ? code : (0xF00u >> *bytes & 0xFFu) | code);
    return used;
}

/* How many bytes of the text are the value; 0: it does not stand here. Where the value itself has
   %25 or two backslashes, the text may have them as they are or mean one byte by them: raw says of
   which they are taken as they are (VITP_SCRUB_RAW_*), *met is added what could be either. */
static size_t vitp_scrub_spelled_as(const char *text, size_t size, const vitp_scrub_value *v,
                                    unsigned raw, unsigned *met)
{
    unsigned char c[4];
    uint32_t      bytes, done = 0, i;
    size_t        at = 0;

    while (done < v->size && at < size) {
        size_t length = vitp_scrub_unescape(text + at, size - at, c, &bytes);
        bool   same = bytes <= v->size - done;

        for (i = 0; same && i < bytes; i++)
            same = v->whole_word ? vitp_text_lower((char)c[i]) == vitp_text_lower(v->text[done + i])
                                 : (char)c[i] == v->text[done + i];
        if (!same) { /* the escape itself, or + for a blank */
            if (text[at] != v->text[done] && !(text[at] == '+' && v->text[done] == ' ')) return 0;
            length = bytes = 1;
        } else if (length > 1 && text[at] == v->text[done]) {
            unsigned either = text[at] == '%' ? VITP_SCRUB_RAW_PERCENT : VITP_SCRUB_RAW_BACKSLASH;

            *met |= either;
            if (raw & either) length = 1;
        }
        at += length;
        done += bytes;
    }
    return done == v->size ? at : 0;
}

/* The same in whatever spelling. Who spelled it escaped all percent signs, or none, and all
   backslashes, or none: at most four readings, and one where nothing could be either. */
static size_t vitp_scrub_spelled(const char *text, size_t size, const vitp_scrub_value *v)
{
    const unsigned both = VITP_SCRUB_RAW_PERCENT | VITP_SCRUB_RAW_BACKSLASH;
    unsigned       met = 0, raw;
    size_t         found;

    if (size == 0 || (text[0] != '%' && text[0] != '\\' && text[0] != '+' &&
                      vitp_text_lower(text[0]) != vitp_text_lower(v->text[0])))
        return 0; /* what most places end with */
    found = vitp_scrub_spelled_as(text, size, v, 0, &met);
    for (raw = 1; raw <= both && !found; raw++)
        if ((raw & met) == raw) found = vitp_scrub_spelled_as(text, size, v, raw, &met);
    return found;
}

/* The same of a secret, which may be in base64 (*encoded). */
static size_t vitp_scrub_secret_at(const char *text, size_t size, const vitp_scrub_value *v,
                                   bool *encoded)
{
    size_t   found, k;
    uint32_t i;

    *encoded = false;
    if (v->size <= size && memcmp(text, v->text, v->size) == 0) return v->size;
    found = vitp_scrub_spelled(text, size, v);
    for (i = 0; v->cores && i < 3 && !found; i++) {
        const vitp_scrub_core *core = &v->cores[i];

        if (core->size > size) continue;
        for (k = 0; k < core->size; k++) {
            char c = text[k] == '-' ? '+' : text[k] == '_' ? '/' : text[k]; /* of URLs */

            if (c != core->text[k]) break;
        }
        if (k == core->size) *encoded = true, found = k;
    }
    return found;
}

/* Is there a letter before `at`, which is not the end of an escape (%2F, \n)? */
static bool vitp_scrub_is_inside(const vitp_scrub *s, size_t at)
{
    if (!vitp_scrub_is(vitp_scrub_before(s, at), VITP_SCRUB_WORD | VITP_SCRUB_SET(HIGH)))
        return false;
    if (at - s->floor >= 3 && s->text[at - 3] == '%' && vitp_text_is_hex(s->text + at - 2, 2))
        return false;
    if (at - s->floor >= 6 && memcmp(s->text + at - 6, "\\u", 2) == 0 &&
        vitp_text_is_hex(s->text + at - 4, 4))
        return false;
    return vitp_scrub_letters(s, at - 1) != at;
}

/* Length of the known word that stands here as a whole, or 0. */
static size_t vitp_scrub_same_word(const vitp_scrub *s, size_t at, const vitp_scrub_value *v)
{
    const uint32_t word = VITP_SCRUB_WORD | VITP_SCRUB_SET(HIGH);
    size_t         length = vitp_scrub_spelled(s->text + at, s->size - at, v);

    if (length == 0 || v->size < VITP_SCRUB_VALUE_MIN) return 0;
    if (vitp_scrub_is(v->text[0], word) && vitp_scrub_is_inside(s, at)) return 0;
    if (vitp_scrub_is(v->text[v->size - 1], word) &&
        (vitp_scrub_in(s, at + length, word) || vitp_scrub_marker(s, at + length)))
        return 0;
    return length;
}

/* The longest known value of this kind (VITP_SCRUB_STARTS_*) that stands here. */
static bool vitp_scrub_known(const vitp_scrub *s, size_t at, unsigned kind, vitp_scrub_span *span)
{
    const uint32_t base64 = VITP_SCRUB_BASE64 | VITP_SCRUB_SET(DASH) | VITP_SCRUB_SET(UNDERSCORE);
    size_t         longest = 0, length;
    uint32_t       i;

    if (!(s->values->first[(unsigned char)s->text[at]] & kind)) return false;
    for (i = 0; i < s->values->count; i++) {
        const vitp_scrub_value *v = &s->values->values[i];
        size_t                  start = at;
        bool                    encoded = false;

        if (v->whole_word != (kind == VITP_SCRUB_STARTS_WORD)) continue;
        length = v->whole_word ? vitp_scrub_same_word(s, at, v)
                               : vitp_scrub_secret_at(s->text + at, s->whole - at, v, &encoded);
        if (length <= longest) continue;
        longest = length;
        if (encoded) { /* and the letters around, which have some of its bits */
            if (at > s->floor && vitp_scrub_is(s->text[at - 1], base64)) start--;
            if (vitp_scrub_in(s, at + length, base64) && !vitp_scrub_marker(s, at + length))
                length++;
        }
        vitp_scrub_claim(span, start, at + length, v->marker);
    }
    return longest != 0;
}

/* A known word, or the address that it is a part of. */
static bool vitp_scrub_known_word(vitp_scrub *s, size_t at, vitp_scrub_span *span)
{
    size_t end;

    if (s->values->blanks) vitp_scrub_reads_on(s);
    if (!vitp_scrub_known(s, at, VITP_SCRUB_STARTS_WORD, span)) return false;
    end = vitp_scrub_run(s, at, VITP_SCRUB_LOCAL, 64);
    if (vitp_scrub_at(s, end) == '@') vitp_scrub_email(s, end, 1, span);
    return true;
}

/* Marks the bytes with which a value can begin. */
static void vitp_scrub_mark_first(vitp_scrub_values *index, const vitp_scrub_value *v)
{
    uint8_t       kind = v->whole_word ? VITP_SCRUB_STARTS_WORD : VITP_SCRUB_STARTS_SECRET;
    unsigned char c = (unsigned char)v->text[0];
    uint32_t      i;

    index->first[c] |= kind;
    index->first[0x25] |= kind;                /* % */
    index->first[0x5C] |= kind;                /* \ */
    if (c == 0x20) index->first[0x2B] |= kind; /* + for a blank */
    for (i = 0; i < v->size; i++)
        if (v->whole_word && vitp_scrub_is(v->text[i], VITP_SCRUB_BLANK)) index->blanks = true;
    if (v->whole_word && (vitp_text_lower((char)c) != (char)c || vitp_text_is_lower((char)c)))
        index->first[c ^ 0x20u] |= kind;
    for (i = 0; v->cores && i < 3; i++) {
        c = (unsigned char)v->cores[i].text[0];
        index->first[c] |= kind;
        if (c == 0x2B) index->first[0x2D] |= kind; /* - for + */
        if (c == 0x2F) index->first[0x5F] |= kind; /* _ for / */
    }
}

/* Fills the index. The values must outlive it. */
static void vitp_scrub_values_init(vitp_scrub_values *index, const vitp_scrub_value *values,
                                   uint32_t count)
{
    uint32_t i;

    memset(index, 0, sizeof *index);
    index->values = values;
    index->count = count;
    for (i = 0; i < count; i++)
        if (values[i].size) vitp_scrub_mark_first(index, &values[i]);
}

/* Does the text hold a registered secret, in whatever spelling? */
static bool vitp_scrub_holds_secret(const vitp_scrub_values *index, const char *text, size_t size)
{
    size_t   at;
    uint32_t i;
    bool     encoded;

    for (at = 0; at < size; at++) {
        if (!(index->first[(unsigned char)text[at]] & VITP_SCRUB_STARTS_SECRET)) continue;
        for (i = 0; i < index->count; i++)
            if (!index->values[i].whole_word &&
                vitp_scrub_secret_at(text + at, size - at, &index->values[i], &encoded))
                return true;
    }
    return false;
}

/* ---- percent encoding and elements ------------------------------------------------------- */

/* Do two hex digits follow the percent sign? */
static bool vitp_scrub_is_escape(const vitp_scrub *s, size_t at)
{
    return vitp_scrub_at(s, at) == '%' && vitp_scrub_run(s, at + 1, VITP_SCRUB_HEX, 2) == at + 3;
}

/* A path with %2F between its parts. */
static bool vitp_scrub_encoded_path(const vitp_scrub *s, size_t at, vitp_scrub_span *span)
{
    size_t   start = at - s->floor > 3 ? at - 3 : s->floor, end = at;
    unsigned parts = 0;

    if (vitp_scrub_at(s, at + 1) != '2' || vitp_text_lower(vitp_scrub_at(s, at + 2)) != 'f' ||
        (vitp_scrub_is(vitp_scrub_before(s, at), VITP_SCRUB_WORD) &&
         !vitp_scrub_is_escape(s, start)))
        return false;
    while (vitp_scrub_starts(s, end, "%2F") || vitp_scrub_starts(s, end, "%2f")) {
        end += 3;
        parts++;
        while (vitp_scrub_in(s, end, VITP_SCRUB_SEGMENT & ~VITP_SCRUB_SET(AMPERSAND)) &&
               (!vitp_scrub_is_escape(s, end) || vitp_scrub_starts(s, end, "%20")))
            end++;
    }
    return parts > 1 && vitp_scrub_claim(span, at, end, "[path]");
}

/* The '>' of <password>secret</password>, in `width` bytes (&gt; is one too). */
static bool vitp_scrub_element(vitp_scrub *s, size_t at, size_t width, vitp_scrub_span *span)
{
    size_t end = vitp_scrub_back(s, at, VITP_SCRUB_QUOTES, 1); /* <entry key="password"> */
    size_t name;
    char   sign, before;

    if (vitp_scrub_marker(s, at + width)) return false; /* that is its value */
    sign = vitp_scrub_name(s, end, &name);
    before = vitp_scrub_before(s, name);
    if (end < at ? !vitp_scrub_is(before, VITP_SCRUB_QUOTES) : before != '<' && before != ';')
        return false;
    if (!sign || sign == '!' || sign == ':') return false;
    vitp_scrub_reads_on(s);
    if (sign == '@' || sign == '&')
        return vitp_scrub_identity(s, at + width, sign, true, false, span);
    if (sign == '~') return vitp_scrub_bare_mac(s, at + width, span);
    return vitp_scrub_value_at(s, at + width, sign, false, name, span);
}

/* ---- words that say what follows --------------------------------------------------------- */

/* What the word that starts here says of what follows. */
static VITP_NOINLINE bool vitp_scrub_opener(vitp_scrub *s, size_t at, vitp_scrub_span *span)
{
    vitp_scrub_rows r = vitp_scrub_rows_of(vitp_scrub_opener_seconds, vitp_scrub_opener_rows,
                                           s->text[at], vitp_scrub_at(s, at + 1));
    const char     *last = NULL;   /* the last row that was compared */
    size_t          same = 2, end; /* with so many bytes of it the text begins */
    char            c = vitp_text_lower(vitp_scrub_at(s, at + 2));

    if (!vitp_scrub_in(s, at + 1, VITP_SCRUB_LETTER)) return false;
    for (; r.row < r.stop; r.row++) {
        const char *opener = vitp_scrub_openers[r.row] + 1;

        if (opener[same] != c && opener[same]) {
            if (opener[same] > c) break;
            continue;
        }
        if (last && memcmp(opener, last, same) != 0) break;
        while (opener[same] && vitp_scrub_folds(vitp_scrub_at(s, at + same), opener[same])) same++;
        c = vitp_text_lower(vitp_scrub_at(s, at + same));
        last = opener;
        if (opener[same]) continue;
        end = at + same;
        vitp_scrub_reads_on(s);
        if (strchr("$%<>", opener[-1])) {
            s->line.command = s->line.seen = end;
            s->line.letter = opener[-1] == '<' ? 'a' : opener[-1] == '>' ? 'w' : 'p';
            s->line.attached = opener[-1] == '%';
        } else if (vitp_scrub_marker(s, end)) {
            continue; /* that is what it says something of */
        } else if (opener[-1] == '^'
                       ? vitp_scrub_told_password(s, end, span) ||
                             (at > s->floor && s->text[at - 1] == ' ' &&
                              vitp_scrub_ends_user(s, at - 1) && vitp_scrub_two_values(s, at, span))
                   : opener[-1] == '=' ? vitp_scrub_told_whose(s, end, span)
                   : opener[-1] == '!' ? vitp_scrub_scheme(s, at, end, span)
                   : opener[-1] == '|' ? vitp_scrub_registry(s, at, end, span)
                   : opener[-1] == '~' ? (opener[0] == 's' ? vitp_scrub_kernel_of(s, at, span)
                                                           : vitp_scrub_denied(s, at, end, span))
                   : opener[-1] == '-' ? vitp_scrub_named_before(s, at, span)
                                       : vitp_scrub_named(s, end, opener[-1], span)) {
            return true;
        }
    }
    return false;
}

/* Are these digits the colour of a terminal ([1;93m)? */
static bool vitp_scrub_is_color(const vitp_scrub *s, size_t at)
{
    if (vitp_scrub_before(s, at) != '[') return false;
    return vitp_scrub_at(
               s, vitp_scrub_run(s, at, VITP_SCRUB_SET(DIGIT) | VITP_SCRUB_SET(LIST), 12)) == 'm';
}

/* The first letter of what stands behind "password" in another language and perhaps a blank. */
static VITP_NOINLINE bool vitp_scrub_behind_foreign(vitp_scrub *s, size_t at, vitp_scrub_span *span)
{
    size_t end = at > s->floor + 1 && s->text[at - 1] == ' ' ? at - 1 : at;

    return end > s->floor && vitp_scrub_is(s->text[end - 1], VITP_SCRUB_SET(HIGH)) &&
           vitp_scrub_is_told_foreign(s, end) && vitp_scrub_told_password(s, at, span);
}

/* The first letter of a word: what is known by it. */
static bool vitp_scrub_letter(vitp_scrub *s, size_t at, vitp_scrub_span *span)
{
    char   before = vitp_scrub_before(s, at);
    size_t first = before == '\\' || s->text[at] == 'm' ? vitp_scrub_letters(s, at) : at;

    if (vitp_scrub_is(before, VITP_SCRUB_LETTER)) return false;
    if (at > s->floor + 1 && ((s->text[at - 1] | s->text[at - 2]) & 0x80) &&
        vitp_scrub_behind_foreign(s, at, span))
        return true;
    if (first > at && vitp_scrub_in(s, first, VITP_SCRUB_SET(DIGIT)))
        return vitp_scrub_number(s, first, span);
    if (vitp_scrub_may_open(s, first) && vitp_scrub_opener(s, first, span)) return true;
    if (vitp_scrub_in(s, first + 2, VITP_SCRUB_SET(DIGIT)) &&
        vitp_scrub_is(s->text[first], VITP_SCRUB_UPPER) && vitp_scrub_iban(s, first, span))
        return true;
    if (before == '\xA5' && vitp_scrub_yen(s, at, span)) return true;
    return first < s->size && vitp_scrub_token_at(s, first, span);
}

/* ---- the pass ---------------------------------------------------------------------------- */

/* The ':' asks those matchers for which the bytes beside it are right. */
static bool vitp_scrub_colon(vitp_scrub *s, size_t at, vitp_scrub_span *span)
{
    char     before = vitp_scrub_before(s, at), next = vitp_scrub_at(s, at + 1);
    uint32_t set = vitp_scrub_set_of(next);

    if (before == ':') return false;
    if ((set & VITP_SCRUB_SLASHES || before == 'c') && vitp_scrub_is(before, VITP_SCRUB_SCHEME) &&
        (vitp_scrub_url(s, at, span) || vitp_scrub_drive(s, at, span)))
        return true;
    if ((set & (VITP_SCRUB_HEX | VITP_SCRUB_SET(COLON))) && vitp_scrub_hex_groups(s, at, span))
        return true;
    if (before == 'n' && next == 'a' && vitp_scrub_resource(s, at, span)) return true;
    if (vitp_scrub_at(s, at + 3) == ' ' && vitp_scrub_logged_by(s, at, span)) return true;
    if (next == 'A' && vitp_scrub_bot(s, at, span)) return true;
    if (vitp_scrub_in(s, at + 2, VITP_SCRUB_SET(DIGIT)) &&
        vitp_scrub_in(s, at + 3, VITP_SCRUB_SET(DIGIT)) &&
        vitp_scrub_is(before, VITP_SCRUB_ALNUM | VITP_SCRUB_SET(DASH)) &&
        vitp_scrub_with_port(s, at, span))
        return true;
    return vitp_scrub_pair(s, at, 1, span);
}

/* The first dash of S-1-5-21-..., by which Windows knows an account. */
static VITP_NOINLINE bool vitp_scrub_security_id(const vitp_scrub *s, size_t at,
                                                 vitp_scrub_span *span)
{
    if (!vitp_scrub_starts(s, at, "-1-5-21-") ||
        vitp_scrub_is(vitp_scrub_before(s, at - 1), VITP_SCRUB_WORD))
        return false;
    return vitp_scrub_claim(
        span, at - 1, vitp_scrub_run(s, at + 7, VITP_SCRUB_SET(DIGIT) | VITP_SCRUB_SET(DASH), 64),
        "[id]");
}

/* The same of '-'. */
static bool vitp_scrub_dash(vitp_scrub *s, size_t at, vitp_scrub_span *span)
{
    char before = vitp_scrub_before(s, at);

    if (vitp_scrub_at(s, at + 5) == 'B' && vitp_scrub_pem(s, at, span)) return true;
    if (before == 'S' && vitp_scrub_security_id(s, at, span)) return true;
    if (vitp_scrub_is(before, VITP_SCRUB_CAPITALS) &&
        vitp_scrub_in(s, at + 4, VITP_SCRUB_CAPITALS) &&
        (vitp_scrub_product_key(s, at, span) || vitp_scrub_unnamed(s, at, span)))
        return true;
    if (vitp_scrub_is(before, VITP_SCRUB_HEX) && vitp_scrub_at(s, at + 3) == '-')
        return vitp_scrub_mac(s, at, vitp_scrub_back(s, at, VITP_SCRUB_HEX, 3), span);
    if (before == 'p' && vitp_scrub_in(s, at + 1, VITP_SCRUB_SET(DIGIT)))
        return vitp_scrub_numbered(s, at, span);
    if (strchr("dDwWsS ", before) && before && vitp_scrub_dashed(s, at, span)) return true;
    if (vitp_scrub_is(before, VITP_SCRUB_NAME)) return false;
    return (before == ' ' && vitp_scrub_command_password(s, at, span)) ||
           vitp_scrub_option(s, at, span) ||
           (before == ' ' && vitp_scrub_starts(s, at, "-> ") && vitp_scrub_pair(s, at, 2, span));
}

/* The '(' of PASSWORD(hunter22), where the name is no function's (setPassword, set_password). */
static VITP_NOINLINE bool vitp_scrub_in_parens(vitp_scrub *s, size_t at, vitp_scrub_span *span)
{
    size_t name;

    if (!vitp_scrub_told_password(s, at + 1, span) || vitp_scrub_at(s, span->end) != ')')
        return false;
    if (vitp_scrub_is(vitp_scrub_before(s, at), VITP_SCRUB_SET(HIGH)))
        return vitp_scrub_is_foreign(s, at);
    return vitp_scrub_name(s, at, &name) == '+' &&
           !vitp_scrub_has(s, name, at, ~VITP_SCRUB_LETTER) &&
           (vitp_scrub_is(s->text[name], VITP_SCRUB_UPPER) ||
            !vitp_scrub_has(s, name, at, VITP_SCRUB_UPPER));
}

/* The '(' of ann(uid=1001) and of uid=1001(ann), where it may be of the group, too, and of groups=
   if the first is no group of the system. */
static bool vitp_scrub_user_id(const vitp_scrub *s, size_t at, vitp_scrub_span *span)
{
    size_t start = vitp_scrub_back(s, at, VITP_SCRUB_SET(DIGIT), 10), end;

    if (vitp_scrub_starts(s, at, "(uid=")) {
        start = vitp_scrub_back(s, at, VITP_SCRUB_ACCOUNT, 40);
        return vitp_scrub_is_account(s, start, at) && vitp_scrub_claim(span, start, at, "[user]");
    }
    if (start == at || start - s->floor < 4) return false;
    if (memcmp(s->text + start - 4, "uid=", 4) != 0 &&
        memcmp(s->text + start - 4, "gid=", 4) != 0 &&
        (at - start < 4 || memcmp(s->text + start - 4, "ups=", 4) != 0))
        return false;
    end = vitp_scrub_name_end(s, at + 1, VITP_SCRUB_ACCOUNT);
    return vitp_scrub_at(s, end) == ')' && vitp_scrub_is_account(s, at + 1, end) &&
           vitp_scrub_claim(span, at + 1, end, "[user]");
}

/* The '(' of "connection refused (db:5432)" and its kin, as .NET says where a socket was to go. */
static bool vitp_scrub_at_port(const vitp_scrub *s, size_t at, vitp_scrub_span *span)
{
    static const char *const says[] = { "refused", "known", "known.", "it.", "respond." };
    size_t                   end = vitp_scrub_run(s, at + 1, VITP_SCRUB_MACHINE, 128), port, n, i;

    if (!vitp_scrub_port(s, end)) return false;
    port = vitp_scrub_run(s, end + 1, VITP_SCRUB_SET(DIGIT), 6);
    if (vitp_scrub_at(s, port) != ')') return false;
    for (i = 0; i < sizeof says / sizeof *says; i++) {
        n = strlen(says[i]);
        if (at - s->floor > n + 1 && memcmp(s->text + at - 1 - n, says[i], n) == 0)
            return vitp_scrub_is_machine(s, at + 1, end, true) &&
                   vitp_scrub_claim(span, at + 1, end, "[host]");
    }
    return false;
}

/* The '(' of passwd-file(ann,10.0.0.9), as Dovecot says of whom it speaks. */
static VITP_NOINLINE bool vitp_scrub_from_address(const vitp_scrub *s, size_t at,
                                                  vitp_scrub_span *span)
{
    size_t end = vitp_scrub_name_end(s, at + 1, VITP_SCRUB_ACCOUNT);

    return vitp_scrub_at(s, end) == ',' && vitp_scrub_is_address(s, end + 1) &&
           vitp_scrub_is_account(s, at + 1, end) && vitp_scrub_claim(span, at + 1, end, "[user]");
}

/* The ')' of (PW)x and secret)x. */
static bool vitp_scrub_behind_name(vitp_scrub *s, size_t at, vitp_scrub_span *span)
{
    size_t name;

    return vitp_scrub_in(s, at + 1, VITP_SCRUB_ALNUM) && vitp_scrub_name(s, at, &name) == '+' &&
           (name == s->floor || s->text[name - 1] == '(') && vitp_scrub_told_drawn(s, at + 1, span);
}

/* The '(' of DHCPACK on 10.0.0.9 to 02:00:5e:00:53:01 (ann-laptop) via eth0. */
static bool vitp_scrub_leased(const vitp_scrub *s, size_t at, vitp_scrub_span *span)
{
    size_t end = vitp_scrub_name_end(s, at + 1, VITP_SCRUB_MACHINE);

    return at == s->floor + 1 && at > 1 && vitp_scrub_starts(s, end, ") via ") &&
           vitp_scrub_is_machine(s, at + 1, end, true) &&
           vitp_scrub_claim(span, at + 1, end, "[host]");
}

/* What a bracket may open: texts of a call, a value of the name before it, a number. */
static bool vitp_scrub_paren(vitp_scrub *s, size_t at, vitp_scrub_span *span)
{
    char before = vitp_scrub_before(s, at);

    if (s->text[at] == ')') return vitp_scrub_behind_name(s, at, span);
    if (s->text[at] != '(') return false;
    if (vitp_scrub_folds(vitp_scrub_at(s, at + 1), 'p') && vitp_scrub_ends_user(s, at) &&
        vitp_scrub_two_values(s, at + 1, span))
        return true;
    if (vitp_scrub_in(s, vitp_scrub_run(s, at + 1, VITP_SCRUB_SET(SPACE), 1), VITP_SCRUB_QUOTES))
        return vitp_scrub_call(s, at, span);
    if ((vitp_scrub_at(s, at + 4) == '=' || vitp_scrub_is(before, VITP_SCRUB_SET(DIGIT))) &&
        vitp_scrub_user_id(s, at, span))
        return true;
    if (vitp_scrub_is(before, VITP_SCRUB_LETTER | VITP_SCRUB_SET(HIGH)))
        return vitp_scrub_in_parens(s, at, span) || vitp_scrub_from_address(s, at, span);
    return (before == ' ' && vitp_scrub_in(s, at + 1, VITP_SCRUB_LETTER) &&
            (vitp_scrub_at_port(s, at, span) || vitp_scrub_leased(s, at, span))) ||
           vitp_scrub_phone(s, at, span);
}

/* The '%' of percent encoding: which byte do two hex digits stand for? */
static bool vitp_scrub_percent(vitp_scrub *s, size_t at, vitp_scrub_span *span)
{
    if (!vitp_scrub_is_escape(s, at)) return false;
    if (vitp_scrub_starts(s, at, "%40") && vitp_scrub_email(s, at, 3, span)) return true;
    if (vitp_scrub_starts(s, at, "%3D") && vitp_scrub_pair(s, at, 3, span)) return true;
    return vitp_scrub_encoded_path(s, at, span) ||
           (vitp_scrub_in(s, at + 3, VITP_SCRUB_SET(DIGIT)) && vitp_scrub_ipv4(s, at + 3, span));
}

static bool vitp_scrub_equal(vitp_scrub *s, size_t at, vitp_scrub_span *span)
{
    return vitp_scrub_pair(s, at, 1, span);
}

/* The @ of user@10.0.0.9. */
static VITP_NOINLINE bool vitp_scrub_at_address(const vitp_scrub *s, size_t at,
                                                vitp_scrub_span *span)
{
    size_t start = vitp_scrub_back(s, at, VITP_SCRUB_NAME, 40);

    return vitp_scrub_quad(s, at + 1, '.') && vitp_scrub_is_account(s, start, at) &&
           !vitp_scrub_is(vitp_scrub_before(s, start),
                          VITP_SCRUB_SET(AT) | VITP_SCRUB_SET(SLASH)) &&
           vitp_scrub_claim(span, start, at, "[user]");
}

/* The quote that closes the user of 'bob'@'db-1'. */
static VITP_NOINLINE bool vitp_scrub_quoted_user(const vitp_scrub *s, size_t close,
                                                 vitp_scrub_span *span)
{
    size_t start = vitp_scrub_back(s, close, VITP_SCRUB_ACCOUNT, 40);

    return start > s->floor && s->text[start - 1] == s->text[close] &&
           vitp_scrub_is_account(s, start, close) && vitp_scrub_claim(span, start, close, "[user]");
}

static bool vitp_scrub_at_sign(vitp_scrub *s, size_t at, vitp_scrub_span *span)
{
    if (at == s->floor) return false; /* nobody stands before it */
    if (vitp_scrub_in(s, at + 1, VITP_SCRUB_LABEL | VITP_SCRUB_SET(DOT)))
        return vitp_scrub_email(s, at, 1, span) || vitp_scrub_login(s, at, span) ||
               vitp_scrub_shell(s, at, span) || vitp_scrub_erlang(s, at, span) ||
               vitp_scrub_at_address(s, at, span);
    return vitp_scrub_is(vitp_scrub_before(s, at), VITP_SCRUB_QUOTES) &&
           vitp_scrub_in(s, at + 1, VITP_SCRUB_QUOTES) &&
           (vitp_scrub_quoted_user(s, at - 1, span) ||
            vitp_scrub_identity(s, at + 1, '@', true, false, span));
}

static bool vitp_scrub_quote(vitp_scrub *s, size_t at, vitp_scrub_span *span)
{
    return vitp_scrub_is(vitp_scrub_before(s, at), VITP_SCRUB_GAP | VITP_SCRUB_SET(BACKSLASH)) &&
           vitp_scrub_quoted(s, at, span);
}

static bool vitp_scrub_backslash(vitp_scrub *s, size_t at, vitp_scrub_span *span)
{
    char before = vitp_scrub_before(s, at);

    if ((before == '%' || vitp_scrub_at(s, at + 1) == '\\') && vitp_scrub_unc(s, at, span))
        return true;
    return (vitp_scrub_is(before, VITP_SCRUB_CAPITALS | VITP_SCRUB_SET(DASH)) &&
            vitp_scrub_domain_user(s, at, span)) ||
           (vitp_scrub_starts(s, at, "\\u0040") && vitp_scrub_email(s, at, 6, span)) ||
           (vitp_scrub_starts(s, at, "\\Users\\") &&
            vitp_scrub_folders(s, at, vitp_scrub_run(s, at + 7, VITP_SCRUB_SET(BACKSLASH), 2),
                               span));
}

/* The '/' of db/10.0.0.9:5432, as Java has a name and its address. */
static VITP_NOINLINE bool vitp_scrub_resolved(const vitp_scrub *s, size_t at, vitp_scrub_span *span)
{
    size_t start = vitp_scrub_back(s, at, VITP_SCRUB_MACHINE, 64);
    size_t end = vitp_scrub_quad(s, at + 1, '.');

    return end && vitp_scrub_port(s, end) &&
           !vitp_scrub_is(vitp_scrub_before(s, start), VITP_SCRUB_SLASHES | VITP_SCRUB_SET(AT)) &&
           vitp_scrub_is_machine(s, start, at, true) && vitp_scrub_claim(span, start, at, "[host]");
}

static bool vitp_scrub_slash(vitp_scrub *s, size_t at, vitp_scrub_span *span)
{
    char   before = vitp_scrub_before(s, at);
    size_t word = vitp_scrub_run(s, at + 1, VITP_SCRUB_SET(SPACE), 1);

    if (vitp_scrub_in(s, at + 1, VITP_SCRUB_SET(DIGIT)) && vitp_scrub_resolved(s, at, span))
        return true;
    if (vitp_scrub_folds(vitp_scrub_at(s, word), 'p') && at > s->floor &&
        vitp_scrub_ends_user(s, word > at + 1 ? at - (before == ' ') : at) &&
        vitp_scrub_two_values(s, word, span))
        return true;
    if (before == '/') return false;
    return vitp_scrub_path(s, at, span) ||
           (vitp_scrub_is(before, VITP_SCRUB_NAME) && vitp_scrub_user_and_password(s, at, span));
}

static bool vitp_scrub_dot(vitp_scrub *s, size_t at, vitp_scrub_span *span)
{
    return vitp_scrub_mac_dotted(s, at, span) || vitp_scrub_host(s, at, span);
}

/* The first digit of "code is 552901", behind a name whose value is secret if it is a number. */
static VITP_NOINLINE bool vitp_scrub_told_code(const vitp_scrub *s, size_t at,
                                               vitp_scrub_span *span)
{
    size_t end = vitp_scrub_run(s, at, VITP_SCRUB_SET(DIGIT), 11), is = at - 4, name;

    if (s->text[at - 2] == ':') is--; /* code is: 552901 */
    return memcmp(s->text + is, " is", 3) == 0 && end - at >= 4 && end - at <= 10 &&
           !vitp_scrub_goes_on(s, end) && vitp_scrub_name(s, is, &name) == '#' &&
           vitp_scrub_claim(span, at, end, "[secret]");
}

static bool vitp_scrub_digit(vitp_scrub *s, size_t at, vitp_scrub_span *span)
{
    char before = vitp_scrub_before(s, at);

    if (vitp_scrub_is(before, VITP_SCRUB_ALNUM) || vitp_scrub_is_color(s, at)) return false;
    if (before == '$' && vitp_scrub_crypt(s, at, span)) return true;
    if (before == ' ' && at - s->floor > 8 && (s->text[at - 2] == 's' || s->text[at - 2] == ':') &&
        vitp_scrub_told_code(s, at, span))
        return true;
    /* no number of a person or host is one digit */
    return (vitp_scrub_in(s, at + 1, VITP_SCRUB_SET(DIGIT) | VITP_SCRUB_SET(DOT)) &&
            vitp_scrub_number(s, at, span)) ||
           vitp_scrub_token_at(s, at, span);
}

static bool vitp_scrub_angle(vitp_scrub *s, size_t at, vitp_scrub_span *span)
{
    return s->text[at] == '>' && vitp_scrub_element(s, at, 1, span);
}

static bool vitp_scrub_ampersand(vitp_scrub *s, size_t at, vitp_scrub_span *span)
{
    return vitp_scrub_starts(s, at, "&gt;") && vitp_scrub_element(s, at, 4, span);
}

/* Asks the matchers of the class of a trigger, letter or digit: by a table, so that a byte whose
   first look says no costs little more than the call. */
static VITP_INLINE bool vitp_scrub_match(vitp_scrub *s, size_t at, vitp_scrub_span *span)
{
    static bool (*const ask[32])(vitp_scrub *, size_t, vitp_scrub_span *) = {
        NULL, /* CONTROL */
        NULL, /* SPACE */
        NULL, /* LINE */
        vitp_scrub_digit,
        vitp_scrub_letter, /* HEXLOW */
        vitp_scrub_letter, /* LOW */
        vitp_scrub_letter, /* HEXUP */
        vitp_scrub_letter, /* UP */
        NULL,              /* HIGH */
        NULL,              /* UNDERSCORE */
        vitp_scrub_dash,
        vitp_scrub_dot,
        vitp_scrub_equal,
        vitp_scrub_phone, /* PLUS */
        vitp_scrub_slash, /* SLASH */
        vitp_scrub_backslash,
        vitp_scrub_colon,
        vitp_scrub_at_sign,
        vitp_scrub_quote, /* QUOTE */
        vitp_scrub_quote, /* TICK */
        vitp_scrub_quote, /* BACKTICK */
        vitp_scrub_percent,
        NULL, /* DOLLAR */
        NULL, /* TILDE */
        vitp_scrub_ampersand,
        NULL,             /* LIST */
        vitp_scrub_paren, /* PAREN */
        NULL,             /* OPEN */
        NULL,             /* BRACE */
        vitp_scrub_angle,
        NULL, /* WILD */
        NULL, /* OTHER */
    };
    return ask[vitp_scrub_class[(unsigned char)s->text[at]]](s, at, span);
}

/* The span of a trigger where values are known. Registered secrets first, then patterns, known
   words. */
static bool vitp_scrub_find(vitp_scrub *s, size_t at, vitp_scrub_span *span)
{
    vitp_scrub_span secret;
    size_t          i;

    if (vitp_scrub_known(s, at, VITP_SCRUB_STARTS_SECRET, span)) return true;
    if (!(vitp_scrub_in(s, at, VITP_SCRUB_TRIGGER | VITP_SCRUB_ALNUM) &&
          vitp_scrub_match(s, at, span)) &&
        !vitp_scrub_known_word(s, at, span))
        return false;
    /* a registered secret that begins in the span and ends after it goes with it */
    for (i = span->start; i < span->end; i++)
        if (vitp_scrub_known(s, i, VITP_SCRUB_STARTS_SECRET, &secret) && secret.end > span->end)
            span->end = secret.end;
    return true;
}

/* May a known value begin in [at, end)? */
static bool vitp_scrub_may_be_known(const vitp_scrub *s, size_t at, size_t end)
{
    while (at < end && !s->values->first[(unsigned char)s->text[at]]) at++;
    return at < end;
}

/* The end of a short word of letters that no matcher wants to see, or `at`. `last`: class of the
   byte before. */
static VITP_INLINE size_t vitp_scrub_skip(vitp_scrub *s, size_t at, uint32_t last)
{
    size_t   end = vitp_scrub_run(s, at, VITP_SCRUB_LETTER, VITP_SCRUB_TOKEN_MIN);
    uint32_t next;

    if (last & (VITP_SCRUB_SET(BACKSLASH) | VITP_SCRUB_SET(HIGH))) return at;
    if (s->text[at] == 'm' && !(last & VITP_SCRUB_SET(SPACE))) return at;
    if (end == s->size || vitp_scrub_is(s->text[end], VITP_SCRUB_ALNUM)) return at;
    if (end - at == VITP_SCRUB_TOKEN_MIN) return at;
    if (s->values->count && vitp_scrub_may_be_known(s, at, end)) return at;
    if (vitp_scrub_opens(s, at, end)) return at;
    next = vitp_scrub_set_of(s->text[end]);
    if (!(next & VITP_SCRUB_TOKEN)) return end;
    /* what has no prefix goes on without a dot and =, or has Q~ in it */
    if (!(next & VITP_SCRUB_SOLID) && vitp_scrub_at(s, at + 4) != 'Q' &&
        !vitp_scrub_may_be_token(s, at))
        return end;
    return vitp_scrub_asks_tokens(s, at) ? at : end;
}

/* The same of three digits at most. */
static VITP_INLINE size_t vitp_scrub_skip_digits(vitp_scrub *s, size_t at)
{
    size_t   end = vitp_scrub_run(s, at, VITP_SCRUB_SET(DIGIT), 4);
    uint32_t next = vitp_scrub_set_of(vitp_scrub_at(s, end));
    uint32_t number = end == at + 1 ? VITP_SCRUB_SET(DOT) | VITP_SCRUB_SET(DOLLAR)
                                    : VITP_SCRUB_WORD | VITP_SCRUB_JOINS;

    return end - at > 3 || next & number || s->values->count || vitp_scrub_asks_tokens(s, at) ? at
                                                                                              : end;
}

/* The next byte that asks its matchers, or the text's size. */
static size_t vitp_scrub_next(vitp_scrub *s, size_t at)
{
    const uint8_t *first = s->values->first;
    uint32_t       last = vitp_scrub_set_of(vitp_scrub_before(s, at));
    size_t         end;

    if (last & VITP_SCRUB_LETTER) /* the rest of a word */
        while (vitp_scrub_in(s, at, VITP_SCRUB_LETTER) && !first[(unsigned char)s->text[at]]) at++;
    for (; at < s->size; at++) {
        uint32_t set = vitp_scrub_set_of(s->text[at]);

        if (set & VITP_SCRUB_TRIGGER) break;
        if (set & VITP_SCRUB_ALNUM) {
            bool letter = (set & VITP_SCRUB_LETTER) != 0;

            if (!(last & (letter ? VITP_SCRUB_LETTER : VITP_SCRUB_ALNUM))) {
                end = letter ? vitp_scrub_skip(s, at, last) : vitp_scrub_skip_digits(s, at);
                if (end == at) break;
                at = end - 1;
                last = set;
                continue;
            }
        }
        if (first[(unsigned char)s->text[at]]) break;
        last = set;
    }
    return at;
}

/* Where to cut text that goes on after `size` bytes: before a character that is not whole. */
static size_t vitp_scrub_cut(const char *text, size_t size)
{
    size_t back;

    for (back = 1; back <= 3 && back <= size; back++) {
        unsigned char c = (unsigned char)text[size - back];
        size_t        length = c < 0xC0u ? 1 : c < 0xE0u ? 2 : c < 0xF0u ? 3 : 4;

        if (c >= 0x80u && c < 0xC0u) continue;
        return length > back ? size - back : size;
    }
    return size;
}

/* Adds text to the output; `whole`: all or nothing of it. */
static void vitp_scrub_put(vitp_scrub_sink *sink, const char *text, size_t size, bool whole)
{
    size_t room = sink->full ? 0 : sink->room - sink->kept;
    size_t part = size <= room ? size : whole ? 0 : vitp_scrub_cut(text, room);

    sink->length += size;
    if (part) memcpy(sink->out + sink->kept, text, part);
    sink->kept += part;
    if (part < size) sink->full = true;
}

/* The next byte that asks its matchers, or the text's size: often the byte itself. */
static VITP_INLINE size_t vitp_scrub_seek(vitp_scrub *s, size_t at)
{
    return vitp_scrub_in(s, at, VITP_SCRUB_TRIGGER) ? at : vitp_scrub_next(s, at);
}

/* The next span from `at` on. `ahead`: one that was claimed before what precedes it was looked at,
   or begins at s->size. False: there is none. */
static bool vitp_scrub_first(vitp_scrub *s, size_t at, vitp_scrub_span *ahead,
                             vitp_scrub_span *span)
{
    const bool known = s->values->count > 0;

    for (;; at++) {
        at = vitp_scrub_seek(s, at);
        if (at >= ahead->start) break;
        s->trigger = at;
        if (!(known ? vitp_scrub_find(s, at, span) : vitp_scrub_match(s, at, span))) continue;
        if (span->start > at) {
            if (span->start < ahead->start) *ahead = *span;
            if (!known || !vitp_scrub_known_word(s, at, span)) continue;
        }
        if (span->end <= ahead->start) return true;
        span->end = span->end > ahead->end ? span->end : ahead->end;
        ahead->start = s->size;
        return true;
    }
    if (ahead->start >= s->size) return false;
    *span = *ahead;
    ahead->start = s->size;
    return true;
}

/* Goes on behind a marker (or behind the text for which it stands). Of a secret or a key nobody
   knows whether a line ended in it. */
static void vitp_scrub_pass(vitp_scrub *s, const char *marker, size_t end)
{
    if (marker[1] == 's' || marker[1] == 'k') s->line.command = 0;
    s->dull = 0;
    memset(&s->reach, 0, sizeof s->reach);
    if (end > s->floor) s->floor = end;
}

/* Do the matchers of the byte read no further than a token, or say so (vitp_scrub_reach)? Or find
   nothing, as a marker stands at `limit`? */
static bool vitp_scrub_is_asleep(const vitp_scrub *s, size_t at, size_t limit)
{
    uint32_t set = vitp_scrub_set_of(s->text[at]);

    if (!(set & (VITP_SCRUB_TRIGGER | VITP_SCRUB_SET(DIGIT) | VITP_SCRUB_SET(HIGH)))) return true;
    if (set & VITP_SCRUB_QUOTES)
        return !vitp_scrub_is(vitp_scrub_before(s, at), VITP_SCRUB_GAP | VITP_SCRUB_SET(BACKSLASH));
    if (set & VITP_SCRUB_SET(EQUAL)) return at < s->floor + 2; /* of no name */
    if (set & VITP_SCRUB_SET(AT)) /* with no more than a quote before the marker */
        return at + 1 == limit || (at + 2 == limit && vitp_scrub_in(s, at + 1, VITP_SCRUB_QUOTES));
    return s->text[at] == '<';
}

/* The first trigger from `at` on, in one word with a marker at `limit`, whose matchers may read so
   far; or `limit`. `end`: no trigger behind it does. */
static size_t vitp_scrub_awake(const vitp_scrub *s, size_t at, size_t end, size_t limit)
{
    const size_t most = VITP_SCRUB_TOKEN_MIN;

    if (s->values->count || limit - vitp_scrub_back(s, limit, VITP_SCRUB_TOKEN, most) >= most)
        return at;
    while (at < end && vitp_scrub_is_asleep(s, at, limit)) at++;
    return at < end ? at : limit;
}

/* Where to begin to read again what stands between the floor and a marker at `limit`: at the first
   trigger whose matchers may have read so far; all before it would say the same again. A separator
   directly before the marker claims nothing: that is its value. *line: as it was at the floor, then
   as it is there. */
static size_t vitp_scrub_restart(const vitp_scrub *s, const vitp_scrub_reach *reach, size_t limit,
                                 const vitp_scrub_line *now, size_t dull, vitp_scrub_line *line)
{
    const uint32_t separators =
        VITP_SCRUB_SET(EQUAL) | VITP_SCRUB_SET(COLON) | VITP_SCRUB_SET(ANGLE);
    size_t word = vitp_scrub_back(s, limit, ~VITP_SCRUB_BLANK, limit);
    size_t end = limit - (!s->values->count && vitp_scrub_is(s->text[limit - 1], separators));
    size_t least = word - s->floor > VITP_SCRUB_NEAR ? word - VITP_SCRUB_NEAR : s->floor;
    size_t from = vitp_scrub_awake(s, word, end, limit), first = from;

    if (reach->last > least && reach->first <= end)
        first = reach->first > least ? reach->first - 1 : least;
    if (first < from) from = vitp_scrub_back(s, from, ~VITP_SCRUB_SET(LINE), from - first);
    if (now->command <= from && dull <= from) {
        *line = *now;
        return from;
    }
    /* what was remembered there is not known any more: all of the line */
    from = vitp_scrub_back(s, from, ~VITP_SCRUB_SET(LINE), from);
    if (from > s->floor) line->command = 0;
    return from;
}

#define VITP_SCRUB_READINGS 64u

/* Reads again what stands between the floor and a marker at `limit`, from `from` on, where the line
   is as `there` says, and writes it. `line`: as it was at the floor. Where marker upon marker lets
   something before it be claimed (impersonating impersonating ...) that would take for ever: after
   so many times what is left goes as a whole. */
static VITP_NOINLINE void vitp_scrub_reread(vitp_scrub *s, vitp_scrub_sink *sink, size_t limit,
                                            vitp_scrub_line line, size_t from,
                                            vitp_scrub_line there)
{
    const vitp_scrub before = *s;
    vitp_scrub_span  ahead, span, inner;
    bool             found = true;
    size_t           left = (limit - s->floor + 1024u) * VITP_SCRUB_READINGS; /* bytes to read */

    s->more = true;
    while (found && s->floor < limit) {
        s->size = limit;
        for (found = false;; found = true) {
            ahead.start = ahead.end = s->size;
            s->line = there;
            s->run_end = s->solid_end = s->dull = 0;
            if (!vitp_scrub_first(s, from, &ahead, &span)) break;
            left -= left < limit - from ? left : limit - from;
            if (left == 0) vitp_scrub_claim(&span, s->floor, limit, span.marker);
            inner = span;
            s->size = span.start;
            if (left == 0) {
                found = true;
                break;
            }
            from = s->floor;
            there = line;
            if (from == before.floor && from < s->size)
                from = vitp_scrub_restart(s, &before.reach, s->size, &before.line, before.dull,
                                          &there);
        }
        vitp_scrub_put(sink, s->text + s->floor, s->size - s->floor, false);
        if (!found) break;
        vitp_scrub_put(sink, inner.marker, strlen(inner.marker), true);
        vitp_scrub_pass(s, inner.marker, inner.end);
        from = s->floor;
        line = there = s->line;
    }
    s->size = before.size;
    s->more = before.more;
    s->run_end = before.run_end;
    s->solid_end = before.solid_end;
}

/* Writes what stands between the floor and a marker at `limit`, after it was read as it will stand
   there: what is claimed only now goes as well. `line`: as it was at the floor. So a scrubbed text
   holds nothing that would be claimed, and scrubbing it again changes nothing. Of the last line it
   is enough: no matcher reads across the end of one (but that of PEM, which always claims). */
static void vitp_scrub_settle(vitp_scrub *s, vitp_scrub_sink *sink, size_t limit,
                              vitp_scrub_line line)
{
    vitp_scrub_line there = line;
    size_t          from;

    if (limit <= s->floor) return;
    from = vitp_scrub_restart(s, &s->reach, limit, &s->line, s->dull, &there);
    if (from < limit) {
        vitp_scrub_reread(s, sink, limit, line, from, there);
        return;
    }
    s->line = there;
    vitp_scrub_put(sink, s->text + s->floor, limit - s->floor, false);
}

/* Scrubs what stands between the floor and the next marker of the text. */
static void vitp_scrub_segment(vitp_scrub *s, vitp_scrub_sink *sink)
{
    vitp_scrub_span ahead = { s->size, s->size, "" }, span;
    vitp_scrub_line line = s->line;

    s->run_end = s->solid_end = 0;
    while (vitp_scrub_first(s, s->floor, &ahead, &span)) {
        vitp_scrub_settle(s, sink, span.start, line);
        if (span.end > s->floor) {
            vitp_scrub_put(sink, span.marker, strlen(span.marker), true);
            vitp_scrub_pass(s, span.marker, span.end);
        }
        line = s->line;
    }
    if (s->floor < s->size) vitp_scrub_put(sink, s->text + s->floor, s->size - s->floor, false);
}

/* Where the next marker of the text stands, or its end; *length: of the marker. */
static size_t vitp_scrub_find_marker(const char *text, size_t at, size_t size, size_t *length)
{
    const char *open;
    size_t      i;

    while (at < size && (open = (const char *)memchr(text + at, '[', size - at)) != NULL) {
        at = (size_t)(open - text);
        for (i = 0; at + 1 < size && vitp_text_is_lower(open[1]) &&
                    i < sizeof vitp_scrub_markers / sizeof *vitp_scrub_markers;
             i++) {
            if (open[1] != vitp_scrub_markers[i][1]) continue;
            *length = strlen(vitp_scrub_markers[i]);
            if (*length <= size - at && memcmp(open, vitp_scrub_markers[i], *length) == 0)
                return at;
        }
        at++;
    }
    *length = 0;
    return size;
}

/* Scrubs text into out (out_size bytes, NUL-terminated if there is one). Returns the length of the
   whole scrubbed text; *kept, if not NULL, gets the bytes written before the NUL. It is cut at a
   UTF-8 character and never inside a marker. values may be NULL. */
static size_t vitp_scrub_text(char *out, size_t out_size, const char *text, size_t size,
                              const vitp_scrub_values *values, size_t *kept)
{
    vitp_scrub_sink sink = { out, out_size ? out_size - 1 : 0, 0, 0, false };
    vitp_scrub      s;
    size_t          length;

    memset(&s, 0, sizeof s);
    s.text = text;
    s.whole = size;
    s.values = values ? values : &vitp_scrub_no_values;
    while (s.floor < size) {
        s.size = vitp_scrub_find_marker(text, s.floor, size, &length);
        s.more = length > 0;
        vitp_scrub_segment(&s, &sink);
        if (s.floor > s.size) continue; /* a secret reached beyond the marker */
        if (length) vitp_scrub_put(&sink, text + s.size, length, true);
        vitp_scrub_pass(&s, length ? text + s.size : "[]", s.size + length);
    }
    if (out_size) out[sink.kept] = '\0';
    if (kept) *kept = sink.kept;
    return sink.length;
}

size_t vit_scrub(char *out, size_t out_size, const char *text, size_t text_size)
{
    return vitp_scrub_text(out, out ? out_size : 0, text ? text : "", text ? text_size : 0, NULL,
                           NULL);
}

/* ============================================================================================
   >>json: a writer of JSON (RFC 8259) into memory of a fixed size. What does not fit sets `full`
   and leaves the text as it was before the call; the caller goes back to a mark that it took.
   ============================================================================================ */

typedef struct vitp_json {
    char  *data;
    size_t size, capacity;
    bool   full;
} vitp_json;

static void vitp_json_raw(vitp_json *j, const char *text, size_t size)
{
    if (j->full || size > j->capacity - j->size) {
        j->full = true;
        return;
    }
    memcpy(j->data + j->size, text, size);
    j->size += size;
}

/* A string literal. */
#define VITP_JSON_LITERAL(j, text) vitp_json_raw((j), text, sizeof(text) - 1u)

static void vitp_json_text(vitp_json *j, const char *text) { vitp_json_raw(j, text, strlen(text)); }

/* What stands for a character that may not stand for itself, or NULL. */
static const char *vitp_json_escape(unsigned char c, char buffer[7])
{
    static const char digits[] = "0123456789abcdef";
    switch (c) {
    case '"': return "\\\"";
    case '\\': return "\\\\";
    case '\b': return "\\b";
    case '\f': return "\\f";
    case '\n': return "\\n";
    case '\r': return "\\r";
    case '\t': return "\\t";
    default: break;
    }
    if (c >= 0x20u && c != 0x7Fu) return NULL;
    memcpy(buffer, "\\u00", 4);
    buffer[4] = digits[c >> 4];
    buffer[5] = digits[c & 15u];
    buffer[6] = 0;
    return buffer;
}

/* before, text and after in one piece. */
static void vitp_json_framed(vitp_json *j, const char *before, uint32_t before_size,
                             const char *text, size_t size, const char *after, uint32_t after_size)
{
    char *out = j->data + j->size;
    if (j->full || size + before_size + after_size > j->capacity - j->size) {
        j->full = true;
        return;
    }
    j->size += size + before_size + after_size;
    while (before_size-- > 0) *out++ = *before++;
    memcpy(out, text, size);
    out += size;
    while (after_size-- > 0) *out++ = *after++;
}

/* A string of which each byte is known to stand for itself. */
static void vitp_json_quoted(vitp_json *j, const char *text, size_t size)
{
    vitp_json_framed(j, "\"", 1, text, size, "\"", 1);
}

/* Bytes at the beginning that stand for themselves in a string: eight at a time, then one at a
   time. */
static size_t vitp_json_plain(const char *text, size_t size)
{
    size_t i = 0;
    for (; size - i >= 8; i += 8) {
        uint64_t w, care; /* care: the high bit of each byte that may not be plain */
        memcpy(&w, text + i, 8);
        care = w | (w - VITP_TEXT_EACH(0x20u)) | (w + VITP_TEXT_EACH(1u));
        care |= (w ^ VITP_TEXT_EACH((unsigned char)'"')) - VITP_TEXT_EACH(1u);
        care |= (w ^ VITP_TEXT_EACH((unsigned char)'\\')) - VITP_TEXT_EACH(1u);
        if (care & VITP_TEXT_EACH(0x80u)) break;
    }
    for (; i < size; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c - 0x20u > 0x5Eu || c == '"' || c == '\\') break;
    }
    return i;
}

/* One character that is not plain; malformed UTF-8 becomes U+FFFD. Returns its bytes in text. */
static size_t vitp_json_careful(vitp_json *j, const char *text, size_t size)
{
    uint32_t    code;
    size_t      n = vitp_text_decode(text, size, &code);
    char        buffer[7];
    const char *replacement = code < 0x80u ? vitp_json_escape((unsigned char)code, buffer) : NULL;
    if (code == VITP_TEXT_BAD) replacement = "\xEF\xBF\xBD";
    if (replacement) vitp_json_raw(j, replacement, strlen(replacement));
    else vitp_json_raw(j, text, n);
    return n;
}

/* A string: malformed UTF-8 becomes U+FFFD, control characters are escaped. */
static void vitp_json_string(vitp_json *j, const char *text, size_t size)
{
    size_t mark = j->size, i = 0, plain;
    vitp_json_raw(j, "\"", 1);
    while (i < size) {
        plain = vitp_json_plain(text + i, size - i);
        vitp_json_raw(j, text + i, plain);
        i += plain;
        if (i < size) i += vitp_json_careful(j, text + i, size - i);
    }
    vitp_json_raw(j, "\"", 1);
    if (j->full) j->size = mark;
}

static const char vitp_json_pairs[] = "00010203040506070809101112131415161718192021222324"
                                      "25262728293031323334353637383940414243444546474849"
                                      "50515253545556575859606162636465666768697071727374"
                                      "75767778798081828384858687888990919293949596979899";

/* The digits of a number, at most VITP_JSON_DIGITS of them with the sign. Returns their end. */
#define VITP_JSON_DIGITS 20u
static VITP_INLINE char *vitp_json_digits(char *out, int64_t value)
{
    uint64_t rest = value < 0 ? 0u - (uint64_t)value : (uint64_t)value, least;
    char    *end, *at;
    if (value < 0) *out++ = '-';
    end = out + 1;
    for (least = 10u; rest >= least; least *= 10u) end++; /* 10 to the 19th at most */
    for (at = end; rest >= 100u; rest /= 100u) {
        at -= 2;
        memcpy(at, vitp_json_pairs + 2u * (rest % 100u), 2);
    }
    if (rest < 10u) at[-1] = (char)('0' + rest);
    else memcpy(at - 2, vitp_json_pairs + 2u * rest, 2);
    return end;
}

static void vitp_json_int(vitp_json *j, int64_t value)
{
    char digits[VITP_JSON_DIGITS];
    vitp_json_raw(j, digits, (size_t)(vitp_json_digits(digits, value) - digits));
}

/* A double is written by whole numbers alone: exact, whatever the host's locale and its mode of
   rounding (fesetround) are, and by its bits, since -ffast-math takes each double for a finite one.

   The digits come as Steele and White found them: value / one, of which every tenfold gives the
   next one, until what is left is less than half of the way to the next double. */

#define VITP_JSON_WORDS       38u /* 2 to the 1074th times a mantissa, and two words more */
#define VITP_JSON_REAL_DIGITS 17u

typedef struct vitp_json_exact {
    uint32_t value[VITP_JSON_WORDS], one[VITP_JSON_WORDS]; /* the lowest word first */
    uint32_t gap[VITP_JSON_WORDS];                         /* half of the way to the double below */
    uint32_t gaps_up;                                      /* so many are half of that above */
    size_t   words;                                        /* of each: the others are 0 */
    bool     even;                                         /* a tie reads back as this double */
} vitp_json_exact;

static void vitp_json_big_set(uint32_t *big, uint64_t value, unsigned shift)
{
    uint64_t high = shift % 32u ? value >> (64u - shift % 32u) : 0;
    value <<= shift % 32u;
    big += shift / 32u;
    big[0] = (uint32_t)value;
    big[1] = (uint32_t)(value >> 32);
    big[2] = (uint32_t)high;
}

static void vitp_json_big_times(uint32_t *big, size_t words, uint32_t factor)
{
    uint64_t carry = 0;
    size_t   i;
    for (i = 0; i < words; i++) {
        carry += (uint64_t)big[i] * factor;
        big[i] = (uint32_t)carry;
        carry >>= 32;
    }
}

static void vitp_json_big_tens(uint32_t *big, size_t words, int tens)
{
    for (; tens >= 9; tens -= 9) vitp_json_big_times(big, words, 1000000000u);
    for (; tens > 0; tens--) vitp_json_big_times(big, words, 10u);
}

/* The sign of a + times * b - c; the sum fits. */
static int vitp_json_big_compare(const uint32_t *a, uint32_t times, const uint32_t *b,
                                 const uint32_t *c, size_t words)
{
    uint64_t carry = 0;
    size_t   i;
    int      sign = 0;
    for (i = 0; i < words; i++) {
        carry += a[i] + (uint64_t)b[i] * times;
        if ((uint32_t)carry != c[i]) sign = (uint32_t)carry > c[i] ? 1 : -1;
        carry >>= 32;
    }
    return sign;
}

/* a - times * b, which is not negative. */
static void vitp_json_big_subtract(uint32_t *a, uint32_t times, const uint32_t *b, size_t words)
{
    uint64_t owed = 0;
    size_t   i;
    for (i = 0; i < words; i++) {
        owed += (uint64_t)b[i] * times;
        if ((uint32_t)owed > a[i]) owed += UINT64_C(1) << 32;
        a[i] -= (uint32_t)owed;
        owed >>= 32;
    }
}

/* Is what is left so little, or so much, that a digit more or less reads back the same? */
static bool vitp_json_near_below(const vitp_json_exact *x)
{
    return vitp_json_big_compare(x->value, 0, x->gap, x->gap, x->words) < (x->even ? 1 : 0);
}
static bool vitp_json_near_above(const vitp_json_exact *x)
{
    return vitp_json_big_compare(x->value, x->gaps_up, x->gap, x->one, x->words) >=
           (x->even ? 0 : 1);
}

/* All of it times a power of two that leaves the highest word of `one` four bits, and one set bit
   below them: ten of it fit, and this word alone tells a digit, or one less. */
static void vitp_json_exact_align(vitp_json_exact *x)
{
    uint32_t top, factor = 1u << 27;
    while (x->one[x->words - 1u] == 0) x->words--;
    for (top = x->one[x->words - 1u]; top > 1u; top >>= 1)
        factor = factor > 1u ? factor >> 1 : 1u << 31;
    if (x->one[x->words - 1u] >> 28) x->words++; /* it moves up into the next one */
    vitp_json_big_times(x->one, x->words, factor);
    vitp_json_big_times(x->value, x->words, factor);
    vitp_json_big_times(x->gap, x->words, factor);
}

/* Of a double that is not 0: value / one is below 1. Returns the power of ten that it is to be
   multiplied by. */
static int vitp_json_exact_begin(vitp_json_exact *x, uint64_t bits)
{
    uint64_t mantissa = bits & ((UINT64_C(1) << 52) - 1u);
    int      power = (int)(bits >> 52 & 0x7FFu), size = 53, tens, most;
    unsigned twice = mantissa == 0 && power > 1 ? 2u : 1u; /* the double below is nearer */
    memset(x, 0, sizeof *x);
    if (power > 0) mantissa |= UINT64_C(1) << 52;
    else power = 1;
    power -= 1075; /* the double is mantissa times 2 to that power */
    while (!(mantissa >> (size - 1))) size--;
    tens = (power + size - 1) * 315653; /* 2 to the 20th times the logarithm of 2, which is near */
    tens = (tens - (tens < 0 ? 0xFFFFF : 0)) / 0x100000 + 1; /* enough for 1,100; or one too few */
    most = tens < 0 ? -tens * 10 / 3 : tens * 10 / 3; /* bits of that power of ten, or more */
    if (most < power || most < -power) most = power < 0 ? -power : power;
    x->words = (size_t)(most + size + 10) / 32u + 1u; /* power < 0 < tens: -power < size */
    x->even = !(mantissa & 1u);
    x->gaps_up = twice;
    vitp_json_big_set(x->value, mantissa, twice + (unsigned)(power > 0 ? power : 0));
    vitp_json_big_set(x->one, 1, twice + (unsigned)(power < 0 ? -power : 0));
    vitp_json_big_set(x->gap, 1, (unsigned)(power > 0 ? power : 0));
    vitp_json_big_tens(x->one, x->words, tens);
    vitp_json_big_tens(x->value, x->words, -tens);
    vitp_json_big_tens(x->gap, x->words, -tens);
    if (vitp_json_near_above(x)) {
        vitp_json_big_tens(x->one, x->words, 1);
        tens++;
    }
    vitp_json_exact_align(x);
    return tens;
}

/* The fewest digits that read back the same, and of those the nearest. Returns how many. */
static size_t vitp_json_shortest(char digits[VITP_JSON_REAL_DIGITS], vitp_json_exact *x)
{
    size_t n = 0;
    bool   below = false, above = false;
    while (!below && !above && n < VITP_JSON_REAL_DIGITS) {
        uint32_t digit;
        vitp_json_big_times(x->value, x->words, 10u);
        vitp_json_big_times(x->gap, x->words, 10u);
        digit = x->value[x->words - 1u] / (x->one[x->words - 1u] + 1u);
        vitp_json_big_subtract(x->value, digit, x->one, x->words);
        if (vitp_json_big_compare(x->value, 0, x->gap, x->one, x->words) >= 0) {
            vitp_json_big_subtract(x->value, 1u, x->one, x->words);
            digit++;
        }
        below = vitp_json_near_below(x);
        above = vitp_json_near_above(x);
        if (below && above) { /* the nearer one; of two the even one */
            int half = vitp_json_big_compare(x->value, 1, x->value, x->one, x->words);
            above = half > 0 || (half == 0 && (digit & 1u));
        }
        digits[n++] = (char)('0' + digit + (above ? 1u : 0));
    }
    return n;
}

/* 0.001 and 1234, but 1e-05 and 1e+15, as printf's %.15g has it. */
static void vitp_json_decimal(vitp_json *j, const char *digits, size_t n, int power)
{
    static const char zeros[] = "000000000000000";
    char              text[8];
    size_t            whole = power >= 0 ? (size_t)power + 1u : 0;
    if (power < -4 || power >= (n > 15u ? (int)n : 15)) {
        vitp_json_raw(j, digits, 1);
        if (n > 1u) vitp_json_raw(j, ".", 1);
        vitp_json_raw(j, digits + 1, n - 1u);
        vitp_json_raw(j, text, (size_t)snprintf(text, sizeof text, "e%+03d", power));
    } else if (whole >= n) {
        vitp_json_raw(j, digits, n);
        vitp_json_raw(j, zeros, whole - n);
    } else {
        vitp_json_raw(j, whole ? digits : "0", whole ? whole : 1u);
        vitp_json_raw(j, ".", 1);
        if (!whole) vitp_json_raw(j, zeros, (size_t)(-power - 1));
        vitp_json_raw(j, digits + whole, n - whole);
    }
}

/* The same of what is written most: from 1/64 up to 10 to the 15th, one word holds what stands
   behind the point. False: it is another number, of which nothing is written. */
static bool vitp_json_common(vitp_json *j, uint64_t bits)
{
    uint64_t mantissa = bits & ((UINT64_C(1) << 52) - 1u), one, left, digit;
    uint64_t below = mantissa ? 2u : 1u, above = 2u; /* half of the way to the next doubles */
    uint64_t even = mantissa & 1u ? 0 : 1u;
    unsigned point = 1077u - (unsigned)(bits >> 52 & 0x7FFu);
    char     digits[20] = ".";
    size_t   n = 1;
    bool     low = false, high = false;
    if (point < 2u || point > 60u) return false; /* ten of `one` fit */
    one = UINT64_C(1) << point;
    left = (mantissa | UINT64_C(1) << 52) << 2;
    if (left >> point >= UINT64_C(1000000000000000)) return false;
    vitp_json_int(j, (int64_t)(left >> point));
    left &= one - 1u;
    if (left == 0) return true;
    while (!low && !high) {
        left *= 10u, below *= 10u, above *= 10u;
        digit = left >> point;
        left &= one - 1u;
        low = left < below + even;
        high = one - left < above + even;
        if (low && high) high = left * 2u > one || (left * 2u == one && (digit & 1u));
        digits[n++] = (char)('0' + digit + (high ? 1u : 0));
    }
    vitp_json_raw(j, digits, n);
    return true;
}

/* Of the bits of a double. */
static void vitp_json_real(vitp_json *j, uint64_t bits)
{
    char            text[40], digits[VITP_JSON_REAL_DIGITS];
    vitp_json       number = { NULL, 0, sizeof text, false };
    vitp_json_exact x;
    int             power;
    if ((bits >> 52 & 0x7FFu) == 0x7FFu) { /* NaN or infinite */
        VITP_JSON_LITERAL(j, "null");
        return;
    }
    number.data = text;
    if (bits >> 63) vitp_json_raw(&number, "-", 1);
    if (!(bits << 1)) {
        vitp_json_raw(&number, "0", 1);
    } else if (!vitp_json_common(&number, bits)) {
        power = vitp_json_exact_begin(&x, bits) - 1;
        vitp_json_decimal(&number, digits, vitp_json_shortest(digits, &x), power);
    }
    vitp_json_raw(j, text, number.size);
}

/* ============================================================================================
   >>queue: many producers, one consumer, records of different sizes, over memory of the caller's.

   The memory is a pool of chunks. A thread takes a chunk with one compare-and-swap and then fills
   it alone: a record is a copy and one release store of the chunk's word, no locked instruction.
   A thread is known by its thread pointer, which leads to its slot. Whoever has no chunk of its
   own appends to the shared chunk by compare-and-swap: too many threads, a signal handler or
   callback in the middle of a record, a pool that runs out.

   word      of a chunk says what its data means: sealed, shared, generation, bytes. One store of
             it (next generation, 0 bytes) empties the chunk.
   ticket    chunks are handed out in the order of a 32-bit ticket; free_list[ticket] names them.
   limit     of a slot is changed by read-modify-write only; the order of its changes decides who
             owns the chunk, the thread or the consumer that takes an idle thread's chunk away.
   busy      bit 0 of a slot's owner: the thread is inside a record.
   number    each record of a thread has one; the consumer puts them back into their order where a
             thread used its own and the shared chunk.

   The consumer reads each word once a look, notes what is new as segments and hands it out in the
   same walk; a segment stays until it is released. Seal before take: a thread whose chunk is full
   seals it before it asks for the next one, or threads with full chunks would wait for each other.
   ============================================================================================ */

#ifndef VITP_QUEUE_CAPACITY_MIN
#define VITP_QUEUE_CAPACITY_MIN 16384u
#endif
#define VITP_QUEUE_CAPACITY_MAX (1u << 30)
#ifndef VITP_QUEUE_CHUNK_MIN
#define VITP_QUEUE_CHUNK_MIN 4096u
#endif
#define VITP_QUEUE_CHUNK_MAX 32768u
#ifndef VITP_QUEUE_SLOTS
#define VITP_QUEUE_SLOTS 64u /* power of two, below 127: it fits a head */
#endif
#ifndef VITP_QUEUE_PROBES
#define VITP_QUEUE_PROBES 4u /* slots that a thread pointer may lie in */
#endif
#define VITP_QUEUE_HOLES 16u
/* How long a record waits for an earlier one of its thread: two passes in which nothing was in the
   way of that one, so that it will not come; or this time, where something was. */
#define VITP_QUEUE_PATIENCE   2u
#define VITP_QUEUE_STALLED_NS 1000000000u
#ifndef VITP_QUEUE_FIRST
#define VITP_QUEUE_FIRST 0u /* first ticket; tests begin just below the wrap */
#endif

#define VITP_WORD_SEALED     0x80000000u
#define VITP_WORD_SHARED     0x40000000u
#define VITP_WORD_GENERATION 0x3FFF0000u
#define VITP_WORD_NEXT       0x00010000u
#define VITP_WORD_BYTES(w)   ((w)&0xFFFFu)

/* What a slot's limit is when it is not the end of a chunk; all fail the one test of the record
   path. */
#define VITP_LIMIT_NONE    0u
#define VITP_LIMIT_WANTED  1u /* the consumer would like to have the chunk */
#define VITP_LIMIT_SEALING 2u /* the consumer has it */

#define VITP_HEAD_DONE    0x80000000u /* in a shared chunk: committed */
#define VITP_HEAD_PENDING 0x40000000u /* in a shared chunk: reserved */
#define VITP_HEAD_SKIP    0x20000000u /* nothing in it */
#define VITP_HEAD_INSIDE  0x10000000u /* pushed in the middle of another record of its thread */
#define VITP_HEAD_REST    0xFFFFFFFFu /* in place of a number, over what was written there */
#define VITP_HEAD_TAG(h)  (((h) >> 16) & 0x7Fu)
#define VITP_HEAD_COUNT(h) \
    (((h) >> 23) & 0x1Fu) /* inside records of its thread before it, mod 32 */
#define VITP_HEAD_COUNT_ONE  0x00800000u
#define VITP_HEAD_COUNT_MASK 0x0F800000u
#define VITP_HEAD_SIZE(h)    ((h)&0xFFFFu)

typedef struct vitp_head {
    uint32_t what;   /* VITP_HEAD_*, tag of the thread's slot (0: none), size of the record */
    uint32_t number; /* of the record in its thread */
} vitp_head;

typedef struct vitp_chunk {
    uint32_t word; /* its owner; a shared one by compare-and-swap; the consumer when it is sealed */
    uint32_t released;  /* the consumer: generation and bytes */
    uint32_t ticket;    /* the consumer, before it is free */
    uint32_t important; /* shared: opened from what is kept back. Before it is published */
    uint32_t before;    /* shared: name of the chunk before it. Before it is published */
    uint32_t holder; /* else: the owner, its slot's tag; that of an earlier one just after a take */
    uint32_t unused[10];
    /* data follows */
} vitp_chunk;

/* What all threads and, in a shared mapping, processes share. */
typedef struct vitp_pool {
    uint32_t chunk_bytes, data_bytes, chunk_count; /* count: power of two */
    uint32_t unused0[13];
    uint32_t taken; /* ticket of the next chunk to hand out */
    uint32_t unused1[31];
    uint32_t freed; /* tickets below it are free or in use; the consumer */
    uint32_t unused2[31];
    uint32_t shared;   /* name of the shared chunk: low half of its ticket, index + 1; 0: none */
    uint32_t untagged; /* records that have no number of their own */
    uint32_t unused3[30];
    /* free_list[chunk_count], then the chunks, aligned to 64 */
} vitp_pool;

/* A thread's place. Its own line: other threads' records do not disturb it. */
typedef struct vitp_slot {
    uintptr_t   owner;  /* thread pointer, | 1 while it is inside a record; 0: free */
    vitp_chunk *chunk;  /* the owner; the consumer while limit is SEALING */
    uint32_t    word;   /* of the chunk, as the owner wrote it last */
    uint32_t    limit;  /* end of the chunk in terms of word, or VITP_LIMIT_* */
    uint32_t    number; /* of the next record: the owner */
    uint32_t    tag;    /* number of the slot from 1, and the count, where a head has them */
    uint32_t    filled; /* 1: the owner filled its last chunk, and has no other yet */
    uint32_t    unused[(64u - 2u * sizeof(void *) - 20u) / 4u];
} vitp_slot;

/* How far the consumer is in a chunk. */
typedef struct vitp_cursor {
    uint32_t word;     /* of the chunk, when this look began */
    uint32_t noted;    /* bytes that are in segments or holes, or released */
    uint32_t released; /* bytes */
    uint32_t waiting;  /* passes for which the next record has waited for an earlier one */
    bool     gap;      /* in this pass it does */
    bool     holed;    /* it had a hole: the chunk's own `released` stays before it */
    bool     done;     /* sealed, and all of it noted: in this pass */
} vitp_cursor;

/* A record of a shared chunk that cannot be handed out yet: its thread is in the middle of it, or
   an earlier one of its thread is. Those behind it do not wait. */
typedef struct vitp_hole {
    uint32_t index, at, need, waiting;
} vitp_hole;

/* Records of one chunk, in the order in which they are handed out. */
typedef struct vitp_segment {
    uint32_t index, begin, end;
    uint32_t records; /* what is no skip */
} vitp_segment;

typedef bool (*vitp_record_fn)(const void *record, uint32_t size, void *user);

struct vit_queue {
    vitp_slot places[VITP_QUEUE_SLOTS]; /* first: aligned, and found without an offset */
    /* constant */
    vitp_pool    *pool;
    uint32_t      record_max;
    uint32_t      segment_max;
    vitp_cursor  *cursors;  /* by index of the chunk */
    uint32_t     *active;   /* indexes of the chunks that are handed out, by ticket */
    vitp_segment *segments; /* ring of segment_max */
    /* the consumer */
    uint32_t  active_count, seen; /* seen: tickets below it are active or done */
    uint32_t  segment_first, segment_count;
    uintptr_t noted;        /* records so far */
    size_t    held, wanted; /* noted and not released; as many are looked for */
    uintptr_t shown_noted;  /* the same, for other threads: stored after each look */
    bool      blocked, gap; /* in this pass: something could not be looked at; a record waits */
    bool      stopped;      /* nor could what is behind it */
    uint64_t  gap_since_ns; /* 0: no record waits */
    bool      closed;       /* nobody adds records any more: none is waited for */
    bool      wipes;        /* what is released leaves no trace in the memory */
    uint32_t  no_barrier;   /* the last heavy one failed: idle threads keep their chunks */
    uint32_t  hole_count;
    vitp_hole holes[VITP_QUEUE_HOLES];
    uint32_t  expected[VITP_QUEUE_SLOTS + 1u]; /* by tag: number of its next record */
    uint32_t  inside[VITP_QUEUE_SLOTS + 1u];   /* by tag: inside records so far, modulo 32 */

    /* a peek */
    vitp_record_fn record_fn; /* NULL: there is none */
    void          *user;
    size_t         shown; /* of those held */
};

#define VITP_QUEUE_ALIGN(n)      (((size_t)(n) + 63u) & ~(size_t)63u)
#define VITP_QUEUE_SEGMENTS_EACH 4u /* segments for each chunk: batches of small pieces */

/* ---- pool -------------------------------------------------------------------------------- */

static uint32_t *vitp_pool_free_list(vitp_pool *p) { return (uint32_t *)(void *)(p + 1); }

static vitp_chunk *vitp_pool_chunk(vitp_pool *p, uint32_t index)
{
    char *first = (char *)p + VITP_QUEUE_ALIGN(sizeof *p + p->chunk_count * sizeof(uint32_t));
    return (vitp_chunk *)(void *)(first + (size_t)index * p->chunk_bytes);
}

static uint32_t vitp_pool_index(vitp_pool *p, const vitp_chunk *c)
{
    return (uint32_t)((size_t)((const char *)c - (const char *)vitp_pool_chunk(p, 0)) /
                      p->chunk_bytes);
}

static uint32_t vitp_pool_chunk_bytes(uint32_t capacity)
{
    uint32_t bytes = capacity / 32u;
    if (bytes < VITP_QUEUE_CHUNK_MIN) bytes = VITP_QUEUE_CHUNK_MIN;
    return bytes > VITP_QUEUE_CHUNK_MAX ? VITP_QUEUE_CHUNK_MAX : bytes;
}

static size_t vitp_pool_bytes(uint32_t capacity)
{
    uint32_t count = capacity / vitp_pool_chunk_bytes(capacity);
    return VITP_QUEUE_ALIGN(sizeof(vitp_pool) + count * sizeof(uint32_t)) + capacity;
}

static vitp_pool *vitp_pool_init(void *memory, uint32_t capacity)
{
    vitp_pool *p = (vitp_pool *)memory;
    uint32_t   i, index;
    memset(memory, 0, vitp_pool_bytes(capacity));
    p->chunk_bytes = vitp_pool_chunk_bytes(capacity);
    p->data_bytes = p->chunk_bytes - (uint32_t)sizeof(vitp_chunk);
    p->chunk_count = capacity / p->chunk_bytes;
    for (i = 0; i < p->chunk_count; i++) {
        index = (VITP_QUEUE_FIRST + i) & (p->chunk_count - 1u);
        vitp_pool_free_list(p)[index] = index;
        vitp_pool_chunk(p, index)->ticket = VITP_QUEUE_FIRST + i;
    }
    p->taken = VITP_QUEUE_FIRST;
    p->freed = VITP_QUEUE_FIRST + p->chunk_count;
    return p;
}

/* What is kept back: an eighth for important records, and as much again from threads that have not
   just filled a chunk, so that those of idle ones starve nobody. Where no chunk can be taken from
   an idle thread, as much again from all threads, and the shared chunk leaves half of it only:
   whatever idle threads hold, the others have that one. */
static uint32_t vitp_pool_kept(const vitp_pool *p)
{
    return p->chunk_count >= 16u ? p->chunk_count / 8u : 1u;
}

static uint32_t vitp_queue_kept_own(const vit_queue *q, const vitp_slot *s)
{
    return (s->filled && !VITP_ATOMIC_LOAD(&q->no_barrier) ? 1u : 2u) * vitp_pool_kept(q->pool);
}

static uint32_t vitp_queue_kept_shared(const vit_queue *q)
{
    return vitp_pool_kept(q->pool) / (VITP_ATOMIC_LOAD(&q->no_barrier) ? 2u : 1u);
}

/* Takes a chunk while more than `kept` are free. Tickets are compared by their difference: a stale
   one is behind, never equal by chance. */
static vitp_chunk *vitp_pool_take(vitp_pool *p, uint32_t kept)
{
    uint32_t ticket = VITP_ATOMIC_LOAD_ACQUIRE(&p->taken), freed, index;
    do {
        freed = VITP_ATOMIC_LOAD_ACQUIRE(&p->freed);
        if ((int32_t)(freed - ticket) <= (int32_t)kept) return NULL;
        index = VITP_ATOMIC_LOAD(&vitp_pool_free_list(p)[ticket & (p->chunk_count - 1u)]);
    } while (!VITP_ATOMIC_CAS(&p->taken, &ticket, ticket + 1u));
    return vitp_pool_chunk(p, index);
}

/* Only while it is the shared chunk that was meant: it may be somebody's own by now. */
static void vitp_pool_close(vitp_chunk *c)
{
    uint32_t word = VITP_ATOMIC_LOAD(&c->word);
    while ((word & (VITP_WORD_SHARED | VITP_WORD_SEALED)) == VITP_WORD_SHARED)
        if (VITP_ATOMIC_CAS(&c->word, &word, word | VITP_WORD_SEALED)) break;
}

/* ---- the shared chunk: any thread, also in the middle of a record of its own ------------- */

static VITP_INLINE uint32_t vitp_queue_need(uint32_t size)
{
    return (size + (uint32_t)sizeof(vitp_head) + 7u) & ~7u;
}

static VITP_INLINE vitp_head *vitp_queue_head(vitp_chunk *c, uint32_t at)
{
    return (vitp_head *)(void *)((char *)(c + 1) + at);
}

static uint32_t vitp_pool_name(vitp_pool *p, const vitp_chunk *c)
{
    return VITP_ATOMIC_LOAD(&c->ticket) << 16 | (vitp_pool_index(p, c) + 1u);
}

/* Room in the shared chunk that is named, or NULL: there is none, or it is not for this record.
   The chunk may be in use anew, even as a shared one that has no name yet: then its ticket is
   another. */
static vitp_head *vitp_queue_append(vitp_pool *p, uint32_t name, uint32_t need, bool important)
{
    vitp_chunk *c = vitp_pool_chunk(p, (name & 0xFFFFu) - 1u);
    uint32_t    word = VITP_ATOMIC_LOAD_ACQUIRE(&c->word);
    if (vitp_pool_name(p, c) != name) return NULL;
    while ((word & (VITP_WORD_SHARED | VITP_WORD_SEALED)) == VITP_WORD_SHARED) {
        if (!important && VITP_ATOMIC_LOAD(&c->important)) return NULL;
        if (VITP_WORD_BYTES(word) + need > p->data_bytes) {
            vitp_pool_close(c);
            return NULL;
        }
        if (VITP_ATOMIC_CAS(&c->word, &word, word + need))
            return vitp_queue_head(c, VITP_WORD_BYTES(word));
    }
    return NULL;
}

/* Opens a new shared chunk behind the one named. False: there is no chunk to be had. */
static bool vitp_queue_open_shared(vit_queue *q, uint32_t name, bool important)
{
    vitp_pool  *p = q->pool;
    uint32_t    before = name, own;
    vitp_chunk *c = vitp_pool_take(p, vitp_queue_kept_shared(q));
    bool        reserve = !c && important;
    if (reserve) c = vitp_pool_take(p, 0);
    if (!c) return false;
    own = vitp_pool_name(p, c);
    memset(c + 1, 0, p->data_bytes); /* a head that is 0 is not reserved yet */
    c->before = before;
    VITP_ATOMIC_STORE(&c->important, reserve ? 1u : 0u);
    /* From here on others who come by an old name may fill it, close it, and see it recycled. */
    VITP_ATOMIC_STORE_RELEASE(&c->word, (VITP_ATOMIC_LOAD(&c->word) & VITP_WORD_GENERATION) |
                                            VITP_WORD_SHARED);
    if (!VITP_ATOMIC_CAS(&p->shared, &name, own)) vitp_pool_close(c);
    else if (before) vitp_pool_close(vitp_pool_chunk(p, (before & 0xFFFFu) - 1u));
    return true;
}

static vitp_head *vitp_queue_reserve_shared(vit_queue *q, uint32_t size, vitp_slot *slot,
                                            bool inside, bool important)
{
    vitp_pool *p = q->pool;
    uint32_t   need = vitp_queue_need(size), name;
    vitp_head *head = NULL;
    for (;;) {
        name = VITP_ATOMIC_LOAD_ACQUIRE(&p->shared);
        if (name) head = vitp_queue_append(p, name, need, important);
        if (head) break;
        if (VITP_ATOMIC_LOAD(&p->shared) != name) continue; /* an old one */
        if (!vitp_queue_open_shared(q, name, important) && VITP_ATOMIC_LOAD(&p->shared) == name)
            return NULL;
    }
    VITP_ATOMIC_STORE_RELEASE(&head->what, VITP_HEAD_PENDING | (inside ? VITP_HEAD_INSIDE : 0u) |
                                               (slot ? slot->tag : 0u) | size);
    VITP_ATOMIC_LIGHT_BARRIER(); /* the head comes before the payload: recovery can skip it */
    return head;
}

/* Gives a record its number. One that is pushed inside another takes none of the thread's, which
   may be between load and store of it, but is counted. Returns what its head says of it. */
static uint32_t vitp_queue_number(vit_queue *q, vitp_head *head, uint32_t what)
{
    vitp_slot *slot = VITP_HEAD_TAG(what) ? &q->places[VITP_HEAD_TAG(what) - 1u] : NULL;
    uint32_t   tag = slot ? slot->tag : 0;
    VITP_ATOMIC_LIGHT_BARRIER(); /* as in vitp_queue_commit_own */
    if (slot) head->number = slot->number;
    if (slot && !(what & VITP_HEAD_INSIDE)) {
        VITP_ATOMIC_STORE(&slot->number, head->number + 1u);
        return tag;
    }
    VITP_ATOMIC_ADD(&q->pool->untagged, 1u);
    if (!slot) return 0;
    slot->tag =
        (tag & ~VITP_HEAD_COUNT_MASK) | ((tag + VITP_HEAD_COUNT_ONE) & VITP_HEAD_COUNT_MASK);
    return tag | VITP_HEAD_INSIDE;
}

/* Commits a record of the shared chunk. What is left of its room, or all of it when size is 0, is
   skipped. A thread that has a slot was busy since it reserved. */
static void vitp_queue_commit_shared(vit_queue *q, vitp_head *head, uint32_t size)
{
    uintptr_t self = VITP_OS_THREAD_POINTER();
    uint32_t  what = VITP_ATOMIC_LOAD(&head->what), tag = VITP_HEAD_TAG(what), flags;
    uint32_t  room = vitp_queue_need(VITP_HEAD_SIZE(what)), need = vitp_queue_need(size);
    if (size == 0) {
        size = room - (uint32_t)sizeof(vitp_head);
        flags = VITP_HEAD_SKIP;
    } else {
        if (need < room) {
            vitp_head *rest = (vitp_head *)(void *)((char *)head + need);
            rest->number = VITP_HEAD_REST;
            VITP_ATOMIC_STORE(&rest->what, VITP_HEAD_DONE | VITP_HEAD_SKIP |
                                               (room - need - (uint32_t)sizeof(vitp_head)));
        }
        flags = vitp_queue_number(q, head, what);
    }
    VITP_ATOMIC_STORE_RELEASE(&head->what, VITP_HEAD_DONE | flags | size);
    if (tag && !(what & VITP_HEAD_INSIDE))
        VITP_ATOMIC_STORE_PTR_RELEASE(&q->places[tag - 1u].owner, self);
}

/* ---- a thread's own chunk ---------------------------------------------------------------- */

/* The slot's chunk has no room for a record: seals it and takes the next one. False: there is none,
   or the consumer takes the old one away; then there is the shared one. Inside busy. */
static bool vitp_queue_next(vit_queue *q, vitp_slot *s, uint32_t need)
{
    vitp_pool *p = q->pool;
    uint32_t   limit = VITP_ATOMIC_LOAD_ACQUIRE(&s->limit), top;
    if (limit == VITP_LIMIT_SEALING) return false;
    if (limit == VITP_LIMIT_WANTED && !VITP_ATOMIC_CAS(&s->limit, &limit, VITP_LIMIT_NONE))
        return false; /* too late: the consumer has it. Else: I live, it stays mine */
    top = (s->word & VITP_WORD_GENERATION) | p->data_bytes;
    if (!s->chunk || s->word + need > top) {
        if (s->chunk) {
            VITP_ATOMIC_STORE_RELEASE(&s->chunk->word, s->word | VITP_WORD_SEALED);
            s->filled = 1u;
        }
        s->chunk = vitp_pool_take(p, vitp_queue_kept_own(q, s));
        if (s->chunk) {
            VITP_ATOMIC_STORE(&s->chunk->holder, VITP_HEAD_TAG(s->tag));
            s->filled = 0;
        }
        s->word = s->chunk ? VITP_ATOMIC_LOAD(&s->chunk->word) : 0;
        top = s->chunk ? s->word | p->data_bytes : VITP_LIMIT_NONE;
    }
    limit = VITP_ATOMIC_LOAD(&s->limit);
    while (limit != VITP_LIMIT_SEALING && limit != top)
        if (VITP_ATOMIC_CAS(&s->limit, &limit, top)) break; /* a wish of the consumer ends, too */
    return limit != VITP_LIMIT_SEALING && s->chunk;
}

/* Where a record is being written; slot: NULL in the shared chunk. */
typedef struct vitp_place {
    vitp_head *head;
    vitp_slot *slot;
} vitp_place;

/* The slot's thread begins a record of its own. It is busy until vitp_queue_commit_own; NULL: its
   chunk has no room. The barrier: busy is written before limit is read (see vitp_queue_revoke). */
static VITP_INLINE vitp_head *vitp_queue_begin_own(vitp_slot *s, uintptr_t self, uint32_t need)
{
    VITP_ATOMIC_STORE_PTR(&s->owner, self | 1u);
    VITP_ATOMIC_LIGHT_BARRIER();
    if (VITP_UNLIKELY(s->word + need > VITP_ATOMIC_LOAD(&s->limit))) return NULL;
    return vitp_queue_head(s->chunk, VITP_WORD_BYTES(s->word));
}

/* The shared chunk is not for threads that filled their own: they would crowd it whenever the queue
   is full. */
static VITP_INLINE bool vitp_queue_may_share(const vit_queue *q, const vitp_slot *s, bool important)
{
    return important || !s->filled || VITP_ATOMIC_LOAD(&q->no_barrier);
}

/* Nothing is to be had for a thread without a chunk: found by loads alone, so that a full queue
   costs a refusal little. False where that is not sure. */
static VITP_INLINE bool vitp_queue_is_full(vit_queue *q, const vitp_slot *s, bool important)
{
    vitp_pool  *p = q->pool;
    uint32_t    name, taken;
    vitp_chunk *c;
    if (VITP_ATOMIC_LOAD(&s->limit) != VITP_LIMIT_NONE) return false;
    taken = VITP_ATOMIC_LOAD(&p->taken);
    if ((int32_t)(VITP_ATOMIC_LOAD_ACQUIRE(&p->freed) - taken) >
        (important ? 0 : (int32_t)vitp_queue_kept_shared(q)))
        return false;
    if (!vitp_queue_may_share(q, s, important)) return true;
    name = VITP_ATOMIC_LOAD_ACQUIRE(&p->shared);
    if (name == 0) return true;
    c = vitp_pool_chunk(p, (name & 0xFFFFu) - 1u);
    return (VITP_ATOMIC_LOAD(&c->word) & VITP_WORD_SEALED) &&
           (VITP_ATOMIC_LOAD(&c->ticket) << 16 ^ name) <= 0xFFFFu;
}

/* With a new chunk, or in the shared one. The slot is busy. */
static vitp_place vitp_queue_reserve_more(vit_queue *q, vitp_slot *s, uintptr_t self, uint32_t size,
                                          bool important)
{
    vitp_place place = { NULL, NULL };
    if (!vitp_queue_is_full(q, s, important)) {
        if (vitp_queue_next(q, s, vitp_queue_need(size))) {
            place.slot = s;
            place.head = vitp_queue_head(s->chunk, VITP_WORD_BYTES(s->word));
            return place;
        }
        if (vitp_queue_may_share(q, s, important))
            place.head = vitp_queue_reserve_shared(q, size, s, false, important);
    }
    if (!place.head)
        VITP_ATOMIC_STORE_PTR_RELEASE(&s->owner, self); /* else busy until the commit */
    return place;
}

/* In its chunk, while that has room. */
static VITP_INLINE vitp_place vitp_queue_reserve_own(vit_queue *q, vitp_slot *s, uintptr_t self,
                                                     uint32_t size, bool important)
{
    vitp_place place;
    place.slot = s;
    place.head = vitp_queue_begin_own(s, self, vitp_queue_need(size));
    if (VITP_UNLIKELY(!place.head)) place = vitp_queue_reserve_more(q, s, self, size, important);
    return place;
}

static VITP_INLINE void vitp_queue_commit_own(vitp_slot *s, vitp_chunk *c, vitp_head *head,
                                              uint32_t word, uint32_t size, uintptr_t self)
{
    uint32_t number = s->number, tag = s->tag;
    VITP_ATOMIC_LIGHT_BARRIER(); /* a signal handler that sees the next number is not counted */
    VITP_ATOMIC_STORE(&s->number, number + 1u);
    VITP_ATOMIC_STORE(&head->what, tag | size); /* atomic: else two stores become one slow one */
    VITP_ATOMIC_STORE(&head->number, number);
    word += vitp_queue_need(size);
    s->word = word;
    VITP_ATOMIC_STORE_RELEASE(&c->word, word);
    VITP_ATOMIC_STORE_PTR_RELEASE(&s->owner, self);
}

/* 16 bytes in a register. */
#if defined(__GNUC__) || defined(__clang__)
typedef uint64_t vitp_block __attribute__((__vector_size__(16)));
#else
typedef struct vitp_block {
    uint64_t a, b;
} vitp_block;
#endif

#define VITP_QUEUE_SHORT 128u

/* Four blocks of 16 bytes, at 0, b, c and d: all loads before all stores. */
static VITP_INLINE void vitp_queue_copy_four(char *to, const char *from, size_t b, size_t c,
                                             size_t d)
{
    vitp_block w, x, y, z;
    memcpy(&w, from, 16);
    memcpy(&x, from + b, 16);
    memcpy(&y, from + c, 16);
    memcpy(&z, from + d, 16);
    memcpy(to, &w, 16);
    memcpy(to + b, &x, 16);
    memcpy(to + c, &y, 16);
    memcpy(to + d, &z, 16);
}

/* Copies a short record without a call and without a loop, by pieces that overlap. */
static VITP_INLINE void vitp_queue_copy(void *record, const void *source, size_t size)
{
    char       *to = (char *)record;
    const char *from = (const char *)source;
    if (size > 64) {
        vitp_queue_copy_four(to, from, 16, 32, 48);
        vitp_queue_copy_four(to + size - 64, from + size - 64, 16, 32, 48);
    } else if (size > 32) {
        vitp_queue_copy_four(to, from, 16, size - 32, size - 16);
    } else if (size >= 16) {
        vitp_block first, last;
        memcpy(&first, from, 16);
        memcpy(&last, from + size - 16, 16);
        memcpy(to, &first, 16);
        memcpy(to + size - 16, &last, 16);
    } else {
        size_t i;
        for (i = 0; i < size; i++) to[i] = from[i];
    }
}

/* The first of the slots in which a thread may be. */
static VITP_INLINE vitp_slot *vitp_queue_slot(vit_queue *q, uintptr_t self)
{
    uint32_t hash = ((uint32_t)(self >> 6) * 0x9E3779B1u) >> 10;
    return (vitp_slot *)(void *)((char *)q->places +
                                 (hash & ((VITP_QUEUE_SLOTS - 1u) * (uint32_t)sizeof(vitp_slot))));
}

/* The slot of this thread, or NULL. inside: there is one, and the thread is in the middle of a
   record. */
static vitp_slot *vitp_queue_find(vit_queue *q, uintptr_t self, bool *inside)
{
    uint32_t first = (uint32_t)(vitp_queue_slot(q, self) - q->places), i;
    for (i = 0; i < VITP_QUEUE_PROBES; i++) {
        vitp_slot *s = &q->places[(first + i) & (VITP_QUEUE_SLOTS - 1u)];
        uintptr_t  owner = VITP_ATOMIC_LOAD_PTR(&s->owner);
        *inside = owner == (self | 1u);
        if ((owner & ~(uintptr_t)1u) == self) return s;
    }
    return NULL;
}

/* Takes a free slot, unless a signal handler of this thread was faster: then that one. NULL:
   there is none. */
static vitp_slot *vitp_queue_claim(vit_queue *q, uintptr_t self)
{
    uint32_t   first = (uint32_t)(vitp_queue_slot(q, self) - q->places), i;
    bool       inside;
    vitp_slot *s, *found;
    for (i = 0; i < VITP_QUEUE_PROBES; i++) {
        uintptr_t none = 0;
        s = &q->places[(first + i) & (VITP_QUEUE_SLOTS - 1u)];
        if (VITP_ATOMIC_LOAD_PTR(&s->owner) != 0) continue;
        if (!VITP_ATOMIC_CAS_PTR(&s->owner, &none, self | 1u)) continue;
        found = vitp_queue_find(q, self, &inside);
        if (found == s) s->tag = (uint32_t)(s - q->places + 1) << 16;
        VITP_ATOMIC_STORE_PTR_RELEASE(&s->owner, found == s ? self : (uintptr_t)0);
        return found;
    }
    return vitp_queue_find(q, self, &inside); /* the handler's may be the last of them */
}

/* place.head NULL: full. */
static VITP_NOINLINE vitp_place vitp_queue_place(vit_queue *q, uint32_t size, bool important)
{
    uintptr_t  self = VITP_OS_THREAD_POINTER();
    vitp_place place = { NULL, NULL };
    bool       inside = false;
    vitp_slot *s;
    s = vitp_queue_find(q, self, &inside);
    if (!s) s = vitp_queue_claim(q, self), inside = false;
    if (s && !inside) return vitp_queue_reserve_own(q, s, self, size, important);
    place.head = vitp_queue_reserve_shared(q, size, s, inside, important);
    return place;
}

/* The frequent case alone: room in the chunk that this thread has. NULL: it is not that. */
static VITP_INLINE vitp_head *vitp_queue_try(vit_queue *q, uint32_t size, vitp_slot **slot)
{
    uintptr_t  self = VITP_OS_THREAD_POINTER();
    vitp_slot *s = vitp_queue_slot(q, self);
    vitp_head *head;
    *slot = s;
    if (VITP_UNLIKELY(VITP_ATOMIC_LOAD_PTR(&s->owner) != self)) return NULL;
    head = vitp_queue_begin_own(s, self, vitp_queue_need(size));
    if (VITP_UNLIKELY(!head)) VITP_ATOMIC_STORE_PTR_RELEASE(&s->owner, self);
    return head;
}

/* The same, without a call in the frequent case. */
static VITP_INLINE vitp_place vitp_queue_begin(vit_queue *q, uint32_t size)
{
    uintptr_t  self = VITP_OS_THREAD_POINTER();
    vitp_slot *s = vitp_queue_slot(q, self);
    if (VITP_UNLIKELY(VITP_ATOMIC_LOAD_PTR(&s->owner) != self))
        return vitp_queue_place(q, size, false);
    return vitp_queue_reserve_own(q, s, self, size, false);
}

/* size 0: nothing after all. */
static VITP_INLINE void vitp_queue_end(vit_queue *q, vitp_place place, uint32_t size)
{
    uintptr_t self = VITP_OS_THREAD_POINTER();
    if (!place.slot) vitp_queue_commit_shared(q, place.head, size);
    else if (size == 0) VITP_ATOMIC_STORE_PTR_RELEASE(&place.slot->owner, self);
    else
        vitp_queue_commit_own(place.slot, place.slot->chunk, place.head, place.slot->word, size,
                              self);
}

/* Every case but the frequent one. */
static VITP_NOINLINE bool vitp_queue_push_slow(vit_queue *q, const void *record, uint32_t size,
                                               bool important)
{
    vitp_place place = { NULL, NULL };
    if (record && size > 0 && size <= q->record_max) place = vitp_queue_place(q, size, important);
    if (!place.head) return false;
    memcpy(place.head + 1, record, size);
    vitp_queue_end(q, place, size);
    return true;
}

/* A record of more than VITP_QUEUE_SHORT bytes, or one that has no room. */
static VITP_NOINLINE bool vitp_queue_push_long(vit_queue *q, vitp_slot *s, const void *record,
                                               uint32_t size, bool important)
{
    vitp_place place;
    if (!record || size > q->record_max) return false;
    place = vitp_queue_reserve_own(q, s, VITP_OS_THREAD_POINTER(), size, important);
    if (!place.head) return false;
    memcpy(place.head + 1, record, size);
    vitp_queue_end(q, place, size);
    return true;
}

/* Its thread is busy, and its chunk has no room. */
static VITP_NOINLINE bool vitp_queue_push_on(vit_queue *q, vitp_slot *s, const void *record,
                                             uint32_t size, bool important)
{
    if (!vitp_queue_is_full(q, s, important))
        return vitp_queue_push_long(q, s, record, size, important);
    VITP_ATOMIC_STORE_PTR_RELEASE(&s->owner, VITP_OS_THREAD_POINTER());
    return false;
}

/* The frequent case: this thread's slot is where its thread pointer leads, and its chunk has room
   for a short record. No call and no locked instruction. */
static VITP_INLINE bool vitp_queue_push(vit_queue *q, const void *record, uint32_t size,
                                        bool important)
{
    uintptr_t   self = VITP_OS_THREAD_POINTER();
    vitp_slot  *s = vitp_queue_slot(q, self);
    vitp_chunk *c;
    vitp_head  *head;
    uint32_t    word;
    if (VITP_UNLIKELY(VITP_ATOMIC_LOAD_PTR(&s->owner) != self))
        return vitp_queue_push_slow(q, record, size, important);
    if (VITP_UNLIKELY(size - 1u >= VITP_QUEUE_SHORT || !record)) /* 0 is not short either */
        return size > 0 && vitp_queue_push_long(q, s, record, size, important);
    VITP_ATOMIC_STORE_PTR(&s->owner, self | 1u);
    VITP_ATOMIC_LIGHT_BARRIER();
    word = s->word;
    if (VITP_UNLIKELY(word + vitp_queue_need(size) > VITP_ATOMIC_LOAD(&s->limit)))
        return vitp_queue_push_on(q, s, record, size, important);
    c = s->chunk; /* not before: the consumer may have taken it away */
    head = vitp_queue_head(c, VITP_WORD_BYTES(word));
    vitp_queue_copy(head + 1, record, size);
    vitp_queue_commit_own(s, c, head, word, size, self);
    return true;
}

bool vit_queue_push(vit_queue *q, const void *record, uint32_t size)
{
    return q && vitp_queue_push(q, record, size, false);
}

bool vit_queue_push_important(vit_queue *q, const void *record, uint32_t size)
{
    return q && vitp_queue_push(q, record, size, true);
}

void *vit_queue_reserve(vit_queue *q, uint32_t size)
{
    vitp_place place = { NULL, NULL };
    if (!q || size == 0 || size > q->record_max) return NULL;
    place = vitp_queue_place(q, size, false);
    if (place.slot) VITP_ATOMIC_STORE(&place.head->what, size); /* not pending: it is its own */
    return place.head ? place.head + 1 : NULL;
}

void vit_queue_commit(vit_queue *q, void *record, uint32_t size)
{
    vitp_place place = { NULL, NULL };
    uint32_t   what;
    bool       inside = false;
    if (!q || !record) return;
    place.head = (vitp_head *)record - 1;
    what = VITP_ATOMIC_LOAD(&place.head->what);
    if (size > VITP_HEAD_SIZE(what)) size = VITP_HEAD_SIZE(what);
    if (!(what & VITP_HEAD_PENDING)) {
        place.slot = vitp_queue_find(q, VITP_OS_THREAD_POINTER(), &inside);
        if (!inside) return;
    }
    vitp_queue_end(q, place, size);
}

/* ---- the consumer ------------------------------------------------------------------------ */

/* The chunk before this shared one is not noted to its end in this pass. Whoever opened this one
   may not have closed that one yet: it is closed here, for nobody waits for a thread. */
static bool vitp_queue_must_wait(vit_queue *q, vitp_chunk *c, uint32_t place)
{
    uint32_t i, before = c->before;
    for (i = 0; before && i < place; i++) {
        vitp_chunk *b = vitp_pool_chunk(q->pool, q->active[i]);
        if (q->active[i] + 1u != (before & 0xFFFFu)) continue;
        if (vitp_pool_name(q->pool, b) != before || q->cursors[q->active[i]].done) return false;
        vitp_pool_close(b);
        return true;
    }
    return false;
}

/* A record of a thread is handed out after those with lower numbers, and after the inside ones that
   it counted (15 in one record at most: more lose their place before it), but does not wait for
   ever: a thread may die anywhere. */
static bool vitp_queue_is_next(vit_queue *q, uint32_t waiting, uint32_t what, uint32_t number)
{
    uint32_t tag = VITP_HEAD_TAG(what), count = VITP_HEAD_COUNT(what);
    int32_t  ahead = (int32_t)(number - q->expected[tag]);
    uint32_t missing = (count - q->inside[tag]) & 31u; /* 16 and more: it is late itself */
    if ((ahead > 0 || (missing > 0 && missing < 16u)) && waiting < VITP_QUEUE_PATIENCE)
        return false;
    if (what & VITP_HEAD_INSIDE) count++;
    else if (ahead >= 0) q->expected[tag] = number + 1u;
    if (missing < 16u) q->inside[tag] = count & 31u;
    return true;
}

/* Adds to the last segment, or makes one; there is one to be had. */
static void vitp_queue_note(vit_queue *q, uint32_t index, uint32_t begin, uint32_t end,
                            uint32_t records)
{
    vitp_segment *last =
        &q->segments[(q->segment_first + q->segment_count + q->segment_max - 1u) % q->segment_max];
    if (q->segment_count == 0 || last->index != index || last->end != begin) {
        last = &q->segments[(q->segment_first + q->segment_count) % q->segment_max];
        last->index = index;
        last->begin = begin;
        last->records = 0;
        q->segment_count++;
    }
    last->end = end;
    last->records += records;
    q->noted += records;
    q->held += records;
}

/* In a peek: shows the record that was noted just now, unless enough were shown. */
static void vitp_queue_show(vit_queue *q, const vitp_head *head)
{
    if (!q->record_fn || q->held - q->shown != 1u || q->held > q->wanted) return;
    q->shown++;
    if (!q->record_fn(head + 1, VITP_HEAD_SIZE(VITP_ATOMIC_LOAD(&head->what)), q->user))
        q->wanted = q->held;
}

typedef enum vitp_look {
    VITP_LOOK_NEW,  /* to be handed out */
    VITP_LOOK_SKIP, /* nothing is in it */
    VITP_LOOK_WAIT, /* not yet; where it ends is known */
    VITP_LOOK_STOP  /* not yet, and where it ends is not */
} vitp_look;

/* What is to be done with the record at `head`. A thread without a slot has no numbers: its records
   come in the order in which they stand, see vitp_queue_begin_look. */
static vitp_look vitp_queue_look_at(vit_queue *q, const vitp_head *head, bool shared,
                                    uint32_t waiting, uint32_t *need)
{
    uint32_t what = shared ? VITP_ATOMIC_LOAD_ACQUIRE(&head->what) : head->what | VITP_HEAD_DONE;
    bool     next;
    *need = vitp_queue_need(VITP_HEAD_SIZE(what));
    if (what == 0 || q->segment_count == q->segment_max) return VITP_LOOK_STOP;
    if (what & VITP_HEAD_SKIP) return VITP_LOOK_SKIP;
    if (!(what & VITP_HEAD_DONE)) {
        q->blocked = true;
        return VITP_LOOK_WAIT;
    }
    next = !VITP_HEAD_TAG(what) || vitp_queue_is_next(q, waiting, what, head->number);
    q->gap = q->gap || !next;
    return next ? VITP_LOOK_NEW : VITP_LOOK_WAIT;
}

/* Looks at the holes again. True: something new. */
static bool vitp_queue_look_holes(vit_queue *q)
{
    uint32_t i, kept = 0, need;
    bool     news = false;
    for (i = 0; i < q->hole_count; i++) {
        vitp_hole *h = &q->holes[i];
        vitp_head *head = vitp_queue_head(vitp_pool_chunk(q->pool, h->index), h->at);
        vitp_look  look = vitp_queue_look_at(q, head, true, h->waiting, &need);
        if (look != VITP_LOOK_NEW && look != VITP_LOOK_SKIP) {
            q->holes[kept++] = *h;
            continue;
        }
        vitp_queue_note(q, h->index, h->at, h->at + h->need, look == VITP_LOOK_NEW);
        if (look == VITP_LOOK_NEW) vitp_queue_show(q, head);
        news = true;
    }
    q->hole_count = kept;
    q->blocked = q->blocked || q->segment_count == q->segment_max;
    return news;
}

static bool vitp_queue_add_hole(vit_queue *q, uint32_t index, uint32_t at, uint32_t need)
{
    vitp_hole *h = &q->holes[q->hole_count];
    if (q->hole_count == VITP_QUEUE_HOLES) return false;
    h->index = index;
    h->at = at;
    h->need = need;
    h->waiting = 0;
    q->hole_count++;
    q->cursors[index].holed = true;
    return true;
}

/* The frequent case: records of a thread's own chunk that follow each other and wait for nothing,
   from where the cursor is. In a peek they are shown in the same walk. */
static void vitp_queue_look_run(vit_queue *q, vitp_chunk *c, uint32_t index, uint32_t bytes)
{
    uint32_t         at = q->cursors[index].noted, begin = at, tag, alike, next, first, what;
    size_t           most = q->wanted - q->held;
    const vitp_head *head = vitp_queue_head(c, at);
    vitp_record_fn   record_fn = q->record_fn;
    tag = VITP_HEAD_TAG(head->what);
    alike = tag << 16 | q->inside[tag] << 23; /* all but the size */
    first = next = q->expected[tag];
    while (at < bytes && next - first < most) {
        head = vitp_queue_head(c, at);
        what = head->what;
        if ((what & 0xFFFF0000u) != alike || head->number != next) break;
        at += vitp_queue_need(VITP_HEAD_SIZE(what));
        next++;
        if (record_fn && !record_fn(head + 1, VITP_HEAD_SIZE(what), q->user)) most = 0;
    }
    if (at == begin) return;
    q->expected[tag] = next;
    q->cursors[index].noted = at;
    q->cursors[index].waiting = 0;
    vitp_queue_note(q, index, begin, at, next - first);
    if (record_fn) q->shown = q->held;
    if (most == 0) q->wanted = q->held;
}

/* What is at the cursor is no such case. False: it cannot be passed. */
static bool vitp_queue_look_one(vit_queue *q, vitp_chunk *c, uint32_t index, bool shared,
                                bool *news)
{
    vitp_cursor *cursor = &q->cursors[index];
    uint32_t     at = cursor->noted, need;
    vitp_look    look =
        vitp_queue_look_at(q, vitp_queue_head(c, at), shared, shared ? 0 : cursor->waiting, &need);
    bool wait = look == VITP_LOOK_WAIT;
    cursor->gap = wait && !shared; /* only this thread's records wait */
    if (cursor->gap) return false;
    if (look == VITP_LOOK_STOP || (wait && !vitp_queue_add_hole(q, index, at, need))) {
        q->stopped = true;
        return false;
    }
    if (!wait) vitp_queue_note(q, index, at, at + need, look == VITP_LOOK_NEW);
    if (look == VITP_LOOK_NEW) vitp_queue_show(q, vitp_queue_head(c, at));
    *news = *news || look == VITP_LOOK_NEW;
    cursor->noted = at + need;
    cursor->waiting = 0;
    return true;
}

/* Notes what is new in a chunk. In a shared one, a record that has to wait becomes a hole. True:
   something new. */
static bool vitp_queue_look_chunk(vit_queue *q, uint32_t place)
{
    uint32_t     index = q->active[place];
    vitp_chunk  *c = vitp_pool_chunk(q->pool, index);
    vitp_cursor *cursor = &q->cursors[index];
    uint32_t     word = cursor->word, bytes = VITP_WORD_BYTES(word);
    bool         shared = (word & VITP_WORD_SHARED) != 0, news = false;
    size_t       held = q->held;
    cursor->done = cursor->gap = false;
    if (shared && vitp_queue_must_wait(q, c, place)) {
        q->blocked = q->stopped = true;
        return false;
    }
    while (cursor->noted < bytes && q->held < q->wanted) {
        uint32_t noted = cursor->noted;
        if (!shared && q->segment_count < q->segment_max) vitp_queue_look_run(q, c, index, bytes);
        if (cursor->noted == noted && !vitp_queue_look_one(q, c, index, shared, &news)) break;
    }
    q->blocked = q->blocked || (cursor->noted < bytes && !cursor->gap);
    cursor->done = (word & VITP_WORD_SEALED) && cursor->noted == bytes;
    return news || q->held > held;
}

/* The record comes before what waits of its thread. */
static bool vitp_queue_is_before(uint32_t what, uint32_t number, const vitp_head *other)
{
    uint32_t inside = what & VITP_HEAD_INSIDE,
             later = (VITP_HEAD_COUNT(other->what) - VITP_HEAD_COUNT(what)) & 31u;
    if (number != other->number) return (int32_t)(number - other->number) < 0;
    if (inside != (other->what & VITP_HEAD_INSIDE)) return inside != 0;
    return later > 0 && later < 16u;
}

/* Nobody adds records any more, so the first that waits of each thread is its next. */
static bool vitp_queue_go_on(vit_queue *q)
{
    const vitp_head *first[VITP_QUEUE_SLOTS + 1u] = { NULL };
    uint32_t         i, all = q->hole_count + q->active_count;
    for (i = 0; i < all; i++) {
        uint32_t index = i < q->hole_count ? q->holes[i].index : q->active[i - q->hole_count];
        uint32_t at = i < q->hole_count ? q->holes[i].at : q->cursors[index].noted;
        const vitp_head *head = vitp_queue_head(vitp_pool_chunk(q->pool, index), at);
        uint32_t         tag;
        if (i >= q->hole_count && !q->cursors[index].gap) continue;
        tag = VITP_HEAD_TAG(head->what);
        if (first[tag] && !vitp_queue_is_before(head->what, head->number, first[tag])) continue;
        first[tag] = head;
        q->expected[tag] = head->number;
        q->inside[tag] = VITP_HEAD_COUNT(head->what);
    }
    return true;
}

/* Records wait for earlier ones of their thread: one pass more. */
static void vitp_queue_wait(vit_queue *q)
{
    uint64_t now_ns = vitp_os_coarse_ns();
    uint32_t passes = q->blocked ? 0u : 1u, i;
    if (q->gap_since_ns == 0) q->gap_since_ns = now_ns;
    if (now_ns - q->gap_since_ns > VITP_QUEUE_STALLED_NS) passes = VITP_QUEUE_PATIENCE;
    for (i = 0; i < q->active_count; i++) {
        vitp_cursor *cursor = &q->cursors[q->active[i]];
        cursor->waiting = cursor->gap ? cursor->waiting + passes : 0;
    }
    for (i = 0; i < q->hole_count; i++) q->holes[i].waiting += passes;
}

/* What is there by now is what a look is at: what a callback pushes meanwhile comes with the next
   one. The ticket is read once and first: a chunk that was taken later is not looked at, so that a
   thread's older chunk is never behind its newer one. The words are read before any record: what
   its thread committed before a record that is in one is then seen as committed, wherever it
   stands. */
static void vitp_queue_begin_look(vit_queue *q)
{
    vitp_pool *p = q->pool;
    uint32_t   taken = VITP_ATOMIC_LOAD_ACQUIRE(&p->taken), i, index;
    for (; q->seen != taken; q->seen++) {
        index = VITP_ATOMIC_LOAD(&vitp_pool_free_list(p)[q->seen & (p->chunk_count - 1u)]);
        memset(&q->cursors[index], 0, sizeof q->cursors[index]);
        q->cursors[index].noted = q->cursors[index].released =
            VITP_WORD_BYTES(VITP_ATOMIC_LOAD(&vitp_pool_chunk(p, index)->released));
        q->active[q->active_count++] = index;
    }
    for (i = 0; i < q->active_count; i++) {
        vitp_cursor *cursor = &q->cursors[q->active[i]];
        if (cursor->word & VITP_WORD_SEALED) continue; /* it stays as it is */
        cursor->word = VITP_ATOMIC_LOAD_ACQUIRE(&vitp_pool_chunk(p, q->active[i])->word);
    }
}

/* Notes what is new, until `most` records are held. */
static void vitp_queue_look_on(vit_queue *q, size_t most)
{
    uint32_t i;
    bool     news;
    q->wanted = most;
    do {
        q->blocked = q->gap = q->stopped = false;
        news = vitp_queue_look_holes(q);
        for (i = 0; i < q->active_count && q->held < q->wanted; i++)
            news = vitp_queue_look_chunk(q, i) || news;
        q->blocked = q->blocked || i < q->active_count;
        /* what is new may be what a record waits for */
    } while (q->gap && q->held < q->wanted && (news || (q->closed && vitp_queue_go_on(q))));
    if (q->gap) vitp_queue_wait(q);
    else q->gap_since_ns = 0;
    VITP_ATOMIC_STORE_PTR(&q->shown_noted, q->noted);
}

/* Notes what was committed so far, until `most` records are held. */
static void vitp_queue_look(vit_queue *q, size_t most)
{
    if (q->held >= most) return;
    vitp_queue_begin_look(q);
    vitp_queue_look_on(q, most);
}

/* Records pushed so far: what was noted, and what the threads' numbers say is not yet. Any
   thread. */
static uintptr_t vitp_queue_pushed(const vit_queue *q)
{
    uintptr_t noted = VITP_ATOMIC_LOAD_PTR(&q->shown_noted);
    uint32_t  waiting = VITP_ATOMIC_LOAD(&q->pool->untagged), i;
    waiting -= (uint32_t)noted;
    for (i = 0; i < VITP_QUEUE_SLOTS; i++) waiting += VITP_ATOMIC_LOAD(&q->places[i].number);
    return noted + ((int32_t)waiting > 0 ? waiting : 0u);
}

/* Records that were committed so far. Where some cannot be noted (no room for it, or they stand
   behind what a child that was killed had only reserved), also those that were pushed. */
static uintptr_t vitp_queue_committed(vit_queue *q)
{
    vitp_queue_look(q, (size_t)-1);
    return q->segment_count < q->segment_max && !q->stopped ? q->noted : vitp_queue_pushed(q);
}

/* What the last look saw of the chunk is released. No other chunk is touched: their words lie far
   apart, and there may be many. */
static bool vitp_queue_is_spent(const vit_queue *q, uint32_t index)
{
    return q->cursors[index].released == VITP_WORD_BYTES(q->cursors[index].word);
}

/* Empties the chunks that are sealed and released, and makes them free. Between the stores released
   and word are of two generations, by which recovery knows that nothing is in the chunk. */
static void vitp_queue_recycle(vit_queue *q)
{
    vitp_pool *p = q->pool;
    uint32_t   i, kept = 0, freed = VITP_ATOMIC_LOAD(&p->freed);
    for (i = 0; i < q->active_count; i++) {
        uint32_t    index = q->active[i];
        vitp_chunk *c = vitp_pool_chunk(p, index);
        uint32_t    word = vitp_queue_is_spent(q, index) ? VITP_ATOMIC_LOAD_ACQUIRE(&c->word) : 0u;
        if (!(word & VITP_WORD_SEALED) || q->cursors[index].released != VITP_WORD_BYTES(word)) {
            q->active[kept++] = index;
            continue;
        }
        VITP_ATOMIC_STORE(&c->ticket, freed);
        VITP_ATOMIC_STORE(&c->released, (word + VITP_WORD_NEXT) & VITP_WORD_GENERATION);
        VITP_ATOMIC_LIGHT_BARRIER(); /* from here on nothing is in it for recovery */
        if (q->wipes) memset(c + 1, 0, VITP_WORD_BYTES(word));
        VITP_ATOMIC_STORE_RELEASE(&c->word, (word + VITP_WORD_NEXT) & VITP_WORD_GENERATION);
        VITP_ATOMIC_STORE(&vitp_pool_free_list(p)[freed & (p->chunk_count - 1u)], index);
        VITP_ATOMIC_STORE_RELEASE(&p->freed, ++freed);
    }
    q->active_count = kept;
}

/* The slot whose chunk, of which all is released, would be free if it were sealed; NULL: it is no
   such chunk. To wish for another thread's chunk by mistake does no harm. */
static vitp_slot *vitp_queue_holder(vit_queue *q, uint32_t index)
{
    vitp_chunk *c = vitp_pool_chunk(q->pool, index);
    uint32_t    word, tag;
    if (!vitp_queue_is_spent(q, index)) return NULL;
    word = VITP_ATOMIC_LOAD_ACQUIRE(&c->word);
    if (word & (VITP_WORD_SEALED | VITP_WORD_SHARED)) return NULL;
    if (q->cursors[index].released != VITP_WORD_BYTES(word)) return NULL;
    tag = VITP_ATOMIC_LOAD(&c->holder);
    return tag ? &q->places[tag - 1u] : NULL;
}

/* Takes away the chunks that only idle threads keep from being free. The barrier makes each thread
   either see the wish in its next record, or be seen busy. */
static void vitp_queue_revoke(vit_queue *q)
{
    uint32_t   i, wanted = 0, limit;
    vitp_slot *s;
    for (i = 0; i < q->active_count; i++) {
        s = vitp_queue_holder(q, q->active[i]);
        if (!s) continue;
        limit = VITP_ATOMIC_LOAD(&s->limit);
        if (limit > VITP_LIMIT_SEALING && VITP_ATOMIC_CAS(&s->limit, &limit, VITP_LIMIT_WANTED))
            limit = VITP_LIMIT_WANTED;
        if (limit == VITP_LIMIT_WANTED) wanted++; /* also one that was busy the last time */
    }
    if (wanted == 0) return;
    VITP_ATOMIC_STORE(&q->no_barrier, VITP_ATOMIC_HEAVY_BARRIER() ? 0u : 1u);
    if (VITP_ATOMIC_LOAD(&q->no_barrier)) return;
    for (i = 0; i < VITP_QUEUE_SLOTS; i++) {
        s = &q->places[i];
        limit = VITP_LIMIT_WANTED;
        if (VITP_ATOMIC_LOAD(&s->limit) != VITP_LIMIT_WANTED) continue;
        if (VITP_ATOMIC_LOAD_PTR_ACQUIRE(&s->owner) & 1u) continue; /* stays wanted */
        if (!VITP_ATOMIC_CAS(&s->limit, &limit, VITP_LIMIT_SEALING)) continue;
        VITP_ATOMIC_STORE_RELEASE(&s->chunk->word,
                                  VITP_ATOMIC_LOAD(&s->chunk->word) | VITP_WORD_SEALED);
        s->chunk = NULL;
        VITP_ATOMIC_STORE_RELEASE(&s->limit, VITP_LIMIT_NONE);
    }
}

/* What is released of chunks that are in use is overwritten. */
static void vitp_queue_wipe(vit_queue *q)
{
    uint32_t i;
    for (i = 0; i < q->active_count; i++) {
        vitp_chunk *c = vitp_pool_chunk(q->pool, q->active[i]);
        uint32_t    at = 0, end = VITP_WORD_BYTES(VITP_ATOMIC_LOAD(&c->released)), what;
        memset(c + 1, 0, end);
        if (!q->cursors[q->active[i]].holed) continue;
        for (at = end, end = q->cursors[q->active[i]].noted; at < end;) {
            vitp_head *head = vitp_queue_head(c, at);
            what = VITP_ATOMIC_LOAD_ACQUIRE(&head->what);
            if ((what & VITP_HEAD_DONE) && (what & VITP_HEAD_SKIP))
                memset(head + 1, 0, VITP_HEAD_SIZE(what));
            at += vitp_queue_need(VITP_HEAD_SIZE(what));
        }
    }
}

/* Chunks that are free. */
static uint32_t vitp_pool_free_count(const vitp_pool *p)
{
    uint32_t taken = VITP_ATOMIC_LOAD(&p->taken), freed = VITP_ATOMIC_LOAD(&p->freed);
    return (int32_t)(freed - taken) > 0 ? freed - taken : 0;
}

/* Half of the chunks are in use. */
static bool vitp_queue_is_filling(const vit_queue *q)
{
    return vitp_pool_free_count(q->pool) < q->pool->chunk_count / 2u;
}

/* Hands out records of a segment. False: record_fn wants no more. */
static bool vitp_queue_hand_out(vit_queue *q, const vitp_segment *segment, vitp_record_fn record_fn,
                                void *user, size_t most, size_t *count)
{
    vitp_chunk *c = vitp_pool_chunk(q->pool, segment->index);
    uint32_t    at = segment->begin, what;
    for (; at < segment->end && *count < most; at += vitp_queue_need(VITP_HEAD_SIZE(what))) {
        vitp_head *head = vitp_queue_head(c, at);
        what = VITP_ATOMIC_LOAD(&head->what);
        if (what & VITP_HEAD_SKIP) continue;
        (*count)++;
        if (!record_fn(head + 1, VITP_HEAD_SIZE(what), user)) return false;
    }
    return *count < most;
}

size_t vit_queue_peek(vit_queue *q,
                      bool (*record_fn)(const void *record, uint32_t size, void *user), void *user,
                      size_t most)
{
    uint32_t i;
    bool     more = most > 0;
    if (!q || !record_fn) return 0;
    if (q->held == 0 && q->segment_count > 0)
        vit_queue_release(q, 0); /* given up: nothing in them */
    if (q->held < most) vitp_queue_begin_look(q);
    q->record_fn = record_fn;
    q->user = user;
    q->shown = 0;
    for (i = 0; i < q->segment_count && more; i++)
        more = vitp_queue_hand_out(q, &q->segments[(q->segment_first + i) % q->segment_max],
                                   record_fn, user, most, &q->shown);
    if (more) vitp_queue_look_on(q, most);
    q->record_fn = NULL;
    return q->shown;
}

/* Shows, in any order, the records that a peek at all of them did not: there was no room to note
   them, or they wait for an earlier one of their thread. */
static void vitp_queue_peek_rest(const vit_queue *q, vitp_record_fn record_fn, void *user)
{
    uint32_t i, at, what, all = q->hole_count + q->active_count;
    for (i = 0; i < all; i++) {
        const vitp_hole *h = i < q->hole_count ? &q->holes[i] : NULL;
        uint32_t         index = h ? h->index : q->active[i - q->hole_count];
        vitp_chunk      *c = vitp_pool_chunk(q->pool, index);
        uint32_t         word = VITP_ATOMIC_LOAD_ACQUIRE(&c->word);
        uint32_t         end = h ? h->at + h->need : VITP_WORD_BYTES(word);
        for (at = h ? h->at : q->cursors[index].noted; at < end;
             at += vitp_queue_need(VITP_HEAD_SIZE(what))) {
            vitp_head *head = vitp_queue_head(c, at);
            what = VITP_ATOMIC_LOAD_ACQUIRE(&head->what);
            if (what == 0) break;
            if (!(word & VITP_WORD_SHARED)) what |= VITP_HEAD_DONE;
            if ((what & VITP_HEAD_DONE) && !(what & VITP_HEAD_SKIP))
                (void)record_fn(head + 1, VITP_HEAD_SIZE(what), user);
        }
    }
}

/* The end of the first `records` of a segment. */
static uint32_t vitp_queue_release_to(const vit_queue *q, const vitp_segment *segment,
                                      size_t records)
{
    vitp_chunk *c = vitp_pool_chunk(q->pool, segment->index);
    uint32_t    at = segment->begin, what;
    if (records >= segment->records) return segment->end;
    for (; at < segment->end; at += vitp_queue_need(VITP_HEAD_SIZE(what))) {
        what = VITP_ATOMIC_LOAD(&vitp_queue_head(c, at)->what);
        if (!(what & VITP_HEAD_SKIP) && records-- == 0) break;
    }
    return at;
}

/* Behind a hole recovery knows a released record by nothing else. */
static void vitp_queue_mark_released(vitp_chunk *c, uint32_t at, uint32_t end)
{
    uint32_t what;
    for (; at < end; at += vitp_queue_need(VITP_HEAD_SIZE(what))) {
        what = VITP_ATOMIC_LOAD(&vitp_queue_head(c, at)->what);
        VITP_ATOMIC_STORE(&vitp_queue_head(c, at)->what, what | VITP_HEAD_SKIP);
    }
}

/* Frees the first records of a segment, at most `records`. Returns how many. */
static size_t vitp_queue_release_from(vit_queue *q, vitp_segment *segment, size_t records)
{
    vitp_chunk  *c = vitp_pool_chunk(q->pool, segment->index);
    vitp_cursor *cursor = &q->cursors[segment->index];
    uint32_t     generation = VITP_ATOMIC_LOAD(&c->word) & VITP_WORD_GENERATION;
    uint32_t     end = vitp_queue_release_to(q, segment, records);
    if (records > segment->records) records = segment->records;
    if (cursor->holed) vitp_queue_mark_released(c, segment->begin, end);
    else VITP_ATOMIC_STORE_RELEASE(&c->released, generation | end);
    cursor->released += end - segment->begin;
    segment->begin = end;
    segment->records -= (uint32_t)records;
    q->held -= records;
    return records;
}

void vit_queue_release(vit_queue *q, size_t records)
{
    if (!q) return;
    for (;;) {
        vitp_segment *first = &q->segments[q->segment_first];
        if (q->segment_count == 0 && records > 0) vitp_queue_look(q, records); /* never peeked at */
        if (q->segment_count == 0) break;
        records -= vitp_queue_release_from(q, first, records);
        if (first->begin < first->end) break;
        q->segment_first = (q->segment_first + 1u) % q->segment_max;
        q->segment_count--;
    }
    vitp_queue_recycle(q);
    if (!vitp_queue_is_filling(q) && vitp_pool_free_count(q->pool) > 2u * vitp_pool_kept(q->pool))
        return;
    vitp_queue_revoke(q);
    vitp_queue_recycle(q);
}

size_t vit_queue_drain(vit_queue *q,
                       bool (*record_fn)(const void *record, uint32_t size, void *user), void *user,
                       size_t most)
{
    size_t count = vit_queue_peek(q, record_fn, user, most);
    vit_queue_release(q, count);
    return count;
}

/* ---- making one -------------------------------------------------------------------------- */

static uint32_t vitp_queue_segment_max(uint32_t capacity)
{
    return VITP_QUEUE_SEGMENTS_EACH * (capacity / vitp_pool_chunk_bytes(capacity));
}

/* Bytes of what the consumer and the threads have, without the pool. */
static size_t vitp_queue_own_bytes(uint32_t capacity)
{
    size_t count = capacity / vitp_pool_chunk_bytes(capacity);
    return VITP_QUEUE_ALIGN(sizeof(vit_queue)) + VITP_QUEUE_ALIGN(count * sizeof(vitp_cursor)) +
           VITP_QUEUE_ALIGN(count * sizeof(uint32_t)) +
           VITP_QUEUE_ALIGN(vitp_queue_segment_max(capacity) * sizeof(vitp_segment));
}

static vit_queue *vitp_queue_attach(void *memory, vitp_pool *p, uint32_t capacity)
{
    vit_queue *q = (vit_queue *)memory;
    char      *at = (char *)memory + VITP_QUEUE_ALIGN(sizeof *q);
    memset(memory, 0, vitp_queue_own_bytes(capacity));
    q->pool = p;
    q->record_max = p->data_bytes - (uint32_t)sizeof(vitp_head);
    q->segment_max = vitp_queue_segment_max(capacity);
    q->seen = p->taken;
    q->cursors = (vitp_cursor *)(void *)at;
    at += VITP_QUEUE_ALIGN(p->chunk_count * sizeof(vitp_cursor));
    q->active = (uint32_t *)(void *)at;
    at += VITP_QUEUE_ALIGN(p->chunk_count * sizeof(uint32_t));
    q->segments = (vitp_segment *)(void *)at;
    return q;
}

size_t vit_queue_bytes(size_t capacity)
{
    uint32_t power = VITP_QUEUE_CAPACITY_MIN;
    if (capacity == 0 || capacity > VITP_QUEUE_CAPACITY_MAX) return 0;
    while (power < capacity) power *= 2u;
    return vitp_queue_own_bytes(power) + vitp_pool_bytes(power);
}

vit_queue *vit_queue_init(void *memory, size_t bytes)
{
    uint32_t capacity = VITP_QUEUE_CAPACITY_MIN;
    if (!memory || ((uintptr_t)memory & 63u) || bytes < vit_queue_bytes(capacity)) return NULL;
    while (capacity < VITP_QUEUE_CAPACITY_MAX && vit_queue_bytes((size_t)capacity * 2u) <= bytes)
        capacity *= 2u;
    return vitp_queue_attach(
        memory, vitp_pool_init((char *)memory + vitp_queue_own_bytes(capacity), capacity),
        capacity);
}

uint32_t vit_queue_record_max(const vit_queue *q) { return q ? q->record_max : 0; }

/* ---- a forked child: its parent's slots are not its own, but the pool may be shared ------ */

static bool vitp_queue_push_in_child(vit_queue *q, const void *record, uint32_t size,
                                     bool important)
{
    vitp_head *head;
    if (size == 0 || size > q->record_max) return false;
    head = vitp_queue_reserve_shared(q, size, NULL, false, important);
    if (!head) return false;
    memcpy(head + 1, record, size);
    vitp_queue_commit_shared(q, head, size);
    return true;
}

/* Forgets what was noted and not released: some of it is a skip now. */
static void vitp_queue_look_anew(vit_queue *q)
{
    uint32_t i;
    for (i = 0; i < q->active_count; i++) {
        vitp_cursor *cursor = &q->cursors[q->active[i]];
        cursor->noted = cursor->released;
    }
    q->segment_count = q->hole_count = 0;
    q->held = 0;
}

#ifndef VITELEMETRY_NO_FILES
/* ---- recovery: of a pool whose process is gone, in a copy. Nothing in it is trusted. ------

   Authoritative are each chunk's word, released and ticket, and the heads of records; the rest is
   made anew. A process that is killed has done all of its stores up to some point of each thread,
   and none after it. */

typedef struct vitp_recovered {
    uint32_t records, torn; /* torn: places where no record could be read */
} vitp_recovered;

static void vitp_recover_skip(vitp_head *head, uint32_t bytes)
{
    head->what = VITP_HEAD_DONE | VITP_HEAD_SKIP | (bytes - (uint32_t)sizeof *head);
    head->number = VITP_HEAD_REST;
}

/* Bytes of what stands at `at`, made readable; 0: no record begins so. Where a record was reserved
   and its head not written yet, all is zeros but a number, up to the next head. */
static uint32_t vitp_recover_record(vitp_chunk *c, uint32_t at, uint32_t end, bool shared)
{
    vitp_head *head = vitp_queue_head(c, at);
    uint32_t   need = vitp_queue_need(VITP_HEAD_SIZE(head->what));
    if (shared && head->what == 0) {
        vitp_recover_skip(head, (uint32_t)sizeof *head);
        return (uint32_t)sizeof *head;
    }
    if (need > end - at) return 0;
    if (VITP_HEAD_SIZE(head->what) == 0 && !(head->what & VITP_HEAD_SKIP)) return 0;
    if (shared && !(head->what & VITP_HEAD_DONE)) vitp_recover_skip(head, need);
    if (VITP_HEAD_TAG(head->what) > VITP_QUEUE_SLOTS) head->what &= ~(0x7Fu << 16);
    return need;
}

/* Makes a chunk readable from what was released to what was committed. An empty one has 0 bytes
   then. */
static void vitp_recover_chunk(vitp_pool *p, vitp_chunk *c, vitp_recovered *found)
{
    uint32_t at = VITP_WORD_BYTES(c->released), end = VITP_WORD_BYTES(c->word), need;
    bool     shared = (c->word & VITP_WORD_SHARED) != 0;
    if ((c->released ^ c->word) & VITP_WORD_GENERATION) at = end; /* was about to be emptied */
    if (at > end || end > p->data_bytes || ((at | end) & 7u)) {
        found->torn++;
        at = end;
    }
    if (at == end) at = end = 0;
    c->word = (c->word & (VITP_WORD_GENERATION | VITP_WORD_SHARED)) | VITP_WORD_SEALED | end;
    c->released = (c->word & VITP_WORD_GENERATION) | at;
    for (; at < end; at += need) {
        need = vitp_recover_record(c, at, end, shared);
        if (need == 0) {
            need = end - at;
            vitp_recover_skip(vitp_queue_head(c, at), need);
            found->torn++;
        }
        if (!(vitp_queue_head(c, at)->what & VITP_HEAD_SKIP)) found->records++;
    }
}

/* Sorts indexes of chunks by their tickets: Shell's way, without a call and in place. */
static void vitp_recover_sort(vitp_pool *p, uint32_t *list, uint32_t count)
{
    uint32_t gap, i, k, index, ticket;
    for (gap = count / 2u; gap > 0; gap = gap == 2u ? 1u : gap * 5u / 11u)
        for (i = gap; i < count; i++) {
            index = list[i];
            ticket = vitp_pool_chunk(p, index)->ticket;
            for (k = i; k >= gap; k -= gap) {
                if ((int32_t)(vitp_pool_chunk(p, list[k - gap])->ticket - ticket) <= 0) break;
                list[k] = list[k - gap];
            }
            list[k] = index;
        }
}

/* The name of the chunk before this one, as index + 1; 0: it has nothing to be read. */
static uint32_t vitp_recover_before(vitp_pool *p, const vitp_chunk *c)
{
    uint32_t    index = c->before & 0xFFFFu;
    vitp_chunk *b;
    if (!(c->word & VITP_WORD_SHARED) || index == 0 || index > p->chunk_count) return 0;
    b = vitp_pool_chunk(p, index - 1u);
    return VITP_WORD_BYTES(b->word) && vitp_pool_name(p, b) == c->before ? index : 0;
}

/* Numbers the chunks that hold something anew, from 0. */
static void vitp_recover_order(vitp_pool *p)
{
    uint32_t *list = vitp_pool_free_list(p), i, count = 0;
    for (i = 0; i < p->chunk_count; i++)
        if (VITP_WORD_BYTES(vitp_pool_chunk(p, i)->word)) list[count++] = i;
    vitp_recover_sort(p, list, count);
    for (i = 0; i < count; i++)
        vitp_pool_chunk(p, list[i])->before = vitp_recover_before(p, vitp_pool_chunk(p, list[i]));
    for (i = 0; i < count; i++) vitp_pool_chunk(p, list[i])->ticket = i;
    for (i = 0; i < count; i++) {
        vitp_chunk *c = vitp_pool_chunk(p, list[i]);
        if (c->before) c->before = vitp_pool_name(p, vitp_pool_chunk(p, c->before - 1u));
    }
    p->taken = count;
    p->freed = p->chunk_count;
    p->shared = p->untagged = 0;
}

/* Makes a queue, for its consumer only, of the copy of a pool; memory: vitp_queue_own_bytes. NULL:
   it is no pool of that capacity. */
static vit_queue *vitp_recover(void *memory, vitp_pool *p, uint32_t capacity, vitp_recovered *found)
{
    vit_queue *q;
    uint32_t   i, taken;
    memset(found, 0, sizeof *found);
    if (p->chunk_bytes != vitp_pool_chunk_bytes(capacity) ||
        p->data_bytes != p->chunk_bytes - (uint32_t)sizeof(vitp_chunk) ||
        p->chunk_count != capacity / p->chunk_bytes)
        return NULL;
    for (i = 0; i < p->chunk_count; i++) vitp_recover_chunk(p, vitp_pool_chunk(p, i), found);
    vitp_recover_order(p);
    taken = p->taken;
    p->taken = 0; /* where the consumer begins */
    q = vitp_queue_attach(memory, p, capacity);
    p->taken = taken;
    q->closed = true;
    return q;
}
#endif /* !VITELEMETRY_NO_FILES */

/* ============================================================================================
   >>ledger: what lies beside the pool, so that whoever finds it can read the records: who wrote
   them, the contexts and the schemas that they name, the request that was under way; and what the
   next start has to tell of a run that did not end in order.

   ledger | journal[segment_max] | pool, in one piece of memory: plain, or a file that outlives the
   process. Members have fixed sizes; another layout has another version.
   ============================================================================================ */

#define VITP_LEDGER_MAGIC   "vitpool\n"
#define VITP_LEDGER_VERSION 3u
#define VITP_LEDGER_ORDER   0x01020304u
#define VITP_LEDGER_SCHEMAS 32768u /* bytes: a hundred declared events of usual size */

/* What vit_set_context and the session put into events; each record carries the number of its
   own. */
typedef struct vitp_context {
    uint32_t number; /* 0: the slot was never used */
    char     session_id[VITP_LABEL_MAX + 1u], provider[VITP_LABEL_MAX + 1u], collection_hash[17];
} vitp_context;

#define VITP_JOURNAL_MAX 1024u /* pieces of a request that is repeated after a kill */

/* Records of one chunk that a request carries. */
typedef struct vitp_journal {
    uint32_t index, generation, begin, end;
} vitp_journal;

enum {
    VITP_BATCH_NONE,
    VITP_BATCH_SENT, /* its request may have been received */
    VITP_BATCH_DONE  /* it was answered: its records are released, in the pool or not yet */
};

/* A crash, written by the handler. */
enum {
    VITP_CRASH_NONE,
    VITP_CRASH_BUSY,
    VITP_CRASH_THERE /* the process was about to end when it was written */
};
typedef struct vitp_crash {
    uint32_t state;    /* claimed by compare-and-swap */
    uint32_t touched;  /* VITP_TOUCHED_* */
    uint32_t context;  /* number of the one in force */
    uint32_t told;     /* 1: an error event tells of it already */
    uint64_t time_ns;  /* writer's monotonic clock */
    uint64_t offset;   /* of the instruction in its module */
    char     type[40]; /* SIGSEGV */
    char     module[40];
} vitp_crash;

/* Who lives longer did not crash: a handler of the host went on by siglongjmp. Not less than the
   handlers of other crash reporters take. */
#ifndef VITP_CRASH_SURVIVED_NS
#define VITP_CRASH_SURVIVED_NS (UINT64_C(15) * 1000000000u)
#endif

/* What kind of address the crashing instruction touched. */
enum {
    VITP_TOUCHED_NOTHING, /* it is no fault of memory */
    VITP_TOUCHED_NULL,
    VITP_TOUCHED_STACK,
    VITP_TOUCHED_OTHER
};

#define VITP_CRASHES_MAX 4u /* threads that crash, or are in a handler of the host that repairs */

/* How the consumer waits. */
enum {
    VITP_SLEEP_NONE,
    VITP_SLEEP_LIGHT, /* until a time, or until the queue fills up */
    VITP_SLEEP_DEEP   /* until there is something to do */
};

/* A run: what the next start has to know of it, should it not end in order. */
enum {
    VITP_RUN_NONE, /* or there is nothing more to tell */
    VITP_RUN_OPEN
};
typedef struct vitp_run {
    uint32_t   state;      /* under the client's lock */
    uint32_t   handler;    /* 1: a crash leaves a record; the same */
    uint64_t   session_ns; /* when the session began; 0: there is none; the same */
    uint64_t   alive_ns;   /* the consumer was last seen; the consumer, alive_s too */
    uint32_t   fatal_ms;   /* an error was recorded that ends the process; by all, 0: none */
    uint32_t   alive_s;    /* Unix time then, its low half */
    vitp_crash crashes[VITP_CRASHES_MAX];
} vitp_run;

/* An error that was recorded in this session, and how often it came again. */
#define VITP_REPEATS_MAX 256u
enum {
    VITP_REPEAT_FREE,
    VITP_REPEAT_BUSY,
    VITP_REPEAT_READY
};
typedef struct vitp_repeat {
    uint32_t word;    /* part of the hash << 12 | turn << 2 | VITP_REPEAT_* */
    uint32_t count;   /* not told yet; by all */
    uint32_t hash[2]; /* error_hash; like labels, written by whoever claimed the word */
    uint32_t labels;  /* hash of event name, code, function and feature */
} vitp_repeat;

#define VITP_REPEAT_WORD(part, turn, phase) ((part) << 12 | ((turn)&0x3FFu) << 2 | (phase))

/* Of this session, or of one before whose count is not told yet. */
static bool vitp_repeat_is_ready(const vitp_repeat *repeat)
{
    return (VITP_ATOMIC_LOAD_ACQUIRE(&repeat->word) & 3u) == VITP_REPEAT_READY;
}

typedef struct vitp_writer {
    char          magic[8]; /* written last */
    uint32_t      version, order, bytes, capacity;
    uint64_t      process_start;
    uint32_t      process;  /* 0: it has ended in order */
    uint32_t      closed;   /* 1: vit_destroy has begun: a forked child records no more */
    uint64_t      begin_ns; /* monotonic clock */
    int64_t       begin_s;  /* Unix time then */
    unsigned char run_id[16];
    unsigned char mark[8]; /* hash of hwid and salt: under another identity nothing is sent */
    char          app_version[VITP_LABEL_MAX + 1u], client_type[VITP_LABEL_MAX + 1u];
} vitp_writer;

typedef struct vitp_ledger {
    vitp_writer writer;
    /* under the client's lock; read by all, forked children too */
    uint32_t permission; /* VITP_MAY_* */
    uint32_t context;    /* number of the one in force */
    uint32_t identity;   /* advances with hwid and salt */
    /* the consumer */
    uint32_t     batch_state, batch_segments, batch_records;
    char         batch_key[36];
    uint32_t     sleep; /* VITP_SLEEP_*; ended by whoever wakes it */
    uint32_t     wake;  /* see vitp_os_wake_at */
    vitp_context contexts[VITP_CONTEXTS_MAX];
    vitp_run     run;
    /* written by all */
    uint32_t    repeat_turn; /* advances with the session; under the client's lock */
    uint32_t    repeat_some; /* 1: there are counts to tell */
    vitp_repeat repeats[VITP_REPEATS_MAX];
    /* written by all, each once */
    uint32_t      schemas_used;
    uint32_t      schemas[VITP_TYPES_MAX]; /* by type: where its schema begins, + 1 */
    unsigned char schema_bytes[VITP_LEDGER_SCHEMAS];
} vitp_ledger;

static size_t vitp_ledger_bytes(uint32_t capacity)
{
    return VITP_QUEUE_ALIGN(sizeof(vitp_ledger)) +
           VITP_QUEUE_ALIGN(vitp_queue_segment_max(capacity) * sizeof(vitp_journal));
}

static vitp_journal *vitp_ledger_journal(vitp_ledger *l)
{
    return (vitp_journal *)(void *)((char *)l + VITP_QUEUE_ALIGN(sizeof *l));
}

static vitp_pool *vitp_ledger_pool(vitp_ledger *l, uint32_t capacity)
{
    return (vitp_pool *)(void *)((char *)l + vitp_ledger_bytes(capacity));
}

/* ---- schemas: size of the name, name, number of members, and for each its kind, size of its
   key on the wire, key ---------------------------------------------------------------------- */

/* Names that the envelope and the sampling members have for themselves. */
static bool vitp_ledger_is_reserved(const char *key, uint32_t size)
{
    switch (size) {
    case 4: return memcmp(key, "hwid", 4) == 0;
    case 7: return memcmp(key, "delay_s", 7) == 0;
    case 10: return memcmp(key, "event_name", 10) == 0;
    case 11: return memcmp(key, "app_version", 11) == 0 || memcmp(key, "client_type", 11) == 0;
    case 13: return memcmp(key, "sampling_rate", 13) == 0;
    case 16: return memcmp(key, "sampling_version", 16) == 0;
    case 18: return memcmp(key, "sampling_seed_type", 18) == 0;
    default: return false;
    }
}

static bool vitp_ledger_is_hashed(vit_kind kind)
{
    return kind == VIT_HASH || kind == VIT_GROUP || kind == VIT_ROW;
}

/* The member's key as it is on the wire; 0: malformed. */
static uint32_t vitp_ledger_key(char out[VITP_NAME_MAX + 1u], vit_kind kind, const char *name)
{
    uint32_t size = vitp_text_key_size(name), extra = vitp_ledger_is_hashed(kind) ? 5u : 0u;
    if (size == 0 || size + extra > VITP_NAME_MAX) return 0;
    memcpy(out, name, size + 1u);
    if (extra) memcpy(out + size, "_hash", 6);
    if (kind == VIT_FRAME) memcpy(out, "error_hash", size = sizeof "error_hash");
    if (kind == VIT_FRAME) size--;
    return vitp_ledger_is_reserved(out, size + extra) ? 0 : size + extra;
}

/* Measures, writes or compares a schema in one way. */
typedef struct vitp_schema_pen {
    unsigned char       *out;  /* NULL: writes nothing */
    const unsigned char *like; /* NULL: compares with nothing */
    uint32_t             size;
    bool                 same;
} vitp_schema_pen;

static void vitp_schema_put(vitp_schema_pen *pen, const void *data, uint32_t size)
{
    if (pen->out) memcpy(pen->out + pen->size, data, size);
    if (pen->same && pen->like) pen->same = memcmp(pen->like + pen->size, data, size) == 0;
    pen->size += size;
}

static void vitp_schema_member(vitp_schema_pen *pen, vit_kind kind, const char *name)
{
    char          key[VITP_NAME_MAX + 1u];
    unsigned char head[2];
    head[0] = (unsigned char)kind;
    head[1] = (unsigned char)vitp_ledger_key(key, kind, name);
    vitp_schema_put(pen, head, 2);
    vitp_schema_put(pen, key, head[1]);
}

static void vitp_schema_write(vitp_schema_pen *pen, const vit_schema *schema)
{
    unsigned char size = (unsigned char)strlen(schema->name), count;
    bool          at_line = (schema->flags & VIT_ROW_AT_LINE) != 0;
    uint32_t      i;
    count = (unsigned char)(schema->member_count + (at_line ? 1u : 0u));
    pen->size = 0;
    pen->same = true;
    vitp_schema_put(pen, &size, 1);
    vitp_schema_put(pen, schema->name, size);
    vitp_schema_put(pen, &count, 1);
    for (i = 0; i < schema->member_count; i++)
        vitp_schema_member(pen, schema->members[i].kind, schema->members[i].name);
    if (at_line) vitp_schema_member(pen, VIT_FRAME, "error_hash");
}

typedef enum vitp_published {
    VITP_PUBLISHED,
    VITP_PUBLISHED_OTHER, /* the place is another schema's: a forked child took it */
    VITP_PUBLISHED_NONE   /* no room */
} vitp_published;

/* Takes room for a schema. 0: there is none. */
static uint32_t vitp_ledger_room(vitp_ledger *l, uint32_t size)
{
    uint32_t used = VITP_ATOMIC_LOAD(&l->schemas_used);
    do {
        if (size > VITP_LEDGER_SCHEMAS - used) return 0;
    } while (!VITP_ATOMIC_CAS(&l->schemas_used, &used, used + size));
    return used + 1u;
}

/* Writes the schema of a type where every reader of the pool finds it, before the first record
   that names it. Any thread and any process may do it; the first one's stands. */
static vitp_published vitp_ledger_publish(vitp_ledger *l, uint32_t type, const vit_schema *schema)
{
    vitp_schema_pen pen = { NULL, NULL, 0, true };
    uint32_t        at = VITP_ATOMIC_LOAD_ACQUIRE(&l->schemas[type]), own;
    vitp_schema_write(&pen, schema);
    if (at == 0) {
        own = vitp_ledger_room(l, pen.size);
        if (own == 0) return VITP_PUBLISHED_NONE;
        pen.out = l->schema_bytes + own - 1u;
        vitp_schema_write(&pen, schema);
        if (VITP_ATOMIC_CAS(&l->schemas[type], &at, own)) return VITP_PUBLISHED;
    }
    if (pen.size > VITP_LEDGER_SCHEMAS - (at - 1u)) return VITP_PUBLISHED_OTHER;
    pen.out = NULL;
    pen.like = l->schema_bytes + at - 1u;
    vitp_schema_write(&pen, schema);
    return pen.same ? VITP_PUBLISHED : VITP_PUBLISHED_OTHER;
}

/* Reads a schema; nothing in it is trusted. */
typedef struct vitp_schema_reader {
    const vitp_ledger *ledger;
    uint32_t           at, left; /* left: members */
} vitp_schema_reader;

/* NULL: beyond the end. */
static const char *vitp_schema_take(vitp_schema_reader *r, uint32_t size)
{
    const unsigned char *p = r->ledger->schema_bytes + r->at;
    if (size > VITP_LEDGER_SCHEMAS - r->at) return NULL;
    r->at += size;
    return (const char *)p;
}

/* The name of a type, of *size bytes, or NULL: there is no such type. */
static const char *vitp_schema_open(vitp_schema_reader *r, const vitp_ledger *l, uint32_t type,
                                    uint32_t *size)
{
    const char *name, *count;
    memset(r, 0, sizeof *r);
    r->ledger = l;
    r->at = type < VITP_TYPES_MAX ? VITP_ATOMIC_LOAD_ACQUIRE(&l->schemas[type]) : 0;
    if (r->at == 0 || r->at > VITP_LEDGER_SCHEMAS) return NULL;
    *size = l->schema_bytes[r->at - 1u]; /* of the name, at which r->at is now: it counts from 1 */
    name = vitp_schema_take(r, *size);
    count = name ? vitp_schema_take(r, 1) : NULL;
    r->left = count ? (unsigned char)count[0] : 0;
    return count ? name : NULL;
}

/* The next member's key, of *size bytes, or NULL: it is no schema. */
static const char *vitp_schema_next(vitp_schema_reader *r, vit_kind *kind, uint32_t *size)
{
    const char *head = vitp_schema_take(r, 2);
    if (!head) return NULL;
    r->left--;
    *kind = (vit_kind)head[0];
    *size = (unsigned char)head[1];
    return vitp_schema_take(r, *size);
}

/* ============================================================================================
   >>record: from a call to a record in the queue. All of it runs on the host's threads.

   A record is a head and values. Of a declared event it holds values only, in the order of its
   schema; of an ad-hoc one each value follows its kind and key. A text is its size (2 bytes) and
   its bytes.
   ============================================================================================ */

/* A text that one thread changes and any thread reads, without a lock: two copies, of which
   `turn` names the one to read. A reader whose copy was overwritten sees another turn and reads
   again. */
#define VITP_CELL_WORDS 20u
typedef struct vitp_cell {
    uint32_t turn; /* written under the client's lock */
    uint32_t words[2][VITP_CELL_WORDS];
} vitp_cell;

/* size: at most VITP_CELL_WORDS words, which are a vitp_seed and more than a salt. */
static void vitp_cell_write(vitp_cell *c, const void *data, size_t size)
{
    uint32_t words[VITP_CELL_WORDS] = { 0 };
    uint32_t next = VITP_ATOMIC_LOAD(&c->turn) + 1u, i;
    memcpy(words, data, size);
    for (i = 0; i < VITP_CELL_WORDS; i++)
        VITP_ATOMIC_STORE_RELEASE(&c->words[next & 1u][i], words[i]);
    VITP_ATOMIC_STORE_RELEASE(&c->turn, next);
}

static uint32_t vitp_cell_read(const vitp_cell *c, void *out, size_t size)
{
    uint32_t words[VITP_CELL_WORDS], turn, i;
    do {
        turn = VITP_ATOMIC_LOAD_ACQUIRE(&c->turn);
        for (i = 0; i < VITP_CELL_WORDS; i++)
            words[i] = VITP_ATOMIC_LOAD_ACQUIRE(&c->words[turn & 1u][i]);
    } while (VITP_ATOMIC_LOAD(&c->turn) != turn);
    memcpy(out, words, size);
    return turn;
}

/* What chooses events: the session's id or the hwid. */
enum {
    VITP_SEED_NONE,
    VITP_SEED_SESSION,
    VITP_SEED_HWID,
    VITP_SEED_FLOW
};
typedef struct vitp_seed {
    char     text[72];
    uint32_t kind;
} vitp_seed;

typedef struct vitp_type {
    uintptr_t schema;  /* const vit_schema *; claimed once by compare-and-swap */
    uint32_t  verdict; /* cached: turn of the seed, rate, kind of seed, kept (VITP_VERDICT_*) */
    uint32_t  bound;   /* bytes that a record never exceeds; 0: not known (yet), or large */
    uint32_t  plain;   /* the same where the members are labels and numbers alone, or 0 */
} vitp_type;

#define VITP_VERDICT_KEEP      1u
#define VITP_VERDICT_CHOICE    7u /* keep, and kind of seed */
#define VITP_VERDICT_ALWAYS    1u /* of CHOICE: kept whatever the seed */
#define VITP_VERDICT_KIND(v)   (((v) >> 1) & 3u)
#define VITP_VERDICT_RATE(v)   (((v) >> 3) & 0x1FFu)
#define VITP_VERDICT_TURN(v)   ((v) >> 12)
#define VITP_VERDICT_TURN_MASK 0xFFFFFu
#define VITP_VERDICT_DEFAULT   0x1FFu /* rate: the schema's own */

typedef struct vitp_rate {
    char     name[VITP_NAME_MAX + 1u]; /* never changes once counted */
    uint32_t value;                    /* index of rate_values */
} vitp_rate;

enum {
    VITP_MAY_USAGE = 1,
    VITP_MAY_SEND = 2,
    VITP_MAY_TRACE = 4,
    VITP_MAY_ERRORS = 8,
    VITP_MAY_RECORD = VITP_MAY_USAGE | VITP_MAY_ERRORS
};

/* This machine, for the members of VIT_ROW_MACHINE. */
typedef struct vitp_machine {
    char    os[64], arch[64];
    int64_t cpu_count, ram_gb;
} vitp_machine;

typedef struct vitp_secret_store {
    vitp_scrub_value values[VITP_SECRETS_MAX + VITP_KNOWN_MAX]; /* known values first */
    char             texts[VITP_SECRETS_MAX + VITP_KNOWN_MAX][VITP_SECRET_MAX + 1u];
    vitp_scrub_core  cores[VITP_SECRETS_MAX][3]; /* of the registered ones */
    uint32_t         count;   /* published by a release store; written under the client's lock */
    uint32_t         secrets; /* of them, registered */
} vitp_secret_store;

/* An error whose bytes were seen, and its place in the ledger's repeats. Read without a lock: a
   word that has changed meanwhile says that what stands behind it may have, too. */
typedef struct vitp_seen {
    uint32_t word; /* number << 12 | turn << 2 | VITP_REPEAT_* */
    uint32_t print[4], index;
    uint32_t place; /* the word there, as long as the place is this error's */
} vitp_seen;

/* Events that were refused, as one thread counts them: without a locked instruction. */
#define VITP_TALLIES 16u /* power of two */
typedef struct vitp_tally {
    uintptr_t owner; /* thread pointer; claimed once. A thread that has it after another goes on */
    uintptr_t disabled, sampled;
    uintptr_t unused[5]; /* a cache line to itself, by size */
} vitp_tally;

typedef struct vitp_recorder {
    /* constant after vit_create */
    vit_queue      *queue;
    vitp_ledger    *ledger;
    vitp_id_source *ids;
    vitp_os_page    page;
    vit_sampling    sampling;
    char            group_salt[VITP_KEY_MAX + 1u];
    vitp_machine    machine;
    /* written under the client's lock, read by all */
    uint32_t          permission; /* VITP_MAY_* */
    uint32_t          decision;   /* vit_consent, and vit_gate << 8 */
    uint32_t          identity;   /* as the ledger's; a child keeps that of its salt */
    uint32_t          outlives;   /* 1: the pool is a mapping, which a forked child shares */
    vitp_cell         seed;       /* vitp_seed */
    vitp_cell         salt;       /* 32 hex digits */
    vitp_rate         rates[VITP_RATES_MAX];
    double            rate_values[VITP_RATE_VALUES_MAX];
    uint32_t          rate_count, rate_value_count;
    vitp_secret_store secrets;
    /* written by all */
    vitp_log     log;
    vitp_type    types[VITP_TYPES_MAX];
    vitp_seen    seen[VITP_REPEATS_MAX];
    vitp_os_wake wake;
    vitp_tally   tallies[VITP_TALLIES];
    uintptr_t    disabled, sampled, full, invalid, truncated; /* but for what is in the tallies */
} vitp_recorder;

#define VITP_RECORD_IN_PLACE   512u /* larger records are put together on the stack */
#define VITP_RECORD_ADHOC      0xFFFFu
#define VITP_RECORD_CORRELATED 1u
#define VITP_RECORD_ERROR      2u
#define VITP_RECORD_NAMED      4u /* a name follows the head */
#define VITP_RECORD_WHOLE      8u /* and its origin: it is of another run, and needs no ledger */

typedef struct vitp_record_head {
    uint64_t      time_ns; /* coarse monotonic clock */
    double        rate;    /* effective sampling rate */
    unsigned char correlation_id[16];
    uint32_t      context;
    uint16_t      type;  /* index of types, or VITP_RECORD_ADHOC */
    uint8_t       flags; /* VITP_RECORD_* */
    uint8_t       seed_kind;
    uint16_t      name_size;
    uint16_t      identity; /* low half of the ledger's */
    uint32_t      reserved; /* 0: the size is one on all machines, which share a spool */
} vitp_record_head;

#define VITP_RECORD_ABSENT 0xFFFFu /* size of a text that is not there */

/* One record in the making. */
typedef struct vitp_encoder {
    vitp_recorder    *recorder;
    unsigned char    *data;
    const char       *name; /* of the event: the error's type where it has none */
    const vit_op     *op;
    const vit_schema *schema; /* NULL: ad hoc */
    uint32_t          begin;  /* where the members begin */
    uint32_t          size, capacity;
    bool              cut;    /* a text was cut */
    bool              closed; /* a member did not fit: none follows */
    bool              bad;    /* a malformed value */
} vitp_encoder;

/* What does not fit closes the record: nothing has room behind it. Sizes are handed on in
   registers: through memory each member would wait for the one before it. */
static VITP_INLINE bool vitp_record_room(vitp_encoder *e, uint32_t at, uint32_t size)
{
    if (VITP_LIKELY(size <= e->capacity - at)) return true;
    e->closed = true;
    e->capacity = at;
    return false;
}

/* Returns the record's size with it. */
static VITP_INLINE uint32_t vitp_record_append(vitp_encoder *e, uint32_t at, const void *data,
                                               uint32_t size)
{
    if (!vitp_record_room(e, at, size)) return at;
    memcpy(e->data + at, data, size);
    return at + size;
}

static VITP_INLINE void vitp_record_put(vitp_encoder *e, const void *data, uint32_t size)
{
    e->size = vitp_record_append(e, e->size, data, size);
}

/* text NULL: absent. */
static void vitp_record_put_text(vitp_encoder *e, const char *text, uint32_t size)
{
    uint16_t mark = text ? (uint16_t)size : (uint16_t)VITP_RECORD_ABSENT;
    if (!vitp_record_room(e, e->size, 2u + (text ? size : 0u))) return;
    vitp_record_put(e, &mark, 2);
    if (text) vitp_record_put(e, text, size);
}

/* Bytes of an encoded value. */
static uint32_t vitp_record_value_size(vit_kind kind, const unsigned char *value)
{
    uint16_t size;
    switch (kind) {
    case VIT_LABEL:
    case VIT_TEXT:
    case VIT_TRACE:
    case VIT_FILE: memcpy(&size, value, 2); return 2u + (size == VITP_RECORD_ABSENT ? 0u : size);
    case VIT_HASH:
    case VIT_GROUP:
    case VIT_ROW:
    case VIT_FRAME: return value[0] ? 9u : 1u;
    case VIT_UUID: return value[0] ? 17u : 1u;
    case VIT_FLAG: return 1u;
    case VIT_INT:
    case VIT_REAL:
    case VIT_MS: return 8u;
    }
    return 0;
}

/* The value of a member that the record has already, or NULL. */
static const unsigned char *vitp_record_find(const vitp_encoder *e, const char *key, uint32_t size,
                                             vit_kind *found)
{
    const unsigned char *at = e->data + e->begin, *end = e->data + e->size;
    uint32_t             i;
    for (i = 0; at < end; i++) {
        vit_kind    kind = e->schema ? e->schema->members[i].kind : (vit_kind)at[0];
        const char *name = e->schema ? e->schema->members[i].name : (const char *)at + 2;
        uint32_t    name_size = e->schema ? (uint32_t)strlen(name) : at[1];
        if (!e->schema) at += 2u + name_size;
        if (at >= end) break; /* the member that is being added */
        *found = kind;
        if (name_size == size && memcmp(name, key, size) == 0) return at;
        at += vitp_record_value_size(kind, at);
    }
    return NULL;
}

/* The same of a text; "" where there is none. */
static const char *vitp_record_find_text(const vitp_encoder *e, const char *key, uint16_t *size)
{
    vit_kind             kind = VIT_INT;
    const unsigned char *value = vitp_record_find(e, key, (uint32_t)strlen(key), &kind);
    *size = 0;
    if (!value || (kind != VIT_LABEL && kind != VIT_TEXT && kind != VIT_FILE)) return "";
    memcpy(size, value, 2);
    if (*size == VITP_RECORD_ABSENT) *size = 0;
    return (const char *)value + 2;
}

/* How much of a text is looked at. A word that is open at the edge may be half a secret: it is
   left out (size is where it begins). */
static size_t vitp_record_readable(vitp_encoder *e, const char *text)
{
    const vitp_secret_store *store = &e->recorder->secrets;
    size_t                   size = vitp_text_size(text, VITP_TEXT_READ_MAX + 1u), there, begin;
    uint32_t                 i, count = VITP_ATOMIC_LOAD_ACQUIRE(&store->count);
    bool                     encoded;
    if (size <= VITP_TEXT_READ_MAX) return size;
    e->cut = true;
    size = VITP_TEXT_READ_MAX;
    while (size > 0 && !vitp_text_is_space(text[size - 1])) size--;
    there = size + vitp_text_size(text + size, VITP_SECRET_SPELLED_MAX);
    begin = size > VITP_SECRET_SPELLED_MAX ? size - VITP_SECRET_SPELLED_MAX : 0;
    for (; begin < size; begin++) /* a secret with blanks in it may lie across the edge */
        for (i = 0; i < count; i++)
            if (begin +
                    vitp_scrub_secret_at(text + begin, there - begin, &store->values[i], &encoded) >
                size)
                return begin;
    return size;
}

/* Scrubs text into out (capacity includes a NUL) and returns what was kept. */
static size_t vitp_record_scrub(vitp_encoder *e, char *out, size_t capacity, const char *text,
                                size_t size)
{
    const vitp_secret_store *store = &e->recorder->secrets;
    vitp_scrub_values        values;
    size_t                   kept = 0;
    vitp_scrub_values_init(&values, store->values, VITP_ATOMIC_LOAD_ACQUIRE(&store->count));
    if (vitp_scrub_text(out, capacity, text, size, &values, &kept) > kept) e->cut = true;
    return kept;
}

/* A label that is too long is treated as text before it is cut: the cut could leave half a name or
   half a secret that no scan knows. Returns its size. */
static VITP_NOINLINE size_t vitp_record_long_label(vitp_encoder *e, const char *text,
                                                   unsigned char *out)
{
    char   clean[VITP_LABEL_MAX + 1u];
    size_t size = vitp_record_scrub(e, clean, sizeof clean, text, vitp_record_readable(e, text));
    memcpy(out, clean, size);
    e->cut = true;
    return size;
}

/* Measures and copies in one pass: labels are short, and a call for each would cost more. Returns
   the bytes of it, at most 2 + VITP_LABEL_MAX. */
static VITP_INLINE uint32_t vitp_record_label_at(vitp_encoder *e, unsigned char *out,
                                                 const char *text)
{
    unsigned char *to = out + 2;
    size_t         size = 0;
    uint16_t       mark = VITP_RECORD_ABSENT;
    if (text) {
        while (size < VITP_LABEL_MAX) { /* four bytes a round */
            if ((to[size] = (unsigned char)text[size]) == 0) break;
            size++;
            if ((to[size] = (unsigned char)text[size]) == 0) break;
            size++;
            if ((to[size] = (unsigned char)text[size]) == 0) break;
            size++;
            if ((to[size] = (unsigned char)text[size]) == 0) break;
            size++;
        }
        if (VITP_UNLIKELY(size == VITP_LABEL_MAX && text[size])) /* it goes on */
            size = vitp_record_long_label(e, text, to);
        mark = (uint16_t)size;
    }
    memcpy(out, &mark, 2);
    return 2u + (uint32_t)size;
}

/* Returns the record's size with it. */
static VITP_INLINE uint32_t vitp_record_label(vitp_encoder *e, uint32_t at, const char *text)
{
    if (!vitp_record_room(e, at, text ? 2u + VITP_LABEL_MAX : 2u)) return at;
    return at + vitp_record_label_at(e, e->data + at, text);
}

static void vitp_record_text(vitp_encoder *e, const char *text)
{
    char   clean[VITP_TEXT_MAX + 1u];
    size_t size = vitp_record_readable(e, text);
    if (size == 0 && text && text[0]) { /* one endless word */
        vitp_record_put_text(e, "[secret]", 8);
        return;
    }
    size = text ? vitp_record_scrub(e, clean, sizeof clean, text, size) : 0;
    vitp_record_put_text(e, text ? clean : NULL, (uint32_t)size);
}

static bool vitp_record_has_secret(const vitp_encoder *e, const char *text, size_t size)
{
    const vitp_secret_store *store = &e->recorder->secrets;
    vitp_scrub_values        values;
    vitp_scrub_values_init(&values, store->values, VITP_ATOMIC_LOAD_ACQUIRE(&store->count));
    return vitp_scrub_holds_secret(&values, text, size);
}

/* Where the last part of a path begins. */
static size_t vitp_record_base(const char *text, size_t size)
{
    while (size > 0 && text[size - 1] != '/' && text[size - 1] != '\\') size--;
    return size;
}

static void vitp_record_file(vitp_encoder *e, const char *text)
{
    size_t size = vitp_text_size(text, VITP_TEXT_READ_MAX + 1u), base;
    if (!text || size > VITP_TEXT_READ_MAX) { /* a cut path would show a folder */
        e->cut = text != NULL;
        vitp_record_put_text(e, NULL, 0);
        return;
    }
    if (vitp_record_has_secret(e, text, size)) { /* its part behind a slash would not be known */
        vitp_record_put_text(e, "[secret]", 8);
        return;
    }
    base = vitp_record_base(text, size);
    e->size = vitp_record_label(e, e->size, text + base);
}

/* Where `:42` or `", line 42` begins in a line, and where its digits do; size: nowhere. */
static size_t vitp_record_line_mark(const char *line, size_t size, size_t *digits)
{
    static const char python[] = "\", line ";
    const size_t      n = sizeof python - 1;
    size_t            at;
    for (at = 1; at + 1 < size; at++) {
        *digits = at + 1;
        if (line[at] == ':' && vitp_text_is_digit(line[at + 1])) return at;
        *digits = at + n;
        if (at + n < size && memcmp(line + at, python, n) == 0 && vitp_text_is_digit(line[at + n]))
            return at;
    }
    return size;
}

/* A name that ends as source files do: `host:5432` and `user:17` are no frames. */
static bool vitp_record_is_source(const char *name, size_t size)
{
    static const char ends[] =
        " c cc cpp cxx m mm h hh hpp hxx inl ipp py pyx rs go java kt scala cs fs "
        "vb js mjs cjs ts tsx jsx vue rb php swift lua pl r jl d zig pas f90 qml ";
    char   end[8];
    size_t dot = size;
    while (dot > 0 && name[dot - 1] != '.') dot--;
    if (dot < 2 || size - dot == 0 || size - dot > sizeof end - 3) return false;
    end[0] = ' ';
    memcpy(end + 1, name + dot, size - dot);
    end[size - dot + 1] = ' ';
    end[size - dot + 2] = 0;
    return strstr(ends, end) != NULL;
}

/* A line of a stack trace as `file:line` without the folders. Returns its size, 0: it names none.
   */
static size_t vitp_record_frame(const char *line, size_t size, char out[VITP_LABEL_MAX + 16u])
{
    size_t digits = 0, end, mark = vitp_record_line_mark(line, size, &digits), begin = mark;
    if (mark == size) return 0;
    for (end = digits; end < size && end < digits + 9 && vitp_text_is_digit(line[end]);) end++;
    while (begin > 0 && !strchr(" \t(\"<[/\\", line[begin - 1])) begin--;
    if (mark - begin > VITP_LABEL_MAX || !vitp_record_is_source(line + begin, mark - begin))
        return 0;
    return (size_t)snprintf(out, VITP_LABEL_MAX + 16u, "%.*s:%.*s", (int)(mark - begin),
                            line + begin, (int)(end - digits), line + digits);
}

/* Only under VIT_CONSENT_VERBOSE: up to 32 frames, one a line. */
static void vitp_record_trace(vitp_encoder *e, const char *text)
{
    char     frames[VITP_TEXT_MAX + 1u], frame[VITP_LABEL_MAX + 16u];
    size_t   left, line, size, used = 0;
    uint32_t count = 0;
    if (!text || !(VITP_ATOMIC_LOAD(&e->recorder->permission) & VITP_MAY_TRACE)) {
        vitp_record_put_text(e, NULL, 0);
        return;
    }
    left = vitp_record_readable(e, text);
    for (; left > 0 && count < VITP_TRACE_LINES_MAX; text += line, left -= line) {
        const char *end = (const char *)memchr(text, '\n', left);
        line = end ? (size_t)(end - text) + 1 : left;
        size = vitp_record_has_secret(e, text, line) ? 0 : vitp_record_frame(text, line, frame);
        if (size == 0 || used + size + 1 > VITP_TEXT_MAX) continue;
        if (used) frames[used++] = '\n';
        memcpy(frames + used, frame, size);
        used += size;
        count++;
    }
    frames[used] = 0;
    vitp_record_text(e, frames);
}

static void vitp_record_put_hash(vitp_encoder *e, const unsigned char *hash)
{
    unsigned char bytes[9] = { 0 };
    bytes[0] = hash != NULL;
    if (hash) memcpy(bytes + 1, hash, 8);
    vitp_record_put(e, bytes, hash ? 9 : 1);
}

static void vitp_record_hash(vitp_encoder *e, vit_kind kind, const char *text)
{
    char          salt[33] = { 0 };
    unsigned char hash[8];
    size_t        size = vitp_text_size(text, VITP_TEXT_READ_MAX + 1u);
    bool          group = kind == VIT_GROUP;
    if (size > VITP_TEXT_READ_MAX) {
        size = VITP_TEXT_READ_MAX;
        e->cut = true;
    }
    if (group && text && !e->recorder->group_salt[0]) {
        vitp_log_note(&e->recorder->log, VIT_LOG_GROUP_SALT_MISSING);
        text = NULL;
    }
    if (text) {
        if (!group) (void)vitp_cell_read(&e->recorder->salt, salt, 32);
        vitp_id_hash(hash, text, size, group ? e->recorder->group_salt : salt);
    }
    vitp_record_put_hash(e, text ? hash : NULL);
}

/* error_hash of what the record holds of type and message, and of this frame. by_name: the event's
   name is the type, whatever the record says. */
static void vitp_record_error_hash(vitp_encoder *e, const char *frame, size_t frame_size,
                                   bool by_name)
{
    unsigned char hash[8];
    uint16_t      size, type_size;
    const char   *message = vitp_record_find_text(e, "message", &size);
    const char   *type = vitp_record_find_text(e, "exception_type", &type_size);
    bool          named = by_name || type_size == 0;
    if (e->closed) return;
    vitp_id_error_hash(hash, named ? e->name : type, named ? strlen(e->name) : type_size, message,
                       size, frame, frame_size);
    vitp_record_put_hash(e, hash);
}

static void vitp_record_at_frame(vitp_encoder *e, const char *frame)
{
    char   clean[VITP_TEXT_MAX + 1u];
    size_t size = frame ? vitp_record_readable(e, frame) : 0;
    size = size ? vitp_record_scrub(e, clean, sizeof clean, frame, size) : 0;
    vitp_record_error_hash(e, clean, size, false);
}

/* The frame of an event that names a file and a line instead. */
static void vitp_record_at_line(vitp_encoder *e)
{
    char                 frame[VITP_LABEL_MAX + 24u];
    uint16_t             file_size;
    const char          *file = vitp_record_find_text(e, "file", &file_size);
    vit_kind             kind = VIT_LABEL;
    const unsigned char *value = vitp_record_find(e, "line", 4, &kind);
    int64_t              line = 0;
    int                  size = 0;
    if (value && kind == VIT_INT) memcpy(&line, value, 8);
    if (file_size > VITP_LABEL_MAX) file_size = VITP_LABEL_MAX; /* it is a text, not a label */
    if (file_size)
        size = snprintf(frame, sizeof frame, "%.*s:%ld", (int)file_size, file, (long)line);
    vitp_record_error_hash(e, frame, size > 0 ? (size_t)size : 0, true);
}

/* 0: there is no op, or it never began, or its clock was another's. */
static VITP_NOINLINE int64_t vitp_record_since(const vit_op *op)
{
    uint64_t now_ns = vitp_os_now_ns();
    return op && op->begin_ns && op->begin_ns < now_ns
               ? (int64_t)((now_ns - op->begin_ns) / VITP_MS)
               : 0;
}

static void vitp_record_uuid(vitp_encoder *e, const char *text)
{
    unsigned char bytes[17] = { 0 };
    if (text && !vitp_text_parse_uuid(bytes + 1, text)) {
        vitp_log_note(&e->recorder->log, VIT_LOG_VALUE_INVALID);
        e->bad = true;
        return;
    }
    bytes[0] = text != NULL;
    vitp_record_put(e, bytes, text ? 17 : 1);
}

/* One text member, of whatever kind. */
static VITP_INLINE void vitp_record_string(vitp_encoder *e, vit_kind kind, const char *text)
{
    switch (kind) {
    case VIT_LABEL: e->size = vitp_record_label(e, e->size, text); break;
    case VIT_TEXT: vitp_record_text(e, text); break;
    case VIT_HASH:
    case VIT_GROUP:
    case VIT_ROW: vitp_record_hash(e, kind, text); break;
    case VIT_TRACE: vitp_record_trace(e, text); break;
    case VIT_FRAME: vitp_record_at_frame(e, text); break;
    case VIT_FILE: vitp_record_file(e, text); break;
    case VIT_UUID: vitp_record_uuid(e, text); break;
    case VIT_INT:
    case VIT_REAL:
    case VIT_FLAG:
    case VIT_MS: break;
    }
}

static bool vitp_record_is_text(vit_kind kind)
{
    return kind != VIT_INT && kind != VIT_REAL && kind != VIT_FLAG && kind != VIT_MS;
}

/* Eight bytes. Those of a REAL are copied as they are. */
static VITP_INLINE void vitp_record_number_at(const vitp_encoder *e, unsigned char *out,
                                              vit_kind kind, const void *field)
{
    int64_t number;
    memcpy(&number, field, 8);
    if (kind == VIT_MS && VITP_UNLIKELY(number == VIT_SINCE_OP)) number = vitp_record_since(e->op);
    memcpy(out, &number, 8);
}

/* Returns the record's size with it. */
static VITP_INLINE uint32_t vitp_record_number(vitp_encoder *e, uint32_t at, vit_kind kind,
                                               const void *field)
{
    unsigned char flag;
    if (kind == VIT_FLAG) {
        flag = *(const bool *)field ? 1 : 0;
        return vitp_record_append(e, at, &flag, 1);
    }
    if (!vitp_record_room(e, at, 8)) return at;
    vitp_record_number_at(e, e->data + at, kind, field);
    return at + 8;
}

/* This machine's value where the host gave none. */
static const void *vitp_record_machine(const vitp_machine *m, const char *name, const void *field,
                                       const char **text)
{
    *text = strcmp(name, "os") == 0 ? m->os : strcmp(name, "cpu_arch") == 0 ? m->arch : NULL;
    if (*text) return *(const char *const *)field ? field : (const void *)text;
    if (strcmp(name, "cpu_count") == 0 && *(const int64_t *)field == 0) return &m->cpu_count;
    if (strcmp(name, "ram_gb") == 0 && *(const int64_t *)field == 0) return &m->ram_gb;
    return field;
}

/* Labels and numbers alone, where there is room for all of them. Returns where they end. */
static VITP_INLINE unsigned char *vitp_record_plain(vitp_encoder *e, unsigned char *out,
                                                    const vit_schema *schema, const void *event)
{
    const vit_member *m = schema->members, *end = m + schema->member_count;
    for (; m < end; m++) {
        const void *field = (const char *)event + m->offset;
        if (m->kind == VIT_LABEL) {
            out += vitp_record_label_at(e, out, *(const char *const *)field);
        } else if (m->kind == VIT_FLAG) {
            *out++ = *(const bool *)field ? 1 : 0;
        } else {
            vitp_record_number_at(e, out, m->kind, field);
            out += 8;
        }
    }
    return out;
}

static void vitp_record_members(vitp_encoder *e, const vit_schema *schema, const void *event)
{
    const vit_member *m = schema->members, *end = m + schema->member_count;
    const bool        machine = (schema->flags & VIT_ROW_MACHINE) != 0;
    uint32_t          at = e->size;
    for (; m < end; m++) {
        const void *field = (const char *)event + m->offset;
        const char *text;
        if (VITP_UNLIKELY(machine))
            field = vitp_record_machine(&e->recorder->machine, m->name, field, &text);
        if (m->kind == VIT_LABEL) {
            at = vitp_record_label(e, at, *(const char *const *)field);
        } else if (!vitp_record_is_text(m->kind)) {
            at = vitp_record_number(e, at, m->kind, field);
        } else {
            e->size = at;
            vitp_record_string(e, m->kind, *(const char *const *)field);
            at = e->size;
        }
    }
    e->size = at;
    if (schema->flags & VIT_ROW_AT_LINE) vitp_record_at_line(e);
}

/* ---- sampling: decided once for each event name and session ------------------------------ */

static uint32_t vitp_sample_rate_index(const vitp_recorder *r, const char *name)
{
    uint32_t count = VITP_ATOMIC_LOAD_ACQUIRE(&r->rate_count), i;
    for (i = 0; i < count; i++)
        if (strcmp(r->rates[i].name, name) == 0)
            return VITP_ATOMIC_LOAD_ACQUIRE(&r->rates[i].value);
    return VITP_VERDICT_DEFAULT;
}

static double vitp_sample_rate(const vitp_recorder *r, uint32_t verdict, double default_rate)
{
    uint32_t index = VITP_VERDICT_RATE(verdict);
    return index == VITP_VERDICT_DEFAULT ? default_rate : r->rate_values[index];
}

static uint32_t vitp_sample_decide(const vitp_recorder *r, const char *name, double default_rate)
{
    vitp_seed seed;
    uint32_t  turn = vitp_cell_read(&r->seed, &seed, sizeof seed);
    uint32_t  verdict = vitp_sample_rate_index(r, name) << 3;
    double    rate = vitp_sample_rate(r, verdict, default_rate);
    verdict |= (turn & VITP_VERDICT_TURN_MASK) << 12;
    if (rate >= 1.0) return verdict | VITP_VERDICT_ALWAYS;
    if (vit_should_sample(name, rate, seed.text)) verdict |= VITP_VERDICT_KEEP;
    return verdict | seed.kind << 1;
}

/* Chooses by the correlation id: not cached, one SHA-256. */
static uint32_t vitp_sample_by_flow(uint32_t verdict, const char *name, double rate,
                                    const unsigned char id[16])
{
    char text[37];
    vitp_text_uuid(text, id);
    verdict &= ~(VITP_VERDICT_KEEP | 3u << 1);
    verdict |= (uint32_t)VITP_SEED_FLOW << 1;
    return vit_should_sample(name, rate, text) ? verdict | VITP_VERDICT_KEEP : verdict;
}

typedef struct vitp_choice {
    bool    keep;
    uint8_t seed_kind; /* VITP_SEED_* */
    double  rate;
} vitp_choice;

/* cache: of a declared event, else NULL. id: correlation id, or NULL. */
static VITP_NOINLINE vitp_choice vitp_sample_choose(const vitp_recorder *r, uint32_t *cache,
                                                    const char *name, double default_rate,
                                                    const unsigned char *id)
{
    uint32_t    turn = VITP_ATOMIC_LOAD_ACQUIRE(&r->seed.turn) & VITP_VERDICT_TURN_MASK;
    uint32_t    verdict = cache ? VITP_ATOMIC_LOAD(cache) : 0;
    vitp_choice choice = { true, VITP_SEED_NONE, 1.0 };
    double      rate;
    if (!cache || VITP_VERDICT_TURN(verdict) != turn) {
        verdict = vitp_sample_decide(r, name, default_rate);
        if (cache) VITP_ATOMIC_STORE(cache, verdict);
    }
    rate = vitp_sample_rate(r, verdict, default_rate);
    if (rate >= 1.0) return choice;
    if (r->sampling == VIT_SAMPLE_FLOW && id)
        verdict = vitp_sample_by_flow(verdict, name, rate, id);
    choice.keep = (verdict & VITP_VERDICT_KEEP) != 0;
    choice.seed_kind = (uint8_t)VITP_VERDICT_KIND(verdict);
    choice.rate = rate;
    return choice;
}

/* The rest is for what is not always kept, and for the first time. */
static VITP_INLINE vitp_choice vitp_sample(const vitp_recorder *r, uint32_t *cache,
                                           const char *name, double default_rate,
                                           const unsigned char *id)
{
    static const vitp_choice always = { true, VITP_SEED_NONE, 1.0 };
    uint32_t turn = VITP_ATOMIC_LOAD_ACQUIRE(&r->seed.turn) & VITP_VERDICT_TURN_MASK;
    uint32_t verdict = cache ? VITP_ATOMIC_LOAD(cache) : 0;
    if (cache && VITP_VERDICT_TURN(verdict) == turn &&
        (verdict & VITP_VERDICT_CHOICE) == VITP_VERDICT_ALWAYS)
        return always;
    return vitp_sample_choose(r, cache, name, default_rate, id);
}

/* ---- types: slots for the schemas that were used ----------------------------------------- */

/* What would get this machine's value is of the kind that this has. */
static bool vitp_type_fits_machine(const vit_member *m)
{
    if (strcmp(m->name, "os") == 0 || strcmp(m->name, "cpu_arch") == 0)
        return m->kind == VIT_LABEL || m->kind == VIT_TEXT;
    if (strcmp(m->name, "cpu_count") == 0 || strcmp(m->name, "ram_gb") == 0)
        return m->kind == VIT_INT;
    return true;
}

/* Every key is well-formed and there once. */
static bool vitp_type_is_valid(const vit_schema *schema)
{
    char     key[VITP_NAME_MAX + 1u], other[VITP_NAME_MAX + 1u];
    uint32_t i, k;
    if (!vitp_text_name_size(schema->name) || !schema->members) return false;
    if (schema->member_count > VITP_MEMBERS_MAX) return false;
    for (i = 0; i < schema->member_count; i++) {
        const vit_member *m = &schema->members[i];
        if (m->kind < VIT_LABEL || m->kind > VIT_UUID) return false;
        if (!vitp_ledger_key(key, m->kind, m->name)) return false;
        if ((schema->flags & VIT_ROW_AT_LINE) && strcmp(key, "error_hash") == 0) return false;
        if ((schema->flags & VIT_ROW_MACHINE) && !vitp_type_fits_machine(m)) return false;
        for (k = 0; k < i; k++)
            if (vitp_ledger_key(other, schema->members[k].kind, schema->members[k].name) &&
                strcmp(key, other) == 0)
                return false;
    }
    return true;
}

/* Bytes that a record never exceeds, or 0: it holds text, for which it is not worth to keep so much
   room. */
static uint32_t vitp_type_bound(const vit_schema *schema)
{
    uint32_t bound = (uint32_t)sizeof(vitp_record_head), i;
    for (i = 0; i < schema->member_count; i++) {
        vit_kind kind = schema->members[i].kind;
        if (kind == VIT_TEXT || kind == VIT_TRACE || kind == VIT_FRAME) return 0;
        bound += kind == VIT_LABEL || kind == VIT_FILE ? 2u + VITP_LABEL_MAX : 17u;
    }
    return schema->flags & VIT_ROW_AT_LINE || bound > VITP_RECORD_IN_PLACE ? 0 : bound;
}

/* The same where vitp_record_kept may do all of it. */
static uint32_t vitp_type_plain(const vit_schema *schema)
{
    uint32_t i;
    if (schema->flags & ~VIT_ROW_CORRELATED) return 0;
    for (i = 0; i < schema->member_count; i++)
        if (schema->members[i].kind != VIT_LABEL && vitp_record_is_text(schema->members[i].kind))
            return 0;
    return vitp_type_bound(schema);
}

#define VITP_TYPE_FOREIGN ((uintptr_t)1u) /* in place of a schema: another process has the slot */

/* Gives a free slot to a schema, unless it is malformed or another takes the slot. */
static VITP_NOINLINE bool vitp_type_take(vitp_recorder *r, vitp_type *type,
                                         const vit_schema *schema)
{
    uintptr_t      held = 0;
    vitp_published published;
    if (!vitp_type_is_valid(schema)) {
        vitp_log_note(&r->log, vitp_text_name_size(schema->name) ? VIT_LOG_KEY_INVALID
                                                                 : VIT_LOG_NAME_INVALID);
        return false;
    }
    published = vitp_ledger_publish(r->ledger, (uint32_t)(type - r->types), schema);
    if (published == VITP_PUBLISHED_NONE) {
        vitp_log_note(&r->log, VIT_LOG_TYPES_FULL);
        return false;
    }
    if (published == VITP_PUBLISHED_OTHER)
        (void)VITP_ATOMIC_CAS_PTR(&type->schema, &held, VITP_TYPE_FOREIGN);
    else if (VITP_ATOMIC_CAS_PTR(&type->schema, &held, (uintptr_t)schema)) {
        VITP_ATOMIC_STORE_RELEASE(&type->bound, vitp_type_bound(schema));
        VITP_ATOMIC_STORE_RELEASE(&type->plain, vitp_type_plain(schema));
    }
    return true;
}

/* Index of the first of the slots in which a schema may be. */
static VITP_INLINE uint32_t vitp_type_first(const vit_schema *schema)
{
    uint32_t hash = (uint32_t)((uintptr_t)schema >> 3) * 0x9E3779B1u;
    return hash >> 16 & (VITP_TYPES_MAX - 1u);
}

/* The slot of a schema, which takes one at its first event. NULL: none is left, or the schema is
   malformed. */
static vitp_type *vitp_type_of(vitp_recorder *r, const vit_schema *schema)
{
    uintptr_t key = (uintptr_t)schema;
    uint32_t  first = vitp_type_first(schema), i;
    for (i = 0; i < VITP_TYPES_MAX; i++) {
        vitp_type *type = &r->types[(first + i) & (VITP_TYPES_MAX - 1u)];
        if (VITP_ATOMIC_LOAD_PTR_ACQUIRE(&type->schema) == key) return type;
        if (VITP_ATOMIC_LOAD_PTR_ACQUIRE(&type->schema) == 0 && !vitp_type_take(r, type, schema))
            return NULL;
        if (VITP_ATOMIC_LOAD_PTR_ACQUIRE(&type->schema) == key) return type;
    }
    vitp_log_note(&r->log, VIT_LOG_TYPES_FULL);
    return NULL;
}

/* ---- the way of an event ----------------------------------------------------------------- */

/* This thread's tally. NULL: others have its place. */
static VITP_INLINE vitp_tally *vitp_record_tally(vitp_recorder *r)
{
    uintptr_t   self = VITP_OS_THREAD_POINTER(), none = 0;
    uint32_t    hash = (uint32_t)(self >> 6) * 0x9E3779B1u >> 16;
    vitp_tally *tally = &r->tallies[hash & (VITP_TALLIES - 1u)];
    if (VITP_LIKELY(VITP_ATOMIC_LOAD_PTR(&tally->owner) == self)) return tally;
    if (VITP_ATOMIC_LOAD_PTR(&tally->owner) != 0) return NULL;
    return VITP_ATOMIC_CAS_PTR(&tally->owner, &none, self) ? tally : NULL;
}

/* By the user's decision or by sampling: what a program may do all the time costs next to
   nothing. */
static VITP_INLINE vit_status vitp_record_pass(vitp_recorder *r, vit_status status)
{
    vitp_tally *tally = vitp_record_tally(r);
    bool        sampled = status == VIT_SAMPLED_OUT;
    if (VITP_LIKELY(tally))
        VITP_ATOMIC_ADD_OWN_PTR(sampled ? &tally->sampled : &tally->disabled, 1u);
    else (void)VITP_ATOMIC_ADD_PTR(sampled ? &r->sampled : &r->disabled, 1u);
    return status;
}

static void vitp_record_passed(const vitp_recorder *r, uint64_t *disabled, uint64_t *sampled)
{
    uint32_t i;
    *disabled = VITP_ATOMIC_LOAD_PTR(&r->disabled);
    *sampled = VITP_ATOMIC_LOAD_PTR(&r->sampled);
    for (i = 0; i < VITP_TALLIES; i++) {
        *disabled += VITP_ATOMIC_LOAD_PTR(&r->tallies[i].disabled);
        *sampled += VITP_ATOMIC_LOAD_PTR(&r->tallies[i].sampled);
    }
}

static vit_status vitp_record_refuse(vitp_recorder *r, vit_status status)
{
    if (status == VIT_DISABLED || status == VIT_SAMPLED_OUT) (void)vitp_record_pass(r, status);
    else (void)VITP_ATOMIC_ADD_PTR(status == VIT_QUEUE_FULL ? &r->full : &r->invalid, 1u);
    if (status == VIT_QUEUE_FULL) vitp_log_note(&r->log, VIT_LOG_QUEUE_FULL);
    vitp_log_tell(&r->log);
    return status;
}

/* A forked child may record what the parent, or the next start, delivers. */
static VITP_NOINLINE bool vitp_record_allowed_in_child(const vitp_recorder *r, uint32_t kind)
{
    return VITP_ATOMIC_LOAD(&r->outlives) && (VITP_ATOMIC_LOAD(&r->ledger->permission) & kind) &&
           !VITP_ATOMIC_LOAD(&r->ledger->writer.closed);
}

/* kind: VITP_MAY_USAGE, _ERRORS, or _RECORD for either. */
static VITP_INLINE bool vitp_record_allowed(const vitp_recorder *r, uint32_t kind)
{
    if (VITP_UNLIKELY(vitp_os_page_forked(&r->page))) return vitp_record_allowed_in_child(r, kind);
    return (VITP_ATOMIC_LOAD(&r->permission) & kind) != 0;
}

static VITP_INLINE void vitp_record_id(const vitp_recorder *r, unsigned char id[16])
{
    if (VITP_UNLIKELY(vitp_os_page_forked(&r->page))) vitp_id_own(r->ids);
    vitp_id_next(r->ids, id);
}

/* id: correlation id, or NULL. name_size: of a name behind the head, or 0. */
static VITP_INLINE void vitp_record_fill(const vitp_recorder *r, vitp_record_head *head,
                                         const vitp_choice *choice, const unsigned char *id,
                                         uint32_t type, uint32_t flags, uint32_t name_size)
{
    static const unsigned char none[16] = { 0 };
    head->identity = (uint16_t)VITP_ATOMIC_LOAD_ACQUIRE(&r->identity); /* before the salt */
    head->reserved = 0;
    head->time_ns = vitp_os_coarse_ns();
    head->rate = choice->rate;
    memcpy(head->correlation_id, id ? id : none, 16);
    head->context = VITP_ATOMIC_LOAD(&r->ledger->context);
    head->type = (uint16_t)type;
    head->flags = (uint8_t)(flags | (id ? VITP_RECORD_CORRELATED : 0u) |
                            (name_size ? VITP_RECORD_NAMED : 0u));
    head->seed_kind = choice->seed_kind;
    head->name_size = (uint16_t)name_size;
}

static VITP_NOINLINE void vitp_record_rouse(vitp_recorder *r)
{
    if (VITP_ATOMIC_EXCHANGE(&r->ledger->sleep, (uint32_t)VITP_SLEEP_NONE) != VITP_SLEEP_NONE)
        vitp_os_wake_set(&r->wake);
}

/* How the consumer sleeps, read after the record was committed (see vitp_worker_rest). A forked
   child, which the consumer's barrier does not reach, has one of its own; where it cannot wake the
   consumer, that does not sleep so. */
static VITP_INLINE uint32_t vitp_record_sleep(vitp_recorder *r)
{
    VITP_ATOMIC_LIGHT_BARRIER();
    if (VITP_LIKELY(!vitp_os_page_forked(&r->page))) return VITP_ATOMIC_LOAD(&r->ledger->sleep);
    if (!VITP_OS_WAKE_SHARED) return VITP_SLEEP_NONE;
    return VITP_ATOMIC_OR(&r->ledger->sleep, 0u);
}

/* Wakes the consumer when it waits for the first event, or when half of the queue is in use: looked
   at without a shared write. */
static VITP_INLINE void vitp_record_wake(vitp_recorder *r)
{
    uint32_t sleep = vitp_record_sleep(r);
    if (sleep == VITP_SLEEP_NONE) return;
    if (sleep == VITP_SLEEP_DEEP || vitp_queue_is_filling(r->queue)) vitp_record_rouse(r);
}

static VITP_NOINLINE vit_status vitp_record_truncated(const vitp_encoder *e)
{
    vitp_recorder *r = e->recorder;
    (void)VITP_ATOMIC_ADD_PTR(&r->truncated, 1u);
    vitp_log_note(&r->log, e->closed ? VIT_LOG_EVENT_CUT : VIT_LOG_TEXT_CUT);
    vitp_log_tell(&r->log);
    return VIT_TRUNCATED;
}

/* What becomes of a record that is in the queue. */
static VITP_INLINE vit_status vitp_record_accepted(const vitp_encoder *e)
{
    vitp_record_wake(e->recorder);
    return VITP_LIKELY(!e->cut && !e->closed) ? VIT_OK : vitp_record_truncated(e);
}

/* Puts the finished record into the queue. */
static vit_status vitp_record_end(vitp_encoder *e, bool important)
{
    vitp_recorder *r = e->recorder;
    bool           pushed;
    if (e->bad) return vitp_record_refuse(r, VIT_INVALID);
    if (VITP_UNLIKELY(vitp_os_page_forked(&r->page)))
        pushed = vitp_queue_push_in_child(r->queue, e->data, e->size, important);
    else
        pushed = important ? vit_queue_push_important(r->queue, e->data, e->size)
                           : vit_queue_push(r->queue, e->data, e->size);
    return pushed ? vitp_record_accepted(e) : vitp_record_refuse(r, VIT_QUEUE_FULL);
}

/* What a declared event is recorded from. */
typedef struct vitp_source {
    vitp_recorder       *recorder;
    const vit_schema    *schema;
    const void          *event;
    const char          *name; /* in place of the schema's, or NULL */
    const vit_op        *op;
    const unsigned char *id; /* correlation id, or NULL */
    uint32_t             type;
    vitp_choice          choice;
} vitp_source;

/* Encodes it into memory that is aligned to 8. */
static VITP_INLINE void vitp_record_encode(vitp_encoder *e, const vitp_source *from, void *memory,
                                           uint32_t capacity)
{
    uint32_t name_size = from->name ? vitp_text_name_size(from->name) : 0;
    e->recorder = from->recorder;
    e->data = (unsigned char *)memory;
    e->capacity = capacity;
    e->cut = e->closed = e->bad = false;
    e->name = from->name ? from->name : from->schema->name;
    e->op = from->op;
    e->schema = from->schema;
    vitp_record_fill(from->recorder, (vitp_record_head *)memory, &from->choice, from->id,
                     from->type, from->schema->flags & VIT_ROW_ERROR ? VITP_RECORD_ERROR : 0u,
                     name_size);
    e->size = (uint32_t)sizeof(vitp_record_head);
    if (name_size) vitp_record_put(e, from->name, name_size);
    e->begin = e->size;
    vitp_record_members(e, from->schema, from->event);
}

/* Straight into the queue, where there is room for the largest record of the type. */
static vit_status vitp_record_in_place(const vitp_source *from, vitp_place place, uint32_t bound)
{
    vitp_encoder e;
    vitp_record_encode(&e, from, place.head + 1, bound);
    vitp_queue_end(from->recorder->queue, place, e.bad ? 0 : e.size);
    return e.bad ? vitp_record_refuse(from->recorder, VIT_INVALID) : vitp_record_accepted(&e);
}

static VITP_NOINLINE vit_status vitp_record_on_stack(const vitp_source *from)
{
    uint64_t     memory[VITP_RECORD_MAX / 8u];
    vitp_encoder e;
    vitp_record_encode(&e, from, memory, sizeof memory);
    return vitp_record_end(&e, (from->schema->flags & VIT_ROW_ERROR) != 0);
}

static VITP_INLINE vitp_source vitp_record_source(vitp_recorder *r, const vit_schema *schema,
                                                  const char *name, const void *event)
{
    vitp_source from = { r,
                         schema,
                         event,
                         name,
                         *(const vit_op *const *)event,
                         NULL,
                         0,
                         { true, VITP_SEED_NONE, 1.0 } };
    if (from.op) from.id = from.op->correlation_id;
    return from;
}

/* Records a declared event. */
static VITP_INLINE vit_status vitp_record_event(vitp_recorder *r, const vit_schema *schema,
                                                const void *event)
{
    unsigned char own_id[16];
    vitp_place    place = { NULL, NULL };
    vitp_type    *type = vitp_type_of(r, schema);
    vitp_source   from = vitp_record_source(r, schema, NULL, event);
    bool          error = (schema->flags & VIT_ROW_ERROR) != 0;
    bool          make_id = !from.op && (schema->flags & VIT_ROW_CORRELATED);
    uint32_t      bound;
    if (!type) return vitp_record_refuse(r, VIT_INVALID);
    if (make_id && r->sampling == VIT_SAMPLE_FLOW) vitp_record_id(r, own_id), from.id = own_id;
    if (!error) from.choice = vitp_sample(r, &type->verdict, schema->name, schema->rate, from.id);
    if (!from.choice.keep) return vitp_record_refuse(r, VIT_SAMPLED_OUT);
    if (make_id && !from.id) vitp_record_id(r, own_id), from.id = own_id;
    from.type = (uint32_t)(type - r->types);
    bound = error ? 0 : VITP_ATOMIC_LOAD_ACQUIRE(&type->bound);
    if (bound && !vitp_os_page_forked(&r->page)) place = vitp_queue_begin(r->queue, bound);
    return place.head ? vitp_record_in_place(&from, place, bound) : vitp_record_on_stack(&from);
}

/* Every case but the frequent one. */
static VITP_NOINLINE vit_status vitp_record_slowly(vitp_recorder *r, const vit_schema *schema,
                                                   const void *event)
{
    bool error = schema && (schema->flags & VIT_ROW_ERROR);
    if (!vitp_record_allowed(r, error ? VITP_MAY_ERRORS : VITP_MAY_USAGE))
        return vitp_record_pass(r, VIT_DISABLED);
    if (schema && event) return vitp_record_event(r, schema, event);
    vitp_log_note(&r->log, VIT_LOG_VALUE_INVALID);
    return vitp_record_refuse(r, VIT_INVALID);
}

/* Labels and numbers of a type that is always kept, where this thread has room for them. */
static VITP_NOINLINE vit_status vitp_record_kept(vitp_recorder *r, const vit_schema *schema,
                                                 const void *event, uint32_t type, uint32_t bound)
{
    static const vitp_choice always = { true, VITP_SEED_NONE, 1.0 };
    unsigned char            own_id[16], *out;
    const vit_op            *op = *(const vit_op *const *)event;
    vitp_encoder             e;
    vitp_slot               *slot;
    vitp_head               *head = vitp_queue_try(r->queue, bound, &slot);
    if (VITP_UNLIKELY(!head)) return vitp_record_slowly(r, schema, event);
    e.recorder = r; /* labels and numbers need no more of it */
    e.op = op;
    e.cut = e.closed = false;
    if (!op && schema->flags & VIT_ROW_CORRELATED) vitp_id_next(r->ids, own_id);
    vitp_record_fill(r, (vitp_record_head *)(void *)(head + 1), &always,
                     op                                   ? op->correlation_id
                     : schema->flags & VIT_ROW_CORRELATED ? own_id
                                                          : NULL,
                     type, 0, 0);
    out = (unsigned char *)(head + 1) + sizeof(vitp_record_head);
    out = vitp_record_plain(&e, out, schema, event);
    vitp_queue_commit_own(slot, slot->chunk, head, slot->word,
                          (uint32_t)(out - (unsigned char *)(head + 1)), VITP_OS_THREAD_POINTER());
    VITP_ATOMIC_LIGHT_BARRIER(); /* the queue does not fill up within a chunk */
    if (VITP_UNLIKELY(VITP_ATOMIC_LOAD(&r->ledger->sleep) == VITP_SLEEP_DEEP)) vitp_record_rouse(r);
    return VITP_LIKELY(!e.cut) ? VIT_OK : vitp_record_truncated(&e);
}

/* The frequent cases of the frequent events: usage, of labels and numbers, whose fate is decided.
   What is refused or sampled out ends here, without a stack frame: it may happen all the time. */
static VITP_INLINE vit_status vitp_record_quickly(vitp_recorder *r, const vit_schema *schema,
                                                  const void *event)
{
    uint32_t   index = vitp_type_first(schema), verdict, bound, turn;
    vitp_type *type = &r->types[index];
    if (VITP_UNLIKELY(!(VITP_ATOMIC_LOAD(&r->permission) & VITP_MAY_USAGE))) {
        if (schema->flags & VIT_ROW_ERROR) return vitp_record_slowly(r, schema, event);
        return vitp_record_pass(r, VIT_DISABLED);
    }
    if (VITP_UNLIKELY(VITP_ATOMIC_LOAD_PTR_ACQUIRE(&type->schema) != (uintptr_t)schema))
        return vitp_record_slowly(r, schema, event);
    bound = VITP_ATOMIC_LOAD_ACQUIRE(&type->plain);
    turn = VITP_ATOMIC_LOAD_ACQUIRE(&r->seed.turn);
    verdict = VITP_ATOMIC_LOAD(&type->verdict);
    if (VITP_UNLIKELY(!bound || VITP_VERDICT_TURN(verdict) != (turn & VITP_VERDICT_TURN_MASK)))
        return vitp_record_slowly(r, schema, event);
    if (VITP_LIKELY((verdict & VITP_VERDICT_CHOICE) == VITP_VERDICT_ALWAYS))
        return vitp_record_kept(r, schema, event, index, bound);
    if (verdict & VITP_VERDICT_KEEP || r->sampling == VIT_SAMPLE_FLOW)
        return vitp_record_slowly(r, schema, event);
    return vitp_record_pass(r, VIT_SAMPLED_OUT);
}

/* The same where the process id tells a forked child: a call, for which a stack frame is needed. */
static VITP_NOINLINE vit_status vitp_record_asking(vitp_recorder *r, const vit_schema *schema,
                                                   const void *event)
{
    return vitp_os_page_forked(&r->page) ? vitp_record_slowly(r, schema, event)
                                         : vitp_record_quickly(r, schema, event);
}

/* ---- events of the client's own: put together by hand, as ad-hoc ones ---------------------- */

typedef struct vitp_draft {
    vitp_encoder e;
    union {
        vitp_record_head head;
        unsigned char    bytes[1024];
    } memory;
} vitp_draft;

static void vitp_draft_begin(vitp_draft *d, vitp_recorder *r, const char *name, uint32_t flags,
                             const unsigned char *id)
{
    static const vitp_choice always = { true, VITP_SEED_NONE, 1.0 };
    uint32_t                 size = (uint32_t)strlen(name);
    memset(&d->e, 0, sizeof d->e);
    d->e.recorder = r;
    d->e.data = d->memory.bytes;
    d->e.capacity = sizeof d->memory;
    vitp_record_fill(r, &d->memory.head, &always, id, VITP_RECORD_ADHOC, flags, size);
    d->e.size = sizeof d->memory.head;
    vitp_record_put(&d->e, name, size);
}

static void vitp_draft_key(vitp_draft *d, vit_kind kind, const char *key)
{
    unsigned char head[2];
    head[0] = (unsigned char)kind;
    head[1] = (unsigned char)strlen(key);
    vitp_record_put(&d->e, head, 2);
    vitp_record_put(&d->e, key, head[1]);
}

static void vitp_draft_label(vitp_draft *d, const char *key, const char *text)
{
    vitp_draft_key(d, VIT_LABEL, key);
    vitp_record_put_text(&d->e, text, (uint32_t)strlen(text));
}

static void vitp_draft_number(vitp_draft *d, vit_kind kind, const char *key, int64_t value)
{
    vitp_draft_key(d, kind, key);
    vitp_record_put(&d->e, &value, 8);
}

static bool vitp_draft_push(vitp_draft *d)
{
    if (!vit_queue_push_important(d->e.recorder->queue, d->e.data, d->e.size)) return false;
    vitp_record_wake(d->e.recorder);
    return true;
}

/* Puts the event telemetry.report into the queue. */
static bool vitp_record_report(vitp_recorder *r, const uint64_t counts[3])
{
    vitp_draft d;
    if (!vitp_record_allowed(r, VITP_MAY_USAGE)) return false;
    vitp_draft_begin(&d, r, "telemetry.report", 0, NULL);
    vitp_draft_number(&d, VIT_INT, "accepted", (int64_t)counts[0]);
    vitp_draft_number(&d, VIT_INT, "dropped", (int64_t)counts[1]);
    vitp_draft_number(&d, VIT_INT, "refused_full", (int64_t)counts[2]);
    return vitp_draft_push(&d);
}

/* The members of error.repeated. */
static void vitp_record_add_repeat(vitp_draft *d, const vitp_repeat *repeat, uint32_t count)
{
    unsigned char hash[8];
    char          hex[17];
    memcpy(hash, repeat->hash, sizeof hash);
    vitp_text_hex(hex, hash, sizeof hash);
    vitp_draft_label(d, "error_hash", hex);
    vitp_draft_number(d, VIT_INT, "occurrences", (int64_t)count);
}

/* ---- errors that come again: recorded once in a session, then counted -------------------- */

/* Fingerprint of the texts of an error, 128 bits. Two errors with one are taken for the same: by
   chance that does not happen, and who makes it happen gains nothing. */
typedef struct vitp_print {
    uint64_t lanes[2];
    uint32_t labels; /* of those that are in no error_hash */
} vitp_print;

static void vitp_print_begin(vitp_print *print, const vitp_recorder *r)
{
    memcpy(print->lanes, r->ledger->writer.run_id, sizeof print->lanes);
    print->labels = 0;
}

static VITP_INLINE void vitp_print_words(vitp_print *print, uint64_t a, uint64_t b)
{
    a ^= print->lanes[0];
    b ^= print->lanes[1];
    print->lanes[0] = a * 0x9E3779B97F4A7C15u + (b >> 29 | b << 35);
    print->lanes[1] = b * 0xC2B2AE3D27D4EB4Fu + (a >> 32 | a << 32);
}

/* Up to 16 bytes, in loads of fixed sizes that may overlap. */
static VITP_INLINE void vitp_print_tail(vitp_print *print, const char *text, size_t size)
{
    uint64_t a = 0, b = 0;
    uint32_t c, d;
    if (size >= 8) {
        memcpy(&a, text, 8);
        memcpy(&b, text + size - 8, 8);
    } else if (size >= 4) {
        memcpy(&c, text, 4);
        memcpy(&d, text + size - 4, 4);
        a = c;
        b = d;
    } else if (size > 0) {
        a = (uint64_t)(unsigned char)text[0] | (uint64_t)(unsigned char)text[size / 2] << 8;
        b = (unsigned char)text[size - 1];
    }
    vitp_print_words(print, a, b ^ (uint64_t)size << 56);
}

static void vitp_print_text(vitp_print *print, const char *text, size_t most)
{
    size_t   size = vitp_text_size(text, most);
    uint64_t a, b;
    vitp_print_words(print, text ? size : (uint64_t)-1, 0);
    for (; size > 16; text += 16, size -= 16) {
        memcpy(&a, text, 8);
        memcpy(&b, text + 8, 8);
        vitp_print_words(print, a, b);
    }
    vitp_print_tail(print, text, size);
}

/* What was added until now is in no error_hash. */
static void vitp_print_end_labels(vitp_print *print)
{
    vitp_print_words(print, 0, 0);
    print->labels = (uint32_t)(print->lanes[0] >> 32);
}

static void vitp_print_end(const vitp_print *print, uint32_t out[4])
{
    vitp_print mixed = *print;
    vitp_print_words(&mixed, 0, 0);
    vitp_print_words(&mixed, 0, 0);
    out[0] = (uint32_t)(mixed.lanes[0] >> 32);
    out[1] = (uint32_t)mixed.lanes[0];
    out[2] = (uint32_t)(mixed.lanes[1] >> 32);
    out[3] = (uint32_t)mixed.lanes[1];
}

/* One more of an error that was recorded in this turn. */
static void vitp_repeat_count(vitp_recorder *r, uint32_t index)
{
    vitp_ledger *l = r->ledger;
    VITP_ATOMIC_ADD(&l->repeats[index].count, 1u);
    if (VITP_ATOMIC_LOAD(&l->repeat_some)) return;
    VITP_ATOMIC_STORE(&l->repeat_some, 1u);
    vitp_record_wake(r);
}

/* True: the same bytes were seen in this session; it is counted. */
static bool vitp_repeat_seen(vitp_recorder *r, const uint32_t print[4])
{
    vitp_ledger *l = r->ledger;
    vitp_seen   *seen = &r->seen[print[0] & (VITP_REPEATS_MAX - 1u)];
    uint32_t     turn = VITP_ATOMIC_LOAD(&l->repeat_turn), i, index, place;
    uint32_t     word = VITP_ATOMIC_LOAD_ACQUIRE(&seen->word);
    if ((word & 0xFFFu) != VITP_REPEAT_WORD(0u, turn, VITP_REPEAT_READY)) return false;
    for (i = 0; i < 4; i++)
        if (VITP_ATOMIC_LOAD_ACQUIRE(&seen->print[i]) != print[i]) return false;
    index = VITP_ATOMIC_LOAD_ACQUIRE(&seen->index) & (VITP_REPEATS_MAX - 1u);
    place = VITP_ATOMIC_LOAD_ACQUIRE(&seen->place);
    if (VITP_ATOMIC_LOAD(&seen->word) != word ||
        VITP_ATOMIC_LOAD_ACQUIRE(&l->repeats[index].word) != place)
        return false;
    vitp_repeat_count(r, index);
    return true;
}

/* Notes the bytes of an error, in place of others that have this place. claim: the word by which
   the error's place in the ledger was or is claimed. */
static void vitp_repeat_remember(vitp_recorder *r, const uint32_t print[4], uint32_t index,
                                 uint32_t claim)
{
    vitp_seen *seen = &r->seen[print[0] & (VITP_REPEATS_MAX - 1u)];
    uint32_t   word = VITP_ATOMIC_LOAD(&seen->word), i;
    uint32_t   busy = VITP_REPEAT_WORD((word >> 12) + 1u, claim >> 2, VITP_REPEAT_BUSY);
    if ((word & 3u) == VITP_REPEAT_BUSY || !VITP_ATOMIC_CAS(&seen->word, &word, busy)) return;
    for (i = 0; i < 4; i++) VITP_ATOMIC_STORE_RELEASE(&seen->print[i], print[i]);
    VITP_ATOMIC_STORE_RELEASE(&seen->index, index);
    VITP_ATOMIC_STORE_RELEASE(&seen->place, claim - VITP_REPEAT_BUSY + VITP_REPEAT_READY);
    VITP_ATOMIC_STORE_RELEASE(&seen->word, busy - VITP_REPEAT_BUSY + VITP_REPEAT_READY);
}

/* Free, or of a session before, all of which is told. */
static bool vitp_repeat_is_idle(const vitp_repeat *repeat, uint32_t word, uint32_t claim)
{
    return (word & 3u) == VITP_REPEAT_FREE ||
           (((word ^ claim) & 0xFFCu) != 0 && VITP_ATOMIC_LOAD(&repeat->count) == 0);
}

/* Where an error has its count. *fresh: it is new in this session, and the place is the caller's,
   who publishes it or gives it back, by the word *claim. VITP_REPEATS_MAX: all are taken. */
static uint32_t vitp_repeat_find(vitp_ledger *l, const uint32_t hash[2], uint32_t labels,
                                 uint32_t *claim, bool *fresh)
{
    uint32_t turn = VITP_ATOMIC_LOAD(&l->repeat_turn), i;
    uint32_t busy = VITP_REPEAT_WORD(hash[0] ^ labels, turn, VITP_REPEAT_BUSY);
    *claim = busy;
    *fresh = false;
    for (i = 0; i < VITP_REPEATS_MAX; i++) {
        uint32_t     index = (hash[1] + i) & (VITP_REPEATS_MAX - 1u);
        vitp_repeat *repeat = &l->repeats[index];
        uint32_t     word = VITP_ATOMIC_LOAD_ACQUIRE(&repeat->word);
        while (vitp_repeat_is_idle(repeat, word, busy)) {
            if (!VITP_ATOMIC_CAS(&repeat->word, &word, busy)) continue;
            VITP_ATOMIC_STORE(&repeat->hash[0], hash[0]);
            VITP_ATOMIC_STORE(&repeat->hash[1], hash[1]);
            VITP_ATOMIC_STORE(&repeat->labels, labels);
            *fresh = true;
            return index;
        }
        if (word == busy) return index; /* another thread has just met it */
        if (word == busy - VITP_REPEAT_BUSY + VITP_REPEAT_READY && /* what follows is its own */
            VITP_ATOMIC_LOAD(&repeat->hash[0]) == hash[0] &&
            VITP_ATOMIC_LOAD(&repeat->hash[1]) == hash[1] &&
            VITP_ATOMIC_LOAD(&repeat->labels) == labels)
            return index;
    }
    return VITP_REPEATS_MAX;
}

/* Ends with a place that was fresh, unless it is another's by now: its error was recorded, or was
   not. */
static void vitp_repeat_settle(vitp_recorder *r, uint32_t index, uint32_t claim, bool recorded)
{
    vitp_repeat *repeat = &r->ledger->repeats[index];
    uint32_t     state = recorded ? VITP_REPEAT_READY : VITP_REPEAT_FREE;
    if (!recorded)
        (void)VITP_ATOMIC_ADD_PTR(&r->full, (uintptr_t)VITP_ATOMIC_EXCHANGE(&repeat->count, 0u));
    (void)VITP_ATOMIC_CAS(&repeat->word, &claim, claim - VITP_REPEAT_BUSY + state);
}

/* Records error.repeated for each error that came again since the last time. A forked child
   leaves that to its parent, whose place in the queue it has a copy of. */
static void vitp_repeat_tell(vitp_recorder *r)
{
    vitp_ledger *l = r->ledger;
    uint32_t     i, count;
    vitp_draft   d;
    if (vitp_os_page_forked(&r->page)) return;
    if (!VITP_ATOMIC_LOAD(&l->repeat_some) || !vitp_record_allowed(r, VITP_MAY_ERRORS)) return;
    VITP_ATOMIC_STORE(&l->repeat_some, 0u);
    for (i = 0; i < VITP_REPEATS_MAX; i++) {
        vitp_repeat *repeat = &l->repeats[i];
        vitp_repeat  found = { 0, 0, { 0, 0 }, 0 };
        if (VITP_ATOMIC_LOAD(&repeat->count) == 0 || !vitp_repeat_is_ready(repeat)) continue;
        found.hash[0] = VITP_ATOMIC_LOAD(&repeat->hash[0]); /* without its count the place may be */
        found.hash[1] = VITP_ATOMIC_LOAD(&repeat->hash[1]); /* another's at once */
        count = VITP_ATOMIC_EXCHANGE(&repeat->count, 0u);
        if (count == 0) continue; /* another thread tells it */
        vitp_draft_begin(&d, r, "error.repeated", VITP_RECORD_ERROR, NULL);
        vitp_record_add_repeat(&d, &found, count);
        if (vitp_draft_push(&d)) continue;
        VITP_ATOMIC_ADD(&repeat->count, count);
        VITP_ATOMIC_STORE(&l->repeat_some, 1u);
    }
}

/* Another session begins: each error is new. What was counted since the last telling is told by
   the next. Under the client's lock. */
static void vitp_repeat_renew(vitp_ledger *l)
{
    uint32_t i;
    VITP_ATOMIC_STORE_RELEASE(&l->repeat_turn, VITP_ATOMIC_LOAD(&l->repeat_turn) + 1u);
    for (i = 0; i < VITP_REPEATS_MAX; i++) { /* a turn's number comes again */
        uint32_t word = VITP_ATOMIC_LOAD(&l->repeats[i].word);
        if ((word & 3u) != VITP_REPEAT_READY || VITP_ATOMIC_LOAD(&l->repeats[i].count)) continue;
        (void)VITP_ATOMIC_CAS(&l->repeats[i].word, &word, (uint32_t)VITP_REPEAT_FREE);
    }
}

/* The same where what was recorded is gone, and what was counted goes. */
static void vitp_repeat_forget(vitp_ledger *l)
{
    uint32_t i;
    for (i = 0; i < VITP_REPEATS_MAX; i++) VITP_ATOMIC_STORE(&l->repeats[i].count, 0u);
    VITP_ATOMIC_STORE(&l->repeat_some, 0u);
    vitp_repeat_renew(l);
}

/* Records an encoded error, or counts it when it came before in this session. Its error_hash is the
   last member; labels, seen: of its fingerprint. */
static vit_status vitp_repeat_record(vitp_encoder *e, uint32_t labels, const uint32_t seen[4])
{
    vitp_recorder *r = e->recorder;
    uint32_t       hash[2], claim = 0, index = VITP_REPEATS_MAX;
    bool           fresh = true, accepted;
    vit_status     status = VIT_OK;
    if (!e->bad && !e->closed) {
        memcpy(hash, e->data + e->size - sizeof hash, sizeof hash);
        index = vitp_repeat_find(r->ledger, hash, labels, &claim, &fresh);
    }
    if (index == VITP_REPEATS_MAX) return vitp_record_end(e, true); /* nowhere to count it */
    if (fresh) status = vitp_record_end(e, true);
    else vitp_repeat_count(r, index);
    accepted = status == VIT_OK || status == VIT_TRUNCATED;
    if (fresh) vitp_repeat_settle(r, index, claim, accepted);
    if (accepted) vitp_repeat_remember(r, seen, index, claim);
    return status;
}

/* The same of an event of the catalogue, whose texts have this fingerprint. */
static vit_status vitp_record_error(vitp_recorder *r, const vit_schema *schema, const char *name,
                                    const void *event, const vitp_print *print)
{
    uint64_t      memory[VITP_RECORD_MAX / 8u];
    unsigned char own_id[16];
    uint32_t      seen[4];
    vitp_encoder  e;
    vitp_type    *type;
    vitp_source   from = vitp_record_source(r, schema, name, event);
    vitp_print_end(print, seen);
    if (vitp_repeat_seen(r, seen)) return VIT_OK;
    if (name && !vitp_text_name_size(name)) {
        vitp_log_note(&r->log, VIT_LOG_NAME_INVALID);
        return vitp_record_refuse(r, VIT_INVALID);
    }
    if (!(type = vitp_type_of(r, schema))) return vitp_record_refuse(r, VIT_INVALID);
    from.type = (uint32_t)(type - r->types);
    if (!from.id) vitp_record_id(r, own_id), from.id = own_id;
    vitp_record_encode(&e, &from, memory, sizeof memory);
    return vitp_repeat_record(&e, print->labels, seen);
}

/* ============================================================================================
   >>wire: from a record to the bytes that are sent. All of it runs in the consumer, under the
   lock.
   ============================================================================================ */

/* Bytes that are copied at a time, behind the end as well. It divides VITP_LABEL_MAX. */
#define VITP_WIRE_POURED 16u

typedef struct vitp_label {
    uint8_t size, plain; /* plain: as JSON it is itself */
    char    text[VITP_LABEL_MAX];
} vitp_label;

/* What is the same in the JSON of all events of a type of this client's own: what stands before the
   members, and each key with what stands around it, cut from the first event and kept until the
   identity changes; and what stood behind the members of the last one that was written without
   it, which is that of the next ones, too, if they have its context and rate. */
#define VITP_STENCILS        16u /* power of two: types, by their number */
#define VITP_STENCIL_MEMBERS 32u
#define VITP_STENCIL_BYTES   1024u
#define VITP_STENCIL_CLOSING 320u
#define VITP_STENCIL_OTHER   128u /* separator, correlation_id, braces, and what is poured behind */
typedef struct vitp_stencil {
    uint32_t type;           /* its number + 1; 0: none */
    uint32_t count, opening; /* members; bytes of text before them */
    uint32_t most;           /* bytes of an event and of what is poured; 0: it is not of use */
    bool     used;           /* or cut, since an event of another type wanted its place */
    bool     closed;         /* by closing, for events of: */
    uint8_t  seed_kind;
    uint32_t context, closing_size;
    uint64_t rate; /* the bits of the double */
    uint8_t  kinds[VITP_STENCIL_MEMBERS];
    uint16_t ends[VITP_STENCIL_MEMBERS]; /* of each key, in text */
    char     text[VITP_STENCIL_BYTES + VITP_WIRE_POURED];
    char     closing[VITP_STENCIL_CLOSING + VITP_WIRE_POURED];
} vitp_stencil;

typedef struct vitp_wire {
    vitp_recorder *recorder;
    char           hwid[37];
    const char    *client_type;
    char           version[VITP_LABEL_MAX + 1u]; /* of the resource that is open (OTLP) */
    vitp_label     clean[VITP_LABEL_CACHE];      /* labels in which the scrubber found nothing */
    vitp_stencil   stencils[VITP_STENCILS];
} vitp_wire;

typedef enum vitp_wire_result {
    VITP_WIRE_WRITTEN,
    VITP_WIRE_FULL,
    VITP_WIRE_CORRUPT,
    VITP_WIRE_SECRET,
    VITP_WIRE_STALE /* recorded under an identity that is gone */
} vitp_wire_result;

/* What is made of a record: JSON, OTLP's JSON, or a record that needs no ledger to be read, for the
   spool. */
typedef enum vitp_wire_shape {
    VITP_SHAPE_JSON,
    VITP_SHAPE_OTLP,
    VITP_SHAPE_RECORD
} vitp_wire_shape;

/* How, and at what time. A record of the spool has Unix time, one of a pool its writer's clock. */
typedef struct vitp_wire_job {
    vitp_wire_shape shape;
    vitp_ledger    *ledger; /* of the pool; NULL: the record is one of the spool */
    uint64_t        now_ns; /* of the record's clock */
    uint64_t        wall_ns;
} vitp_wire_job;

/* One event in the making. */
typedef struct vitp_event_writer {
    vitp_wire           *wire;
    const vitp_wire_job *job;
    vitp_json           *json;
    const unsigned char *data;
    uint32_t             size, at;
    uint32_t             own; /* members of the context that the event has itself (VITP_OWN_*) */
    vitp_stencil        *stencil; /* of its type, to be closed; or NULL */
    bool                 first, corrupt, secret;
    bool                 whole; /* its origin is in the record */
    vitp_record_head     head;
    const char          *name, *app_version;
    uint32_t             name_size;
    const char          *session_id, *provider, *collection_hash; /* "": none */
    /* what they may point to; not set beforehand */
    char made_up[VITP_NAME_MAX * 2u], own_version[VITP_LABEL_MAX + 1u];
    char own_session[VITP_LABEL_SCRUBBED_MAX + 1u], own_provider[VITP_LABEL_SCRUBBED_MAX + 1u];
    char own_collection[VITP_LABEL_SCRUBBED_MAX + 1u];
} vitp_event_writer;

enum {
    VITP_OWN_CORRELATION = 1,
    VITP_OWN_SESSION = 2,
    VITP_OWN_PROVIDER = 4,
    VITP_OWN_COLLECTION = 8
};

static const unsigned char *vitp_wire_take(vitp_event_writer *w, uint32_t size)
{
    const unsigned char *p = w->data + w->at;
    if (w->corrupt || size > w->size - w->at) {
        w->corrupt = true;
        return NULL;
    }
    w->at += size;
    return p;
}

/* What OTLP calls a value of this kind. */
static const char *vitp_wire_value_name(vit_kind kind)
{
    switch (kind) {
    case VIT_INT:
    case VIT_MS: return "intValue";
    case VIT_REAL: return "doubleValue";
    case VIT_FLAG: return "boolValue";
    default: return "stringValue";
    }
}

/* Which member of the context this is, or 0: their names differ in size. */
static uint32_t vitp_wire_own(const char *name, uint32_t size)
{
    const char *own;
    uint32_t    bit;
    switch (size) {
    case 10: own = "session_id", bit = VITP_OWN_SESSION; break;
    case 11: own = "db_provider", bit = VITP_OWN_PROVIDER; break;
    case 14: own = "correlation_id", bit = VITP_OWN_CORRELATION; break;
    case 20: own = "collection_name_hash", bit = VITP_OWN_COLLECTION; break;
    default: return 0;
    }
    return memcmp(name, own, size) == 0 ? bit : 0;
}

/* What stands before a member's value. */
static void vitp_wire_key(vitp_event_writer *w, vit_kind kind, const char *name, uint32_t size)
{
    vitp_wire_shape shape = w->job->shape;
    uint32_t        later = w->first ? 0u : 1u;
    w->own |= vitp_wire_own(name, size);
    if (shape == VITP_SHAPE_RECORD) {
        char head[2];
        head[0] = (char)kind;
        head[1] = (char)(unsigned char)size;
        vitp_json_framed(w->json, head, 2, name, size, "", 0);
        return;
    }
    w->first = false;
    if (shape == VITP_SHAPE_JSON) {
        vitp_json_framed(w->json, later ? ",\"" : "\"", 1u + later, name, size, "\":", 2);
        return;
    }
    if (later) vitp_json_raw(w->json, ",", 1);
    VITP_JSON_LITERAL(w->json, "{\"key\":");
    vitp_json_quoted(w->json, name, size);
    VITP_JSON_LITERAL(w->json, ",\"value\":{\"");
    vitp_json_text(w->json, vitp_wire_value_name(kind));
    VITP_JSON_LITERAL(w->json, "\":");
}

/* And what stands behind it. */
static void vitp_wire_end(vitp_event_writer *w)
{
    if (w->job->shape == VITP_SHAPE_OTLP) vitp_json_raw(w->json, "}}", 2);
}

/* A text as a value. In a record it is its size and its bytes. plain: as JSON each of them is known
   to stand for itself. */
static void vitp_wire_value(vitp_event_writer *w, const char *text, size_t size, bool plain)
{
    uint16_t bytes = (uint16_t)size;
    if (w->job->shape == VITP_SHAPE_RECORD)
        vitp_json_framed(w->json, (const char *)&bytes, 2, text, size, "", 0);
    else if (plain) vitp_json_quoted(w->json, text, size);
    else vitp_json_string(w->json, text, size);
}

static void vitp_wire_string(vitp_event_writer *w, const char *text, size_t size)
{
    vitp_wire_value(w, text, size, false);
}

/* The last gate: no registered secret passes, in whatever member and spelling. */
static bool vitp_wire_passes(vitp_event_writer *w, const char *text, size_t size)
{
    const vitp_secret_store *store = &w->wire->recorder->secrets;
    vitp_scrub_values        values;
    if (store->secrets == 0) return true;
    vitp_scrub_values_init(&values, store->values, store->count);
    if (vitp_scrub_holds_secret(&values, text, size)) w->secret = true;
    return !w->secret;
}

/* Does this text of hex digits and dashes hold the secret, in small letters or capitals? */
static bool vitp_wire_spells(const char *text, size_t size, const vitp_scrub_value *v)
{
    size_t at, n;
    for (at = 0; at + v->size <= size; at++) {
        for (n = 0; n < v->size && text[at + n] == vitp_text_lower(v->text[n]);) n++;
        if (n == v->size) return true;
    }
    return false;
}

/* The same gate for an identifier, with its dashes or, as OTLP's traceId, without. The 16 bytes do
   not tell how the host spelled it. */
static bool vitp_wire_id_passes(const vitp_wire *wire, const unsigned char id[16])
{
    const vitp_secret_store *store = &wire->recorder->secrets;
    char                     text[37], hex[33];
    uint32_t                 i;
    if (store->secrets == 0) return true;
    vitp_text_uuid(text, id);
    vitp_text_hex(hex, id, 16);
    for (i = 0; i < store->count; i++) {
        const vitp_scrub_value *v = &store->values[i];
        if (!v->whole_word && (vitp_wire_spells(text, 36, v) || vitp_wire_spells(hex, 32, v)))
            return false;
    }
    return true;
}

/* A name that a caller made up: a known word in it gives way to its marker without brackets, which
   a name may hold. Returns its size in out. */
static uint32_t vitp_wire_made_up(vitp_event_writer *w, const char *name, uint32_t size,
                                  char out[VITP_NAME_MAX * 2u])
{
    const vitp_secret_store *store = &w->wire->recorder->secrets;
    vitp_scrub_values        values;
    vitp_scrub_span          span;
    vitp_scrub               s;
    uint32_t                 at, used = 0, n;
    if (!vitp_wire_passes(w, name, size)) return 0;
    vitp_scrub_values_init(&values, store->values, store->count);
    memset(&s, 0, sizeof s);
    s.text = name;
    s.whole = size;
    s.size = size > 5 && memcmp(name + size - 5, "_hash", 5) == 0 ? size - 5 : size;
    s.values = &values;
    for (at = 0; at < size && used < VITP_NAME_MAX; at = (uint32_t)span.end) {
        vitp_scrub_claim(&span, at, at + 1, NULL);
        if (at < s.size && vitp_scrub_known(&s, at, VITP_SCRUB_STARTS_WORD, &span)) {
            n = (uint32_t)strlen(span.marker) - 2u;
            memcpy(out + used, span.marker + 1, n);
            used += n;
        } else {
            out[used++] = name[at];
        }
    }
    return used < VITP_NAME_MAX ? used : VITP_NAME_MAX;
}

static vitp_label *vitp_wire_clean_slot(vitp_wire *wire, const char *text, size_t size)
{
    uint64_t hash = size, word = 0;
    size_t   i;
    for (i = 0; i + 8 < size; i += 8) {
        memcpy(&word, text + i, 8);
        hash = (hash ^ word) * UINT64_C(0x9E3779B97F4A7C15);
        hash ^= hash >> 32;
    }
    if (size >= 8) { /* some of it again */
        memcpy(&word, text + size - 8, 8);
    } else if (size >= 4) {
        memcpy(&word, text, 4);
        memcpy((char *)&word + 4, text + size - 4, 4);
    } else {
        for (; i < size; i++) word = word << 8 | (unsigned char)text[i];
    }
    hash = (hash ^ word) * UINT64_C(0x9E3779B97F4A7C15);
    return &wire->clean[hash >> 40 & (VITP_LABEL_CACHE - 1u)];
}

/* A label is constant text by contract; the scrubber looks all the same, once for each text. */
static void vitp_wire_label(vitp_event_writer *w, const char *text, size_t size)
{
    vitp_label       *slot = vitp_wire_clean_slot(w->wire, text, size);
    vitp_scrub_values values;
    char              scrubbed[VITP_LABEL_SCRUBBED_MAX + 1u];
    size_t            kept = 0;
    if (!vitp_wire_passes(w, text, size)) return;
    if (size <= VITP_LABEL_MAX && slot->size == size && memcmp(slot->text, text, size) == 0) {
        vitp_wire_value(w, text, size, slot->plain);
        return;
    }
    vitp_scrub_values_init(&values, w->wire->recorder->secrets.values,
                           w->wire->recorder->secrets.count);
    (void)vitp_scrub_text(scrubbed, sizeof scrubbed, text, size, &values, &kept);
    if (kept != size || memcmp(scrubbed, text, size) != 0) {
        vitp_wire_string(w, scrubbed, kept);
        return;
    }
    if (size > VITP_LABEL_MAX) {
        vitp_wire_string(w, text, size);
        return;
    }
    slot->size = (uint8_t)size;
    slot->plain = vitp_json_plain(text, size) == size;
    memcpy(slot->text, text, size);
    vitp_wire_value(w, text, size, slot->plain);
}

static void vitp_wire_text(vitp_event_writer *w, vit_kind kind, const char *name,
                           uint32_t name_size)
{
    const unsigned char *p = vitp_wire_take(w, 2);
    uint16_t             size;
    if (!p) return;
    memcpy(&size, p, 2);
    if (size == VITP_RECORD_ABSENT) return;
    if (!(p = vitp_wire_take(w, size))) return;
    if (kind == VIT_TRACE && /* the user may have taken it back */
        !(VITP_ATOMIC_LOAD(&w->wire->recorder->permission) & VITP_MAY_TRACE))
        return;
    if ((kind == VIT_LABEL || kind == VIT_FILE) &&
        size > (w->job->ledger ? VITP_LABEL_MAX : VITP_LABEL_SCRUBBED_MAX)) {
        w->corrupt = true;
        return;
    }
    vitp_wire_key(w, kind, name, name_size);
    if (kind == VIT_LABEL || kind == VIT_FILE) vitp_wire_label(w, (const char *)p, size);
    else if (vitp_wire_passes(w, (const char *)p, size)) vitp_wire_string(w, (const char *)p, size);
    vitp_wire_end(w);
}

/* Bytes of the event's record as they are. True: that is all, as a record is made of it. */
static bool vitp_wire_copy(vitp_event_writer *w, const unsigned char *from, size_t size)
{
    if (w->job->shape != VITP_SHAPE_RECORD) return false;
    vitp_json_raw(w->json, (const char *)from, size);
    return true;
}

static void vitp_wire_hash(vitp_event_writer *w, vit_kind kind, const char *name,
                           uint32_t name_size)
{
    const unsigned char *p = vitp_wire_take(w, 1);
    char                 hex[17];
    if (!p || !*p || !vitp_wire_take(w, 8)) return;
    vitp_text_hex(hex, p + 1, kind == VIT_ROW ? 6 : 8);
    vitp_wire_key(w, kind, name, name_size);
    if (!vitp_wire_copy(w, p, 9)) vitp_wire_value(w, hex, kind == VIT_ROW ? 12 : 16, true);
    vitp_wire_end(w);
}

static void vitp_wire_uuid(vitp_event_writer *w, const char *name, uint32_t name_size)
{
    const unsigned char *p = vitp_wire_take(w, 1);
    char                 text[37];
    if (!p || !*p || !vitp_wire_take(w, 16)) return;
    if (!vitp_wire_id_passes(w->wire, p + 1)) w->secret = true;
    vitp_text_uuid(text, p + 1);
    vitp_wire_key(w, VIT_UUID, name, name_size);
    if (!vitp_wire_copy(w, p, 17)) vitp_wire_value(w, text, 36, true);
    vitp_wire_end(w);
}

/* JSON has no number that is not finite: null, and in OTLP what the mapping of protobuf says. */
static void vitp_wire_real(vitp_event_writer *w, uint64_t bits)
{
    if (w->job->shape == VITP_SHAPE_OTLP && (bits >> 52 & 0x7FFu) == 0x7FFu)
        vitp_json_text(w->json, bits << 12        ? "\"NaN\""
                                : bits >> 63 != 0 ? "\"-Infinity\""
                                                  : "\"Infinity\"");
    else vitp_json_real(w->json, bits);
}

/* OTLP's integers of 64 bits are strings, as in the JSON mapping of protobuf. */
static void vitp_wire_int(vitp_event_writer *w, int64_t value)
{
    bool quoted = w->job->shape == VITP_SHAPE_OTLP;
    if (quoted) vitp_json_raw(w->json, "\"", 1);
    vitp_json_int(w->json, value);
    if (quoted) vitp_json_raw(w->json, "\"", 1);
}

static void vitp_wire_number(vitp_event_writer *w, vit_kind kind, const char *name,
                             uint32_t name_size)
{
    uint32_t             size = kind == VIT_FLAG ? 1 : 8;
    const unsigned char *p = vitp_wire_take(w, size);
    int64_t              integer;
    uint64_t             real;
    if (!p) return;
    vitp_wire_key(w, kind, name, name_size);
    if (vitp_wire_copy(w, p, size)) {
        return;
    } else if (kind == VIT_FLAG) {
        vitp_json_text(w->json, *p ? "true" : "false");
    } else if (kind == VIT_REAL) {
        memcpy(&real, p, 8);
        vitp_wire_real(w, real);
    } else {
        memcpy(&integer, p, 8);
        vitp_wire_int(w, integer);
    }
    vitp_wire_end(w);
}

static void vitp_wire_member(vitp_event_writer *w, vit_kind kind, const char *name,
                             uint32_t name_size)
{
    if (!w->secret && !vitp_text_is_key(name, name_size)) w->corrupt = true;
    switch (kind) {
    case VIT_LABEL:
    case VIT_FILE:
    case VIT_TRACE:
    case VIT_TEXT: vitp_wire_text(w, kind, name, name_size); break;
    case VIT_HASH:
    case VIT_GROUP:
    case VIT_ROW:
    case VIT_FRAME: vitp_wire_hash(w, kind, name, name_size); break;
    case VIT_UUID: vitp_wire_uuid(w, name, name_size); break;
    case VIT_INT:
    case VIT_REAL:
    case VIT_FLAG:
    case VIT_MS: vitp_wire_number(w, kind, name, name_size); break;
    default: w->corrupt = true; break;
    }
}

/* Values of a declared event; one that was cut ends early. */
static void vitp_wire_declared(vitp_event_writer *w, vitp_schema_reader *schema)
{
    const char *key = "";
    uint32_t    size;
    vit_kind    kind = VIT_INT;
    while (key && schema->left > 0 && w->at < w->size) {
        key = vitp_schema_next(schema, &kind, &size);
        if (key) vitp_wire_member(w, kind, key, size);
    }
    if (!key || w->at != w->size) w->corrupt = true;
}

/* A key as it leaves. Returns its size in out. The spool's are so already. */
static uint32_t vitp_wire_member_key(vitp_event_writer *w, const unsigned char *name, uint32_t size,
                                     char out[VITP_NAME_MAX * 2u])
{
    if (size > VITP_NAME_MAX) return 0;
    if (!w->whole) return vitp_wire_made_up(w, (const char *)name, size, out);
    if (!vitp_wire_passes(w, (const char *)name, size)) return 0;
    memcpy(out, name, size);
    return size;
}

/* Is it the key, as it leaves, of one of the members from `at` to `end`, which were read? */
static bool vitp_wire_has_key(vitp_event_writer *w, uint32_t at, uint32_t end, const char *key,
                              uint32_t size)
{
    char other[VITP_NAME_MAX * 2u];
    while (at < end) {
        const unsigned char *head = w->data + at, *name = head + 2, *value = name + head[1];
        if (vitp_wire_member_key(w, name, head[1], other) == size && memcmp(other, key, size) == 0)
            return true;
        at += 2u + head[1] + vitp_record_value_size((vit_kind)head[0], value);
    }
    return false;
}

/* Reads a member that is not written. */
static void vitp_wire_leave_out(vitp_event_writer *w, vit_kind kind, const char *name,
                                uint32_t name_size)
{
    size_t   mark = w->json->size;
    uint32_t own = w->own;
    bool     first = w->first;
    vitp_wire_member(w, kind, name, name_size);
    w->json->size = mark;
    w->own = own;
    w->first = first;
}

/* Keys differ, but two may become one by the markers in them: of these the first leaves. */
static void vitp_wire_adhoc(vitp_event_writer *w)
{
    char     key[VITP_NAME_MAX * 2u];
    uint32_t size, begin = w->at, at;
    bool     changed = false;
    while (w->at < w->size && !w->corrupt) {
        const unsigned char *head = vitp_wire_take(w, 2);
        const unsigned char *name = head ? vitp_wire_take(w, head[1]) : NULL;
        if (!name) return;
        at = w->at - 2u - head[1];
        size = vitp_wire_member_key(w, name, head[1], key);
        changed = changed || size != head[1] || memcmp(key, name, size) != 0;
        if (changed && vitp_wire_has_key(w, begin, at, key, size))
            vitp_wire_leave_out(w, (vit_kind)head[0], key, size);
        else vitp_wire_member(w, (vit_kind)head[0], key, size);
    }
}

/* A label of the client's own, as a member. */
static void vitp_wire_own_label(vitp_event_writer *w, const char *key, const char *text)
{
    vitp_wire_key(w, VIT_LABEL, key, (uint32_t)strlen(key));
    vitp_wire_label(w, text, strlen(text));
    vitp_wire_end(w);
}

static void vitp_wire_context(vitp_event_writer *w)
{
    if (w->session_id[0] && !(w->own & VITP_OWN_SESSION))
        vitp_wire_own_label(w, "session_id", w->session_id);
    if (w->provider[0] && !(w->own & VITP_OWN_PROVIDER))
        vitp_wire_own_label(w, "db_provider", w->provider);
    if (w->collection_hash[0] && !(w->own & VITP_OWN_COLLECTION))
        vitp_wire_own_label(w, "collection_name_hash", w->collection_hash);
}

static void vitp_wire_sampling(vitp_event_writer *w)
{
    static const char *const seeds[] = { "", "session", "hwid", "correlation" };
    uint64_t                 rate;
    if (!(w->head.rate < 1.0)) return;
    memcpy(&rate, &w->head.rate, sizeof rate);
    vitp_wire_key(w, VIT_REAL, "sampling_rate", 13);
    vitp_wire_real(w, rate);
    vitp_wire_end(w);
    vitp_wire_own_label(w, "sampling_seed_type", seeds[w->head.seed_kind & 3u]);
    vitp_wire_own_label(w, "sampling_version", "1");
}

#define VITP_DELAY_MIN_S 60u        /* an event that waited no longer says nothing of it */
#define VITP_DELAY_MAX_S 315360000u /* ten years: the clock was set, and nobody knows */

/* How long the event has waited; 0: it cannot be told. */
static uint64_t vitp_wire_age_ns(const vitp_event_writer *w)
{
    uint64_t now_ns = w->job->now_ns;
    uint64_t age_ns = now_ns > w->head.time_ns ? now_ns - w->head.time_ns : 0;
    return age_ns < VITP_DELAY_MAX_S * UINT64_C(1000000000) ? age_ns : 0;
}

/* Unix time at which it was recorded, by the clock of now. */
static uint64_t vitp_wire_recorded_ns(const vitp_event_writer *w)
{
    uint64_t age_ns = vitp_wire_age_ns(w);
    return w->job->wall_ns > age_ns ? w->job->wall_ns - age_ns : 1u;
}

/* What stands in the JSON from mark on is how the stencil's next events end. */
static void vitp_wire_close_stencil(const vitp_event_writer *w, size_t mark)
{
    vitp_stencil *s = w->stencil;
    const char   *text = w->json->data + mark;
    size_t        size = w->json->size - mark;
    s->closed = !w->json->full && !w->corrupt && !w->secret && size <= VITP_STENCIL_CLOSING &&
                (size == 0 || *text == ',');
    if (!s->closed) return;
    memcpy(s->closing, text, size);
    s->closing_size = (uint32_t)size;
    s->context = w->head.context;
    memcpy(&s->rate, &w->head.rate, sizeof s->rate);
    s->seed_kind = w->head.seed_kind;
}

/* Members that every event may have. */
static void vitp_wire_common(vitp_event_writer *w)
{
    uint64_t delay_s = vitp_wire_age_ns(w) / 1000000000u;
    size_t   mark;
    char     id[37];
    if ((w->head.flags & VITP_RECORD_CORRELATED) && !(w->own & VITP_OWN_CORRELATION)) {
        vitp_text_uuid(id, w->head.correlation_id);
        vitp_wire_key(w, VIT_UUID, "correlation_id", 14);
        vitp_wire_value(w, id, 36, true);
        vitp_wire_end(w);
    }
    mark = w->json->size;
    vitp_wire_context(w);
    vitp_wire_sampling(w);
    if (w->stencil) vitp_wire_close_stencil(w, mark);
    if (delay_s > VITP_DELAY_MIN_S && w->job->shape == VITP_SHAPE_JSON) { /* OTLP has the time */
        vitp_wire_key(w, VIT_INT, "delay_s", 7);
        vitp_json_int(w->json, (int64_t)delay_s);
    }
}

static void vitp_wire_text_value(vitp_event_writer *w, const char *before, const char *text)
{
    vitp_json_text(w->json, before);
    vitp_json_string(w->json, text, strlen(text));
}

/* ---- JSON: the envelope ------------------------------------------------------------------ */

static void vitp_wire_envelope(vitp_event_writer *w)
{
    VITP_JSON_LITERAL(w->json, "{\"hwid\":");
    vitp_json_quoted(w->json, w->wire->hwid, strlen(w->wire->hwid));
    VITP_JSON_LITERAL(w->json, ",\"event_name\":");
    vitp_json_quoted(w->json, w->name, w->name_size);
    vitp_wire_text_value(w, ",\"app_version\":", w->app_version);
    vitp_wire_text_value(w, ",\"client_type\":", w->wire->client_type);
    VITP_JSON_LITERAL(w->json, ",\"metadata\":{");
}

/* Cuts the stencil of the event's type. schema: of which nothing was read yet. It is not of use
   where the type has too many members, keys that are too long, members of the context, or others
   than labels, hashes, numbers and identifiers. */
static void vitp_wire_cut(vitp_event_writer *w, vitp_stencil *s, vitp_schema_reader schema)
{
    vitp_json   text = { NULL, 0, VITP_STENCIL_BYTES, false }, *json = w->json;
    const char *key;
    uint32_t    size;
    vit_kind    kind;
    memset(s, 0, sizeof *s);
    s->type = w->head.type + 1u;
    s->used = true;
    if (schema.left > VITP_STENCIL_MEMBERS) return;
    text.data = s->text;
    w->json = &text;
    vitp_wire_envelope(w);
    w->json = json;
    s->opening = (uint32_t)text.size;
    while (schema.left > 0) {
        key = vitp_schema_next(&schema, &kind, &size);
        if (!key || !vitp_text_is_key(key, size) || vitp_wire_own(key, size)) return;
        if (kind == VIT_TEXT || kind == VIT_TRACE || kind == VIT_REAL) return;
        vitp_json_framed(&text, ",\"", 2, key, size, "\":", 2);
        s->kinds[s->count] = (uint8_t)kind;
        s->ends[s->count++] = (uint16_t)text.size;
    }
    if (!text.full)
        s->most = (uint32_t)text.size + s->count * (VITP_LABEL_MAX + 2u) + VITP_STENCIL_CLOSING +
                  VITP_STENCIL_OTHER;
}

/* The stencil of the event's type, or NULL: the event is not this process's own, or not declared,
   or the place is another type's, which keeps it until it was not used between two that want it. */
static vitp_stencil *vitp_wire_stencil(vitp_event_writer *w, vitp_schema_reader schema)
{
    vitp_stencil *s = &w->wire->stencils[w->head.type & (VITP_STENCILS - 1u)];
    if (w->job->shape != VITP_SHAPE_JSON || w->job->ledger != w->wire->recorder->ledger ||
        w->head.type >= VITP_TYPES_MAX || (w->head.flags & VITP_RECORD_NAMED) || w->whole)
        return NULL;
    if (s->type != w->head.type + 1u) {
        if (!s->used) vitp_wire_cut(w, s, schema);
        else s->used = false;
    }
    return s->type == w->head.type + 1u && s->most ? s : NULL;
}

/* ---- JSON: by the stencil ----------------------------------------------------------------- */

/* Copies size bytes, and what is behind them up to a multiple of VITP_WIRE_POURED: there is that
   much of both. Returns their end. */
static VITP_INLINE char *vitp_wire_pour(char *out, const char *from, size_t size)
{
    size_t i;
    for (i = 0; i < size; i += VITP_WIRE_POURED) memcpy(out + i, from + i, VITP_WIRE_POURED);
    return out + size;
}

/* May an event with this head be written by the stencil? */
static bool vitp_wire_fits(const vitp_stencil *s, const vitp_record_head *head,
                           const vitp_wire_job *job)
{
    const unsigned own = VITP_RECORD_CORRELATED;
    uint64_t       rate;
    memcpy(&rate, &head->rate, sizeof rate);
    return s->type == head->type + 1u && s->most && s->closed && !(head->flags & ~own) &&
           s->context == head->context && s->seed_kind == head->seed_kind && s->rate == rate &&
           head->time_ns != 0 &&
           head->identity == (uint16_t)VITP_ATOMIC_LOAD(&job->ledger->identity) &&
           job->now_ns - head->time_ns < VITP_DELAY_MIN_S * UINT64_C(1000000000);
}

/* The value of a member, behind its key, which is poured if there is a value. Returns the end of
   what was written, or NULL: something is wrong, a label is not known to be clean, or an identifier
   is not. */
static VITP_INLINE char *vitp_wire_pour_member(vitp_wire *wire, vit_kind kind, char *out,
                                               const char *key, size_t key_size,
                                               const unsigned char **at, const unsigned char *end)
{
    const unsigned char *p = *at;
    const vitp_label    *slot;
    uint16_t             size;
    int64_t              integer;
    switch (kind) {
    case VIT_LABEL:
    case VIT_FILE:
        if (end - p < 2) return NULL;
        memcpy(&size, p, 2);
        *at = p += 2;
        if (size == VITP_RECORD_ABSENT) return out;
        if (size > end - p) return NULL;
        slot = vitp_wire_clean_slot(wire, (const char *)p, size);
        if (size > 0 && (slot->size != size || !slot->plain || memcmp(slot->text, p, size) != 0))
            return NULL;
        out = vitp_wire_pour(out, key, key_size);
        *out++ = '"';
        out = vitp_wire_pour(out, slot->text, size);
        *out++ = '"';
        *at = p + size;
        return out;
    case VIT_INT:
    case VIT_MS:
        if (end - p < 8) return NULL;
        memcpy(&integer, p, 8);
        *at = p + 8;
        return vitp_json_digits(vitp_wire_pour(out, key, key_size), integer);
    case VIT_FLAG:
        if (end == p) return NULL;
        *at = p + 1;
        out = vitp_wire_pour(out, key, key_size);
        memcpy(out, *p ? "true" : "fals", 4);
        out[4] = 'e';
        return out + (*p ? 4 : 5);
    default: break;
    }
    size = kind == VIT_UUID ? 16 : 8;
    if (end == p || (*p && end - p <= size)) return NULL;
    *at = *p ? p + 1 + size : p + 1;
    if (!*p) return out;
    if (kind == VIT_UUID && !vitp_wire_id_passes(wire, p + 1)) return NULL;
    out = vitp_wire_pour(out, key, key_size);
    *out++ = '"';
    if (kind == VIT_UUID) vitp_text_uuid(out, p + 1), out += 36;
    else vitp_text_hex(out, p + 1, kind == VIT_ROW ? 6 : 8), out += kind == VIT_ROW ? 12 : 16;
    *out++ = '"';
    return out;
}

/* As vitp_wire_event for an event that is as others of its type were. False: it is not, or json
   is nearly full; nothing was done. */
static bool vitp_wire_quickly(vitp_wire *wire, const vitp_wire_job *job, vitp_json *json,
                              const char *separator, const unsigned char *data, uint32_t size)
{
    static const char    id_key[VITP_WIRE_POURED * 2u + 1u] = ",\"correlation_id\":\"";
    const unsigned char *at = data + sizeof(vitp_record_head), *end = data + size;
    vitp_record_head     head;
    vitp_stencil        *s;
    char                *out = json->data + json->size;
    uint32_t             i, begin, comma = 1; /* 1: the next key is the first, and has none */
    if (job->shape != VITP_SHAPE_JSON || job->ledger != wire->recorder->ledger ||
        size < sizeof head)
        return false;
    memcpy(&head, data, sizeof head);
    s = &wire->stencils[head.type & (VITP_STENCILS - 1u)];
    if (!vitp_wire_fits(s, &head, job) || s->most > json->capacity - json->size) return false;
    if (json->size > 0)
        while (*separator) *out++ = *separator++;
    out = vitp_wire_pour(out, s->text, s->opening);
    for (i = 0, begin = s->opening; i < s->count && at < end; begin = s->ends[i++]) {
        char *next =
            vitp_wire_pour_member(wire, (vit_kind)s->kinds[i], out, s->text + begin + comma,
                                  s->ends[i] - begin - comma, &at, end);
        if (!next) return false;
        if (next != out) comma = 0;
        out = next;
    }
    if (at != end) return false;
    if (head.flags & VITP_RECORD_CORRELATED) {
        if (!vitp_wire_id_passes(wire, head.correlation_id)) return false;
        out = vitp_wire_pour(out, id_key + comma, strlen(id_key) - comma);
        vitp_text_uuid(out, head.correlation_id);
        out[36] = '"';
        out += 37;
        comma = 0;
    }
    if (comma && s->closing_size > 0) return false;
    out = vitp_wire_pour(out, s->closing, s->closing_size);
    memcpy(out, "}}", 2);
    json->size = (size_t)(out + 2 - json->data);
    s->used = true;
    return true;
}

/* ---- OTLP/HTTP logs (opentelemetry-proto 1.5, JSON mapping) ------------------------------ */

static void vitp_wire_attribute(vitp_event_writer *w, const char *before, const char *key,
                                const char *text)
{
    vitp_json_text(w->json, before);
    vitp_wire_text_value(w, "{\"key\":", key);
    vitp_wire_text_value(w, ",\"value\":{\"stringValue\":", text);
    VITP_JSON_LITERAL(w->json, "}}");
}

/* Does the event need a resource of its own? Records of another run, and what is told of one, may
   be of another version than those before them in the request. */
static bool vitp_wire_needs_resource(const vitp_event_writer *w, bool first)
{
    return w->job->shape == VITP_SHAPE_OTLP &&
           (first || strcmp(w->wire->version, w->app_version) != 0);
}

/* What the records behind it have in common: program, installation, library. */
static void vitp_wire_resource(vitp_event_writer *w, bool first)
{
    vitp_json_text(w->json, first ? "{\"resourceLogs\":[" : "]}]},");
    VITP_JSON_LITERAL(w->json, "{\"resource\":{\"attributes\":[");
    vitp_wire_attribute(w, "", "service.name", w->wire->client_type);
    vitp_wire_attribute(w, ",", "service.version", w->app_version);
    vitp_wire_attribute(w, ",", "service.instance.id", w->wire->hwid);
    vitp_wire_attribute(w, ",", "telemetry.sdk.name", "vitelemetry");
    vitp_wire_attribute(w, ",", "telemetry.sdk.language", "c");
    vitp_wire_attribute(w, ",", "telemetry.sdk.version", VITELEMETRY_VERSION);
    vitp_json_text(
        w->json,
        "]},\"scopeLogs\":[{\"scope\":{\"name\":\"vitelemetry\",\"version\":\"" VITELEMETRY_VERSION
        "\"},\"logRecords\":[");
}

static void vitp_wire_time(vitp_event_writer *w, const char *before, uint64_t unix_ns)
{
    vitp_json_text(w->json, before);
    vitp_json_int(w->json, (int64_t)unix_ns);
    vitp_json_raw(w->json, "\"", 1);
}

/* A trace of nothing but zeros is none (opentelemetry-proto). */
static bool vitp_wire_has_trace(const vitp_event_writer *w)
{
    static const unsigned char none[16] = { 0 };
    return (w->head.flags & VITP_RECORD_CORRELATED) &&
           memcmp(w->head.correlation_id, none, sizeof none) != 0;
}

/* The body repeats the name for receivers that do not know eventName, which is of version 1.5. */
static void vitp_wire_log_record(vitp_event_writer *w)
{
    bool error = (w->head.flags & VITP_RECORD_ERROR) != 0;
    char hex[33];
    vitp_wire_time(w, "{\"timeUnixNano\":\"", vitp_wire_recorded_ns(w));
    vitp_wire_time(w, ",\"observedTimeUnixNano\":\"", w->job->wall_ns);
    vitp_json_text(w->json, error ? ",\"severityNumber\":17,\"severityText\":\"ERROR\""
                                  : ",\"severityNumber\":9,\"severityText\":\"INFO\"");
    VITP_JSON_LITERAL(w->json, ",\"eventName\":");
    vitp_json_string(w->json, w->name, w->name_size);
    VITP_JSON_LITERAL(w->json, ",\"body\":{\"stringValue\":");
    vitp_json_string(w->json, w->name, w->name_size);
    vitp_json_raw(w->json, "}", 1);
    if (vitp_wire_has_trace(w)) {
        vitp_text_hex(hex, w->head.correlation_id, 16);
        vitp_wire_text_value(w, ",\"traceId\":", hex);
    }
    VITP_JSON_LITERAL(w->json, ",\"attributes\":[");
}

/* ---- a record that needs no ledger: head, name, version, context, members as of an ad-hoc event.
   Its time is Unix time. -------------------------------------------------------------------- */

static void vitp_wire_origin(vitp_event_writer *w)
{
    vitp_record_head head = w->head;
    head.time_ns = vitp_wire_recorded_ns(w);
    head.context = 0;
    head.identity = 0;
    head.type = VITP_RECORD_ADHOC;
    head.flags |= VITP_RECORD_NAMED;
    head.name_size = (uint16_t)w->name_size;
    vitp_json_raw(w->json, (const char *)&head, sizeof head);
    vitp_json_raw(w->json, w->name, w->name_size);
    vitp_wire_string(w, w->app_version, strlen(w->app_version));
    vitp_wire_label(w, w->session_id, strlen(w->session_id));
    vitp_wire_label(w, w->provider, strlen(w->provider));
    vitp_wire_label(w, w->collection_hash, strlen(w->collection_hash));
}

static void vitp_wire_take_text(vitp_event_writer *w, char *out, size_t capacity)
{
    const unsigned char *p = vitp_wire_take(w, 2);
    uint16_t             size = 0;
    if (p) memcpy(&size, p, 2);
    p = vitp_wire_take(w, size);
    if (size >= capacity) w->corrupt = true;
    else if (p) memcpy(out, p, size);
    out[size < capacity && p ? size : 0] = 0;
}

/* Reads what vitp_wire_origin wrote behind the name. */
static void vitp_wire_take_origin(vitp_event_writer *w)
{
    vitp_wire_take_text(w, w->own_version, sizeof w->own_version);
    vitp_wire_take_text(w, w->own_session, sizeof w->own_session);
    vitp_wire_take_text(w, w->own_provider, sizeof w->own_provider);
    vitp_wire_take_text(w, w->own_collection, sizeof w->own_collection);
    if (!vitp_text_is_printable(w->own_version, VITP_LABEL_MAX)) w->corrupt = true;
    w->app_version = w->own_version;
    w->session_id = w->own_session;
    w->provider = w->own_provider;
    w->collection_hash = w->own_collection;
}

/* ---- one event --------------------------------------------------------------------------- */

/* What the pool's ledger says of the record. */
static void vitp_wire_find_origin(vitp_event_writer *w)
{
    vitp_ledger  *ledger = w->job->ledger;
    vitp_context *c = &ledger->contexts[w->head.context & (VITP_CONTEXTS_MAX - 1u)];
    w->app_version = ledger->writer.app_version;
    w->session_id = w->provider = w->collection_hash = "";
    if (w->head.context == 0) return;
    if (c->number != w->head.context) {
        vitp_log_note(&w->wire->recorder->log, VIT_LOG_CONTEXT_LOST);
        return;
    }
    w->session_id = c->session_id;
    w->provider = c->provider;
    w->collection_hash = c->collection_hash;
}

/* The event's name, behind which its members begin, goes into w. False: there is none. */
static bool vitp_wire_name(vitp_event_writer *w, vitp_schema_reader *schema)
{
    const char *name = NULL;
    uint32_t    size = w->head.name_size;
    if (w->job->ledger)
        name = vitp_schema_open(schema, w->job->ledger, w->head.type, &w->name_size);
    if (!name && w->head.type != VITP_RECORD_ADHOC) return false;
    if (w->head.flags & VITP_RECORD_NAMED) {
        name = (const char *)vitp_wire_take(w, size);
        if (!name || !vitp_text_is_name(name, size)) return false;
        w->name_size = vitp_wire_member_key(w, (const unsigned char *)name, size, w->made_up);
        w->name = w->made_up;
        return true;
    }
    w->name = name;
    return name && vitp_text_is_name(name, w->name_size);
}

/* Head, name and origin. */
static vitp_wire_result vitp_wire_begin(vitp_event_writer *w, vitp_schema_reader *schema)
{
    const unsigned char *p = vitp_wire_take(w, sizeof w->head);
    vitp_ledger         *ledger = w->job->ledger;
    if (!p) return VITP_WIRE_CORRUPT;
    memcpy(&w->head, p, sizeof w->head);
    if (w->head.time_ns == 0) return VITP_WIRE_CORRUPT; /* memory that was lost */
    if (ledger && w->head.identity != (uint16_t)VITP_ATOMIC_LOAD(&ledger->identity))
        return VITP_WIRE_STALE;
    w->whole = !ledger || (w->head.flags & VITP_RECORD_WHOLE);
    if (!vitp_wire_name(w, schema)) return VITP_WIRE_CORRUPT;
    if (w->whole) vitp_wire_take_origin(w);
    else vitp_wire_find_origin(w);
    if (w->corrupt) return VITP_WIRE_CORRUPT;
    if (!vitp_wire_passes(w, w->app_version, strlen(w->app_version)))
        return VITP_WIRE_SECRET; /* another run's */
    if ((w->head.flags & VITP_RECORD_CORRELATED) &&
        !vitp_wire_id_passes(w->wire, w->head.correlation_id))
        return VITP_WIRE_SECRET;
    w->stencil = vitp_wire_stencil(w, *schema);
    return VITP_WIRE_WRITTEN;
}

static void vitp_wire_write(vitp_event_writer *w, vitp_schema_reader *schema)
{
    vitp_wire_shape shape = w->job->shape;
    if (shape == VITP_SHAPE_JSON) vitp_wire_envelope(w);
    else if (shape == VITP_SHAPE_OTLP) vitp_wire_log_record(w);
    else vitp_wire_origin(w);
    if (w->head.type == VITP_RECORD_ADHOC) vitp_wire_adhoc(w);
    else vitp_wire_declared(w, schema);
    if (shape == VITP_SHAPE_RECORD) return;
    vitp_wire_common(w);
    vitp_json_raw(w->json, shape == VITP_SHAPE_JSON ? "}}" : "]}", 2);
}

/* Appends one event to json, or leaves json as it was. separator: what stands before it, unless it
   is the first. */
static vitp_wire_result vitp_wire_event(vitp_wire *wire, const vitp_wire_job *job, vitp_json *json,
                                        const char *separator, const void *record, uint32_t size)
{
    size_t             mark = json->size;
    vitp_schema_reader schema;
    vitp_wire_result   result;
    vitp_event_writer  w;
    bool               opens;
    if (vitp_wire_quickly(wire, job, json, separator, (const unsigned char *)record, size))
        return VITP_WIRE_WRITTEN;
    memset(&w, 0, offsetof(vitp_event_writer, made_up));
    w.wire = wire;
    w.job = job;
    w.json = json;
    w.data = (const unsigned char *)record;
    w.size = size;
    w.first = true;
    result = vitp_wire_begin(&w, &schema);
    if (result != VITP_WIRE_WRITTEN) return result;
    opens = vitp_wire_needs_resource(&w, mark == 0);
    if (opens) vitp_wire_resource(&w, mark == 0);
    else if (mark > 0) vitp_json_text(json, separator);
    vitp_wire_write(&w, &schema);
    if (!json->full && !w.corrupt && !w.secret) {
        if (opens) (void)vitp_text_copy(wire->version, sizeof wire->version, w.app_version);
        return VITP_WIRE_WRITTEN;
    }
    json->size = mark;
    if (w.corrupt || w.secret) json->full = false;
    return w.corrupt ? VITP_WIRE_CORRUPT : w.secret ? VITP_WIRE_SECRET : VITP_WIRE_FULL;
}

#ifndef VITELEMETRY_NO_FILES
/* How a record of the spool is read: what it needs is in it, and its time is Unix time. */
static vitp_wire_job vitp_wire_spool_job(vitp_wire_shape shape)
{
    vitp_wire_job job;
    job.shape = shape;
    job.ledger = NULL;
    job.now_ns = job.wall_ns = vitp_os_wall_ns();
    return job;
}
#endif

/* How the events of one request are put together. */
typedef struct vitp_wire_form {
    const char     *content_type, *open, *separator, *close;
    vitp_wire_shape shape;
} vitp_wire_form;

static const vitp_wire_form *vitp_wire_form_of(vit_wire wire)
{
    static const vitp_wire_form forms[] = {
        { "application/json", "", "", "", VITP_SHAPE_JSON },
        { "application/json", "[", ",", "]", VITP_SHAPE_JSON },
        { "application/x-ndjson", "", "\n", "\n", VITP_SHAPE_JSON },
        { "application/json", "", ",", "]}]}]}", VITP_SHAPE_OTLP } /* opened by the first event */
    };
    return &forms[(uint32_t)wire];
}

/* ============================================================================================
   >>spool: events that could not be delivered, in files of the data folder.

   <client type>.<time>-<u or e>-<process>-<random>.spool: Unix time of its first event in 8 hex
   digits; usage, or batches with an error event; the process that wrote or took it last. In it:

       head | batch | record ... | batch | record ... | what was not finished

   Whoever writes or reads a file has its lock. A file is written by one process, which appends
   whole batches and then moves `end` in the head; a batch is a request, with its key. It is read
   by one process, which takes it by a new name and moves `begin` behind what was answered. A file
   that nobody has open is whoever's comes first. What cannot be read is skipped up to the next
   whole record, so that a byte that changed costs one record at most.

   The files of all processes together never exceed `cap`, which whoever writes sees to under the
   folder's lock: the oldest file without errors goes first. (A queue in plain memory is saved in
   the end also where somebody hangs who has that lock.) Nothing is flushed to the disk: a power
   loss may take the last seconds. All of it runs in the consumer, under the client's lock.
   ============================================================================================ */

#ifndef VITELEMETRY_NO_FILES

#define VITP_SPOOL_MAGIC      "vitspool"
#define VITP_SPOOL_VERSION    1u
#define VITP_SPOOL_ORDER      0x01020304u
#define VITP_SPOOL_BATCH      0x68637462u /* "btch" */
#define VITP_SPOOL_RECORD     0x64726372u /* "rcrd" */
#define VITP_SPOOL_RECORD_MAX 16384u      /* 128 keys, and the values of the largest record */
#define VITP_SPOOL_OTHER      1024u       /* bytes of the cap for heads, and the file of the wait */
#define VITP_SPOOL_LOAD_MAX   4194304u    /* bytes of a file that are read, whatever the cap is */
#define VITP_SPOOL_CLOSED_MAX 64u
#define VITP_SPOOL_PARTS      16u /* of the cap: a file that is larger is not appended to */
#define VITP_SPOOL_FILE_MIN   4096u
#define VITP_SPOOL_FILE_MAX   262144u
#define VITP_SPOOL_NAME_MAX   (VITP_LABEL_MAX + 64u)

typedef struct vitp_spool_head {
    char     magic[8];
    uint32_t version, order;
    uint64_t begin, end; /* offsets of what waits */
    uint32_t under_way;  /* records from begin on whose request is a part of a batch; 0: none */
    uint32_t check;      /* CRC-32C of what stands before it */
} vitp_spool_head;

typedef struct vitp_spool_batch {
    uint32_t magic, records;
    uint32_t sent; /* 1: a request with it may have been received; and how often it was busy */
    char     key[32];
    uint32_t check;
} vitp_spool_batch;

typedef struct vitp_spool_frame {
    uint32_t magic, size;
    uint32_t mark;  /* of the identity under which it was recorded */
    uint32_t check; /* CRC-32C of size and mark, and of the record */
} vitp_spool_frame;

typedef struct vitp_spool_file {
    vitp_os_pool    file;
    vitp_spool_head head;
    uint32_t        records; /* of this client's that wait in it */
} vitp_spool_file;

typedef struct vitp_spool_closed {
    char     random[17];
    uint32_t records;
    bool     seen;
} vitp_spool_closed;

typedef struct vitp_spool {
    /* constant after vit_create */
    const char   *folder, *client_type; /* folder "": there is no spool */
    vit_allocator allocator;
    uint32_t      cap, days;
    char         *buffer; /* of VITP_EVENT_JSON_MAX bytes, for one call */
    /* the consumer */
    uint32_t          mark;       /* of the identity in force */
    vitp_spool_file   out[2], in; /* usage and errors */
    uint64_t          used;       /* bytes of all files; while the folder is held */
    uint64_t          position;   /* where the next bytes of the batch in the making go */
    size_t            filled;     /* bytes in buffer */
    char             *bytes;      /* of in */
    uint64_t          at;         /* in bytes: what is read next */
    vitp_spool_closed closed[VITP_SPOOL_CLOSED_MAX]; /* written by this client, and let go */
    uint32_t          closed_count;
    uint32_t          alone;            /* 1: nothing more is to be read; read by all */
    bool              tried;            /* what is read next was sent in this run */
    uint64_t          batches, batched; /* written or read in this run, and their records */
    uint32_t          begun_s;          /* in the name of the last file that was begun */
    bool              all;              /* for one call: of vitp_spool_forget */
    bool              full;             /* nothing could give way to the batch in the making */
    bool              polite;           /* and nothing is to */
    /* counters, read by all */
    uintptr_t records, adopted, handed_over, dropped[VIT_DROP_COUNT];
} vitp_spool;

/* ---- CRC-32C (RFC 3720, B.4), four bits at a time ---------------------------------------- */

static uint32_t vitp_spool_crc(uint32_t crc, const void *data, size_t size)
{
    static const uint32_t rows[16] = { 0x00000000u, 0x105EC76Fu, 0x20BD8EDEu, 0x30E349B1u,
                                       0x417B1DBCu, 0x5125DAD3u, 0x61C69362u, 0x7198540Du,
                                       0x82F63B78u, 0x92A8FC17u, 0xA24BB5A6u, 0xB21572C9u,
                                       0xC38D26C4u, 0xD3D3E1ABu, 0xE330A81Au, 0xF36E6F75u };
    const unsigned char  *p = (const unsigned char *)data;
    crc = ~crc;
    while (size-- > 0) {
        crc ^= *p++;
        crc = rows[crc & 15u] ^ crc >> 4;
        crc = rows[crc & 15u] ^ crc >> 4;
    }
    return ~crc;
}

static uint32_t vitp_spool_check_record(const vitp_spool_frame *f, const void *record)
{
    uint32_t crc = vitp_spool_crc(0, &f->size, sizeof f->size + sizeof f->mark);
    return vitp_spool_crc(crc, record, f->size);
}

static void vitp_spool_count(uintptr_t *counter, uint32_t n)
{
    (void)VITP_ATOMIC_ADD_PTR(counter, (uintptr_t)n);
}

/* n records of the spool's are gone. */
static void vitp_spool_uncount(vitp_spool *s, uint32_t n)
{
    (void)VITP_ATOMIC_ADD_PTR(&s->records, (uintptr_t)0 - (uintptr_t)n);
}

static void vitp_spool_note_batch(vitp_spool *s, uint32_t records)
{
    s->batches++;
    s->batched += records;
}

/* How many requests what waits will take, going by the batches so far: they are as they were
   written, however many records one could have. */
static uint64_t vitp_spool_requests(const vitp_spool *s)
{
    uint64_t records = VITP_ATOMIC_LOAD_PTR(&s->records);
    return (s->batched > 0 ? records * s->batches / s->batched : records) + 1u;
}

static void vitp_spool_drop(vitp_spool *s, uint32_t n, vit_drop reason)
{
    vitp_spool_uncount(s, n);
    vitp_spool_count(&s->dropped[reason], n);
}

/* ---- names ------------------------------------------------------------------------------- */

/* Where the name's parts behind the client type begin, or NULL: it is none of ours. */
static const char *vitp_spool_name_tail(const vitp_spool *s, const char *name)
{
    size_t      n = strlen(s->client_type), process;
    const char *tail = name + n + 1;
    if (strncmp(name, s->client_type, n) != 0 || name[n] != '.') return NULL;
    if (strlen(name) >= VITP_SPOOL_NAME_MAX || !vitp_text_is_hex(tail, 8)) return NULL;
    if (tail[8] != '-' || (tail[9] != 'u' && tail[9] != 'e') || tail[10] != '-') return NULL;
    process = strspn(tail + 11, "0123456789");
    if (process == 0 || tail[11 + process] != '-') return NULL;
    if (!vitp_text_is_hex(tail + 12 + process, 16)) return NULL;
    return strncmp(tail + 28 + process, ".spool", 6) == 0 ? tail : NULL;
}

/* name: one that has a tail. */
static bool vitp_spool_is_finished(const char *name)
{
    return strcmp(name + strlen(name) - 6, ".spool") == 0;
}

/* The random part of a name of ours. */
static void vitp_spool_random_of(const char *path, char out[17])
{
    size_t size = strlen(path);
    memcpy(out, path + size - 22, 16);
    out[16] = 0;
}

/* It fits: the folder's is one of the settings, and the name no longer than ours may be. */
static void vitp_spool_path(const vitp_spool *s, const char *name, char out[VITP_POOL_PATH_MAX])
{
    (void)snprintf(out, VITP_POOL_PATH_MAX, "%s/%s", s->folder, name);
}

/* A name of this process. stamp: 8 hex digits, seconds since 1970. */
static bool vitp_spool_own_path(const vitp_spool *s, const char *stamp, bool errors,
                                char out[VITP_POOL_PATH_MAX])
{
    unsigned char random[8];
    char          name[VITP_SPOOL_NAME_MAX], hex[17];
    if (!vitp_id_random(random, sizeof random)) return false;
    vitp_text_hex(hex, random, 8);
    (void)snprintf(name, sizeof name, "%s.%.8s-%c-%lu-%s.spool", s->client_type, stamp,
                   errors ? 'e' : 'u', (unsigned long)vitp_os_process_id(), hex);
    vitp_spool_path(s, name, out);
    return true;
}

#define VITP_SPOOL_NAMES 32u  /* that one look into the folder finds */
#define VITP_SPOOL_TRIES 256u /* files in one search: a limit for folders that are full of them */

/* The oldest or newest files behind the name `after`. */
typedef struct vitp_spool_search {
    vitp_spool *spool;
    char        kind; /* 'u', 'e', or 0: either */
    bool        newest;
    uint32_t    tries, count, next; /* names in best, and the one that is tried next */
    char        after[VITP_SPOOL_NAME_MAX], best[VITP_SPOOL_NAMES][VITP_SPOOL_NAME_MAX];
} vitp_spool_search;

/* By their time, then by the rest of the name. */
static int vitp_spool_order(const vitp_spool *s, const char *a, const char *b)
{
    size_t n = strlen(s->client_type);
    return strcmp(a + n, b + n);
}

static bool vitp_spool_look_at(const char *folder, const char *name, void *user)
{
    vitp_spool_search *search = (vitp_spool_search *)user;
    const vitp_spool  *s = search->spool;
    const char        *tail = vitp_spool_name_tail(s, name);
    int                sign = search->newest ? -1 : 1;
    uint32_t           i = search->count;
    (void)folder;
    if (!tail || !vitp_spool_is_finished(name)) return true;
    if (search->kind && tail[9] != search->kind) return true;
    if (search->after[0] && vitp_spool_order(s, name, search->after) * sign <= 0) return true;
    while (i > 0 && vitp_spool_order(s, name, search->best[i - 1u]) * sign < 0) i--;
    if (i == VITP_SPOOL_NAMES) return true;
    if (search->count < VITP_SPOOL_NAMES) search->count++;
    memmove(search->best[i + 1u], search->best[i],
            (search->count - 1u - i) * sizeof search->best[0]);
    memcpy(search->best[i], name, strlen(name) + 1u);
    return true;
}

/* Looks for more names. False: there are none. */
static bool vitp_spool_look(vitp_spool_search *search)
{
    if (search->next < search->count) return true;
    search->next = search->count = 0;
    (void)vitp_os_each_file(search->spool->folder, vitp_spool_look_at, search);
    if (search->count == 0) return false;
    memcpy(search->after, search->best[search->count - 1u], sizeof search->after);
    return true;
}

/* The next file, locked. False: there are no more that nobody has open, or too many of them. */
static bool vitp_spool_open_next(vitp_spool_search *search, vitp_os_pool *file)
{
    char path[VITP_POOL_PATH_MAX];
    while (search->tries++ < VITP_SPOOL_TRIES && vitp_spool_look(search)) {
        vitp_spool_path(search->spool, search->best[search->next++], path);
        if (vitp_os_pool_open(file, path) == VITP_OS_FOUND_OURS) return true;
        vitp_os_pool_unlock(file);
    }
    return false;
}

static void vitp_spool_search_init(vitp_spool_search *search, vitp_spool *s, char kind)
{
    memset(search, 0, sizeof *search);
    search->spool = s;
    search->kind = kind;
}

/* Gives a file that is locked a name of this process; its time and kind stay. */
static bool vitp_spool_claim(const vitp_spool *s, vitp_os_pool *file)
{
    char        path[VITP_POOL_PATH_MAX];
    const char *tail = file->path + strlen(s->folder) + 1u + strlen(s->client_type) + 1u;
    return vitp_spool_own_path(s, tail, tail[9] == 'e', path) && vitp_os_pool_rename(file, path);
}

/* Removes a file that is locked. Where its name stays, what is in it goes: it is not sent again and
   again. */
static void vitp_spool_remove(vitp_os_pool *file)
{
    if (!vitp_os_pool_unname(file)) (void)vitp_os_pool_cut(file, 0);
    vitp_os_pool_remove(file);
}

/* ---- a file's head ----------------------------------------------------------------------- */

static bool vitp_spool_write_head(vitp_spool_file *f)
{
    f->head.check = vitp_spool_crc(0, &f->head, offsetof(vitp_spool_head, check));
    return vitp_os_pool_write(&f->file, 0, &f->head, sizeof f->head);
}

static bool vitp_spool_head_is_whole(const vitp_spool_head *h, uint64_t size)
{
    return memcmp(h->magic, VITP_SPOOL_MAGIC, 8) == 0 &&
           h->check == vitp_spool_crc(0, h, offsetof(vitp_spool_head, check)) &&
           h->begin >= sizeof *h && h->begin <= h->end && h->end <= size;
}

/* Of another version or kind of machine; what lies in it cannot be read here. */
static bool vitp_spool_head_is_foreign(const vitp_spool_head *h)
{
    return memcmp(h->magic, VITP_SPOOL_MAGIC, 8) == 0 &&
           (h->version != VITP_SPOOL_VERSION || h->order != VITP_SPOOL_ORDER);
}

static void vitp_spool_init_head(vitp_spool_head *h)
{
    memset(h, 0, sizeof *h);
    memcpy(h->magic, VITP_SPOOL_MAGIC, 8);
    h->version = VITP_SPOOL_VERSION;
    h->order = VITP_SPOOL_ORDER;
    h->begin = h->end = sizeof *h;
}

/* ---- reading ----------------------------------------------------------------------------- */

/* The whole record at `at`, or NULL. */
static const char *vitp_spool_record_at(const char *bytes, uint64_t at, uint64_t end,
                                        vitp_spool_frame *frame)
{
    frame->magic = 0;
    if (end - at < sizeof *frame) return NULL;
    memcpy(frame, bytes + at, sizeof *frame);
    at += sizeof *frame;
    if (frame->magic != VITP_SPOOL_RECORD || frame->size > VITP_SPOOL_RECORD_MAX ||
        frame->size > end - at || frame->check != vitp_spool_check_record(frame, bytes + at))
        return NULL;
    return bytes + at;
}

static bool vitp_spool_batch_at(const char *bytes, uint64_t at, uint64_t end,
                                vitp_spool_batch *batch)
{
    if (end - at < sizeof *batch) return false;
    memcpy(batch, bytes + at, sizeof *batch);
    return batch->magic == VITP_SPOOL_BATCH &&
           batch->check == vitp_spool_crc(0, batch, offsetof(vitp_spool_batch, check));
}

/* The next byte at which a batch or a record may begin. */
static uint64_t vitp_spool_resume(const char *bytes, uint64_t at, uint64_t end)
{
    static const uint32_t magics[2] = { VITP_SPOOL_BATCH, VITP_SPOOL_RECORD };
    for (at++; end - at >= 4 && at < end; at++)
        if (memcmp(bytes + at, &magics[0], 4) == 0 || memcmp(bytes + at, &magics[1], 4) == 0)
            return at;
    return end;
}

/* Walks over what waits in a file. */
typedef struct vitp_spool_walk {
    const char *bytes;
    uint64_t    at, end;
    /* of the last step: a record, or the head of a batch (record NULL) */
    const char      *record;
    vitp_spool_frame frame;
    vitp_spool_batch batch;
    uint32_t         pieces; /* that could not be read, so far */
    uint64_t         wasted; /* bytes that were checked in vain */
} vitp_spool_walk;

static vitp_spool_walk vitp_spool_walk_from(const char *bytes, uint64_t at, uint64_t end)
{
    vitp_spool_walk w;
    memset(&w, 0, sizeof w);
    w.bytes = bytes;
    w.at = at;
    w.end = end;
    return w;
}

/* Bytes that may be checked in vain for each byte of a file: a limit for hostile ones. */
#define VITP_SPOOL_WASTE 4u

/* False: there is nothing more. */
static bool vitp_spool_step(vitp_spool_walk *w)
{
    bool torn = false;
    while (w->at < w->end) {
        w->record = vitp_spool_record_at(w->bytes, w->at, w->end, &w->frame);
        if (w->record) {
            w->at += sizeof w->frame + w->frame.size;
            return true;
        }
        if (vitp_spool_batch_at(w->bytes, w->at, w->end, &w->batch)) {
            w->at += sizeof w->batch;
            return true;
        }
        if (!torn) w->pieces++;
        torn = true;
        if (w->frame.magic == VITP_SPOOL_RECORD && w->frame.size <= w->end - w->at)
            w->wasted += w->frame.size <= VITP_SPOOL_RECORD_MAX ? w->frame.size : 0u;
        w->at = w->wasted > w->end * VITP_SPOOL_WASTE ? w->end
                                                      : vitp_spool_resume(w->bytes, w->at, w->end);
    }
    return false;
}

/* How many records wait in a file that was loaded. */
static uint32_t vitp_spool_records_in(const char *bytes, const vitp_spool_head *h, uint32_t *pieces)
{
    vitp_spool_walk w = vitp_spool_walk_from(bytes, h->begin, h->end);
    uint32_t        n = 0;
    while (vitp_spool_step(&w)) n += w.record != NULL;
    *pieces = w.pieces;
    return n;
}

/* Reads a head as far as the file has one. True: it is whole. */
static bool vitp_spool_read_head(vitp_spool_file *f)
{
    memset(&f->head, 0, sizeof f->head);
    if (f->file.size < sizeof f->head || !vitp_os_pool_read(&f->file, 0, &f->head, sizeof f->head))
        return false;
    return vitp_spool_head_is_whole(&f->head, f->file.size) &&
           !vitp_spool_head_is_foreign(&f->head);
}

/* How much of a file is read. What lies behind the end was not finished; in a file without a whole
   head all that is whole counts, up to the cap, behind which nothing can be ours. */
static void vitp_spool_limit(const vitp_spool *s, vitp_spool_file *f)
{
    uint64_t most = s->cap > VITP_SPOOL_LOAD_MAX ? s->cap : VITP_SPOOL_LOAD_MAX;
    if (vitp_spool_read_head(f) && f->head.end <= most) return;
    if (vitp_spool_head_is_foreign(&f->head)) {
        f->head.begin = f->head.end = 0;
        return;
    }
    if (f->file.size > s->cap && vitp_os_pool_cut(&f->file, s->cap)) f->file.size = s->cap;
    vitp_spool_init_head(&f->head);
    if (f->file.size > s->cap) return;
    f->head.end = f->file.size > sizeof f->head ? f->file.size : sizeof f->head;
}

/* Reads a file that is locked, and its head, into memory of its own. NULL: no memory, or it cannot
   be read. */
static char *vitp_spool_load(vitp_spool *s, vitp_spool_file *f)
{
    size_t size;
    char  *bytes;
    vitp_spool_limit(s, f);
    size = (size_t)(f->head.end < f->file.size ? f->head.end : f->file.size);
    bytes = (char *)s->allocator.alloc_fn(size + 1u, s->allocator.user);
    if (!bytes || vitp_os_pool_read(&f->file, 0, bytes, size)) return bytes;
    s->allocator.free_fn(bytes, s->allocator.user);
    return NULL;
}

/* ---- files that this client wrote and let go --------------------------------------------- */

static vitp_spool_closed *vitp_spool_closed_of(vitp_spool *s, const char *path)
{
    char     random[17];
    uint32_t i;
    vitp_spool_random_of(path, random);
    for (i = 0; i < s->closed_count; i++)
        if (strcmp(s->closed[i].random, random) == 0) return &s->closed[i];
    return NULL;
}

static uint32_t vitp_spool_forget_closed(vitp_spool *s, vitp_spool_closed *c)
{
    uint32_t records = c->records;
    *c = s->closed[--s->closed_count];
    return records;
}

/* Lets a file go that was written: whoever comes first reads it. */
static void vitp_spool_retire(vitp_spool *s, vitp_spool_file *f)
{
    vitp_spool_closed *c = &s->closed[s->closed_count];
    if (!f->file.open) return;
    if (f->records > 0 && s->closed_count < VITP_SPOOL_CLOSED_MAX) {
        vitp_spool_random_of(f->file.path, c->random);
        c->records = f->records;
        s->closed_count++;
    } else if (f->records > 0) { /* too many to remember: somebody will read it */
        vitp_spool_uncount(s, f->records);
        vitp_spool_count(&s->handed_over, f->records);
    }
    vitp_os_pool_unlock(&f->file);
    memset(f, 0, sizeof *f);
}

static bool vitp_spool_see(const char *folder, const char *name, void *user)
{
    vitp_spool        *s = (vitp_spool *)user;
    vitp_spool_closed *c;
    (void)folder;
    if (!vitp_spool_name_tail(s, name) || !vitp_spool_is_finished(name)) return true;
    c = vitp_spool_closed_of(s, name);
    if (c) c->seen = true;
    return true;
}

/* Somebody removed the folder, and what was in it. */
static bool vitp_spool_is_gone(const vitp_spool *s)
{
    char   byte[1];
    size_t size;
    return vitp_os_read_file(s->folder, VITP_OS_MINE, byte, sizeof byte, &size) ==
           VITP_OS_READ_ABSENT;
}

/* What other processes took by now is theirs; what was removed counts as that. */
static void vitp_spool_reconcile(vitp_spool *s)
{
    uint32_t i, n;
    for (i = 0; i < s->closed_count; i++) s->closed[i].seen = false;
    if (s->closed_count == 0) return;
    if (!vitp_os_each_file(s->folder, vitp_spool_see, s) && !vitp_spool_is_gone(s)) return;
    for (i = s->closed_count; i-- > 0;) {
        if (s->closed[i].seen) continue;
        n = vitp_spool_forget_closed(s, &s->closed[i]);
        vitp_spool_uncount(s, n);
        vitp_spool_count(&s->handed_over, n);
    }
}

/* Of a file that was loaded: what this client did not write is adopted; what it wrote and cannot
   be read any more is lost. One that cannot be read at all is one piece. Returns how many records
   are in it. */
static uint32_t vitp_spool_account(vitp_spool *s, const vitp_spool_file *f, const char *bytes)
{
    vitp_spool_closed *c = vitp_spool_closed_of(s, f->file.path);
    uint32_t           own = c ? vitp_spool_forget_closed(s, c) : 0, pieces = 0;
    uint32_t           found = bytes ? vitp_spool_records_in(bytes, &f->head, &pieces) : 0;
    if (!bytes || vitp_spool_head_is_foreign(&f->head)) pieces = 1;
    if (found < own) {
        vitp_spool_drop(s, own - found, VIT_DROP_CORRUPT);
        return found;
    }
    if (own > 0) pieces = 0; /* of a file that holds all of ours */
    vitp_spool_count(&s->records, found - own);
    vitp_spool_count(&s->adopted, found - own + pieces);
    vitp_spool_count(&s->dropped[VIT_DROP_CORRUPT], pieces);
    return found;
}

/* ---- the file that is delivered ---------------------------------------------------------- */

static void vitp_spool_close_in(vitp_spool *s)
{
    if (s->bytes) s->allocator.free_fn(s->bytes, s->allocator.user);
    s->bytes = NULL;
    vitp_os_pool_unlock(&s->in.file);
    memset(&s->in, 0, sizeof s->in);
}

/* It is let go before it is delivered. */
static void vitp_spool_let_go(vitp_spool *s)
{
    vitp_spool_retire(s, &s->in);
    if (s->bytes) vitp_spool_close_in(s);
    VITP_ATOMIC_STORE(&s->alone, 0u);
}

/* Also of another identity's than ours. */
static bool vitp_spool_is_mixed(const vitp_spool *s)
{
    vitp_spool_walk w = vitp_spool_walk_from(s->bytes, s->in.head.begin, s->in.head.end);
    bool            mixed = false;
    while (s->bytes && !mixed && vitp_spool_step(&w)) mixed = w.record && w.frame.mark != s->mark;
    return mixed;
}

/* Such a file is let go for good: whoever comes first reads it anew. */
static void vitp_spool_give_back(vitp_spool *s)
{
    if (!vitp_spool_is_mixed(s)) return;
    vitp_spool_uncount(s, s->in.records);
    vitp_spool_count(&s->handed_over, s->in.records);
    s->in.records = 0;
    vitp_spool_let_go(s);
}

/* Everything in it was answered or dropped. */
static void vitp_spool_finish_in(vitp_spool *s)
{
    vitp_spool_remove(&s->in.file);
    vitp_spool_close_in(s);
}

/* The file in `in`, which is locked, becomes ours: by the lock; the name only says so. False: it
   stays where it is, or is gone. */
static bool vitp_spool_take(vitp_spool *s)
{
    s->bytes = vitp_spool_load(s, &s->in);
    if (!s->bytes || vitp_spool_head_is_foreign(&s->in.head)) {
        if (s->bytes && vitp_os_wall_s() - s->in.file.changed_s > VITP_POOL_OLD_S) {
            (void)vitp_spool_account(s, &s->in, s->bytes);
            vitp_os_pool_remove(&s->in.file);
        }
        vitp_spool_close_in(s);
        return false;
    }
    s->in.records = vitp_spool_account(s, &s->in, s->bytes);
    (void)vitp_spool_claim(s, &s->in.file);
    s->at = s->in.head.begin;
    return true;
}

/* True: there is a file to be delivered, the oldest that nobody else has. */
static bool vitp_spool_open(vitp_spool *s)
{
    vitp_spool_search search;
    if (s->bytes) return true;
    if (!s->folder[0] || VITP_ATOMIC_LOAD(&s->alone)) return false;
    VITP_ATOMIC_STORE(&s->alone, 1u);
    if (!vitp_os_is_private(s->folder) && !vitp_spool_is_gone(s)) return false;
    vitp_spool_retire(s, &s->out[0]);
    vitp_spool_retire(s, &s->out[1]);
    vitp_spool_reconcile(s);
    vitp_spool_search_init(&search, s, 0);
    while (vitp_spool_open_next(&search, &s->in.file)) {
        if (!vitp_spool_take(s)) continue;
        VITP_ATOMIC_STORE(&s->alone, 0u);
        if (s->in.records > 0) return true;
        vitp_spool_finish_in(s);
    }
    VITP_ATOMIC_STORE(&s->alone, 1u);
    return false;
}

/* Nothing is to be read that nobody else has. */
static bool vitp_spool_is_empty(const vitp_spool *s)
{
    return !s->folder[0] || VITP_ATOMIC_LOAD(&s->alone) != 0;
}

/* Somebody else had what waits when the folder was looked into: for good, or to measure it. */
static bool vitp_spool_is_held_up(const vitp_spool *s)
{
    return VITP_ATOMIC_LOAD_PTR(&s->records) > 0 && vitp_spool_is_empty(s);
}

static void vitp_spool_look_again(vitp_spool *s) { VITP_ATOMIC_STORE(&s->alone, 0u); }

/* What a request may carry: a batch, or what is left of one. */
typedef struct vitp_spool_unit {
    uint64_t begin; /* of its records */
    uint32_t most;  /* records that the request has to carry; (uint32_t)-1: as many as it can */
    bool     sent;
    uint32_t records; /* of the batch; 0: its head cannot be read, or a part is gone */
    char     key[33];
} vitp_spool_unit;

/* False: the file is done. */
static bool vitp_spool_unit_of(vitp_spool *s, vitp_spool_unit *u, vitp_spool_walk *w)
{
    vitp_spool_walk next;
    memset(u, 0, sizeof *u);
    *w = vitp_spool_walk_from(s->bytes, s->at, s->in.head.end);
    for (;;) {
        next = *w;
        if (!vitp_spool_step(&next)) return false;
        if (next.record) break;
        *w = next;
        u->sent = w->batch.sent != 0;
        u->records = vitp_text_is_hex(w->batch.key, 32) ? w->batch.records : 0;
        memcpy(u->key, w->batch.key, 32);
    }
    u->begin = w->at;
    u->most = s->in.head.under_way ? s->in.head.under_way : (uint32_t)-1;
    return true;
}

/* The key of a request that carries another number of records than its batch had. */
static void vitp_spool_part_key(const vitp_spool *s, const vitp_spool_unit *u, uint32_t records,
                                char key[33])
{
    vitp_spool_walk w = vitp_spool_walk_from(s->bytes, u->begin, s->in.head.end);
    vitp_sha256     sha;
    unsigned char   digest[32];
    vitp_sha256_begin(&sha);
    vitp_sha256_add(&sha, &records, sizeof records);
    if (vitp_spool_step(&w) && w.record) { /* its first record: id and time tell it from others */
        vitp_sha256_add(&sha, &w.frame, sizeof w.frame);
        vitp_sha256_add(&sha, w.record, w.frame.size);
    }
    vitp_sha256_end(&sha, digest);
    vitp_text_hex(key, digest, 16);
}

/* A part of a batch is about to be sent: the next start repeats it as it is. */
static void vitp_spool_note_part(vitp_spool *s, uint32_t records)
{
    if (s->in.head.under_way == records) return;
    s->in.head.under_way = records;
    (void)vitp_spool_write_head(&s->in);
}

/* The server is busy with what may be the first try of the next batch. Returns how often it was so,
   in other runs, too: programs that run for a moment do not ask for ever. 0: it is no whole batch
   of so many records. */
static uint32_t vitp_spool_note_busy(vitp_spool *s, uint32_t records)
{
    vitp_spool_unit  u;
    vitp_spool_walk  w;
    vitp_spool_batch batch;
    uint64_t         at;
    if (!vitp_spool_unit_of(s, &u, &w) || u.records == 0 || u.records != records) return 0;
    at = u.begin - sizeof batch;
    memcpy(&batch, s->bytes + at, sizeof batch);
    batch.sent += batch.sent == 0 ? 2u : 1u;
    batch.check = vitp_spool_crc(0, &batch, offsetof(vitp_spool_batch, check));
    memcpy(s->bytes + at, &batch, sizeof batch);
    (void)vitp_os_pool_write(&s->in.file, at, &batch, sizeof batch);
    return batch.sent - 1u;
}

/* What lies before `end` is answered. The caller counts what became of the records. */
static void vitp_spool_release(vitp_spool *s, uint64_t end, uint32_t records)
{
    vitp_spool_uncount(s, records);
    vitp_spool_note_batch(s, records);
    s->in.records -= records < s->in.records ? records : s->in.records;
    s->at = s->in.head.begin = end;
    s->in.head.under_way = 0;
    s->tried = false;
    if (s->in.records == 0) vitp_spool_finish_in(s);
    else (void)vitp_spool_write_head(&s->in);
}

#define VITP_SPOOL_LOOKS 16u /* in the folder, while it changes */

/* Is a batch of this key in a file, also one that somebody has open, or was it? */
typedef struct vitp_spool_quest {
    vitp_spool *spool;
    const char *key;   /* NULL: only the names are looked at */
    uint64_t    names; /* of all files, in one number */
    bool        found;
} vitp_spool_quest;

static bool vitp_spool_look_for(const char *folder, const char *name, void *user)
{
    vitp_spool_quest *q = (vitp_spool_quest *)user;
    vitp_spool_file   f;
    vitp_spool_walk   w;
    char             *bytes, path[VITP_POOL_PATH_MAX];
    (void)folder;
    if (!vitp_spool_name_tail(q->spool, name) || !vitp_spool_is_finished(name)) return true;
    vitp_spool_path(q->spool, name, path);
    q->names += vitp_spool_crc(0, name, strlen(name));
    if (!q->key) return true;
    memset(&f, 0, sizeof f);
    (void)vitp_os_pool_open(&f.file, path);
    vitp_os_pool_share(&f.file); /* whoever finds a file locked does not look again soon */
    bytes = f.file.open && f.file.size <= q->spool->cap ? vitp_spool_load(q->spool, &f) : NULL;
    w = vitp_spool_walk_from(bytes, sizeof f.head, f.head.end);
    while (bytes && !q->found && vitp_spool_step(&w))
        q->found = !w.record && memcmp(w.batch.key, q->key, 32) == 0;
    if (bytes) q->spool->allocator.free_fn(bytes, q->spool->allocator.user);
    vitp_os_pool_unlock(&f.file);
    return !q->found;
}

/* A file that gets another name meanwhile, by whoever reads it, may be missed: so until all names
   are afterwards what they were. */
static bool vitp_spool_holds(vitp_spool *s, const char *key)
{
    vitp_spool_quest q, after;
    uint32_t         turns;
    memset(&q, 0, sizeof q);
    q.spool = s;
    q.key = key;
    if (!s->folder[0] || !vitp_os_is_private(s->folder)) return false;
    for (turns = 0; turns < VITP_SPOOL_LOOKS; turns++) {
        q.names = 0;
        after = q;
        after.key = NULL;
        (void)vitp_os_each_file(s->folder, vitp_spool_look_for, &q);
        if (q.found) return true;
        (void)vitp_os_each_file(s->folder, vitp_spool_look_for, &after);
        if (q.names == after.names) return false;
    }
    return false;
}

/* ---- room -------------------------------------------------------------------------------- */

/* One whose process was killed before it got its name goes. */
static bool vitp_spool_add_size(const char *folder, const char *name, void *user)
{
    vitp_spool  *s = (vitp_spool *)user;
    vitp_os_pool file;
    char         path[VITP_POOL_PATH_MAX];
    (void)folder;
    if (!vitp_spool_name_tail(s, name)) return true;
    vitp_spool_path(s, name, path);
    if (!vitp_spool_is_finished(name)) {
        if (vitp_os_pool_open(&file, path) == VITP_OS_FOUND_OURS) vitp_os_pool_remove(&file);
        vitp_os_pool_unlock(&file);
    }
    s->used += vitp_os_size_of(path);
    return true;
}

/* Under the folder's lock: how much all files take. One that gets another name meanwhile, by
   whoever reads it, may be missed: so until two looks agree. False: they do not. */
static bool vitp_spool_measure(vitp_spool *s)
{
    uint64_t before;
    uint32_t turns;
    s->used = UINT64_MAX;
    for (turns = 0; turns < VITP_SPOOL_LOOKS; turns++) {
        before = s->used;
        s->used = 0;
        (void)vitp_os_each_file(s->folder, vitp_spool_add_size, s);
        if (s->used == before) return true;
    }
    return false;
}

/* Removes the oldest file of a kind that nobody has open. False: there is none. */
static bool vitp_spool_evict(vitp_spool *s, char kind)
{
    vitp_spool_search search;
    vitp_spool_file   f;
    uint64_t          size;
    char             *bytes;
    memset(&f, 0, sizeof f);
    vitp_spool_search_init(&search, s, kind);
    if (!vitp_spool_open_next(&search, &f.file)) return false;
    size = f.file.size;
    bytes = vitp_spool_load(s, &f);
    vitp_spool_drop(s, vitp_spool_account(s, &f, bytes), VIT_DROP_SPOOL_FULL);
    if (bytes) s->allocator.free_fn(bytes, s->allocator.user);
    vitp_spool_remove(&f.file);
    s->used -= size < s->used ? size : s->used;
    return true;
}

#define VITP_SPOOL_EVICTS 64u /* files at a time: a limit for folders that are full of them */

/* Makes room for bytes of a batch. False: only what is worth more could give way, or too much is in
   the way for now. */
static bool vitp_spool_make_room(vitp_spool *s, size_t bytes, bool errors)
{
    uint32_t turns = 0;
    while (s->used + bytes + VITP_SPOOL_OTHER > s->cap) {
        if (s->polite || turns++ == VITP_SPOOL_EVICTS) return false;
        if (vitp_spool_evict(s, 'u')) continue;
        if (errors && s->out[0].file.open) {
            vitp_spool_retire(s, &s->out[0]);
        } else if (!errors || !vitp_spool_evict(s, 'e')) {
            s->full = true;
            return false;
        }
    }
    return true;
}

/* ---- writing ----------------------------------------------------------------------------- */

static uint32_t vitp_spool_file_max(const vitp_spool *s)
{
    uint32_t part = s->cap / VITP_SPOOL_PARTS;
    return part < VITP_SPOOL_FILE_MIN   ? VITP_SPOOL_FILE_MIN
           : part > VITP_SPOOL_FILE_MAX ? VITP_SPOOL_FILE_MAX
                                        : part;
}

/* Goes on with the newest file that nobody has open, if there is room in it: programs that run for
   a moment do not fill the folder with files. One of before a clock was set back is not the newest:
   else, full, it would keep them from all others. */
static bool vitp_spool_go_on(vitp_spool *s, vitp_spool_file *f, bool errors)
{
    vitp_spool_search  search;
    vitp_spool_closed *own;
    uint32_t           now_s = (uint32_t)vitp_os_wall_s();
    vitp_spool_search_init(&search, s, errors ? 'e' : 'u');
    search.newest = true;
    (void)snprintf(search.after, sizeof search.after, "%s.%08lx", s->client_type,
                   (unsigned long)(now_s < s->begun_s ? s->begun_s : now_s) + 1u);
    if (!vitp_spool_open_next(&search, &f->file)) return false;
    own = vitp_spool_closed_of(s, f->file.path);
    if (f->file.size < vitp_spool_file_max(s) && vitp_spool_read_head(f) &&
        vitp_os_pool_cut(&f->file, f->head.end) && vitp_spool_claim(s, &f->file)) {
        s->used -= f->file.size - f->head.end;
        f->file.size = f->head.end;
        if (own) f->records = vitp_spool_forget_closed(s, own);
        return true;
    }
    vitp_os_pool_unlock(&f->file);
    memset(f, 0, sizeof *f);
    return false;
}

static bool vitp_spool_create(vitp_spool *s, vitp_spool_file *f, bool errors)
{
    char     path[VITP_POOL_PATH_MAX], stamp[17];
    uint32_t now_s = (uint32_t)vitp_os_wall_s();
    /* files of one second keep their order, and so do those of before a clock was set back */
    s->begun_s = now_s > s->begun_s ? now_s : s->begun_s + 1u;
    (void)snprintf(stamp, sizeof stamp, "%08lx", (unsigned long)s->begun_s);
    if (!vitp_spool_make_room(s, sizeof f->head, errors)) return false;
    if (!vitp_spool_own_path(s, stamp, errors, path) || !vitp_os_pool_begin(&f->file, path))
        return false;
    vitp_spool_init_head(&f->head);
    if (vitp_spool_write_head(f) && vitp_os_pool_rename(&f->file, path)) {
        s->used += sizeof f->head;
        return true;
    }
    vitp_os_pool_remove(&f->file);
    memset(f, 0, sizeof *f);
    return false;
}

/* Begins a batch; the folder is held, and `used` is right. errors: it has an error event. */
static bool vitp_spool_begin(vitp_spool *s, bool errors)
{
    vitp_spool_file *f = &s->out[errors ? 1 : 0];
    s->full = false;
    if (f->file.open && (f->head.end >= vitp_spool_file_max(s) || !vitp_os_pool_is_there(&f->file)))
        vitp_spool_retire(s, f); /* it is full, or somebody removed it */
    if (!f->file.open && !vitp_os_make_folder(s->folder)) return false;
    if (!f->file.open && !vitp_spool_go_on(s, f, errors) && !vitp_spool_create(s, f, errors))
        return false;
    s->position = f->head.end;
    s->filled = sizeof(vitp_spool_batch); /* written last */
    memset(s->buffer, 0, s->filled);
    return true;
}

static bool vitp_spool_write(vitp_spool *s, bool errors)
{
    vitp_spool_file *f = &s->out[errors ? 1 : 0];
    if (!vitp_spool_make_room(s, s->filled, errors)) return false;
    if (!vitp_os_pool_write(&f->file, s->position, s->buffer, s->filled)) return false;
    s->position += s->filled;
    s->used += s->filled;
    s->filled = 0;
    return true;
}

/* Where the next record is to be written, VITP_SPOOL_RECORD_MAX bytes; NULL: it failed. */
static char *vitp_spool_place(vitp_spool *s, bool errors)
{
    size_t need = sizeof(vitp_spool_frame) + VITP_SPOOL_RECORD_MAX;
    if (VITP_EVENT_JSON_MAX - s->filled < need && !vitp_spool_write(s, errors)) return NULL;
    return s->buffer + s->filled + sizeof(vitp_spool_frame);
}

/* A record of size bytes was written there. */
static void vitp_spool_add(vitp_spool *s, size_t size)
{
    vitp_spool_frame frame;
    frame.magic = VITP_SPOOL_RECORD;
    frame.size = (uint32_t)size;
    frame.mark = s->mark;
    frame.check = vitp_spool_check_record(&frame, s->buffer + s->filled + sizeof frame);
    memcpy(s->buffer + s->filled, &frame, sizeof frame);
    s->filled += sizeof frame + size;
}

/* Nothing of the batch remains. */
static void vitp_spool_undo(vitp_spool *s, bool errors)
{
    vitp_spool_file *f = &s->out[errors ? 1 : 0];
    if (!f->file.open) return;
    if (!vitp_os_pool_cut(&f->file, f->head.end)) {
        vitp_spool_retire(s, f);
        return;
    }
    s->used -= s->position - f->head.end;
    if (f->head.begin < f->head.end) return;
    vitp_os_pool_remove(&f->file); /* it holds nothing */
    s->used -= sizeof f->head;
    memset(f, 0, sizeof *f);
}

/* Ends a batch of so many records: from now on it is in the spool. False: it is not. */
static bool vitp_spool_end(vitp_spool *s, bool errors, const char key[33], bool sent,
                           uint32_t records)
{
    vitp_spool_file *f = &s->out[errors ? 1 : 0];
    vitp_spool_batch batch;
    uint64_t         end = f->head.end;
    if (!vitp_spool_write(s, errors)) return false;
    memset(&batch, 0, sizeof batch);
    batch.magic = VITP_SPOOL_BATCH;
    batch.records = records;
    batch.sent = sent ? 1u : 0u;
    memcpy(batch.key, key, 32);
    batch.check = vitp_spool_crc(0, &batch, offsetof(vitp_spool_batch, check));
    if (!vitp_os_pool_write(&f->file, end, &batch, sizeof batch)) return false;
    f->head.end = s->position;
    if (!vitp_spool_write_head(f)) {
        f->head.end = end;
        return false;
    }
    f->records += records;
    vitp_spool_count(&s->records, records);
    vitp_spool_note_batch(s, records);
    VITP_ATOMIC_STORE(&s->alone, 0u);
    return true;
}

/* ---- forgetting -------------------------------------------------------------------------- */

static bool vitp_spool_remove_one(const char *folder, const char *name, void *user)
{
    vitp_spool  *s = (vitp_spool *)user;
    vitp_os_pool file;
    char         path[VITP_POOL_PATH_MAX];
    (void)folder;
    if (!vitp_spool_name_tail(s, name)) return true;
    vitp_spool_path(s, name, path);
    if (!s->all && (!vitp_spool_is_finished(name) || !vitp_spool_closed_of(s, name))) return true;
    if (vitp_os_pool_open(&file, path) == VITP_OS_FOUND_OURS) vitp_spool_remove(&file);
    vitp_os_pool_unlock(&file);
    return true;
}

/* Removes what this client has; all: and what nobody has open. */
static void vitp_spool_forget(vitp_spool *s, vit_drop reason, bool all)
{
    uint32_t i;
    if (!s->folder[0] || (!all && VITP_ATOMIC_LOAD_PTR(&s->records) == 0)) return;
    s->all = all;
    if (s->bytes) vitp_spool_finish_in(s);
    for (i = 0; i < 2; i++)
        if (s->out[i].file.open) {
            vitp_spool_remove(&s->out[i].file);
            memset(&s->out[i], 0, sizeof s->out[i]);
        }
    if (vitp_os_is_private(s->folder)) (void)vitp_os_each_file(s->folder, vitp_spool_remove_one, s);
    s->closed_count = 0;
    vitp_spool_drop(s, (uint32_t)VITP_ATOMIC_LOAD_PTR(&s->records), reason);
}

/* Closes the files, which stay. */
static void vitp_spool_leave(vitp_spool *s)
{
    uint32_t i;
    if (s->bytes) vitp_spool_close_in(s);
    for (i = 0; i < 2; i++) vitp_os_pool_unlock(&s->out[i].file);
}
#else
typedef struct vitp_spool {
    uintptr_t records, adopted, handed_over, dropped[VIT_DROP_COUNT];
} vitp_spool;
static void vitp_spool_forget(vitp_spool *s, vit_drop reason, bool all)
{
    (void)s, (void)reason, (void)all;
}
static void     vitp_spool_leave(vitp_spool *s) { (void)s; }
static uint64_t vitp_spool_requests(const vitp_spool *s)
{
    (void)s;
    return 1;
}
static bool vitp_spool_is_empty(const vitp_spool *s)
{
    (void)s;
    return true;
}
static bool vitp_spool_is_held_up(const vitp_spool *s)
{
    (void)s;
    return false;
}
static void vitp_spool_look_again(vitp_spool *s) { (void)s; }
static void vitp_spool_give_back(vitp_spool *s) { (void)s; }
#endif

/* ============================================================================================
   >>settings: one small text file of `name = value` lines, private to the user
   ============================================================================================ */

typedef struct vitp_settings {
    bool        off;        /* telemetry_enabled is anything but true */
    bool        unreadable; /* the file, or its consent: a refusal until the user decides anew */
    bool        known;      /* some name was */
    bool        outdated;   /* consent was granted to another version: it counts for nothing */
    bool        later;      /* it could not be read just now; unreadable is set as well */
    bool        has_consent, has_hwid, has_salt;
    vit_consent consent;
    uint32_t    version; /* of the consent; 0: none was given */
    char        hwid[37], salt[33];
} vitp_settings;

static bool vitp_settings_is(const char *text, size_t size, const char *word)
{
    return size == strlen(word) && memcmp(text, word, size) == 0;
}

/* Do two files say the same? */
static bool vitp_settings_same(const vitp_settings *a, const vitp_settings *b)
{
    return !a->later && !b->later && a->off == b->off && a->unreadable == b->unreadable &&
           a->outdated == b->outdated && a->has_consent == b->has_consent &&
           a->consent == b->consent && strcmp(a->hwid, b->hwid) == 0 &&
           strcmp(a->salt, b->salt) == 0;
}

static bool vitp_settings_begins(const char *text, size_t size, const char *word)
{
    size_t n = strlen(word);
    return size >= n && memcmp(text, word, n) == 0;
}

/* Blanks around a text are not looked at. */
static const char *vitp_settings_trim(const char *text, size_t *size)
{
    while (*size > 0 && vitp_text_is_space(*text)) text++, (*size)--;
    while (*size > 0 && vitp_text_is_space(text[*size - 1])) (*size)--;
    return text;
}

/* Gets `name = value`. A line without = is a name alone, and value is NULL. */
typedef void (*vitp_settings_fn)(void *user, const char *name, size_t name_size, const char *value,
                                 size_t size);

static void vitp_settings_line(const char *line, size_t size, vitp_settings_fn line_fn, void *user)
{
    const char *equals, *value;
    size_t      name_size, value_size;
    line = vitp_settings_trim(line, &size);
    if (size == 0 || line[0] == '#' || line[0] == ';') return;
    equals = (const char *)memchr(line, '=', size);
    if (!equals) {
        line_fn(user, line, size, NULL, 0);
        return;
    }
    name_size = (size_t)(equals - line);
    value_size = size - name_size - 1;
    value = vitp_settings_trim(equals + 1, &value_size);
    line = vitp_settings_trim(line, &name_size);
    line_fn(user, line, name_size, value, value_size);
}

/* All lines but comments. */
static void vitp_settings_each(const char *text, size_t size, vitp_settings_fn line_fn, void *user)
{
    if (vitp_settings_begins(text, size, "\xEF\xBB\xBF"))
        text += 3, size -= 3; /* an editor's mark */
    while (size > 0) {
        const char *end = (const char *)memchr(text, '\n', size);
        size_t      line = end ? (size_t)(end - text) + 1 : size;
        vitp_settings_line(text, line, line_fn, user);
        text += line;
        size -= line;
    }
}

#ifndef VITELEMETRY_NO_FILES
static const char *vitp_settings_consent_text(vit_consent consent)
{
    static const char *const texts[] = { "unknown", "denied", "granted", "verbose" };
    return texts[(uint32_t)consent];
}

static void vitp_settings_consent(vitp_settings *s, const char *value, size_t size)
{
    uint32_t i;
    for (i = 0; i < 4; i++)
        if (vitp_settings_is(value, size, vitp_settings_consent_text((vit_consent)i))) break;
    if (i == 4) s->unreadable = true;
    else if (!s->has_consent || i == (uint32_t)VIT_CONSENT_DENIED) s->consent = (vit_consent)i;
    s->has_consent = i < 4 || s->has_consent;
}

static void vitp_settings_version(vitp_settings *s, const char *value, size_t size)
{
    uint32_t version = 0;
    size_t   i;
    for (i = 0; i < size && i < 10 && value[i] >= '0' && value[i] <= '9'; i++)
        version = version * 10u + (uint32_t)(value[i] - '0');
    if (i < size || i == 10 || version == 0 || (s->version && s->version != version))
        s->unreadable = true;
    s->version = version;
}

/* A consent that cannot be read is a refusal; an identity that cannot is made anew. */
static void vitp_settings_take(void *settings, const char *name, size_t name_size,
                               const char *value, size_t size)
{
    vitp_settings *s = (vitp_settings *)settings;
    unsigned char  id[16];
    char           text[37];
    bool           known = s->known;
    s->known = true;
    if (!value) { /* a switch without a value refuses */
        s->known = known;
        if (vitp_settings_begins(name, name_size, "telemetry_enabled") ||
            vitp_settings_begins(name, name_size, "consent"))
            s->unreadable = true;
    } else if (vitp_settings_is(name, name_size, "telemetry_enabled")) {
        if (!vitp_settings_is(value, size, "true")) s->off = true;
    } else if (vitp_settings_is(name, name_size, "consent")) {
        vitp_settings_consent(s, value, size);
    } else if (vitp_settings_is(name, name_size, "consent_version")) {
        vitp_settings_version(s, value, size);
    } else if (vitp_settings_is(name, name_size, "hwid") && size == 36) {
        memcpy(text, value, 36);
        text[36] = 0;
        s->has_hwid = vitp_text_parse_uuid(id, text);
        if (s->has_hwid) vitp_text_uuid(s->hwid, id);
    } else if (vitp_settings_is(name, name_size, "salt") && size == 32 &&
               vitp_text_is_hex(value, size)) {
        memcpy(s->salt, value, 32);
        s->salt[32] = 0;
        s->has_salt = true;
    } else {
        s->known = known || vitp_settings_is(name, name_size, "hwid") ||
                   vitp_settings_is(name, name_size, "salt");
    }
}

/* A text in which nothing is known may have held a refusal, and counts as one; an empty one holds
   nothing. What was granted to another version of the inventory of what is sent was not granted to
   this one; a refusal stands. */
static void vitp_settings_parse(vitp_settings *s, const char *text, size_t size)
{
    memset(s, 0, sizeof *s);
    vitp_settings_each(text, size, vitp_settings_take, s);
    if (!s->known && size > 0) s->unreadable = true;
    if (s->consent >= VIT_CONSENT_GRANTED &&
        (s->version ? s->version : 1u) != (uint32_t)VITELEMETRY_CONSENT_VERSION) {
        s->outdated = true;
        s->has_consent = false;
        s->consent = VIT_CONSENT_UNKNOWN;
    }
}

/* Size of the text, which fits VITP_SETTINGS_MAX. */
static size_t vitp_settings_print(const vitp_settings *s, char out[VITP_SETTINGS_MAX])
{
    int n = snprintf(out, VITP_SETTINGS_MAX,
                     "# Telemetry. Set telemetry_enabled to false to turn it off for this user.\n"
                     "telemetry_enabled = %s\n",
                     s->off ? "false" : "true");
    if (s->has_consent)
        n += snprintf(
            out + n, VITP_SETTINGS_MAX - (size_t)n, "consent = %s\nconsent_version = %lu\n",
            vitp_settings_consent_text(s->consent), (unsigned long)VITELEMETRY_CONSENT_VERSION);
    if (s->has_hwid) n += snprintf(out + n, VITP_SETTINGS_MAX - (size_t)n, "hwid = %s\n", s->hwid);
    if (s->has_salt) n += snprintf(out + n, VITP_SETTINGS_MAX - (size_t)n, "salt = %s\n", s->salt);
    return (size_t)n;
}
#endif /* !VITELEMETRY_NO_FILES */

/* ============================================================================================
   >>backoff: when to try again. Full jitter: the wait is random between 0 and a bound that
   doubles from 1 s to 15 min, so that clients that failed together do not return together.
   ============================================================================================ */

#define VITP_BACKOFF_FIRST_MS      1000u
#define VITP_BACKOFF_MAX_MS        900000u
#define VITP_BACKOFF_RETRY_AFTER_S 86400u /* no server may silence us for longer */

/* Failed requests: 60 at once, then one a minute, which makes at most 120 in any hour. */
#define VITP_BACKOFF_EACH_NS  UINT64_C(60000000000)
#define VITP_BACKOFF_BURST_NS (59u * VITP_BACKOFF_EACH_NS)

/* After an outage, which lasts as long as this at least, what waits on disk is spread over its
   length, but all of it is to be gone an hour after the server came back, at some time
   since the last failure. */
#define VITP_BACKOFF_OUTAGE_NS (UINT64_C(30) * 1000000000u)
#define VITP_BACKOFF_SPREAD_NS (UINT64_C(3540) * 1000000000u)

/* All times are of the monotonic clock; 0: now. */
typedef struct vitp_backoff {
    uint32_t failures;
    uint64_t until_ns;
    bool     by_server;         /* until_ns is a Retry-After: nothing overrides it */
    uint64_t extra_ns;          /* and this is added, that not all clients come in one second */
    uint64_t debt_ns;           /* when all failures will have been paid for */
    uint64_t first_ns, last_ns; /* of the failures */
    uint64_t spread_ns;         /* until when what waits on disk is spread */
    uint64_t spool_ns;          /* when the next of it may go */
} vitp_backoff;

static void vitp_backoff_succeed(vitp_backoff *b, uint64_t now_ns)
{
    uint64_t spread_ns = now_ns - b->first_ns, since_ns = now_ns - b->last_ns;
    uint64_t unknown_ns = (uint64_t)VITP_BACKOFF_MAX_MS * VITP_MS, most_ns = VITP_BACKOFF_SPREAD_NS;
    most_ns -= since_ns < unknown_ns ? since_ns : unknown_ns;
    if (b->failures > 0 && spread_ns >= VITP_BACKOFF_OUTAGE_NS)
        b->spread_ns = now_ns + (spread_ns < most_ns ? spread_ns : most_ns);
    b->failures = 0;
    b->until_ns = b->extra_ns = 0;
    b->by_server = false;
}

/* When the next of so many requests from the disk may go, between the others. */
static void vitp_backoff_spread(vitp_backoff *b, uint64_t requests, uint64_t now_ns,
                                uint64_t random)
{
    b->spool_ns = 0;
    if (now_ns < b->spread_ns && requests > 0)
        b->spool_ns = now_ns + random % ((b->spread_ns - now_ns) / requests * 2u + 1u);
    if (b->spool_ns > b->spread_ns) b->spool_ns = b->spread_ns;
}

/* An answer that is not 2xx, or none. */
static void vitp_backoff_count(vitp_backoff *b, uint64_t now_ns)
{
    b->debt_ns = (b->debt_ns > now_ns ? b->debt_ns : now_ns) + VITP_BACKOFF_EACH_NS;
}

/* The server asks for this wait: nobody comes before, and most a little later. */
static void vitp_backoff_obey(vitp_backoff *b, uint32_t retry_after_s, uint64_t now_ns,
                              uint64_t random)
{
    uint64_t wait_ns, most_ns = (uint64_t)VITP_BACKOFF_MAX_MS * VITP_MS;
    if (retry_after_s > VITP_BACKOFF_RETRY_AFTER_S) retry_after_s = VITP_BACKOFF_RETRY_AFTER_S;
    wait_ns = (uint64_t)retry_after_s * 1000000000u;
    b->by_server = true;
    b->until_ns = now_ns + wait_ns;
    if (wait_ns > most_ns) b->last_ns = b->until_ns; /* it knows when it will be back */
    if (most_ns > wait_ns / 4u) most_ns = wait_ns / 4u;
    if (most_ns > (uint64_t)VITP_BACKOFF_RETRY_AFTER_S * 1000000000u - wait_ns)
        most_ns = (uint64_t)VITP_BACKOFF_RETRY_AFTER_S * 1000000000u - wait_ns;
    b->extra_ns = random % (most_ns + 1u);
}

static void vitp_backoff_fail(vitp_backoff *b, uint32_t retry_after_s, uint64_t now_ns,
                              uint64_t random)
{
    uint64_t bound_ms = VITP_BACKOFF_FIRST_MS, wait_ms;
    uint32_t i;
    if (b->failures == 0) b->first_ns = now_ns;
    for (i = 0; i < b->failures && bound_ms < VITP_BACKOFF_MAX_MS; i++) bound_ms *= 2;
    if (bound_ms > VITP_BACKOFF_MAX_MS) bound_ms = VITP_BACKOFF_MAX_MS;
    wait_ms = random % (bound_ms + 1u);
    b->last_ns = now_ns;
    b->by_server = false;
    b->extra_ns = 0;
    b->until_ns = now_ns + wait_ms * VITP_MS;
    if (retry_after_s > 0) vitp_backoff_obey(b, retry_after_s, now_ns, random);
    if (b->failures < 0xFFFFFFFFu) b->failures++;
}

/* When the next request may go. hurry: somebody waits for it. */
static uint64_t vitp_backoff_next_ns(const vitp_backoff *b, bool hurry)
{
    uint64_t least_ns = b->by_server ? b->until_ns : 0;
    uint64_t until_ns = hurry ? least_ns : b->until_ns + b->extra_ns;
    uint64_t paid_ns = b->debt_ns > VITP_BACKOFF_BURST_NS ? b->debt_ns - VITP_BACKOFF_BURST_NS : 0;
    return until_ns > paid_ns ? until_ns : paid_ns;
}

static bool vitp_backoff_is_due(const vitp_backoff *b, uint64_t now_ns, bool hurry)
{
    return now_ns >= vitp_backoff_next_ns(b, hurry);
}

/* What an answer means for the batch. */
typedef enum vitp_outcome {
    VITP_OUTCOME_RETRY,
    VITP_OUTCOME_DELIVERED,
    VITP_OUTCOME_REJECTED,
    VITP_OUTCOME_PAUSE,
    VITP_OUTCOME_STOP,
    VITP_OUTCOME_PENDING
} vitp_outcome;

/* The first row that holds the status counts (RFC 9110, 15). */
static vitp_outcome vitp_backoff_outcome(int status)
{
    static const struct {
        int          first, last;
        vitp_outcome outcome;
    } rows[] = {
        { VIT_HTTP_PENDING, VIT_HTTP_PENDING, VITP_OUTCOME_PENDING },
        { 200, 299, VITP_OUTCOME_DELIVERED },
        { 300, 399, VITP_OUTCOME_STOP }, /* moved: redirects are not followed */
        { 401, 401, VITP_OUTCOME_PAUSE },
        { 403, 403, VITP_OUTCOME_PAUSE },
        { 404, 404, VITP_OUTCOME_STOP },
        { 410, 410, VITP_OUTCOME_STOP },
        { 407, 408, VITP_OUTCOME_RETRY },
        { 425, 425, VITP_OUTCOME_RETRY },
        { 429, 429, VITP_OUTCOME_RETRY },
        { 400, 499, VITP_OUTCOME_REJECTED },
    };
    size_t i;
    for (i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (status >= rows[i].first && status <= rows[i].last) return rows[i].outcome;
    return VITP_OUTCOME_RETRY;
}

/* ---- HTTP date (RFC 9110, 5.6.7), of which the day of the week is not looked at ---------- */

static bool vitp_backoff_number(const char **at, size_t digits, int64_t *value)
{
    size_t i;
    *value = 0;
    for (i = 0; i < digits; i++) {
        if (!vitp_text_is_digit((*at)[i])) return false;
        *value = *value * 10 + ((*at)[i] - '0');
    }
    *at += digits;
    return true;
}

static bool vitp_backoff_month(const char **at, int64_t *month)
{
    static const char names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    int64_t           i;
    for (i = 0; i < 12; i++) {
        if (strncmp(*at, names + 3 * i, 3) != 0) continue;
        *at += 3;
        *month = i + 1;
        return true;
    }
    return false;
}

static bool vitp_backoff_char(const char **at, char c)
{
    if (**at != c) return false;
    (*at)++;
    return true;
}

static bool vitp_backoff_clock(const char **at, int64_t *seconds)
{
    int64_t h, m, s;
    if (!vitp_backoff_number(at, 2, &h) || !vitp_backoff_char(at, ':') ||
        !vitp_backoff_number(at, 2, &m) || !vitp_backoff_char(at, ':') ||
        !vitp_backoff_number(at, 2, &s))
        return false;
    *seconds = h * 3600 + m * 60 + s;
    return h < 24 && m < 60 && s <= 60;
}

/* Days from 1970-01-01 in the Gregorian calendar. */
static int64_t vitp_backoff_days(int64_t year, int64_t month, int64_t day)
{
    int64_t y = month <= 2 ? year - 1 : year; /* years begin in March: the leap day comes last */
    return y * 365 + y / 4 - y / 100 + y / 400 + (153 * ((month + 9) % 12) + 2) / 5 + day - 1 -
           719468;
}

/* The last year with these two digits that is at most 50 years ahead. */
static int64_t vitp_backoff_century(int64_t year, int64_t now_s)
{
    int64_t most_s = INT64_C(253402300799); /* no clock of a year that has more than 4 digits */
    int64_t past_s = now_s < 0 ? 0 : now_s < most_s ? now_s : most_s;
    int64_t latest = 1970 + past_s / 31556952 + 50;
    return latest - (latest - year) % 100;
}

/* ` 06 Nov 1994 08:49:37 GMT` or ` 06-Nov-94 08:49:37 GMT`, behind the comma. */
static bool vitp_backoff_date_gmt(const char *at, int64_t now_s, int64_t date[3], int64_t *seconds)
{
    char dash;
    if (!vitp_backoff_char(&at, ' ') || !vitp_backoff_number(&at, 2, &date[2])) return false;
    dash = *at == '-' ? '-' : ' ';
    if (!vitp_backoff_char(&at, dash) || !vitp_backoff_month(&at, &date[1]) ||
        !vitp_backoff_char(&at, dash))
        return false;
    if (!vitp_backoff_number(&at, dash == '-' ? 2 : 4, &date[0])) return false;
    if (dash == '-') date[0] = vitp_backoff_century(date[0], now_s);
    return vitp_backoff_char(&at, ' ') && vitp_backoff_clock(&at, seconds) &&
           strncmp(at, " GMT", 4) == 0 && at[4 + strspn(at + 4, " \t")] == 0;
}

/* `Sun Nov  6 08:49:37 1994` */
static bool vitp_backoff_date_c(const char *at, int64_t date[3], int64_t *seconds)
{
    if (vitp_text_size(at, 24) < 24) return false;
    at += 4;
    if (!vitp_backoff_month(&at, &date[1]) || !vitp_backoff_char(&at, ' ')) return false;
    if (!vitp_backoff_number(&at, vitp_backoff_char(&at, ' ') ? 1 : 2, &date[2])) return false;
    return vitp_backoff_char(&at, ' ') && vitp_backoff_clock(&at, seconds) &&
           vitp_backoff_char(&at, ' ') && vitp_backoff_number(&at, 4, &date[0]) &&
           at[strspn(at, " \t")] == 0;
}

/* The three forms of RFC 9110, of which the last two are obsolete. */
static bool vitp_backoff_date(const char *text, int64_t now_s, int64_t *unix_s)
{
    const char *comma = strchr(text, ',');
    int64_t     date[3] = { 0, 0, 0 }, seconds = 0, first; /* year, month, day */
    bool        ok = comma ? vitp_backoff_date_gmt(comma + 1, now_s, date, &seconds)
                           : vitp_backoff_date_c(text, date, &seconds);
    if (!ok) return false;
    first = vitp_backoff_days(date[0], date[1], 1);
    if (date[2] < 1 ||
        date[2] > vitp_backoff_days(date[0] + date[1] / 12, date[1] % 12 + 1, 1) - first)
        return false;
    *unix_s = (first + date[2] - 1) * 86400 + seconds;
    return true;
}

uint32_t vit_retry_after(const char *header_value, int64_t now_s)
{
    int64_t wait_s = 0;
    if (!header_value) return 0;
    while (*header_value == ' ' || *header_value == '\t') header_value++;
    if (vitp_text_is_digit(*header_value)) {
        for (; vitp_text_is_digit(*header_value); header_value++)
            if (wait_s <= (int64_t)VITP_BACKOFF_RETRY_AFTER_S)
                wait_s = wait_s * 10 + (*header_value - '0');
        while (vitp_text_is_space(*header_value)) header_value++;
        if (*header_value) return 0;
    } else {
        if (!vitp_backoff_date(header_value, now_s, &wait_s) || wait_s <= now_s) return 0;
        if (now_s < wait_s - (int64_t)VITP_BACKOFF_RETRY_AFTER_S) return VITP_BACKOFF_RETRY_AFTER_S;
        wait_s -= now_s;
    }
    return wait_s > (int64_t)VITP_BACKOFF_RETRY_AFTER_S ? VITP_BACKOFF_RETRY_AFTER_S
                                                        : (uint32_t)wait_s;
}

/* Of a request: free, not wanted any more, or handed over. Whoever changes it from free first
   decides whether it is sent. */
enum {
    VITP_CANCEL_FREE,
    VITP_CANCEL_WANTED,
    VITP_CANCEL_SENT
};

bool vit_request_cancelled(const vit_request *request)
{
    return request && request->vitp_cancel &&
           VITP_ATOMIC_LOAD((const uint32_t *)request->vitp_cancel) == VITP_CANCEL_WANTED;
}

/* ============================================================================================
   >>curl: a transport by libcurl (7.62 or newer). Certificates are always checked.
   ============================================================================================ */

#ifdef VITELEMETRY_CURL
#if defined(__has_include)
#if !__has_include(<curl/curl.h>)
#error "vitelemetry.h: VITELEMETRY_CURL needs libcurl's headers (Debian: libcurl4-openssl-dev)"
#endif
#endif
#include <curl/curl.h>

#define VITP_CURL_HEAD_MAX 65536u /* bytes of status lines, headers and trailers of one answer */
#define VITP_CURL_BODY_MAX 65536u /* bytes of body that are waited for: the status is known */
#define VITP_CURL_TURN_MS  20u    /* between two looks at a cancellation */

typedef struct vitp_curl {
    const vit_request *request;
    size_t             head_size, body_size, reply_size;
    uint32_t           retry_after_s;
    bool               complete; /* the head, up to the empty line */
    bool               enough;   /* of the body */
} vitp_curl;

/* A body without end is cut off: each try would take all that the line gives for timeout_ms. */
static size_t vitp_curl_on_body(char *data, size_t one, size_t size, void *user)
{
    vitp_curl         *c = (vitp_curl *)user;
    const vit_request *r = c->request;
    size_t             room, n;
    (void)one;
    c->body_size += size;
    c->enough = c->body_size > VITP_CURL_BODY_MAX;
    if (c->enough) return 0;
    if (!r->reply || r->reply_size == 0) return size;
    room = r->reply_size - 1 - c->reply_size;
    n = size < room ? size : room;
    memcpy(r->reply + c->reply_size, data, n);
    c->reply_size += n;
    r->reply[c->reply_size] = 0;
    return size;
}

static void vitp_curl_retry_after(vitp_curl *c, const char *data, size_t size)
{
    static const char name[] = "retry-after:";
    char              value[64];
    size_t            i, n;
    for (i = 0; i < sizeof name - 1; i++)
        if (i == size || vitp_text_lower(data[i]) != name[i]) return;
    n = size - i < sizeof value - 1 ? size - i : sizeof value - 1;
    memcpy(value, data + i, n);
    while (n > 0 && vitp_text_is_space(value[n - 1])) n--;
    value[n] = 0;
    c->retry_after_s = vit_retry_after(value, vitp_os_wall_s());
}

/* One line: of an interim answer (1xx), of the answer, or of its trailers. */
static size_t vitp_curl_on_header(char *data, size_t one, size_t size, void *user)
{
    vitp_curl *c = (vitp_curl *)user;
    (void)one;
    c->head_size += size;
    if (c->head_size > VITP_CURL_HEAD_MAX) return 0;
    if (size >= 5 && memcmp(data, "HTTP/", 5) == 0) {
        c->complete = false;
        c->retry_after_s = 0;
    }
    if (!c->complete) vitp_curl_retry_after(c, data, size);
    if (size > 0 && (data[0] == '\r' || data[0] == '\n')) c->complete = true;
    return size;
}

static int vitp_curl_on_progress(void *user, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
    (void)a, (void)b, (void)c, (void)d;
    return vit_request_cancelled(((const vitp_curl *)user)->request) ? 1 : 0;
}

/* False: no memory. */
static bool vitp_curl_add_header(struct curl_slist **list, const char *line)
{
    struct curl_slist *longer = curl_slist_append(*list, line);
    if (longer) *list = longer;
    return longer != NULL;
}

/* The request's headers as libcurl's list; false: no memory. Without an empty Expect libcurl asks
   before it sends a large body, and waits a second for who does not answer that. */
static bool vitp_curl_headers(const vit_request *request, struct curl_slist **list)
{
    char        line[VITP_HEADERS_MAX];
    const char *at = request->headers;
    snprintf(line, sizeof line, "Content-Type: %s", request->content_type);
    if (!vitp_curl_add_header(list, line) || !vitp_curl_add_header(list, "Expect:")) return false;
    while (*at) {
        const char *end = strstr(at, "\r\n");
        size_t      size = end ? (size_t)(end - at) : strlen(at);
        if (size >= sizeof line) break;
        memcpy(line, at, size);
        line[size] = 0;
        if (!vitp_curl_add_header(list, line)) return false;
        at = end ? end + 2 : at + size;
    }
    return true;
}

/* A look-up that hangs is left behind, where libcurl would wait for it after the time is up. Its
   thread runs in libcurl, which therefore stays when the plugin that loaded it goes. */
static void vitp_curl_leave_resolver(CURL *curl)
{
#if LIBCURL_VERSION_NUM >= 0x075700 /* 7.87 */
    if (vitp_os_keep_loaded((uintptr_t)curl_version_info(CURLVERSION_NOW)))
        (void)curl_easy_setopt(curl, CURLOPT_QUICK_EXIT, 1L);
#else
    (void)curl;
#endif
}

/* The handle of all requests; NULL: no memory. */
static CURL *vitp_curl_begin(void)
{
    CURL  *curl = curl_easy_init();
    CURLM *multi = curl ? curl_multi_init() : NULL;
    if (!multi) {
        if (curl) curl_easy_cleanup(curl);
        return NULL;
    }
    (void)curl_easy_setopt(curl, CURLOPT_PRIVATE, (char *)multi);
    (void)curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
    (void)curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 1L);
    (void)curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 2L);
    (void)curl_easy_setopt(curl, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
#if LIBCURL_VERSION_NUM >= 0x075500 /* 7.85 */
    (void)curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
#else
    (void)curl_easy_setopt(curl, CURLOPT_PROTOCOLS, (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
    vitp_curl_leave_resolver(curl);
    return curl;
}

/* All that another request may have set. */
static void vitp_curl_describe(CURL *curl, vitp_curl *c, struct curl_slist *headers)
{
    const vit_request *r = c->request;
    uint32_t           ms = r->timeout_ms < 0x7FFFFFFFu ? r->timeout_ms : 0x7FFFFFFFu;
    (void)curl_easy_setopt(curl, CURLOPT_URL, r->url);
    (void)curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    (void)curl_easy_setopt(curl, CURLOPT_POSTFIELDS, r->body);
    (void)curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)r->body_size);
    (void)curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)(ms ? ms : 1u)); /* 0 is for ever */
    (void)curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, vitp_curl_on_body);
    (void)curl_easy_setopt(curl, CURLOPT_WRITEDATA, c);
    (void)curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, vitp_curl_on_header);
    (void)curl_easy_setopt(curl, CURLOPT_HEADERDATA, c);
    (void)curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    (void)curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, vitp_curl_on_progress);
    (void)curl_easy_setopt(curl, CURLOPT_XFERINFODATA, c);
}

/* The connections, which outlive a request. */
static CURLM *vitp_curl_connections(CURL *curl)
{
    char *multi = NULL;
    return curl_easy_getinfo(curl, CURLINFO_PRIVATE, &multi) == CURLE_OK ? (CURLM *)multi : NULL;
}

static void vitp_curl_end(CURL *curl)
{
    CURLM *multi = curl ? vitp_curl_connections(curl) : NULL;
    if (curl) curl_easy_cleanup(curl);
    if (multi) (void)curl_multi_cleanup(multi);
}

/* Waits for the network, VITP_CURL_TURN_MS at most. */
static void vitp_curl_wait(CURLM *multi)
{
#if LIBCURL_VERSION_NUM >= 0x074200 /* 7.66 */
    (void)curl_multi_poll(multi, NULL, 0, (int)VITP_CURL_TURN_MS, NULL);
#else
    int count = 0;
    (void)curl_multi_wait(multi, NULL, 0, (int)VITP_CURL_TURN_MS, &count);
    if (count == 0) vitp_os_sleep(VITP_CURL_TURN_MS / 4u); /* without a socket it does not wait */
#endif
}

/* As curl_easy_perform, which looks at a cancellation only once a second. */
static CURLcode vitp_curl_perform(CURL *curl, const vit_request *request)
{
    CURLM   *multi = vitp_curl_connections(curl);
    CURLMsg *message;
    CURLcode result = CURLE_ABORTED_BY_CALLBACK;
    int      running = 1, left;
    if (!multi || curl_multi_add_handle(multi, curl) != CURLM_OK) return CURLE_FAILED_INIT;
    while (running && !vit_request_cancelled(request) &&
           curl_multi_perform(multi, &running) == CURLM_OK)
        if (running) vitp_curl_wait(multi);
    while ((message = curl_multi_info_read(multi, &left)) != NULL)
        if (message->msg == CURLMSG_DONE) result = message->data.result;
    (void)curl_multi_remove_handle(multi, curl);
    return result;
}

/* False: no answer. */
static bool vitp_curl_ask(CURL *curl, vitp_curl *c, int *http_status)
{
    struct curl_slist *headers = NULL;
    long               status = 0;
    bool               answered = false;
    if (vitp_curl_headers(c->request, &headers)) {
        vitp_curl_describe(curl, c, headers);
        answered = (vitp_curl_perform(curl, c->request) == CURLE_OK || c->enough) && c->complete &&
                   curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status) == CURLE_OK;
    }
    curl_slist_free_all(headers);
    *http_status = (int)status;
    return answered;
}

static vit_response vitp_curl_send(const vit_request *request, void **kept)
{
    vit_response response = { 0, 0 };
    vitp_curl    c = { request, 0, 0, 0, 0, false, false };
    CURL        *curl = kept ? (CURL *)*kept : NULL;
    int          status;
    if (!request) {
        if (kept) *kept = NULL;
        vitp_curl_end(curl);
        return response;
    }
    if (!curl) curl = vitp_curl_begin();
    if (request->reply && request->reply_size) request->reply[0] = 0;
    if (curl && !vit_request_cancelled(request) && vitp_curl_ask(curl, &c, &status)) {
        response.http_status = status;
        response.retry_after_s = c.retry_after_s;
    }
    if (kept) *kept = curl;
    else vitp_curl_end(curl);
    return response;
}

/* CURLOPT_NOSIGNAL leaves SIGPIPE to the caller, and with older libcurls OpenSSL raises it, also in
   the last words on a connection that is kept: in vit_pump and vit_destroy on the host's thread. */
vit_response vit_curl_send(const vit_request *request, void *user)
{
    vit_response response;
    vitp_os_pipe held;
    vitp_os_hold_pipe(&held);
    response = vitp_curl_send(request, (void **)user);
    vitp_os_let_pipe(&held);
    return response;
}

#undef VITP_CURL_TURN_MS
#undef VITP_CURL_HEAD_MAX
#undef VITP_CURL_BODY_MAX
#endif /* VITELEMETRY_CURL */

/* ============================================================================================
   >>winhttp: a transport by WinHTTP, the system's own (Windows 7 or newer). Certificates are
   always checked.

   Each step (send, receive, read) is begun by the caller, who then waits for its end, a cancel or
   the deadline, whichever comes first, and closes the request. WinHTTP may call back for a while
   after that, as while a resolver hangs. So what it touches, the body too, lies in memory that it
   shares with the caller, and whoever leaves last frees it.
   ============================================================================================ */

#ifdef VITELEMETRY_WINHTTP
#if !defined(_WIN32)
#error "vitelemetry.h: VITELEMETRY_WINHTTP is for Windows; elsewhere there is VITELEMETRY_CURL"
#endif
#ifdef VITELEMETRY_CURL
#error "vitelemetry.h: VITELEMETRY_CURL and VITELEMETRY_WINHTTP: which one?"
#endif
#include <wchar.h>
#include <winhttp.h>
#if defined(_MSC_VER)
#pragma comment(lib, "winhttp.lib")
#endif

#define VITP_WINHTTP_TEXT_MAX   2084u /* of a URL, and of the headers, each with NUL: as WinINet */
#define VITP_WINHTTP_HOST_MAX   256u
#define VITP_WINHTTP_ANSWER_MAX 65536u /* bytes of an answer's body that are read */
#define VITP_WINHTTP_AUTO_PROXY 4u     /* WINHTTP_ACCESS_TYPE_AUTOMATIC_PROXY: not in old headers */
#define VITP_WINHTTP_TLS_NEWER  0xA00u /* WINHTTP_FLAG_SECURE_PROTOCOL_TLS1_1 and _2, likewise */
/* Both, each a tick of 16 ms longer than asked, fit VITP_CANCEL_MS. */
#define VITP_WINHTTP_LOOK_MS  4u /* between two looks at the request's cancel flag */
#define VITP_WINHTTP_CLOSE_MS 4u /* how long the last callback is waited for */

typedef struct vitp_winhttp {
    HANDLE step, closed; /* events: a step has ended; the last callback was made */
    LONG   owners;       /* the caller, and WinHTTP until its last callback */
    DWORD  status, size; /* of the step that ended, see there; written before the event is set */
    char   read[4096];   /* WinHTTP's while it reads. The request's body lies behind the struct */
} vitp_winhttp;

static void vitp_winhttp_release(vitp_winhttp *w)
{
    if (InterlockedDecrement(&w->owners) > 0) return;
    if (w->step) VITP_OS(CloseHandle)(w->step);
    if (w->closed) VITP_OS(CloseHandle)(w->closed);
    VITP_OS(free)(w);
}

static vitp_winhttp *vitp_winhttp_new(const vit_request *request)
{
    size_t        size = request->body_size;
    vitp_winhttp *w = size < 0x7FFFFFFFu ? (vitp_winhttp *)VITP_OS(malloc)(sizeof *w + size) : NULL;
    if (!w) return NULL;
    memset(w, 0, sizeof *w);
    if (size > 0) memcpy(w + 1, request->body, size);
    w->owners = 1;
    w->step = VITP_OS(CreateEventA)(NULL, FALSE, FALSE, NULL);
    w->closed = VITP_OS(CreateEventA)(NULL, FALSE, FALSE, NULL);
    if (w->step && w->closed) return w;
    vitp_winhttp_release(w);
    return NULL;
}

/* The step ended, with this number of bytes where it moves any. */
static void vitp_winhttp_end_step(vitp_winhttp *w, DWORD status, DWORD size)
{
    w->status = status;
    w->size = size;
    VITP_OS(SetEvent)(w->step);
}

/* On a thread of WinHTTP's, or inside a call of ours. Nothing comes after HANDLE_CLOSING. */
static void CALLBACK vitp_winhttp_on_status(HINTERNET handle, DWORD_PTR context, DWORD status,
                                            LPVOID information, DWORD size)
{
    vitp_winhttp *w = (vitp_winhttp *)context;
    (void)handle;
    if (!w) return;
    switch (status) {
    case WINHTTP_CALLBACK_STATUS_SENDREQUEST_COMPLETE:
    case WINHTTP_CALLBACK_STATUS_HEADERS_AVAILABLE:
    case WINHTTP_CALLBACK_STATUS_REQUEST_ERROR: vitp_winhttp_end_step(w, status, 0); break;
    case WINHTTP_CALLBACK_STATUS_DATA_AVAILABLE:
        vitp_winhttp_end_step(w, status, *(const DWORD *)information);
        break;
    case WINHTTP_CALLBACK_STATUS_READ_COMPLETE: vitp_winhttp_end_step(w, status, size); break;
    case WINHTTP_CALLBACK_STATUS_HANDLE_CLOSING:
        VITP_OS(SetEvent)(w->closed);
        vitp_winhttp_release(w);
        break;
    default: break;
    }
}

/* True: the step has ended, and as it should. */
static bool vitp_winhttp_wait(vitp_winhttp *w, const vit_request *request, uint64_t deadline_ns,
                              DWORD wanted)
{
    while (vitp_os_now_ns() < deadline_ns && !vit_request_cancelled(request))
        if (WaitForSingleObject(w->step, VITP_WINHTTP_LOOK_MS) == WAIT_OBJECT_0)
            return w->status == wanted;
    return false;
}

/* ---- handles ----------------------------------------------------------------------------- */

/* Before Windows 8.1 there is no proxy but what `netsh winhttp` has set, and by itself no protocol
   that today's servers speak. */
static HINTERNET vitp_winhttp_session(void)
{
    DWORD     protocols = WINHTTP_FLAG_SECURE_PROTOCOL_TLS1 | VITP_WINHTTP_TLS_NEWER;
    HINTERNET session =
        VITP_OS(WinHttpOpen)(NULL, VITP_WINHTTP_AUTO_PROXY, NULL, NULL, WINHTTP_FLAG_ASYNC);
    if (session) return session;
    session = VITP_OS(WinHttpOpen)(NULL, WINHTTP_ACCESS_TYPE_DEFAULT_PROXY, NULL, NULL,
                                   WINHTTP_FLAG_ASYNC);
    if (session)
        (void)VITP_OS(WinHttpSetOption)(session, WINHTTP_OPTION_SECURE_PROTOCOLS, &protocols,
                                        sizeof protocols);
    return session;
}

static bool vitp_winhttp_wide(wchar_t *out, const char *text)
{
    return MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, text, -1, out,
                               (int)VITP_WINHTTP_TEXT_MAX) > 0;
}

/* The request, or NULL, and the server that it is for. Name and password in the URL are left out,
   and so is its fragment. */
static HINTERNET vitp_winhttp_open(HINTERNET session, const char *url, HINTERNET *server)
{
    wchar_t        wide[VITP_WINHTTP_TEXT_MAX], host[VITP_WINHTTP_HOST_MAX], *path;
    URL_COMPONENTS parts;
    bool           secure;
    memset(&parts, 0, sizeof parts);
    parts.dwStructSize = sizeof parts;
    parts.dwHostNameLength = (DWORD)-1; /* points into the URL */
    if (!vitp_winhttp_wide(wide, url)) return NULL;
    wide[wcscspn(wide, L"#")] = 0;
    if (!VITP_OS(WinHttpCrackUrl)(wide, 0, 0, &parts) || parts.dwHostNameLength == 0 ||
        parts.dwHostNameLength >= VITP_WINHTTP_HOST_MAX)
        return NULL;
    secure = parts.nScheme == INTERNET_SCHEME_HTTPS;
    if (!secure && parts.nScheme != INTERNET_SCHEME_HTTP) return NULL;
    memcpy(host, parts.lpszHostName, parts.dwHostNameLength * sizeof host[0]);
    host[parts.dwHostNameLength] = 0;
    path = parts.lpszHostName + parts.dwHostNameLength;
    path += wcscspn(path, L"/?");
    if (*path != L'/') *--path = L'/'; /* over the end of the host, which was copied */
    *server = VITP_OS(WinHttpConnect)(session, host, parts.nPort, 0);
    if (!*server) return NULL;
    return VITP_OS(WinHttpOpenRequest)(*server, L"POST", path, NULL, NULL, NULL,
                                       secure ? (DWORD)WINHTTP_FLAG_SECURE : 0u);
}

/* The timeouts are for what goes on after the caller has left. */
static bool vitp_winhttp_limit(HINTERNET handle, const vit_request *request)
{
    DWORD off =
        WINHTTP_DISABLE_REDIRECTS | WINHTTP_DISABLE_COOKIES | WINHTTP_DISABLE_AUTHENTICATION;
    DWORD ms = request->timeout_ms < 0x7FFFFFFFu ? (DWORD)request->timeout_ms + 1u : 0x7FFFFFFFu;
    int   each = (int)ms;
    /* else a server that would like a certificate of ours is no answer; it fails for http */
    (void)VITP_OS(WinHttpSetOption)(handle, WINHTTP_OPTION_CLIENT_CERT_CONTEXT, NULL, 0);
    return VITP_OS(WinHttpSetOption)(handle, WINHTTP_OPTION_DISABLE_FEATURE, &off, sizeof off) &&
           VITP_OS(WinHttpSetTimeouts)(handle, each, each, each, each) &&
           VITP_OS(WinHttpSetOption)(handle, WINHTTP_OPTION_RECEIVE_RESPONSE_TIMEOUT, &ms,
                                     sizeof ms);
}

static bool vitp_winhttp_headers(HINTERNET handle, const vit_request *request)
{
    char    text[VITP_WINHTTP_TEXT_MAX];
    wchar_t wide[VITP_WINHTTP_TEXT_MAX];
    int     n = snprintf(text, sizeof text, "Content-Type: %s\r\n%s", request->content_type,
                         request->headers);
    return n > 0 && (size_t)n < sizeof text && vitp_winhttp_wide(wide, text) &&
           VITP_OS(WinHttpAddRequestHeaders)(handle, wide, (DWORD)-1, WINHTTP_ADDREQ_FLAG_ADD);
}

/* From here on WinHTTP owns `w`, too. */
static bool vitp_winhttp_watch(HINTERNET handle, vitp_winhttp *w)
{
    DWORD_PTR context = (DWORD_PTR)w;
    if (!VITP_OS(WinHttpSetOption)(handle, WINHTTP_OPTION_CONTEXT_VALUE, &context,
                                   sizeof context) ||
        VITP_OS(WinHttpSetStatusCallback)(handle, vitp_winhttp_on_status,
                                          WINHTTP_CALLBACK_FLAG_ALL_COMPLETIONS |
                                              WINHTTP_CALLBACK_FLAG_HANDLES,
                                          0) == WINHTTP_INVALID_STATUS_CALLBACK)
        return false;
    w->owners = 2;
    return true;
}

/* A callback that is still to come finds its code. */
static void vitp_winhttp_close(HINTERNET handle, vitp_winhttp *w)
{
    VITP_OS(WinHttpCloseHandle)(handle);
    if (WaitForSingleObject(w->closed, VITP_WINHTTP_CLOSE_MS) != WAIT_OBJECT_0)
        (void)vitp_os_keep_loaded((uintptr_t)vitp_winhttp_on_status);
}

/* ---- the exchange ------------------------------------------------------------------------ */

static bool vitp_winhttp_read_head(HINTERNET handle, vit_response *response)
{
    wchar_t wide[64];
    char    value[64];
    DWORD   status = 0, size = sizeof status;
    if (!VITP_OS(WinHttpQueryHeaders)(handle, WINHTTP_QUERY_STATUS_CODE | WINHTTP_QUERY_FLAG_NUMBER,
                                      NULL, &status, &size, NULL))
        return false;
    response->http_status = (int)status;
    size = sizeof wide; /* bytes */
    if (VITP_OS(WinHttpQueryHeaders)(handle, WINHTTP_QUERY_RETRY_AFTER, NULL, wide, &size, NULL) &&
        vitp_os_from_wide(value, sizeof value, wide))
        response->retry_after_s = vit_retry_after(value, vitp_os_wall_s());
    return true;
}

/* What has come of the body, into w->read; w->size 0: it is at its end. Asked for no more than is
   there: such a read is never waited for (wine does so in the call itself). */
static bool vitp_winhttp_read(HINTERNET handle, vitp_winhttp *w, const vit_request *request,
                              uint64_t deadline_ns)
{
    DWORD size;
    if (!VITP_OS(WinHttpQueryDataAvailable)(handle, NULL) ||
        !vitp_winhttp_wait(w, request, deadline_ns, WINHTTP_CALLBACK_STATUS_DATA_AVAILABLE))
        return false;
    if (w->size == 0) return true;
    size = w->size < sizeof w->read ? w->size : (DWORD)sizeof w->read;
    return VITP_OS(WinHttpReadData)(handle, w->read, size, NULL) &&
           vitp_winhttp_wait(w, request, deadline_ns, WINHTTP_CALLBACK_STATUS_READ_COMPLETE);
}

/* To its end, so that the connection can be used again; what is too long is left unread. */
static bool vitp_winhttp_read_body(HINTERNET handle, vitp_winhttp *w, const vit_request *request,
                                   uint64_t deadline_ns)
{
    size_t total, n;
    size_t room = request->reply && request->reply_size > 0 ? request->reply_size - 1 : 0;
    for (total = 0; total < VITP_WINHTTP_ANSWER_MAX; total += w->size) {
        if (!vitp_winhttp_read(handle, w, request, deadline_ns)) return false;
        if (w->size == 0) return true;
        n = total >= room ? 0 : w->size < room - total ? w->size : room - total;
        if (n == 0) continue;
        memcpy(request->reply + total, w->read, n);
        request->reply[total + n] = 0;
    }
    return true;
}

static bool vitp_winhttp_exchange(HINTERNET handle, vitp_winhttp *w, const vit_request *request,
                                  vit_response *response)
{
    uint64_t deadline_ns = vitp_os_now_ns() + (uint64_t)request->timeout_ms * VITP_MS;
    DWORD    size = (DWORD)request->body_size;
    return VITP_OS(WinHttpSendRequest)(handle, NULL, 0, size > 0 ? w + 1 : NULL, size, size,
                                       (DWORD_PTR)w) &&
           vitp_winhttp_wait(w, request, deadline_ns,
                             WINHTTP_CALLBACK_STATUS_SENDREQUEST_COMPLETE) &&
           VITP_OS(WinHttpReceiveResponse)(handle, NULL) &&
           vitp_winhttp_wait(w, request, deadline_ns, WINHTTP_CALLBACK_STATUS_HEADERS_AVAILABLE) &&
           vitp_winhttp_read_head(handle, response) &&
           vitp_winhttp_read_body(handle, w, request, deadline_ns);
}

static vit_response vitp_winhttp_post(HINTERNET session, const vit_request *request)
{
    vit_response  none = { 0, 0 }, response = { 0, 0 };
    HINTERNET     server = NULL, handle = vitp_winhttp_open(session, request->url, &server);
    vitp_winhttp *w = handle ? vitp_winhttp_new(request) : NULL;
    bool          ok = false;
    if (w && vitp_winhttp_limit(handle, request) && vitp_winhttp_headers(handle, request) &&
        vitp_winhttp_watch(handle, w)) {
        ok = vitp_winhttp_exchange(handle, w, request, &response);
        vitp_winhttp_close(handle, w);
    } else if (handle) {
        VITP_OS(WinHttpCloseHandle)(handle);
    }
    if (w) vitp_winhttp_release(w);
    if (server) VITP_OS(WinHttpCloseHandle)(server);
    return ok ? response : none;
}

vit_response vit_winhttp_send(const vit_request *request, void *user)
{
    vit_response response = { 0, 0 };
    void       **kept = (void **)user;
    HINTERNET    session = kept && *kept ? (HINTERNET)*kept : vitp_winhttp_session();
    if (request->reply && request->reply_size > 0) request->reply[0] = 0;
    if (session && !vit_request_cancelled(request)) response = vitp_winhttp_post(session, request);
    if (kept) *kept = session;
    else if (session) VITP_OS(WinHttpCloseHandle)(session);
    return response;
}
#endif /* VITELEMETRY_WINHTTP */

/* ============================================================================================
   >>consent: one pure function of what the gates say, and the readers that fill it in
   ============================================================================================ */

/* What a gate says. There is no "yes": only the user's consent grants anything. What cannot be read
   refuses where a refusal may have stood in it (administrator, setting); of the system's hints it
   says nothing. LATER tells of a failure, not of the file: it refuses a new client, and makes one
   that runs wait. */
typedef enum vitp_answer {
    VITP_ANSWER_NONE = 0,
    VITP_ANSWER_REFUSES,
    VITP_ANSWER_UNREADABLE,
    VITP_ANSWER_LATER
} vitp_answer;

typedef struct vitp_consent_inputs {
    vitp_answer admin, environment, ci, setting;
    vitp_answer usage, errors; /* the system's hints, of two kinds of events */
    bool        allow_in_ci;
    bool        has_stored;
    vit_consent stored;       /* the user's decision */
    vit_consent host_default; /* options.consent */
} vitp_consent_inputs;

/* What the user decided, or before that, the host's default; a host that says DENIED is obeyed
   whatever is stored. */
static vit_consent vitp_consent_of(const vitp_consent_inputs *in)
{
    if (in->host_default == VIT_CONSENT_DENIED) return VIT_CONSENT_DENIED;
    return in->has_stored ? in->stored : in->host_default;
}

/* Any refusal wins. *why: the first that refuses everything, else VIT_GATE_SYSTEM when the system
   refuses one kind of events. *may: VITP_MAY_*. */
static vit_consent vitp_consent_decide(const vitp_consent_inputs *in, vit_gate *why, uint32_t *may)
{
    bool usage = in->usage != VITP_ANSWER_REFUSES, errors = in->errors != VITP_ANSWER_REFUSES;
    vit_consent consent = vitp_consent_of(in);
    *why = in->admin != VITP_ANSWER_NONE                       ? VIT_GATE_ADMIN
           : in->environment == VITP_ANSWER_REFUSES            ? VIT_GATE_ENVIRONMENT
           : in->ci == VITP_ANSWER_REFUSES && !in->allow_in_ci ? VIT_GATE_CI
           : !usage && !errors                                 ? VIT_GATE_SYSTEM
           : in->setting != VITP_ANSWER_NONE                   ? VIT_GATE_SETTING
                                                               : VIT_GATE_NONE;
    if (*why != VIT_GATE_NONE) consent = VIT_CONSENT_DENIED;
    else if (consent < VIT_CONSENT_GRANTED) *why = VIT_GATE_CONSENT;
    else if (!usage || !errors) *why = VIT_GATE_SYSTEM;
    *may = 0;
    if (consent == VIT_CONSENT_DENIED) return consent;
    if (usage) *may |= VITP_MAY_USAGE;
    if (errors) *may |= VITP_MAY_ERRORS;
    if (consent >= VIT_CONSENT_GRANTED) *may |= VITP_MAY_SEND;
    if (consent == VIT_CONSENT_VERBOSE) *may |= VITP_MAY_TRACE;
    return consent;
}

/* ---- environment ------------------------------------------------------------------------- */

typedef const char *(*vitp_consent_env_fn)(const char *name);

#define VITP_CONSENT_OFF " 0 false no off "
#define VITP_CONSENT_ON  " 1 true yes on "

/* Is it one of these words, in any case of its letters? */
static bool vitp_consent_is_word(const char *words, const char *value, size_t size)
{
    char   word[12];
    size_t i;
    if (size == 0 || size > sizeof word - 3) return false;
    word[0] = ' ';
    for (i = 0; i < size; i++) {
        if (!vitp_text_is_alnum(value[i])) return false;
        word[i + 1] = vitp_text_lower(value[i]);
    }
    word[size + 1] = ' ';
    word[size + 2] = 0;
    return strstr(words, word) != NULL;
}

/* Set, and not to "", 0, false, no or off. */
static bool vitp_consent_is_on(const char *value)
{
    return value && value[0] && !vitp_consent_is_word(VITP_CONSENT_OFF, value, strlen(value));
}

/* What users of other products have set: one may be about that product, two are about the user. */
static bool vitp_consent_neighbours(vitp_consent_env_fn env_fn)
{
    static const char *const on[] = { "DOTNET_CLI_TELEMETRY_OPTOUT", "HOMEBREW_NO_ANALYTICS",
                                      "POWERSHELL_TELEMETRY_OPTOUT", "NEXT_TELEMETRY_DISABLED",
                                      "GATSBY_TELEMETRY_DISABLED" };
    static const char *const off[] = { "AZURE_CORE_COLLECT_TELEMETRY", "SAM_CLI_TELEMETRY" };
    size_t                   i, count = 0;
    for (i = 0; i < sizeof on / sizeof on[0]; i++) count += vitp_consent_is_on(env_fn(on[i]));
    for (i = 0; i < sizeof off / sizeof off[0]; i++) {
        const char *value = env_fn(off[i]);
        count += value && vitp_consent_is_word(VITP_CONSENT_OFF, value, strlen(value));
    }
    return count >= 2;
}

/* DO_NOT_TRACK and so on, and <CLIENT_TYPE>_TELEMETRY_OPTOUT. */
static bool vitp_consent_environment(vitp_consent_env_fn env_fn, const char *client_type)
{
    static const char *const all[] = { "DO_NOT_TRACK", "VI_NO_TELEMETRY", "VITELEMETRY_OPTOUT" };
    char                     name[VITP_LABEL_MAX + 32u];
    size_t                   i, size = strlen(client_type);
    memcpy(name, client_type, size);
    for (i = 0; i < size; i++) {
        if (vitp_text_is_lower(name[i])) name[i] = (char)(name[i] - ('a' - 'A'));
        else if (!vitp_text_is_alnum(name[i])) name[i] = '_';
    }
    memcpy(name + size, "_TELEMETRY_OPTOUT", sizeof "_TELEMETRY_OPTOUT");
    for (i = 0; i < sizeof all / sizeof all[0]; i++)
        if (vitp_consent_is_on(env_fn(all[i]))) return true;
    return vitp_consent_is_on(env_fn(name)) || vitp_consent_neighbours(env_fn);
}

/* Variables by which continuous integration and test runners are known (the lists of .NET and of
   ci-info): switches that are on, and names of things, of which both of a pair must be there. */
static bool vitp_consent_ci(vitp_consent_env_fn env_fn)
{
    static const char *const switches[] = { "CI",       "TF_BUILD", "GITHUB_ACTIONS", "GITLAB_CI",
                                            "APPVEYOR", "TRAVIS",   "CIRCLECI",       "BUILDKITE",
                                            "DRONE",    "NETLIFY" };
    static const char *const things[][2] = {
        { "TEAMCITY_VERSION", NULL },
        { "JB_SPACE_API_URL", NULL },
        { "JENKINS_URL", NULL },
        { "BITBUCKET_COMMIT", NULL },
        { "SYSTEM_TEAMFOUNDATIONCOLLECTIONURI", NULL },
        { "bamboo_planKey", NULL },
        { "PYTEST_CURRENT_TEST", NULL },
        { "CODEBUILD_BUILD_ID", "AWS_REGION" },
        { "BUILD_ID", "BUILD_URL" },
        { "BUILD_ID", "PROJECT_ID" },
        { "TASK_ID", "RUN_ID" },
    };
    size_t i;
    for (i = 0; i < sizeof switches / sizeof switches[0]; i++)
        if (vitp_consent_is_on(env_fn(switches[i]))) return true;
    for (i = 0; i < sizeof things / sizeof things[0]; i++) {
        const char *one = env_fn(things[i][0]);
        const char *two = things[i][1] ? env_fn(things[i][1]) : one;
        if (one && one[0] && two && two[0]) return true;
    }
    return false;
}

/* ---- text files -------------------------------------------------------------------------- */

static void vitp_consent_admin_line(void *user, const char *name, size_t name_size,
                                    const char *value, size_t size)
{
    vitp_answer *answer = (vitp_answer *)user;
    bool         known = value && vitp_consent_is_word(" disabled ", name, name_size);
    if (known && vitp_consent_is_word(VITP_CONSENT_ON, value, size)) *answer = VITP_ANSWER_REFUSES;
    else if (!known || !vitp_consent_is_word(VITP_CONSENT_OFF, value, size))
        *answer = VITP_ANSWER_UNREADABLE;
}

/* The administrator's file: `disabled = 1`. What is no file of this kind cannot be read, nor is any
   other name: it may be this one, misspelt. */
static vitp_answer vitp_consent_admin(const char *text, size_t size)
{
    vitp_answer answer = VITP_ANSWER_NONE;
    vitp_settings_each(text, size, vitp_consent_admin_line, &answer);
    return answer;
}

typedef struct vitp_consent_search {
    const vitp_os_hint *hint;
    bool                inside; /* its group */
    vitp_answer         answer;
} vitp_consent_search;

/* The word in quotes, or up to a blank or a comment. */
static size_t vitp_consent_unquote(const char **value, size_t size)
{
    size_t i;
    char   quote = size > 0 && (**value == '"' || **value == '\'') ? **value : 0;
    if (quote) ++*value, size--;
    for (i = 0; i < size; i++)
        if (quote ? (*value)[i] == quote : vitp_text_is_space((*value)[i]) || (*value)[i] == '#')
            break;
    return i;
}

static void vitp_consent_hint_line(void *user, const char *name, size_t name_size,
                                   const char *value, size_t size)
{
    vitp_consent_search *search = (vitp_consent_search *)user;
    const char          *group = search->hint->group;
    size_t               n = strlen(group);
    if (!value && name[0] == '[' && n > 0)
        search->inside = name_size == n + 2 && memcmp(name + 1, group, n) == 0;
    if (!value || !search->inside || !vitp_settings_is(name, name_size, search->hint->key)) return;
    size = vitp_consent_unquote(&value, size);
    if (vitp_consent_is_word(VITP_CONSENT_OFF, value, size)) search->answer = VITP_ANSWER_REFUSES;
}

static vitp_answer vitp_consent_conf(const vitp_os_hint *hint, const char *text, size_t size)
{
    vitp_consent_search search = { NULL, false, VITP_ANSWER_NONE };
    search.hint = hint;
    search.inside = hint->group[0] == 0;
    vitp_settings_each(text, size, vitp_consent_hint_line, &search);
    return search.answer;
}

#ifdef VITELEMETRY_OS_SETTINGS
/* ---- dconf: a hash table in a file (GVDB). Nothing in it is trusted ---------------------- */

/* The table's numbers are little-endian on every machine; the magic tells the order of those in
   values, and a boolean has none. */
static uint32_t vitp_dconf_u32(const unsigned char *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

#define VITP_DCONF_HEAD 24u
#define VITP_DCONF_ITEM 24u /* hash, parent, key: start, size (2), type (1), 1; value: start, end */
#define VITP_DCONF_ROOT 0xFFFFFFFFu /* parent of what has none */

typedef struct vitp_dconf {
    const unsigned char *bytes, *items;
    size_t               size;
    uint32_t             count; /* of items */
} vitp_dconf;

static bool vitp_dconf_open(vitp_dconf *d, const unsigned char *bytes, size_t size)
{
    size_t start, end, left, bloom, buckets;
    if (size < VITP_DCONF_HEAD ||
        (memcmp(bytes, "GVariant", 8) != 0 && memcmp(bytes, "raVGtnai", 8) != 0) ||
        vitp_dconf_u32(bytes + 8) != 0)
        return false;
    start = vitp_dconf_u32(bytes + 16);
    end = vitp_dconf_u32(bytes + 20);
    if (end > size || start > end || end - start < 8) return false;
    left = end - start - 8;
    bloom = vitp_dconf_u32(bytes + start) & 0x07FFFFFFu;
    buckets = vitp_dconf_u32(bytes + start + 4);
    if (bloom > left / 4 || buckets > left / 4 - bloom) return false;
    left -= (bloom + buckets) * 4;
    d->bytes = bytes;
    d->items = bytes + end - left;
    d->size = size;
    d->count = (uint32_t)(left / VITP_DCONF_ITEM);
    return left % VITP_DCONF_ITEM == 0;
}

/* Is this its name: what the item has for one, behind its parent's? */
static bool vitp_dconf_is_named(const vitp_dconf *d, uint32_t item, const char *key, size_t left)
{
    while (item < d->count) {
        const unsigned char *p = d->items + (size_t)item * VITP_DCONF_ITEM;
        size_t               at = vitp_dconf_u32(p + 8), n = (size_t)p[12] | (size_t)p[13] << 8;
        if (n == 0 || n > left || at > d->size || n > d->size - at ||
            memcmp(d->bytes + at, key + left - n, n) != 0)
            return false;
        left -= n; /* each turn takes some: a ring of parents ends */
        item = vitp_dconf_u32(p + 4);
    }
    return item == VITP_DCONF_ROOT && left == 0;
}

/* A boolean in a variant is its byte, 0 and "b". */
static vitp_answer vitp_dconf_value(const vitp_dconf *d, const unsigned char *item)
{
    size_t               at = vitp_dconf_u32(item + 16), end = vitp_dconf_u32(item + 20);
    const unsigned char *p = d->bytes + at;
    if (end > d->size || at > end || end - at != 3 || p[0] > 1 || p[1] != 0 || p[2] != 'b')
        return VITP_ANSWER_UNREADABLE;
    return p[0] ? VITP_ANSWER_NONE : VITP_ANSWER_REFUSES;
}

/* All items are looked at, not the buckets: each has a name of its own. */
static vitp_answer vitp_consent_dconf(const void *bytes, size_t size, const char *key)
{
    vitp_dconf  d;
    vitp_answer answer = VITP_ANSWER_NONE;
    uint32_t    hash = 5381, i;
    size_t      n = strlen(key);
    if (!vitp_dconf_open(&d, (const unsigned char *)bytes, size)) return VITP_ANSWER_UNREADABLE;
    for (i = 0; i < n; i++) hash = hash * 33u + (unsigned char)key[i]; /* ASCII */
    for (i = 0; i < d.count && answer == VITP_ANSWER_NONE; i++) {
        const unsigned char *item = d.items + (size_t)i * VITP_DCONF_ITEM;
        if (item[14] == 'v' && vitp_dconf_u32(item) == hash && vitp_dconf_is_named(&d, i, key, n))
            answer = vitp_dconf_value(&d, item);
    }
    return answer;
}

/* ---- property lists, binary and XML. Nothing in them is trusted -------------------------- */

/* Objects, then a table of where they begin, then 32 bytes: 6 of nothing, size of an entry of that
   table, size of a reference, and in 8 bytes each: objects, the top one, where the table is. */
#define VITP_PLIST_HEAD    8u
#define VITP_PLIST_TRAILER 32u
#define VITP_PLIST_FALSE   0x08u
#define VITP_PLIST_STRING  0x50u /* ASCII; the low digit is the length */
#define VITP_PLIST_DICT    0xD0u

typedef struct vitp_plist {
    const unsigned char *bytes;
    size_t               table;            /* where it begins, and the objects end */
    size_t               entry, reference; /* bytes */
    uint64_t             count;
} vitp_plist;

static uint64_t vitp_plist_number(const unsigned char *p, size_t size)
{
    uint64_t n = 0;
    while (size-- > 0) n = n << 8 | *p++;
    return n;
}

static bool vitp_plist_open(vitp_plist *d, const unsigned char *bytes, size_t size)
{
    const unsigned char *trailer;
    uint64_t             table;
    if (size < VITP_PLIST_HEAD + VITP_PLIST_TRAILER) return false;
    trailer = bytes + size - VITP_PLIST_TRAILER;
    d->bytes = bytes;
    d->entry = trailer[6];
    d->reference = trailer[7];
    d->count = vitp_plist_number(trailer + 8, 8);
    table = vitp_plist_number(trailer + 24, 8);
    if (d->entry < 1 || d->entry > 8 || d->reference < 1 || d->reference > 8 ||
        table < VITP_PLIST_HEAD || table > size - VITP_PLIST_TRAILER)
        return false;
    d->table = (size_t)table;
    return d->count <= (size - VITP_PLIST_TRAILER - d->table) / d->entry;
}

/* Where an object begins; d->table: nowhere. */
static size_t vitp_plist_object(const vitp_plist *d, uint64_t object)
{
    uint64_t at;
    if (object >= d->count) return d->table;
    at = vitp_plist_number(d->bytes + d->table + (size_t)object * d->entry, d->entry);
    return at >= VITP_PLIST_HEAD && at < d->table ? (size_t)at : d->table;
}

/* Is the object at *at of this type? Then *at becomes where its content begins, and *count how long
   it is: in the low digit, or where that is 15 in the integer that follows. */
static bool vitp_plist_begin(const vitp_plist *d, unsigned type, size_t *at, uint64_t *count)
{
    size_t n;
    if (*at >= d->table || (d->bytes[*at] & 0xF0u) != type) return false;
    *count = d->bytes[(*at)++] & 15u;
    if (*count < 15) return true;
    if (*at >= d->table || (d->bytes[*at] & 0xFCu) != 0x10u) return false;
    n = (size_t)1 << (d->bytes[(*at)++] & 3u);
    if (n > d->table - *at) return false;
    *count = vitp_plist_number(d->bytes + *at, n);
    *at += n;
    return true;
}

static bool vitp_plist_is_text(const vitp_plist *d, size_t at, const char *text)
{
    uint64_t size;
    return vitp_plist_begin(d, VITP_PLIST_STRING, &at, &size) && size <= d->table - at &&
           vitp_settings_is((const char *)d->bytes + at, (size_t)size, text);
}

static vitp_answer vitp_plist_binary(const unsigned char *bytes, size_t size, const char *key)
{
    vitp_plist d;
    uint64_t   count, i;
    size_t     at;
    if (!vitp_plist_open(&d, bytes, size)) return VITP_ANSWER_UNREADABLE;
    at = vitp_plist_object(&d, vitp_plist_number(bytes + size - 16, 8));
    if (!vitp_plist_begin(&d, VITP_PLIST_DICT, &at, &count) ||
        count > (d.table - at) / d.reference / 2)
        return VITP_ANSWER_UNREADABLE;
    for (i = 0; i < count; i++) {
        const unsigned char *names = bytes + at + (size_t)i * d.reference;
        const unsigned char *values = names + (size_t)count * d.reference;
        size_t               name = vitp_plist_object(&d, vitp_plist_number(names, d.reference));
        size_t               value = vitp_plist_object(&d, vitp_plist_number(values, d.reference));
        if (value < d.table && bytes[value] == VITP_PLIST_FALSE &&
            vitp_plist_is_text(&d, name, key))
            return VITP_ANSWER_REFUSES;
    }
    return VITP_ANSWER_NONE;
}

/* A tag, and the text between it and the one before. */
typedef struct vitp_xml {
    const char *at, *tag, *text;
    size_t      left, tag_size, text_size;
    bool        closed; /* by itself: <false/> */
} vitp_xml;

static void vitp_xml_skip(vitp_xml *x, size_t size)
{
    x->at += size;
    x->left -= size;
}

/* False: there is no end of it. */
static bool vitp_xml_skip_comment(vitp_xml *x)
{
    vitp_xml_skip(x, 4);
    while (x->left >= 3 && memcmp(x->at, "-->", 3) != 0) vitp_xml_skip(x, 1);
    if (x->left < 3) return false;
    vitp_xml_skip(x, 3);
    return true;
}

/* The next tag but comments and declarations. False: none. */
static bool vitp_xml_next(vitp_xml *x)
{
    const char *open, *end;
    for (;;) {
        open = x->left ? (const char *)memchr(x->at, '<', x->left) : NULL;
        if (!open) return false;
        x->text = x->at;
        x->text_size = (size_t)(open - x->at);
        vitp_xml_skip(x, x->text_size);
        if (vitp_settings_begins(x->at, x->left, "<!--")) {
            if (!vitp_xml_skip_comment(x)) return false;
            continue;
        }
        end = (const char *)memchr(x->at, '>', x->left);
        if (!end) return false;
        x->tag = open + 1;
        x->tag_size = (size_t)(end - x->tag);
        vitp_xml_skip(x, x->tag_size + 2);
        x->closed = x->tag_size > 1 && end[-1] == '/';
        if (x->closed) x->tag_size--;
        x->tag = vitp_settings_trim(x->tag, &x->tag_size);
        if (x->tag_size > 0 && x->tag[0] != '!' && x->tag[0] != '?') return true;
    }
}

static bool vitp_xml_is(const vitp_xml *x, const char *tag)
{
    return vitp_settings_is(x->tag, x->tag_size, tag);
}

/* <key>name</key><false/> in the outermost dictionary. */
static vitp_answer vitp_plist_xml(const char *text, size_t size, const char *key)
{
    vitp_xml x = { NULL, NULL, NULL, 0, 0, 0, false };
    uint32_t depth = 0;
    bool     begun = false, named = false, value;
    x.at = text;
    x.left = size;
    while (vitp_xml_next(&x)) {
        begun = true;
        value = named;
        named = depth == 1 && vitp_xml_is(&x, "/key") && vitp_settings_is(x.text, x.text_size, key);
        if (value && vitp_xml_is(&x, "false")) return VITP_ANSWER_REFUSES;
        if (x.closed) continue;
        if (vitp_xml_is(&x, "dict") || vitp_xml_is(&x, "array")) depth++;
        if (!vitp_xml_is(&x, "/dict") && !vitp_xml_is(&x, "/array")) continue;
        if (depth == 0) return VITP_ANSWER_UNREADABLE;
        depth--;
    }
    return depth == 0 && begun ? VITP_ANSWER_NONE : VITP_ANSWER_UNREADABLE;
}

static vitp_answer vitp_consent_plist(const void *bytes, size_t size, const char *key)
{
    return vitp_settings_begins((const char *)bytes, size, "bplist0")
               ? vitp_plist_binary((const unsigned char *)bytes, size, key)
               : vitp_plist_xml((const char *)bytes, size, key);
}
#endif /* VITELEMETRY_OS_SETTINGS */

/* What a file of the system's or of a desktop's says. */
static vitp_answer vitp_consent_hint(const vitp_os_hint *hint, const void *bytes, size_t size)
{
#ifdef VITELEMETRY_OS_SETTINGS
    if (hint->form == VITP_OS_DCONF) return vitp_consent_dconf(bytes, size, hint->key);
    if (hint->form == VITP_OS_PLIST) return vitp_consent_plist(bytes, size, hint->key);
#endif
    return vitp_consent_conf(hint, (const char *)bytes, size);
}

/* ---- Windows ----------------------------------------------------------------------------- */

#define VITP_CONSENT_LEVEL \
    3u /* optional diagnostic data, which usage is; 0: not even the required */

static void vitp_consent_policy(vitp_consent_inputs *in, const vitp_os_policy *p)
{
    uint32_t level = VITP_CONSENT_LEVEL, i;
    if (p->product.how == VITP_OS_READ_REFUSED) in->admin = VITP_ANSWER_UNREADABLE;
    if (p->product.how == VITP_OS_READ_LATER) in->admin = VITP_ANSWER_LATER;
    if (p->product.how == VITP_OS_READ_OK && p->product.value != VITP_CONSENT_LEVEL)
        in->admin = VITP_ANSWER_REFUSES;
    for (i = 0; i < 3; i++)
        if (p->levels[i].how == VITP_OS_READ_OK && p->levels[i].value < level)
            level = p->levels[i].value;
    if (level < VITP_CONSENT_LEVEL) in->usage = VITP_ANSWER_REFUSES;
    if (level == 0) in->errors = VITP_ANSWER_REFUSES;
    for (i = 0; i < 4; i++)
        if (p->reports[i].how == VITP_OS_READ_OK && p->reports[i].value != 0)
            in->errors = VITP_ANSWER_REFUSES;
}

/* ============================================================================================
   >>stock: a pool with its ledger, and the way of its records out: this client's own, or one that
   a killed process left, which is read into memory and whose file is kept up to date.

   Before a request starts, its records and its key are written into the ledger; its answer is
   written there before they are released. Whoever finds the pool then repeats the request as it
   was, or not at all. All of it runs in the consumer, under the lock.
   ============================================================================================ */

typedef struct vitp_stock {
    vit_queue   *queue; /* NULL: there is none */
    vitp_ledger *ledger;
    vitp_os_pool file;    /* memory: the ledger itself; not mapped: what the ledger is a copy of */
    void        *block;   /* what alloc_fn gave for queue, and for the ledger where it is plain */
    uint64_t     skew_ns; /* this monotonic clock, less the writer's; wraps */
    bool         again;   /* the request that was under way is repeated first */
} vitp_stock;

/* What changed in the copy goes into its file. */
static void vitp_stock_save(vitp_stock *s, const void *what, size_t size)
{
#ifndef VITELEMETRY_NO_FILES
    if (s->file.open && !s->file.memory)
        (void)vitp_os_pool_write(&s->file, (uint64_t)((const char *)what - (const char *)s->ledger),
                                 what, size);
#else
    (void)s, (void)what, (void)size;
#endif
}

static void vitp_stock_set_state(vitp_stock *s, uint32_t state)
{
    if (VITP_ATOMIC_LOAD(&s->ledger->batch_state) == state) return;
    VITP_ATOMIC_STORE_RELEASE(&s->ledger->batch_state, state);
    VITP_ATOMIC_LIGHT_BARRIER(); /* a process can be killed between two stores, not reorder them */
    vitp_stock_save(s, &s->ledger->batch_state, sizeof s->ledger->batch_state);
}

/* Writes down what the next request carries: the segments of the queue up to the record `last`. */
static uint32_t vitp_stock_note(vitp_stock *s, const void *last)
{
    vit_queue    *q = s->queue;
    vitp_journal *j = vitp_ledger_journal(s->ledger);
    const char   *head = (const char *)last - sizeof(vitp_head);
    uint32_t      i, size = VITP_HEAD_SIZE(((const vitp_head *)(const void *)head)->what);
    for (i = 0; i < q->segment_count; i++, j++) {
        const vitp_segment *from = &q->segments[(q->segment_first + i) % q->segment_max];
        vitp_chunk         *c = vitp_pool_chunk(q->pool, from->index);
        const char         *data = (const char *)(c + 1);
        j->index = from->index;
        j->generation = VITP_ATOMIC_LOAD(&c->word) & VITP_WORD_GENERATION;
        j->begin = from->begin;
        j->end = from->end;
        if (head < data + from->begin || head >= data + from->end) continue;
        j->end = (uint32_t)(head - data) + vitp_queue_need(size);
        return i + 1u;
    }
    return 0;
}

/* Writes down which records the next request carries. */
static void vitp_stock_write_down(vitp_stock *s, const void *last, size_t records)
{
    vitp_ledger *l = s->ledger;
    vitp_stock_set_state(s, VITP_BATCH_NONE);
    l->batch_segments = vitp_stock_note(s, last);
    l->batch_records = (uint32_t)records;
    vitp_stock_save(s, vitp_ledger_journal(l), l->batch_segments * sizeof(vitp_journal));
}

/* Its request may start. */
static void vitp_stock_begin(vitp_stock *s, const char key[33])
{
    vitp_ledger *l = s->ledger;
    memcpy(l->batch_key, key, 33);
    vitp_stock_save(s, &l->batch_segments,
                    sizeof l->batch_segments + sizeof l->batch_records + sizeof l->batch_key);
    vitp_stock_set_state(s, VITP_BATCH_SENT);
}

/* What was written down is not sent in this form again. */
static void vitp_stock_abandon(vitp_stock *s)
{
    s->again = false;
    vitp_stock_set_state(s, VITP_BATCH_NONE);
}

/* Makes nothing of the records that the journal names: in a copy, and in its file. */
static void vitp_stock_skip(vitp_stock *s)
{
    const vitp_journal *j = vitp_ledger_journal(s->ledger);
    uint32_t            i, at;
    for (i = 0; i < s->ledger->batch_segments; i++, j++) {
        vitp_chunk *c = vitp_pool_chunk(s->queue->pool, j->index);
        vitp_head  *head;
        for (at = j->begin; at < j->end; at += vitp_queue_need(VITP_HEAD_SIZE(head->what))) {
            head = vitp_queue_head(c, at);
            head->what |= VITP_HEAD_DONE | VITP_HEAD_SKIP;
        }
        vitp_stock_save(s, vitp_queue_head(c, j->begin), j->end - j->begin);
    }
}

/* Frees the oldest records: a request was answered, or they are dropped. */
static void vitp_stock_release(vitp_stock *s, size_t records)
{
    bool noted = VITP_ATOMIC_LOAD(&s->ledger->batch_state) == VITP_BATCH_SENT;
    if (noted) vitp_stock_set_state(s, VITP_BATCH_DONE);
    if (!s->again) vit_queue_release(s->queue, records);
    if (noted && s->queue->closed) vitp_stock_skip(s); /* after it: it counts what is no skip */
    if (s->again) vitp_queue_look_anew(s->queue);
    if (noted) vitp_stock_abandon(s);
}

/* The records of the request that is repeated, or all. */
static size_t vitp_stock_peek(vitp_stock *s, vitp_record_fn record_fn, void *user)
{
    const vitp_journal *j = vitp_ledger_journal(s->ledger);
    size_t              count = 0;
    uint32_t            i;
    if (!s->again) return vit_queue_peek(s->queue, record_fn, user, (size_t)-1);
    for (i = 0; i < s->ledger->batch_segments; i++, j++) {
        vitp_segment segment = { j->index, j->begin, j->end, 0 };
        if (!vitp_queue_hand_out(s->queue, &segment, record_fn, user, (size_t)-1, &count)) break;
    }
    return count;
}

static bool vitp_stock_count_one(const void *record, uint32_t size, void *user)
{
    (void)record, (void)size, (void)user;
    return true;
}

static bool vitp_stock_stop(const void *record, uint32_t size, void *user)
{
    (void)record, (void)size, (void)user;
    return false;
}

static bool vitp_stock_is_empty(vitp_stock *s)
{
    return vitp_stock_peek(s, vitp_stock_stop, NULL) == 0;
}

/* How its records are read. */
static vitp_wire_job vitp_stock_job(const vitp_stock *s, vitp_wire_shape shape, uint64_t now_ns)
{
    vitp_wire_job job;
    job.shape = shape;
    job.ledger = s->ledger;
    job.now_ns = now_ns - s->skew_ns;
    job.wall_ns = vitp_os_wall_ns();
    return job;
}

/* Drops all that waits. Returns how many. */
static size_t vitp_stock_drain(vitp_stock *s)
{
    size_t n, count = 0;
    if (!s->queue) return 0;
    vitp_stock_abandon(s);
    while ((n = vit_queue_drain(s->queue, vitp_stock_count_one, NULL, 1024)) > 0) count += n;
    return count;
}

#ifndef VITELEMETRY_NO_FILES
/* ---- a pool that was found --------------------------------------------------------------- */

/* Records of a journal's segment that lies in its chunk, between whole records; false: it does
   not. */
static bool vitp_stock_walk(vitp_pool *p, const vitp_journal *j, uint32_t *records)
{
    vitp_chunk *c;
    uint32_t    at, what;
    if (j->index >= p->chunk_count || j->begin >= j->end) return false;
    c = vitp_pool_chunk(p, j->index);
    if ((c->word & VITP_WORD_GENERATION) != j->generation) return false;
    if (j->end > VITP_WORD_BYTES(c->word)) return false;
    for (at = VITP_WORD_BYTES(c->released); at < j->end;) {
        what = vitp_queue_head(c, at)->what;
        if (at >= j->begin && !(what & VITP_HEAD_SKIP)) ++*records;
        if (at < j->begin && at + vitp_queue_need(VITP_HEAD_SIZE(what)) > j->begin) return false;
        at += vitp_queue_need(VITP_HEAD_SIZE(what));
    }
    return at == j->end && j->begin >= VITP_WORD_BYTES(c->released);
}

static bool vitp_stock_overlaps(const vitp_journal *kept, uint32_t count, const vitp_journal *j)
{
    uint32_t i;
    for (i = 0; i < count; i++)
        if (kept[i].index == j->index && kept[i].begin < j->end && j->begin < kept[i].end)
            return true;
    return false;
}

/* Keeps the segments that can be read, of which a request that was answered may have lost some.
   Returns their records. */
static uint32_t vitp_stock_check_journal(vitp_stock *s)
{
    vitp_ledger  *l = s->ledger;
    vitp_journal *j = vitp_ledger_journal(l);
    uint32_t      i, kept = 0, records = 0, some;
    if (l->batch_segments > s->queue->segment_max || l->batch_segments > VITP_JOURNAL_MAX)
        l->batch_segments = 0;
    for (i = 0; i < l->batch_segments; i++) {
        some = 0;
        if (!vitp_stock_walk(s->queue->pool, &j[i], &some) || vitp_stock_overlaps(j, kept, &j[i]))
            continue;
        records += some;
        j[kept++] = j[i];
    }
    if (kept < l->batch_segments && l->batch_state == VITP_BATCH_SENT)
        l->batch_state = VITP_BATCH_NONE;
    l->batch_segments = kept;
    return records;
}

/* Settles the request that was under way when the writer died. Returns how many records need not
   be sent any more: it was answered, or the writer had just put it into the spool, whose parts
   would get other keys. */
static uint32_t vitp_stock_resume(vitp_stock *s, vitp_spool *spool)
{
    vitp_ledger *l = s->ledger;
    uint32_t     records = vitp_stock_check_journal(s);
    if (l->batch_state == VITP_BATCH_SENT && records > 0 && vitp_spool_holds(spool, l->batch_key))
        vitp_stock_set_state(s, VITP_BATCH_DONE);
    if (l->batch_state == VITP_BATCH_DONE) {
        vitp_stock_skip(s);
        vitp_stock_set_state(s, VITP_BATCH_NONE);
        return records;
    }
    s->again = l->batch_state == VITP_BATCH_SENT && records > 0 && records == l->batch_records &&
               vitp_text_is_hex(l->batch_key, 32);
    if (!s->again) vitp_stock_set_state(s, VITP_BATCH_NONE);
    return 0;
}

typedef enum vitp_stock_kind {
    VITP_STOCK_READABLE,
    VITP_STOCK_UNBEGUN, /* killed before anything was in it */
    VITP_STOCK_FOREIGN, /* another layout: of another version of this header, or another machine */
    VITP_STOCK_CORRUPT
} vitp_stock_kind;

static vitp_stock_kind vitp_stock_judge(const vitp_writer *w, uint64_t size)
{
    static const char none[8] = { 0 };
    if (memcmp(w->magic, none, 8) == 0) return VITP_STOCK_UNBEGUN;
    if (memcmp(w->magic, VITP_LEDGER_MAGIC, 8) != 0) return VITP_STOCK_CORRUPT;
    if (w->order != VITP_LEDGER_ORDER || w->version != VITP_LEDGER_VERSION ||
        w->bytes != sizeof(vitp_ledger))
        return VITP_STOCK_FOREIGN;
    if (w->capacity < VITP_QUEUE_CAPACITY_MIN || w->capacity > VITP_QUEUE_CAPACITY_MAX ||
        (w->capacity & (w->capacity - 1u)) != 0 ||
        size != vitp_ledger_bytes(w->capacity) + vitp_pool_bytes(w->capacity))
        return VITP_STOCK_CORRUPT;
    if (!vitp_text_is_printable(w->app_version, VITP_LABEL_MAX) ||
        !vitp_text_is_printable(w->client_type, VITP_LABEL_MAX))
        return VITP_STOCK_CORRUPT;
    return VITP_STOCK_READABLE;
}

/* The copied texts end. */
static void vitp_stock_end_texts(vitp_ledger *l)
{
    uint32_t i;
    l->batch_key[32] = 0;
    l->writer.app_version[VITP_LABEL_MAX] = l->writer.client_type[VITP_LABEL_MAX] = 0;
    for (i = 0; i < VITP_CONTEXTS_MAX; i++) {
        vitp_context *c = &l->contexts[i];
        c->session_id[VITP_LABEL_MAX] = c->provider[VITP_LABEL_MAX] = 0;
        c->collection_hash[16] = 0;
    }
}
#endif /* !VITELEMETRY_NO_FILES */

/* ============================================================================================
   >>audit: what was sent, for the user to read: two files in the data folder, one event a line
   ============================================================================================ */

#ifndef VITP_AUDIT_MAX
#define VITP_AUDIT_MAX 262144u /* bytes of a file, some days of one user; an editor opens it */
#endif

#ifdef VITELEMETRY_NO_FILES
static void vitp_audit_remove(const char *folder) { (void)folder; }
#else

static void vitp_audit_path(char out[VITP_POOL_PATH_MAX], const char *folder, bool old)
{
    (void)snprintf(out, VITP_POOL_PATH_MAX, "%s/%s", folder, old ? "sent.1.ndjson" : "sent.ndjson");
}

static void vitp_audit_remove(const char *folder)
{
    char path[VITP_POOL_PATH_MAX];
    if (!vitp_os_is_private(folder)) return; /* these are not ours */
    vitp_audit_path(path, folder, false);
    vitp_os_remove_file(path);
    vitp_audit_path(path, folder, true);
    vitp_os_remove_file(path);
}

/* Bytes of the JSON object that text begins with. */
static size_t vitp_audit_object(const char *text, size_t size)
{
    size_t   at;
    uint32_t depth = 0;
    bool     quoted = false;
    for (at = 0; at < size; at++) {
        if (text[at] == '"') quoted = !quoted;
        else if (quoted) at += text[at] == '\\';
        else if (text[at] == '{') depth++;
        else if (text[at] == '}' && --depth == 0) return at + 1;
    }
    return size;
}

/* Turns the body of a request into lines, in place: behind each event, where a separator, the
   form's end or the byte behind the body is, stands a newline. Returns where they begin. */
static char *vitp_audit_lines(char *body, size_t *size, size_t open)
{
    size_t at = open;
    while (at < *size) {
        at += vitp_audit_object(body + at, *size - at);
        body[at++] = '\n';
    }
    *size = at - open;
    return body + open;
}

/* Bytes of the whole lines that fit into room. */
static size_t vitp_audit_fitting(const char *lines, size_t size, uint64_t room)
{
    if (size <= room) return size;
    size = (size_t)room;
    while (size > 0 && lines[size - 1] != '\n') size--;
    return size;
}

/* False: something is missing in the file. */
static bool vitp_audit_append(const char *folder, const char *lines, size_t size)
{
    char             path[VITP_POOL_PATH_MAX], old[VITP_POOL_PATH_MAX];
    vitp_os_appender a;
    if (!vitp_os_make_folder(folder)) return false;
    vitp_audit_path(path, folder, false);
    vitp_audit_path(old, folder, true);
    while (size > 0) {
        size_t n;
        bool   ok;
        if (!vitp_os_append_open(&a, path)) return false;
        n = vitp_audit_fitting(lines, size, a.size < VITP_AUDIT_MAX ? VITP_AUDIT_MAX - a.size : 0);
        ok = n > 0 ? vitp_os_append(&a, lines, n) : a.size > 0;
        ok = vitp_os_append_close(&a, path, ok && n < size ? old : NULL) && ok;
        if (!ok) return false;
        lines += n;
        size -= n;
    }
    return true;
}
#endif /* !VITELEMETRY_NO_FILES */

/* ============================================================================================
   >>worker: the client, its consent and identity, and the consumer that delivers.

   One lock guards all of it but the recorder. It is held while a batch is built, never while it
   is sent: what is changed meanwhile (a purge, a refusal) advances purge_turn, and the answer
   then counts for nothing. The consumer is the thread, or whoever calls vit_pump, vit_flush or
   vit_destroy without one.
   ============================================================================================ */

/* The records at the head of the queue that one request carries; kept until there is an answer. */
typedef struct vitp_batch {
    bool        ready;
    vitp_stock *stock;                                   /* NULL: the spool */
    uint32_t    turn;                                    /* body_turn when it was built */
    size_t      records, events, corrupt, secret, stale; /* records: the sum of the others */
    size_t      old;
    uint64_t    spool_end; /* where it ends in the file of the spool */
    size_t      size;      /* bytes of body */
    uint32_t    attempts;
    char        key[33];
} vitp_batch;

/* What the system's files said, and what they were then. */
typedef struct vitp_hints {
    uint64_t    stamp; /* 0: not asked yet */
    vitp_answer admin, usage, errors;
} vitp_hints;

#ifndef VITELEMETRY_NO_CRASH
/* What the crash handler needs to know beforehand. */
#define VITP_MODULES_MAX 96u
typedef struct vitp_crash_scene {
    vitp_os_module modules[VITP_MODULES_MAX]; /* the program first */
    uint32_t       module_count;
    uint32_t       only;   /* index of the module whose crashes are told, + 1; 0: all are */
    uintptr_t      thread; /* in the handler; 0: none */
    struct {
        uintptr_t thread, frame;  /* of the handler, which calls the host's */
    } handlers[VITP_CRASHES_MAX]; /* by number of the record */
} vitp_crash_scene;
#endif

struct vit_client {
    vitp_recorder recorder; /* first: what the record path touches */
    vitp_wire     wire;

    /* constant after vit_create */
    vit_transport transport;
    vit_allocator allocator;
    void         *block; /* what alloc_fn gave */
    void         *kept;  /* by our own transport from one request to the next; the sender's */
    vit_wire      form;
    uint32_t      flush_ms, timeout_ms, batch_events;
    size_t        body_capacity;
    char         *body;    /* of the request, and a byte; written only while none is in flight */
    char         *scratch; /* VITP_EVENT_JSON_MAX bytes, for one call */
    char          reply[VITP_REPLY_MAX]; /* to a request by OTLP; the sender's while it is sent */
    char          app_version[VITP_LABEL_MAX + 1u], client_type[VITP_LABEL_MAX + 1u];
    char          endpoint[VITP_PATH_MAX + 1u], headers_key[VITP_KEY_MAX + 1u];
    char          settings_path[VITP_PATH_MAX + 64u], settings_folder[VITP_PATH_MAX]; /* "": none */
    char          config_folder[VITP_PATH_MAX]; /* where desktops keep their settings; "": none */

    vitp_os_mutex lock;
    vitp_os_cond  progress;      /* signalled after each answer and at the end of the thread */
    uint32_t      progress_turn; /* how often; written under lock */
    uintptr_t     lock_owner;    /* thread that holds lock, 0: none */
    uintptr_t     sender;        /* thread that is in send_fn, 0: none */
    uintptr_t     worker;        /* the client's own thread, 0: none */
    uint32_t      cancel;        /* of the request in flight: VITP_CANCEL_* */

    /* under lock */
    vitp_consent_inputs inputs;
    vitp_hints          hints;
    vit_consent         consent;
    vit_gate            gate;
    vitp_settings       settings; /* identity, and the user's decision; as stored or provisional */
    vitp_context        context;  /* the one in force */
    vitp_backoff        backoff;
    vitp_stock          own, adopted;
    vitp_spool          spool;

    vitp_batch    batch;
    uint32_t      batch_limit; /* events; smaller while a rejected batch is searched */
    uint32_t      suspects;    /* events among which one is bad; 0: none is known */
    uint32_t      good_events; /* since the last bad one */
    uint32_t      conflicts;   /* repetitions in a row that were answered by 409 */
    uint32_t      purge_turn;  /* advances when what waits is forgotten */
    uint32_t      body_turn;   /* advances when a body that was built may not be sent any more */
    uint64_t      deadline_ns; /* of vit_destroy; 0: none */
    uint64_t      handed_ns;   /* when the transport got the last request */
    uintptr_t     hurry_end;   /* of released, when hurry is over */
    bool          sending, hurry, halted, stopping;
    bool          pending;    /* the transport said "not yet": the body is its */
    bool          audit;      /* options.audit; constant */
    bool          orphan;     /* and what it sends is not wanted: until it answers */
    bool          unsaved;    /* what the user decided is not what the file says */
    bool          later;      /* a file that may refuse could not be read */
    bool          alone;      /* no pool of a killed process is left */
    bool          quiet;      /* nothing was queued, and nothing waited, when it rested last */
    bool          waits;      /* how long the server told us to wait is in a file */
    bool          recalled;   /* what it told an earlier run was looked for */
    bool          crashed;    /* the run before this one, as far as runs that were found tell */
    int64_t       crashed_s;  /* when that run began; 0: none was found */
    vitp_os_pool  marker;     /* of this run, where its ledger does not outlive it */
    uint64_t      marked_ns;  /* when it was last written */
    uint64_t      repeats_ns; /* when errors that came again are told next; 0: none did */
    uint64_t      look_ns; /* when the spool is looked into for what another process had; 0: none */
    uint64_t      save_ns; /* the spool could not be written: not before this time again */
    uint64_t      reported_accepted, reported_dropped, reported_full; /* by telemetry.report */
    uint64_t      report_ns;    /* not before this time again */
    vitp_settings heard;        /* what the file said when we decided last */
    vitp_settings said;         /* unsaved: by the file when ours could not be saved */
    intptr_t      hold;         /* of vitp_os_hold_folder */
    bool          refusal_left; /* in a file of its own, see vitp_worker_refusal_read */
    bool          heeded;       /* another process refused while we held the settings */
    uint32_t      holds;        /* nested */
    int           cancel_state; /* of the thread that holds lock */
    bool          held;         /* no other process has it */
#ifndef VITELEMETRY_NO_THREADS
    vitp_os_thread thread;
#endif
    bool has_thread, thread_done;
#ifndef VITELEMETRY_NO_CRASH
    vitp_crash_scene scene;
#endif

    /* counters, written under lock, read by all */
    uintptr_t released, adopted_records, adopted_released, delivered, dropped[VIT_DROP_COUNT];
    uintptr_t requests, retries, bytes_sent;
};

/* False: the lock is this thread's already (a call from vit_export's callback), or the process
   was forked and whoever holds it is not here. */
static bool vitp_worker_enter(vit_client *t)
{
    uintptr_t self = vitp_os_thread_id();
    int       before;
    if (vitp_os_page_forked(&t->recorder.page)) return false;
    if (VITP_ATOMIC_LOAD_PTR(&t->lock_owner) == self) {
        vitp_log_note(&t->recorder.log, VIT_LOG_REENTRANT_CALL);
        return false;
    }
    before = vitp_os_hold_cancel();
    vitp_os_lock(&t->lock);
    VITP_ATOMIC_STORE_PTR(&t->lock_owner, self);
    t->cancel_state = before;
    return true;
}

/* Under the lock: tells those who wait that something has changed. */
static void vitp_worker_tell(vit_client *t)
{
    VITP_ATOMIC_STORE(&t->progress_turn, VITP_ATOMIC_LOAD(&t->progress_turn) + 1u);
    vitp_os_broadcast(&t->progress);
}

static void vitp_worker_leave(vit_client *t)
{
    int before = t->cancel_state;
    VITP_ATOMIC_STORE_PTR(&t->lock_owner, (uintptr_t)0);
    vitp_os_unlock(&t->lock);
    vitp_log_tell(&t->recorder.log);
    vitp_os_let_cancel(before);
}

/* True in send_fn, line_fn and log_fn, and in whatever the client's own thread calls. */
static bool vitp_worker_in_callback(const vit_client *t)
{
    uintptr_t self = vitp_os_thread_id();
    return VITP_ATOMIC_LOAD_PTR(&t->sender) == self ||
           VITP_ATOMIC_LOAD_PTR(&t->lock_owner) == self ||
           VITP_ATOMIC_LOAD_PTR(&t->worker) == self ||
           VITP_ATOMIC_LOAD_PTR(&t->recorder.log.teller) == self;
}

/* ---- the marker of this run ------------------------------------------------------------- */

/* What is known of a run by whoever finds it: from its ledger, or the whole of its file
   `<client type>-<hash>.<random>.run`. */
typedef struct vitp_marker {
    vitp_writer  writer;
    vitp_run     run;
    vitp_context context; /* the one in force */
} vitp_marker;

/* Where this run has a file of its own, it says what is in the ledger. */
static void vitp_worker_save_marker(vit_client *t)
{
#ifndef VITELEMETRY_NO_FILES
    vitp_marker m;
    if (!t->marker.open) return;
    memset(&m, 0, sizeof m);
    m.writer = t->own.ledger->writer;
    m.run = t->own.ledger->run;
    m.context = t->context;
    t->marked_ns = vitp_os_now_ns();
    (void)vitp_os_pool_write(&t->marker, 0, &m, sizeof m);
#else
    (void)t;
#endif
}

#define VITP_LIFE_MS   300000u /* how old a sign of life may be: so long an idle consumer sleeps */
#define VITP_MARKER_NS ((uint64_t)VITP_LIFE_MS * VITP_MS)

/* The consumer was seen. */
static void vitp_worker_live(vit_client *t, uint64_t now_ns)
{
    t->own.ledger->run.alive_ns = now_ns;
    t->own.ledger->run.alive_s = (uint32_t)vitp_os_wall_s();
    if (t->marker.open && now_ns >= t->marked_ns + VITP_MARKER_NS) vitp_worker_save_marker(t);
}

/* The run has ended in order, or nothing is to be known of it. */
static void vitp_worker_close_run(vit_client *t)
{
    vitp_run *run = &t->own.ledger->run;
    uint32_t  i;
    run->state = VITP_RUN_NONE;
    for (i = 0; i < VITP_CRASHES_MAX; i++)
        VITP_ATOMIC_STORE(&run->crashes[i].state, (uint32_t)VITP_CRASH_NONE);
#ifndef VITELEMETRY_NO_FILES
    if (t->marker.open) vitp_os_pool_remove(&t->marker);
#endif
}

/* ---- identity ---------------------------------------------------------------------------- */

/* Tells the recorder the seed of sampling, and that cached decisions are of no use any more. */
static void vitp_worker_reseed(vit_client *t)
{
    vitp_seed seed;
    memset(&seed, 0, sizeof seed);
    seed.kind = t->context.session_id[0] ? VITP_SEED_SESSION : VITP_SEED_HWID;
    (void)vitp_text_copy(seed.text, sizeof seed.text,
                         t->context.session_id[0] ? t->context.session_id : t->settings.hwid);
    vitp_cell_write(&t->recorder.seed, &seed, sizeof seed);
}

static void vitp_worker_use_identity(vit_client *t)
{
    vitp_id_hash(t->own.ledger->writer.mark, t->settings.hwid, strlen(t->settings.hwid),
                 t->settings.salt);
    memcpy(t->wire.hwid, t->settings.hwid, sizeof t->wire.hwid);
    memset(t->wire.stencils, 0, sizeof t->wire.stencils);
    t->wire.client_type = t->client_type;
#ifndef VITELEMETRY_NO_FILES
    memcpy(&t->spool.mark, t->own.ledger->writer.mark, sizeof t->spool.mark);
#endif
    vitp_cell_write(&t->recorder.salt, t->settings.salt, 32);
    vitp_worker_reseed(t);
    vitp_worker_save_marker(t);
}

/* The settings hold another identity than ours. */
static bool vitp_worker_is_other(const vit_client *t, const vitp_settings *theirs)
{
    return theirs->has_hwid && theirs->has_salt &&
           (strcmp(theirs->hwid, t->settings.hwid) != 0 ||
            strcmp(theirs->salt, t->settings.salt) != 0);
}

/* Makes what is missing of hwid and salt, in memory. */
static void vitp_worker_make_identity(vit_client *t)
{
    unsigned char salt[16];
    if (!t->settings.has_hwid) vit_uuid4(t->settings.hwid);
    if (!t->settings.has_salt) {
        if (!vitp_id_random(salt, sizeof salt))
            vitp_log_note(&t->recorder.log, VIT_LOG_RANDOM_WEAK);
        vitp_text_hex(t->settings.salt, salt, sizeof salt);
    }
    t->settings.has_hwid = t->settings.has_salt = true;
    vitp_worker_use_identity(t);
}

/* The context in force changed: it gets a number, and a slot from which the wire reads it. */
static void vitp_worker_use_context(vit_client *t)
{
    t->context.number++;
    if (t->context.number == 0) t->context.number = 1;
    t->own.ledger->contexts[t->context.number & (VITP_CONTEXTS_MAX - 1u)] = t->context;
    VITP_ATOMIC_STORE_RELEASE(&t->own.ledger->context, t->context.number);
    vitp_worker_save_marker(t);
}

/* ---- settings on disk -------------------------------------------------------------------- */

#ifdef VITELEMETRY_NO_FILES
static bool vitp_worker_load(vit_client *t, vitp_settings *s)
{
    (void)t;
    memset(s, 0, sizeof *s);
    return false;
}
static void vitp_worker_hold_for(vit_client *t, uint32_t ms) { (void)t, (void)ms; }
static void vitp_worker_hold(vit_client *t) { (void)t; }
static void vitp_worker_release(vit_client *t) { (void)t; }
static bool vitp_worker_store(vit_client *t, bool only_new)
{
    (void)t, (void)only_new;
    return true;
}
static void vitp_worker_erase(vit_client *t) { (void)t; }
static void vitp_worker_find_folder(vit_client *t, const char *folder) { (void)t, (void)folder; }
#else

/* True: there are settings, or something in their place that cannot be read, which refuses. */
static bool vitp_worker_load_file(vit_client *t, vitp_settings *s)
{
    char         text[VITP_SETTINGS_MAX];
    size_t       size = 0;
    vitp_os_read how = VITP_OS_READ_ABSENT;
    memset(s, 0, sizeof *s);
    if (t->settings_path[0])
        how = vitp_os_read_file(t->settings_path, VITP_OS_MINE, text, sizeof text, &size);
    if (how == VITP_OS_READ_OK && !vitp_os_is_private(t->settings_folder))
        how = VITP_OS_READ_REFUSED; /* somebody else may have put it there */
    if (how == VITP_OS_READ_REFUSED || how == VITP_OS_READ_LATER) {
        vitp_log_note(&t->recorder.log, VIT_LOG_SETTINGS_UNREADABLE);
        s->unreadable = true;
        s->later = how == VITP_OS_READ_LATER;
        return true;
    }
    if (how == VITP_OS_READ_ABSENT) return false;
    vitp_settings_parse(s, text, size);
    if (s->unreadable) vitp_log_note(&t->recorder.log, VIT_LOG_SETTINGS_UNREADABLE);
    return true;
}

/* A refusal that could not be written, or did not wait for another process that holds the settings
   and may be about to write what it read before, is a file of its own as well. It counts as one in
   the settings does, and becomes one when their holder lets go of them, or the next one comes. */
static vitp_os_read vitp_worker_refusal_read(const vit_client *t, char path[VITP_POOL_PATH_MAX])
{
    char   byte[1];
    size_t size;
    if (!t->settings_path[0] || snprintf(path, VITP_POOL_PATH_MAX, "%s/telemetry.refused",
                                         t->settings_folder) >= (int)VITP_POOL_PATH_MAX)
        return VITP_OS_READ_ABSENT;
    return vitp_os_read_file(path, VITP_OS_MINE, byte, sizeof byte, &size);
}

/* The settings, and a refusal that is not in them yet. True: as vitp_worker_load_file. */
static bool vitp_worker_load(vit_client *t, vitp_settings *s)
{
    char         path[VITP_POOL_PATH_MAX];
    vitp_os_read how;
    bool         there = vitp_worker_load_file(t, s);
    if (s->unreadable) return true;
    how = vitp_worker_refusal_read(t, path);
    if (how == VITP_OS_READ_LATER) s->unreadable = s->later = true;
    if (how != VITP_OS_READ_OK) return there || s->later;
    s->has_consent = true;
    s->consent = VIT_CONSENT_DENIED;
    return true;
}

static void vitp_worker_refusal_leave(vit_client *t)
{
    char             path[VITP_POOL_PATH_MAX];
    vitp_os_appender file;
    if (vitp_worker_refusal_read(t, path) == VITP_OS_READ_ABSENT &&
        vitp_os_append_open(&file, path))
        (void)vitp_os_append_close(&file, path, NULL);
    t->refusal_left = true;
}

/* Another process holds the settings: only a refusal may be written. */
static bool vitp_worker_is_kept_out(const vit_client *t) { return t->hold != 0 && !t->held; }

/* True: there was a refusal to be heeded. */
static bool vitp_worker_heed(vit_client *t)
{
    char          path[VITP_POOL_PATH_MAX], text[VITP_SETTINGS_MAX];
    vitp_settings s;
    if (vitp_worker_is_kept_out(t) || vitp_worker_refusal_read(t, path) != VITP_OS_READ_OK ||
        !vitp_os_is_private(t->settings_folder)) /* what is in it is not ours */
        return false;
    (void)vitp_worker_load_file(t, &s);
    if (s.later) return true;
    s.has_consent = true;
    s.consent = VIT_CONSENT_DENIED;
    s.has_hwid = s.has_salt = false;
    if (vitp_os_write_file(t->settings_path, text, vitp_settings_print(&s, text), false))
        vitp_os_remove_file(path);
    else vitp_log_note(&t->recorder.log, VIT_LOG_SETTINGS_NOT_SAVED);
    return true;
}

/* Between the two no other process changes the settings: what it decided is not lost between our
   reading and our writing. */
static void vitp_worker_hold_for(vit_client *t, uint32_t ms)
{
    if (t->holds++ > 0) return;
    t->held = false;
    if (t->settings_folder[0]) t->hold = vitp_os_hold_folder(t->settings_folder, ms, &t->held);
    (void)vitp_worker_heed(t);
}

static void vitp_worker_hold(vit_client *t) { vitp_worker_hold_for(t, VITP_HOLD_MS); }

static void vitp_worker_let_go(vit_client *t)
{
    if (vitp_worker_heed(t)) t->heeded = true;
    vitp_os_release_folder(t->hold);
    t->hold = 0;
    t->held = false;
}

static void vitp_worker_release(vit_client *t)
{
    if (--t->holds > 0) return;
    vitp_worker_let_go(t);
    if (!t->refusal_left) return;
    t->refusal_left = false;
    t->hold = vitp_os_hold_folder(t->settings_folder, 0, &t->held); /* it may be free by now */
    vitp_worker_let_go(t);
}

/* The file of a server's Retry-After. False: there is no folder. */
static bool vitp_worker_wait_path(const vit_client *t, char out[VITP_POOL_PATH_MAX])
{
    (void)snprintf(out, VITP_POOL_PATH_MAX, "%s/%s.wait", t->settings_folder, t->client_type);
    return t->settings_folder[0] != 0;
}

/* A temporary file whose process is gone: it was killed before the file got its name. Not what
   somebody calls telemetry.conf.1. */
static bool vitp_worker_sweep_one(const char *folder, const char *name, void *user)
{
    static const char begin[] = "telemetry.conf.", wait[] = ".wait.";
    const char       *client_type = ((const vit_client *)user)->client_type;
    size_t            n = strlen(client_type), at = sizeof begin - 1;
    char              path[VITP_POOL_PATH_MAX], *end;
    uint32_t          process;
    if (strncmp(name, client_type, n) == 0 && strncmp(name + n, wait, sizeof wait - 1) == 0)
        at = n + sizeof wait - 1;
    else if (strncmp(name, begin, sizeof begin - 1) != 0) return true;
    process = (uint32_t)strtoul(name + at, &end, 10);
    if (*end == '-' && vitp_text_is_hex(end + 1, 16) && !end[17] &&
        vitp_os_process_is_gone(process) &&
        snprintf(path, sizeof path, "%s/%s", folder, name) < (int)sizeof path)
        vitp_os_remove_file(path);
    return true;
}

/* Not beside a process that holds the settings: of one in another container it cannot be told
   whether it is gone. */
static void vitp_worker_sweep(vit_client *t)
{
    if (!vitp_worker_is_kept_out(t))
        (void)vitp_os_each_file(t->settings_folder, vitp_worker_sweep_one, t);
}

/* The file is not what was decided: until it says something else than now, it is not heard. */
static void vitp_worker_not_saved(vit_client *t, const vitp_settings *said, vit_log_item item)
{
    t->unsaved = true;
    t->said = *said;
    vitp_log_note(&t->recorder.log, item);
}

/* Another process was faster: its identity is ours, and its file decides. */
static void vitp_worker_yield(vit_client *t, const vitp_settings *theirs)
{
    if (!theirs->has_hwid || !theirs->has_salt) return;
    memcpy(t->settings.hwid, theirs->hwid, sizeof t->settings.hwid);
    memcpy(t->settings.salt, theirs->salt, sizeof t->settings.salt);
    vitp_worker_use_identity(t);
}

/* Saves the settings. only_new: false where another process was faster. */
static bool vitp_worker_write(vit_client *t, bool only_new)
{
    char          text[VITP_SETTINGS_MAX];
    vitp_settings said, ours;
    bool          refuses;
    if (!t->settings_path[0]) return true;
    memset(&said, 0, sizeof said);
    if (!only_new && vitp_worker_load(t, &said) && !said.later)
        t->settings.off = said.off; /* the user's */
    ours = t->settings;
    refuses = ours.has_consent && ours.consent == VIT_CONSENT_DENIED;
    if (t->consent < VIT_CONSENT_GRANTED) ours.has_hwid = ours.has_salt = false;
    if (said.later && t->consent != VIT_CONSENT_DENIED) { /* there may be a refusal in it */
        vitp_worker_not_saved(t, &said, VIT_LOG_SETTINGS_NOT_SAVED);
        return true;
    }
    if (vitp_worker_is_kept_out(t) && !only_new && !refuses) { /* or there is about to be */
        vitp_worker_not_saved(t, &t->heard, VIT_LOG_SETTINGS_NOT_SAVED);
        return true;
    }
    if (!vitp_os_make_folder(t->settings_folder)) {
        vitp_worker_not_saved(t, &said, VIT_LOG_NO_DATA_FOLDER);
        return true;
    }
    vitp_worker_sweep(t);
    t->unsaved = false;
    if (refuses && vitp_worker_is_kept_out(t)) vitp_worker_refusal_leave(t);
    if (vitp_os_write_file(t->settings_path, text, vitp_settings_print(&ours, text), only_new))
        return true;
    if (only_new && vitp_worker_load(t, &said)) {
        vitp_worker_yield(t, &said);
        return false;
    }
    if (refuses && said.consent >= VIT_CONSENT_GRANTED) {
        vitp_os_remove_file(t->settings_path); /* no grant is left that was withdrawn */
        memset(&said, 0, sizeof said);
    }
    if (refuses) vitp_worker_refusal_leave(t); /* on a full disk an empty file has room */
    vitp_worker_not_saved(t, &said, VIT_LOG_SETTINGS_NOT_SAVED);
    return true;
}

static bool vitp_worker_store(vit_client *t, bool only_new)
{
    bool ours;
    vitp_worker_hold(t);
    ours = vitp_worker_write(t, only_new);
    vitp_worker_release(t);
    return ours;
}

/* Takes hwid and salt from the disk; what the user decided stays, or where it cannot be written, a
   refusal does. Writes nothing where nothing is. */
static void vitp_worker_remove_identity(vit_client *t)
{
    char          text[VITP_SETTINGS_MAX];
    vitp_settings kept;
    bool          refuses;
    if (!vitp_os_is_private(t->settings_folder)) return; /* what is in it is not ours */
    vitp_worker_sweep(t);
    if (!vitp_worker_load(t, &kept) || (!kept.has_hwid && !kept.has_salt)) return;
    kept.has_hwid = kept.has_salt = false;
    if (kept.unreadable) { /* it refuses, and goes on to do so until the user decides anew */
        kept.has_consent = true;
        kept.consent = VIT_CONSENT_DENIED;
    }
    refuses = kept.off || (kept.has_consent && kept.consent == VIT_CONSENT_DENIED);
    if ((refuses || (kept.has_consent && !vitp_worker_is_kept_out(t))) &&
        vitp_os_write_file(t->settings_path, text, vitp_settings_print(&kept, text), false))
        return;
    if (refuses || vitp_worker_is_kept_out(t))
        vitp_log_note(&t->recorder.log, VIT_LOG_SETTINGS_NOT_SAVED);
    else vitp_os_remove_file(t->settings_path);
}

static void vitp_worker_erase(vit_client *t)
{
    vitp_worker_hold(t);
    vitp_worker_remove_identity(t);
    vitp_worker_release(t);
}

/* folder: options.data_dir. */
static void vitp_worker_find_folder(vit_client *t, const char *folder)
{
    char   base[VITP_PATH_MAX];
    size_t size;
    int    n;
    if (folder) {
        n = snprintf(t->settings_folder, sizeof t->settings_folder, "%s", folder);
    } else {
        n = vitp_os_state_folder(base, sizeof base)
                ? snprintf(t->settings_folder, sizeof t->settings_folder, "%s/%s", base,
                           t->client_type)
                : -1;
    }
    if (folder && !folder[0]) return;
    if (n < 0 || (size_t)n >= sizeof t->settings_folder ||
        !vitp_os_make_absolute(t->settings_folder, sizeof t->settings_folder)) {
        t->settings_folder[0] = 0;
        vitp_log_note(&t->recorder.log, VIT_LOG_NO_DATA_FOLDER);
        return;
    }
    for (size = strlen(t->settings_folder); size > 1 && t->settings_folder[size - 1] == '/'; size--)
        t->settings_folder[size - 1] = 0; /* one folder has one name */
    (void)snprintf(t->settings_path, sizeof t->settings_path, "%s/telemetry.conf",
                   t->settings_folder);
}
#endif

#ifdef VITELEMETRY_NO_FILES
static void vitp_worker_open_run(vit_client *t) { (void)t; }
static void vitp_worker_remove_pools(vit_client *t) { (void)t; }
static bool vitp_worker_adopt(vit_client *t)
{
    (void)t;
    return false;
}
static void vitp_worker_put_down(vit_client *t, bool remove) { (void)t, (void)remove; }
static bool vitp_worker_map_pool(vit_client *t, uint32_t capacity)
{
    (void)t, (void)capacity;
    return false;
}
#else

/* ---- pools that outlive their process ---------------------------------------------------- */

/* The folders in which pools may lie, the best first. False: no more of them. */
static bool vitp_worker_pool_folder(const vit_client *t, uint32_t which, char out[VITP_PATH_MAX])
{
    if (which < 2u && !vitp_os_pool_base(which, out, VITP_PATH_MAX)) out[0] = 0;
    if (which == 2u) (void)vitp_text_copy(out, VITP_PATH_MAX, t->settings_folder);
    return which < 3u;
}

/* `<client type>-<hash of the data folder>.`: pools of one identity. */
static void vitp_worker_pool_prefix(const vit_client *t, char out[VITP_LABEL_MAX + 32u])
{
    unsigned char digest[32];
    char          hex[17], memory[VITP_PATH_MAX];
    const char   *key = vitp_os_folder_key(t->settings_folder, memory);
    vit_sha256(digest, key, strlen(key));
    vitp_text_hex(hex, digest, 8);
    (void)snprintf(out, VITP_LABEL_MAX + 32u, "%s-%s.", t->client_type, hex);
}

/* end: ".pool" or ".run". */
static bool vitp_worker_pool_path(const vit_client *t, const char *folder, const char *end,
                                  char out[VITP_POOL_PATH_MAX])
{
    char          prefix[VITP_LABEL_MAX + 32u], hex[17];
    unsigned char random[8];
    int           n;
    if (!vitp_id_random(random, sizeof random)) return false;
    vitp_text_hex(hex, random, 8);
    vitp_worker_pool_prefix(t, prefix);
    n = snprintf(out, VITP_POOL_PATH_MAX, "%s/%s%s%s", folder, prefix, hex, end);
    return (size_t)n < VITP_POOL_PATH_MAX - 8u;
}

typedef struct vitp_pool_count {
    char     prefix[VITP_LABEL_MAX + 32u];
    uint32_t count;
} vitp_pool_count;

static bool vitp_worker_count_pool(const char *folder, const char *name, void *user)
{
    vitp_pool_count *c = (vitp_pool_count *)user;
    (void)folder;
    if (strncmp(name, c->prefix, strlen(c->prefix)) == 0) c->count++;
    return true;
}

/* There is room for one more: runs that cannot deliver do not fill the memory with theirs. */
static bool vitp_worker_has_place(const vit_client *t, const char *folder)
{
    vitp_pool_count c;
    c.count = 0;
    vitp_worker_pool_prefix(t, c.prefix);
    (void)vitp_os_each_file(folder, vitp_worker_count_pool, &c);
    return c.count < VITP_POOLS_MAX;
}

/* Makes the file in which this client's pool lies. False: nowhere is it safe. */
static bool vitp_worker_map_pool(vit_client *t, uint32_t capacity)
{
    char     folder[VITP_PATH_MAX], path[VITP_POOL_PATH_MAX];
    size_t   size = vitp_ledger_bytes(capacity) + vitp_pool_bytes(capacity);
    uint32_t i;
    if (!t->settings_folder[0]) return false;
    for (i = 0; vitp_worker_pool_folder(t, i, folder); i++)
        if (folder[0] && vitp_os_make_folder(folder) && vitp_worker_has_place(t, folder) &&
            vitp_worker_pool_path(t, folder, ".pool", path) &&
            vitp_os_pool_create(&t->own.file, path, size))
            return true;
    return false;
}

/* From now on the next start knows of this run, should it not end in order. */
static void vitp_worker_open_run(vit_client *t)
{
    const char *folder = t->settings_folder;
    char        path[VITP_POOL_PATH_MAX];
    if (!folder[0] || t->own.ledger->run.state != VITP_RUN_NONE) return;
    t->own.ledger->run.state = VITP_RUN_OPEN;
    vitp_worker_live(t, vitp_os_now_ns());
    if (VITP_ATOMIC_LOAD(&t->recorder.outlives)) return;
    if (!vitp_os_make_folder(folder) || !vitp_worker_has_place(t, folder) ||
        !vitp_worker_pool_path(t, folder, ".run", path) || !vitp_os_pool_begin(&t->marker, path))
        return;
    vitp_worker_save_marker(t);
    if (!vitp_os_pool_rename(&t->marker, path)) vitp_os_pool_remove(&t->marker);
}

/* What is done with each pool that is found unlocked. */
typedef enum vitp_pool_use {
    VITP_POOL_ADOPT, /* with one */
    VITP_POOL_HEAR,  /* it is told how its run ended */
    VITP_POOL_REMOVE
} vitp_pool_use;
typedef struct vitp_pool_search {
    vit_client   *client;
    char          prefix[VITP_LABEL_MAX + 32u];
    vitp_pool_use use;
} vitp_pool_search;

/* Its writer is gone, by all that can be known. */
static bool vitp_worker_is_orphan(const vitp_writer *w)
{
    return w->process == 0 || w->process_start == 0 ||
           vitp_os_process_start(w->process) != w->process_start;
}

/* A pool whose process is gone, but not a child that it forked: the child is to record no more.
   True: it may be removed. */
static bool vitp_worker_close_busy(vitp_stock *s)
{
    vitp_writer w;
    if (!s->file.open || s->file.size < sizeof w || !vitp_os_pool_read(&s->file, 0, &w, sizeof w) ||
        vitp_stock_judge(&w, s->file.size) != VITP_STOCK_READABLE || !vitp_worker_is_orphan(&w))
        return false;
    w.closed = 1u;
    return vitp_os_pool_write(&s->file, offsetof(vitp_writer, closed), &w.closed, sizeof w.closed);
}

/* Reads a pool into memory of ours. False: no memory, or the file is shorter by now. */
static bool vitp_worker_copy_pool(vit_client *t, vitp_stock *s, uint32_t capacity)
{
    size_t own = vitp_queue_own_bytes(capacity);
    char  *at;
    s->block = t->allocator.alloc_fn(64u + own + (size_t)s->file.size, t->allocator.user);
    if (!s->block) return false;
    at = (char *)s->block + (64u - ((size_t)(uintptr_t)s->block & 63u));
    s->ledger = (vitp_ledger *)(void *)(at + own);
    s->queue = (vit_queue *)(void *)at;
    return vitp_os_pool_read(&s->file, 0, s->ledger, (size_t)s->file.size);
}

static void vitp_worker_count_adopted(vit_client *t, const vitp_recovered *found, uint32_t settled)
{
    (void)VITP_ATOMIC_ADD_PTR(&t->adopted_records,
                              (uintptr_t)(found->records + found->torn - settled));
    (void)VITP_ATOMIC_ADD_PTR(&t->adopted_released, (uintptr_t)found->torn);
    (void)VITP_ATOMIC_ADD_PTR(&t->dropped[VIT_DROP_CORRUPT], (uintptr_t)found->torn);
    if (found->torn) vitp_log_note(&t->recorder.log, VIT_LOG_POOL_CORRUPT);
}

/* Seconds since the run's last sign of life; wraps. Not since its beginning: the writer's clock
   stood while the machine slept, and the wall clock may have been set. */
static uint64_t vitp_worker_silent_s(const vitp_run *run)
{
    uint32_t since_s = (uint32_t)vitp_os_wall_s() - run->alive_s;
    return since_s <= INT32_MAX ? since_s : since_s - (UINT64_C(1) << 32);
}

/* Takes over what was copied. */
static void vitp_worker_take_over(vit_client *t, vitp_stock *s, uint32_t capacity)
{
    vitp_recovered found;
    vitp_stock_end_texts(s->ledger);
    s->queue = vitp_recover(s->queue, vitp_ledger_pool(s->ledger, capacity), capacity, &found);
    if (!s->queue) {
        memset(&found, 0, sizeof found);
        found.torn = 1;
    }
    s->skew_ns = vitp_os_now_ns() - s->ledger->run.alive_ns -
                 vitp_worker_silent_s(&s->ledger->run) * 1000000000u;
    vitp_worker_count_adopted(t, &found, s->queue ? vitp_stock_resume(s, &t->spool) : 0);
}

/* Ends with the adopted pool. One that is removed is none any more, also where its name stays. */
static void vitp_worker_put_down(vit_client *t, bool remove)
{
    static const char none[8] = { 0 };
    vitp_stock       *s = &t->adopted;
    if (remove && !vitp_os_pool_unname(&s->file))
        (void)vitp_os_pool_write(&s->file, offsetof(vitp_writer, magic), none, sizeof none);
    if (remove) vitp_os_pool_remove(&s->file);
    else vitp_os_pool_unlock(&s->file);
    if (s->block) t->allocator.free_fn(s->block, t->allocator.user);
    memset(s, 0, sizeof *s);
}

/* Drops what the adopted pool holds. */
static void vitp_worker_discard(vit_client *t)
{
    uintptr_t n = (uintptr_t)vitp_stock_drain(&t->adopted);
    (void)VITP_ATOMIC_ADD_PTR(&t->adopted_released, n);
    (void)VITP_ATOMIC_ADD_PTR(&t->dropped[VIT_DROP_CONSENT], n);
    vitp_worker_put_down(t, true);
}

/* Of a pool that is open and locked. */
static vitp_stock_kind vitp_worker_judge(vitp_stock *s, vitp_writer *w)
{
    memset(w, 0, sizeof *w);
    if (s->file.size < sizeof *w || !vitp_os_pool_read(&s->file, 0, w, sizeof *w))
        return VITP_STOCK_CORRUPT;
    return vitp_stock_judge(w, s->file.size);
}

/* ---- what a run that did not end in order left to say ------------------------------------ */

/* Its last words: events for the spool, under a key that is the same whoever writes them, or where
   that cannot be written for the queue. */
typedef struct vitp_teller {
    vit_client        *client;
    const vitp_marker *marker;
    vitp_os_pool      *file;    /* with its ledger in it; NULL: it is the marker's */
    uint64_t           age_ns;  /* since its last sign of life */
    uint64_t           last_ns; /* when that was, by its clock */
    bool               crash, into_spool, failed;
    uint32_t           count;
} vitp_teller;

/* The crash that was the end, or NULL: the last of which there is a record, unless its process
   lived on. */
static const vitp_crash *vitp_worker_crash_of(const vitp_run *run)
{
    const vitp_crash *last = NULL, *crash;
    for (crash = run->crashes; crash < run->crashes + VITP_CRASHES_MAX; crash++)
        if (crash->state == VITP_CRASH_THERE &&
            run->alive_ns <= crash->time_ns + VITP_CRASH_SURVIVED_NS &&
            (!last || crash->time_ns > last->time_ns))
            last = crash;
    return last;
}

/* The process ended while its handler wrote a record. */
static bool vitp_worker_is_writing(const vitp_run *run)
{
    uint32_t i = 0;
    while (i < VITP_CRASHES_MAX && run->crashes[i].state != VITP_CRASH_BUSY) i++;
    return i < VITP_CRASHES_MAX;
}

/* A label of the run's: what is told goes to the disk, where all is scrubbed. */
static void vitp_teller_label(vitp_draft *d, const char *text)
{
    char   clean[VITP_LABEL_SCRUBBED_MAX + 1u];
    size_t size = vitp_record_scrub(&d->e, clean, sizeof clean, text, strlen(text));
    vitp_record_put_text(&d->e, clean, (uint32_t)size);
}

/* at_ns: when it was, by the clock of the run. */
static void vitp_teller_begin(vitp_teller *teller, vitp_draft *d, const char *name, uint32_t flags,
                              uint64_t at_ns)
{
    const vitp_marker *m = teller->marker;
    unsigned char      id[16];
    uint64_t           age_ns = teller->age_ns + (teller->last_ns - at_ns), now_ns;
    vitp_id_next(teller->client->recorder.ids, id);
    vitp_draft_begin(d, &teller->client->recorder, name, flags | VITP_RECORD_WHOLE,
                     flags & VITP_RECORD_CORRELATED ? id : NULL);
    now_ns = teller->into_spool ? vitp_os_wall_ns() : d->memory.head.time_ns;
    d->memory.head.time_ns = now_ns > age_ns ? now_ns - age_ns : 1u;
    d->memory.head.context = 0;
    vitp_record_put_text(&d->e, m->writer.app_version, (uint32_t)strlen(m->writer.app_version));
    vitp_teller_label(d, m->context.session_id);
    vitp_teller_label(d, m->context.provider);
    vitp_record_put_text(&d->e, m->context.collection_hash,
                         (uint32_t)strlen(m->context.collection_hash));
}

static void vitp_teller_put(vitp_teller *teller, vitp_draft *d)
{
    vitp_spool *spool = &teller->client->spool;
    char       *place = teller->into_spool ? vitp_spool_place(spool, true) : NULL;
    bool        put = place || (!teller->into_spool && vitp_draft_push(d));
    if (place) {
        memcpy(place, d->e.data, d->e.size);
        vitp_spool_add(spool, d->e.size);
    }
    if (put) teller->count++;
    else teller->failed = true;
}

/* UncaughtException, as the crash handler saw it. */
static void vitp_teller_crash(vitp_teller *teller)
{
    static const char *const messages[] = { "", "null address", "stack address", "other address" };
    const vitp_crash        *crash = vitp_worker_crash_of(&teller->marker->run);
    const char              *message = messages[crash->touched & 3u];
    char                     frame[64];
    unsigned char            hash[9] = { 1 };
    vitp_draft               d;
    frame[0] = 0;
    if (crash->module[0])
        (void)snprintf(frame, sizeof frame, "%s+0x%llx", crash->module,
                       (unsigned long long)crash->offset);
    vitp_id_error_hash(hash + 1, crash->type, strlen(crash->type), message, strlen(message), frame,
                       strlen(frame));
    vitp_teller_begin(teller, &d, "UncaughtException", VITP_RECORD_ERROR | VITP_RECORD_CORRELATED,
                      crash->time_ns);
    if (message[0]) vitp_draft_label(&d, "message", message);
    vitp_draft_label(&d, "exception_type", crash->type);
    vitp_draft_key(&d, VIT_FRAME, "error_hash");
    vitp_record_put(&d.e, hash, sizeof hash);
    vitp_teller_put(teller, &d);
}

static void vitp_teller_session(vitp_teller *teller)
{
    const vitp_run *run = &teller->marker->run;
    vitp_draft      d;
    vitp_teller_begin(teller, &d, "session.end", 0, teller->last_ns);
    vitp_draft_label(&d, "os", teller->client->recorder.machine.os);
    vitp_draft_label(&d, "exit_reason", teller->crash ? "crash" : "forced_close");
    vitp_draft_number(&d, VIT_MS, "duration_ms",
                      (int64_t)((teller->last_ns - run->session_ns) / VITP_MS));
    vitp_teller_put(teller, &d);
}

/* Errors that came again and were not told of. */
static void vitp_teller_repeats(vitp_teller *teller)
{
    vitp_repeat some[16];
    uint32_t    i, k;
    size_t      begin = offsetof(vitp_ledger, repeats);
    if (!teller->file) return;
    for (i = 0; i < VITP_REPEATS_MAX; i += 16u) {
        if (!vitp_os_pool_read(teller->file, begin + i * sizeof some[0], some, sizeof some)) return;
        for (k = 0; k < 16u; k++) {
            vitp_draft d;
            if (some[k].count == 0 || !vitp_repeat_is_ready(&some[k])) continue;
            vitp_teller_begin(teller, &d, "error.repeated", VITP_RECORD_ERROR, teller->last_ns);
            vitp_record_add_repeat(&d, &some[k], some[k].count);
            vitp_teller_put(teller, &d);
        }
    }
}

/* All that is to be told of the run and may be. */
static void vitp_teller_speak(vitp_teller *teller)
{
    const vitp_crash *crash = vitp_worker_crash_of(&teller->marker->run);
    uint32_t          may = VITP_ATOMIC_LOAD(&teller->client->recorder.permission);
    teller->count = 0;
    teller->failed = false;
    if (crash && !crash->told && (may & VITP_MAY_ERRORS)) vitp_teller_crash(teller);
    if (may & VITP_MAY_ERRORS) vitp_teller_repeats(teller);
    if (teller->marker->run.session_ns && teller->marker->context.session_id[0] &&
        (may & VITP_MAY_USAGE))
        vitp_teller_session(teller);
}

/* Into the spool, unless they are there. False: it cannot be written. */
static bool vitp_teller_save(vitp_teller *teller)
{
    vit_client   *t = teller->client;
    vitp_sha256   s;
    unsigned char digest[32];
    char          key[33];
    vitp_sha256_begin(&s);
    vitp_sha256_add(&s, teller->marker->writer.run_id, sizeof teller->marker->writer.run_id);
    vitp_sha256_add_text(&s, "last words");
    vitp_sha256_end(&s, digest);
    vitp_text_hex(key, digest, 16);
    if (vitp_spool_holds(&t->spool, key)) return true;
    teller->into_spool = true;
    if (!vitp_spool_measure(&t->spool) || !vitp_spool_begin(&t->spool, true)) return false;
    vitp_teller_speak(teller);
    if (teller->count > 0 && !teller->failed &&
        vitp_spool_end(&t->spool, true, key, false, teller->count)) {
        (void)VITP_ATOMIC_ADD_PTR(&t->adopted_records, (uintptr_t)teller->count);
        (void)VITP_ATOMIC_ADD_PTR(&t->adopted_released, (uintptr_t)teller->count);
        return true;
    }
    vitp_spool_undo(&t->spool, true);
    return teller->count == 0 && !teller->failed;
}

/* The same where there is no way into the spool: after it was noted that it is told, since another
   try would have another key. */
static void vitp_teller_push(vitp_teller *teller)
{
    teller->into_spool = false;
    vitp_teller_speak(teller);
}

/* The texts of what was read end, and can be printed. */
static bool vitp_worker_check_marker(vitp_marker *m)
{
    uint32_t i;
    bool     printable;
    m->writer.app_version[VITP_LABEL_MAX] = m->writer.client_type[VITP_LABEL_MAX] = 0;
    m->context.session_id[VITP_LABEL_MAX] = m->context.provider[VITP_LABEL_MAX] = 0;
    m->context.collection_hash[16] = 0;
    printable = vitp_text_is_printable(m->writer.app_version, VITP_LABEL_MAX);
    for (i = 0; i < VITP_CRASHES_MAX; i++) {
        vitp_crash *crash = &m->run.crashes[i];
        crash->type[sizeof crash->type - 1u] = crash->module[sizeof crash->module - 1u] = 0;
        printable = printable && vitp_text_is_printable(crash->type, VITP_LABEL_MAX);
    }
    return m->run.state == VITP_RUN_OPEN && printable;
}

/* When and how the run ended. */
static void vitp_teller_judge(vitp_teller *teller)
{
    const vitp_writer *w = &teller->marker->writer;
    const vitp_run    *run = &teller->marker->run;
    const vitp_crash  *crash = vitp_worker_crash_of(run);
    uint64_t           since_s; /* wraps */
    teller->crash = crash || vitp_worker_is_writing(run) || !run->handler;
    teller->last_ns = run->alive_ns;
    if (crash && teller->last_ns < crash->time_ns) teller->last_ns = crash->time_ns;
    if (teller->last_ns < run->session_ns) teller->last_ns = run->session_ns;
    if (teller->last_ns < w->begin_ns) teller->last_ns = w->begin_ns;
    since_s = vitp_worker_silent_s(run) - (teller->last_ns - run->alive_ns) / 1000000000u;
    teller->age_ns = since_s < VITP_DELAY_MAX_S ? since_s * 1000000000u : 0;
}

/* The settings refuse by now. */
static bool vitp_worker_is_silenced(vit_client *t)
{
    vitp_settings now;
    (void)vitp_worker_load(t, &now);
    return !now.later &&
           (now.off || now.unreadable || (now.has_consent && now.consent < VIT_CONSENT_GRANTED));
}

/* Tells how a run ended that did not do so in order. file: with its ledger, or NULL. False: it is
   left to vitp_teller_push. */
static bool vitp_worker_tell_run(vit_client *t, vitp_teller *teller, vitp_marker *m,
                                 vitp_os_pool *file)
{
    bool saved;
    if (!vitp_worker_check_marker(m)) return true;
    memset(teller, 0, sizeof *teller);
    teller->client = t;
    teller->marker = m;
    teller->file = file;
    vitp_teller_judge(teller);
    if (m->writer.begin_s >= t->crashed_s) {
        t->crashed_s = m->writer.begin_s;
        t->crashed = teller->crash;
    }
    if (memcmp(m->writer.mark, t->own.ledger->writer.mark, sizeof m->writer.mark) != 0) return true;
    (void)vitp_os_make_folder(t->settings_folder);
    vitp_worker_hold(t);
    if (!t->batch.stock) memset(&t->batch, 0, sizeof t->batch);
    vitp_spool_let_go(&t->spool);
    t->spool.polite = true; /* no event gives way to these */
    saved = vitp_worker_is_silenced(t) || (t->held && vitp_teller_save(teller));
    t->spool.polite = false;
    vitp_worker_release(t);
    return saved;
}

/* The same of a pool that is open and locked; once. */
static void vitp_worker_hear_pool(vit_client *t, vitp_os_pool *file, const vitp_writer *w)
{
    vitp_teller       teller;
    vitp_marker       m;
    const vitp_crash *crash;
    uint32_t          number = 0;
    bool              saved;
    memset(&m, 0, sizeof m);
    m.writer = *w;
    if (!vitp_os_pool_read(file, offsetof(vitp_ledger, run), &m.run, sizeof m.run) ||
        m.run.state != VITP_RUN_OPEN ||
        !vitp_os_pool_read(file, offsetof(vitp_ledger, context), &number, sizeof number))
        return;
    if ((crash = vitp_worker_crash_of(&m.run)) != NULL) number = crash->context;
    (void)vitp_os_pool_read(file,
                            offsetof(vitp_ledger, contexts) +
                                (number & (VITP_CONTEXTS_MAX - 1u)) * sizeof m.context,
                            &m.context, sizeof m.context);
    if (number == 0 || m.context.number != number) memset(&m.context, 0, sizeof m.context);
    saved = vitp_worker_tell_run(t, &teller, &m, file);
    m.run.state = VITP_RUN_NONE;
    (void)vitp_os_pool_write(file, offsetof(vitp_ledger, run), &m.run.state, sizeof m.run.state);
    if (!saved) vitp_teller_push(&teller);
}

/* And of a file that is a marker and nothing else, in t->adopted.file, which then goes: unless its
   process lives, and has only closed its descriptors. */
static void vitp_worker_hear_marker(vit_client *t)
{
    vitp_os_pool *file = &t->adopted.file;
    vitp_teller   teller;
    vitp_marker   m;
    bool          saved = true, gone = true;
    if (file->size == sizeof m && vitp_os_pool_read(file, 0, &m, sizeof m) &&
        memcmp(m.writer.magic, VITP_LEDGER_MAGIC, sizeof m.writer.magic) == 0 &&
        m.writer.version == VITP_LEDGER_VERSION && m.writer.order == VITP_LEDGER_ORDER) {
        gone = vitp_worker_is_orphan(&m.writer);
        saved = !gone || vitp_worker_tell_run(t, &teller, &m, NULL);
    }
    vitp_worker_put_down(t, gone);
    if (!saved) vitp_teller_push(&teller);
}

/* Of another identity than ours, and ours is not the last one: the pool may be of that. */
static bool vitp_worker_is_ahead(vit_client *t, const vitp_writer *w)
{
    vitp_settings now;
    return memcmp(w->mark, t->own.ledger->writer.mark, sizeof w->mark) != 0 &&
           vitp_worker_load(t, &now) && vitp_worker_is_other(t, &now);
}

/* Adopts the pool in t->adopted.file. */
static void vitp_worker_adopt_file(vit_client *t, const char *folder)
{
    vitp_stock    *s = &t->adopted;
    vitp_writer    w;
    char           path[VITP_POOL_PATH_MAX];
    vitp_recovered none = { 0, 1 };
    bool           old = vitp_os_wall_s() - s->file.changed_s > VITP_POOL_OLD_S;
    switch (vitp_worker_judge(s, &w)) {
    case VITP_STOCK_FOREIGN:
        vitp_log_note(&t->recorder.log, VIT_LOG_POOL_FOREIGN);
        if (old) vitp_worker_count_adopted(t, &none, 0);
        vitp_worker_put_down(t, old);
        break;
    case VITP_STOCK_CORRUPT:
        vitp_worker_count_adopted(t, &none, 0);
        vitp_worker_put_down(t, true);
        break;
    case VITP_STOCK_READABLE:
        if (vitp_worker_is_ahead(t, &w)) {
            vitp_worker_put_down(t, false);
            break;
        }
        if (vitp_worker_is_orphan(&w)) vitp_worker_hear_pool(t, &s->file, &w);
        if (!vitp_worker_is_orphan(&w) || !vitp_worker_pool_path(t, folder, ".pool", path) ||
            !vitp_worker_copy_pool(t, s, w.capacity) || !vitp_os_pool_rename(&s->file, path))
            vitp_worker_put_down(t, false);
        else vitp_worker_take_over(t, s, w.capacity);
        if (!s->file.open) break;
        if (!s->queue) vitp_worker_put_down(t, true);
        else if (memcmp(w.mark, t->own.ledger->writer.mark, sizeof w.mark) != 0)
            vitp_worker_discard(t); /* hashed with another salt */
        break;
    case VITP_STOCK_UNBEGUN: vitp_worker_put_down(t, true); break;
    }
}

/* Hears what the pool in t->adopted.file has to tell, and lets go of it. */
static void vitp_worker_hear_and_close(vit_client *t)
{
    vitp_writer w;
    vitp_stock *s = &t->adopted;
    if (vitp_worker_judge(s, &w) == VITP_STOCK_READABLE && vitp_worker_is_orphan(&w))
        vitp_worker_hear_pool(t, &s->file, &w);
    vitp_worker_put_down(t, false);
}

/* A file of a process that is gone, in t->adopted.file. */
static void vitp_worker_use_found(vit_client *t, const char *folder, const char *end,
                                  vitp_pool_use use)
{
    if (strcmp(end, ".new") == 0 || use == VITP_POOL_REMOVE) vitp_worker_put_down(t, true);
    else if (strcmp(end, ".run") == 0) vitp_worker_hear_marker(t);
    else if (use == VITP_POOL_HEAR) vitp_worker_hear_and_close(t);
    else vitp_worker_adopt_file(t, folder);
}

/* False: ends the search. */
static bool vitp_worker_found(const char *folder, const char *name, void *user)
{
    vitp_pool_search *search = (vitp_pool_search *)user;
    vit_client       *t = search->client;
    vitp_stock       *s = &t->adopted;
    char              path[VITP_POOL_PATH_MAX];
    const char       *end = strrchr(name, '.');
    if (strncmp(name, search->prefix, strlen(search->prefix)) != 0 || !end ||
        (strcmp(end, ".pool") != 0 && strcmp(end, ".run") != 0 && strcmp(end, ".new") != 0) ||
        snprintf(path, sizeof path, "%s/%s", folder, name) >= (int)sizeof path)
        return true;
    switch (vitp_os_pool_open(&s->file, path)) {
    case VITP_OS_FOUND_OURS: vitp_worker_use_found(t, folder, end, search->use); break;
    case VITP_OS_FOUND_BUSY:
        vitp_worker_put_down(t, search->use == VITP_POOL_REMOVE && vitp_worker_close_busy(s));
        break;
    case VITP_OS_FOUND_REFUSED: break;
    }
    return !s->queue;
}

static void vitp_worker_search(vit_client *t, vitp_pool_use use)
{
    vitp_pool_search search;
    char             folder[VITP_PATH_MAX];
    uint32_t         i;
    search.client = t;
    search.use = use;
    if (!t->settings_folder[0]) return;
    vitp_worker_pool_prefix(t, search.prefix);
    for (i = 0; !t->adopted.queue && vitp_worker_pool_folder(t, i, folder); i++)
        if (folder[0] && vitp_os_is_private(folder))
            (void)vitp_os_each_file(folder, vitp_worker_found, &search);
}

/* True: there is a pool of a process that is gone, to be delivered before our own. */
static bool vitp_worker_adopt(vit_client *t)
{
    while (!t->adopted.queue && !t->alone) {
        vitp_worker_search(t, VITP_POOL_ADOPT);
        t->alone = !t->adopted.queue;
        if (t->adopted.queue && vitp_stock_is_empty(&t->adopted)) vitp_worker_put_down(t, true);
    }
    return t->adopted.queue != NULL;
}

/* What others left goes, unless its process lives. */
static void vitp_worker_remove_pools(vit_client *t)
{
    char path[VITP_POOL_PATH_MAX];
    vitp_spool_forget(&t->spool, VIT_DROP_CONSENT, true);
    if (vitp_worker_wait_path(t, path) && vitp_os_is_private(t->settings_folder))
        vitp_os_remove_file(path);
    if (t->adopted.queue) vitp_worker_put_down(t, true);
    vitp_worker_search(t, VITP_POOL_REMOVE);
}
#endif /* !VITELEMETRY_NO_FILES */

/* ---- gates ------------------------------------------------------------------------------- */

static vitp_answer vitp_worker_ask_admin(vit_client *t)
{
    char        path[VITP_PATH_MAX];
    vitp_answer answer, later = VITP_ANSWER_NONE;
    size_t      size;
    uint32_t    i;
    for (i = 0; vitp_os_admin_path(i, t->client_type, path, sizeof path); i++) {
        answer = VITP_ANSWER_NONE;
        switch (vitp_os_read_file(path, VITP_OS_ADMINS, t->scratch, VITP_SETTINGS_MAX, &size)) {
        case VITP_OS_READ_OK: answer = vitp_consent_admin(t->scratch, size); break;
        case VITP_OS_READ_ABSENT: break;
        case VITP_OS_READ_REFUSED: answer = VITP_ANSWER_UNREADABLE; break;
        case VITP_OS_READ_LATER: later = VITP_ANSWER_LATER; break;
        }
        if (answer) return answer;
    }
    return later;
}

/* NULL: it is not for us to look. */
static const char *vitp_worker_hint_path(const vit_client *t, const vitp_os_hint *hint,
                                         char buffer[VITP_POOL_PATH_MAX])
{
    int n;
    if (!hint->own) return hint->path;
    if (!t->config_folder[0]) return NULL;
    n = snprintf(buffer, VITP_POOL_PATH_MAX, "%s/%s", t->config_folder, hint->path);
    return (size_t)n < VITP_POOL_PATH_MAX ? buffer : NULL;
}

/* A larger file than the scratch holds is read into memory that is given back. Where there is none
   now, nothing is known of what the file says. */
static vitp_answer vitp_worker_read_hint(vit_client *t, const vitp_os_hint *hint, const char *path)
{
    size_t       size = 0;
    void        *more = NULL, *bytes = t->scratch;
    vitp_os_read how = vitp_os_read_file(path, VITP_OS_ANYONES, bytes, VITP_EVENT_JSON_MAX, &size);
    vitp_answer  answer = VITP_ANSWER_NONE;
    size_t       capacity = size + 1u;
    if (how == VITP_OS_READ_REFUSED && hint->form == VITP_OS_DCONF && size >= VITP_EVENT_JSON_MAX &&
        size < VITP_HINT_MAX) {
        more = t->allocator.alloc_fn(capacity, t->allocator.user);
        how = VITP_OS_READ_LATER;
    }
    if (more) how = vitp_os_read_file(path, VITP_OS_ANYONES, bytes = more, capacity, &size);
    if (how == VITP_OS_READ_OK) answer = vitp_consent_hint(hint, bytes, size);
    if (how == VITP_OS_READ_REFUSED) answer = VITP_ANSWER_UNREADABLE;
    if (how == VITP_OS_READ_LATER) answer = VITP_ANSWER_LATER;
    if (more) t->allocator.free_fn(more, t->allocator.user);
    return answer;
}

/* Reads the system's files when one of them has changed. */
static void vitp_worker_ask_hints(vit_client *t)
{
    vitp_hints          now = { 1, VITP_ANSWER_NONE, VITP_ANSWER_NONE, VITP_ANSWER_NONE };
    const vitp_os_hint *hint;
    vitp_answer         answer;
    const char         *path;
    char                buffer[VITP_POOL_PATH_MAX];
    bool                later = false;
    uint32_t            i;
    for (i = 0; (hint = vitp_os_hint_of(i)) != NULL; i++)
        if ((path = vitp_worker_hint_path(t, hint, buffer)) != NULL)
            now.stamp = now.stamp * 31u + vitp_os_stamp(path);
    if (now.stamp == t->hints.stamp) return;
    for (i = 0; (hint = vitp_os_hint_of(i)) != NULL; i++) {
        if ((path = vitp_worker_hint_path(t, hint, buffer)) == NULL) continue;
        answer = vitp_worker_read_hint(t, hint, path);
        if (answer == VITP_ANSWER_LATER) later = true;
        if (hint->takes & VITP_OS_TAKES_ALL) now.admin = answer ? answer : now.admin;
        if (answer != VITP_ANSWER_REFUSES) continue;
        if (hint->takes & VITP_OS_TAKES_USAGE) now.usage = answer;
        if (hint->takes & VITP_OS_TAKES_ERRORS) now.errors = answer;
    }
    if (later) { /* asked again the next time; until then what was refused is */
        now.stamp = 0;
        if (!now.usage) now.usage = t->hints.usage;
        if (!now.errors) now.errors = t->hints.errors;
    }
    t->hints = now;
}

/* Asks the administrator and the system. */
static void vitp_worker_ask(vit_client *t)
{
    vitp_consent_inputs *in = &t->inputs;
    vitp_os_policy       policy;
    vitp_worker_ask_hints(t);
    in->admin = t->hints.admin;
    if (!in->admin || in->admin == VITP_ANSWER_LATER) {
        vitp_answer answer = vitp_worker_ask_admin(t);
        if (answer) in->admin = answer;
    }
    in->usage = t->hints.usage;
    in->errors = t->hints.errors;
    if (vitp_os_ask_policy(&policy, t->client_type)) vitp_consent_policy(in, &policy);
    if (vitp_os_users_differ()) in->usage = in->errors = VITP_ANSWER_REFUSES;
    if (in->admin == VITP_ANSWER_UNREADABLE || in->admin == VITP_ANSWER_LATER)
        vitp_log_note(&t->recorder.log, VIT_LOG_ADMIN_UNREADABLE);
}

/* What the settings say, and what the user decided: unless that could not be saved and the file
   still says what it said then. A refusal that could not be saved is undone by nothing but the
   user. */
static void vitp_worker_take_setting(vit_client *t, const vitp_settings *s)
{
    bool refused = t->settings.has_consent && t->settings.consent == VIT_CONSENT_DENIED;
    if (t->unsaved && !refused && !vitp_settings_same(s, &t->said)) t->unsaved = false;
    t->inputs.setting = s->off                         ? VITP_ANSWER_REFUSES
                        : s->unreadable && !t->unsaved ? VITP_ANSWER_UNREADABLE
                                                       : VITP_ANSWER_NONE;
    if (t->unsaved || s->outdated) return;
    t->inputs.has_stored = t->settings.has_consent = s->has_consent;
    t->inputs.stored = t->settings.consent = s->consent;
}

/* ---- consent ----------------------------------------------------------------------------- */

/* Forgets what waits, and the answer to what is in flight. */
static void vitp_worker_purge(vit_client *t, vit_drop reason)
{
    size_t own = vitp_stock_drain(&t->own), adopted = vitp_stock_drain(&t->adopted);
    if (own > 0) vitp_queue_wipe(t->recorder.queue);
    (void)VITP_ATOMIC_ADD_PTR(&t->released, (uintptr_t)own);
    (void)VITP_ATOMIC_ADD_PTR(&t->adopted_released, (uintptr_t)adopted);
    (void)VITP_ATOMIC_ADD_PTR(&t->dropped[reason], (uintptr_t)(own + adopted));
    vitp_spool_forget(&t->spool, reason, false);
    vitp_repeat_forget(t->own.ledger);
    t->purge_turn++;
    t->body_turn++;
    if (t->sending || t->pending) VITP_ATOMIC_STORE(&t->cancel, (uint32_t)VITP_CANCEL_WANTED);
    t->orphan = t->orphan || t->pending;
}

/* The same with what killed processes left. */
static void vitp_worker_purge_all(vit_client *t)
{
    vitp_worker_purge(t, VIT_DROP_CONSENT);
    vitp_worker_remove_pools(t);
}

/* Nothing that was recorded under the old identity goes out under the new one: a record that bears
   the new number was made with the new salt and context. */
static void vitp_worker_change_identity(vit_client *t)
{
    memset(t->own.ledger->contexts, 0, sizeof t->own.ledger->contexts);
    vitp_id_seed(t->recorder.ids);
    t->context.collection_hash[0] = 0;
    if (t->context.session_id[0]) vit_uuid4(t->context.session_id);
    vitp_worker_use_context(t);
    vitp_worker_use_identity(t);
    VITP_ATOMIC_STORE(&t->own.ledger->identity, VITP_ATOMIC_LOAD(&t->recorder.identity) + 1u);
    VITP_ATOMIC_STORE_RELEASE(&t->recorder.identity, VITP_ATOMIC_LOAD(&t->own.ledger->identity));
    t->body_turn++;
}

static void vitp_worker_forget_identity(vit_client *t)
{
    vitp_worker_erase(t);
    t->settings.has_hwid = t->settings.has_salt = false;
    vitp_worker_make_identity(t);
    vitp_worker_change_identity(t);
}

/* This client's own pool does not outlive the process any more, and no record of a crash does. */
static void vitp_worker_disown_file(vit_client *t)
{
#ifndef VITELEMETRY_NO_FILES
    if (VITP_ATOMIC_LOAD(&t->recorder.outlives)) vitp_os_pool_disown(&t->own.file);
#endif
    VITP_ATOMIC_STORE(&t->recorder.outlives, 0u);
    t->own.ledger->run.handler = 0u;
}

/* Decides anew and makes it so: permission first, so that no record comes after the purge. */
static void vitp_worker_decide(vit_client *t)
{
    bool     denied = t->consent == VIT_CONSENT_DENIED;
    uint32_t may;
    t->consent = vitp_consent_decide(&t->inputs, &t->gate, &may);
    if (denied && t->consent != VIT_CONSENT_DENIED) /* what calls recorded that had begun before */
        vitp_worker_purge(t, VIT_DROP_CONSENT);
    if (may != VITP_ATOMIC_LOAD(&t->recorder.permission)) t->body_turn++;
    VITP_ATOMIC_STORE_RELEASE(&t->recorder.permission, may);
    VITP_ATOMIC_STORE_RELEASE(&t->own.ledger->permission, may);
    VITP_ATOMIC_STORE(&t->recorder.decision, (uint32_t)t->consent | (uint32_t)t->gate << 8);
    if (t->consent >= VIT_CONSENT_GRANTED) vitp_worker_open_run(t);
    else vitp_worker_close_run(t);
    if (t->consent == VIT_CONSENT_UNKNOWN) {
        vitp_log_note(&t->recorder.log, VIT_LOG_CONSENT_UNKNOWN);
        vitp_worker_disown_file(t); /* what waits from now on is in no file */
    }
    if (t->gate == VIT_GATE_SYSTEM && t->consent != VIT_CONSENT_DENIED)
        vitp_log_note(&t->recorder.log, VIT_LOG_PART_REFUSED);
    if (t->consent != VIT_CONSENT_DENIED) return;
    vitp_log_note(&t->recorder.log, VIT_LOG_CONSENT_REFUSED);
    vitp_worker_purge(t, VIT_DROP_CONSENT);
    /* The user's or the host's refusal, whatever gate is named first; the others come and go, and
       what could not be read may have been none. */
    if (vitp_consent_of(&t->inputs) != VIT_CONSENT_DENIED &&
        t->inputs.setting != VITP_ANSWER_REFUSES)
        return;
    vitp_worker_remove_pools(t);
    vitp_audit_remove(t->settings_folder);
    vitp_worker_disown_file(t);
    vitp_worker_forget_identity(t);
}

/* Another process changed the identity: it becomes ours, and what was hashed under the old one
   is not sent. What others left may be of the new one, also what we read of it just now: each
   record and each pool tells. */
static void vitp_worker_adopt_identity(vit_client *t, const vitp_settings *theirs)
{
    if (!vitp_worker_is_other(t, theirs)) return;
    vitp_spool_give_back(&t->spool);
    vitp_worker_purge(t, VIT_DROP_CONSENT);
    if (t->adopted.queue) vitp_worker_put_down(t, true);
    t->alone = false;
    memcpy(t->settings.hwid, theirs->hwid, sizeof t->settings.hwid);
    memcpy(t->settings.salt, theirs->salt, sizeof t->settings.salt);
    vitp_worker_change_identity(t);
}

/* Right before bytes leave: did the user, another process, the administrator or the system refuse
   meanwhile? The files are read, not only looked at: two changes within one tick of a file's time
   are two. Where the settings are gone, so is the decision. False: a file could not be read just
   now; what it said before holds, and nothing may leave before it could. */
static bool vitp_worker_recheck(vit_client *t)
{
    vitp_settings now;
    vitp_answer   admin = t->inputs.admin;
    (void)vitp_worker_load(t, &now);
    vitp_worker_ask(t);
    t->later = now.later || t->inputs.admin == VITP_ANSWER_LATER;
    if (t->inputs.admin == VITP_ANSWER_LATER) t->inputs.admin = admin;
    if (!now.later && t->settings_path[0]) {
        t->heard = now;
        t->settings.off = now.off;
        vitp_worker_take_setting(t, &now);
        if (!t->unsaved) vitp_worker_adopt_identity(t, &now);
    }
    vitp_worker_decide(t);
    return !t->later;
}

#ifndef VITELEMETRY_NO_FILES
/* Behind a release: what was written while another process refused goes. */
static void vitp_worker_obey(vit_client *t)
{
    if (t->heeded) (void)vitp_worker_recheck(t);
    t->heeded = false;
}
#endif

/* The system refuses its kind by now. */
static bool vitp_worker_is_refused(const vit_client *t, const void *record, uint32_t size)
{
    vitp_record_head head;
    if (size < sizeof head) return false;
    memcpy(&head, record, sizeof head);
    return !(VITP_ATOMIC_LOAD(&t->recorder.permission) &
             (head.flags & VITP_RECORD_ERROR ? VITP_MAY_ERRORS : VITP_MAY_USAGE));
}

#if !defined(VITELEMETRY_NO_FILES) || !defined(VITELEMETRY_NO_THREADS)
static bool vitp_worker_oldest(const void *record, uint32_t size, void *user)
{
    if (size >= 8) memcpy(user, record, 8);
    return false;
}
#endif

static bool vitp_worker_may_send(const vit_client *t)
{
    return (VITP_ATOMIC_LOAD(&t->recorder.permission) & VITP_MAY_SEND) && t->transport.send_fn &&
           !t->halted;
}

/* ---- batch ------------------------------------------------------------------------------- */

typedef struct vitp_batch_builder {
    vit_client   *client;
    vitp_wire_job job;
    vitp_json     json;
    uint64_t      first_ns;     /* when the oldest event was recorded */
    const void   *first, *last; /* records */
    size_t        limit, most;  /* events, records */
    size_t        capacity;     /* of json, when it has no events yet */
    bool          again;        /* it may have been received: it is as it was */
    bool          full;
} vitp_batch_builder;

/* An event that waits becomes longer by its delay_s. What is repeated later, from the disk or by
   the next start, is the same batch, and has to fit. */
#define VITP_BATCH_DELAY 20u /* bytes of `,"delay_s":` and of ten years */

static bool vitp_batch_has_room(vitp_batch_builder *b)
{
    size_t events = b->client->batch.events, spare = VITP_BATCH_DELAY * (events + 1u);
    if (events == 0 || b->again || b->job.shape != VITP_SHAPE_JSON) return true;
    if (b->capacity - b->json.size < spare) return false;
    b->json.capacity = b->capacity - spare;
    return true;
}

static bool vitp_batch_add(const void *record, uint32_t size, void *user)
{
    vitp_batch_builder   *b = (vitp_batch_builder *)user;
    vitp_batch           *batch = &b->client->batch;
    const vitp_wire_form *form = vitp_wire_form_of(b->client->form);
    if (batch->events >= b->limit) return false;
    if (batch->records >= b->most) return false;
    b->full = !vitp_batch_has_room(b);
    if (b->full) return false;
    if (batch->records == 0) b->first = record;
    if (batch->records == 0 && size >= 8) memcpy(&b->first_ns, record, 8);
    switch (vitp_worker_is_refused(b->client, record, size)
                ? VITP_WIRE_STALE
                : vitp_wire_event(&b->client->wire, &b->job, &b->json,
                                  batch->events > 0 ? form->separator : "", record, size)) {
    case VITP_WIRE_WRITTEN: batch->events++; break;
    case VITP_WIRE_SECRET: batch->secret++; break;
    case VITP_WIRE_STALE: batch->stale++; break;
    case VITP_WIRE_CORRUPT: batch->corrupt++; break;
    case VITP_WIRE_FULL:
        b->json.full = false;
        b->full = true;
        if (batch->events > 0) return false;
        batch->corrupt++; /* an event that no request can carry */
        break;
    }
    batch->records++;
    b->last = record;
    b->full = batch->events >= b->limit;
    return !b->full;
}

/* The same for each try of the same records, and for no others: of their run, which one is the
   first, and how many. first: in an adopted pool, which nobody fills, where it lies tells that. */
static void vitp_batch_key(vit_client *t, vitp_stock *stock, const void *first, size_t records,
                           char key[33])
{
    vitp_ledger  *l = stock->ledger;
    vitp_sha256   s;
    uint64_t      number[2];
    unsigned char digest[32];
    number[0] = stock == &t->own ? (uint64_t)VITP_ATOMIC_LOAD_PTR(&t->released)
                                 : ~(uint64_t)((const char *)first - (const char *)(const void *)l);
    number[1] = (uint64_t)records;
    vitp_sha256_begin(&s);
    vitp_sha256_add(&s, l->writer.run_id, sizeof l->writer.run_id);
    vitp_sha256_add(&s, number, sizeof number);
    vitp_sha256_end(&s, digest);
    vitp_text_hex(key, digest, 16);
}

/* Frees the batch's records. counter: of its events, or NULL. */
static void vitp_batch_finish(vit_client *t, uintptr_t *counter)
{
    vitp_batch *b = &t->batch;
    if (b->stock) {
        vitp_stock_release(b->stock, b->records);
        (void)VITP_ATOMIC_ADD_PTR(b->stock == &t->own ? &t->released : &t->adopted_released,
                                  (uintptr_t)b->records);
    }
#ifndef VITELEMETRY_NO_FILES
    else
        vitp_spool_release(&t->spool, b->spool_end, (uint32_t)b->records);
#endif
    if (counter) (void)VITP_ATOMIC_ADD_PTR(counter, (uintptr_t)b->events);
    (void)VITP_ATOMIC_ADD_PTR(&t->dropped[VIT_DROP_CORRUPT], (uintptr_t)b->corrupt);
    (void)VITP_ATOMIC_ADD_PTR(&t->dropped[VIT_DROP_SECRET], (uintptr_t)b->secret);
    (void)VITP_ATOMIC_ADD_PTR(&t->dropped[VIT_DROP_CONSENT], (uintptr_t)b->stale);
    (void)VITP_ATOMIC_ADD_PTR(&t->dropped[VIT_DROP_TOO_OLD], (uintptr_t)b->old);
    if (b->corrupt) vitp_log_note(&t->recorder.log, VIT_LOG_RECORD_CORRUPT);
    if (b->secret) vitp_log_note(&t->recorder.log, VIT_LOG_SECRET_STOPPED);
    memset(b, 0, sizeof *b);
}

/* An empty batch of a stock, or of the spool (NULL), and an empty body. */
static void vitp_batch_begin(vit_client *t, vitp_stock *stock, vitp_batch_builder *b)
{
    const vitp_wire_form *form = vitp_wire_form_of(t->form);
    memset(&t->batch, 0, sizeof t->batch);
    memset(b, 0, sizeof *b);
    t->batch.stock = stock;
    b->client = t;
    b->json.data = t->body;
    b->json.capacity = b->capacity = t->body_capacity - strlen(form->close);
    vitp_json_text(&b->json, form->open);
}

/* The records from first to last are what is sent next: that is written down. */
static void vitp_batch_write_down(vit_client *t, vitp_stock *s, const void *first, const void *last,
                                  size_t records, char key[33])
{
    if (s->again) {
        memcpy(key, s->ledger->batch_key, 33);
        return;
    }
    vitp_stock_write_down(s, last, records);
    vitp_batch_key(t, s, first, records, key);
    vitp_stock_begin(s, key);
}

/* The body is whole. */
static void vitp_batch_close(vit_client *t, vitp_batch_builder *b)
{
    b->json.capacity = t->body_capacity;
    vitp_json_text(&b->json, vitp_wire_form_of(t->form)->close);
    t->batch.size = b->json.size;
    t->batch.ready = true;
    t->batch.turn = t->body_turn;
}

/* What somebody waited for is gone: what came meanwhile waits for a full batch again. */
static bool vitp_batch_ends_hurry(const vit_client *t)
{
    return t->batch.events == 0 ||
           (intptr_t)(VITP_ATOMIC_LOAD_PTR(&t->released) - t->hurry_end) >= 0;
}

/* Puts the oldest records of a stock into the body. True: there is a batch to send now: it is
   full, its first event has waited for flush_ms or for a new process, or somebody is in a hurry. */
static bool vitp_batch_build(vit_client *t, vitp_stock *stock, uint64_t now_ns)
{
    vitp_batch_builder b;
    uint32_t           attempts = t->batch.attempts;
    vitp_batch_begin(t, stock, &b);
    if (stock->ledger->batch_state == VITP_BATCH_SENT) /* else it is another one */
        t->batch.attempts = stock->again && attempts == 0 ? 1u : attempts;
    b.job = vitp_stock_job(stock, vitp_wire_form_of(t->form)->shape, now_ns);
    /* A retry is as it was, also where batches are smaller by now. */
    b.most =
        stock->ledger->batch_state == VITP_BATCH_SENT ? stock->ledger->batch_records : (size_t)-1;
    b.again = b.most != (size_t)-1;
    b.limit = b.again && t->form != VIT_WIRE_EVENT ? (size_t)-1 : t->batch_limit;
    (void)vitp_stock_peek(stock, vitp_batch_add, &b);
    if (stock->again && t->batch.records != stock->ledger->batch_records) {
        vitp_stock_abandon(stock); /* it does not fit this client's requests */
        return vitp_batch_build(t, stock, now_ns);
    }
    if (t->batch.records > 0 && t->batch.events == 0) {
        vitp_batch_finish(t, &t->delivered); /* by none */
        return false;
    }
    if (stock == &t->own && vitp_batch_ends_hurry(t)) t->hurry = false;
    b.full = b.full || t->batch.records == b.most || stock != &t->own ||
             vitp_queue_is_filling(t->recorder.queue);
    if (!b.full && !t->hurry && now_ns < b.first_ns + (uint64_t)t->flush_ms * VITP_MS) return false;
    if (t->batch.events == 0) return false;
    vitp_batch_close(t, &b);
    vitp_batch_write_down(t, stock, b.first, b.last, t->batch.records, t->batch.key);
    return true;
}

#ifdef VITELEMETRY_NO_FILES
static bool vitp_batch_build_spooled(vit_client *t)
{
    (void)t;
    return false;
}
static void vitp_worker_save_until(vit_client *t, uint64_t until_ns, bool all)
{
    (void)t, (void)until_ns, (void)all;
}
static void vitp_worker_save(vit_client *t) { (void)t; }
#else
/* A record of the spool. True: it was taken. */
static bool vitp_batch_add_spooled(vitp_batch_builder *b, const vitp_spool_walk *w)
{
    vitp_batch *batch = &b->client->batch;
    size_t      records = batch->records;
    uint64_t    recorded_ns = 0, age_s;
    if (records >= b->most) return false;
    if (w->frame.size >= 8) memcpy(&recorded_ns, w->record, 8);
    age_s = b->job.wall_ns > recorded_ns ? (b->job.wall_ns - recorded_ns) / 1000000000u : 0;
    if (w->frame.mark != b->client->spool.mark) {
        batch->stale++;
    } else if (age_s > (uint64_t)b->client->spool.days * 86400u && age_s < VITP_DELAY_MAX_S) {
        batch->old++;
    } else {
        (void)vitp_batch_add(w->record, w->frame.size, b);
        return batch->records > records;
    }
    batch->records++;
    return true;
}

/* Fills the batch from a unit. True: with all of it, and its key. Behind what cannot be read may be
   another batch, whose head it was. */
static bool vitp_batch_fill_spooled(vitp_batch_builder *b, const vitp_spool_unit *u,
                                    vitp_spool_walk *w)
{
    vitp_batch     *batch = &b->client->batch;
    vitp_spool_walk next = *w;
    bool            more;
    while ((more = vitp_spool_step(&next) && next.record &&
                   (batch->records == 0 || next.pieces == w->pieces)) &&
           !b->full && vitp_batch_add_spooled(b, &next))
        *w = next;
    batch->spool_end = w->at;
    return !more && batch->records == u->records;
}

/* What may have been received is repeated as it was, also where batches are smaller by now. Of what
   the server refused, under_way says how much is tried next. */
static void vitp_batch_limit_spooled(vitp_batch_builder *b, const vitp_spool_unit *u)
{
    const vit_client *t = b->client;
    b->most = u->most;
    b->again = u->records > 0 || t->spool.in.head.under_way > 0;
    b->limit = b->again && t->form != VIT_WIRE_EVENT ? (size_t)-1 : t->batch_limit;
}

/* Another process has changed what may be sent since we looked last. */
static bool vitp_worker_has_changed(vit_client *t)
{
    uint32_t turn = t->body_turn;
    (void)vitp_worker_recheck(t);
    return t->body_turn != turn;
}

/* Puts the oldest batch of the spool, or what is left of it, into the body. */
static bool vitp_batch_build_spooled(vit_client *t)
{
    vitp_batch_builder b;
    vitp_spool_unit    u;
    vitp_spool_walk    w;
    bool               whole;
    while (vitp_worker_may_send(t) && vitp_spool_open(&t->spool)) {
        vitp_batch_begin(t, NULL, &b);
        if (!vitp_spool_unit_of(&t->spool, &u, &w)) {
            vitp_spool_drop(&t->spool, t->spool.in.records, VIT_DROP_CORRUPT);
            vitp_spool_finish_in(&t->spool);
            continue;
        }
        b.job = vitp_wire_spool_job(vitp_wire_form_of(t->form)->shape);
        vitp_batch_limit_spooled(&b, &u);
        whole = vitp_batch_fill_spooled(&b, &u, &w);
        if (t->batch.stale > 0 && vitp_worker_has_changed(t)) continue; /* not by what they bear */
        if (whole) memcpy(t->batch.key, u.key, sizeof u.key);
        else vitp_spool_part_key(&t->spool, &u, (uint32_t)t->batch.records, t->batch.key);
        t->batch.attempts = (u.sent && whole) || t->spool.tried ? 1u : 0u;
        if (t->batch.events == 0) {
            vitp_batch_finish(t, &t->delivered); /* by none */
            continue;
        }
        if (t->batch.records != u.records)
            vitp_spool_note_part(&t->spool, (uint32_t)t->batch.records);
        vitp_batch_close(t, &b);
        return true;
    }
    return false;
}

/* ---- into the spool ---------------------------------------------------------------------- */

/* The records of a stock that become one batch of the spool. */
typedef struct vitp_saver {
    vit_client   *client;
    vitp_wire_job job;
    const void   *first, *last;
    size_t        most, bytes, records;
    size_t        written, corrupt, secret, stale;
    bool          errors, failed;
} vitp_saver;

#define VITP_SAVER_RECORD 144u /* bytes that a record takes there, and not in the queue: about */
#define VITP_SAVER_PARTS  8u   /* of the cap: a batch takes one, so that few others give way */

static bool vitp_worker_choose(const void *record, uint32_t size, void *user)
{
    vitp_saver      *saver = (vitp_saver *)user;
    vitp_record_head head;
    size_t           bytes = size + VITP_SAVER_RECORD;
    if (saver->records == saver->most || (saver->records > 0 && saver->bytes < bytes)) return false;
    if (saver->records == 0) saver->first = record;
    if (size >= sizeof head) memcpy(&head, record, sizeof head);
    if (size >= sizeof head && (head.flags & VITP_RECORD_ERROR)) saver->errors = true;
    saver->bytes -= bytes < saver->bytes ? bytes : saver->bytes;
    saver->last = record;
    saver->records++;
    return true;
}

static bool vitp_worker_save_record(const void *record, uint32_t size, void *user)
{
    vitp_saver *saver = (vitp_saver *)user;
    vit_client *t = saver->client;
    vitp_json   out = { NULL, 0, VITP_SPOOL_RECORD_MAX, false };
    if (saver->records-- == 0) return false;
    if (vitp_worker_is_refused(t, record, size)) {
        saver->stale++;
        return true;
    }
    out.data = vitp_spool_place(&t->spool, saver->errors);
    saver->failed = !out.data;
    if (saver->failed) return false;
    switch (vitp_wire_event(&t->wire, &saver->job, &out, "", record, size)) {
    case VITP_WIRE_WRITTEN:
        vitp_spool_add(&t->spool, out.size);
        saver->written++;
        break;
    case VITP_WIRE_SECRET: saver->secret++; break;
    case VITP_WIRE_STALE: saver->stale++; break;
    case VITP_WIRE_FULL:
    case VITP_WIRE_CORRUPT: saver->corrupt++; break;
    }
    return true;
}

/* What was sent stays as it was. But for a batch of more than half of the cap all others would give
   way, and in the end it might find no room: it goes in parts, under keys of their own. */
static bool vitp_worker_choose_sent(vit_client *t, vitp_stock *stock, vitp_saver *saver)
{
    if (stock->ledger->batch_state != VITP_BATCH_SENT) return false;
    saver->most = stock->ledger->batch_records;
    saver->bytes = t->spool.cap / 2u;
    (void)vitp_stock_peek(stock, vitp_worker_choose, saver);
    if (saver->records == saver->most) return true;
    vitp_stock_abandon(stock);
    if (t->batch.stock == stock) t->batch.ready = false;
    return false;
}

static void vitp_worker_choose_new(vit_client *t, vitp_stock *stock, vitp_saver *saver)
{
    size_t part = t->spool.cap / VITP_SAVER_PARTS;
    saver->records = 0;
    saver->errors = false;
    saver->most = t->batch_limit;
    saver->bytes = t->body_capacity / 2u;
    if (saver->bytes > part) saver->bytes = part;
    (void)vitp_stock_peek(stock, vitp_worker_choose, saver);
}

/* The records that are saved next, and their key. False: there are none. */
static bool vitp_worker_begin_save(vit_client *t, vitp_stock *stock, vitp_saver *saver,
                                   char key[33])
{
    vitp_batch *b = &t->batch;
    bool        ready;
    memset(saver, 0, sizeof *saver);
    saver->client = t;
    ready = vitp_worker_choose_sent(t, stock, saver) && b->ready && b->stock == stock &&
            b->turn == t->body_turn;
    if (stock->ledger->batch_state != VITP_BATCH_SENT) vitp_worker_choose_new(t, stock, saver);
    if (saver->records == 0) return false;
    if (ready) memcpy(key, b->key, 33);
    else vitp_batch_write_down(t, stock, saver->first, saver->last, saver->records, key);
    return true;
}

/* What became of the records of a batch that is in the spool now. */
static void vitp_worker_end_save(vit_client *t, vitp_stock *stock, const vitp_saver *saver,
                                 size_t records)
{
    vitp_batch *b = &t->batch;
    memset(b, 0, sizeof *b);
    b->stock = stock;
    b->records = records;
    b->events = saver->written; /* counted by the spool */
    b->corrupt = saver->corrupt;
    b->secret = saver->secret;
    b->stale = saver->stale;
    vitp_batch_finish(t, NULL);
}

#ifndef VITP_WORKER_DROPS
#define VITP_WORKER_DROPS true /* a test in which every dropped event was in a file has false */
#endif

/* Nothing in the spool can give way to a batch, nor is there room for it in the queue: it goes, so
   that errors behind it do not wait. False: it may wait. */
static bool vitp_worker_must_drop(vit_client *t, vitp_stock *stock, size_t records)
{
    vitp_batch *b = &t->batch;
    if (!VITP_WORKER_DROPS || !t->spool.full || !vitp_queue_is_filling(t->recorder.queue))
        return false;
    memset(b, 0, sizeof *b);
    b->stock = stock;
    b->records = b->events = records;
    vitp_batch_finish(t, &t->dropped[VIT_DROP_SPOOL_FULL]);
    vitp_log_note(&t->recorder.log, VIT_LOG_SPOOL_FULL);
    return true;
}

/* Moves the oldest batch of a stock into the spool; the folder is held. False: there is none, or
   it could not be written. */
static bool vitp_worker_save_batch(vit_client *t, vitp_stock *stock, uint64_t now_ns)
{
    vitp_saver saver;
    char       key[33];
    size_t     records;
    bool       sent = stock->ledger->batch_state == VITP_BATCH_SENT;
    if (!vitp_worker_begin_save(t, stock, &saver, key)) return false;
    records = saver.records;
    saver.job = vitp_stock_job(stock, VITP_SHAPE_RECORD, now_ns);
    saver.failed = !vitp_spool_begin(&t->spool, saver.errors);
    if (!saver.failed) (void)vitp_stock_peek(stock, vitp_worker_save_record, &saver);
    if (!saver.failed && saver.written > 0)
        saver.failed = !vitp_spool_end(&t->spool, saver.errors, key, sent, (uint32_t)saver.written);
    if (saver.failed || saver.written == 0) vitp_spool_undo(&t->spool, saver.errors);
    if (saver.failed && vitp_worker_must_drop(t, stock, records)) return true;
    if (saver.failed) {
        t->save_ns = now_ns + (uint64_t)t->flush_ms * VITP_MS;
        vitp_log_note(&t->recorder.log, VIT_LOG_SPOOL_NOT_WRITTEN);
        return false;
    }
    vitp_worker_end_save(t, stock, &saver, records);
    return true;
}

/* The oldest record of the queue has waited as long as one may, or there is no more room. */
static bool vitp_worker_must_save(vit_client *t, uint64_t now_ns)
{
    uint64_t recorded_ns = now_ns;
    if (now_ns < t->save_ns) return false;
    if (t->adopted.queue || vitp_queue_is_filling(t->recorder.queue)) return true;
    return vit_queue_peek(t->recorder.queue, vitp_worker_oldest, &recorded_ns, 1) > 0 &&
           now_ns >= recorded_ns + (uint64_t)t->flush_ms * VITP_MS;
}

/* The same with all of an adopted pool, which then goes, or until it is time to stop: it is in a
   file. */
static bool vitp_worker_save_adopted(vit_client *t, uint64_t now_ns, uint64_t until_ns)
{
    while (vitp_os_now_ns() < until_ns && vitp_worker_save_batch(t, &t->adopted, now_ns)) {}
    if (!vitp_stock_is_empty(&t->adopted)) return false;
    vitp_worker_put_down(t, true);
    return true;
}

/* The file that was read is written to again, or makes room. In the end the answer to what is in
   flight tells nothing new. */
static void vitp_worker_close_spool(vit_client *t)
{
    if (t->sending) t->purge_turn++;
    t->orphan = t->orphan || t->pending;
    if (!t->batch.stock) memset(&t->batch, 0, sizeof t->batch);
    vitp_spool_let_go(&t->spool);
}

#define VITP_SAVE_HOLD_MS      10u   /* how long another process's hold is waited for */
#define VITP_SAVE_LAST_HOLD_MS 1000u /* by a queue in plain memory, for the last time */
#define VITP_SAVE_MS           20u   /* how long is written, unless it is for the last time */

/* How long the folder is waited for. For the last time as long as there is time; a queue that ends
   with the process is lost without it. */
static uint32_t vitp_worker_hold_ms(const vit_client *t, uint64_t now_ns, uint64_t until_ns)
{
    uint64_t left_ms = until_ns > now_ns ? (until_ns - now_ns) / VITP_MS : 0;
    if (!VITP_ATOMIC_LOAD(&t->recorder.outlives)) return VITP_SAVE_LAST_HOLD_MS;
    if (left_ms > VITP_HOLD_MS) return VITP_HOLD_MS;
    return left_ms > VITP_SAVE_HOLD_MS ? (uint32_t)left_ms : VITP_SAVE_HOLD_MS;
}

/* Moves what the queue holds now, until it is time to stop: a queue in a file stays for the next
   start. */
static void vitp_worker_save_own(vit_client *t, uint64_t now_ns, uint64_t until_ns, bool all)
{
    bool      may_stop = !all || VITP_ATOMIC_LOAD(&t->recorder.outlives);
    uintptr_t target = vitp_queue_committed(t->recorder.queue);
    while ((intptr_t)(VITP_ATOMIC_LOAD_PTR(&t->released) - target) < 0 &&
           !(may_stop && vitp_os_now_ns() >= until_ns) &&
           vitp_worker_save_batch(t, &t->own, now_ns)) {}
}

/* Moves what waits into the spool, when it cannot be sent and has waited, for a moment behind the
   looks into the folder, however slow it is; all: whatever there is, for the last time, until
   until_ns. Nothing is written that consent does not allow by now. Whoever has the folder all the
   time hangs, or was killed and left it to a child that it had just forked: that does not stop a
   queue that would be lost. */
static void vitp_worker_save_until(vit_client *t, uint64_t until_ns, bool all)
{
    bool      last = all && !VITP_ATOMIC_LOAD(&t->recorder.outlives); /* or it is lost */
    bool      may, measured;
    uintptr_t full = VITP_ATOMIC_LOAD_PTR(&t->spool.dropped[VIT_DROP_SPOOL_FULL]);
    uint64_t  now_ns = vitp_os_now_ns();
    if (!t->settings_folder[0] || (!all && (t->sending || t->pending))) return;
    if (!(VITP_ATOMIC_LOAD(&t->recorder.permission) & VITP_MAY_SEND)) return;
    if (!all && !vitp_worker_must_save(t, now_ns)) return;
    (void)vitp_os_make_folder(t->settings_folder); /* it is what the lock lies on */
    vitp_worker_hold_for(t, all ? vitp_worker_hold_ms(t, now_ns, until_ns) : VITP_SAVE_HOLD_MS);
    vitp_worker_close_spool(t);
    if (!t->held && !last) vitp_log_note(&t->recorder.log, VIT_LOG_SPOOL_NOT_WRITTEN);
    may = (t->held || last) && vitp_worker_recheck(t) && t->consent >= VIT_CONSENT_GRANTED &&
          !t->unsaved;
    measured = may && vitp_spool_measure(&t->spool);
    if (!t->held || measured != may) t->save_ns = now_ns + (uint64_t)t->flush_ms * VITP_MS;
    if (!all) until_ns = vitp_os_now_ns() + (uint64_t)VITP_SAVE_MS * VITP_MS;
    if (measured) {
        while (t->held && vitp_os_now_ns() < until_ns && vitp_worker_adopt(t) &&
               vitp_worker_save_adopted(t, now_ns, until_ns)) {}
        vitp_worker_save_own(t, now_ns, until_ns, all);
    }
    vitp_worker_release(t);
    vitp_worker_obey(t);
    if (VITP_ATOMIC_LOAD_PTR(&t->spool.dropped[VIT_DROP_SPOOL_FULL]) != full)
        vitp_log_note(&t->recorder.log, VIT_LOG_SPOOL_FULL);
}

static void vitp_worker_save(vit_client *t) { vitp_worker_save_until(t, 0, false); }
#endif

/* What killed processes left is older, and goes first; then what is on disk. */
static bool vitp_batch_next(vit_client *t, uint64_t now_ns)
{
    while (vitp_worker_adopt(t)) {
        if (vitp_batch_build(t, &t->adopted, now_ns)) return true;
        if (vitp_stock_is_empty(&t->adopted)) vitp_worker_put_down(t, true);
    }
    if ((t->hurry || now_ns >= t->backoff.spool_ns) && vitp_batch_build_spooled(t)) return true;
    return vitp_batch_build(t, &t->own, now_ns);
}

/* ---- delivery ---------------------------------------------------------------------------- */

#define VITP_WORKER_REPEATS_NS (UINT64_C(60) * 1000000000u) /* between two tellings of one error */

/* Errors that came again are told after flush_ms, then once a minute. */
static void vitp_worker_tell_repeats(vit_client *t, uint64_t now_ns)
{
    if (t->repeats_ns == 0 && VITP_ATOMIC_LOAD(&t->own.ledger->repeat_some))
        t->repeats_ns = now_ns + (uint64_t)t->flush_ms * VITP_MS;
    if (t->repeats_ns == 0 || now_ns < t->repeats_ns) return;
    t->repeats_ns =
        VITP_ATOMIC_LOAD(&t->own.ledger->repeat_some) ? now_ns + VITP_WORKER_REPEATS_NS : 0;
    vitp_repeat_tell(&t->recorder);
}

#ifdef VITELEMETRY_NO_FILES
static void vitp_worker_keep_wait(vit_client *t, uint32_t retry_after_s)
{
    (void)t, (void)retry_after_s;
}
static void vitp_worker_recall_wait(vit_client *t) { t->recalled = true; }
#else
/* ---- a server's Retry-After, which holds for the next start, too ------------------------- */

/* Which endpoint said so. */
static void vitp_worker_endpoint_hash(const vit_client *t, char out[17])
{
    unsigned char digest[32];
    vit_sha256(digest, t->endpoint, strlen(t->endpoint));
    vitp_text_hex(out, digest, 8);
}

/* 0: there is nothing to wait for any more. */
static void vitp_worker_keep_wait(vit_client *t, uint32_t retry_after_s)
{
    char    path[VITP_POOL_PATH_MAX], text[128], hash[17];
    int64_t until_s;
    int     n;
    if ((retry_after_s == 0 && !t->waits) || !vitp_worker_wait_path(t, path) ||
        !vitp_os_is_private(t->settings_folder))
        return;
    t->waits = retry_after_s > 0;
    if (!t->waits) {
        vitp_os_remove_file(path);
        return;
    }
    if (retry_after_s > VITP_BACKOFF_RETRY_AFTER_S) retry_after_s = VITP_BACKOFF_RETRY_AFTER_S;
    vitp_worker_endpoint_hash(t, hash);
    until_s = vitp_os_wall_s() + (int64_t)retry_after_s + 1; /* a second has begun */
    n = snprintf(text, sizeof text,
                 "# Not before this Unix time, says the server.\n%s = %lu%06lu\n", hash,
                 (unsigned long)(until_s / 1000000), (unsigned long)(until_s % 1000000));
    (void)vitp_os_write_file(path, text, (size_t)n, false);
}

typedef struct vitp_wait {
    char    hash[17];
    int64_t until_s;
} vitp_wait;

static void vitp_worker_read_wait(void *user, const char *name, size_t name_size, const char *value,
                                  size_t size)
{
    vitp_wait *wait = (vitp_wait *)user;
    size_t     i;
    if (!value || size > 12 || !vitp_settings_is(name, name_size, wait->hash)) return;
    for (i = 0, wait->until_s = 0; i < size && vitp_text_is_digit(value[i]); i++)
        wait->until_s = wait->until_s * 10 + (value[i] - '0');
}

/* What the server said to an earlier run. A time that no server may ask for was noted under a clock
   that was wrong, and counts for nothing. */
static void vitp_worker_recall_wait(vit_client *t)
{
    char      path[VITP_POOL_PATH_MAX], text[256];
    size_t    size = 0;
    vitp_wait wait = { "", 0 };
    int64_t   left_s, most_s = (int64_t)VITP_BACKOFF_RETRY_AFTER_S + 1;
    uint64_t  random = 0;
    t->recalled = true;
    if (!vitp_worker_wait_path(t, path) || !vitp_os_is_private(t->settings_folder)) return;
    (void)vitp_os_each_file(t->settings_folder, vitp_worker_sweep_one, t);
    if (vitp_os_read_file(path, VITP_OS_MINE, text, sizeof text, &size) != VITP_OS_READ_OK) return;
    vitp_worker_endpoint_hash(t, wait.hash);
    vitp_settings_each(text, size, vitp_worker_read_wait, &wait);
    t->waits = wait.until_s > 0;
    left_s = wait.until_s - vitp_os_wall_s();
    if (left_s > most_s) vitp_worker_keep_wait(t, 0); /* no server */
    if (left_s <= 0 || left_s > most_s) return;
    (void)vitp_id_random(&random, sizeof random);
    vitp_backoff_obey(&t->backoff, (uint32_t)left_s, vitp_os_now_ns(), random);
}
#endif

/* For what another process has: it may be let go, and nobody tells of that. */
static void vitp_worker_look_again(vit_client *t, uint64_t now_ns)
{
    if (!vitp_spool_is_held_up(&t->spool)) {
        t->look_ns = 0;
        return;
    }
    if (t->look_ns == 0) t->look_ns = now_ns + (uint64_t)t->flush_ms * VITP_MS;
    if (now_ns < t->look_ns) return;
    t->look_ns = 0;
    vitp_spool_look_again(&t->spool);
}

/* Under the lock: is there something to send, and may it leave now? */
static bool vitp_worker_prepare(vit_client *t, uint64_t now_ns)
{
    if (t->sending || t->stopping) return false;
    vitp_worker_live(t, now_ns);
    vitp_worker_tell_repeats(t, now_ns);
    vitp_worker_look_again(t, now_ns);
    if (!(VITP_ATOMIC_LOAD(&t->recorder.permission) & VITP_MAY_RECORD))
        vitp_worker_purge(t, VIT_DROP_CONSENT); /* what a producer was about to commit */
    if (t->later) (void)vitp_worker_recheck(t); /* also where nothing waits to be sent */
    if (t->orphan || t->later) return t->orphan;
    if (!t->recalled && vitp_worker_may_send(t)) vitp_worker_recall_wait(t); /* granted by now */
    if (!vitp_worker_may_send(t) ||
        (!t->pending && !vitp_backoff_is_due(&t->backoff, now_ns, t->hurry))) {
        vitp_worker_save(t);
        return false;
    }
    if (!t->batch.ready && !vitp_batch_next(t, now_ns)) return false;
    if (!vitp_worker_recheck(t)) return t->orphan;
    if (t->orphan) return true;
    if (!vitp_worker_may_send(t)) return false;
    return t->pending || t->batch.turn == t->body_turn || vitp_batch_next(t, now_ns);
}

static void vitp_worker_describe(vit_client *t, vit_request *request,
                                 char headers[VITP_HEADERS_MAX], uint64_t now_ns)
{
    uint64_t left_ms = t->deadline_ns > now_ns ? (t->deadline_ns - now_ns) / VITP_MS : 0;
    memset(request, 0, sizeof *request);
    (void)snprintf(headers, VITP_HEADERS_MAX, "Idempotency-Key: %s\r\n%s%s%s", t->batch.key,
                   t->headers_key[0] ? "X-Telemetry-Key: " : "", t->headers_key,
                   t->headers_key[0] ? "\r\n" : "");
    request->url = t->endpoint;
    request->content_type = vitp_wire_form_of(t->form)->content_type;
    request->headers = headers;
    request->body = t->orphan ? "" : t->body;
    request->body_size = t->orphan ? 0 : t->batch.size;
    request->timeout_ms = t->timeout_ms;
    request->vitp_cancel = &t->cancel;
    t->reply[0] = 0;
    if (t->form == VIT_WIRE_OTLP) request->reply = t->reply, request->reply_size = sizeof t->reply;
    if (t->deadline_ns && left_ms < t->timeout_ms) request->timeout_ms = (uint32_t)left_ms + 1u;
}

static void vitp_worker_failed(vit_client *t, uint32_t retry_after_s)
{
    uint64_t random = 0;
    (void)vitp_id_random(&random, sizeof random);
    vitp_backoff_fail(&t->backoff, retry_after_s, vitp_os_now_ns(), random);
    vitp_worker_keep_wait(t, retry_after_s);
    t->batch.attempts++;
#ifndef VITELEMETRY_NO_FILES
    if (!t->batch.stock) t->spool.tried = true;
#endif
    t->hurry = false;
    vitp_log_note(&t->recorder.log, VIT_LOG_SERVER_AWAY);
}

/* A batch that the server refuses for good is halved until the one bad event is alone. Behind it
   the next is not expected sooner than the last two came. Before a batch of the spool goes in
   parts, a pool whose process was killed when it had just spooled it is looked for: as long as the
   batch is there, the pool is not sent under other keys. How much of it goes next is written down:
   its file may be let go before. */
static void vitp_worker_rejected(vit_client *t)
{
    if (t->batch.events > 1) {
        t->suspects = (uint32_t)t->batch.events;
        t->batch_limit = t->suspects / 2u;
        t->batch.ready = false;
        t->batch.attempts = 0; /* what comes now was not sent before */
        if (t->batch.stock) vitp_stock_abandon(t->batch.stock);
#ifndef VITELEMETRY_NO_FILES
        else {
            vitp_spool_note_part(&t->spool, t->batch_limit);
            t->spool.tried = t->alone = false;
        }
#endif
        return;
    }
    t->body[t->batch.size] = 0;
    if (strstr(t->body, "\"telemetry.report\"")) t->report_ns = UINT64_MAX; /* it is not wanted */
    vitp_batch_finish(t, &t->dropped[VIT_DROP_REJECTED]);
    t->batch_limit =
        t->good_events < t->batch_events / 2u ? t->good_events * 2u + 1u : t->batch_events;
    t->suspects = t->good_events = 0;
    vitp_log_note(&t->recorder.log, VIT_LOG_SERVER_REJECTED);
}

#ifdef VITELEMETRY_NO_FILES
static void vitp_worker_list(vit_client *t, size_t size) { (void)t, (void)size; }
#else
/* False: something is missing in the list. */
static bool vitp_worker_list_held(vit_client *t, size_t size)
{
    uint32_t turn = t->purge_turn;
    char    *lines;
    if (vitp_worker_is_kept_out(t) || !vitp_worker_recheck(t)) return false;
    if (t->consent < VIT_CONSENT_GRANTED || turn != t->purge_turn) return true;
    lines = vitp_audit_lines(t->body, &size, strlen(vitp_wire_form_of(t->form)->open));
    return vitp_audit_append(t->settings_folder, lines, size);
}

/* Lists what the server took, unless another process withdrew consent or took a new identity
   while it was under way; none does so between the look and the writing. */
static void vitp_worker_list(vit_client *t, size_t size)
{
    if (!t->audit || !t->settings_folder[0]) return;
    vitp_worker_hold(t);
    if (!vitp_worker_list_held(t, size)) vitp_log_note(&t->recorder.log, VIT_LOG_AUDIT_NOT_WRITTEN);
    vitp_worker_release(t);
    vitp_worker_obey(t);
}
#endif

#define VITP_WORKER_REPORT_NS (UINT64_C(60) * 1000000000u) /* between two reports at least */

/* What was dropped or refused since the last report, the user's own decisions not counted, rides
   with what is delivered next. */
static void vitp_worker_report(vit_client *t, uint64_t now_ns)
{
    uint64_t dropped = 0, full = VITP_ATOMIC_LOAD_PTR(&t->recorder.full), accepted, counts[3];
    uint32_t i;
    for (i = 0; i < VIT_DROP_COUNT; i++)
        if (i != (uint32_t)VIT_DROP_CONSENT)
            dropped +=
                VITP_ATOMIC_LOAD_PTR(&t->dropped[i]) + VITP_ATOMIC_LOAD_PTR(&t->spool.dropped[i]);
    if (dropped == t->reported_dropped && full == t->reported_full) return;
    if (now_ns < t->report_ns) return;
    accepted = vitp_queue_pushed(t->recorder.queue);
    counts[0] = accepted - t->reported_accepted;
    counts[1] = dropped - t->reported_dropped;
    counts[2] = full - t->reported_full;
    if (!vitp_record_report(&t->recorder, counts)) return;
    t->report_ns = now_ns + VITP_WORKER_REPORT_NS;
    t->reported_accepted = accepted;
    t->reported_dropped = dropped;
    t->reported_full = full;
}

/* How many events of the batch an OTLP receiver refused although it answered 2xx: it says so in
   ExportLogsServiceResponse.partialSuccess. They are not sent again. */
static size_t vitp_worker_refused(vit_client *t)
{
    const char *at = t->form == VIT_WIRE_OTLP ? strstr(t->reply, "\"rejectedLogRecords\"") : NULL;
    size_t      n = 0;
    if (!at) return 0;
    at += strlen("\"rejectedLogRecords\"");
    at += strspn(at, " \t\r\n:\"");
    for (; vitp_text_is_digit(*at) && n <= t->batch.events; at++) n = n * 10u + (size_t)(*at - '0');
    return n < t->batch.events ? n : t->batch.events;
}

/* So many more events were good: how many the next batch may have. */
static void vitp_worker_limit(vit_client *t, uint32_t events)
{
    if (t->good_events < 0x7FFFFFFFu) t->good_events += events < 0xFFFFu ? events : 0xFFFFu;
    if (t->suspects > 0) { /* among the rest of them is a bad one */
        t->suspects -= events < t->suspects ? events : t->suspects;
        t->batch_limit = t->suspects > 1 ? t->suspects / 2u : 1u;
        if (t->suspects > 0) return;
    }
    t->batch_limit = t->batch_limit < t->batch_events / 2 ? t->batch_limit * 2 : t->batch_events;
}

static void vitp_worker_delivered(vit_client *t)
{
    size_t   size = t->batch.size, events = t->batch.events, refused = vitp_worker_refused(t);
    uint64_t now_ns = vitp_os_now_ns(), random = 0;
    if (refused > 0) vitp_log_note(&t->recorder.log, VIT_LOG_SERVER_REJECTED);
    (void)VITP_ATOMIC_ADD_PTR(&t->dropped[VIT_DROP_REJECTED], (uintptr_t)refused);
    t->batch.events -= refused;
    vitp_batch_finish(t, &t->delivered);
    vitp_backoff_succeed(&t->backoff, now_ns);
    vitp_worker_keep_wait(t, 0);
    if (now_ns < t->backoff.spread_ns) (void)vitp_id_random(&random, sizeof random);
    vitp_backoff_spread(&t->backoff, vitp_spool_requests(&t->spool), now_ns, random);
    vitp_worker_limit(t, (uint32_t)events);
    vitp_worker_list(t, size);
    vitp_worker_report(t, now_ns);
}

/* A server that knows keys may answer 409 to a repetition as long as it is busy with the first try
   (draft-ietf-httpapi-idempotency-key-header): under other keys its parts would come twice. What is
   on the disk may have been sent by another run. A server that means something else by it is not
   asked for ever, nor again while the bad event is searched. */
#define VITP_WORKER_CONFLICTS 8u

static bool vitp_worker_is_busy(vit_client *t)
{
    uint32_t times = t->batch.attempts > 0 ? 1u : 0u;
    if (t->conflicts == VITP_WORKER_CONFLICTS) return false;
#ifndef VITELEMETRY_NO_FILES
    if (!t->batch.stock) {
        uint32_t noted = vitp_spool_note_busy(&t->spool, (uint32_t)t->batch.records);
        if (noted > 0) times = noted;
    }
#endif
    if (times == 0 || times > VITP_WORKER_CONFLICTS) return false;
    t->conflicts++;
    return true;
}

static vitp_outcome vitp_worker_outcome(vit_client *t, int status)
{
    vitp_outcome outcome = vitp_backoff_outcome(status);
    if (status == 409 && vitp_worker_is_busy(t)) return VITP_OUTCOME_RETRY;
    if (outcome == VITP_OUTCOME_DELIVERED && t->suspects == 0) t->conflicts = 0;
    return outcome;
}

/* True: go on at once. */
static bool vitp_worker_answered(vit_client *t, vit_response answer)
{
    vitp_outcome outcome = vitp_worker_outcome(t, answer.http_status);
    uint64_t     now_ns = vitp_os_now_ns();
    t->pending = outcome == VITP_OUTCOME_PENDING;
    /* the transport should have ended it by now */
    if (t->pending && now_ns - t->handed_ns > (uint64_t)t->timeout_ms * 2u * VITP_MS)
        vitp_log_note(&t->recorder.log, VIT_LOG_SERVER_AWAY);
    if (!t->pending && outcome != VITP_OUTCOME_DELIVERED) vitp_backoff_count(&t->backoff, now_ns);
    switch (outcome) {
    case VITP_OUTCOME_DELIVERED: vitp_worker_delivered(t); return true;
    case VITP_OUTCOME_REJECTED: vitp_worker_rejected(t); return true;
    case VITP_OUTCOME_RETRY: vitp_worker_failed(t, answer.retry_after_s); break;
    case VITP_OUTCOME_PAUSE:
    case VITP_OUTCOME_STOP:
        t->halted = true;
        vitp_log_note(&t->recorder.log,
                      outcome == VITP_OUTCOME_PAUSE ? VIT_LOG_SERVER_PAUSED : VIT_LOG_SERVER_GONE);
        break;
    case VITP_OUTCOME_PENDING: return false;
    }
    vitp_worker_save(t);
    return false;
}

static void vitp_worker_count_request(vit_client *t, uint64_t now_ns)
{
    if (t->pending) return;
    t->handed_ns = now_ns;
    (void)VITP_ATOMIC_ADD_PTR(&t->requests, 1u);
    if (t->batch.attempts > 0) (void)VITP_ATOMIC_ADD_PTR(&t->retries, 1u);
    (void)VITP_ATOMIC_ADD_PTR(&t->bytes_sent, (uintptr_t)t->batch.size);
}

/* Calls the transport, unless the request was cancelled before: then nothing of it was seen. A
   request that is pending was handed over before. */
static vit_response vitp_worker_hand_over(vit_client *t, const vit_request *request, bool orphan)
{
    vit_response answer = { 0, 0 };
    uint32_t     state = VITP_CANCEL_FREE;
    if (!VITP_ATOMIC_CAS(&t->cancel, &state, (uint32_t)VITP_CANCEL_SENT) && !orphan &&
        state == VITP_CANCEL_WANTED)
        return answer;
    VITP_ATOMIC_STORE_PTR(&t->sender, vitp_os_thread_id());
    answer = t->transport.send_fn(request, t->transport.user);
    VITP_ATOMIC_STORE_PTR(&t->sender, (uintptr_t)0);
    return answer;
}

/* The answer to what nobody wants any more. */
static void vitp_worker_bury(vit_client *t, vit_response answer)
{
    if (answer.http_status == VIT_HTTP_PENDING) return;
    t->orphan = t->pending = false;
    memset(&t->batch, 0, sizeof t->batch);
}

/* One request at most. True: look again at once. */
static bool vitp_worker_step(vit_client *t)
{
    char         headers[VITP_HEADERS_MAX];
    vit_request  request;
    vit_response answer;
    uint64_t     now_ns = vitp_os_now_ns();
    uint32_t     turn;
    bool         again = false, orphan;
    if (!vitp_worker_enter(t)) return false;
    if (!vitp_worker_prepare(t, now_ns)) {
        vitp_worker_leave(t);
        return false;
    }
    vitp_worker_describe(t, &request, headers, now_ns);
    vitp_worker_count_request(t, now_ns);
    turn = t->purge_turn;
    orphan = t->orphan;
    t->sending = true;
    if (!t->pending) VITP_ATOMIC_STORE(&t->cancel, (uint32_t)VITP_CANCEL_FREE);
    vitp_worker_leave(t);
    answer = vitp_worker_hand_over(t, &request, orphan);
    if (!vitp_worker_enter(t)) return false; /* a child that forked in send_fn */
    t->sending = false;
    if (orphan) vitp_worker_bury(t, answer);
    else if (turn == t->purge_turn) again = vitp_worker_answered(t, answer);
    else t->orphan = t->pending = answer.http_status == VIT_HTTP_PENDING;
    vitp_worker_tell(t);
    vitp_worker_leave(t);
    return again;
}

/* In the end a transport that said "not yet" is asked once more, about a request that is cancelled
   by now: so it can let go of what it has begun, which else might answer for a request of the next
   client's. It is as it was, for a transport that sends it all the same, unless it was refused. */
static void vitp_worker_end_pending(vit_client *t)
{
    char         headers[VITP_HEADERS_MAX];
    vit_request  request;
    vit_response answer;
    bool         begun;
    if (!vitp_worker_enter(t)) return;
    begun = t->pending;
    if (begun && !t->orphan && !(vitp_worker_recheck(t) && vitp_worker_may_send(t)))
        t->orphan = true;
    t->sending = begun;
    vitp_worker_describe(t, &request, headers, vitp_os_now_ns());
    vitp_worker_tell(t);
    vitp_worker_leave(t);
    if (!begun) return;
    answer = vitp_worker_hand_over(t, &request, true);
    if (!vitp_worker_enter(t)) return;
    t->sending = t->pending = false;
    if (!t->orphan && vitp_backoff_outcome(answer.http_status) == VITP_OUTCOME_DELIVERED)
        vitp_worker_delivered(t);
    vitp_worker_leave(t);
}

/* How many records will have been released when all that is committed now is gone. */
static uintptr_t vitp_worker_target(vit_client *t)
{
    uintptr_t target = 0;
    if (!vitp_worker_enter(t)) return 0;
    target = vitp_worker_may_send(t) ? vitp_queue_committed(t->recorder.queue)
                                     : vitp_queue_pushed(t->recorder.queue);
    vitp_worker_leave(t);
    return target;
}

static bool vitp_worker_is_done(const vit_client *t, uintptr_t target)
{
    return (intptr_t)(VITP_ATOMIC_LOAD_PTR(&t->released) - target) >= 0 &&
           VITP_ATOMIC_LOAD_PTR(&t->adopted_released) ==
               VITP_ATOMIC_LOAD_PTR(&t->adopted_records) &&
           VITP_ATOMIC_LOAD_PTR(&t->spool.records) == 0 && vitp_spool_is_empty(&t->spool);
}

#ifndef VITELEMETRY_NO_THREADS
#define VITP_WORKER_PENDING_MS 10u  /* how often a transport that says "not yet" is asked again */
#define VITP_WORKER_LATER_MS   100u /* and a file that could not be read */

static uint64_t vitp_worker_ms_until(uint64_t then_ns, uint64_t now_ns)
{
    return then_ns > now_ns ? (then_ns - now_ns) / VITP_MS + 1u : 1u;
}

/* How long until the oldest record of the queue, or what is next in the spool, may be sent. */
static uint64_t vitp_worker_ms_to_next(vit_client *t, uint64_t now_ns)
{
    uint64_t oldest_ns = now_ns, ms = t->flush_ms, spool_ms;
    if (vit_queue_peek(t->recorder.queue, vitp_worker_oldest, &oldest_ns, 1) > 0)
        ms = vitp_worker_ms_until(oldest_ns + (uint64_t)t->flush_ms * VITP_MS, now_ns);
    if (VITP_ATOMIC_LOAD_PTR(&t->spool.records) == 0 || vitp_spool_is_empty(&t->spool)) return ms;
    spool_ms = vitp_worker_ms_until(t->backoff.spool_ns, now_ns);
    return spool_ms < ms ? spool_ms : ms;
}

/* How long it sleeps at most. That a crash was survived is known by its being seen alive. */
static uint32_t vitp_worker_nap_ms(const vit_client *t)
{
    uint64_t survived_ms = VITP_CRASH_SURVIVED_NS / 2u / VITP_MS;
    return t->own.ledger->run.handler && survived_ms < VITP_LIFE_MS ? (uint32_t)survived_ms
                                                                    : VITP_LIFE_MS;
}

/* How long there is nothing to do, at most flush_ms or a nap. */
static uint32_t vitp_worker_rest_ms(vit_client *t)
{
    uint64_t now_ns = vitp_os_now_ns(), ms, most_ms = vitp_worker_nap_ms(t);
    if (most_ms > t->flush_ms) most_ms = t->flush_ms;
    if (t->pending) ms = VITP_WORKER_PENDING_MS;
    else if (t->later) ms = VITP_WORKER_LATER_MS;
    else if (!vitp_worker_may_send(t)) ms = t->flush_ms;
    else if (!vitp_backoff_is_due(&t->backoff, now_ns, t->hurry))
        ms = vitp_worker_ms_until(vitp_backoff_next_ns(&t->backoff, t->hurry), now_ns);
    else if (t->adopted.queue) ms = 1;
    else ms = vitp_worker_ms_to_next(t, now_ns);
    return (uint32_t)(ms < most_ms ? ms : most_ms);
}

/* Nothing is queued, and nothing waits. */
static bool vitp_worker_is_idle(vit_client *t)
{
    uint64_t oldest_ns;
    if (t->pending || t->orphan || t->later || t->adopted.queue || t->repeats_ns) return false;
    if (VITP_ATOMIC_LOAD(&t->own.ledger->repeat_some)) return false;
    if (VITP_ATOMIC_LOAD_PTR(&t->spool.records) > 0) return false;
    return vit_queue_peek(t->recorder.queue, vitp_worker_oldest, &oldest_ns, 1) == 0;
}

/* Sets how it sleeps, and looks once more: whoever pushes later than this look finds the state.
   Under the lock. */
static uint32_t vitp_worker_lie_down(vit_client *t, uint32_t sleep)
{
    vitp_recorder *r = &t->recorder;
    VITP_ATOMIC_STORE(&r->ledger->sleep, sleep);
    if (VITP_ATOMIC_HEAVY_BARRIER()) {
        if (sleep == VITP_SLEEP_DEEP ? vitp_worker_is_idle(t) : !vitp_queue_is_filling(r->queue))
            return sleep;
        sleep = VITP_SLEEP_NONE;
    } else {
        sleep = VITP_SLEEP_LIGHT;
    }
    VITP_ATOMIC_STORE(&r->ledger->sleep, sleep);
    return sleep;
}

/* What waits may go into the spool now, as far as it is known before the folder is looked at. */
static bool vitp_worker_may_save(const vit_client *t, uint64_t now_ns)
{
#ifdef VITELEMETRY_NO_FILES
    (void)t, (void)now_ns;
    return false;
#else
    return t->settings_folder[0] && !t->unsaved && now_ns >= t->save_ns &&
           (VITP_ATOMIC_LOAD(&t->recorder.permission) & VITP_MAY_SEND);
#endif
}

/* What fills the queue may leave it now: to the server, or into the spool. */
static bool vitp_worker_has_way(const vit_client *t)
{
    uint64_t now_ns = vitp_os_now_ns();
    if (t->pending || t->later) return false;
    return vitp_worker_may_save(t, now_ns) ||
           (vitp_worker_may_send(t) && vitp_backoff_is_due(&t->backoff, now_ns, t->hurry));
}

/* Sleeps until there may be something to do. False: the client is being destroyed. A queue that
   fills up wakes it, unless that would be of no use; when nothing came for a flush interval, the
   next event does. */
static bool vitp_worker_rest(vit_client *t)
{
    uint32_t ms, sleep = VITP_SLEEP_NONE;
    bool     going, quiet, again = false;
    if (!vitp_worker_enter(t)) return false;
    ms = vitp_worker_rest_ms(t);
    going = !t->stopping;
    quiet = vitp_worker_is_idle(t);
    if (quiet && t->quiet && (VITP_OS_WAKE_SHARED || !VITP_ATOMIC_LOAD(&t->recorder.outlives)))
        sleep = VITP_SLEEP_DEEP;
    else if (vitp_worker_has_way(t)) sleep = VITP_SLEEP_LIGHT;
    t->quiet = quiet;
    if (going && sleep != VITP_SLEEP_NONE) {
        sleep = vitp_worker_lie_down(t, sleep);
        again = sleep == VITP_SLEEP_NONE;
    }
    vitp_worker_leave(t);
    if (!going) return false;
    if (sleep == VITP_SLEEP_DEEP) ms = vitp_worker_nap_ms(t);
    if (!again) vitp_os_wake_wait(&t->recorder.wake, ms);
    VITP_ATOMIC_STORE(&t->recorder.ledger->sleep, (uint32_t)VITP_SLEEP_NONE);
    return true;
}

static void vitp_worker_main(void *client)
{
    vit_client *t = (vit_client *)client;
    VITP_ATOMIC_STORE_PTR(&t->worker, vitp_os_thread_id());
    do {
        while (vitp_worker_step(t)) {}
    } while (vitp_worker_rest(t));
    vitp_worker_end_pending(t);
    if (!vitp_worker_enter(t)) return;
    t->thread_done = true;
    vitp_worker_tell(t);
    VITP_ATOMIC_STORE_PTR(&t->lock_owner, (uintptr_t)0);
    vitp_os_unlock(&t->lock); /* the last touch: the client may be gone after it */
}
#endif

/* Waits for the next answer of the thread, or does a step where there is none. turn: of
   progress_turn, before the caller looked for what it waits for. */
static void vitp_worker_wait(vit_client *t, uint64_t deadline_ns, uint32_t turn)
{
    uint64_t now_ns = vitp_os_now_ns();
    uint32_t ms;
#ifndef VITELEMETRY_NO_THREADS
    int before;
#endif
    (void)turn; /* without threads nobody else answers */
    if (now_ns >= deadline_ns) return;
    ms = (uint32_t)((deadline_ns - now_ns) / VITP_MS) + 1u;
    if (!t->has_thread) {
        if (!vitp_worker_step(t)) vitp_os_sleep(ms < 5u ? ms : 5u);
        return;
    }
#ifndef VITELEMETRY_NO_THREADS
    if (!vitp_worker_enter(t)) return;
    before = t->cancel_state;
    VITP_ATOMIC_STORE_PTR(&t->lock_owner, (uintptr_t)0);
    if (VITP_ATOMIC_LOAD(&t->progress_turn) == turn)
        vitp_os_cond_wait(&t->progress, &t->lock, ms < 20u ? ms : 20u);
    VITP_ATOMIC_STORE_PTR(&t->lock_owner, vitp_os_thread_id());
    t->cancel_state = before;
    vitp_worker_leave(t);
#endif
}

/* Makes the consumer send what waits without waiting for a full batch or for the end of a backoff.
   deadline_ns: no request may last longer; 0: none. look: in the folder, whether other processes
   have left something meanwhile. False: nothing can be sent. */
static bool vitp_worker_hurry(vit_client *t, uint64_t deadline_ns, bool look, uint32_t *failures)
{
    bool may = false;
    (void)look;
    if (!vitp_worker_enter(t)) return false;
    may = vitp_worker_may_send(t);
    *failures = t->backoff.failures;
    t->deadline_ns = deadline_ns;
    if (may) {
        t->hurry_end = vitp_queue_committed(t->recorder.queue);
        t->hurry = true;
    }
#ifndef VITELEMETRY_NO_FILES
    if (may && look) {
        vitp_spool_look_again(&t->spool);
        if (!t->sending) (void)vitp_spool_open(&t->spool);
    }
#endif
    vitp_worker_leave(t);
    if (may && t->has_thread) vitp_os_wake_set(&t->recorder.wake);
    return may;
}

#define VITP_WORKER_LOOK 8u /* turns of 5 to 20 ms between two looks for what another process had */

/* No request may start before that time. Under the lock. */
static bool vitp_worker_is_held_back(const vit_client *t, uint64_t until_ns)
{
    return !t->sending && !t->pending && vitp_backoff_next_ns(&t->backoff, true) >= until_ns;
}

/* Waits until what was accepted before is gone. once: gives up when a request has failed, or none
   may start in time. */
static bool vitp_worker_deliver(vit_client *t, uint64_t deadline_ns, bool once)
{
    uint32_t  failures = 0, turns = 0, turn = VITP_ATOMIC_LOAD(&t->progress_turn);
    bool      look = !once && vitp_os_now_ns() < deadline_ns, may;
    uintptr_t target;
    vitp_repeat_tell(&t->recorder);
    target = vitp_worker_target(t);
    may = vitp_worker_hurry(t, once ? deadline_ns : 0, look, &failures);
    while (may && !vitp_worker_is_done(t, target) && vitp_os_now_ns() < deadline_ns) {
        vitp_worker_wait(t, deadline_ns, turn);
        if (look && ++turns % VITP_WORKER_LOOK == 0 && vitp_spool_is_held_up(&t->spool))
            (void)vitp_worker_hurry(t, 0, true, &failures);
        if (!vitp_worker_enter(t)) return false;
        turn = VITP_ATOMIC_LOAD(&t->progress_turn);
        may = vitp_worker_may_send(t) && !(once && t->backoff.failures > failures) &&
              !(once && vitp_worker_is_held_back(t, deadline_ns));
        failures = t->backoff.failures;
        vitp_worker_leave(t);
    }
    if (!may || !vitp_worker_is_done(t, target) || !vitp_worker_enter(t)) return false;
    may = vitp_worker_may_send(t); /* else it is gone because it was refused */
    vitp_worker_leave(t);
    return may;
}

bool vit_flush(vit_client *t, uint32_t timeout_ms)
{
    uint64_t deadline_ns = vitp_os_now_ns() + (uint64_t)timeout_ms * VITP_MS;
    bool     done;
    int      before;
    if (!t) return true;
    if (vitp_worker_in_callback(t)) return false;
    before = vitp_os_hold_cancel();
    done = vitp_worker_deliver(t, deadline_ns, false);
    vitp_os_let_cancel(before);
    return done;
}

bool vit_pump(vit_client *t)
{
    bool again;
    int  before;
    if (!t || t->has_thread || vitp_worker_in_callback(t)) return false;
    before = vitp_os_hold_cancel();
    again = vitp_worker_step(t);
    vitp_os_let_cancel(before);
    return again;
}

/* ============================================================================================
   >>crash: a record of a crash, in the ledger, for the next start.

   It is written in a signal handler, as provisional: then the handler that was there before runs.
   If that one returns, or the program goes on and ends in order, there was no crash. Nothing here
   takes memory or a lock, calls into stdio or thread-local storage, or makes a system call (but
   getpid, where no page of memory tells a forked child).
   ============================================================================================ */

#ifdef VITELEMETRY_NO_CRASH
static void vitp_crash_begin(vit_client *t)
{
    vitp_log_note(&t->recorder.log, VIT_LOG_CRASH_NOT_BUILT);
}
static void vitp_crash_end(vit_client *t, bool ours) { (void)t, (void)ours; }
static bool vitp_crash_is_last(const vit_client *t)
{
    (void)t;
    return false;
}
#else

#define VITP_CRASH_NULL_BYTES  65536u   /* members of a structure that is not there */
#define VITP_CRASH_BELOW_STACK 65536u   /* below the stack pointer: a frame that overflows */
#define VITP_CRASH_ABOVE_STACK 1048576u /* above it: a large one */
#define VITP_CRASH_FATAL_MS    5000u    /* between an error that ends the process and its abort */
#define VITP_CRASH_WAIT        4194304u /* attempts: another thread writes; it may not be running */

static uint32_t vitp_crash_touched(const vitp_os_fault *fault)
{
    if (!fault->memory) return VITP_TOUCHED_NOTHING;
    if (fault->touched < VITP_CRASH_NULL_BYTES) return VITP_TOUCHED_NULL;
    if (fault->stack && fault->touched + VITP_CRASH_BELOW_STACK >= fault->stack &&
        fault->touched < fault->stack + VITP_CRASH_ABOVE_STACK)
        return VITP_TOUCHED_STACK;
    return VITP_TOUCHED_OTHER;
}

/* NULL: it lies in none that was loaded when the client was made. */
static const vitp_os_module *vitp_crash_module(const vitp_crash_scene *scene, uintptr_t at)
{
    uint32_t i;
    for (i = 0; i < scene->module_count; i++)
        if (at >= scene->modules[i].begin && at < scene->modules[i].end) return &scene->modules[i];
    return NULL;
}

static void vitp_crash_copy(char *out, size_t capacity, const char *text)
{
    size_t i;
    for (i = 0; i + 1 < capacity && text[i]; i++) out[i] = text[i];
    out[i] = 0;
}

/* True: the record is ours to write. One that its process survived gives way. */
static bool vitp_crash_claim(vitp_crash *crash, uint64_t now_ns)
{
    uint32_t state = VITP_ATOMIC_LOAD_ACQUIRE(&crash->state);
    if (state == VITP_CRASH_BUSY) return false;
    if (state == VITP_CRASH_THERE && now_ns <= crash->time_ns + VITP_CRASH_SURVIVED_NS)
        return false;
    return VITP_ATOMIC_CAS(&crash->state, &state, (uint32_t)VITP_CRASH_BUSY);
}

/* A crash in the host's handler of one that is noted, or an abort() there: the first is the cause.
   The stack tells it from a crash after a siglongjmp out of the handler, unless that is deeper on
   it: then the first stands for both, as long as it would be told. */
static bool vitp_crash_is_nested(const vit_client *t, const vitp_os_fault *fault, uint64_t now_ns)
{
    const vitp_crash *crashes = t->own.ledger->run.crashes;
    uintptr_t         self = VITP_OS_THREAD_POINTER();
    uint32_t          i;
    for (i = 0; i < VITP_CRASHES_MAX; i++) {
        uintptr_t frame = t->scene.handlers[i].frame;
        if (VITP_ATOMIC_LOAD_ACQUIRE(&crashes[i].state) == VITP_CRASH_THERE &&
            now_ns <= crashes[i].time_ns + VITP_CRASH_SURVIVED_NS &&
            t->scene.handlers[i].thread == self && fault->stack != 0 && fault->stack < frame &&
            frame - fault->stack < VITP_CRASH_ABOVE_STACK)
            return true;
    }
    return false;
}

/* The client ends in a handler of the host's, or in an exit() of its: that is how the run ends. */
static VITP_NOINLINE bool vitp_crash_is_last(const vit_client *t)
{
    vitp_os_fault here;
    here.stack = (uintptr_t)&here;
    return VITP_ATOMIC_LOAD(&t->recorder.outlives) &&
           vitp_crash_is_nested(t, &here, vitp_os_coarse_ns());
}

/* True: this thread is alone in the handler. False: it crashed in it, or another one did. */
static bool vitp_crash_enter(vitp_crash_scene *scene)
{
    uintptr_t self = VITP_OS_THREAD_POINTER(), who = 0;
    uint32_t  i;
    for (i = 0; i < VITP_CRASH_WAIT && who != self; i++) {
        who = 0;
        if (VITP_ATOMIC_CAS_PTR(&scene->thread, &who, self)) return true;
    }
    return false;
}

/* The first touch of the ledger. The number of the record, 0: none. */
static uint32_t vitp_crash_record(vit_client *t, const vitp_os_fault *fault,
                                  const vitp_os_module *module, uint64_t now_ns)
{
    vitp_run   *run = &t->own.ledger->run;
    vitp_crash *crash;
    uint32_t    fatal_ms = VITP_ATOMIC_LOAD(&run->fatal_ms), i = 0;
    while (i < VITP_CRASHES_MAX && !vitp_crash_claim(&run->crashes[i], now_ns)) i++;
    if (i == VITP_CRASHES_MAX) return 0;
    crash = &run->crashes[i];
    t->scene.handlers[i].thread = VITP_OS_THREAD_POINTER();
    t->scene.handlers[i].frame = fault->frame;
    crash->time_ns = now_ns;
    crash->touched = vitp_crash_touched(fault);
    crash->context = VITP_ATOMIC_LOAD(&t->own.ledger->context);
    crash->told = fault->aborted && fatal_ms != 0 &&
                  (uint32_t)(now_ns / VITP_MS) - fatal_ms < VITP_CRASH_FATAL_MS;
    crash->offset = module ? fault->at - module->begin : 0;
    vitp_crash_copy(crash->type, sizeof crash->type, fault->type);
    vitp_crash_copy(crash->module, sizeof crash->module, module ? module->name : "");
    VITP_ATOMIC_STORE_RELEASE(&crash->state, (uint32_t)VITP_CRASH_THERE);
    return i + 1u;
}

/* In a signal handler. */
static uint32_t vitp_crash_write(const vitp_os_fault *fault, void *client)
{
    vit_client           *t = (vit_client *)client;
    const vitp_os_module *module = vitp_crash_module(&t->scene, fault->at);
    uint64_t              now_ns = vitp_os_coarse_ns();
    uint32_t              noted;
    if (vitp_os_page_forked(&t->recorder.page) || !VITP_ATOMIC_LOAD(&t->recorder.outlives) ||
        (t->scene.only && module != &t->scene.modules[t->scene.only - 1u]) ||
        !vitp_crash_enter(&t->scene))
        return 0;
    noted =
        vitp_crash_is_nested(t, fault, now_ns) ? 0 : vitp_crash_record(t, fault, module, now_ns);
    VITP_ATOMIC_STORE_PTR(&t->scene.thread, (uintptr_t)0);
    return noted;
}

/* A handler of the host has dealt with it: it was none. */
static void vitp_crash_withdraw(uint32_t noted, void *client)
{
    vitp_run *run = &((vit_client *)client)->own.ledger->run;
    VITP_ATOMIC_STORE_RELEASE(&run->crashes[noted - 1u].state, (uint32_t)VITP_CRASH_NONE);
}

/* Where the queue does not outlive the process, a record would not either. In a module other than
   the program only crashes in its own code are ours. */
static void vitp_crash_begin(vit_client *t)
{
    vitp_crash_scene     *scene = &t->scene;
    const vitp_os_module *own;
    if (!VITP_ATOMIC_LOAD(&t->recorder.outlives)) return;
    scene->module_count = vitp_os_modules(scene->modules, VITP_MODULES_MAX);
    own = vitp_crash_module(scene, vitp_os_own_code());
    if (!own) return; /* whose crashes are ours cannot be told */
    if (own != scene->modules) scene->only = (uint32_t)(own - scene->modules) + 1u;
    if (vitp_os_crash_begin(vitp_crash_write, vitp_crash_withdraw, t))
        t->own.ledger->run.handler = 1u;
    else vitp_log_note(&t->recorder.log, VIT_LOG_CRASH_TAKEN);
}

/* Where a handler calls ours that was installed after it, the plugin's code stays. Not for the
   client of the process that we were forked from: another thread may have had the loader's lock. */
static void vitp_crash_end(vit_client *t, bool ours)
{
    if (vitp_os_crash_end(t) && t->scene.only && ours)
        (void)vitp_os_keep_loaded(vitp_os_own_code());
}

#endif /* !VITELEMETRY_NO_CRASH */

/* ============================================================================================
   >>session: sessions and context
   ============================================================================================ */

/* A session ends, and begins, under the client's lock: of two that end it at once one records that,
   and none is begun in between. log_fn is called behind it. */
static bool vitp_session_enter(vit_client *t)
{
    if (!t || !vitp_worker_enter(t)) return false;
    VITP_ATOMIC_STORE_PTR(&t->recorder.log.quiet, vitp_os_thread_id());
    return true;
}

static void vitp_session_leave(vit_client *t)
{
    VITP_ATOMIC_STORE_PTR(&t->recorder.log.quiet, (uintptr_t)0);
    vitp_worker_leave(t);
}

static void vitp_session_close(vit_client *t, vit_exit reason)
{
    static const char *const reasons[] = { "normal", "crash", "forced_close" };
    vit_session_ended        event = { 0, 0, 0, 0 };
    if (!t->context.session_id[0]) return;
    event.exit_reason = reasons[(uint32_t)reason < 3u ? (uint32_t)reason : 0u];
    event.duration_ms = (int64_t)((vitp_os_now_ns() - t->own.ledger->run.session_ns) / VITP_MS);
    vitp_repeat_tell(&t->recorder);
    (void)vit_track_session_ended(t, &event);
    t->context.session_id[0] = 0;
    t->own.ledger->run.session_ns = 0;
    vitp_worker_use_context(t);
    vitp_worker_reseed(t);
    vitp_repeat_renew(t->own.ledger);
}

void vit_session_end(vit_client *t, vit_exit reason)
{
    if (!vitp_session_enter(t)) return;
    vitp_session_close(t, reason);
    vitp_session_leave(t);
}

/* A text that events carry. One that is too long is scrubbed before it is cut, as a label is. */
static void vitp_session_text(vit_client *t, char out[VITP_LABEL_MAX + 1u], const char *text)
{
    vitp_encoder e;
    size_t       size = vitp_text_size(text, VITP_LABEL_MAX + 1u);
    memset(&e, 0, sizeof e);
    e.recorder = &t->recorder;
    if (size > VITP_LABEL_MAX) size = vitp_record_long_label(&e, text, (unsigned char *)out);
    else if (text) memcpy(out, text, size);
    out[size] = 0;
}

void vit_session_begin(vit_client *t, const char *session_id, const char *launch_source)
{
    vit_session_start event = { 0, 0, 0 };
    if (!vitp_session_enter(t)) return;
    vitp_session_close(t, VIT_EXIT_NORMAL);
    event.launch_source = launch_source;
    vitp_repeat_tell(&t->recorder);
    vitp_repeat_renew(t->own.ledger);
    vitp_session_text(t, t->context.session_id, session_id);
    if (!t->context.session_id[0]) vit_uuid4(t->context.session_id);
    t->own.ledger->run.session_ns = vitp_os_now_ns();
    vitp_worker_use_context(t);
    vitp_worker_reseed(t);
    (void)vit_track_session_start(t, &event);
    vitp_session_leave(t);
}

bool vit_crashed_last_run(const vit_client *t) { return t && t->crashed; }

/* One that is in force already takes no number from those that events still wait with. */
void vit_set_context(vit_client *t, const char *provider, const char *collection)
{
    unsigned char hash[8];
    char          salt[33] = { 0 };
    vitp_context  c;
    if (!t || !vitp_worker_enter(t)) return;
    c = t->context;
    vitp_session_text(t, c.provider, provider);
    c.collection_hash[0] = 0;
    if (collection) {
        (void)vitp_cell_read(&t->recorder.salt, salt, 32);
        vitp_id_hash(hash, collection, vitp_text_size(collection, VITP_TEXT_READ_MAX), salt);
        vitp_text_hex(c.collection_hash, hash, 8);
    }
    if (strcmp(c.provider, t->context.provider) != 0 ||
        strcmp(c.collection_hash, t->context.collection_hash) != 0) {
        t->context = c;
        vitp_worker_use_context(t);
    }
    vitp_worker_leave(t);
}

/* Index of a rate in the table of values, which only grows. VITP_VERDICT_DEFAULT: the table is
   full. */
static uint32_t vitp_session_rate_value(vitp_recorder *r, double rate)
{
    uint32_t i;
    if (!(rate > 0.0)) rate = 0.0; /* NaN too */
    if (rate > 1.0) rate = 1.0;
    for (i = 0; i < r->rate_value_count; i++)
        if (!(r->rate_values[i] < rate) && !(r->rate_values[i] > rate)) return i;
    if (r->rate_value_count == VITP_RATE_VALUES_MAX) return VITP_VERDICT_DEFAULT;
    r->rate_values[r->rate_value_count] = rate;
    return r->rate_value_count++;
}

void vit_set_rate(vit_client *t, const char *event_name, double rate)
{
    vitp_recorder *r;
    uint32_t       value, i;
    if (!t || !vitp_worker_enter(t)) return;
    r = &t->recorder;
    value = vitp_session_rate_value(r, rate);
    for (i = 0; event_name && i < r->rate_count && strcmp(r->rates[i].name, event_name) != 0;) i++;
    if (!vitp_text_name_size(event_name)) {
        vitp_log_note(&r->log, VIT_LOG_NAME_INVALID);
    } else if (i == VITP_RATES_MAX || value == VITP_VERDICT_DEFAULT) {
        vitp_log_note(&r->log, VIT_LOG_RATES_FULL);
    } else {
        VITP_ATOMIC_STORE_RELEASE(&r->rates[i].value, value);
        if (i == r->rate_count) {
            (void)vitp_text_copy(r->rates[i].name, sizeof r->rates[i].name, event_name);
            VITP_ATOMIC_STORE_RELEASE(&r->rate_count, i + 1u);
        }
        vitp_worker_reseed(t); /* decides anew for every event */
    }
    vitp_worker_leave(t);
}

/* ============================================================================================
   >>error: failures as events
   ============================================================================================ */

/* clang-format off */
#define VITP_ERROR_CODES(X)                                                                     \
    X(EPERM) X(ENOENT) X(ESRCH) X(EINTR) X(EIO) X(ENXIO) X(E2BIG) X(ENOEXEC) X(EBADF) X(ECHILD) \
    X(EAGAIN) X(ENOMEM) X(EACCES) X(EFAULT) X(EBUSY) X(EEXIST) X(EXDEV) X(ENODEV) X(ENOTDIR)    \
    X(EISDIR) X(EINVAL) X(ENFILE) X(EMFILE) X(ENOTTY) X(EFBIG) X(ENOSPC) X(ESPIPE) X(EROFS)     \
    X(EMLINK) X(EPIPE) X(EDOM) X(ERANGE) X(EDEADLK) X(ENAMETOOLONG) X(ENOSYS) X(ENOTEMPTY)      \
    X(ECONNREFUSED) X(ECONNRESET) X(ETIMEDOUT) X(EADDRINUSE) X(EHOSTUNREACH) X(ENETUNREACH)     \
    X(ECANCELED) X(EILSEQ) X(ENOTSUP) X(EOVERFLOW) X(EBADMSG) X(EPROTO) X(ENOTCONN) X(EISCONN)  \
    X(ENOBUFS) X(EALREADY) X(EINPROGRESS) X(ENOTSOCK) X(EAFNOSUPPORT) X(EADDRNOTAVAIL)          \
    X(ENETDOWN) X(ENETRESET) X(ECONNABORTED) X(ELOOP) X(ENOLCK) X(EMSGSIZE) X(EPROTONOSUPPORT)  \
    X(EDESTADDRREQ) X(EPROTOTYPE) X(ENOPROTOOPT) X(ETXTBSY)
/* clang-format on */

/* ENOENT and so on, or the number. */
static void vitp_error_code(int code, char out[VITP_LABEL_MAX + 1u])
{
#define VITP_ERROR_ROW(name) { name, #name },
    static const struct {
        int         code;
        const char *name;
    } rows[] = { VITP_ERROR_CODES(VITP_ERROR_ROW) };
#undef VITP_ERROR_ROW
    const char *name = NULL;
    size_t      i;
    for (i = 0; !name && i < sizeof rows / sizeof rows[0]; i++)
        if (rows[i].code == code) name = rows[i].name;
    if (!name) name = vitp_os_error_name(code);
    if (name) (void)vitp_text_copy(out, VITP_LABEL_MAX + 1u, name);
    else (void)snprintf(out, VITP_LABEL_MAX + 1u, "%d", code);
}

/* The event of an error, and its fingerprint. */
static void vitp_error_fill(const vitp_recorder *r, const vit_error *error, vit_error_event *event,
                            vitp_print *print)
{
    event->op = error->op;
    event->message = error->message;
    event->exception_type = error->type;
    event->error_code = error->code;
    event->function = error->function;
    event->feature = error->feature;
    event->traceback = error->trace;
    event->top_frame = error->frame;
    vitp_print_begin(print, r);
    vitp_print_text(print, error->event_name ? error->event_name : "Error", VITP_NAME_MAX + 1u);
    vitp_print_text(print, error->code, VITP_TEXT_READ_MAX);
    vitp_print_text(print, error->function, VITP_TEXT_READ_MAX);
    vitp_print_text(print, error->feature, VITP_TEXT_READ_MAX);
    vitp_print_end_labels(print);
    vitp_print_text(print, error->type, VITP_TEXT_READ_MAX);
    vitp_print_text(print, error->message, VITP_TEXT_READ_MAX + 1u);
    vitp_print_text(print, error->frame, VITP_TEXT_READ_MAX + 1u);
}

vit_status vit_track_error(vit_client *t, const vit_error *error)
{
    vit_error_event event;
    vitp_print      print;
    vitp_recorder  *r;
    if (!t) return VIT_DISABLED;
    r = &t->recorder;
    if (!vitp_record_allowed(r, VITP_MAY_ERRORS)) return vitp_record_refuse(r, VIT_DISABLED);
    if (!error) {
        vitp_log_note(&r->log, VIT_LOG_VALUE_INVALID);
        return vitp_record_refuse(r, VIT_INVALID);
    }
    vitp_error_fill(r, error, &event, &print);
    return vitp_record_error(r, vit_schema_error_event(), error->event_name, &event, &print);
}

int vit_fail(vit_client *t, const vit_op *op, const char *event_name, const char *feature, int code)
{
    char      text[VITP_LABEL_MAX + 1u];
    vit_error error = { 0, 0, 0, 0, 0, 0, 0, 0, 0 };
    if (!t) return code;
    vitp_error_code(code, text);
    error.op = op;
    error.event_name = event_name;
    error.feature = feature;
    error.code = text;
    (void)vit_track_error(t, &error);
    return code;
}

/* The process ends after this error: the crash handler need not tell of one that was recorded. */
static void vitp_error_is_fatal(vit_client *t, vit_status status)
{
    uint32_t now_ms = (uint32_t)(vitp_os_coarse_ns() / VITP_MS);
    if ((status != VIT_OK && status != VIT_TRUNCATED) || vitp_os_page_forked(&t->recorder.page))
        return;
    VITP_ATOMIC_STORE(&t->own.ledger->run.fatal_ms, now_ms ? now_ms : 1u);
}

/* One a process and copy of this header: who has the terminate and the Qt handler. */
static struct {
    uintptr_t client;
    void (*previous_fn)(void);
} vitp_error_hooks[2];

vit_client *vit_hook_client_(int hook, void (**previous_fn)(void))
{
    uintptr_t client = VITP_ATOMIC_LOAD_PTR_ACQUIRE(&vitp_error_hooks[hook & 1].client);
    if (previous_fn) *previous_fn = vitp_error_hooks[hook & 1].previous_fn;
    return (vit_client *)client;
}

void vit_hook_set_(int hook, vit_client *t, void (*previous_fn)(void))
{
    vitp_error_hooks[hook & 1].previous_fn = previous_fn;
    VITP_ATOMIC_STORE_PTR_RELEASE(&vitp_error_hooks[hook & 1].client, (uintptr_t)t);
}

void vit_hook_stays_(void (*handler_fn)(void)) { (void)vitp_os_keep_loaded((uintptr_t)handler_fn); }

/* The client goes: its handlers, which nobody has taken out, pass on what they get. */
static void vitp_error_unhook(vit_client *t)
{
    uintptr_t own = (uintptr_t)t;
    uint32_t  i;
    for (i = 0; i < 2; i++) {
        uintptr_t client = own;
        if (VITP_ATOMIC_CAS_PTR(&vitp_error_hooks[i].client, &client, (uintptr_t)0))
            (void)vitp_os_keep_loaded((uintptr_t)vitp_error_unhook);
    }
}

void vit_uncaught_(vit_client *t, const char *type, const char *message)
{
    vit_uncaught_exception event = { 0, 0, 0, 0, 0 };
    if (!t) return;
    event.message = message;
    event.exception_type = type;
    vitp_error_is_fatal(t, vit_track_uncaught_exception(t, &event));
}

/* What does not fit is scrubbed before it is cut, as a label is. */
void vit_keep_label_(vit_client *t, char *out, size_t out_size, const char *text)
{
    vitp_encoder e;
    size_t       size = vitp_text_size(text, out_size);
    out[0] = 0;
    if (!t || !text) return;
    memset(&e, 0, sizeof e);
    e.recorder = &t->recorder;
    if (size == out_size)
        (void)vitp_record_scrub(&e, out, out_size, text, vitp_record_readable(&e, text));
    else memcpy(out, text, size + 1);
}

void vit_qt_message(vit_client *t, int type, const char *file, int line, const char *function,
                    const char *category, const char *message)
{
    vit_qt_error   event = { 0, 0, 0, 0, 0, 0 };
    vitp_recorder *r;
    vitp_print     print;
    vit_status     status;
    (void)category;
    if (!t || (type != 2 && type != 3)) return; /* QtCriticalMsg, QtFatalMsg */
    r = &t->recorder;
    if (!vitp_record_allowed(r, VITP_MAY_ERRORS)) {
        (void)vitp_record_refuse(r, VIT_DISABLED);
        return;
    }
    event.message = message;
    event.msg_type = type == 3 ? "fatal" : "critical";
    event.file = file;
    event.line = line;
    event.function = function;
    vitp_print_begin(&print, r);
    vitp_print_text(&print, event.msg_type, VITP_LABEL_MAX);
    vitp_print_text(&print, function, VITP_TEXT_READ_MAX);
    vitp_print_end_labels(&print);
    vitp_print_text(&print, file, VITP_TEXT_READ_MAX + 1u);
    vitp_print_text(&print, message, VITP_TEXT_READ_MAX + 1u);
    vitp_print_words(&print, (uint64_t)(int64_t)line, 0);
    status = vitp_record_error(r, vit_schema_qt_error(), NULL, &event, &print);
    if (type == 3) vitp_error_is_fatal(t, status);
}

/* ============================================================================================
   >>client: birth and death, and the user's rights
   ============================================================================================ */

#define VITP_CLIENT_QUEUE_BYTES     (512u * 1024u)
#define VITP_CLIENT_QUEUE_BYTES_MIN (64u * 1024u)
#define VITP_CLIENT_FLUSH_MS        5000u
#define VITP_CLIENT_TIMEOUT_MS      5000u
#define VITP_CLIENT_BATCH_EVENTS    100u
#define VITP_CLIENT_BATCH_BYTES     (256u * 1024u)
#define VITP_CLIENT_OTLP_BYTES      (64u * 1024u) /* one event at least: more words a member */
#define VITP_CLIENT_SPOOL_BYTES     (4u * 1024u * 1024u)
#define VITP_CLIENT_SPOOL_DAYS_MIN  7u
#define VITP_CLIENT_SPOOL_DAYS      30u

static void *vitp_client_malloc(size_t size, void *user)
{
    (void)user;
    return VITP_OS(malloc)(size);
}

static void vitp_client_free(void *memory, void *user)
{
    (void)user;
    VITP_OS(free)(memory);
}

static uint32_t vitp_client_or(uint32_t value, uint32_t otherwise)
{
    return value ? value : otherwise;
}

static const char *vitp_client_text_or(const char *text, const char *otherwise)
{
    return text ? text : otherwise;
}

/* It becomes the name of a folder. */
static bool vitp_client_is_type(const char *text)
{
    size_t size = vitp_text_size(text, VITP_LABEL_MAX + 1u), i;
    if (size == 0 || size > VITP_LABEL_MAX || text[0] == '.') return false;
    for (i = 0; i < size; i++)
        if (!vitp_text_is_alnum(text[i]) && !strchr("_.-", text[i])) return false;
    return true;
}

static bool vitp_client_is_valid(const vit_options *o)
{
    return (!o->client_type || vitp_client_is_type(o->client_type)) &&
           vitp_text_is_printable(o->app_version, VITP_LABEL_MAX) &&
           vitp_text_is_printable(o->telemetry_key, VITP_KEY_MAX) &&
           vitp_text_is_printable(o->endpoint, VITP_PATH_MAX) &&
           vitp_text_size(o->group_salt, VITP_KEY_MAX + 1u) <= VITP_KEY_MAX &&
           (uint32_t)o->wire <= (uint32_t)VIT_WIRE_OTLP &&
           (uint32_t)o->consent <= (uint32_t)VIT_CONSENT_VERBOSE &&
           (uint32_t)o->sampling <= (uint32_t)VIT_SAMPLE_FLOW &&
           !o->allocator.alloc_fn == !o->allocator.free_fn &&
           o->queue_bytes <= VITP_QUEUE_CAPACITY_MAX;
}

/* http:// is for this machine only. */
static bool vitp_client_is_plain(const char *url)
{
    static const char *const here[] = { "127.0.0.1", "localhost", "[::1]" };
    static const char        scheme[] = "http://";
    size_t                   i, n;
    for (i = 0; i < sizeof scheme - 1u; i++)
        if (vitp_text_lower(url[i]) != scheme[i]) return false;
    if (memchr(url + 7, '@', strcspn(url + 7, "/?#"))) return true;
    for (i = 0; i < sizeof here / sizeof here[0]; i++) {
        n = strlen(here[i]);
        if (strncmp(url + 7, here[i], n) == 0 && (url[7 + n] == 0 || strchr(":/?", url[7 + n])))
            return false;
    }
    return true;
}

static void vitp_client_defaults(vit_options *o)
{
    uint32_t events = o->wire == VIT_WIRE_EVENT ? 1u : VITP_CLIENT_BATCH_EVENTS;
    uint32_t capacity = VITP_CLIENT_QUEUE_BYTES_MIN;
    o->endpoint = vitp_client_text_or(o->endpoint, "");
    o->app_version = vitp_client_text_or(o->app_version, "0.0.0");
    o->client_type = vitp_client_text_or(o->client_type, "vector-inspector");
    o->queue_bytes = vitp_client_or(o->queue_bytes, VITP_CLIENT_QUEUE_BYTES);
    o->flush_ms = vitp_client_or(o->flush_ms, VITP_CLIENT_FLUSH_MS);
    o->timeout_ms = vitp_client_or(o->timeout_ms, VITP_CLIENT_TIMEOUT_MS);
    o->batch_events = o->wire == VIT_WIRE_EVENT ? 1u : vitp_client_or(o->batch_events, events);
    o->batch_bytes = vitp_client_or(o->batch_bytes, VITP_CLIENT_BATCH_BYTES);
    while (capacity < o->queue_bytes) capacity *= 2u;
    o->queue_bytes = capacity;
    if (o->wire == VIT_WIRE_EVENT || o->batch_bytes < VITP_EVENT_JSON_MAX)
        o->batch_bytes = VITP_EVENT_JSON_MAX;
    if (o->wire == VIT_WIRE_OTLP && o->batch_bytes < VITP_CLIENT_OTLP_BYTES)
        o->batch_bytes = VITP_CLIENT_OTLP_BYTES;
    o->spool_bytes_max = vitp_client_or(o->spool_bytes_max, VITP_CLIENT_SPOOL_BYTES);
    o->spool_days_max = vitp_client_or(o->spool_days_max, VITP_CLIENT_SPOOL_DAYS);
    if (o->spool_days_max > VITP_CLIENT_SPOOL_DAYS) o->spool_days_max = VITP_CLIENT_SPOOL_DAYS;
    if (o->spool_days_max < VITP_CLIENT_SPOOL_DAYS_MIN)
        o->spool_days_max = VITP_CLIENT_SPOOL_DAYS_MIN;
    if (!o->allocator.alloc_fn) {
        o->allocator.alloc_fn = vitp_client_malloc;
        o->allocator.free_fn = vitp_client_free;
    }
}

/* The client's memory in one piece: itself, the queue without its pool, the body, the scratch. */
static vit_client *vitp_client_take_memory(const vit_options *o)
{
    size_t      own = (sizeof(vit_client) + 63u) & ~(size_t)63u;
    size_t      queue = vitp_queue_own_bytes(o->queue_bytes), at;
    uint64_t    wanted = (uint64_t)64u + own + queue + o->batch_bytes + 1u + VITP_EVENT_JSON_MAX;
    size_t      total = (size_t)wanted;
    void       *block = total == wanted ? o->allocator.alloc_fn(total, o->allocator.user) : NULL;
    char       *bytes = (char *)block;
    vit_client *t;
    if (!block) return NULL;
    at = 64u - ((size_t)(uintptr_t)block & 63u);
    t = (vit_client *)(void *)(bytes + at);
    memset(t, 0, own);
    t->block = block;
    t->allocator = o->allocator;
    t->recorder.queue = (vit_queue *)(void *)(bytes + at + own);
    t->body = bytes + at + own + queue;
    t->body_capacity = o->batch_bytes;
    t->scratch = t->body + o->batch_bytes + 1u;
    return t;
}

/* The one that was built in. It needs a URL; a host's own may know where to. */
static void vitp_client_take_transport(vit_client *t)
{
#if defined(VITELEMETRY_CURL)
    t->transport.send_fn = vit_curl_send;
#elif defined(VITELEMETRY_WINHTTP)
    t->transport.send_fn = vit_winhttp_send;
#endif
    if (!t->transport.send_fn) return;
    t->transport.user = &t->kept;
    if (!t->endpoint[0]) vitp_log_note(&t->recorder.log, VIT_LOG_NO_ENDPOINT);
}

static void vitp_client_take_options(vit_client *t, const vit_options *o)
{
    t->recorder.log.logger = o->logger;
    t->recorder.sampling = o->sampling;
    t->wire.recorder = &t->recorder;
    t->transport = o->transport;
    t->form = o->wire;
    t->audit = o->audit;
    t->flush_ms = o->flush_ms;
    t->timeout_ms = o->timeout_ms;
    t->batch_events = t->batch_limit = o->batch_events;
    t->good_events = 0x7FFFFFFFu;
    (void)vitp_text_copy(t->app_version, sizeof t->app_version, o->app_version);
    (void)vitp_text_copy(t->client_type, sizeof t->client_type, o->client_type);
    (void)vitp_text_copy(t->endpoint, sizeof t->endpoint, o->endpoint);
    (void)vitp_text_copy(t->headers_key, sizeof t->headers_key, o->telemetry_key);
    (void)vitp_text_copy(t->recorder.group_salt, sizeof t->recorder.group_salt, o->group_salt);
    if (!t->transport.send_fn) vitp_client_take_transport(t);
    if (!t->transport.send_fn) vitp_log_note(&t->recorder.log, VIT_LOG_NO_TRANSPORT);
    if (vitp_client_is_plain(t->endpoint)) vitp_log_note(&t->recorder.log, VIT_LOG_PLAIN_HTTP);
#ifndef VITELEMETRY_NO_FILES
    t->spool.folder = t->settings_folder;
    t->spool.client_type = t->client_type;
    t->spool.allocator = o->allocator;
    t->spool.cap = o->spool_bytes_max;
    t->spool.days = o->spool_days_max;
    t->spool.buffer = t->scratch;
#endif
}

/* Adds a text that must not leave; under the lock, or before the client is shared. */
static bool vitp_client_add_secret(vitp_recorder *r, const char *text, size_t size,
                                   const char *marker, bool whole_word)
{
    vitp_secret_store *s = &r->secrets;
    vitp_scrub_value  *v = &s->values[s->count];
    uint32_t           i;
    if (size < VITP_SCRUB_VALUE_MIN || size > VITP_SECRET_MAX) return false;
    for (i = 0; i < s->count; i++) /* it is there */
        if (s->values[i].size == size && s->values[i].whole_word == whole_word &&
            memcmp(s->texts[i], text, size) == 0)
            return true;
    if (whole_word ? s->count == VITP_KNOWN_MAX : s->secrets == VITP_SECRETS_MAX) return false;
    memcpy(s->texts[s->count], text, size);
    s->texts[s->count][size] = 0;
    v->text = s->texts[s->count];
    v->size = (uint32_t)size;
    v->marker = marker;
    v->whole_word = whole_word;
    if (!whole_word) {
        v->cores = s->cores[s->secrets];
        for (i = 0; i < 3; i++) vitp_scrub_encode(&s->cores[s->secrets][i], text, size, i);
        s->secrets++;
    }
    VITP_ATOMIC_STORE_RELEASE(&s->count, s->count + 1u);
    return true;
}

/* Names that are common words or constants of the catalogue: to take them from every text would
   spoil it, and tell the name. In any case of the letters. */
static bool vitp_client_is_common(const char *text)
{
    static const char words[] =
        " root admin administrator user users home guest test host local localhost default data "
        "server"
        " debian ubuntu linux windows darwin desktop laptop normal crash forced_close vector "
        "metadata"
        " similarity umap pca tsne critical fatal error success session launch ";
    char   lower[32];
    size_t i, size = vitp_text_size(text, sizeof lower - 2);
    if (size == sizeof lower - 2) return false;
    lower[0] = ' ';
    for (i = 0; i < size; i++) lower[1 + i] = vitp_text_lower(text[i]);
    lower[1 + size] = ' ';
    lower[2 + size] = 0;
    return strstr(words, lower) != NULL;
}

static void vitp_client_write_ledger(vit_client *t, uint32_t capacity)
{
    vitp_ledger *l = t->own.ledger;
    vitp_writer *w = &l->writer;
    memset(l, 0, vitp_ledger_bytes(capacity));
    w->version = VITP_LEDGER_VERSION;
    w->order = VITP_LEDGER_ORDER;
    w->bytes = (uint32_t)sizeof *l;
    w->capacity = capacity;
    w->process = vitp_os_process_id();
#ifndef VITELEMETRY_NO_FILES
    w->process_start = vitp_os_process_start(w->process);
#endif
    w->begin_ns = vitp_os_now_ns();
    w->begin_s = vitp_os_wall_s();
    vitp_id_fresh(w->run_id); /* none of the events' sequence: who has some of that has it all */
    (void)vitp_text_copy(w->app_version, sizeof w->app_version, t->app_version);
    (void)vitp_text_copy(w->client_type, sizeof w->client_type, t->client_type);
    VITP_ATOMIC_LIGHT_BARRIER();
    memcpy(w->magic, VITP_LEDGER_MAGIC, 8);
}

/* outlive: the pool in a file, where that is safe. False: no memory. */
static bool vitp_client_take_pool(vit_client *t, uint32_t capacity, bool outlive)
{
    vitp_stock *s = &t->own;
    char       *at;
    vitp_pool  *pool;
    bool        mapped = outlive && vitp_worker_map_pool(t, capacity);
    if (mapped) {
        at = (char *)s->file.memory;
    } else {
        size_t bytes = 64u + vitp_ledger_bytes(capacity) + vitp_pool_bytes(capacity);
        if (outlive) vitp_log_note(&t->recorder.log, VIT_LOG_POOL_PLAIN);
        s->block = t->allocator.alloc_fn(bytes, t->allocator.user);
        if (!s->block) return false;
        at = (char *)s->block + (64u - ((size_t)(uintptr_t)s->block & 63u));
    }
    s->ledger = t->recorder.ledger = (vitp_ledger *)(void *)at;
    pool = vitp_pool_init(vitp_ledger_pool(s->ledger, capacity), capacity);
    s->queue = t->recorder.queue = vitp_queue_attach(t->recorder.queue, pool, capacity);
    s->queue->wipes = mapped;
    VITP_ATOMIC_STORE(&t->recorder.outlives, mapped ? 1u : 0u);
    vitp_client_write_ledger(t, capacity);
    vitp_os_wake_at(&t->recorder.wake, &s->ledger->wake);
    return true;
}

static void vitp_client_learn_one(vitp_recorder *r, const char *text, const char *marker)
{
    size_t size = vitp_text_size(text, VITP_SECRET_MAX + 1u);
    while (size > 1 && (text[size - 1] == '/' || text[size - 1] == '\\')) size--;
    if (!vitp_client_is_common(text)) (void)vitp_client_add_secret(r, text, size, marker, true);
}

/* A name, and its parts: a home folder is called after its user; a host without its domain, and the
   domain. */
static void vitp_client_learn(vitp_recorder *r, char *text, const char *marker)
{
    size_t dot = strcspn(text, "."), base = vitp_record_base(text, strlen(text));
    vitp_client_learn_one(r, text, marker[1] == 'u' && base > 0 ? "[path]" : marker);
    if (marker[1] == 'u' && base > 0) vitp_client_learn_one(r, text + base, marker);
    if (marker[1] != 'h' || !text[dot]) return;
    if (strchr(text + dot + 1, '.')) vitp_client_learn_one(r, text + dot + 1, marker);
    text[dot] = 0;
    vitp_client_learn_one(r, text, marker);
}

static void vitp_client_learn_machine(vitp_recorder *r)
{
    char        text[VITP_PATH_MAX];
    const char *marker;
    uint64_t    gb;
    uint32_t    i;
    for (i = 0; vitp_os_known(i, text, sizeof text, &marker); i++)
        if (text[0]) vitp_client_learn(r, text, marker);
    vitp_os_name(r->machine.os, sizeof r->machine.os);
    vitp_os_arch(r->machine.arch, sizeof r->machine.arch);
    r->machine.cpu_count = vitp_os_cpu_count();
    r->machine.ram_gb = 1;
    gb = vitp_os_ram_bytes() >> 29; /* halves of a GiB */
    while (3u * (uint64_t)r->machine.ram_gb <= gb)
        r->machine.ram_gb *= 2; /* to the nearest power of two */
}

/* Asks all gates. True: something is stored. The environment is read here only: later it would race
   with the host's setenv. */
static bool vitp_client_consent(vit_client *t, const vit_options *o)
{
    bool stored = vitp_worker_load(t, &t->settings);
    t->heard = t->settings;
    t->inputs.host_default = o->consent;
    t->inputs.allow_in_ci = o->allow_in_ci;
    if (vitp_consent_ci(vitp_os_env)) t->inputs.ci = VITP_ANSWER_REFUSES;
    if (vitp_consent_environment(vitp_os_env, t->client_type))
        t->inputs.environment = VITP_ANSWER_REFUSES;
    if (!vitp_os_config_folder(t->config_folder, sizeof t->config_folder)) t->config_folder[0] = 0;
    vitp_worker_ask(t);
    vitp_worker_take_setting(t, &t->settings);
    return stored;
}

/* Another process stored its settings between our reading and our writing: they decide. */
static void vitp_client_follow(vit_client *t)
{
    vitp_settings now;
    if (!vitp_worker_recheck(t) || t->consent < VIT_CONSENT_GRANTED) return;
    if (vitp_worker_load(t, &now) && (!now.has_hwid || !now.has_salt))
        (void)vitp_worker_store(t, false);
}

/* With consent the pool is one that outlives the process. False: no memory. */
static bool vitp_client_decide(vit_client *t, const vit_options *o)
{
    bool     stored = vitp_client_consent(t, o);
    bool     complete = t->settings.has_hwid && t->settings.has_salt;
    vit_gate gate;
    uint32_t may;
    bool     granted = vitp_consent_decide(&t->inputs, &gate, &may) >= VIT_CONSENT_GRANTED;
    if (!vitp_client_take_pool(t, o->queue_bytes, granted && t->settings_folder[0])) return false;
    vitp_worker_make_identity(t);
    vitp_worker_decide(t);
    if (granted && !complete && !vitp_worker_store(t, !stored)) vitp_client_follow(t);
    if (t->unsaved) vitp_worker_disown_file(t); /* the next start has another identity */
    return true;
}

/* And with consent, what others left is taken over. */
static bool vitp_client_begin(vit_client *t, const vit_options *o)
{
    bool begun;
    vitp_worker_hold(t);
    begun = vitp_client_decide(t, o);
    vitp_worker_release(t);
    if (begun && t->consent >= VIT_CONSENT_GRANTED) {
        vitp_worker_recall_wait(t);
#ifndef VITELEMETRY_NO_FILES
        vitp_worker_search(t, VITP_POOL_HEAR);
        t->crashed_s = INT64_MAX; /* what dies later is no run before this one */
        (void)vitp_worker_adopt(t);
        (void)vitp_spool_open(&t->spool);
#endif
    }
    return begun;
}

static bool vitp_client_take_system(vit_client *t)
{
    vitp_recorder *r = &t->recorder;
    if (!vitp_os_page_init(&r->page, sizeof(vitp_id_source))) return false;
    r->ids = (vitp_id_source *)r->page.memory;
    vitp_id_seed(r->ids);
    if (r->ids->weak) vitp_log_note(&r->log, VIT_LOG_RANDOM_WEAK);
    if (vitp_os_mutex_init(&t->lock)) {
        if (vitp_os_cond_init(&t->progress)) {
            if (vitp_os_wake_init(&r->wake)) return true;
            vitp_os_cond_free(&t->progress);
        }
        vitp_os_mutex_free(&t->lock);
    }
    vitp_os_page_free(&r->page);
    return false;
}

/* What was not delivered stays in the file for the next start, also where a forked child lives on:
   it records no more. ours: else it is the parent's, and what its consumer had open or from the
   allocator it may just have been giving back. */
static void vitp_client_leave_pools(vit_client *t, bool ours)
{
#ifndef VITELEMETRY_NO_FILES
    vitp_stock *s = &t->own;
    bool        keep = !ours || (VITP_ATOMIC_LOAD(&t->recorder.outlives) && s->queue &&
                          (s->ledger->run.state != VITP_RUN_NONE ||
                           vitp_queue_pushed(s->queue) != VITP_ATOMIC_LOAD_PTR(&t->released)));
    if (t->adopted.queue && ours) vitp_worker_put_down(t, false);
    if (s->file.memory && ours) VITP_ATOMIC_STORE_RELEASE(&s->ledger->writer.process, 0u);
    if (!keep) vitp_os_pool_remove(&s->file);
    else if (ours) vitp_os_pool_unlock(&s->file);
    else vitp_os_pool_close(&s->file);
    if (ours) return;
    /* what else is open would stay locked when the parent ends before us, as of a daemon */
    vitp_os_pool_close(&t->adopted.file);
    vitp_os_pool_close(&t->marker);
    vitp_os_pool_close(&t->spool.in.file);
    vitp_os_pool_close(&t->spool.out[0].file);
    vitp_os_pool_close(&t->spool.out[1].file);
#else
    (void)t, (void)ours;
#endif
}

/* locks: they are ours to take down, and not those of the process that we were forked from. */
static void vitp_client_give_back(vit_client *t, bool locks)
{
    vit_allocator allocator = t->allocator;
    vitp_crash_end(t, locks);
    if (locks) vitp_error_unhook(t);
    if (locks) {
        vitp_os_wake_free(&t->recorder.wake);
        vitp_os_cond_free(&t->progress);
        vitp_os_mutex_free(&t->lock);
#ifdef VITELEMETRY_CURL
        (void)vit_curl_send(NULL, &t->kept);
#endif
#ifdef VITELEMETRY_WINHTTP
        if (t->kept) WinHttpCloseHandle(t->kept);
#endif
    }
    if (locks) vitp_spool_leave(&t->spool);
    vitp_client_leave_pools(t, locks);
    vitp_os_page_free(&t->recorder.page);
    if (t->own.block) allocator.free_fn(t->own.block, allocator.user);
    allocator.free_fn(t->block, allocator.user);
}

static void vitp_client_start(vit_client *t, const vit_options *o)
{
#ifdef VITELEMETRY_NO_THREADS
    (void)t, (void)o;
#else
    if (o->no_thread) return;
    t->has_thread = true;
    if (vitp_os_thread_start(&t->thread, vitp_worker_main, t)) return;
    t->has_thread = false;
    vitp_log_note(&t->recorder.log, VIT_LOG_NO_THREAD);
#endif
}

static vit_client *vitp_client_fail(const vit_options *o, vit_log_item item)
{
    vitp_log log;
    memset(&log, 0, sizeof log);
    log.logger = o->logger;
    vitp_log_note(&log, item);
    vitp_log_tell(&log);
    return NULL;
}

#ifdef NDEBUG
static void vitp_client_debug(vit_options *o) { (void)o; }
#else
/* In place of the network: shows the request, and takes it for delivered. */
static vit_response vitp_client_show(const vit_request *request, void *user)
{
    vit_response answer = { 200, 0 };
    (void)user;
    fprintf(stderr, "vitelemetry: VITELEMETRY_DEBUG: not sent: POST %s, %s, %lu bytes\n",
            request->url, request->content_type, (unsigned long)request->body_size);
    fwrite(request->body, 1, request->body_size, stderr);
    fputc('\n', stderr);
    return answer;
}

static void vitp_client_say(vit_log_level level, vit_log_item item, const char *text, void *user)
{
    (void)level, (void)item, (void)user;
    fprintf(stderr, "vitelemetry: VITELEMETRY_DEBUG: %s\n", text);
}

/* The developer's switch. Nothing is on the disk then, so that older events are neither shown nor
   lost. What would be logged is shown as well: most often why there is nothing to send. */
static void vitp_client_debug(vit_options *o)
{
    const char *value = vitp_os_env("VITELEMETRY_DEBUG");
    if (!value || !value[0] || strcmp(value, "0") == 0) return;
    if (!o->logger.log_fn) o->logger.log_fn = vitp_client_say;
    o->transport.send_fn = vitp_client_show;
    o->transport.user = NULL;
    o->data_dir = "";
    o->audit = false;
}
#endif

static vit_client *vitp_client_create(const vit_options *options)
{
    vit_options o;
    vit_client *t;
    memset(&o, 0, sizeof o);
    if (options) o = *options;
    if (o._start_canary || o._end_canary) { /* not even the logger can be trusted */
        fputs("vitelemetry: vit_options is not zero-initialised: write vit_options o = {0}\n",
              stderr);
        return NULL;
    }
    vitp_client_debug(&o);
    if (!vitp_client_is_valid(&o)) return vitp_client_fail(&o, VIT_LOG_OPTION_INVALID);
    vitp_client_defaults(&o);
    t = vitp_client_take_memory(&o);
    if (!t) return vitp_client_fail(&o, VIT_LOG_NO_MEMORY);
    vitp_client_take_options(t, &o);
    if (!vitp_client_take_system(t)) {
        o.allocator.free_fn(t->block, o.allocator.user);
        return vitp_client_fail(&o, VIT_LOG_NO_MEMORY);
    }
    vitp_client_learn_machine(&t->recorder);
    (void)vitp_session_rate_value(&t->recorder, 0.0); /* these two are always to be had */
    (void)vitp_session_rate_value(&t->recorder, 1.0);
    vitp_worker_find_folder(t, o.data_dir);
    if (!vitp_client_begin(t, &o)) {
        vitp_client_give_back(t, true);
        return vitp_client_fail(&o, VIT_LOG_NO_MEMORY);
    }
    if (o.crash_handler) vitp_crash_begin(t);
    vitp_client_start(t, &o);
    vitp_log_tell(&t->recorder.log);
    return t;
}

vit_client *vit_create(const vit_options *options)
{
    int         before = vitp_os_hold_cancel();
    vit_client *t = vitp_client_create(options);
    vitp_os_let_cancel(before);
    return t;
}

#define VITP_CLIENT_END_MS 2000u /* a thread that is in no callback has only to be run */

#ifndef VITELEMETRY_NO_THREADS
/* Its end, or that of the process, which on Windows ends the threads first: then what our own
   transport kept is the system's to close. */
static bool vitp_client_thread_has_ended(vit_client *t)
{
    if (!t->thread_done && vitp_os_thread_is_gone(&t->thread)) {
        t->thread_done = true;
        t->kept = NULL;
    }
    return t->thread_done;
}

/* Waits for the thread, which was told to stop. False: it is still in send_fn. */
static bool vitp_client_join(vit_client *t)
{
    uint64_t deadline_ns = vitp_os_now_ns() + (uint64_t)VITP_CANCEL_MS * VITP_MS;
    uint32_t turn;
    bool     ended, sending = true;
    vitp_os_wake_set(&t->recorder.wake);
    for (;;) {
        if (!vitp_worker_enter(t)) return false;
        ended = vitp_client_thread_has_ended(t);
        turn = t->progress_turn;
        if (t->sending != sending) { /* it has come back, or is asked for the last time */
            sending = t->sending;
            deadline_ns = vitp_os_now_ns() +
                          (uint64_t)(sending ? VITP_CANCEL_MS : VITP_CLIENT_END_MS) * VITP_MS;
        }
        vitp_worker_leave(t);
        if (ended || vitp_os_now_ns() >= deadline_ns) break;
        vitp_worker_wait(t, deadline_ns, turn);
    }
    if (ended) vitp_os_thread_join(&t->thread);
    return ended;
}
#endif

/* Nobody is left who could deliver: see vitp_client_thread_has_ended. */
static bool vitp_client_is_left_alone(const vit_client *t)
{
#ifdef VITELEMETRY_NO_THREADS
    (void)t;
    return false;
#else
    return t->has_thread && vitp_os_thread_is_gone(&t->thread);
#endif
}

/* Ends the thread. False: it is still in send_fn. */
static bool vitp_client_stop(vit_client *t)
{
    if (!vitp_worker_enter(t)) return false;
    t->stopping = true;
    VITP_ATOMIC_STORE(&t->cancel, (uint32_t)VITP_CANCEL_WANTED);
    vitp_worker_leave(t);
    if (!t->has_thread) vitp_worker_end_pending(t);
#ifdef VITELEMETRY_NO_THREADS
    return true;
#else
    return !t->has_thread || vitp_client_join(t);
#endif
}

#define VITP_CLIENT_KEEP_MS 47u /* how long after timeout_ms that may take */

/* A refusal that could not be written, or something that could not be erased; unless it was the
   user's, who has granted it in another process since. */
static void vitp_client_refuse_again(vit_client *t)
{
    vitp_settings now;
    if (vitp_consent_of(&t->inputs) != VIT_CONSENT_DENIED) return;
    if (t->unsaved && t->settings.consent == VIT_CONSENT_DENIED) (void)vitp_worker_store(t, false);
    (void)vitp_worker_load(t, &now);
    if (!t->unsaved && t->settings.has_consent && t->settings.consent == VIT_CONSENT_DENIED &&
        now.has_consent && now.consent >= VIT_CONSENT_GRANTED)
        return;
    vitp_worker_erase(t);
    vitp_worker_remove_pools(t);
    vitp_audit_remove(t->settings_folder);
}

/* What was not delivered goes into the spool; and how often errors came again for which the queue
   had no room until now, or while the last requests failed. */
static void vitp_client_keep(vit_client *t, uint64_t until_ns)
{
    bool emptied;
    if (!vitp_worker_enter(t)) return;
    vitp_client_refuse_again(t);
    vitp_repeat_tell(&t->recorder);
    vitp_worker_save_until(t, until_ns, true);
    if (VITP_ATOMIC_LOAD(&t->own.ledger->repeat_some)) {
        emptied = vitp_stock_is_empty(&t->own);
        vitp_repeat_tell(&t->recorder);
        if (emptied) vitp_worker_save_until(t, until_ns, true);
    }
    vitp_worker_leave(t);
}

static bool vitp_client_destroy(vit_client *t, uint32_t timeout_ms)
{
    uint64_t deadline_ns = vitp_os_now_ns() + (uint64_t)timeout_ms * VITP_MS;
    uint64_t keep_ns = deadline_ns + (uint64_t)VITP_CLIENT_KEEP_MS * VITP_MS;
    bool     stopped;
    if (vitp_os_page_forked(&t->recorder.page)) { /* the thread and its locks are the parent's */
        vitp_client_give_back(t, false);
        return true;
    }
    if (vitp_worker_in_callback(t)) return false;
    VITP_ATOMIC_STORE(&t->own.ledger->writer.closed, 1u);
    if (!t->stopping)
        (void)vitp_worker_deliver(t, vitp_client_is_left_alone(t) ? vitp_os_now_ns() : deadline_ns,
                                  true);
    stopped = vitp_client_stop(t);
    vitp_client_keep(t, keep_ns); /* where it has not, the host may end without another call */
    if (!vitp_crash_is_last(t)) vitp_worker_close_run(t);
    if (stopped) {
        vitp_client_give_back(t, true);
        return true;
    }
    vitp_log_note(&t->recorder.log, VIT_LOG_CALLBACK_BUSY);
    vitp_log_tell(&t->recorder.log);
    return false;
}

bool vit_destroy(vit_client *t, uint32_t timeout_ms)
{
    int  before = vitp_os_hold_cancel();
    bool done = !t || vitp_client_destroy(t, timeout_ms);
    vitp_os_let_cancel(before);
    return done;
}

/* What follows may wait for files: nothing is recorded or sent meanwhile. */
static void vitp_client_withdraw(vit_client *t)
{
    VITP_ATOMIC_STORE_RELEASE(&t->recorder.permission, 0u);
    VITP_ATOMIC_STORE_RELEASE(&t->own.ledger->permission, 0u);
    vitp_worker_purge(t, VIT_DROP_CONSENT);
}

/* A refusal is stored before anything is erased, so that no other process makes anew what was; a
   grant unless another gate overrules it, and no decision where there was one. */
static void vitp_client_settle(vit_client *t, vit_consent consent, bool stored,
                               const vitp_settings *said)
{
    bool denied = consent == VIT_CONSENT_DENIED;
    if (denied) {
        t->consent = consent;
        (void)vitp_worker_store(t, false);
    }
    vitp_worker_decide(t);
    if (!denied &&
        (t->consent >= VIT_CONSENT_GRANTED || (consent == VIT_CONSENT_UNKNOWN && stored)))
        (void)vitp_worker_store(t, false);
    else if (!denied) t->unsaved = true, t->said = *said;
    if (consent < VIT_CONSENT_GRANTED) vitp_audit_remove(t->settings_folder);
}

void vit_set_consent(vit_client *t, vit_consent consent)
{
    vitp_settings *s, now;
    bool           stored;
    if (!t || (uint32_t)consent > (uint32_t)VIT_CONSENT_VERBOSE || !vitp_worker_enter(t)) return;
    if (consent == VIT_CONSENT_DENIED) vitp_client_withdraw(t);
    s = &t->settings;
    vitp_worker_hold_for(t, consent == VIT_CONSENT_DENIED ? VITP_HOLD_MS : VITP_HOLD_GRANT_MS);
    stored = vitp_worker_load(t, &now);
    if (!now.later) s->off = now.off;
    t->heard = now;
    if (!t->unsaved || !vitp_settings_same(&now, &t->said)) vitp_worker_adopt_identity(t, &now);
    s->unreadable = s->outdated = false;
    s->has_consent = consent != VIT_CONSENT_UNKNOWN;
    s->consent = consent;
    t->inputs.host_default = VIT_CONSENT_UNKNOWN; /* the user has spoken */
    t->unsaved = false;
    vitp_worker_ask(t);
    vitp_worker_take_setting(t, s);
    vitp_client_settle(t, consent, stored, &now);
    vitp_worker_release(t);
    vitp_worker_leave(t);
    if (t->has_thread) vitp_os_wake_set(&t->recorder.wake);
}

vit_consent vit_get_consent(const vit_client *t, vit_gate *why)
{
    bool     ours = t && (!vitp_os_page_forked(&t->recorder.page) ||
                      vitp_record_allowed_in_child(&t->recorder, VITP_MAY_RECORD));
    uint32_t decision =
        ours ? VITP_ATOMIC_LOAD(&t->recorder.decision) : (uint32_t)VIT_CONSENT_DENIED;
    if (why) *why = (vit_gate)(decision >> 8);
    return (vit_consent)(decision & 0xFFu);
}

bool vit_register_secret(vit_client *t, const char *text, size_t size)
{
    bool taken;
    if (!t || !vitp_worker_enter(t)) return false;
    if (text && size == 0) size = vitp_text_size(text, VITP_SECRET_MAX + 1u);
    taken = text && vitp_client_add_secret(&t->recorder, text, size, "[secret]", false);
    if (!taken) vitp_log_note(&t->recorder.log, VIT_LOG_SECRET_REFUSED);
    memset(t->wire.clean, 0, sizeof t->wire.clean); /* labels are scanned anew, */
    memset(t->wire.stencils, 0, sizeof t->wire.stencils);
    t->body_turn++; /* and what was about to leave */
    vitp_worker_leave(t);
    return taken;
}

typedef struct vitp_exporter {
    vit_client   *client;
    vitp_wire_job job;
    void (*line_fn)(const char *json, size_t size, void *user);
    void  *user;
    size_t count;
} vitp_exporter;

static bool vitp_client_export_one(const void *record, uint32_t size, void *user)
{
    vitp_exporter *e = (vitp_exporter *)user;
    vitp_json      json = { e->client->scratch, 0, VITP_EVENT_JSON_MAX, false };
    if (vitp_worker_is_refused(e->client, record, size)) return true;
    if (vitp_wire_event(&e->client->wire, &e->job, &json, "", record, size) == VITP_WIRE_WRITTEN) {
        e->line_fn(json.data, json.size, e->user);
        e->count++;
    }
    return true;
}

#ifdef VITELEMETRY_NO_FILES
static void vitp_client_export_spool(vit_client *t, vitp_exporter *e) { (void)t, (void)e; }
#else
static void vitp_client_export_file(vitp_exporter *e, const char *bytes, const vitp_spool_head *h)
{
    vitp_spool_walk w = vitp_spool_walk_from(bytes, h->begin, h->end);
    while (vitp_spool_step(&w))
        if (w.record && w.frame.mark == e->client->spool.mark)
            (void)vitp_client_export_one(w.record, w.frame.size, e);
}

/* The file that is delivered, and those that nobody has open. */
static void vitp_client_export_spool(vit_client *t, vitp_exporter *e)
{
    vitp_spool       *s = &t->spool;
    vitp_spool_search search;
    vitp_spool_file   f;
    char             *bytes;
    e->job = vitp_wire_spool_job(VITP_SHAPE_JSON);
    if (!s->folder[0] || !vitp_os_is_private(s->folder)) return;
    if (s->bytes) vitp_client_export_file(e, s->bytes, &s->in.head);
    vitp_spool_retire(s, &s->out[0]);
    vitp_spool_retire(s, &s->out[1]);
    vitp_spool_search_init(&search, s, 0);
    memset(&f, 0, sizeof f);
    while (vitp_spool_open_next(&search, &f.file)) {
        bytes = vitp_spool_load(s, &f);
        if (bytes) vitp_client_export_file(e, bytes, &f.head);
        if (bytes) s->allocator.free_fn(bytes, s->allocator.user);
        vitp_os_pool_unlock(&f.file);
    }
}
#endif

size_t vit_export(vit_client *t, void (*line_fn)(const char *json, size_t size, void *user),
                  void       *user)
{
    vitp_exporter e;
    uint32_t      i;
    if (!t || !line_fn || !vitp_worker_enter(t)) return 0;
    memset(&e, 0, sizeof e);
    e.client = t;
    e.line_fn = line_fn;
    e.user = user;
    for (i = 0; i < 2; i++) {
        vitp_stock *stock = i == 0 ? &t->adopted : &t->own;
        if (!stock->queue) continue;
        e.job = vitp_stock_job(stock, VITP_SHAPE_JSON, vitp_os_now_ns());
        (void)vit_queue_peek(stock->queue, vitp_client_export_one, &e, (size_t)-1);
        vitp_queue_peek_rest(stock->queue, vitp_client_export_one, &e);
    }
    vitp_client_export_spool(t, &e);
    vitp_worker_leave(t);
    return e.count;
}

void vit_purge(vit_client *t)
{
    if (!t || !vitp_worker_enter(t)) return;
    vitp_worker_purge_all(t);
    vitp_audit_remove(t->settings_folder);
    vitp_worker_leave(t);
}

void vit_reset_identity(vit_client *t)
{
    if (!t || !vitp_worker_enter(t)) return;
    vitp_worker_hold_for(t, VITP_HOLD_GRANT_MS);
    (void)vitp_worker_recheck(t); /* what is stored below must not undo another process's refusal */
    vitp_worker_purge_all(t);
    vitp_audit_remove(t->settings_folder);
    vitp_worker_forget_identity(t);
    if (t->consent >= VIT_CONSENT_GRANTED) (void)vitp_worker_store(t, false);
    vitp_worker_release(t);
    vitp_worker_leave(t);
}

vit_stats vit_get_stats(const vit_client *t)
{
    vit_stats            s;
    const vitp_recorder *r;
    uint64_t             released, all;
    uint32_t             i;
    memset(&s, 0, sizeof s);
    if (!t) return s;
    r = &t->recorder;
    released = VITP_ATOMIC_LOAD_PTR(&t->released) + VITP_ATOMIC_LOAD_PTR(&t->adopted_released);
    s.accepted = vitp_queue_pushed(r->queue);
    s.adopted = VITP_ATOMIC_LOAD_PTR(&t->adopted_records);
    s.crash_surviving = VITP_ATOMIC_LOAD(&r->outlives) != 0;
    all = s.accepted + s.adopted;
    s.queued = all > released ? all - released : 0; /* one may just be counted */
    s.delivered = VITP_ATOMIC_LOAD_PTR(&t->delivered);
    s.adopted += VITP_ATOMIC_LOAD_PTR(&t->spool.adopted);
    s.spooled = VITP_ATOMIC_LOAD_PTR(&t->spool.records);
    s.handed_over = VITP_ATOMIC_LOAD_PTR(&t->spool.handed_over);
    for (i = 0; i < VIT_DROP_COUNT; i++)
        s.dropped[i] =
            VITP_ATOMIC_LOAD_PTR(&t->dropped[i]) + VITP_ATOMIC_LOAD_PTR(&t->spool.dropped[i]);
    vitp_record_passed(r, &s.refused_disabled, &s.refused_sampled);
    s.refused_full = VITP_ATOMIC_LOAD_PTR(&r->full);
    s.refused_invalid = VITP_ATOMIC_LOAD_PTR(&r->invalid);
    s.truncated = VITP_ATOMIC_LOAD_PTR(&r->truncated);
    s.requests = VITP_ATOMIC_LOAD_PTR(&t->requests);
    s.retries = VITP_ATOMIC_LOAD_PTR(&t->retries);
    s.bytes_sent = VITP_ATOMIC_LOAD_PTR(&t->bytes_sent);
    return s;
}

/* ============================================================================================
   >>events: the calls of the catalogue, and the builder of ad-hoc events
   ============================================================================================ */

vit_status vit_track_schema(vit_client *t, const vit_schema *schema, const void *event)
{
    vitp_recorder *r;
    if (!t) return VIT_DISABLED;
    r = &t->recorder;
    if (VITP_UNLIKELY(!schema || !event)) return vitp_record_slowly(r, schema, event);
    if (VITP_UNLIKELY(vitp_os_page_asks(&r->page))) return vitp_record_asking(r, schema, event);
    return vitp_os_page_forked(&r->page) ? vitp_record_slowly(r, schema, event)
                                         : vitp_record_quickly(r, schema, event);
}

#define VITP_DEFINE_ROW(event, text, rate, flags, MEMBERS) \
    VIT_EVENT_DEFINE_ROW(event, text, rate, flags, MEMBERS)
VIT_CATALOGUE(VITP_DEFINE_ROW)

#define VITP_EVENT_OPEN  0x56695445u /* of state: begun */
#define VITP_EVENT_SPENT 0x56695453u

#if defined(__GNUC__) || defined(__clang__)
#define VITP_MAY_ALIAS __attribute__((__may_alias__))
#else
#define VITP_MAY_ALIAS
#endif

/* What a vit_event is inside. Its pointers into itself are set anew at each call, so that it may be
   copied. */
typedef struct VITP_MAY_ALIAS vitp_event {
    uint32_t      state;
    vit_status    status; /* VIT_OK, or why vit_event_send will refuse */
    vit_client   *client;
    vit_op        op;
    bool          has_op;
    vitp_encoder  encoder;
    uint32_t      keys[2]; /* a bit for the hash of each key: without it, the key is new */
    char          name[VITP_NAME_MAX + 1u];
    unsigned char data[1]; /* the record, to the end of the vit_event */
} vitp_event;

typedef char vitp_event_fits[sizeof(vitp_event) + VITP_TEXT_MAX < sizeof(vit_event) ? 1 : -1];

/* NULL: not begun, spent, or marked by a wrong call. */
static vitp_event *vitp_event_of(vit_event *e)
{
    vitp_event *v = (vitp_event *)(void *)e;
    if (!v || v->state != VITP_EVENT_OPEN || v->status != VIT_OK) return NULL;
    v->encoder.data = v->data;
    v->encoder.name = v->name;
    v->encoder.op = v->has_op ? &v->op : NULL;
    return v;
}

static void vitp_event_fail(vitp_event *v, vit_log_item item)
{
    v->status = VIT_INVALID;
    if (v->client) vitp_log_note(&v->client->recorder.log, item);
}

void vit_event_begin(vit_event *e, vit_client *t, const char *name, const vit_op *op)
{
    static const vitp_choice always = { true, VITP_SEED_NONE, 1.0 };
    vitp_event              *v = (vitp_event *)(void *)e;
    vitp_record_head         head;
    uint32_t                 name_size = vitp_text_name_size(name);
    if (!v) return;
    memset(v, 0, sizeof *v);
    v->state = VITP_EVENT_OPEN;
    v->client = t;
    if (!t || !vitp_record_allowed(&t->recorder, VITP_MAY_RECORD)) {
        v->status = VIT_DISABLED;
        return;
    }
    if (!name_size) {
        vitp_event_fail(v, VIT_LOG_NAME_INVALID);
        return;
    }
    (void)vitp_text_copy(v->name, sizeof v->name, name);
    v->has_op = op != NULL;
    if (op) v->op = *op;
    v->encoder.recorder = &t->recorder;
    v->encoder.data = v->data;
    v->encoder.capacity = (uint32_t)(sizeof(vit_event) - offsetof(vitp_event, data));
    vitp_record_fill(&t->recorder, &head, &always, op ? op->correlation_id : NULL,
                     VITP_RECORD_ADHOC, 0, name_size);
    vitp_record_put(&v->encoder, &head, sizeof head);
    vitp_record_put(&v->encoder, v->name, name_size);
    v->encoder.begin = v->encoder.size;
}

/* Whether the record has this key already, which is noted. */
static bool vitp_event_has_key(vitp_event *v, const char *key, uint32_t size)
{
    uint32_t hash = size, bit, i, *word;
    vit_kind found;
    for (i = 0; i < size; i++) hash = (hash ^ (unsigned char)key[i]) * 0x01000193u; /* FNV-1a */
    hash ^= hash >> 15;
    word = &v->keys[hash >> 5 & 1u];
    bit = 1u << (hash & 31u);
    if (!(*word & bit)) {
        *word |= bit;
        return false;
    }
    return vitp_record_find(&v->encoder, key, size, &found) != NULL;
}

/* Writes kind and key, as it is on the wire. False: it is malformed, or the event is full or
   refused. */
static bool vitp_event_key(vitp_event *v, vit_kind kind, const char *key)
{
    char          wire[VITP_NAME_MAX + 1u];
    unsigned char head[2];
    uint32_t      size = vitp_ledger_key(wire, kind, key);
    if (size == 0 || vitp_event_has_key(v, wire, size)) {
        vitp_event_fail(v, VIT_LOG_KEY_INVALID);
        return false;
    }
    head[0] = (unsigned char)kind;
    head[1] = (unsigned char)size;
    vitp_record_put(&v->encoder, head, 2);
    vitp_record_put(&v->encoder, wire, size);
    return !v->encoder.closed;
}

/* A key without its value would not be read: it goes, too. */
static void vitp_event_settle(vitp_event *v, uint32_t mark)
{
    if (v->encoder.closed || v->encoder.bad) v->encoder.size = mark;
    if (v->encoder.bad) v->status = VIT_INVALID;
}

static void vitp_event_add_text(vit_event *e, vit_kind kind, const char *key, const char *value)
{
    vitp_event *v = vitp_event_of(e);
    uint32_t    mark;
    if (!v) return;
    mark = v->encoder.size;
    if (!value) {
        if (!vitp_text_key_size(key)) vitp_event_fail(v, VIT_LOG_KEY_INVALID);
        return;
    }
    if (vitp_event_key(v, kind, key)) vitp_record_string(&v->encoder, kind, value);
    vitp_event_settle(v, mark);
}

static void vitp_event_add_number(vit_event *e, vit_kind kind, const char *key, const void *value)
{
    vitp_event *v = vitp_event_of(e);
    uint32_t    mark;
    if (!v) return;
    mark = v->encoder.size;
    if (vitp_event_key(v, kind, key))
        v->encoder.size = vitp_record_number(&v->encoder, v->encoder.size, kind, value);
    vitp_event_settle(v, mark);
}

void vit_add_label(vit_event *e, const char *k, const char *v)
{
    vitp_event_add_text(e, VIT_LABEL, k, v);
}
void vit_add_text(vit_event *e, const char *k, const char *v)
{
    vitp_event_add_text(e, VIT_TEXT, k, v);
}
void vit_add_hash(vit_event *e, const char *k, const char *v)
{
    vitp_event_add_text(e, VIT_HASH, k, v);
}
void vit_add_group(vit_event *e, const char *k, const char *v)
{
    vitp_event_add_text(e, VIT_GROUP, k, v);
}
void vit_add_row(vit_event *e, const char *k, const char *v)
{
    vitp_event_add_text(e, VIT_ROW, k, v);
}
void vit_add_file(vit_event *e, const char *k, const char *v)
{
    vitp_event_add_text(e, VIT_FILE, k, v);
}
void vit_add_uuid(vit_event *e, const char *k, const char *v)
{
    vitp_event_add_text(e, VIT_UUID, k, v);
}
void vit_add_int(vit_event *e, const char *k, int64_t v)
{
    vitp_event_add_number(e, VIT_INT, k, &v);
}
void vit_add_ms(vit_event *e, const char *k, int64_t v) { vitp_event_add_number(e, VIT_MS, k, &v); }
void vit_add_real(vit_event *e, const char *k, double v)
{
    vitp_event_add_number(e, VIT_REAL, k, &v);
}
void vit_add_flag(vit_event *e, const char *k, bool v)
{
    vitp_event_add_number(e, VIT_FLAG, k, &v);
}

void vit_add_error(vit_event *e, const char *type, const char *message, const char *frame,
                   const char *trace)
{
    vitp_event *v = vitp_event_of(e);
    if (!v) return;
    vit_add_text(e, "message", message);
    vit_add_label(e, "exception_type", type);
    vitp_event_add_text(e, VIT_FRAME, "error_hash", frame ? frame : "");
    vitp_event_add_text(e, VIT_TRACE, "traceback", trace); /* last: it may not fit */
    v->data[offsetof(vitp_record_head, flags)] |= VITP_RECORD_ERROR;
}

/* The row of the catalogue with this name, or NULL. */
static const vit_schema *vitp_event_row(const char *name)
{
    const vit_schema *row;
#define VITP_TRY_ROW(event, text, rate, flags, MEMBERS) \
    row = vit_schema_##event();                         \
    if (name[0] == row->name[0] && strcmp(name, row->name) == 0) return row;
    VIT_CATALOGUE(VITP_TRY_ROW)
#undef VITP_TRY_ROW
    return NULL;
}

/* An ad-hoc event has the rate of its name in the catalogue, else 1, and a correlation id where
   that row has one; vit_set_rate changes both rates. VIT_OK: it is recorded. */
static vit_status vitp_event_choose(vitp_event *v)
{
    vitp_recorder    *r = v->encoder.recorder;
    const vit_schema *row = vitp_event_row(v->name);
    vitp_record_head  head;
    vitp_choice       choice;
    memcpy(&head, v->data, sizeof head);
    head.time_ns = vitp_os_coarse_ns(); /* it happens now: in the session that chooses */
    head.context = VITP_ATOMIC_LOAD(&r->ledger->context);
    if (row && (row->flags & VIT_ROW_ERROR)) head.flags |= VITP_RECORD_ERROR;
    if (row && (row->flags & VIT_ROW_CORRELATED) && !v->has_op) {
        vitp_record_id(r, head.correlation_id);
        head.flags |= VITP_RECORD_CORRELATED;
    }
    if (head.flags & VITP_RECORD_ERROR) {
        memcpy(v->data, &head, sizeof head);
        return vitp_record_allowed(r, VITP_MAY_ERRORS) ? VIT_OK : VIT_DISABLED;
    }
    if (!vitp_record_allowed(r, VITP_MAY_USAGE)) return VIT_DISABLED;
    choice = vitp_sample(r, NULL, v->name, row ? row->rate : 1.0,
                         head.flags & VITP_RECORD_CORRELATED ? head.correlation_id : NULL);
    head.rate = choice.rate;
    head.seed_kind = choice.seed_kind;
    memcpy(v->data, &head, sizeof head);
    return choice.keep ? VIT_OK : VIT_SAMPLED_OUT;
}

vit_status vit_event_send(vit_event *e)
{
    vitp_event    *v = (vitp_event *)(void *)e;
    vitp_recorder *r;
    if (!v || v->state != VITP_EVENT_OPEN) return VIT_INVALID;
    (void)vitp_event_of(e);
    v->state = VITP_EVENT_SPENT;
    if (!v->client) return VIT_DISABLED;
    r = &v->client->recorder;
    if (!vitp_record_allowed(r, VITP_MAY_RECORD)) v->status = VIT_DISABLED;
    if (v->status == VIT_OK) v->status = vitp_event_choose(v);
    if (v->status != VIT_OK) return vitp_record_refuse(r, v->status);
    return vitp_record_end(&v->encoder,
                           (v->data[offsetof(vitp_record_head, flags)] & VITP_RECORD_ERROR) != 0);
}

/* ---- end matter -------------------------------------------------------------------------- */

#ifndef VITELEMETRY_WHITEBOX /* tests that look inside keep the private macros */
#undef VITP_NAME_MAX
#undef VITP_LABEL_MAX
#undef VITP_LABEL_SCRUBBED_MAX
#undef VITP_TEXT_MAX
#undef VITP_TEXT_READ_MAX
#undef VITP_TRACE_LINES_MAX
#undef VITP_RECORD_MAX
#undef VITP_EVENT_JSON_MAX
#undef VITP_MEMBERS_MAX
#undef VITP_TYPES_MAX
#undef VITP_RATES_MAX
#undef VITP_RATE_VALUES_MAX
#undef VITP_SECRETS_MAX
#undef VITP_SECRET_MAX
#undef VITP_SECRET_SPELLED_MAX
#undef VITP_KNOWN_MAX
#undef VITP_CONTEXTS_MAX
#undef VITP_LABEL_CACHE
#undef VITP_PATH_MAX
#undef VITP_KEY_MAX
#undef VITP_HEADERS_MAX
#undef VITP_REPLY_MAX
#undef VITP_POOLS_MAX
#undef VITP_POOL_OLD_S
#undef VITP_SETTINGS_MAX
#undef VITP_HOLD_MS
#undef VITP_HOLD_GRANT_MS
#undef VITP_HINT_MAX
#undef VITP_MS
#undef VITP_CANCEL_MS
#undef VITP_INLINE
#undef VITP_NOINLINE
#undef VITP_UNLIKELY
#undef VITP_LIKELY
#undef VITP_ATOMIC_LOAD
#undef VITP_ATOMIC_LOAD_ACQUIRE
#undef VITP_ATOMIC_STORE
#undef VITP_ATOMIC_STORE_RELEASE
#undef VITP_ATOMIC_ADD
#undef VITP_ATOMIC_OR
#undef VITP_ATOMIC_EXCHANGE
#undef VITP_ATOMIC_CAS
#undef VITP_ATOMIC_LOAD_PTR
#undef VITP_ATOMIC_LOAD_PTR_ACQUIRE
#undef VITP_ATOMIC_STORE_PTR
#undef VITP_ATOMIC_STORE_PTR_RELEASE
#undef VITP_ATOMIC_ADD_PTR
#undef VITP_ATOMIC_CAS_PTR
#undef VITP_ATOMIC_LIGHT_BARRIER
#undef VITP_ATOMIC_HEAVY_BARRIER
#undef VITP_ATOMIC_ADD_OWN_PTR
#undef VITP_OS
#undef VITP_POOL_PATH_MAX
#undef VITP_OS_SHA256_X86
#undef VITP_OS_THREAD_POINTER
#undef VITP_OS_JOIN_MS
#undef VITP_OS_TRIES
#undef VITP_OS_REGISTRY_ANY
#undef VITP_OS_EXCEPTIONS
#undef VITP_OS_STACK_BYTES
#undef VITP_OS_ERRORS
#undef VITP_OS_ETC
#undef VITP_OS_ADMIN
#undef VITP_OS_CLOCK_NS
#undef VITP_OS_SHA256_ARM
#undef VITP_OS_WAKE_SHARED
#undef VITP_OS_POPULATE
#undef VITP_OS_POOL_KEEPS_SPACE
#undef VITP_OS_SIGNALS
#undef VITP_OS_SIGNAL_COUNT
#undef VITP_OS_KEEPS_LOADED
#undef VITP_TEXT_BAD
#undef VITP_TEXT_EACH
#undef VITP_TEXT_HEX_ROW
#undef VITP_TEXT_VECTOR
#undef VITP_SHA256_ROUND
#undef VITP_SHA256_WORD
#undef VITP_SHA256_SCHEDULE
#undef VITP_SHA256_EIGHT
#undef VITP_SHA256_ASM
#undef VITP_OS_HAS_SHA256
#undef VITP_SCRUB_CLASSES
#undef VITP_SCRUB_NUMBERS
#undef VITP_SCRUB_BIT
#undef VITP_SCRUB_BITS
#undef VITP_SCRUB_SET
#undef VITP_SCRUB_LOWER
#undef VITP_SCRUB_UPPER
#undef VITP_SCRUB_LETTER
#undef VITP_SCRUB_ALNUM
#undef VITP_SCRUB_HEX
#undef VITP_SCRUB_WORD
#undef VITP_SCRUB_QUOTES
#undef VITP_SCRUB_BLANK
#undef VITP_SCRUB_BRACKETS
#undef VITP_SCRUB_NAME
#undef VITP_SCRUB_LOCAL
#undef VITP_SCRUB_LABEL
#undef VITP_SCRUB_SCHEME
#undef VITP_SCRUB_URL
#undef VITP_SCRUB_TAIL
#undef VITP_SCRUB_SEGMENT
#undef VITP_SCRUB_FOLDER
#undef VITP_SCRUB_SLASHES
#undef VITP_SCRUB_BARE
#undef VITP_SCRUB_CAPITALS
#undef VITP_SCRUB_SLUG
#undef VITP_SCRUB_UUID
#undef VITP_SCRUB_DOTTED
#undef VITP_SCRUB_BASE64
#undef VITP_SCRUB_SOLID
#undef VITP_SCRUB_TOKEN
#undef VITP_SCRUB_CREDENTIAL
#undef VITP_SCRUB_TRIGGER
#undef VITP_SCRUB_PROBE
#undef VITP_SCRUB_VALUE_MIN
#undef VITP_SCRUB_TOKEN_MIN
#undef VITP_SCRUB_WORD_ROW
#undef VITP_SCRUB_ROW
#undef VITP_SCRUB_OPENER_ROW
#undef VITP_SCRUB_TOKENS
#undef VITP_SCRUB_NEAR
#undef VITP_SCRUB_STARTS_WORD
#undef VITP_SCRUB_STARTS_SECRET
#undef VITP_SCRUB_MACHINE
#undef VITP_SCRUB_ACCOUNT
#undef VITP_SCRUB_GAP
#undef VITP_SCRUB_JOINS
#undef VITP_SCRUB_HEX_MIN
#undef VITP_SCRUB_BASE64_MIN
#undef VITP_SCRUB_READINGS
#undef VITP_JSON_LITERAL
#undef VITP_JSON_DIGITS
#undef VITP_JSON_WORDS
#undef VITP_JSON_REAL_DIGITS
#undef VITP_QUEUE_CAPACITY_MIN
#undef VITP_QUEUE_CAPACITY_MAX
#undef VITP_QUEUE_CHUNK_MIN
#undef VITP_QUEUE_CHUNK_MAX
#undef VITP_QUEUE_SLOTS
#undef VITP_QUEUE_PROBES
#undef VITP_QUEUE_HOLES
#undef VITP_QUEUE_PATIENCE
#undef VITP_QUEUE_STALLED_NS
#undef VITP_QUEUE_FIRST
#undef VITP_WORD_SEALED
#undef VITP_WORD_SHARED
#undef VITP_WORD_GENERATION
#undef VITP_WORD_NEXT
#undef VITP_WORD_BYTES
#undef VITP_LIMIT_NONE
#undef VITP_LIMIT_WANTED
#undef VITP_LIMIT_SEALING
#undef VITP_HEAD_DONE
#undef VITP_HEAD_PENDING
#undef VITP_HEAD_SKIP
#undef VITP_HEAD_INSIDE
#undef VITP_HEAD_REST
#undef VITP_HEAD_TAG
#undef VITP_HEAD_COUNT
#undef VITP_HEAD_COUNT_ONE
#undef VITP_HEAD_COUNT_MASK
#undef VITP_HEAD_SIZE
#undef VITP_QUEUE_ALIGN
#undef VITP_QUEUE_SEGMENTS_EACH
#undef VITP_QUEUE_SHORT
#undef VITP_LEDGER_MAGIC
#undef VITP_LEDGER_VERSION
#undef VITP_LEDGER_ORDER
#undef VITP_LEDGER_SCHEMAS
#undef VITP_JOURNAL_MAX
#undef VITP_CRASH_SURVIVED_NS
#undef VITP_CRASHES_MAX
#undef VITP_REPEATS_MAX
#undef VITP_REPEAT_WORD
#undef VITP_ID_WORDS
#undef VITP_CELL_WORDS
#undef VITP_VERDICT_KEEP
#undef VITP_VERDICT_CHOICE
#undef VITP_VERDICT_ALWAYS
#undef VITP_VERDICT_KIND
#undef VITP_VERDICT_RATE
#undef VITP_VERDICT_TURN
#undef VITP_VERDICT_TURN_MASK
#undef VITP_VERDICT_DEFAULT
#undef VITP_TALLIES
#undef VITP_RECORD_IN_PLACE
#undef VITP_RECORD_ADHOC
#undef VITP_RECORD_CORRELATED
#undef VITP_RECORD_ERROR
#undef VITP_RECORD_NAMED
#undef VITP_RECORD_WHOLE
#undef VITP_RECORD_ABSENT
#undef VITP_TYPE_FOREIGN
#undef VITP_WIRE_POURED
#undef VITP_STENCILS
#undef VITP_STENCIL_MEMBERS
#undef VITP_STENCIL_BYTES
#undef VITP_STENCIL_CLOSING
#undef VITP_STENCIL_OTHER
#undef VITP_DELAY_MIN_S
#undef VITP_DELAY_MAX_S
#undef VITP_SPOOL_MAGIC
#undef VITP_SPOOL_VERSION
#undef VITP_SPOOL_ORDER
#undef VITP_SPOOL_BATCH
#undef VITP_SPOOL_RECORD
#undef VITP_SPOOL_RECORD_MAX
#undef VITP_SPOOL_OTHER
#undef VITP_SPOOL_LOAD_MAX
#undef VITP_SPOOL_CLOSED_MAX
#undef VITP_SPOOL_PARTS
#undef VITP_SPOOL_FILE_MIN
#undef VITP_SPOOL_FILE_MAX
#undef VITP_SPOOL_NAME_MAX
#undef VITP_SPOOL_NAMES
#undef VITP_SPOOL_TRIES
#undef VITP_SPOOL_WASTE
#undef VITP_SPOOL_LOOKS
#undef VITP_SPOOL_EVICTS
#undef VITP_BACKOFF_FIRST_MS
#undef VITP_BACKOFF_MAX_MS
#undef VITP_BACKOFF_RETRY_AFTER_S
#undef VITP_BACKOFF_EACH_NS
#undef VITP_BACKOFF_BURST_NS
#undef VITP_BACKOFF_OUTAGE_NS
#undef VITP_BACKOFF_SPREAD_NS
#undef VITP_WINHTTP_TEXT_MAX
#undef VITP_WINHTTP_HOST_MAX
#undef VITP_WINHTTP_ANSWER_MAX
#undef VITP_WINHTTP_AUTO_PROXY
#undef VITP_WINHTTP_TLS_NEWER
#undef VITP_WINHTTP_LOOK_MS
#undef VITP_WINHTTP_CLOSE_MS
#undef VITP_CONSENT_OFF
#undef VITP_CONSENT_ON
#undef VITP_DCONF_HEAD
#undef VITP_DCONF_ITEM
#undef VITP_DCONF_ROOT
#undef VITP_PLIST_HEAD
#undef VITP_PLIST_TRAILER
#undef VITP_PLIST_FALSE
#undef VITP_PLIST_STRING
#undef VITP_PLIST_DICT
#undef VITP_CONSENT_LEVEL
#undef VITP_AUDIT_MAX
#undef VITP_MODULES_MAX
#undef VITP_LIFE_MS
#undef VITP_MARKER_NS
#undef VITP_BATCH_DELAY
#undef VITP_SAVER_RECORD
#undef VITP_SAVER_PARTS
#undef VITP_WORKER_DROPS
#undef VITP_SAVE_HOLD_MS
#undef VITP_SAVE_LAST_HOLD_MS
#undef VITP_SAVE_MS
#undef VITP_WORKER_REPEATS_NS
#undef VITP_WORKER_REPORT_NS
#undef VITP_WORKER_CONFLICTS
#undef VITP_WORKER_PENDING_MS
#undef VITP_WORKER_LATER_MS
#undef VITP_WORKER_LOOK
#undef VITP_CRASH_NULL_BYTES
#undef VITP_CRASH_BELOW_STACK
#undef VITP_CRASH_ABOVE_STACK
#undef VITP_CRASH_FATAL_MS
#undef VITP_CRASH_WAIT
#undef VITP_ERROR_CODES
#undef VITP_CLIENT_QUEUE_BYTES
#undef VITP_CLIENT_QUEUE_BYTES_MIN
#undef VITP_CLIENT_FLUSH_MS
#undef VITP_CLIENT_TIMEOUT_MS
#undef VITP_CLIENT_BATCH_EVENTS
#undef VITP_CLIENT_BATCH_BYTES
#undef VITP_CLIENT_OTLP_BYTES
#undef VITP_CLIENT_SPOOL_BYTES
#undef VITP_CLIENT_SPOOL_DAYS_MIN
#undef VITP_CLIENT_SPOOL_DAYS
#undef VITP_CLIENT_END_MS
#undef VITP_CLIENT_KEEP_MS
#undef VITP_DEFINE_ROW
#undef VITP_EVENT_OPEN
#undef VITP_EVENT_SPENT
#undef VITP_MAY_ALIAS
#endif

#endif /* VITELEMETRY_IMPLEMENTATION */

/* HISTORY
       0.1.0 (2026-11-24)  first: catalogue, record path, scrubber, consent and settings,
                           queue and spool that outlive the process, delivery by callback,
                           libcurl and WinHTTP as event, array, NDJSON and OTLP; sessions,
                           failures that are counted, crash handler; C++11 part, Qt

   LICENCE: the Unlicense (unlicense.org)

   This is free and unencumbered software released into the public domain.

   Anyone is free to copy, modify, publish, use, compile, sell, or distribute this software, either
   in source code form or as a compiled binary, for any purpose, commercial or non-commercial, and
   by any means.

   In jurisdictions that recognize copyright laws, the author or authors of this software dedicate
   any and all copyright interest in the software to the public domain. We make this dedication for
   the benefit of the public at large and to the detriment of our heirs and successors. We intend
   this dedication to be an overt act of relinquishment in perpetuity of all present and future
   rights to this software under copyright law.

   THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT
   NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND
   NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER
   LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT OF OR IN
   CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE. */
