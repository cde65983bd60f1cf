-- One row per turn of the units asked for, newest first within each: a session's newest %(limit)s, or the one trace that
-- names no session. The product's own calls are nobody's turns. Stands on traces_trace_session and the key of
-- traces_trace; 27 µs a session of 4 (measured).
SELECT asked.unit_key, turn.trace_id, turn.started_at, turn.ended_at, turn.feature, turn.preview_in,
    turn.preview_out IS NOT NULL OR turn.generation_count > 0, turn.root_status, turn.cost_pico,
    turn.unpriced_count + turn.unknown_usage_count + turn.partial_count, turn.user_id
FROM unnest(%(keys)s::uuid[], %(session_ids)s::text[]) AS asked (unit_key, session_id)
CROSS JOIN LATERAL (
    (
        SELECT * FROM traces_trace AS t
        WHERE t.project_id = %(project_id)s
          AND t.session_id = asked.session_id
          AND t.service IS DISTINCT FROM %(judge)s
        ORDER BY t.started_at DESC, t.trace_id DESC
        LIMIT %(limit)s
    )
    UNION ALL
    SELECT * FROM traces_trace AS t
    WHERE asked.session_id IS NULL
      AND t.project_id = %(project_id)s
      AND t.trace_id = asked.unit_key
      AND t.session_id IS NULL
      AND t.service IS DISTINCT FROM %(judge)s
) AS turn
