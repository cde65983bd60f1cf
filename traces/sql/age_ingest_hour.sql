-- One row: how many hours were taken. Moves at most %(limit)s hourly sums of a project from before %(cutoff)s into one row a
-- key and source at the time -infinity, which is before every window of a page: counters since the beginning stay whole.
-- Rows that another sweep holds are skipped. Stands on the primary key.
WITH old AS (
    SELECT project_id, hour, key_id, source
    FROM traces_ingest_hour
    WHERE project_id = %(project_id)s
      AND hour > '-infinity'
      AND hour < %(cutoff)s
    ORDER BY hour, key_id, source
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
),
gone AS (
    DELETE FROM traces_ingest_hour AS kept
    USING old
    WHERE kept.project_id = old.project_id
      AND kept.hour = old.hour
      AND kept.key_id = old.key_id
      AND kept.source = old.source
    RETURNING kept.*
),
added AS (
    INSERT INTO traces_ingest_hour AS kept (
        project_id, hour, key_id, source, requests, body_bytes,
        received, stored, duplicate, rejected, dropped, lag_ms_sum, lag_ms_max
    )
    SELECT
        project_id, '-infinity', key_id, source, sum(requests), sum(body_bytes),
        sum(received), sum(stored), sum(duplicate), sum(rejected), sum(dropped), sum(lag_ms_sum), max(lag_ms_max)
    FROM gone
    GROUP BY project_id, key_id, source
    ORDER BY project_id, key_id, source
    ON CONFLICT (project_id, hour, key_id, source) DO UPDATE
    SET requests = kept.requests + excluded.requests,
        body_bytes = kept.body_bytes + excluded.body_bytes,
        received = kept.received + excluded.received,
        stored = kept.stored + excluded.stored,
        duplicate = kept.duplicate + excluded.duplicate,
        rejected = kept.rejected + excluded.rejected,
        dropped = kept.dropped + excluded.dropped,
        lag_ms_sum = kept.lag_ms_sum + excluded.lag_ms_sum,
        lag_ms_max = greatest(kept.lag_ms_max, excluded.lag_ms_max)
    RETURNING 1
)
SELECT (SELECT count(*) FROM gone) AS taken, (SELECT count(*) FROM added) AS rows;
