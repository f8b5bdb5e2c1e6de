/* torture.h - what vitelemetry.h asks of the system, through calls that fail when they are told to
   and that count what is held: memory, descriptors, folders, mappings, threads, locks.

   Stands before vitelemetry.h (cc -include tests/torture.h); torture.c is linked beside. There
   the test is run again and again, see tests/torture.sh. Calls that cannot fail in practice
   (clocks, locking) go through as they are. */

#ifndef TORTURE_H
#define TORTURE_H

#ifdef __cplusplus
extern "C" {
#endif

/* What is held, and was to be let go. */
enum torture_kind {
    TORTURE_MEMORY,
    TORTURE_FILE,
    TORTURE_FOLDER,
    TORTURE_MAPPING,
    TORTURE_THREAD,
    TORTURE_LOCK, /* a mutex, a condition, a semaphore */
    TORTURE_KINDS
};

/* True: this call is the one that fails, errno is set. */
int torture_fails(const char *call, int line);
/* Both return what they are given. A negative number (of a file) and NULL are not held. */
long long torture_number(enum torture_kind kind, long long number, int line);
void     *torture_pointer(enum torture_kind kind, void *pointer, int line);
void      torture_let_go(enum torture_kind kind, unsigned long long key);
/* The failures have begun. */
int torture_has_failed(void);
/* How many of the bytes to write or read: all, or one less than all of them, or one. */
unsigned long torture_part(const char *call, unsigned long size, int line);
/* A client of the test: what it holds and counts is looked at in the end. */
void torture_born(void *client);
void torture_dies(void *client);

#ifdef __cplusplus
}
#endif

#define VITP_OS(name)       TORTURE_##name
#define TORTURE_FAILS(name) torture_fails(#name, __LINE__)

/* ---- calls that every system has ------------------------------------------------------------ */

#define TORTURE_malloc(size) \
    (TORTURE_FAILS(malloc) ? NULL : torture_pointer(TORTURE_MEMORY, malloc(size), __LINE__))
#define TORTURE_free(memory) \
    (torture_let_go(TORTURE_MEMORY, (unsigned long long)(uintptr_t)(memory)), free(memory))
#define TORTURE_getenv(name) getenv(name)

#ifndef _WIN32

/* ---- POSIX: files --------------------------------------------------------------------------- */

#define TORTURE_INT(name, ...) (TORTURE_FAILS(name) ? -1 : name(__VA_ARGS__))

/* A pool in the memory of the whole machine would outlive a run that is given up. */
#define TORTURE_open(path, ...)                                    \
    (strncmp(path, "/dev/shm/vit", 12) == 0 ? (errno = EACCES, -1) \
     : TORTURE_FAILS(open)                  ? -1                   \
                           : (int)torture_number(TORTURE_FILE, open(path, __VA_ARGS__), __LINE__))
#define TORTURE_fcntl(file, what, least) \
    (TORTURE_FAILS(fcntl)                \
         ? -1                            \
         : (int)torture_number(TORTURE_FILE, fcntl(file, what, least), __LINE__))
#define TORTURE_mkdir(path, mode)                                            \
    (strncmp(path, "/dev/shm/vit", 12) == 0 || strcmp(path, "/dev/shm") == 0 \
         ? (errno = EACCES, -1)                                              \
         : TORTURE_INT(mkdir, path, mode))
/* It is closed all the same, as Linux does. */
#define TORTURE_close(file)                                    \
    (torture_let_go(TORTURE_FILE, (unsigned long long)(file)), \
     TORTURE_FAILS(close) ? (close(file), errno = EIO, -1) : close(file))
#define TORTURE_read(file, out, size) \
    (TORTURE_FAILS(read) ? -1 : read(file, out, torture_part("read", size, __LINE__)))
#define TORTURE_write(file, data, size) \
    (TORTURE_FAILS(write) ? -1 : write(file, data, torture_part("write", size, __LINE__)))
