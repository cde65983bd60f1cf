-- One row: how many were taken. Moves at most %(limit)s hourly counts of reasons of a project from before %(cutoff)s into one
-- row a key, source and reason at the time -infinity, without examples. Stands on the primary key.
WITH old AS (
    SELECT project_id, hour, key_id, source, outcome, reason
    FROM traces_ingest_reason_hour
    WHERE project_id = %(project_id)s
      AND hour > '-infinity'
      AND hour < %(cutoff)s
    ORDER BY hour, key_id, source, outcome, reason
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
),
gone AS (
    DELETE FROM traces_ingest_reason_hour AS kept
    USING old
    WHERE kept.project_id = old.project_id
      AND kept.hour = old.hour
      AND kept.key_id = old.key_id
      AND kept.source = old.source
      AND kept.outcome = old.outcome
      AND kept.reason = old.reason
    RETURNING kept.*
),
added AS (
    INSERT INTO traces_ingest_reason_hour AS kept (
        project_id, hour, key_id, source, outcome, reason, n, last_example, last_at
    )
    SELECT project_id, '-infinity', key_id, source, outcome, reason, sum(n), '', max(last_at)
    FROM gone
    GROUP BY project_id, key_id, source, outcome, reason
    ORDER BY project_id, key_id, source, outcome, reason
    ON CONFLICT (project_id, hour, key_id, source, outcome, reason) DO UPDATE
    SET n = kept.n + excluded.n,
        last_at = greatest(kept.last_at, excluded.last_at)
    RETURNING 1
)
SELECT (SELECT count(*) FROM gone) AS taken, (SELECT count(*) FROM added) AS rows;
