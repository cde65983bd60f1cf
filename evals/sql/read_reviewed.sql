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
    f.judge_version_id, said.name, g.feature, g.model, g.prompt_version, g.hour, f.judgement_id, said.number, f.number,
    g.pi, said.pi_review, said.is_adjudication, said.rubric_version_id, f.rubric_version_id
FROM said
CROSS JOIN LATERAL (
    SELECT o.judge_version_id, o.judgement_id, o.number, o.rubric_version_id
    FROM evals_score AS o
    WHERE o.project_id = %(project_id)s
        AND o.trace_id = said.trace_id
        AND o.span_id = said.span_id
        AND o.name = said.name
        AND o.source = 1
        AND o.number IS NOT NULL
        AND (%(judge_id)s::bigint IS NULL OR o.judge_id = %(judge_id)s)
        AND (%(version_id)s::bigint IS NULL OR o.judge_version_id = %(version_id)s)
    OFFSET 0  -- each looked up by its key in turn, whatever the planner takes the tables for
) AS f
CROSS JOIN LATERAL (
    SELECT
        o.pi, o.feature, o.model, o.prompt_version,
        (floor(extract(epoch FROM o.started_at) / 3600) * 3600)::bigint AS hour
    FROM evals_judgement AS o
    WHERE o.project_id = %(project_id)s
        AND o.judgement_id = f.judgement_id
        AND o.pi IS NOT NULL
        AND o.repeat = 0
        AND o.purpose IN (1, 2)
        AND (%(feature)s::text IS NULL OR o.feature = %(feature)s)
        AND (%(model)s::text IS NULL OR o.model = %(model)s)
        AND (%(prompt_version)s::text IS NULL OR o.prompt_version = %(prompt_version)s)
    OFFSET 0
) AS g
ORDER BY said.created_at DESC
