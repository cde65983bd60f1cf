-- Adds the sums of some batches to their hour. One row per (project, hour, key, source); stands on the primary key.
INSERT INTO traces_ingest_hour AS kept (
    project_id, hour, key_id, source, requests, body_bytes,
    received, stored, duplicate, rejected, dropped, lag_ms_sum, lag_ms_max
)
VALUES (
    %(project_id)s, %(hour)s, %(key_id)s, %(source)s, %(requests)s, %(body_bytes)s,
    %(received)s, %(stored)s, %(duplicate)s, %(rejected)s, %(dropped)s, %(lag_ms_sum)s, %(lag_ms_max)s
)
ON CONFLICT (project_id, hour, key_id, source) DO UPDATE
SET requests = kept.requests + excluded.requests,
    body_bytes = kept.body_bytes + excluded.body_bytes,
    received = kept.received + excluded.received,
    stored = kept.stored + excluded.stored,
    duplicate = kept.duplicate + excluded.duplicate,
    rejected = kept.rejected + excluded.rejected,
    dropped = kept.dropped + excluded.dropped,
    lag_ms_sum = kept.lag_ms_sum + excluded.lag_ms_sum,
    lag_ms_max = greatest(kept.lag_ms_max, excluded.lag_ms_max);
