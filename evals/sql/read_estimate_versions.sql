-- One row is one judge version with its judge and its rubric's criteria. Takes project_id, version_ids.
SELECT
    v.id, v.number, v.model, j.id, j.slug, j.name, j.kind, j.live_version_id, rv.id, r.name, r.slug, rv.number,
    rv.spec::text
FROM evals_judgeversion AS v
JOIN evals_judge AS j ON j.id = v.judge_id
JOIN evals_rubricversion AS rv ON rv.id = v.rubric_version_id
JOIN evals_rubric AS r ON r.id = rv.rubric_id
WHERE j.project_id = %(project_id)s AND v.id = ANY(%(version_ids)s::bigint[])
