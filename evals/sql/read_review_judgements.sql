-- One row: a scored judgement of a trace or span, with the score of one criterion where `name` is given.
-- Takes project_id; ids (NULL: any), judge_id, version_id, since (NULL: any), name and feature ('': any), flagged and
-- drawn (only such), limit: the newest. Stands on evals_judgement_newest, evals_judgement_flagged.
SELECT
    j.judgement_id,
    j.judge_id,
    w.name AS judge_name,
    j.target_id,
    j.span_id,
    j.started_at,
    j.feature,
    j.model,
    j.prompt_version,
    j.pi,
    s.number,
    s.label
FROM evals_judgement AS j
JOIN evals_judge AS w ON w.id = j.judge_id
LEFT JOIN evals_score AS s ON s.judgement_id = j.judgement_id AND s.name = %(name)s AND %(name)s <> ''
WHERE j.project_id = %(project_id)s
    AND j.state = 'scored'
    AND j.repeat = 0
    AND j.target_kind IN (1, 2)
    AND j.purpose IN (1, 2, 3)
    AND (%(ids)s::bigint[] IS NULL OR j.judgement_id = ANY(%(ids)s))
    AND (%(judge_id)s::bigint IS NULL OR j.judge_id = %(judge_id)s)
    AND (%(version_id)s::bigint IS NULL OR j.judge_version_id = %(version_id)s)
    AND (%(since)s::timestamptz IS NULL OR j.started_at >= %(since)s)
    AND (%(feature)s = '' OR j.feature = %(feature)s)
    AND (NOT %(flagged)s OR j.is_flagged)
    AND (NOT %(drawn)s OR j.pi IS NOT NULL)
    AND (%(name)s = '' OR s.score_id IS NOT NULL)
ORDER BY j.judgement_id DESC
LIMIT %(limit)s
