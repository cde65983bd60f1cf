-- One row: the newest scored judgement of a target, with its judge and its scores as JSON.
-- Takes project_id, trace_ids and span_ids (one of each a target), judge_id and version_id (NULL: any). Stands on
-- evals_judgement_target and evals_score_judgement.
SELECT
    t.trace_id,
    t.span_id,
    j.judgement_id,
    j.judge_id,
    w.name,
    w.slug,
    v.number,
    j.is_flagged,
    j.flags,
    r.spec::json,
    (
        SELECT json_agg(json_build_object(
            'name', s.name, 'data_type', s.data_type, 'number', s.number, 'label', s.label,
            'comment', s.comment, 'evidence', s.evidence
        ) ORDER BY s.score_id)
        FROM evals_score AS s
        WHERE s.judgement_id = j.judgement_id
    )
FROM unnest(%(trace_ids)s::uuid[], %(span_ids)s::bigint[]) AS t (trace_id, span_id)
CROSS JOIN LATERAL (
    SELECT * FROM evals_judgement AS g
    WHERE g.project_id = %(project_id)s
        AND g.target_id = t.trace_id
        AND g.span_id = t.span_id
        AND g.target_kind IN (1, 2)
        AND g.repeat = 0
        AND g.state = 'scored'
        AND (%(judge_id)s::bigint IS NULL OR g.judge_id = %(judge_id)s)
        AND (%(version_id)s::bigint IS NULL OR g.judge_version_id = %(version_id)s)
    ORDER BY g.judgement_id DESC
    LIMIT 1
) AS j
JOIN evals_judge AS w ON w.id = j.judge_id
JOIN evals_judgeversion AS v ON v.id = j.judge_version_id
JOIN evals_rubricversion AS r ON r.id = v.rubric_version_id
