-- One row is one level of a criterion of a judge version: how many scores said it, and the sum of their weights.
-- Takes project_id, start, end, judge_id, version_id, feature, model, prompt_version (NULL for any), names.
SELECT h.judge_version_id, h.name, level.key, sum((level.value ->> 0)::bigint)::bigint, sum((level.value ->> 1)::float8)
FROM evals_score_hour AS h
CROSS JOIN LATERAL jsonb_each(h.levels) AS level
WHERE h.project_id = %(project_id)s
    AND h.hour >= %(start)s
    AND h.hour < %(end)s
    AND h.name = ANY(%(names)s::text[])
    AND (%(judge_id)s::bigint IS NULL OR h.judge_id = %(judge_id)s)
    AND (%(version_id)s::bigint IS NULL OR h.judge_version_id = %(version_id)s)
    AND (%(feature)s::text IS NULL OR h.feature = %(feature)s)
    AND (%(model)s::text IS NULL OR h.model = %(model)s)
    AND (%(prompt_version)s::text IS NULL OR h.prompt_version = %(prompt_version)s)
GROUP BY h.judge_version_id, h.name, level.key
HAVING sum((level.value ->> 0)::bigint) <> 0