#define TORTURE_lseek(f, at, from) (TORTURE_FAILS(lseek) ? (off_t)-1 : lseek(f, at, from))
#define TORTURE_ftruncate(file, size)           TORTURE_INT(ftruncate, file, size)
#define TORTURE_fstat(file, out)                TORTURE_INT(fstat, file, out)
#define TORTURE_lstat(path, out)                TORTURE_INT(lstat, path, out)
#define TORTURE_stat(path, out)                 TORTURE_INT(stat, path, out)
#define TORTURE_fstatfs(file, out)              TORTURE_INT(fstatfs, file, out)
#define TORTURE_flock(file, how)                TORTURE_INT(flock, file, how)
#define TORTURE_rename(from, to)                TORTURE_INT(rename, from, to)
#define TORTURE_unlink(path)                    TORTURE_INT(unlink, path)
#define TORTURE_link(from, to)                  TORTURE_INT(link, from, to)
#define TORTURE_chmod(path, mode)               TORTURE_INT(chmod, path, mode)
#define TORTURE_fchmod(file, mode)              TORTURE_INT(fchmod, file, mode)
#define TORTURE_fsync(file)                     TORTURE_INT(fsync, file)
#define TORTURE_access(path, how)               TORTURE_INT(access, path, how)
#define TORTURE_readlink(path, out, size)       TORTURE_INT(readlink, path, out, size)
#define TORTURE_fallocate(file, mode, at, size) TORTURE_INT(fallocate, file, mode, at, size)
#define TORTURE_getcwd(out, size)               (TORTURE_FAILS(getcwd) ? NULL : getcwd(out, size))
#define TORTURE_opendir(path)      \
    (TORTURE_FAILS(opendir) ? NULL \
                            : (DIR *)torture_pointer(TORTURE_FOLDER, opendir(path), __LINE__))
#define TORTURE_readdir(folder) (TORTURE_FAILS(readdir) ? NULL : readdir(folder))
#define TORTURE_closedir(folder) \
    (torture_let_go(TORTURE_FOLDER, (unsigned long long)(uintptr_t)(folder)), closedir(folder))

/* ---- POSIX: memory, threads, the rest ------------------------------------------------------- */

#define TORTURE_mmap(at, size, ...) \
    (TORTURE_FAILS(mmap)            \
         ? MAP_FAILED               \
         : torture_pointer(TORTURE_MAPPING, mmap(at, size, __VA_ARGS__), __LINE__))
#define TORTURE_munmap(at, size) \
    (torture_let_go(TORTURE_MAPPING, (unsigned long long)(uintptr_t)(at)), munmap(at, size))
#define TORTURE_getrlimit(what, out)    TORTURE_INT(getrlimit, what, out)
#define TORTURE_madvise(at, size, what) TORTURE_INT(madvise, at, size, what)

#define TORTURE_ERROR(name, ...) (TORTURE_FAILS(name) ? errno : name(__VA_ARGS__))
#define TORTURE_HELD(name, object, ...)                         \
    (TORTURE_FAILS(name)                               ? errno  \
     : name(object, __VA_ARGS__) != 0                  ? ENOMEM \
     : torture_pointer(TORTURE_LOCK, object, __LINE__) ? 0      \
                                                       : 0)
#define TORTURE_GONE(name, object) \
    (torture_let_go(TORTURE_LOCK, (unsigned long long)(uintptr_t)(object)), name(object))
#define TORTURE_pthread_mutex_init(m, how) TORTURE_HELD(pthread_mutex_init, m, how)
#define TORTURE_pthread_mutex_destroy(m)   TORTURE_GONE(pthread_mutex_destroy, m)
#define TORTURE_pthread_mutex_lock         pthread_mutex_lock
#define TORTURE_pthread_mutex_unlock       pthread_mutex_unlock
#define TORTURE_pthread_cond_init(c, how)  TORTURE_HELD(pthread_cond_init, c, how)
#define TORTURE_pthread_cond_destroy(c)    TORTURE_GONE(pthread_cond_destroy, c)
#define TORTURE_pthread_cond_broadcast     pthread_cond_broadcast
#define TORTURE_pthread_cond_timedwait     pthread_cond_timedwait
#define TORTURE_pthread_condattr_init(a)   TORTURE_ERROR(pthread_condattr_init, a)
#define TORTURE_pthread_condattr_setclock(a, clock) \
    TORTURE_ERROR(pthread_condattr_setclock, a, clock)
#define TORTURE_pthread_condattr_destroy pthread_condattr_destroy
#define TORTURE_sem_init(s, shared, value)             \
    (TORTURE_FAILS(sem_init)                      ? -1 \
     : sem_init(s, shared, value) != 0            ? -1 \
     : torture_pointer(TORTURE_LOCK, s, __LINE__) ? 0  \
                                                  : 0)
#define TORTURE_sem_destroy(s) TORTURE_GONE(sem_destroy, s)
#define TORTURE_sem_post       sem_post
#define TORTURE_sem_timedwait  sem_timedwait
/* The number of a thread is not known before the call, so it is its place that is held. */
#define TORTURE_pthread_create(id, how, fn, argument)                      \
    (TORTURE_FAILS(pthread_create)                                ? EAGAIN \
     : pthread_create(id, how, fn, argument) != 0                 ? EAGAIN \
     : torture_number(TORTURE_THREAD, (long long)*(id), __LINE__) ? 0      \
                                                                  : 0)
