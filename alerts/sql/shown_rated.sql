-- One row a stretch of time (numbered from 1): sums of its judged counts with what was expected in each, late data
-- counted in. Takes monitor, chart, starts and ends (arrays, in step). Stands on the primary key of alerts_point.
SELECT
    asked.no,
    count(*),
    sum(known.value),
    sum(known.centre),
    sum((known.value - known.centre) ^ 2 / known.centre)
FROM unnest(%(starts)s::timestamptz[], %(ends)s::timestamptz[]) WITH ORDINALITY AS asked (start_at, end_at, no)
CROSS JOIN LATERAL (
    SELECT
        CASE WHEN revised_n IS NULL THEN value ELSE revised_value END AS value,
        (told ->> 'centre')::float8 AS centre
    FROM alerts_point
    WHERE monitor_id = %(monitor)s
        AND chart_no = %(chart)s
        AND start_at >= asked.start_at
        AND start_at < asked.end_at
        AND phase > 1
) AS known
WHERE known.value IS NOT NULL AND known.centre > 0
GROUP BY asked.no
