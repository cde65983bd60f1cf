-- One row is a judge's score of traffic: of each target that of the live version, from live traffic or a backfill, or
-- where it has none that of the version which was live then.
-- Takes project_id, names, judges, live (version ids); {dimensions} over evals_judgement AS j; {traces} joins traces_trace
-- AS t where a filter is asked for. Stands on evals_score_name, the key of evals_judgement and
-- evals_judgement_target; OFFSET 0 keeps it there while the planner takes tables for empty.
SELECT j.judge_id, s.name, {dimensions} s.number AS y, s.pi, s.started_at, s.score_id AS tie
FROM evals_score AS s
CROSS JOIN LATERAL (
    SELECT * FROM evals_judgement AS k
    WHERE k.project_id = s.project_id AND k.judgement_id = s.judgement_id
    OFFSET 0
) AS j
{traces}
WHERE s.project_id = %(project_id)s
    AND s.name = ANY (%(names)s::text[])
    AND s.started_at >= c.s
    AND s.started_at < c.e
    AND s.source = 1
    AND s.target_kind IN (1, 2)
    AND s.number BETWEEN -1e15 AND 1e15
    AND s.pi > 0
    AND j.judge_id = ANY (%(judges)s::bigint[])
    AND j.repeat = 0
    AND j.purpose IN (1, 2)
    AND (j.judge_version_id = ANY (%(live)s::bigint[]) OR (j.purpose = 1 AND NOT EXISTS (
        SELECT FROM (
            SELECT * FROM evals_judgement AS o
            WHERE o.project_id = j.project_id AND o.target_id = j.target_id
            OFFSET 0
        ) AS other
        WHERE other.judge_version_id = ANY (%(live)s::bigint[]) AND other.judge_id = j.judge_id
            AND other.span_id = j.span_id AND other.purpose IN (1, 2) AND other.repeat = 0 AND other.state = 'scored'
    )))
    {conditions}
