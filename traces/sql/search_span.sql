-- One row per trace that holds a span of this id, among those named and those that wait for the index. Stands on the
-- primary keys; each look-up is bounded by its trace's starts.
WITH waiting AS (
    SELECT unnest(trace_ids) AS trace_id
    FROM (
        SELECT trace_ids
        FROM traces_feed
        WHERE consumer = %(consumer)s
          AND project_id = %(project_id)s
        ORDER BY feed_id DESC
        LIMIT 100
    ) AS newest
    LIMIT %(limit)s
)
SELECT t.trace_id
FROM (
    SELECT trace_id FROM waiting
    UNION
    SELECT unnest(%(trace_ids)s::uuid[])
) AS named
JOIN traces_trace AS t ON t.project_id = %(project_id)s AND t.trace_id = named.trace_id
WHERE EXISTS (
    SELECT 1
    FROM traces_span AS s
    WHERE s.project_id = t.project_id
      AND s.trace_id = t.trace_id
      AND s.span_id = %(span_id)s
      AND s.started_at >= t.started_at
      AND s.started_at <= t.last_started_at
)
ORDER BY t.started_at DESC
LIMIT 20
