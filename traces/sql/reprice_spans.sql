-- One row per span that has or could have a cost, in some traces; perhaps of some models alone.
-- Stands on the primary key of traces_span; the times bound the partitions.
SELECT
    trace_id, span_id, started_at, kind, provider, model_answered, model_requested, service_tier, duration_ns, flags,
    counted, input_fresh, input_cache_read, input_cache_write_5m, input_cache_write_1h, input_audio, output_text,
    output_reasoning, output_audio, cost_status, cost_pico, cost_parts, price_id, model_priced
FROM traces_span
WHERE project_id = %(project_id)s
  AND trace_id = ANY(%(trace_ids)s)
  AND started_at >= %(oldest)s
  AND started_at <= %(newest)s
  AND cost_status IS NOT NULL
  AND (%(models)s::text[] IS NULL OR model_answered = ANY(%(models)s) OR model_requested = ANY(%(models)s))
ORDER BY trace_id, span_id;
