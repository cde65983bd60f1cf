-- One row a project of %(projects)s that has traces in [%(start)s, %(end)s): how many, how many with an error, what they
-- cost, by what is known of it. Reads the newest %(most)s traces of each at most, by traces_trace_started: what is beyond
-- makes the row a lower bound and the same price at any size.
SELECT
    p.project_id,
    count(*)::bigint AS traces,
    count(*) FILTER (WHERE t.error_count > 0)::bigint AS errors,
    sum(t.cost_pico)::numeric AS cost_pico,
    sum(t.priced_count)::bigint AS priced,
    sum(t.unpriced_count)::bigint AS unpriced,
    sum(t.unknown_usage_count)::bigint AS unknown_usage,
    sum(t.partial_count)::bigint AS partial,
    sum(t.upper_bound_count)::bigint AS upper_bound
FROM unnest(%(projects)s::integer[]) AS p (project_id)
CROSS JOIN LATERAL (
    SELECT error_count, cost_pico, priced_count, unpriced_count, unknown_usage_count, partial_count, upper_bound_count
    FROM traces_trace
    WHERE project_id = p.project_id
        AND started_at >= %(start)s
        AND started_at < %(end)s
    ORDER BY started_at DESC, trace_id DESC
    LIMIT %(most)s
) AS t
GROUP BY p.project_id
