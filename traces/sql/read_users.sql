-- One row per user of a list: sums over the days and months of the segments, and when they were last and first seen among
-- the traces that are kept. {looks} narrows the ids, {conditions} the sums, {place} is behind which row the page begins.
-- Stands on the primary key of traces_user_period; when somebody was seen, for the rows shown
-- alone, on traces_trace_user. The last two: the requests of all users, and how many of them match.
WITH summed AS (
    SELECT
        u.user_id,
        sum(u.n)::bigint AS requests,
        sum(u.errors)::bigint AS errors,
        sum(u.input_tokens) AS input_tokens,
        sum(u.cached_tokens) AS cached_tokens,
        sum(u.output_tokens) AS output_tokens,
        sum(u.cost_pico) AS cost_pico,
        sum(u.unpriced_count)::bigint AS unpriced_count,
        max(u.bucket) AS last_bucket
    FROM unnest(%(grains)s::integer[], %(lows)s::timestamptz[], %(highs)s::timestamptz[]) AS segment (grain, low, high)
    JOIN traces_user_period AS u
      ON u.project_id = %(project_id)s
      AND u.grain = segment.grain
      AND u.bucket >= segment.low
      AND u.bucket < segment.high
    WHERE {looks}
    GROUP BY u.user_id
), matching AS MATERIALIZED (
    SELECT t.*
    FROM summed AS t
    WHERE {conditions}
), page AS (
    SELECT t.*
    FROM matching AS t
    WHERE {place}
    ORDER BY {order}
    LIMIT %(limit)s
)
SELECT
    t.user_id,
    t.requests,
    t.errors,
    t.input_tokens,
    t.cached_tokens,
    t.output_tokens,
    t.cost_pico,
    t.unpriced_count,
    t.last_bucket,
    (
        SELECT max(x.started_at) FROM traces_trace AS x WHERE x.project_id = %(project_id)s AND x.user_id = t.user_id
    ),
    (
        SELECT min(x.started_at) FROM traces_trace AS x WHERE x.project_id = %(project_id)s AND x.user_id = t.user_id
    ),
    (SELECT sum(s.requests) FROM summed AS s),
    (SELECT count(*) FROM matching)
FROM page AS t
ORDER BY {order}
