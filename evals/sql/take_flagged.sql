-- Takes up to `limit` told flags of a project away and gives (judgement_id, judge_id); whoever is at it has them locked.
-- Takes project_id, limit. Stands on the primary key of evals_flagged.
DELETE FROM evals_flagged
WHERE (project_id, judgement_id) IN (
    SELECT project_id, judgement_id FROM evals_flagged
    WHERE project_id = %(project_id)s
    ORDER BY judgement_id
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
)
RETURNING judgement_id, judge_id
