-- One row: judgements of a version that ended failed for a reason, or scored (reason ''), on traffic.
-- Takes project_id, version_id. Stands on the primary key of evals_judgement_hour.
SELECT state, reason, sum(n)::bigint AS n
FROM evals_judgement_hour
WHERE project_id = %(project_id)s
    AND judge_version_id = %(version_id)s
    AND purpose IN (1, 2, 3)
    AND state IN ('scored', 'failed')
GROUP BY state, reason
HAVING sum(n) > 0
