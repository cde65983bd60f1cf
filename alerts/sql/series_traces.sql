-- One row is one window and combination of dimensions: sums over the traces that began in it, own calls left out.
-- Takes project_id, starts and ends of the windows, and what {conditions} over traces_trace AS t take.
-- Stands on traces_trace_started.
SELECT
    c.place - 1 AS at, {dimensions}
    count(*)::bigint AS n,
    count(*) FILTER (WHERE t.error_count > 0) AS errors,
    count(*) FILTER (WHERE t.root_status = 2) AS failed,
    sum(t.priced_count)::bigint AS priced_count,
    sum(t.unpriced_count)::bigint AS unpriced_count,
    sum(t.unknown_usage_count)::bigint AS unknown_usage_count,
    sum(t.partial_count)::bigint AS partial_count,
    sum(t.upper_bound_count)::bigint AS upper_bound_count,
    sum(t.input_fresh) AS input_fresh,
    sum(t.input_cache_read) AS input_cache_read,
    sum(t.input_cache_write_5m) AS input_cache_write_5m,
    sum(t.input_cache_write_1h) AS input_cache_write_1h,
    sum(t.input_audio) AS input_audio,
    sum(t.output_text) AS output_text,
    sum(t.output_reasoning) AS output_reasoning,
    sum(t.output_audio) AS output_audio,
    sum(t.cost_pico) AS cost_pico
FROM unnest(%(starts)s::timestamptz[], %(ends)s::timestamptz[]) WITH ORDINALITY AS c (s, e, place)
CROSS JOIN LATERAL (
    SELECT t.* FROM traces_trace AS t WHERE t.started_at >= c.s AND t.started_at < c.e AND {conditions}
) AS t
GROUP BY c.place {groups}
