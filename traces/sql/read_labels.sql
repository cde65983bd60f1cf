-- One row per span asked for: what a line of the waterfall says beside the bar. Stands on the primary key.
SELECT
    s.span_id, s.ttft_ns, coalesce(s.model_answered, s.model_requested), s.tool_name, s.error_type, s.cost_status,
    s.cost_pico, s.counted, s.input_fresh, s.output_text
FROM traces_span AS s
WHERE s.project_id = %(project_id)s
  AND s.trace_id = %(trace_id)s
  AND s.started_at >= %(first)s
  AND s.started_at <= %(last)s
  AND s.span_id = ANY(%(span_ids)s::bigint[])
