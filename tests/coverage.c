/* coverage.c: linked into each program and shared object of `make coverage`. Puts the counters of
   clang's coverage into memory that forked children share: what a child did is in its parent's
   profile, however the child ended. coverage.ld gives the counters pages of their own. */

#define _DEFAULT_SOURCE
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define HIDDEN __attribute__((weak, visibility("hidden")))
/* the linker's names of the two sections */
extern char __start___llvm_prf_cnts[] HIDDEN, __stop___llvm_prf_cnts[] HIDDEN;
extern char __start___llvm_prf_bits[] HIDDEN, __stop___llvm_prf_bits[] HIDDEN;

void __llvm_profile_set_filename(const char *name);

/* The parent writes what a child counted; two of them would write into one file. */
static void child_writes_nothing(void) { __llvm_profile_set_filename("/dev/null"); }

static void share(char *begin, const char *end)
{
    size_t size = (size_t)(end - begin);
    void  *copy = malloc(size);
    if (!copy) abort();
    memcpy(copy, begin, size);
    if (mmap(begin, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1, 0) !=
        begin)
        abort();
    memcpy(begin, copy, size);
    free(copy);
}

/* Before the program's own constructors, which may count. */
__attribute__((constructor(101))) static void share_both(void)
{
    if (__start___llvm_prf_cnts != __stop___llvm_prf_cnts)
        share(__start___llvm_prf_cnts, __stop___llvm_prf_cnts);
    if (__start___llvm_prf_bits != __stop___llvm_prf_bits)
        share(__start___llvm_prf_bits, __stop___llvm_prf_bits);
    if (pthread_atfork(NULL, NULL, child_writes_nothing) != 0) abort();
}
