/* What LTTng-UST wants compiled once; see query_tp.h. Nothing where it is not installed. */
#if __has_include(<lttng/tracepoint.h>)
#define LTTNG_UST_TRACEPOINT_CREATE_PROBES
#define LTTNG_UST_TRACEPOINT_DEFINE
#include "bench/query_tp.h"
#else
typedef int bench_no_lttng;
#endif
