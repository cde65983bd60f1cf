-- One row: the newest calibration of a judge version, criterion and scope, with what tells whether it still holds.
-- Takes project_id; versions (NULL: all), judge_id, criterion (NULL: any), only_all (scope {} alone), full (with the
-- figures). Stands on calibration_latest.
SELECT DISTINCT ON (c.judge_version_id, c.criterion, c.scope::text)
    c.id,
    j.id AS judge_id,
    j.slug,
    j.name,
    v.id AS version_id,
    v.number,
    c.criterion,
    c.scope,
    c.verdict,
    c.pairs,
    c.reviewers,
    c.labels_until,
    c.computed_at,
    c.expires_at,
    c.stale_at,
    c.stale_reason,
    live.number AS live_number,
    concat_ws(
        ', ',
        CASE WHEN live.rubric_version_id <> v.rubric_version_id THEN 'another rubric' END,
        CASE WHEN live.model <> v.model THEN 'another model' END,
        CASE WHEN live.connection_id IS DISTINCT FROM v.connection_id THEN 'another connection' END,
        CASE WHEN live.config <> v.config THEN CASE j.kind WHEN 'rule' THEN 'other rules' ELSE 'another prompt' END END
    ) AS live_differs,
    j.live_since,
    k.kind || ' ' || k.base_url AS connection_now,
    c.result -> 'stood_on' ->> 'connection' AS connection_then,
    (c.result -> 'gate' ->> 'need_more')::integer AS need_more,
    c.result -> 'gate' -> 'missed' AS missed,
    CASE WHEN %(full)s THEN c.result END AS result
FROM evals_calibration AS c
JOIN evals_judgeversion AS v ON v.id = c.judge_version_id
JOIN evals_judge AS j ON j.id = v.judge_id AND j.project_id = %(project_id)s
LEFT JOIN evals_judgeversion AS live ON live.id = j.live_version_id
LEFT JOIN evals_connection AS k ON k.id = v.connection_id
WHERE c.project_id = %(project_id)s
    AND (%(versions)s::bigint[] IS NULL OR c.judge_version_id = ANY (%(versions)s::bigint[]))
    AND (%(judge_id)s::bigint IS NULL OR v.judge_id = %(judge_id)s::bigint)
    AND (%(criterion)s::text IS NULL OR c.criterion = %(criterion)s::text)
    AND (NOT %(only_all)s OR c.scope = '{}'::jsonb)
ORDER BY c.judge_version_id, c.criterion, c.scope::text, c.computed_at DESC, c.id DESC
