-- One row is one judge version, criterion and group: the sums over its scores with weights as drawn, and the same with
-- weights raised for what was drawn and got no score (of the same plan, stratum and hour, at most {most} times).
-- Takes project_id, start, end (whole hours), judge_id, version_id, name, feature, model, prompt_version (NULL for any),
-- zone; {key} over evals_score_hour AS h. Stands on evals_score_hour_judge and the key of
-- evals_decision_hour.
WITH scored AS (
    SELECT h.plan_id, h.hour, h.stratum, h.name, h.judge_id, sum(h.n) AS n
    FROM evals_score_hour AS h
    WHERE h.project_id = %(project_id)s
        AND h.hour >= %(start)s
        AND h.hour < %(end)s
        AND (%(judge_id)s::bigint IS NULL OR h.judge_id = %(judge_id)s)
        AND (%(name)s::text IS NULL OR h.name = %(name)s)
    GROUP BY h.plan_id, h.hour, h.stratum, h.name, h.judge_id
), taken AS (
    SELECT d.plan_id, d.hour, d.stratum, sum(d.taken) AS taken
    FROM evals_decision_hour AS d
    WHERE d.project_id = %(project_id)s
        AND d.hour >= %(start)s
        AND d.hour < %(end)s
        AND (%(judge_id)s::bigint IS NULL OR d.judge_id = %(judge_id)s)
    GROUP BY d.plan_id, d.hour, d.stratum
), factor AS (
    SELECT s.plan_id, s.hour, s.stratum, s.name, s.judge_id,
        least(greatest(t.taken::float8 / nullif(s.n, 0), 1.0), {most}) AS f
    FROM scored AS s
    JOIN taken AS t ON t.plan_id = s.plan_id AND t.hour = s.hour AND t.stratum = s.stratum
    WHERE t.taken > s.n
), hourly AS (
    SELECT
        h.judge_id, h.judge_version_id, h.plan_id, h.name, h.hour, h.stratum, {key} AS key, sum(h.n) AS n,
        sum(h.sw) AS sw, sum(h.sw2) AS sw2, sum(h.swy) AS swy, sum(h.swy2) AS swy2, sum(h.sw2y) AS sw2y,
        sum(h.sw2y2) AS sw2y2, sum(h.v0) AS v0, sum(h.v1) AS v1, sum(h.v2) AS v2
    FROM evals_score_hour AS h
    WHERE h.project_id = %(project_id)s
        AND h.hour >= %(start)s
        AND h.hour < %(end)s
        AND (%(judge_id)s::bigint IS NULL OR h.judge_id = %(judge_id)s)
        AND (%(version_id)s::bigint IS NULL OR h.judge_version_id = %(version_id)s)
        AND (%(name)s::text IS NULL OR h.name = %(name)s)
        AND (%(feature)s::text IS NULL OR h.feature = %(feature)s)
        AND (%(model)s::text IS NULL OR h.model = %(model)s)
        AND (%(prompt_version)s::text IS NULL OR h.prompt_version = %(prompt_version)s)
    GROUP BY h.judge_id, h.judge_version_id, h.plan_id, h.name, h.hour, h.stratum, {key}
), weighed AS (
    SELECT h.*, coalesce(f.f, 1.0) AS f
    FROM hourly AS h
    LEFT JOIN factor AS f
        ON f.plan_id = h.plan_id AND f.hour = h.hour AND f.stratum = h.stratum AND f.name = h.name
        AND f.judge_id = h.judge_id
)
SELECT
    judge_id, judge_version_id, name, key, sum(n)::bigint, sum(sw), sum(sw2), sum(swy), sum(swy2), sum(sw2y), sum(sw2y2),
    sum(v0), sum(v1), sum(v2),
    sum(sw * f), sum(sw2 * f * f), sum(swy * f), sum(swy2 * f), sum(sw2y * f * f), sum(sw2y2 * f * f),
    sum(CASE WHEN f = 1 THEN v0 ELSE sw2 * f * f - sw * f END),
    sum(CASE WHEN f = 1 THEN v1 ELSE sw2y * f * f - swy * f END),
    sum(CASE WHEN f = 1 THEN v2 ELSE sw2y2 * f * f - swy2 * f END)
FROM weighed
GROUP BY judge_id, judge_version_id, name, key
