-- One row is one person's score of a target that a judge version scored too, both drawn with known probabilities.
-- Takes project_id, start, end, judge_id, version_id, feature, model, prompt_version (NULL for any), names, most.
-- Stands on evals_score_people or evals_score_name, and on evals_score_trace.
WITH said AS MATERIALIZED (
    SELECT
        p.trace_id, p.span_id, p.name, p.number, p.rubric_version_id, r.pi_review, r.is_adjudication, r.created_at
    FROM evals_score AS p
    JOIN evals_review AS r ON r.id = p.review_id
    WHERE p.project_id = %(project_id)s
        AND p.source = 2
        AND p.name = ANY(%(names)s::text[])
        AND p.started_at >= %(start)s
        AND p.started_at < %(end)s
        AND p.number IS NOT NULL
        AND r.undone_at IS NULL
        AND NOT r.is_skip
        AND (r.was_blind OR r.is_adjudication)
        AND r.pi_review IS NOT NULL
    ORDER BY r.created_at DESC
    LIMIT %(most)s
)
SELECT
    h.judge_version_id, said.name, h.feature, h.model, h.prompt_version, h.hour, h.judgement_id, said.number, h.number, h.pi, said.pi_review,
    said.is_adjudication, said.rubric_version_id, h.rubric_version_id
FROM said
CROSS JOIN LATERAL (
    SELECT
        f.judge_version_id, f.number, f.rubric_version_id, f.name, g.judgement_id, g.pi, g.feature, g.model,
        g.prompt_version, (floor(extract(epoch FROM g.started_at) / 3600) * 3600)::bigint AS hour
    FROM evals_score AS f
    JOIN evals_judgement AS g ON g.project_id = f.project_id AND g.judgement_id = f.judgement_id
    WHERE f.project_id = %(project_id)s
        AND f.trace_id = said.trace_id
        AND f.span_id = said.span_id
        AND f.name = said.name
        AND f.source = 1
        AND f.number IS NOT NULL
        AND (%(judge_id)s::bigint IS NULL OR f.judge_id = %(judge_id)s)
        AND (%(version_id)s::bigint IS NULL OR f.judge_version_id = %(version_id)s)
        AND g.pi IS NOT NULL
        AND g.repeat = 0
        AND g.purpose IN (1, 2)
        AND (%(feature)s::text IS NULL OR g.feature = %(feature)s)
        AND (%(model)s::text IS NULL OR g.model = %(model)s)
        AND (%(prompt_version)s::text IS NULL OR g.prompt_version = %(prompt_version)s)
    OFFSET 0
) AS h
ORDER BY said.created_at DESC
