-- One row: a score that a program gave a trace that is there, the newest first.
-- Takes project_id, names, since, limit. Stands on evals_score_name.
SELECT
    s.name,
    s.number,
    s.label,
    s.trace_id,
    s.span_id,
    t.started_at,
    coalesce(t.feature, '') AS feature,
    coalesce(t.models[1], '') AS model,
    coalesce(t.prompt_version, '') AS prompt_version
FROM evals_score AS s
JOIN traces_trace AS t ON t.project_id = s.project_id AND t.trace_id = s.trace_id
WHERE s.project_id = %(project_id)s
    AND s.name = ANY(%(names)s::text[])
    AND s.started_at >= %(since)s
    AND s.source = 3
    AND s.target_kind IN (1, 2)
ORDER BY s.started_at DESC
LIMIT %(limit)s
