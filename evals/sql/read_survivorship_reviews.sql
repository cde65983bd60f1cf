-- One row: what one person said of a drawn answer that is the last one of a closed session of the window, beside what
-- the judge (if any) gave the same answer; newest first.
-- Takes project_id, start, end_, criterion, judge_id, version_ids, lone (a bit of Fact), newest (reviews looked at), most (rows).
-- Stands on evals_review_drawn, traces_behaviour_last, evals_score_review, evals_score_trace.
WITH said AS MATERIALIZED (
    SELECT
        r.id, r.trace_id, r.verdict, r.rubric_version_id, r.pi_judge, r.pi_review, r.is_adjudication
    FROM evals_review AS r
    WHERE r.project_id = %(project_id)s
        AND r.undone_at IS NULL
        AND NOT r.is_skip
        AND r.pi_review IS NOT NULL
        AND (r.was_blind OR r.is_adjudication)
        AND r.span_id = 0
        AND r.created_at >= %(start)s  -- nobody reviews an answer before it was given
    ORDER BY r.id DESC
    LIMIT %(newest)s
)
SELECT
    b.unit_key, b.feature, b.stratum, b.vote, said.trace_id, said.verdict, said.pi_judge, said.pi_review,
    said.is_adjudication, said.rubric_version_id, p.number, b.is_lone, j.number, j.pi
FROM said
CROSS JOIN LATERAL (
    SELECT o.unit_key, o.feature, o.stratum, o.vote, o.facts & %(lone)s <> 0 AS is_lone
    FROM traces_behaviour AS o
    WHERE o.project_id = %(project_id)s
        AND o.last_trace_id = said.trace_id
        AND o.is_closed
        AND o.first_at >= %(start)s
        AND o.first_at < %(end_)s
    OFFSET 0  -- each looked up by its key in turn, whatever the planner takes the tables for
) AS b
LEFT JOIN LATERAL (
    SELECT o.number FROM evals_score AS o WHERE o.review_id = said.id AND o.name = %(criterion)s OFFSET 0
) AS p ON true
LEFT JOIN LATERAL (
    SELECT o.number, g.pi
    FROM (
        SELECT judgement_id, judge_version_id, judge_id, span_id, name, source, number
        FROM evals_score
        WHERE project_id = %(project_id)s AND trace_id = said.trace_id
        OFFSET 0  -- by the trace, then each by its key, as above
    ) AS o
    CROSS JOIN LATERAL (
        SELECT pi, repeat, purpose
        FROM evals_judgement
        WHERE project_id = %(project_id)s AND judgement_id = o.judgement_id
        OFFSET 0
    ) AS g
    WHERE o.span_id = 0
        AND o.name = %(criterion)s
        AND o.source = 1
        AND o.judge_id = %(judge_id)s
        AND o.judge_version_id = ANY (%(version_ids)s::bigint[])
        AND o.number IS NOT NULL
        AND g.pi IS NOT NULL
        AND g.repeat = 0
        AND g.purpose IN (1, 2)
    ORDER BY o.judge_version_id DESC
    LIMIT 1
) AS j ON true
ORDER BY said.id DESC
LIMIT %(most)s
