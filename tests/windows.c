/* windows.c: what is peculiar to Windows: files that somebody else has open, processes of which
   somebody keeps a handle. For Windows, or wine; one line a check, then `N passed, N failed`.

   Usage: windows FOLDER     which must not exist
          windows FOLDER die  records two events and ends itself (by the first form)
          windows FOLDER unasked  the same, after consent was taken back
          windows FOLDER unload  loads plugin.dll, which has a client, and unloads it (the same)
          windows FOLDER exit    ends while it is loaded (the same)

   Build: x86_64-w64-mingw32-gcc -std=c99 -I. tests/windows.c -o windows.exe -static
          x86_64-w64-mingw32-gcc -std=c99 -I. -DPLUGIN_AUTO -shared tests/plugin.c -o plugin.dll */

#include <string.h>
#include <wchar.h>
#include <windows.h>

/* What wine lacks: a name has a longest length, but behind \\?\. */
static BOOL is_too_long(const wchar_t *path, size_t most)
{
    BOOL no = wcslen(path) >= most && wcsncmp(path, L"\\\\?\\", 4) != 0;
    if (no) SetLastError(ERROR_PATH_NOT_FOUND);
    return no;
}
static BOOL told_folder(const wchar_t *path, SECURITY_ATTRIBUTES *security)
{
    return !is_too_long(path, MAX_PATH - 12) && CreateDirectoryW(path, security);
}

/* It lacks this, too: a file is said to be a link, or to be denied for so many calls, as one is
   that was deleted while somebody has it open. */
static BOOL     told_link;
static unsigned told_denied;
static BOOL     told_information(HANDLE file, BY_HANDLE_FILE_INFORMATION *out)
{
    BOOL told = GetFileInformationByHandle(file, out);
    if (told_link) out->dwFileAttributes |= FILE_ATTRIBUTE_REPARSE_POINT;
    return told;
}
static HANDLE told_file(const wchar_t *path, DWORD access, DWORD share,
                        SECURITY_ATTRIBUTES *security, DWORD how, DWORD flags, HANDLE as)
{
    if (is_too_long(path, MAX_PATH)) return INVALID_HANDLE_VALUE;
    if (told_denied == 0) return CreateFileW(path, access, share, security, how, flags, as);
    told_denied--;
    SetLastError(ERROR_ACCESS_DENIED);
    return INVALID_HANDLE_VALUE;
}
/* So is a mutex that somebody with the administrator's rights has made: it may be waited for. */
static BOOL   told_admins;
static HANDLE told_mutex(SECURITY_ATTRIBUTES *security, BOOL own, const char *name)
{
    HANDLE mutex = told_admins ? OpenMutexA(SYNCHRONIZE, FALSE, name) : NULL;
    if (!mutex) return CreateMutexA(security, own, name);
    CloseHandle(mutex);
    SetLastError(ERROR_ACCESS_DENIED);
    return NULL;
}
/* How often a file was made to reach the disk; and what has its new name without that. */
static unsigned flushed, unsafe_moves;
static BOOL     flush(HANDLE file)
{
    flushed++;
    return FlushFileBuffers(file);
}
static BOOL move(const wchar_t *from, const wchar_t *to, DWORD how)
{
    if (flushed == 0) unsafe_moves++;
    return MoveFileExW(from, to, how);
}
/* The registry, as it is when the system has no memory; told_missing: not even its function is
   there; told_old: before Windows 10, which has no flags for views. */
static LONG           told_error;
static BOOL           told_missing, told_old;
static LSTATUS WINAPI told_value(HKEY root, const wchar_t *key, const wchar_t *name, DWORD flags,
                                 DWORD *type, void *out, DWORD *size)
{
    if (told_old && (flags & 0x30000u)) return ERROR_INVALID_PARAMETER;
    return told_error ? told_error : RegGetValueW(root, key, name, flags, type, out, size);
}
static FARPROC told_address(HMODULE module, const char *name)
{
    union {
        LSTATUS(WINAPI *call)
        (HKEY, const wchar_t *, const wchar_t *, DWORD, DWORD *, void *, DWORD *);
        FARPROC address;
    } f;
    if (strcmp(name, "RegGetValueW") != 0) return GetProcAddress(module, name);
    f.call = told_value;
    return told_missing ? NULL : f.address;
}
/* A folder of which no more can be read. */
static BOOL told_lost;
static BOOL told_next(HANDLE search, WIN32_FIND_DATAW *found)
{
    if (!told_lost) return FindNextFileW(search, found);
    SetLastError(ERROR_NETNAME_DELETED);
    return FALSE;
}
#define FindNextFileW              told_next
#define GetProcAddress             told_address
#define FlushFileBuffers           flush
#define MoveFileExW                move
#define CreateMutexA               told_mutex
#define GetFileInformationByHandle told_information
#define CreateFileW                told_file
#define CreateDirectoryW           told_folder

