-- Takes told scores of programs away whose trace is there, and those whose trace did not come in time. One row: a score
-- with its trace; whoever is at it has it locked. Takes project_id, limit, too_old. Stands on the key of evals_feedback.
WITH told AS (
    SELECT f.project_id, f.score_id
    FROM evals_feedback AS f
    WHERE f.project_id = %(project_id)s
        AND (
            f.told_at < %(too_old)s
            OR NOT EXISTS (SELECT 1 FROM evals_score AS s WHERE s.project_id = f.project_id AND s.score_id = f.score_id)
            OR EXISTS (
                SELECT 1
                FROM evals_score AS s
                JOIN traces_trace AS t ON t.project_id = s.project_id AND t.trace_id = s.trace_id
                WHERE s.project_id = f.project_id AND s.score_id = f.score_id
            )
        )
    ORDER BY f.score_id
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
), taken AS (
    DELETE FROM evals_feedback AS f USING told WHERE f.project_id = told.project_id AND f.score_id = told.score_id
    RETURNING f.project_id, f.score_id
)
SELECT
    s.name,
    s.number,
    s.label,
    s.trace_id,
    s.span_id,
    t.started_at,
    coalesce(t.feature, '') AS feature,
    coalesce(t.models[1], '') AS model,
    coalesce(t.prompt_version, '') AS prompt_version
FROM taken
LEFT JOIN evals_score AS s ON s.project_id = taken.project_id AND s.score_id = taken.score_id
LEFT JOIN traces_trace AS t ON t.project_id = s.project_id AND t.trace_id = s.trace_id
