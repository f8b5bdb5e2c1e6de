/* query_tp.h - the event of the benchmark as a tracepoint of LTTng-UST; read several times by its
   headers. */
#undef LTTNG_UST_TRACEPOINT_PROVIDER
#define LTTNG_UST_TRACEPOINT_PROVIDER vit_bench
#undef LTTNG_UST_TRACEPOINT_INCLUDE
#define LTTNG_UST_TRACEPOINT_INCLUDE "bench/query_tp.h"

#if !defined(BENCH_QUERY_TP_H) || defined(LTTNG_UST_TRACEPOINT_HEADER_MULTI_READ)
#define BENCH_QUERY_TP_H

#include <lttng/tracepoint.h>
#include <stdint.h>

/* clang-format off */
LTTNG_UST_TRACEPOINT_EVENT(vit_bench, query,
    LTTNG_UST_TP_ARGS(
        const char *, query_type, const char *, db_type, int64_t, result_count,
        int64_t, latency_ms, const char *, filters_applied, uint8_t, success,
        const unsigned char *, correlation_id),
    LTTNG_UST_TP_FIELDS(
        lttng_ust_field_string(query_type, query_type)
        lttng_ust_field_string(db_type, db_type)
        lttng_ust_field_integer(int64_t, result_count, result_count)
        lttng_ust_field_integer(int64_t, latency_ms, latency_ms)
        lttng_ust_field_string(filters_applied, filters_applied)
        lttng_ust_field_integer(uint8_t, success, success)
        lttng_ust_field_array(uint8_t, correlation_id, correlation_id, 16)))
/* clang-format on */

#endif

#include <lttng/tracepoint-event.h>
