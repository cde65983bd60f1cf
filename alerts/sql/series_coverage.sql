-- One row is one window, judge and combination of dimensions: traces that the judge's filter fits, and those of them that
-- have a live judgement with a score. Takes project_id, judges, starts and ends (whole hours); {dimensions} over h.
-- Stands on evals_decision_hour_judge and evals_judgement_age.
SELECT c.place - 1 AS at, h.judge_id, {dimensions} sum(h.fits)::bigint, sum(h.judged)::bigint
FROM unnest(%(starts)s::timestamptz[], %(ends)s::timestamptz[]) WITH ORDINALITY AS c (s, e, place)
CROSS JOIN LATERAL (
    SELECT d.judge_id, d.feature, d.model, d.prompt_version, d.covered + d.uncovered AS fits, 0 AS judged
    FROM evals_decision_hour AS d
    WHERE d.project_id = %(project_id)s
        AND d.judge_id = ANY (%(judges)s::bigint[])
        AND d.hour >= c.s
        AND d.hour < c.e
    UNION ALL
    SELECT j.judge_id, j.feature, j.model, j.prompt_version, 0, count(DISTINCT j.target_id)
    FROM evals_judgement AS j
    WHERE j.project_id = %(project_id)s
        AND j.started_at >= c.s
        AND j.started_at < c.e
        AND j.judge_id = ANY (%(judges)s::bigint[])
        AND j.state = 'scored'
        AND j.purpose = 1
        AND j.repeat = 0
    GROUP BY j.judge_id, j.feature, j.model, j.prompt_version
) AS h
GROUP BY 1, 2 {groups}
