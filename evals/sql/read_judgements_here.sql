-- One row: a judgement of a judge that judges in the project itself, with the judge's slug and version.
-- Takes project_id, ids. Stands on the key of judgements.
SELECT j.judgement_id, j.target_id, j.span_id, w.slug || ' ' || v.number
FROM evals_judgement AS j
JOIN evals_judge AS w ON w.id = j.judge_id
JOIN evals_judgeversion AS v ON v.id = j.judge_version_id
WHERE j.project_id = %(project_id)s AND j.judgement_id = ANY(%(ids)s) AND w.kind <> 'external'
