-- Adds what was rejected or dropped for one reason to its hour, and keeps the latest example.
-- One row per (project, hour, key, source, outcome, reason); stands on the primary key.
INSERT INTO traces_ingest_reason_hour AS kept (
    project_id, hour, key_id, source, outcome, reason, n, last_example, last_at
)
VALUES (
    %(project_id)s, %(hour)s, %(key_id)s, %(source)s, %(outcome)s, %(reason)s, %(n)s, %(last_example)s, %(last_at)s
)
ON CONFLICT (project_id, hour, key_id, source, outcome, reason) DO UPDATE
SET n = kept.n + excluded.n,
    last_example = CASE WHEN excluded.last_at >= kept.last_at THEN excluded.last_example ELSE kept.last_example END,
    last_at = greatest(kept.last_at, excluded.last_at);
