/* msvc.h: what the headers of wine lack for a compiler that is not gcc; tests/msvc.sh includes it
   before everything. */

#define _crt_va_start(list, last) __builtin_va_start(list, last)
#define _crt_va_end(list)         __builtin_va_end(list)

#define WIN32_LEAN_AND_MEAN
#include <windows.h>
#undef WIN32_LEAN_AND_MEAN

BOOL WINAPI SetThreadStackGuarantee(PULONG size);
unsigned __cdecl _set_abort_behavior(unsigned flags, unsigned mask);

#if defined(_M_ARM64) && !defined(__clang__)
void _ReadWriteBarrier(void);
#endif
