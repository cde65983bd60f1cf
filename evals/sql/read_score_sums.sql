-- One row: the weighted sums of a judge version's scores of a window, by criterion. Takes project_id, judge_id,
-- version_id, start, end_. Stands on evals_score_hour_judge.
SELECT name, sum(n)::bigint AS n, sum(sw) AS sw, sum(sw2) AS sw2, sum(swy) AS swy, sum(swy2) AS swy2,
    sum(sw2y) AS sw2y, sum(sw2y2) AS sw2y2, sum(v0) AS v0, sum(v1) AS v1, sum(v2) AS v2
FROM evals_score_hour
WHERE project_id = %(project_id)s
    AND judge_id = %(judge_id)s
    AND judge_version_id = %(version_id)s
    AND hour >= %(start)s
    AND hour < %(end_)s
GROUP BY name
