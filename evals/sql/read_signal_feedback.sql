-- One row: a signal of the last days about a trace that is here, the newest first: thumbs-down where `name` is NULL,
-- else those of this name. Takes project_id, name, since, limit. Stands on traces_signal_kind and traces_signal_newest.
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
FROM traces_signal AS s
JOIN traces_trace AS t ON t.project_id = s.project_id AND t.trace_id = s.trace_id
WHERE s.project_id = %(project_id)s
    AND s.happened_at >= %(since)s
    AND CASE WHEN %(name)s::text IS NULL THEN s.kind = 1 AND s.vote = -1
        ELSE s.name = %(name)s::text AND s.kind <> 20 END
ORDER BY s.happened_at DESC
LIMIT %(limit)s
