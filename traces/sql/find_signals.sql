-- One row per (signal, trace it may be about) where the signal is not where it belongs: it waits for one of these
-- traces or their session, or its trace has another session or feature by now. Takes project_id, trace_ids, judge.
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
JOIN traces_signal AS s ON s.project_id = %(project_id)s AND s.trace_id = changed.trace_id
WHERE s.bound_at IS NULL
    OR (s.unit_key, s.feature) IS DISTINCT FROM (changed.unit_key, changed.feature)
UNION
SELECT s.signal_key, NULL
FROM changed
JOIN traces_signal AS s ON s.project_id = %(project_id)s AND s.session_id = changed.session_id AND s.bound_at IS NULL
UNION
SELECT s.signal_key, changed.trace_id
FROM changed
JOIN traces_signal AS s ON s.project_id = %(project_id)s AND s.request_id = changed.foreign_trace_id
    AND s.bound_at IS NULL
