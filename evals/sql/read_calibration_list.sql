-- One row: a calibration as it was kept, newest first, with what tells whether it still holds.
-- Takes project_id; judge_id, version_id, criterion, scope, calibration_id, before (NULL: any), full, most.
-- Stands on calibration_latest.
SELECT
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
    CASE
        WHEN %(full)s THEN c.result
        ELSE jsonb_build_object('agreement', c.result -> 'agreement', 'gate', c.result -> 'gate')
    END AS result
FROM evals_calibration AS c
JOIN evals_judgeversion AS v ON v.id = c.judge_version_id
JOIN evals_judge AS j ON j.id = v.judge_id AND j.project_id = %(project_id)s
LEFT JOIN evals_judgeversion AS live ON live.id = j.live_version_id
LEFT JOIN evals_connection AS k ON k.id = v.connection_id
WHERE c.project_id = %(project_id)s
    AND (%(calibration_id)s::bigint IS NULL OR c.id = %(calibration_id)s::bigint)
    AND (%(judge_id)s::bigint IS NULL OR v.judge_id = %(judge_id)s::bigint)
    AND (%(version_id)s::bigint IS NULL OR c.judge_version_id = %(version_id)s::bigint)
    AND (%(criterion)s::text IS NULL OR c.criterion = %(criterion)s::text)
    AND (%(scope)s::jsonb IS NULL OR c.scope = %(scope)s::jsonb)
    AND (%(before)s::bigint IS NULL OR c.id < %(before)s::bigint)
ORDER BY c.id DESC
LIMIT %(most)s
