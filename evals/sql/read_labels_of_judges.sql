-- One row: a scored judgement of a trace or span with its scores as one object, their reasons as another, behind `after`, oldest first.
-- Takes project_id, after, limit, judge_id and since (NULL: any), queue_id (unused). Stands on the key of judgements.
SELECT
    j.judgement_id AS row_id,
    'judgement ' || j.judgement_id AS id,
    j.target_id AS trace_id,
    j.span_id,
    NULL AS reviewer,
    w.slug AS judge,
    v.number AS judge_version,
    u.slug AS rubric,
    b.number AS rubric_version,
    NULL AS verdict,
    NULL AS category,
    NULL AS note,
    NULL::boolean AS is_adjudication,
    NULL::boolean AS was_blind,
    j.is_flagged,
    j.pi AS pi_judge,
    NULL::double precision AS pi_review,
    NULL AS queue,
    j.done_at AS at,
    (
        SELECT jsonb_object_agg(
            s.name,
            coalesce(
                to_jsonb(s.label),
                CASE WHEN s.data_type = 2 THEN to_jsonb(s.number = 1) ELSE to_jsonb(s.number) END
            )
        )::json
        FROM evals_score AS s WHERE s.judgement_id = j.judgement_id
    ) AS scores,
    (
        SELECT jsonb_object_agg(s.name, s.comment)::json
        FROM evals_score AS s WHERE s.judgement_id = j.judgement_id AND s.comment <> ''
    ) AS reasons
FROM evals_judgement AS j
JOIN evals_judge AS w ON w.id = j.judge_id
JOIN evals_judgeversion AS v ON v.id = j.judge_version_id
JOIN evals_rubricversion AS b ON b.id = v.rubric_version_id
JOIN evals_rubric AS u ON u.id = b.rubric_id
WHERE j.project_id = %(project_id)s
    AND j.judgement_id > %(after)s
    AND j.state = 'scored'
    AND j.repeat = 0
    AND j.target_kind IN (1, 2)
    AND (%(judge_id)s::bigint IS NULL OR j.judge_id = %(judge_id)s)
    AND (%(since)s::timestamptz IS NULL OR j.started_at >= %(since)s)
    AND %(queue_id)s::bigint IS NULL
ORDER BY j.judgement_id
LIMIT %(limit)s
