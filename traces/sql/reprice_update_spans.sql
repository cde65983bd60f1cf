-- Writes new costs into spans, each found by its whole key. The times bound the partitions.
UPDATE traces_span AS span
SET cost_status = new.cost_status,
    cost_pico = new.cost_pico,
    cost_parts = new.cost_parts,
    price_id = new.price_id,
    model_priced = new.model_priced,
    flags = new.flags
FROM json_to_recordset(%(rows)s::json) AS new (
    trace_id uuid, span_id bigint, started_at timestamptz, cost_status smallint, cost_pico bigint, cost_parts bigint[],
    price_id bigint, model_priced text, flags integer
)
WHERE span.project_id = %(project_id)s
  AND span.trace_id = new.trace_id
  AND span.span_id = new.span_id
  AND span.started_at = new.started_at
  AND span.started_at >= %(oldest)s
  AND span.started_at <= %(newest)s;
