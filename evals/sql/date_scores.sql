-- Gives scores that came before their targets the start of these, where they have come since.
-- Takes since, the least score_id that is looked at; limit, how many targets are looked for. Stands on
-- evals_score_undated, newest first.
UPDATE evals_score AS s
SET started_at = d.started_at
FROM (
    SELECT c.project_id, c.score_id, coalesce(
        (SELECT t.started_at FROM traces_trace AS t WHERE t.project_id = c.project_id AND t.trace_id = c.trace_id),
        (
            SELECT t.started_at FROM traces_trace AS t
            WHERE t.project_id = c.project_id AND t.session_id = c.session_id
            ORDER BY t.started_at LIMIT 1
        )
    ) AS started_at
    FROM (
        SELECT project_id, score_id, trace_id, session_id
        FROM evals_score
        WHERE started_at = made_at AND source = 3 AND score_id >= %(since)s
        ORDER BY score_id DESC
        LIMIT %(limit)s
    ) AS c
) AS d
WHERE s.project_id = d.project_id
    AND s.score_id = d.score_id
    AND d.started_at IS NOT NULL
    AND d.started_at <> s.started_at
