-- One row is one response of a fair draw of a stretch, with what is compared of it; in front of each the sums over all of the
-- stretch: how many, how many bad. {rows} gives trace_id, span_id, started_at, is_flagged and pi of its responses.
-- Takes project_id, start, end, seed, limit, and what {rows} takes. Stands on the key of traces_trace and of alerts_sample.
WITH u AS MATERIALIZED ({rows}),
sums AS (SELECT count(*)::bigint AS n, count(*) FILTER (WHERE is_flagged)::bigint AS bad FROM u),
drawn AS (SELECT u.* FROM u ORDER BY hashtextextended(u.trace_id::text, %(seed)s), u.span_id LIMIT %(limit)s)
SELECT
    sums.n,
    sums.bad,
    d.trace_id,
    d.started_at,
    d.is_flagged,
    d.pi,
    t.last_started_at,
    t.feature,
    t.service,
    t.environment,
    t.release,
    t.prompt_name,
    t.prompt_version,
    CASE WHEN cardinality(t.models) > 0 THEN array_to_string(t.models, ' + ') END,
    t.finish_reason,
    t.name,
    t.user_id,
    CASE WHEN cardinality(t.tags) > 0 THEN array_to_string(t.tags, ' + ') END,
    CASE WHEN t.usage_count > 0
        THEN t.input_fresh + t.input_cache_read + t.input_cache_write_5m + t.input_cache_write_1h + t.input_audio END,
    CASE WHEN t.usage_count > 0 THEN t.output_text + t.output_reasoning + t.output_audio END,
    s.trace_id IS NOT NULL,
    s.input_language
FROM sums
LEFT JOIN drawn AS d ON true
-- OFFSET 0: by the key of each, whatever the planner believes of tables that grew since it looked.
LEFT JOIN LATERAL (
    SELECT * FROM traces_trace AS o WHERE o.project_id = %(project_id)s AND o.trace_id = d.trace_id OFFSET 0
) AS t ON true
LEFT JOIN LATERAL (
    SELECT * FROM alerts_sample AS o WHERE o.project_id = %(project_id)s AND o.trace_id = d.trace_id OFFSET 0
) AS s ON true
