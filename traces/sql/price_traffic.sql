-- One row per provider, model and price row used: counted calls and their cost in the newest traces of a window, at most
-- %(traces)s of them and at most %(spans)s spans.
-- Stands on traces_trace_started, then on the primary key of traces_span: OFFSET 0 keeps the look-ups by key.
WITH candidates AS (
    SELECT trace_id, started_at, last_started_at, sum(span_count) OVER (ORDER BY started_at DESC, trace_id DESC) AS spans
    FROM (
        SELECT trace_id, started_at, last_started_at, span_count
        FROM traces_trace
        WHERE project_id = %(project_id)s
          AND started_at >= %(start)s
          AND started_at < %(end)s
        ORDER BY started_at DESC, trace_id DESC
        LIMIT %(traces)s
    ) AS newest
),
taken AS MATERIALIZED (
    SELECT * FROM candidates WHERE spans <= %(spans)s
)
SELECT
    span.provider,
    coalesce(span.model_answered, span.model_requested) AS model,
    span.price_id,
    count(*) AS calls,
    sum(span.cost_pico) AS cost_pico,
    count(*) FILTER (WHERE span.cost_pico IS NULL) AS unknown,
    (SELECT count(*) FROM taken) AS traces_seen
FROM taken
CROSS JOIN LATERAL (
    SELECT *
    FROM traces_span AS s
    WHERE s.project_id = %(project_id)s
      AND s.trace_id = taken.trace_id
      AND s.started_at BETWEEN taken.started_at AND taken.last_started_at
      AND s.counted
      AND s.cost_status IS NOT NULL
    OFFSET 0
) AS span
GROUP BY 1, 2, 3
ORDER BY cost_pico DESC NULLS LAST, calls DESC, model
LIMIT 100;
