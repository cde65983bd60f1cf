-- One row: how many labelled targets a judge version scored in a criterion. Takes project_id, name.
-- Stands on evals_score_people and evals_score_trace.
SELECT j.judge_version_id, count(*) AS judged
FROM (
    SELECT DISTINCT trace_id
    FROM evals_score
    WHERE project_id = %(project_id)s AND source = 2 AND name = %(name)s AND trace_id IS NOT NULL
) AS labelled
JOIN evals_score AS j ON j.project_id = %(project_id)s AND j.trace_id = labelled.trace_id
WHERE j.source = 1 AND j.name = %(name)s AND j.judge_version_id IS NOT NULL
GROUP BY j.judge_version_id
