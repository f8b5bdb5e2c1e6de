-- schema.sql - events of vitelemetry.h in ClickHouse (18.16 and later)
--
--     clickhouse-client --multiquery <schema.sql
--
-- The NDJSON wire goes straight into the table, by the HTTP interface:
--
--     options.wire = VIT_WIRE_NDJSON;
--     options.endpoint = "http://127.0.0.1:8123/"
--                        "?query=INSERT%20INTO%20telemetry.incoming%20FORMAT%20JSONEachRow"
--                        "&input_format_import_nested_json=1&input_format_skip_unknown_fields=1";
--
-- import_nested_json: {"metadata":{"os":"Linux"}} goes into the column metadata.os. From
--     JSONEachRow, 18.16 cannot store the object itself as a text.
-- skip_unknown_fields: a member without a column is left out, and the event is stored. Otherwise
--     the server answers 500, which means "try again later", and the events behind would wait. So
--     add the column before you ship a member of your own:
--         ALTER TABLE telemetry.events ADD COLUMN `metadata.size_kb` Nullable(Int64)
--         ALTER TABLE telemetry.incoming ADD COLUMN `metadata.size_kb` Nullable(Int64)
--     A value that its column cannot hold (a text for a number) is answered by 500 as well: one
--     name, one kind.
--
-- LABEL, TEXT, HASH, TRACE and FILE are String, INT and MS Int64, FLAG UInt8, REAL Float64 (18.16
-- reads some numbers of 15 digits and more, or with an exponent, one bit off). A member that an
-- event does not have is NULL. Delivery is at least once: when an answer is lost, its batch comes
-- twice.

CREATE DATABASE IF NOT EXISTS telemetry;

-- Raw events. A partition is a day in the server's time zone; retention.sh drops whole days.
CREATE TABLE telemetry.events
(
    created_at DateTime DEFAULT now(),
    hwid UUID,
    event_name String,
    app_version String,
    client_type String,
    -- of every event
    `metadata.correlation_id` Nullable(UUID),
    `metadata.session_id` Nullable(String),
    `metadata.db_provider` Nullable(String),
    `metadata.collection_name_hash` Nullable(String),
    `metadata.sampling_rate` Nullable(Float64),
    `metadata.sampling_seed_type` Nullable(String),
    `metadata.sampling_version` Nullable(String),
    `metadata.delay_s` Nullable(Int64),
    -- of the catalogue, in its order
    `metadata.os` Nullable(String),
    `metadata.launch_source` Nullable(String),
    `metadata.exit_reason` Nullable(String),
    `metadata.duration_ms` Nullable(Int64),
    `metadata.cpu_arch` Nullable(String),
    `metadata.cpu_count` Nullable(Int64),
    `metadata.ram_gb` Nullable(Int64),
    `metadata.feature_name` Nullable(String),
    `metadata.new_value` Nullable(UInt8),
    `metadata.db_type` Nullable(String),
    `metadata.host_hash` Nullable(String),
    `metadata.connection_id` Nullable(String),
    `metadata.success` Nullable(UInt8),
    `metadata.error_code` Nullable(String),
    `metadata.error_class` Nullable(String),
    `metadata.sample_db_id` Nullable(String),
    `metadata.estimated_rows` Nullable(Int64),
    `metadata.rows_created` Nullable(Int64),
    `metadata.retriable` Nullable(UInt8),
    `metadata.message` Nullable(String),
    `metadata.exception_type` Nullable(String),
    `metadata.error_hash` Nullable(String),
    `metadata.query_type` Nullable(String),
    `metadata.result_count` Nullable(Int64),
    `metadata.latency_ms` Nullable(Int64),
    `metadata.filters_applied` Nullable(String),
    `metadata.provider` Nullable(String),
    `metadata.model_id` Nullable(String),
    `metadata.batch_size` Nullable(Int64),
    `metadata.algorithm` Nullable(String),
    `metadata.params` Nullable(String),
    `metadata.dataset_size` Nullable(Int64),
    `metadata.cluster_count` Nullable(Int64),
    `metadata.noise_count` Nullable(Int64),
    `metadata.method` Nullable(String),
    `metadata.dims` Nullable(Int64),
    `metadata.points_rendered` Nullable(Int64),
    `metadata.traceback` Nullable(String),
    `metadata.msg_type` Nullable(String),
    `metadata.file` Nullable(String),
    `metadata.line` Nullable(Int64),
    `metadata.function` Nullable(String),
    `metadata.feature` Nullable(String),
    `metadata.occurrences` Nullable(Int64),
    `metadata.accepted` Nullable(Int64),
    `metadata.dropped` Nullable(Int64),
    `metadata.refused_full` Nullable(Int64)
)
ENGINE = MergeTree
PARTITION BY toDate(created_at)
ORDER BY (event_name, created_at);

-- Where the wire goes: the events without created_at. In 18.16 a column that the INSERT names and
-- the JSON lacks gets 0 and not its default, so it must not be named. A buffer of no rows writes
-- through at once: the answer comes after the events are stored.
CREATE TABLE telemetry.incoming AS telemetry.events
ENGINE = Buffer(telemetry, events, 1, 0, 0, 0, 0, 0, 0);

ALTER TABLE telemetry.incoming DROP COLUMN created_at;

-- Daily aggregates, made as events come in. They have months for partitions and stay when the
-- events are dropped.
CREATE MATERIALIZED VIEW telemetry.daily_states
ENGINE = AggregatingMergeTree
PARTITION BY toYYYYMM(day)
ORDER BY (day, event_name, app_version, client_type)
AS SELECT
    toDate(created_at) AS day,
    event_name,
    app_version,
    client_type,
    countState() AS events_state,
    sumState(1 / ifNull(`metadata.sampling_rate`, 1)) AS occurrences_state,
    uniqState(hwid) AS installations_state,
    sumState(toUInt64(ifNull(`metadata.success`, 1) = 0)) AS failures_state,
    quantilesState(0.5, 0.95)(coalesce(`metadata.duration_ms`, `metadata.latency_ms`)) AS ms_state
FROM telemetry.events
GROUP BY day, event_name, app_version, client_type;

-- What to query. occurrences: events before sampling, estimated; ms: median and 95th percentile of
-- duration_ms or latency_ms.
CREATE VIEW telemetry.daily AS SELECT
    day,
    event_name,
    app_version,
    client_type,
    countMerge(events_state) AS events,
    sumMerge(occurrences_state) AS occurrences,
    uniqMerge(installations_state) AS installations,
    sumMerge(failures_state) AS failures,
    quantilesMerge(0.5, 0.95)(ms_state) AS ms
FROM telemetry.daily_states
GROUP BY day, event_name, app_version, client_type;
