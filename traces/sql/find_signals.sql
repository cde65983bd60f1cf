-- One row per (signal, trace it may be about) where the signal is not where it belongs: it waits for one of these
-- traces or their session, or its trace has another session or feature by now. Takes project_id, trace_ids, judge.
-- Looked up row by row, whatever the planner knows.
-- Stands on the key of traces_trace, traces_signal_trace, traces_signal_awaited and traces_signal_request.
WITH changed AS (
    SELECT
        trace_id, session_id, foreign_trace_id, feature,
        CASE WHEN service IS DISTINCT FROM %(judge)s THEN coalesce(md5(session_id)::uuid, trace_id) END AS unit_key
    FROM traces_trace
    WHERE project_id = %(project_id)s AND trace_id = ANY(%(trace_ids)s)
)
SELECT s.signal_key, changed.trace_id
FROM changed
CROSS JOIN LATERAL (
    SELECT x.signal_key FROM traces_signal AS x
    WHERE x.project_id = %(project_id)s AND x.trace_id = changed.trace_id
        AND (x.bound_at IS NULL OR (x.unit_key, x.feature) IS DISTINCT FROM (changed.unit_key, changed.feature))
    OFFSET 0
) AS s
UNION
SELECT s.signal_key, NULL
FROM (SELECT DISTINCT session_id FROM changed WHERE session_id IS NOT NULL) AS changed
CROSS JOIN LATERAL (
    SELECT x.signal_key FROM traces_signal AS x
    WHERE x.project_id = %(project_id)s AND x.session_id = changed.session_id AND x.bound_at IS NULL
    OFFSET 0
) AS s
UNION
SELECT s.signal_key, changed.trace_id
FROM (SELECT trace_id, foreign_trace_id FROM changed WHERE foreign_trace_id IS NOT NULL) AS changed
CROSS JOIN LATERAL (
    SELECT x.signal_key FROM traces_signal AS x
    WHERE x.project_id = %(project_id)s AND x.request_id = changed.foreign_trace_id AND x.bound_at IS NULL
    OFFSET 0
) AS s
