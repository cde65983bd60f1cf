-- One row per (hour, key, source) of the batches claimed: their sums, the reasons of each batch that had any, and
-- what its spans say of calls of models.
-- Takes at most %(limit)s open batches of one project, oldest first; those another consumer holds are skipped, and one it
-- has just folded is no longer open when the lock is had. Marks them in the same statement, so a rollback returns them.
-- A large request is stored in parts: its bytes stand on the last one, which alone counts as a request.
-- Stands on traces_ingest_batch_open.
WITH claimed AS (
    SELECT project_id, batch_id
    FROM traces_ingest_batch
    WHERE project_id = %(project_id)s
      AND NOT accounted
    ORDER BY batch_id
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
),
marked AS (
    UPDATE traces_ingest_batch AS batch
    SET accounted = true
    FROM claimed
    WHERE batch.project_id = claimed.project_id
      AND batch.batch_id = claimed.batch_id
    RETURNING batch.*, (batch.body_bytes > 0 OR batch.source NOT IN ('traces', 'native')) AS is_request
)
SELECT
    date_trunc('hour', received_at, 'UTC') AS hour,
    key_id,
    source,
    count(*) FILTER (WHERE is_request) AS requests,
    sum(body_bytes)::bigint AS body_bytes,
    sum(received)::bigint AS received,
    sum(stored)::bigint AS stored,
    sum(duplicate)::bigint AS duplicate,
    sum(rejected)::bigint AS rejected,
    sum(dropped)::bigint AS dropped,
    coalesce(
        sum(greatest(extract(epoch FROM committed_at - received_at) * 1000, 0)) FILTER (WHERE is_request), 0
    )::double precision AS lag_ms_sum,
    max(greatest(extract(epoch FROM committed_at - received_at) * 1000, 0))::double precision AS lag_ms_max,
    count(*) AS batches,
    jsonb_agg(jsonb_build_array(received_at, reasons) ORDER BY batch_id) 
        FILTER (WHERE rejected > 0 OR dropped > 0 OR reasons -> 'masked' IS NOT NULL)
        AS reasons,
    jsonb_agg(calls) FILTER (WHERE calls IS NOT NULL) AS calls
FROM marked
GROUP BY 1, 2, 3
ORDER BY 1, 2, 3;
