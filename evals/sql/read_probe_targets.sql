-- One row: a target that a judge version scored, the newest first. Takes project_id, judge_id, version_id, since, most.
-- Stands on evals_judgement_newest.
SELECT target_kind, target_id, span_id, started_at, feature, model, prompt_version, session_id
FROM evals_judgement
WHERE project_id = %(project_id)s
    AND judge_id = %(judge_id)s
    AND judge_version_id = %(version_id)s
    AND state = 'scored'
    AND repeat = 0
    AND target_kind IN (1, 2)
    AND purpose IN (1, 2, 3)
    AND done_at >= %(since)s
ORDER BY judgement_id DESC
LIMIT %(most)s
