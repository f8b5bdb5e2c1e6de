/* plain_memory.h - a test may play a disk that keeps no space: then the queue lies in plain memory.
   Before vitelemetry.h. */

#ifndef TESTS_PLAIN_MEMORY_H
#define TESTS_PLAIN_MEMORY_H

static _Bool in_plain_memory;
#define VITP_OS_POOL_KEEPS_SPACE(file, size) \
    (!in_plain_memory && vitp_os_pool_keeps_space((file), (size)))

#endif
