-- One row: the hourly sums and the reasons of a project's window, as two JSON lists. Kept sums plus the batches not folded
-- yet, in one statement and so in one snapshot: nothing is missing or counted twice while a consumer is at work.
-- sums: one item per (hour, key, source). reasons: one per (key, source, outcome, reason), with the last example.
-- Stands on the primary keys of traces_ingest_hour and traces_ingest_reason_hour and on traces_ingest_batch_open.
WITH open_batches AS MATERIALIZED (
    SELECT
        date_trunc('hour', received_at, 'UTC') AS hour, key_id, source, received_at, body_bytes, received, stored,
        duplicate, rejected, dropped, reasons,
        greatest(extract(epoch FROM committed_at - received_at) * 1000, 0)::double precision AS lag_ms,
        -- Of a large request, stored in parts, the last counts: it has the bytes.
        (body_bytes > 0 OR source NOT IN ('traces', 'native')) AS is_request
    FROM traces_ingest_batch
    WHERE project_id = %(project_id)s
      AND NOT accounted
      AND received_at >= %(start)s
      AND received_at < %(end)s
),
every_sum AS (
    SELECT
        hour, key_id, source, requests, body_bytes, received, stored, duplicate, rejected, dropped, lag_ms_sum,
        lag_ms_max
    FROM traces_ingest_hour
    WHERE project_id = %(project_id)s
      AND hour >= %(start)s
      AND hour < %(end)s
    UNION ALL
    SELECT
        hour, key_id, source, is_request::integer, body_bytes, received, stored, duplicate, rejected, dropped,
        is_request::integer * lag_ms, lag_ms
    FROM open_batches
),
sums AS (
    SELECT
        hour,
        key_id,
        source,
        sum(requests)::bigint AS requests,
        sum(body_bytes)::bigint AS body_bytes,
        sum(received)::bigint AS received,
        sum(stored)::bigint AS stored,
        sum(duplicate)::bigint AS duplicate,
        sum(rejected)::bigint AS rejected,
        sum(dropped)::bigint AS dropped,
        sum(lag_ms_sum) AS lag_ms_sum,
        max(lag_ms_max) AS lag_ms_max
    FROM every_sum
    GROUP BY hour, key_id, source
    ORDER BY hour, key_id, source
),
every_reason AS (
    SELECT key_id, source, outcome, reason, n, last_example, last_at
    FROM traces_ingest_reason_hour
    WHERE project_id = %(project_id)s
      AND hour >= %(start)s
      AND hour < %(end)s
    UNION ALL
    SELECT key_id, source, 'rejected', each.key, (each.value ->> 0)::bigint, each.value ->> 1, received_at
    FROM open_batches, jsonb_each(reasons -> 'rejected') AS each
    UNION ALL
    SELECT key_id, source, 'dropped', each.key, each.value::bigint, '', received_at
    FROM open_batches, jsonb_each_text(reasons -> 'dropped') AS each
    UNION ALL
    SELECT key_id, source, 'masked', each.key, each.value::bigint, '', received_at
    FROM open_batches, jsonb_each_text(reasons -> 'masked') AS each
),
reasons AS (
    SELECT
        key_id,
        source,
        outcome,
        reason,
        sum(n)::bigint AS n,
        (array_agg(last_example ORDER BY last_at DESC))[1] AS last_example,
        max(last_at) AS last_at
    FROM every_reason
    GROUP BY key_id, source, outcome, reason
    ORDER BY n DESC, outcome, reason, key_id, source
)
SELECT
    (SELECT coalesce(json_agg(sums), '[]'::json) FROM sums),
    (SELECT coalesce(json_agg(reasons), '[]'::json) FROM reasons);
