-- One row is a trace that called a model, with what it cost. Takes project_id and what {conditions} over traces_trace AS t
-- take. Stands on traces_trace_started.
SELECT
    {dimensions} t.cost_pico,
    t.unpriced_count + t.unknown_usage_count + t.partial_count = 0 AND t.usage_count > 0 AS is_known
FROM traces_trace AS t
WHERE t.started_at >= c.s
    AND t.started_at < c.e
    AND (t.usage_count > 0 OR t.generation_count > 0)
    AND {conditions}
