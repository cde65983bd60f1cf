-- One row per span asked for: what a line of the waterfall says beside the bar. Stands on the primary key.
SELECT
    s.span_id, s.ttft_ns, coalesce(s.model_answered, s.model_requested), s.tool_name, s.error_type, s.cost_status,
    s.cost_pico, s.counted,
    -- Of all buckets; NULL where none is known.
    CASE WHEN num_nonnulls(
        s.input_fresh, s.input_cache_read, s.input_cache_write_5m, s.input_cache_write_1h, s.input_audio) > 0
    THEN coalesce(s.input_fresh, 0) + coalesce(s.input_cache_read, 0) + coalesce(s.input_cache_write_5m, 0)
        + coalesce(s.input_cache_write_1h, 0) + coalesce(s.input_audio, 0) END,
    CASE WHEN num_nonnulls(s.output_text, s.output_reasoning, s.output_audio) > 0
    THEN coalesce(s.output_text, 0) + coalesce(s.output_reasoning, 0) + coalesce(s.output_audio, 0) END
FROM traces_span AS s
WHERE s.project_id = %(project_id)s
  AND s.trace_id = %(trace_id)s
  AND s.started_at >= %(first)s
  AND s.started_at <= %(last)s
  AND s.span_id = ANY(%(span_ids)s::bigint[])
