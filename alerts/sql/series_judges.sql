-- One row is a judge of the project (by the slugs asked for, NULL for all) with its live version, or the newest where
-- none is live: what its scores mean now.
SELECT g.id, g.slug, g.name, g.live_version_id, v.id, v.number, v.config_hash, r.spec::text
FROM evals_judge AS g
JOIN LATERAL (
    SELECT v.id, v.number, v.config_hash, v.rubric_version_id
    FROM evals_judgeversion AS v
    WHERE v.judge_id = g.id
    ORDER BY v.id = g.live_version_id DESC NULLS LAST, v.number DESC
    LIMIT 1
) AS v ON true
JOIN evals_rubricversion AS r ON r.id = v.rubric_version_id
WHERE g.project_id = %(project_id)s AND (%(slugs)s::text[] IS NULL OR g.slug = ANY (%(slugs)s::text[]))
ORDER BY g.archived_at IS NOT NULL, g.name, g.id
