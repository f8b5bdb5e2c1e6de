/* msan.c - MemorySanitizer does not know what syscall() writes: with -Dsyscall=msan_syscall this
   function tells it. */

#include <stdarg.h>
#include <stddef.h>
#include <sys/syscall.h>

void __msan_unpoison(const volatile void *at, size_t size);
long real_syscall(long number, ...) __asm__("syscall");
long msan_syscall(long number, ...);

long msan_syscall(long number, ...)
{
    va_list more;
    long    a[6], result;
    int     i;
    va_start(more, number);
    for (i = 0; i < 6; i++) a[i] = va_arg(more, long); /* those not given are not looked at */
    va_end(more);
    __msan_unpoison(a, sizeof a);
    result = real_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
    if (number == SYS_getrandom && result > 0) __msan_unpoison((void *)a[0], (size_t)result);
    return result;
}
