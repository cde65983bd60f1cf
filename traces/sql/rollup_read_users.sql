-- One row per user over days or months that begin in [low, high): their sums, the dearest (or busiest) first.
-- Stands on the primary key of traces_user_period.
SELECT u.user_id, sum(u.n)::bigint, sum(u.errors)::bigint, sum(u.input_tokens), sum(u.cached_tokens),
    sum(u.output_tokens), sum(u.cost_pico) AS cost_pico, sum(u.unpriced_count)::bigint, count(*) OVER ()
FROM unnest(%(grains)s::integer[], %(lows)s::timestamptz[], %(highs)s::timestamptz[]) AS segment (grain, low, high)
JOIN traces_user_period AS u
    ON u.project_id = %(project_id)s
    AND u.grain = segment.grain
    AND u.bucket >= segment.low
    AND u.bucket < segment.high
    AND (%(user_id)s::text IS NULL OR u.user_id = %(user_id)s)
GROUP BY u.user_id
ORDER BY {order}, u.user_id
LIMIT %(limit)s