#define TORTURE_pthread_join(id, out) \
    (torture_let_go(TORTURE_THREAD, (unsigned long long)(long long)(id)), pthread_join(id, out))
/* What was before can always be set again. */
#define TORTURE_pthread_sigmask(how, set, old) \
    ((old) != NULL && TORTURE_FAILS(pthread_sigmask) ? errno : pthread_sigmask(how, set, old))
/* What was there is known, and can be given back: else its memory must stay. */
#define TORTURE_sigaltstack(now, old)                                       \
    ((now) != NULL && !(((const stack_t *)(now))->ss_flags & SS_DISABLE) && \
             TORTURE_FAILS(sigaltstack)                                     \
         ? -1                                                               \
         : sigaltstack(now, old))
#define TORTURE_sigaction              sigaction
#define TORTURE_sigprocmask            sigprocmask
#define TORTURE_raise                  raise
#define TORTURE_kill(process, number)  TORTURE_INT(kill, process, number)
#define TORTURE_getpid                 getpid
#define TORTURE_nanosleep              nanosleep
#define TORTURE_clock_gettime          clock_gettime
#define TORTURE_sysconf(what)          (TORTURE_FAILS(sysconf) ? -1L : sysconf(what))
#define TORTURE_uname(out)             TORTURE_INT(uname, out)
#define TORTURE_gethostname(out, size) TORTURE_INT(gethostname, out, size)
#define TORTURE_getentropy(out, size)  TORTURE_INT(getentropy, out, size)
#define TORTURE_dl_iterate_phdr        dl_iterate_phdr
#define TORTURE_dladdr(at, out)        (TORTURE_FAILS(dladdr) ? 0 : dladdr(at, out))
#define TORTURE_vitp_os_dlopen(path, how) \
    (TORTURE_FAILS(dlopen) ? NULL : vitp_os_dlopen(path, how))
/* getrandom and membarrier fail; a futex only sleeps and wakes */
#define TORTURE_syscall(number, ...) \
    ((number) != SYS_futex && TORTURE_FAILS(syscall) ? -1L : syscall(number, __VA_ARGS__))

#else

/* ---- Windows -------------------------------------------------------------------------------- */

#define TORTURE_BOOL(name, ...) \
    (TORTURE_FAILS(name) ? (SetLastError(ERROR_ACCESS_DENIED), 0) : name(__VA_ARGS__))
#define TORTURE_HANDLE(name, ...)                                        \
    (TORTURE_FAILS(name) ? (SetLastError(ERROR_NOT_ENOUGH_MEMORY), NULL) \
                         : torture_pointer(TORTURE_FILE, (void *)name(__VA_ARGS__), __LINE__))
#define TORTURE_CreateFileW(path, how, ...)                          \
    (TORTURE_FAILS(CreateFileW)                                      \
         ? (SetLastError(ERROR_ACCESS_DENIED), INVALID_HANDLE_VALUE) \
         : (HANDLE)(intptr_t)torture_number(                         \
               TORTURE_FILE, (intptr_t)CreateFileW(path, how, __VA_ARGS__), __LINE__))
#define TORTURE_CloseHandle(handle) \
    (torture_let_go(TORTURE_FILE, (unsigned long long)(uintptr_t)(handle)), CloseHandle(handle))
#define TORTURE_CreateEventA(...)       (HANDLE) TORTURE_HANDLE(CreateEventA, __VA_ARGS__)
#define TORTURE_CreateMutexA(...)       (HANDLE) TORTURE_HANDLE(CreateMutexA, __VA_ARGS__)
#define TORTURE_OpenMutexA(...)         (HANDLE) TORTURE_HANDLE(OpenMutexA, __VA_ARGS__)
#define TORTURE_CreateThread(...)       (HANDLE) TORTURE_HANDLE(CreateThread, __VA_ARGS__)
#define TORTURE_CreateFileMappingW(...) (HANDLE) TORTURE_HANDLE(CreateFileMappingW, __VA_ARGS__)
#define TORTURE_OpenProcess(...)        (HANDLE) TORTURE_HANDLE(OpenProcess, __VA_ARGS__)
#define TORTURE_MapViewOfFile(...) \
    (TORTURE_FAILS(MapViewOfFile)  \
         ? NULL                    \
         : torture_pointer(TORTURE_MAPPING, MapViewOfFile(__VA_ARGS__), __LINE__))
#define TORTURE_UnmapViewOfFile(at) \
    (torture_let_go(TORTURE_MAPPING, (unsigned long long)(uintptr_t)(at)), UnmapViewOfFile(at))
#define TORTURE_VirtualAlloc(...) \
    (TORTURE_FAILS(VirtualAlloc)  \
         ? NULL                   \
         : torture_pointer(TORTURE_MEMORY, VirtualAlloc(__VA_ARGS__), __LINE__))
