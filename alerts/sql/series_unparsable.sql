-- One row is one window and judge: answers that were scores, and answers of no use, by the hour judgements were made in.
-- Takes project_id, judges, reasons (of no use), starts and ends. Stands on the key of evals_judgement_hour.
SELECT c.place - 1 AS at, h.judge_id, h.scored, h.unusable
FROM unnest(%(starts)s::timestamptz[], %(ends)s::timestamptz[]) WITH ORDINALITY AS c (s, e, place)
CROSS JOIN LATERAL (
    SELECT
        h.judge_id,
        coalesce(sum(h.n) FILTER (WHERE h.state = 'scored'), 0)::bigint AS scored,
        coalesce(sum(h.n) FILTER (WHERE h.state = 'failed' AND h.reason = ANY (%(reasons)s::text[])), 0)::bigint AS unusable
    FROM evals_judgement_hour AS h
    WHERE h.project_id = %(project_id)s
        AND h.judge_version_id = ANY (ARRAY(SELECT id FROM evals_judgeversion WHERE judge_id = ANY (%(judges)s::bigint[])))
        AND h.purpose IN (1, 2)
        AND h.hour >= c.s
        AND h.hour < c.e
    GROUP BY h.judge_id
) AS h
