-- Sums of whole days from those by the hour. Takes project_id and days, starts, ends (arrays): hours that begin in
-- [starts, ends) are the day's. Weights are raised as evals/sql/read_estimate_sums.sql raises them.
-- Stands on evals_score_hour_when and evals_decision_hour_when.
WITH days AS (
    SELECT * FROM unnest(%(days)s::date[], %(starts)s::timestamptz[], %(ends)s::timestamptz[]) AS d (day, s, e)
), hours AS (
    SELECT d.day, h.*
    FROM days AS d
    JOIN evals_score_hour AS h ON h.project_id = %(project_id)s AND h.hour >= d.s AND h.hour < d.e
), scored AS (
    SELECT h.plan_id, h.hour, h.stratum, h.name, h.judge_id, sum(h.n) AS n
    FROM hours AS h
    GROUP BY h.plan_id, h.hour, h.stratum, h.name, h.judge_id
), taken AS (
    SELECT t.plan_id, t.hour, t.stratum, sum(t.taken) AS taken
    FROM days AS d
    JOIN evals_decision_hour AS t ON t.project_id = %(project_id)s AND t.hour >= d.s AND t.hour < d.e
    GROUP BY t.plan_id, t.hour, t.stratum
), factor AS (
    SELECT s.plan_id, s.hour, s.stratum, s.name, s.judge_id,
        least(greatest(t.taken::float8 / nullif(s.n, 0), 1.0), {most}) AS f
    FROM scored AS s
    JOIN taken AS t ON t.plan_id = s.plan_id AND t.hour = s.hour AND t.stratum = s.stratum
    WHERE t.taken > s.n
), weighed AS (
    SELECT h.*, coalesce(f.f, 1.0) AS f
    FROM hours AS h
    LEFT JOIN factor AS f
        ON f.plan_id = h.plan_id AND f.hour = h.hour AND f.stratum = h.stratum AND f.name = h.name
        AND f.judge_id = h.judge_id
)
INSERT INTO evals_score_day
SELECT
    project_id, day, judge_id, judge_version_id, name, feature, model, prompt_version, sum(n), sum(sw), sum(sw2),
    sum(swy), sum(swy2), sum(sw2y), sum(sw2y2), sum(v0), sum(v1), sum(v2),
    sum(sw * f), sum(sw2 * f * f), sum(swy * f), sum(swy2 * f), sum(sw2y * f * f), sum(sw2y2 * f * f),
    sum(CASE WHEN f = 1 THEN v0 ELSE sw2 * f * f - sw * f END),
    sum(CASE WHEN f = 1 THEN v1 ELSE sw2y * f * f - swy * f END),
    sum(CASE WHEN f = 1 THEN v2 ELSE sw2y2 * f * f - swy2 * f END)
FROM weighed
GROUP BY project_id, day, judge_id, judge_version_id, name, feature, model, prompt_version
