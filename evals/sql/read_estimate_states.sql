-- One row is one judge version, state and reason: how many judgements of traffic (live and backfill) came to it.
-- Takes project_id, start, end, judge_id (NULL for any); hours are those the judgements were made in.
SELECT judge_id, judge_version_id, state, reason, sum(n)::bigint
FROM evals_judgement_hour
WHERE project_id = %(project_id)s
    AND hour >= %(start)s
    AND hour < %(end)s
    AND purpose IN (1, 2)
    AND (%(judge_id)s::bigint IS NULL OR judge_id = %(judge_id)s)
GROUP BY judge_id, judge_version_id, state, reason
HAVING sum(n) <> 0
