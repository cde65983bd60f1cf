-- One row: what a judge version scored a target in one criterion. Takes project_id, version_id, trace_ids.
-- Stands on evals_score_trace.
SELECT s.trace_id, s.span_id, s.name, s.number, s.label
FROM evals_score AS s
JOIN evals_judgement AS g ON g.project_id = s.project_id AND g.judgement_id = s.judgement_id AND g.repeat = 0
WHERE s.project_id = %(project_id)s
    AND s.trace_id = ANY (%(trace_ids)s)
    AND s.source = 1
    AND s.judge_version_id = %(version_id)s
