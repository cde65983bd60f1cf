-- One row: a review with its scores as one object, behind `after`, oldest first.
-- Takes project_id, after, limit, queue_id and since (NULL: any). Stands on the key of reviews.
SELECT
    r.id AS row_id,
    coalesce(r.external_id, 'review ' || r.id) AS id,
    r.trace_id,
    r.span_id,
    r.reviewer_name AS reviewer,
    NULL AS judge,
    NULL::integer AS judge_version,
    u.slug AS rubric,
    v.number AS rubric_version,
    r.verdict,
    r.category,
    r.note,
    r.is_adjudication,
    r.was_blind,
    NULL::boolean AS is_flagged,
    r.pi_judge,
    r.pi_review,
    q.slug AS queue,
    r.created_at AS at,
    (
        SELECT jsonb_object_agg(
            s.name,
            coalesce(
                to_jsonb(s.label),
                CASE WHEN s.data_type = 2 THEN to_jsonb(s.number = 1) ELSE to_jsonb(s.number) END
            )
        )::json
        FROM evals_score AS s WHERE s.review_id = r.id
    ) AS scores
FROM evals_review AS r
JOIN evals_rubricversion AS v ON v.id = r.rubric_version_id
JOIN evals_rubric AS u ON u.id = v.rubric_id
LEFT JOIN evals_reviewitem AS i ON i.id = r.item_id
LEFT JOIN evals_reviewqueue AS q ON q.id = i.queue_id
WHERE r.project_id = %(project_id)s
    AND r.id > %(after)s
    AND r.undone_at IS NULL
    AND NOT r.is_skip
    AND (%(queue_id)s::bigint IS NULL OR i.queue_id = %(queue_id)s)
    AND (%(since)s::timestamptz IS NULL OR r.created_at >= %(since)s)
    AND (%(judge_id)s::bigint IS NULL OR q.judge_id = %(judge_id)s)
ORDER BY r.id
LIMIT %(limit)s
