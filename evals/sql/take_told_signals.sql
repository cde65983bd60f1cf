-- Takes told signals away, in order of their keys. One row: a signal as it says now, with its trace; columns of the
-- trace are NULL where it is gone. Takes project_id, limit. Stands on the keys of evals_told_signal, traces_signal and traces_trace.
WITH told AS (
    SELECT project_id, signal_key
    FROM evals_told_signal
    WHERE project_id = %(project_id)s
    ORDER BY signal_key
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
), taken AS (
    DELETE FROM evals_told_signal AS f
    USING told
    WHERE f.project_id = told.project_id AND f.signal_key = told.signal_key
    RETURNING f.project_id, f.signal_key
)
SELECT
    s.name,
    coalesce(s.value_number, s.value_bool::integer) AS number,
    s.value_label AS label,
    s.trace_id,
    coalesce(s.span_id, 0) AS span_id,
    t.started_at,
    coalesce(t.feature, '') AS feature,
    coalesce(t.models[1], '') AS model,
    coalesce(t.prompt_version, '') AS prompt_version,
    s.vote
FROM taken
LEFT JOIN traces_signal AS s ON s.project_id = taken.project_id AND s.signal_key = taken.signal_key
LEFT JOIN traces_trace AS t ON t.project_id = s.project_id AND t.trace_id = s.trace_id
