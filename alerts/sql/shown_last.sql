-- One row a monitor: its newest decided window. Takes ids and chart_nos (arrays, in step).
-- Stands on the primary key of alerts_point, read backwards.
SELECT
    m.id,
    p.start_at,
    p.end_at,
    COALESCE(p.revised_n, p.n),
    COALESCE(p.revised_value, p.value),
    p.shown_low,
    p.shown_high,
    p.shown_level,
    p.state,
    p.crossed
FROM unnest(%(ids)s::bigint[], %(chart_nos)s::int[]) AS m (id, chart_no)
CROSS JOIN LATERAL (
    SELECT *
    FROM alerts_point
    WHERE monitor_id = m.id AND chart_no = m.chart_no
    ORDER BY start_at DESC
    LIMIT 1
) AS p
