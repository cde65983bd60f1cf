-- One row a request that a judge scored: its newest number and inclusion probability (NULL: drawn in no known way). Takes
-- project_id, judge_id, name, start, end, limit, and what {conditions} over traces_trace AS t take. Stands on evals_score_name
-- and the key of traces_trace.
SELECT DISTINCT ON (s.trace_id) s.trace_id, s.number, s.pi
FROM (
    SELECT s.trace_id, s.number, s.pi, s.made_at FROM evals_score AS s
    WHERE s.project_id = %(project_id)s AND s.name = %(name)s
        AND s.started_at >= %(start)s AND s.started_at < %(end)s
        AND s.judge_id = %(judge_id)s AND s.source = 1 AND s.target_kind = 1 AND s.number IS NOT NULL
    ORDER BY s.started_at DESC
    LIMIT %(limit)s
) AS s
JOIN traces_trace AS t ON t.project_id = %(project_id)s AND t.trace_id = s.trace_id
WHERE {conditions}
ORDER BY s.trace_id, s.made_at DESC
