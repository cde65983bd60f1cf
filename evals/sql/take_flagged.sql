-- Takes up to `limit` told flags of a project away and gives (judgement_id, judge_id); whoever is at it has them locked.
-- Chosen once: a plan that chose again for each row would take more. Takes project_id, limit. Stands on the primary key
-- of evals_flagged.
WITH mine AS MATERIALIZED (
    SELECT project_id, judgement_id FROM evals_flagged
    WHERE project_id = %(project_id)s
    ORDER BY judgement_id
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
)
DELETE FROM evals_flagged AS f
USING mine
WHERE f.project_id = mine.project_id AND f.judgement_id = mine.judgement_id
RETURNING f.judgement_id, f.judge_id
