-- One row is one judge version, criterion and group: the sums over its scores with weights as drawn, and the same with
-- weights raised for what was drawn and got no score (of the same plan, stratum and hour, at most {most} times). Days
-- that are made are read as days where {days}, all else by the hour; the last figure is how many rows by the hour.
-- Takes project_id, start, end (whole hours), judge_id, version_id, name, feature, model, prompt_version (NULL for any),
-- zone; {key} over evals_score_hour AS h, {day_key} over evals_score_day AS h.
-- Stands on evals_score_hour_when, evals_decision_hour_when and the key of evals_score_day.
WITH built AS MATERIALIZED (
    SELECT b.day, b.starts_at, b.ends_at
    FROM evals_day_built AS b
    WHERE {days}
        AND b.project_id = %(project_id)s
        AND b.zone = %(zone)s
        AND b.starts_at >= %(start)s
        AND b.ends_at <= %(end)s
        AND NOT EXISTS (
            SELECT FROM evals_day_stale AS s
            WHERE s.project_id = b.project_id AND s.hour >= b.starts_at AND s.hour < b.ends_at
        )
), gaps AS MATERIALIZED (
    -- What lies between the days that are made.
    SELECT e.s, e.e
    FROM (
        SELECT lag(b.ends_at, 1, %(start)s::timestamptz) OVER (ORDER BY b.starts_at) AS s, b.starts_at AS e
        FROM (
            SELECT starts_at, ends_at FROM built UNION ALL SELECT %(end)s::timestamptz, %(end)s::timestamptz
        ) AS b
    ) AS e
    WHERE e.s < e.e
), hours AS MATERIALIZED (
    SELECT h.*
    FROM gaps AS g
    CROSS JOIN LATERAL (
        SELECT * FROM evals_score_hour AS o
        WHERE o.project_id = %(project_id)s AND o.hour >= g.s AND o.hour < g.e
            AND (%(judge_id)s::bigint IS NULL OR o.judge_id = %(judge_id)s)
            AND (%(name)s::text IS NULL OR o.name = %(name)s)
        OFFSET 0
    ) AS h
), scored AS (
    SELECT h.plan_id, h.hour, h.stratum, h.name, h.judge_id, sum(h.n) AS n
    FROM hours AS h
    GROUP BY h.plan_id, h.hour, h.stratum, h.name, h.judge_id
), taken AS (
    SELECT d.plan_id, d.hour, d.stratum, sum(d.taken) AS taken
    FROM gaps AS g
    CROSS JOIN LATERAL (
        SELECT * FROM evals_decision_hour AS o
        WHERE o.project_id = %(project_id)s AND o.hour >= g.s AND o.hour < g.e
            AND (%(judge_id)s::bigint IS NULL OR o.judge_id = %(judge_id)s)
        OFFSET 0
    ) AS d
    GROUP BY d.plan_id, d.hour, d.stratum
), factor AS (
    SELECT s.plan_id, s.hour, s.stratum, s.name, s.judge_id,
        least(greatest(t.taken::float8 / nullif(s.n, 0), 1.0), {most}) AS f
    FROM scored AS s
    JOIN taken AS t ON t.plan_id = s.plan_id AND t.hour = s.hour AND t.stratum = s.stratum
    WHERE t.taken > s.n
), weighed AS (
    SELECT h.*, {key} AS key, coalesce(f.f, 1.0) AS f
    FROM hours AS h
    LEFT JOIN factor AS f
        ON f.plan_id = h.plan_id AND f.hour = h.hour AND f.stratum = h.stratum AND f.name = h.name
        AND f.judge_id = h.judge_id
    WHERE (%(version_id)s::bigint IS NULL OR h.judge_version_id = %(version_id)s)
        AND (%(feature)s::text IS NULL OR h.feature = %(feature)s)
        AND (%(model)s::text IS NULL OR h.model = %(model)s)
        AND (%(prompt_version)s::text IS NULL OR h.prompt_version = %(prompt_version)s)
), parts AS (
    SELECT
        judge_id, judge_version_id, name, key, n, sw, sw2, swy, swy2, sw2y, sw2y2, v0, v1, v2,
        sw * f AS r_sw, sw2 * f * f AS r_sw2, swy * f AS r_swy, swy2 * f AS r_swy2, sw2y * f * f AS r_sw2y,
        sw2y2 * f * f AS r_sw2y2,
        CASE WHEN f = 1 THEN v0 ELSE sw2 * f * f - sw * f END AS r_v0,
        CASE WHEN f = 1 THEN v1 ELSE sw2y * f * f - swy * f END AS r_v1,
        CASE WHEN f = 1 THEN v2 ELSE sw2y2 * f * f - swy2 * f END AS r_v2, 1 AS by_hour
    FROM weighed
    UNION ALL
    SELECT
        h.judge_id, h.judge_version_id, h.name, {day_key} AS key, h.n, h.sw, h.sw2, h.swy, h.swy2, h.sw2y, h.sw2y2,
        h.v0, h.v1, h.v2, h.r_sw, h.r_sw2, h.r_swy, h.r_swy2, h.r_sw2y, h.r_sw2y2, h.r_v0, h.r_v1, h.r_v2, 0
    FROM evals_score_day AS h
    WHERE h.project_id = %(project_id)s
        AND h.day = ANY (ARRAY(SELECT day FROM built))
        AND (%(judge_id)s::bigint IS NULL OR h.judge_id = %(judge_id)s)
        AND (%(version_id)s::bigint IS NULL OR h.judge_version_id = %(version_id)s)
        AND (%(name)s::text IS NULL OR h.name = %(name)s)
        AND (%(feature)s::text IS NULL OR h.feature = %(feature)s)
        AND (%(model)s::text IS NULL OR h.model = %(model)s)
        AND (%(prompt_version)s::text IS NULL OR h.prompt_version = %(prompt_version)s)
)
SELECT
    judge_id, judge_version_id, name, key, sum(n)::bigint, sum(sw), sum(sw2), sum(swy), sum(swy2), sum(sw2y), sum(sw2y2),
    sum(v0), sum(v1), sum(v2), sum(r_sw), sum(r_sw2), sum(r_swy), sum(r_swy2), sum(r_sw2y), sum(r_sw2y2), sum(r_v0),
    sum(r_v1), sum(r_v2), sum(by_hour)::bigint
FROM parts
GROUP BY judge_id, judge_version_id, name, key
