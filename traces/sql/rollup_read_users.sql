-- One row per user over the days and months of some segments: their sums, the dearest (or busiest) first, and how many
-- users there are. Bounds are literals, as in rollup_segment. Stands on the primary key of traces_user_period.
SELECT u.user_id, sum(u.n)::bigint, sum(u.errors)::bigint, sum(u.input_tokens), sum(u.cached_tokens),
    sum(u.output_tokens), sum(u.cost_pico) AS cost_pico, sum(u.unpriced_count)::bigint, count(*) OVER ()
FROM traces_user_period AS u
WHERE u.project_id = %(project_id)s AND ({segments}) {user}
GROUP BY u.user_id
ORDER BY {order}, u.user_id
LIMIT %(limit)s
