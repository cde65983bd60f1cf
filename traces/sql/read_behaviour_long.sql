-- One row per long session asked for: its sums, and when and with what feature it began (the first %(limit)s turns).
-- Stands on the key of traces_session and on traces_trace_session.
SELECT s.session_key, s.stale_since IS NOT NULL, s.turns, s.failed_turns, s.cost_pico,
    s.unpriced_count + s.unknown_usage_count + s.partial_count, s.user_id, began.first_at, began.feature
FROM traces_session AS s
CROSS JOIN LATERAL (
    SELECT min(t.started_at) AS first_at,
        (array_agg(t.feature ORDER BY t.started_at, t.trace_id) FILTER (WHERE t.feature IS NOT NULL))[1] AS feature
    FROM (
        SELECT trace_id, started_at, feature FROM traces_trace
        WHERE project_id = %(project_id)s
          AND session_id = s.session_id
          AND service IS DISTINCT FROM %(judge)s
        ORDER BY started_at, trace_id
        LIMIT %(limit)s
    ) AS t
) AS began
WHERE s.project_id = %(project_id)s
  AND s.session_id = ANY(%(session_ids)s)
