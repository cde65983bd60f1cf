-- Adds what changed in their spans to trace rows; the caller holds their locks.
UPDATE traces_trace AS trace
SET cost_pico = trace.cost_pico + new.cost_pico,
    priced_count = trace.priced_count + new.priced_count,
    unpriced_count = trace.unpriced_count + new.unpriced_count,
    unknown_usage_count = trace.unknown_usage_count + new.unknown_usage_count,
    partial_count = trace.partial_count + new.partial_count,
    upper_bound_count = trace.upper_bound_count + new.upper_bound_count,
    flags = coalesce(
        (
            SELECT bit_or(span.flags)
            FROM traces_span AS span
            WHERE new.recount_flags
              AND span.project_id = trace.project_id
              AND span.trace_id = trace.trace_id
              AND span.started_at BETWEEN trace.started_at AND trace.last_started_at
        ),
        trace.flags
    ),
    updated_at = now()
FROM json_to_recordset(%(rows)s::json) AS new (
    trace_id uuid, cost_pico numeric, priced_count integer, unpriced_count integer, unknown_usage_count integer,
    partial_count integer, upper_bound_count integer, recount_flags boolean
)
WHERE trace.project_id = %(project_id)s
  AND trace.trace_id = new.trace_id;
