-- One row a monitor: of its newest windows those that held something, their share's parts, and nine windows of typical
-- size. Takes ids and chart_nos (arrays, in step), most (windows). Stands on the primary key of alerts_point.
SELECT
    m.id,
    count(*),
    COALESCE(sum(round(p.value * p.n)), 0),
    COALESCE(sum(p.n), 0),
    percentile_disc('{0.05,0.16,0.27,0.38,0.5,0.62,0.73,0.84,0.95}'::float8[]) WITHIN GROUP (ORDER BY p.n)
FROM unnest(%(ids)s::bigint[], %(chart_nos)s::int[]) AS m (id, chart_no)
CROSS JOIN LATERAL (
    SELECT n, value
    FROM alerts_point
    WHERE monitor_id = m.id AND chart_no = m.chart_no
    ORDER BY start_at DESC
    LIMIT %(most)s
) AS p
WHERE p.n > 0 AND p.value IS NOT NULL
GROUP BY m.id