#define TORTURE_VirtualFree(at, ...)                                      \
    (torture_let_go(TORTURE_MEMORY, (unsigned long long)(uintptr_t)(at)), \
     VirtualFree(at, __VA_ARGS__))
#define TORTURE_LoadLibraryA(name) \
    (TORTURE_FAILS(LoadLibraryA)   \
         ? NULL                    \
         : (HMODULE)torture_pointer(TORTURE_FOLDER, LoadLibraryA(name), __LINE__))
#define TORTURE_FreeLibrary(module) \
    (torture_let_go(TORTURE_FOLDER, (unsigned long long)(uintptr_t)(module)), FreeLibrary(module))
#define TORTURE_GetProcAddress(module, name) \
    (TORTURE_FAILS(GetProcAddress) ? NULL : GetProcAddress(module, name))
#define TORTURE_ReadFile(...)         TORTURE_BOOL(ReadFile, __VA_ARGS__)
#define TORTURE_WriteFile(...)        TORTURE_BOOL(WriteFile, __VA_ARGS__)
#define TORTURE_FlushFileBuffers(...) TORTURE_BOOL(FlushFileBuffers, __VA_ARGS__)
#define TORTURE_SetFilePointerEx(...) TORTURE_BOOL(SetFilePointerEx, __VA_ARGS__)
#define TORTURE_SetEndOfFile(...)     TORTURE_BOOL(SetEndOfFile, __VA_ARGS__)
#define TORTURE_CreateDirectoryW(...) TORTURE_BOOL(CreateDirectoryW, __VA_ARGS__)
#define TORTURE_DeleteFileW(...)      TORTURE_BOOL(DeleteFileW, __VA_ARGS__)
#define TORTURE_MoveFileExW(...)      TORTURE_BOOL(MoveFileExW, __VA_ARGS__)
#define TORTURE_GetFileInformationByHandle(...) \
    TORTURE_BOOL(GetFileInformationByHandle, __VA_ARGS__)
#define TORTURE_GetFileAttributesExW(...) TORTURE_BOOL(GetFileAttributesExW, __VA_ARGS__)
#define TORTURE_GetFileSizeEx(...)        TORTURE_BOOL(GetFileSizeEx, __VA_ARGS__)
#define TORTURE_GetFileTime(...)          TORTURE_BOOL(GetFileTime, __VA_ARGS__)
#define TORTURE_GetProcessTimes(...)      TORTURE_BOOL(GetProcessTimes, __VA_ARGS__)
#define TORTURE_GetVolumePathNameW(...)   TORTURE_BOOL(GetVolumePathNameW, __VA_ARGS__)
#define TORTURE_GetFullPathNameW(...) \
    (TORTURE_FAILS(GetFullPathNameW) ? 0u : GetFullPathNameW(__VA_ARGS__))
#define TORTURE_GetModuleHandleExW(...)      TORTURE_BOOL(GetModuleHandleExW, __VA_ARGS__)
#define TORTURE_GlobalMemoryStatusEx(...)    TORTURE_BOOL(GlobalMemoryStatusEx, __VA_ARGS__)
#define TORTURE_SetThreadStackGuarantee(...) TORTURE_BOOL(SetThreadStackGuarantee, __VA_ARGS__)
#define TORTURE_GetFileAttributesW(path) \
    (TORTURE_FAILS(GetFileAttributesW) ? INVALID_FILE_ATTRIBUTES : GetFileAttributesW(path))
#define TORTURE_GetDriveTypeW(root)       (TORTURE_FAILS(GetDriveTypeW) ? 0u : GetDriveTypeW(root))
#define TORTURE_GetEnvironmentVariableA   GetEnvironmentVariableA
#define TORTURE_GetEnvironmentVariableW   GetEnvironmentVariableW
#define TORTURE_FlushProcessWriteBuffers  FlushProcessWriteBuffers
#define TORTURE_GetCurrentProcessId       GetCurrentProcessId
#define TORTURE_GetNativeSystemInfo       GetNativeSystemInfo
#define TORTURE_GetSystemTimeAsFileTime   GetSystemTimeAsFileTime
#define TORTURE_QueryPerformanceCounter   QueryPerformanceCounter
#define TORTURE_QueryPerformanceFrequency QueryPerformanceFrequency
#define TORTURE_raise                     raise
#define TORTURE_ReleaseMutex              ReleaseMutex
#define TORTURE_SetEvent                  SetEvent
#define TORTURE_Sleep                     Sleep
#define TORTURE_SleepConditionVariableCS  SleepConditionVariableCS
#define TORTURE_WaitForSingleObject       WaitForSingleObject

#endif
#endif
