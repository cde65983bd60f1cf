-- One row an asked stretch of a chart (numbered from 1): sums of its windows that have a value, late data counted in.
-- Takes ids, chart_nos, starts and ends (arrays, in step). Stands on the primary key of alerts_point.
SELECT
    asked.no,
    count(*),
    sum(known.n)::float8,
    sum(known.value),
    sum(known.value * known.value),
    sum(known.n * known.value),
    sum(known.n * known.value * known.value)
FROM unnest(%(ids)s::bigint[], %(chart_nos)s::int[], %(starts)s::timestamptz[], %(ends)s::timestamptz[])
    WITH ORDINALITY AS asked (id, chart_no, start_at, end_at, no)
CROSS JOIN LATERAL (
    SELECT
        COALESCE(revised_n, n) AS n,
        CASE WHEN revised_n IS NULL THEN value ELSE revised_value END AS value
    FROM alerts_point
    WHERE monitor_id = asked.id
        AND chart_no = asked.chart_no
        AND start_at >= asked.start_at
        AND start_at < asked.end_at
) AS known
WHERE known.value IS NOT NULL AND known.n > 0
GROUP BY asked.no
