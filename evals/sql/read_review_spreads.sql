-- One row: a judge's score of one criterion, as number and label, and the number a person gave the same target.
-- Takes project_id, name, judge_id, limit: the newest. Stands on evals_score_people, evals_score_trace.
SELECT
    s.number,
    s.label,
    p.number
FROM evals_score AS p
JOIN evals_score AS s
    ON s.project_id = p.project_id
    AND s.trace_id = p.trace_id
    AND s.span_id = p.span_id
    AND s.name = p.name
    AND s.source = 1
WHERE p.project_id = %(project_id)s
    AND p.source = 2
    AND p.name = %(name)s
    AND p.number IS NOT NULL
    AND s.judge_id = %(judge_id)s
ORDER BY p.updated_at DESC
LIMIT %(limit)s
