-- One row: how many traces a judge's plans covered since a time, by feature and model. Takes project_id, judge_id, since.
-- Stands on evals_decision_hour_judge.
SELECT feature, model, sum(covered)::bigint AS covered
FROM evals_decision_hour
WHERE project_id = %(project_id)s
    AND judge_id = %(judge_id)s
    AND hour >= %(since)s
GROUP BY feature, model
