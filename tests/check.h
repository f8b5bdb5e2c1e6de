/* check.h: one line a check, for programs that run where cmocka does not. */

#ifndef TESTS_CHECK_H
#define TESTS_CHECK_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

static unsigned passed, failed;

static void check(bool good, const char *format, ...)
{
    va_list arguments;
    if (good) passed++;
    else failed++;
    printf("%s ", good ? "ok  " : "FAIL");
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    printf("\n");
    fflush(stdout);
}

#endif
