-- One row per turn of the units asked for, newest first within each: a session's newest %(limit)s, or the one trace that
-- names no session. The product's own calls are nobody's turns. Stands on traces_trace_session and the key of
-- traces_trace.
SELECT asked.unit_key, turn.trace_id, turn.started_at, turn.ended_at, turn.feature, turn.preview_in, turn.has_answer,
    turn.root_status, turn.cost_pico, turn.unknown, turn.user_id
FROM unnest(%(keys)s::uuid[], %(session_ids)s::text[]) AS asked (unit_key, session_id)
CROSS JOIN LATERAL (
    (
        SELECT t.trace_id, t.started_at, t.ended_at, t.feature, t.preview_in,
            t.preview_out IS NOT NULL OR t.generation_count > 0 AS has_answer, t.root_status, t.cost_pico,
            t.unpriced_count + t.unknown_usage_count + t.partial_count AS unknown, t.user_id
        FROM traces_trace AS t
        WHERE t.project_id = %(project_id)s
          AND t.session_id = asked.session_id
          AND t.service IS DISTINCT FROM %(judge)s
        ORDER BY t.started_at DESC, t.trace_id DESC
        LIMIT %(limit)s
    )
    UNION ALL
    SELECT t.trace_id, t.started_at, t.ended_at, t.feature, t.preview_in,
        t.preview_out IS NOT NULL OR t.generation_count > 0, t.root_status, t.cost_pico,
        t.unpriced_count + t.unknown_usage_count + t.partial_count, t.user_id
    FROM traces_trace AS t
    WHERE asked.session_id IS NULL
      AND t.project_id = %(project_id)s
      AND t.trace_id = asked.unit_key
      AND t.session_id IS NULL
      AND t.service IS DISTINCT FROM %(judge)s
) AS turn
