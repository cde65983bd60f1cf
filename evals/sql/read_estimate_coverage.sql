-- One row is one judge: how much traffic its plans covered and took; days that are made as days, all else by the hour.
-- Takes project_id, zone, start, end, judge_id, feature, model, prompt_version (NULL for any).
-- Stands on evals_decision_hour_when and the key of evals_decision_day.
WITH built AS MATERIALIZED (
    SELECT b.day, b.starts_at, b.ends_at
    FROM evals_day_built AS b
    WHERE b.project_id = %(project_id)s
        AND b.zone = %(zone)s
        AND b.starts_at >= %(start)s
        AND b.ends_at <= %(end)s
        AND NOT EXISTS (
            SELECT FROM evals_day_stale AS s
            WHERE s.project_id = b.project_id AND s.hour >= b.starts_at AND s.hour < b.ends_at
        )
), gaps AS MATERIALIZED (
    SELECT e.s, e.e
    FROM (
        SELECT lag(b.ends_at, 1, %(start)s::timestamptz) OVER (ORDER BY b.starts_at) AS s, b.starts_at AS e
        FROM (
            SELECT starts_at, ends_at FROM built UNION ALL SELECT %(end)s::timestamptz, %(end)s::timestamptz
        ) AS b
    ) AS e
    WHERE e.s < e.e
), parts AS (
    SELECT h.judge_id, h.feature, h.model, h.prompt_version, h.covered, h.taken, h.uncovered
    FROM gaps AS g
    CROSS JOIN LATERAL (
        SELECT * FROM evals_decision_hour AS o
        WHERE o.project_id = %(project_id)s AND o.hour >= g.s AND o.hour < g.e
        OFFSET 0
    ) AS h
    UNION ALL
    SELECT h.judge_id, h.feature, h.model, h.prompt_version, h.covered, h.taken, h.uncovered
    FROM evals_decision_day AS h
    WHERE h.project_id = %(project_id)s AND h.day = ANY (ARRAY(SELECT day FROM built))
)
SELECT judge_id, sum(covered)::bigint, sum(taken)::bigint, sum(uncovered)::bigint
FROM parts
WHERE (%(judge_id)s::bigint IS NULL OR judge_id = %(judge_id)s)
    AND (%(feature)s::text IS NULL OR feature = %(feature)s)
    AND (%(model)s::text IS NULL OR model = %(model)s)
    AND (%(prompt_version)s::text IS NULL OR prompt_version = %(prompt_version)s)
GROUP BY judge_id
