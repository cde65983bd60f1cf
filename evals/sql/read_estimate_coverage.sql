-- One row is one judge: how much traffic its plans covered and took. Takes project_id, start, end, judge_id (NULL for
-- any). Stands on evals_decision_hour_judge.
SELECT judge_id, sum(covered)::bigint, sum(taken)::bigint, sum(uncovered)::bigint
FROM evals_decision_hour
WHERE project_id = %(project_id)s
    AND hour >= %(start)s
    AND hour < %(end)s
    AND (%(judge_id)s::bigint IS NULL OR judge_id = %(judge_id)s)
GROUP BY judge_id
