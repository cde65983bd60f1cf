-- One row per (source, HTTP status, reason) of requests refused whole in a project's window.
-- Stands on the primary key of traces_ingest_refusal_hour.
SELECT
    source,
    http_status,
    reason,
    sum(n)::bigint AS n,
    (array_agg(last_example ORDER BY last_at DESC))[1] AS last_example,
    max(last_at) AS last_at
FROM traces_ingest_refusal_hour
WHERE project_id = %(project_id)s
  AND hour >= %(start)s
  AND hour < %(end)s
GROUP BY source, http_status, reason
ORDER BY n DESC, http_status, reason, source;
