-- One row per provider and model without a price: its calls, tokens and time span, in the newest %(traces)s traces of a
-- window that have unpriced calls. Counted calls alone. A model is the one that answered, else the one asked for.
-- Stands on traces_trace_unpriced, then on the primary key of traces_span: OFFSET 0 keeps the look-ups by key, since a hash
-- join would read every span of the window.
WITH newest AS MATERIALIZED (
    SELECT trace_id, started_at, last_started_at
    FROM traces_trace
    WHERE project_id = %(project_id)s
      AND unpriced_count > 0
      AND started_at >= %(start)s
      AND started_at < %(end)s
    ORDER BY started_at DESC
    LIMIT %(traces)s
)
SELECT
    span.provider,
    coalesce(span.model_answered, span.model_requested) AS model,
    count(*) AS calls,
    count(DISTINCT span.trace_id) AS traces,
    sum(coalesce(input_fresh, 0) + coalesce(input_cache_read, 0) + coalesce(input_cache_write_5m, 0)
        + coalesce(input_cache_write_1h, 0) + coalesce(input_audio, 0))::bigint AS input_tokens,
    sum(coalesce(output_text, 0) + coalesce(output_reasoning, 0) + coalesce(output_audio, 0))::bigint AS output_tokens,
    min(span.started_at) AS first_at,
    max(span.started_at) AS last_at,
    (SELECT count(*) FROM newest) AS traces_seen
FROM newest
CROSS JOIN LATERAL (
    SELECT *
    FROM traces_span AS s
    WHERE s.project_id = %(project_id)s
      AND s.trace_id = newest.trace_id
      AND s.started_at BETWEEN newest.started_at AND newest.last_started_at
      AND s.cost_status = 2
      AND s.counted
    OFFSET 0
) AS span
GROUP BY 1, 2
ORDER BY calls DESC, model
LIMIT 100;
