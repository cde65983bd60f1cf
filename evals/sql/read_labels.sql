-- One row: what one person scored one target in one criterion, newest first. Skipped and undone reviews are none.
-- Takes project_id, name, most. Stands on evals_score_people.
SELECT
    s.trace_id,
    s.span_id,
    s.number,
    s.label,
    coalesce(r.reviewer_name, s.author) AS reviewer,
    coalesce(r.is_adjudication, false) AS is_adjudication,
    coalesce(r.was_blind, true) AS was_blind,
    coalesce(r.rubric_version_id, s.rubric_version_id) AS rubric_version_id,
    s.made_at AS at,
    s.started_at,
    s.comment,
    coalesce(s.session_id, t.session_id) AS session_id,
    r.pi_judge,
    r.pi_review,
    coalesce(nullif(i.feature, ''), t.feature, '') AS feature,
    coalesce(nullif(i.model, ''), t.models[1], '') AS model,
    coalesce(nullif(i.prompt_version, ''), t.prompt_version, '') AS prompt_version,
    i.queue_id
FROM evals_score AS s
LEFT JOIN evals_review AS r ON r.id = s.review_id
LEFT JOIN evals_reviewitem AS i ON i.id = r.item_id
LEFT JOIN traces_trace AS t ON t.project_id = s.project_id AND t.trace_id = s.trace_id
WHERE s.project_id = %(project_id)s
    AND s.source = 2
    AND s.name = %(name)s
    AND s.trace_id IS NOT NULL
    AND s.target_kind IN (1, 2)
    AND (r.id IS NULL OR (r.undone_at IS NULL AND NOT r.is_skip))
ORDER BY s.made_at DESC
LIMIT %(most)s
