-- One row is one score, with what its judge, version and rubric are called and whether its judgement raised the flag.
-- Takes project_id, limit; {conditions} over evals_score AS c, {order} of the rows.
-- Stands on the index of whatever the conditions name: trace, session, name and start, or the score's own key.
SELECT
    c.score_id, c.source, c.target_kind, c.trace_id, c.span_id, c.session_id, c.started_at, c.name, c.data_type,
    c.number, c.label, c.comment, c.evidence, c.judge_id, c.judge_version_id, c.rubric_version_id, c.judgement_id,
    c.review_id, c.author, c.external_id, c.pi, c.metadata, c.made_at, c.updated_at,
    j.slug, j.name, j.kind, v.number, v.model, r.slug, r.name, rv.number, g.is_flagged, g.flags, g.purpose,
    g.call_trace_id
FROM (
    SELECT *
    FROM evals_score AS c
    WHERE c.project_id = %(project_id)s AND {conditions}
    ORDER BY {order}
    LIMIT %(limit)s
) AS c
LEFT JOIN evals_judgeversion AS v ON v.id = c.judge_version_id
LEFT JOIN evals_judge AS j ON j.id = c.judge_id
LEFT JOIN evals_rubricversion AS rv ON rv.id = c.rubric_version_id
LEFT JOIN evals_rubric AS r ON r.id = rv.rubric_id
LEFT JOIN evals_judgement AS g ON g.project_id = c.project_id AND g.judgement_id = c.judgement_id
ORDER BY {order}
