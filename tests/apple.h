/* apple.h: what the header takes from macOS, declared for clang -target arm64-apple-macos over the
   C headers of Linux, so that its branches for Apple can at least be compiled and looked at. Stands
   before vitelemetry.h; tests/forms.sh makes an empty <dispatch/dispatch.h>. */

#define _GNU_SOURCE 1
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <time.h>

int pthread_cond_timedwait_relative_np(pthread_cond_t *c, pthread_mutex_t *m,
                                       const struct timespec *time);

typedef struct dispatch_semaphore_s *dispatch_semaphore_t;
#define DISPATCH_TIME_NOW UINT64_C(0)
dispatch_semaphore_t dispatch_semaphore_create(intptr_t value);
intptr_t             dispatch_semaphore_signal(dispatch_semaphore_t s);
intptr_t             dispatch_semaphore_wait(dispatch_semaphore_t s, uint64_t until);
void                 dispatch_release(dispatch_semaphore_t s);
uint64_t             dispatch_time(uint64_t when, int64_t delta);

#define st_ctimespec st_ctim
typedef struct apple_context {
    struct {
        struct {
            uint64_t __pc, __sp;
        } __ss;
    } * uc_mcontext;
} apple_context;
#define ucontext_t apple_context
