-- One row: what a judge version scored one labelled target in one criterion; repeats and probes are no scores.
-- Takes project_id, name, version_id, trace_ids. Stands on evals_score_trace.
SELECT DISTINCT ON (s.trace_id, s.span_id)
    s.trace_id,
    s.span_id,
    s.number,
    s.label,
    s.comment,
    coalesce(g.pi, s.pi) AS pi,
    g.is_flagged,
    coalesce(g.feature, '') AS feature,
    coalesce(g.model, '') AS model,
    coalesce(g.prompt_version, '') AS prompt_version,
    s.updated_at AS at
FROM evals_score AS s
LEFT JOIN evals_judgement AS g ON g.project_id = s.project_id AND g.judgement_id = s.judgement_id
WHERE s.project_id = %(project_id)s
    AND s.trace_id = ANY (%(trace_ids)s)
    AND s.source = 1
    AND s.name = %(name)s
    AND s.judge_version_id = %(version_id)s
    AND s.target_kind IN (1, 2)
    AND (g.judgement_id IS NULL OR (g.repeat = 0 AND g.purpose <> 5))
ORDER BY s.trace_id, s.span_id, s.updated_at DESC
