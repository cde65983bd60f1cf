-- One row is a number that a program sent as the score of a trace or span, each counted alike.
-- Takes project_id, names; {dimensions} over traces_trace AS t. Stands on evals_score_name.
SELECT 0::bigint AS judge_id, s.name, {dimensions} s.number AS y, 1.0::float8 AS pi, s.started_at, s.score_id AS tie
FROM evals_score AS s
{traces}
WHERE s.project_id = %(project_id)s
    AND s.name = ANY (%(names)s::text[])
    AND s.started_at >= c.s
    AND s.started_at < c.e
    AND s.source = 3
    AND s.target_kind IN (1, 2)
    AND s.number BETWEEN -1e15 AND 1e15
    {conditions}
