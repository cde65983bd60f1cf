-- As rollup_read_users, where a window holds too many rows to sum them all: of the users who were among the dearest of
-- one of its days or months, those with most of that; their sums over the whole window are exact. `count` is that of the
-- fullest day or month, counted no further than 10,000. Stands on traces_user_period_cost and the primary key.
WITH asked AS (
    SELECT * FROM unnest(%(grains)s::integer[], %(buckets)s::timestamptz[]) AS asked (grain, bucket)
), dear AS (
    SELECT top.user_id
    FROM asked
    CROSS JOIN LATERAL (
        SELECT u.user_id, u.cost_pico FROM traces_user_period AS u
        WHERE u.project_id = %(project_id)s AND u.grain = asked.grain AND u.bucket = asked.bucket
        ORDER BY u.cost_pico DESC
        LIMIT %(each)s
    ) AS top
    GROUP BY top.user_id
    ORDER BY sum(top.cost_pico) DESC, top.user_id
    LIMIT %(many)s
), fullest AS (
    SELECT max((
        SELECT count(*) FROM (
            SELECT 1 FROM traces_user_period AS u
            WHERE u.project_id = %(project_id)s AND u.grain = asked.grain AND u.bucket = asked.bucket
            LIMIT 10000
        ) AS counted
    )) AS n
    FROM asked
)
SELECT u.user_id, sum(u.n)::bigint, sum(u.errors)::bigint, sum(u.input_tokens), sum(u.cached_tokens),
    sum(u.output_tokens), sum(u.cost_pico) AS cost_pico, sum(u.unpriced_count)::bigint, (SELECT n FROM fullest)
FROM dear
CROSS JOIN asked
JOIN traces_user_period AS u
    ON u.project_id = %(project_id)s
    AND u.grain = asked.grain
    AND u.bucket = asked.bucket
    AND u.user_id = dear.user_id
GROUP BY u.user_id
ORDER BY {order}, u.user_id
LIMIT %(limit)s
