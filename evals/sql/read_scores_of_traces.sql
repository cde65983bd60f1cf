-- One row is the newest score of one name by one giver on one of the traces.
-- Takes project_id, trace_ids; name and judge ('' for any); each, how many of a trace at most. Stands on
-- evals_score_trace.
SELECT t.trace_id, s.*
FROM unnest(%(trace_ids)s::uuid[]) AS t (trace_id)
CROSS JOIN LATERAL (
    SELECT DISTINCT ON (c.name, c.source, c.judge_id, c.author)
        c.name, c.source, c.data_type, c.number, c.label, j.slug, g.is_flagged, c.made_at, c.rubric_version_id
    FROM evals_score AS c
    LEFT JOIN evals_judge AS j ON j.id = c.judge_id
    LEFT JOIN evals_judgement AS g ON g.project_id = c.project_id AND g.judgement_id = c.judgement_id
    WHERE c.project_id = %(project_id)s
        AND c.trace_id = t.trace_id
        AND c.target_kind IN (1, 2)
        AND (%(name)s = '' OR c.name = %(name)s)
        AND (%(judge)s = '' OR j.slug = %(judge)s)
    ORDER BY c.name, c.source, c.judge_id, c.author, c.score_id DESC
    LIMIT %(each)s
) AS s