#define VITELEMETRY_WHITEBOX
#define VITELEMETRY_IMPLEMENTATION
#include "../vitelemetry.h"

#include "check.h"

#include <stdio.h>
#include <string.h>

#define CHECK(condition, what) check((condition) ? true : false, what)

static char folder[600];

/* Its path in the folder; the last two are valid. */
static const char *in(const char *name)
{
    static char     paths[2][700];
    static unsigned turn;
    char           *path = paths[turn++ % 2];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

static bool holds(const char *path, const char *text)
{
    char   bytes[256];
    size_t size = 0;
    return vitp_os_read_file(path, VITP_OS_MINE, bytes, sizeof bytes, &size) == VITP_OS_READ_OK &&
           size == strlen(text) && memcmp(bytes, text, size) == 0;
}

static bool count_one(const char *where, const char *name, void *user)
{
    (void)where;
    if (name[0] != '.') ++*(unsigned *)user;
    return true;
}

static unsigned files(void)
{
    unsigned n = 0;
    (void)vitp_os_each_file(folder, count_one, &n);
    return n;
}

/* ---- somebody else has the file open --------------------------------------------------------- */

static HANDLE hold(const char *path, DWORD share)
{
    wchar_t wide[VITP_PATH_MAX];
    return vitp_os_wide(wide, path)
               ? CreateFileW(wide, GENERIC_READ, share, NULL, OPEN_EXISTING, 0, NULL)
               : INVALID_HANDLE_VALUE;
}

static DWORD WINAPI let_go(void *file)
{
    Sleep(30);
    CloseHandle(file);
    return 0;
}

/* Holds the file for 30 ms. share: with whom. */
static void hold_for_a_moment(const char *path, DWORD share)
{
    HANDLE file = hold(path, share);
    CHECK(file != INVALID_HANDLE_VALUE, "  (it is held)");
    CloseHandle(CreateThread(NULL, 0, let_go, file, 0, NULL));
}

static void test_files(void)
{
    char     small[4];
    size_t   size;
    unsigned seen = 0;
    HANDLE   file;
    CHECK(vitp_os_make_folder(folder) && vitp_os_is_private(folder), "a folder with two parents");
    flushed = unsafe_moves = 0;
    CHECK(vitp_os_write_file(in("a"), "one", 3, true) && holds(in("a"), "one"), "a new file");
    CHECK(flushed == 1 && unsafe_moves == 0, "is on the disk before it has its name");
    CHECK(!vitp_os_write_file(in("a"), "two", 3, true) && holds(in("a"), "one"),
          "only a new one: it is there");
    CHECK(vitp_os_write_file(in("a"), "two", 3, false) && holds(in("a"), "two"), "written anew");
    hold_for_a_moment(in("a"), FILE_SHARE_READ);
    CHECK(vitp_os_write_file(in("a"), "three", 5, false) && holds(in("a"), "three"),
          "written while somebody has it open for a moment");
    file = hold(in("a"), FILE_SHARE_READ);
    CHECK(!vitp_os_write_file(in("a"), "four", 4, false) && holds(in("a"), "three"),
          "not written while somebody keeps it open");
    CloseHandle(file);
    CHECK(files() == 1, "no temporary file is left");
    CHECK(vitp_os_read_file(in("a"), VITP_OS_MINE, small, sizeof small, &size) ==
              VITP_OS_READ_REFUSED,
          "too long to read");
    CHECK(vitp_os_read_file(in("b"), VITP_OS_MINE, small, sizeof small, &size) ==
              VITP_OS_READ_ABSENT,
          "not there to read");
    CHECK(vitp_os_read_file(folder, VITP_OS_MINE, small, sizeof small, &size) ==
              VITP_OS_READ_REFUSED,
          "a folder is not read");
    told_lost = TRUE;
    CHECK(!vitp_os_each_file(folder, count_one, &seen), "a folder is lost while it is read");
    told_lost = FALSE;
    CHECK(vitp_os_each_file(folder, count_one, &seen), "it is there again");
    told_link = TRUE;
    CHECK(!holds(in("a"), "three"), "a link is not read");
    told_link = FALSE;
    told_denied = 3;
    CHECK(holds(in("a"), "three"), "read when it was denied for a moment");
    told_denied = 3;
    CHECK(vitp_os_read_file(in("b"), VITP_OS_MINE, small, sizeof small, &size) ==
              VITP_OS_READ_ABSENT,
          "not there, after it was denied for a moment");
    told_denied = 100;
    CHECK(vitp_os_read_file(in("a"), VITP_OS_MINE, small, sizeof small, &size) ==
              VITP_OS_READ_REFUSED,
          "denied for long");
    told_denied = 0;
    hold_for_a_moment(in("a"), FILE_SHARE_READ);
    vitp_os_remove_file(in("a"));
    CHECK(files() == 0, "removed while somebody has it open for a moment");
}

static void test_append(void)
{
    vitp_os_appender one, two;
    wchar_t          from[VITP_PATH_MAX], to[VITP_PATH_MAX];
    CHECK(vitp_os_append_open(&one, in("log")) && one.size == 0, "a file that grows");
    CHECK(vitp_os_append(&one, "one,", 4), "it grows");
    CHECK(vitp_os_append_open(&two, in("log")) && two.size == 4, "a second writer");
    CHECK(vitp_os_append(&two, "two,", 4) && vitp_os_append(&one, "three", 5), "both write");
    CHECK(holds(in("log"), "one,two,three"), "each at its end");
    CHECK(vitp_os_append_close(&one, in("log"), in("log.1")), "it gets another name");
    CHECK(vitp_os_append(&two, ",four", 5) && holds(in("log.1"), "one,two,three,four"),
          "under which the other writes on");
    CHECK(vitp_os_append_close(&two, in("log"), in("log.2")), "it has gone already: no failure");
    CHECK(vitp_os_wide(from, in("log.1")) && vitp_os_wide(to, in("link")) &&
              CreateHardLinkW(to, from, NULL),
          "a second name for it");
    CHECK(!vitp_os_append_open(&one, in("link")), "is not written to");
    vitp_os_remove_file(in("link"));
    vitp_os_remove_file(in("log.1"));
}

static void test_pool(void)
{
    vitp_os_pool one, two;
    char         bytes[5] = "";
    CHECK(vitp_os_pool_create(&one, in("pool"), 65536) && one.memory, "a pool");
    CHECK(!vitp_os_pool_create(&two, in("pool"), 65536), "no other of this name");
    CHECK(vitp_os_pool_open(&two, in("pool")) == VITP_OS_FOUND_BUSY, "nobody else can open it");
    if (one.memory) memcpy(one.memory, "kept", 5);
    vitp_os_pool_close(&two);
    vitp_os_pool_close(&one);
    CHECK(vitp_os_pool_open(&two, in("pool")) == VITP_OS_FOUND_OURS && two.size == 65536,
          "until its process is gone");
    CHECK(vitp_os_pool_read(&two, 0, bytes, 5) && strcmp(bytes, "kept") == 0,
          "what was stored is there");
    CHECK(two.changed_s > vitp_os_wall_s() - 60 && two.changed_s <= vitp_os_wall_s() + 1,
          "and when");
    vitp_os_pool_remove(&two);
    CHECK(files() == 0, "it is removed");
    CHECK(vitp_os_pool_open(&two, folder) == VITP_OS_FOUND_REFUSED, "a folder is no pool");
}

/* ---- a process of which a handle is kept ----------------------------------------------------- */

static unsigned delivered;

static vit_response receive(const vit_request *request, void *user)
{
    vit_response answer = { 200, 0 };
    (void)request, (void)user;
    delivered++;
    return answer;
}

static vit_client *client(void)
{
    vit_options o;
    memset(&o, 0, sizeof o);
    o.endpoint = "https://telemetry.example";
    o.data_dir = folder;
    o.consent = VIT_CONSENT_GRANTED;
    o.allow_in_ci = true;
    o.no_thread = true;
    o.transport.send_fn = receive;
    return vit_create(&o);
}

static void die(bool unasked)
{
    vit_client *t = client();
    if (unasked) vit_set_consent(t, VIT_CONSENT_UNKNOWN);
    (void)vit_fail(t, NULL, NULL, "test", 1);
    (void)vit_fail(t, NULL, NULL, "test", 2);
    (void)TerminateProcess(GetCurrentProcess(), 9);
}

static bool start(PROCESS_INFORMATION *child, const char *program, const char *how_it_ends)
{
    char         command[1600];
    STARTUPINFOA how;
    memset(&how, 0, sizeof how);
    how.cb = sizeof how;
    snprintf(command, sizeof command, "\"%s\" \"%s\" %s", program, folder, how_it_ends);
    return CreateProcessA(NULL, command, NULL, NULL, FALSE, CREATE_SUSPENDED, NULL, NULL, &how,
                          child) != 0;
}

static void test_process(const char *program)
{
    PROCESS_INFORMATION child;
    vit_client         *t;
    uint32_t            id, own = vitp_os_process_id();
    CHECK(vitp_os_process_start(own) != 0 && !vitp_os_process_is_gone(own), "a process that runs");
    CHECK(start(&child, program, "die"), "a process that is to end");
    id = (uint32_t)child.dwProcessId;
    CHECK(vitp_os_process_start(id) != 0 && !vitp_os_process_is_gone(id), "it runs");
    ResumeThread(child.hThread);
    WaitForSingleObject(child.hProcess, 20000);
    CHECK(vitp_os_process_start(id) == 0 && vitp_os_process_is_gone(id),
          "it is gone, though a handle of it is kept");
    CHECK(!vitp_os_process_is_gone(0), "no process is known to be gone");
    delivered = 0;
    t = client();
    while (vit_pump(t)) {}
    check(delivered == 2, "what it recorded is delivered: %u of 2", delivered);
    CHECK(vit_destroy(t, 1000), "and the client ends");
    CloseHandle(child.hThread);
    CloseHandle(child.hProcess);
}

/* What waits until the user is asked again is in no file, also where the process is killed. */
static void test_unasked(const char *program)
{
    PROCESS_INFORMATION child;
    CHECK(start(&child, program, "unasked"), "a process whose consent is taken back");
    ResumeThread(child.hThread);
    CHECK(WaitForSingleObject(child.hProcess, 20000) == WAIT_OBJECT_0, "it is killed");
    check(files() == 1, "and leaves its settings alone: %u", files());
    CloseHandle(child.hThread);
    CloseHandle(child.hProcess);
}

/* ---- the registry ---------------------------------------------------------------------------- */

/* What cannot be read just now is no refusal, which would take what waits away, and no leave to
   send. */
static void test_registry(void)
{
    vit_gate    why = VIT_GATE_NONE;
    vit_client *t;
    told_missing = TRUE;
    t = client();
    CHECK(vit_get_consent(t, &why) == VIT_CONSENT_DENIED && why == VIT_GATE_ADMIN,
          "without the registry nobody knows what the administrator says");
    CHECK(vit_destroy(t, 1000), "and it ends");
    told_missing = FALSE;
    t = client();
    CHECK(vit_get_consent(t, &why) == VIT_CONSENT_GRANTED, "with it all is well");
    told_old = TRUE;
    vit_set_consent(t, VIT_CONSENT_GRANTED);
    CHECK(vit_get_consent(t, &why) == VIT_CONSENT_GRANTED, "with one of an older system as well");
    told_old = FALSE;
    (void)vit_fail(t, NULL, NULL, "test", 1);
    told_error = ERROR_NO_SYSTEM_RESOURCES;
    delivered = 0;
    (void)vit_flush(t, 100);
    CHECK(delivered == 0 && vit_get_consent(t, &why) == VIT_CONSENT_GRANTED,
          "while it cannot be read nothing leaves");
    told_error = 0;
    (void)vit_flush(t, 5000);
    check(delivered == 1, "then what waits does: %u", delivered);
    told_error = ERROR_ACCESS_DENIED;
    (void)vit_fail(t, NULL, NULL, "test", 1);
    (void)vit_flush(t, 100);
    CHECK(delivered == 1 && vit_get_consent(t, &why) == VIT_CONSENT_DENIED && why == VIT_GATE_ADMIN,
          "what may not be read refuses");
    told_error = 0;
    CHECK(vit_destroy(t, 1000), "and it ends, too");
}

/* ---- a client of a module, which its DllMain destroys ---------------------------------------- */

static int use_plugin(const char *how)
{
    HMODULE plugin = LoadLibraryA("plugin.dll");
    bool    loaded = plugin != NULL;
    Sleep(300); /* its thread sends, and goes to sleep */
    if (loaded && strcmp(how, "unload") == 0 && !FreeLibrary(plugin)) return 3;
    return loaded ? 0 : 4;
}

/* Whether the process ended in order and within ms. */
static bool ends(const char *program, const char *how, DWORD ms)
{
    PROCESS_INFORMATION child;
    DWORD               code = 99;
    bool                in_time;
    if (!SetEnvironmentVariableA("PLUGIN_FOLDER", folder) || !start(&child, program, how))
        return false;
    ResumeThread(child.hThread);
    in_time = WaitForSingleObject(child.hProcess, ms) == WAIT_OBJECT_0;
    if (!in_time) (void)TerminateProcess(child.hProcess, 98);
    (void)GetExitCodeProcess(child.hProcess, &code);
    CloseHandle(child.hThread);
    CloseHandle(child.hProcess);
    return in_time && code == 0;
}

static unsigned plugin_sent(const char *text)
{
    char        bytes[8192];
    const char *at = bytes;
    size_t      size = 0;
    unsigned    n = 0;
    if (vitp_os_read_file(in("sent"), VITP_OS_MINE, bytes, sizeof bytes - 1, &size) !=
        VITP_OS_READ_OK)
        return 0;
    bytes[size] = 0;
    for (; (at = strstr(at, text)) != NULL; at++) n++;
    return n;
}

static void test_plugin(const char *program)
{
    (void)vitp_os_make_folder(folder);
    CHECK(ends(program, "unload", 20000), "a module with a client is unloaded");
    CHECK(plugin_sent("\"loaded\"") == 1 && plugin_sent("\"unloaded\"") == 1,
          "what it recorded is sent");
    CHECK(plugin_sent("destroyed") == 1, "and its client has ended");
    vitp_os_remove_file(in("sent"));
    CHECK(ends(program, "exit", 10000), "a program ends while such a module is loaded, at once");
    CHECK(plugin_sent("destroyed") == 1, "and its client has ended, too");
}

/* ---- locks ----------------------------------------------------------------------------------- */

static DWORD WINAPI is_held(void *path)
{
    bool     held = false;
    intptr_t hold = vitp_os_hold_folder((const char *)path, 0, &held);
    vitp_os_release_folder(hold);
    return hold == 0 ? 2u : held ? 0u : 1u;
}

/* What another thread says of it. */
static DWORD asked(const char *path)
{
    DWORD  answer = 9;
    HANDLE thread = CreateThread(NULL, 0, is_held, (void *)(uintptr_t)path, 0, NULL);
    WaitForSingleObject(thread, 5000);
    (void)GetExitCodeThread(thread, &answer);
    CloseHandle(thread);
    return answer;
}

static void test_lock(void)
{
    bool     held = false;
    intptr_t hold = vitp_os_hold_folder("C:\\Folder\xC3\xA9", 0, &held);
    CHECK(held, "a folder is held");
    CHECK(asked("C:\\Folder\xC3\xA9") == 1, "nobody else gets it");
    CHECK(asked("c:\\fOLDER\xC3\x89") == 1, "also by its name in other letters");
    CHECK(asked("C:\\Folders") == 0, "another is free");
    told_admins = TRUE;
    CHECK(asked("C:\\Folder\xC3\xA9") == 1, "nor who may only wait for it");
    vitp_os_release_folder(hold);
    hold = vitp_os_hold_folder("C:\\Folder\xC3\xA9", 0, &held);
    CHECK(held, "held again");
    told_admins = FALSE;
    vitp_os_release_folder(hold);
    CHECK(asked("C:\\Folder\xC3\xA9") == 0, "it is free in the end");
}

/* What the user decides is kept, though somebody has the file open for a moment. */
static void test_settings(void)
{
    vit_client *t = client();
    vit_gate    why = VIT_GATE_NONE;
    hold_for_a_moment(in("telemetry.conf"), 0);
    CHECK(vit_destroy(t, 1000), "it ends");
    t = client();
    CHECK(vit_get_consent(t, &why) == VIT_CONSENT_GRANTED,
          "a client begins while somebody has its settings for a moment");
    hold_for_a_moment(in("telemetry.conf"), FILE_SHARE_READ);
    vit_set_consent(t, VIT_CONSENT_DENIED);
    CHECK(vit_destroy(t, 1000), "denied");
    check(files() == 1, "and the settings are all that is left: %u", files());
    t = client();
    CHECK(vit_get_consent(t, &why) == VIT_CONSENT_DENIED && why == VIT_GATE_CONSENT,
          "the next client knows");
    CHECK(vit_destroy(t, 1000), "and ends");
    check(files() == 1, "and the settings are still all that is left: %u", files());
}

/* Of one folder by two names, what a killed process left is found: to be delivered, or to be gone
   with a refusal. */
static void test_other_letters(const char *program)
{
    PROCESS_INFORMATION child;
    vit_client         *t;
    unsigned            i;
    char                letter;
    for (i = 0; i < 2; i++) {
        CHECK(start(&child, program, "die"), "a process that is to end");
        ResumeThread(child.hThread);
        WaitForSingleObject(child.hProcess, 20000);
        CloseHandle(child.hThread);
        CloseHandle(child.hProcess);
        letter = folder[strlen(folder) - 1];
        folder[strlen(folder) - 1] = (char)(letter - 'a' + 'A');
        delivered = 0;
        t = client();
        if (i == 1) vit_set_consent(t, VIT_CONSENT_DENIED);
        else
            while (vit_pump(t)) {}
        check(delivered == (i == 1 ? 0u : 2u), "in capitals: %u", delivered);
        CHECK(vit_destroy(t, 1000), "and ends");
        check(files() == 1, "its settings are left: %u", files());
        folder[strlen(folder) - 1] = letter;
    }
}

/* The ways to write a folder: where / is no separator, and with one behind it. */
static void test_folder_names(void)
{
    char        plain[600], forms[3][640];
    vit_client *t;
    unsigned    i, made = files();
    snprintf(plain, sizeof plain, "%s", folder);
    CHECK(vitp_os_make_absolute(plain, sizeof plain), "the whole name of a folder");
    snprintf(forms[0], sizeof forms[0], "%s\\", plain);
    snprintf(forms[1], sizeof forms[1], "%s/\\", folder);
    snprintf(forms[2], sizeof forms[2], "\\\\?\\%s", plain);
    for (i = 0; i < 3; i++) {
        snprintf(folder, sizeof folder, "%s", forms[i]);
        t = client();
        CHECK(vit_get_consent(t, NULL) == VIT_CONSENT_GRANTED, folder);
        CHECK(i == 2 || strcmp(t->settings_folder, plain) == 0, "has one name");
        CHECK(vit_get_stats(t).crash_surviving && vit_destroy(t, 1000), "and a pool was in it");
    }
    check(files() == made, "nothing is left: %u", files());
    snprintf(plain, sizeof plain, "C:\\");
    CHECK(vitp_os_make_absolute(plain, sizeof plain) && strcmp(plain, "C:\\") == 0, "a root");
}

/* One that is longer than a name may be, and lies deeper than one call makes a folder. */
static void test_long_folder(void)
{
    static const char part[] = "\\a-folder-of-a-part-of-a-long-path-of-folders";
    char              other[600];
    vit_client       *t;
    size_t            n = strlen(folder);
    unsigned          i;
    for (i = 0; i < 6; i++) n += (size_t)snprintf(folder + n, sizeof folder - n, "%s", part);
    t = client();
    CHECK(vit_get_consent(t, NULL) == VIT_CONSENT_GRANTED && t->settings_folder[0],
          "a folder with a long name");
    CHECK(vit_get_stats(t).crash_surviving && vit_destroy(t, 1000), "and a pool was in it");
    check(vitp_os_make_absolute(folder, sizeof folder) && files() == 1, "and its settings are: %u",
          files());
    snprintf(other, sizeof other, "%s", folder);
    CHECK(vitp_os_make_absolute(other, sizeof other) && strcmp(other, folder) == 0,
          "it has one name");
    n = (size_t)snprintf(other, sizeof other, "//server/share");
    for (i = 0; i < 3; i++) n += (size_t)snprintf(other + n, sizeof other - n, "%s", part);
    CHECK(vitp_os_make_absolute(other, sizeof other) &&
              strncmp(other, "\\\\?\\UNC\\server\\share\\a-", 23) == 0,
          "so has one of another machine");
}

/* The environment of the process, of which the C library has a copy of its own. */
static void test_environment(void)
{
    static const struct {
        const char *value;
        bool        refuses;
    } rows[] = { { "1", true },   { "a long value", true }, { "0", false },
                 { "No", false }, { "FALSE", false },       { NULL, false } };
    vit_client *t;
    unsigned    i;
    for (i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        vit_gate why = VIT_GATE_NONE;
        SetEnvironmentVariableA("DO_NOT_TRACK", rows[i].value);
        t = client();
        check((vit_get_consent(t, &why) == VIT_CONSENT_DENIED) == rows[i].refuses &&
                  (why == VIT_GATE_ENVIRONMENT) == rows[i].refuses,
              "DO_NOT_TRACK is %s", rows[i].value ? rows[i].value : "not set");
        CHECK(vit_destroy(t, 1000), "and it ends");
    }
}

static bool is_called(int code, const char *name)
{
    char text[VITP_LABEL_MAX + 1u];
    vitp_error_code(code, text);
    return strcmp(text, name) == 0;
}

/* What vit_fail says of a code. */
static void test_error_names(void)
{
    CHECK(is_called(2, "ENOENT"), "an errno comes before an error of the same number");
    CHECK(is_called((int)0x80070002u, "ERROR_FILE_NOT_FOUND"), "unless it is an HRESULT");
    CHECK(is_called((int)0x80070020u, "ERROR_SHARING_VIOLATION"), "ERROR_SHARING_VIOLATION");
    CHECK(is_called(ERROR_ALREADY_EXISTS, "ERROR_ALREADY_EXISTS"), "ERROR_ALREADY_EXISTS");
    CHECK(is_called((int)0x80004005u, "-2147467259"), "another HRESULT is a number");
    CHECK(is_called(31337, "31337"), "and so is what nobody knows");
}

int main(int argc, char **argv)
{
    if (argc < 2) return 2;
    if (argc > 2) {
        snprintf(folder, sizeof folder, "%s", argv[1]);
        if (strcmp(argv[2], "die") == 0) die(false);
        if (strcmp(argv[2], "unasked") == 0) die(true);
        return use_plugin(argv[2]);
    }
    snprintf(folder, sizeof folder, "%s/f", argv[1]);
    test_registry(); /* the first client of all: its function is kept */
    snprintf(folder, sizeof folder, "%s/a/\xD0\xB1", argv[1]); /* a Cyrillic letter */
    test_files();
    test_append();
    test_pool();
    snprintf(folder, sizeof folder, "%s/b", argv[1]);
    test_process(argv[0]);
    test_unasked(argv[0]);
    test_settings();
    snprintf(folder, sizeof folder, "%s/c", argv[1]);
    test_plugin(argv[0]);
    test_error_names();
    snprintf(folder, sizeof folder, "%s/d", argv[1]);
    CHECK(vit_destroy(client(), 1000), "a folder");
    test_folder_names();
    test_lock();
    snprintf(folder, sizeof folder, "%s/e", argv[1]);
    test_other_letters(argv[0]);
    snprintf(folder, sizeof folder, "%s/g", argv[1]);
    test_environment();
    test_long_folder();
    printf("%u passed, %u failed\n", passed, failed);
    return failed ? 1 : 0;
}
