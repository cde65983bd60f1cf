-- One row: a probe of a judge version and where it stands. Takes project_id, version_id, target_ids, first, last: the
-- numbers of its kind. Stands on evals_judgement_target.
SELECT target_id, span_id, repeat, state, reason, answer, cost_pico
FROM evals_judgement
WHERE project_id = %(project_id)s
    AND target_id = ANY (%(target_ids)s)
    AND judge_version_id = %(version_id)s
    AND purpose = 5
    AND repeat BETWEEN %(first)s AND %(last)s
ORDER BY target_id, span_id, repeat
