-- One row is a judged target with 1 where the judge flagged it, else 0; as series_scores_judged.
-- Takes project_id, judges, live. Stands on evals_judgement_age and evals_judgement_target.
SELECT
    j.judge_id, '_flag' AS name, {dimensions} j.is_flagged::int::float8 AS y, j.pi, j.started_at, j.judgement_id AS tie
FROM evals_judgement AS j
{traces}
WHERE j.project_id = %(project_id)s
    AND j.started_at >= c.s
    AND j.started_at < c.e
    AND j.judge_id = ANY (%(judges)s::bigint[])
    AND j.state = 'scored'
    AND j.target_kind IN (1, 2)
    AND j.repeat = 0
    AND j.is_flagged IS NOT NULL
    AND j.pi > 0
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
