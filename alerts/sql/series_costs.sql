-- One row is one window and combination of dimensions: how many units could cost something, of how many that is known,
-- their sum and sum of squares in USD, how many of them cost nothing, and at most {most} of the costs evenly spread over
-- their ranks. {rows} gives the dimensions, cost_pico and is_known of the units in [c.s, c.e).
-- Takes starts and ends of the windows, and what {rows} takes.
SELECT
    r.at, {dimensions}
    count(*)::bigint,
    count(*) FILTER (WHERE r.is_known),
    coalesce(sum(r.usd ORDER BY r.usd) FILTER (WHERE r.is_known), 0),
    coalesce(sum(r.usd * r.usd ORDER BY r.usd) FILTER (WHERE r.is_known), 0),
    count(*) FILTER (WHERE r.is_known AND r.cost_pico = 0),
    coalesce(array_agg(r.usd ORDER BY r.usd) FILTER (WHERE r.is_known AND (
        r.many <= {most} OR
        (2 * r.rank * {most} + r.many) / (2 * r.many) > (2 * (r.rank - 1) * {most} + r.many) / (2 * r.many)
    )), '{{}}')
FROM (
    SELECT
        c.place - 1 AS at, u.*, u.cost_pico::float8 / 1e12 AS usd,
        row_number() OVER (PARTITION BY c.place, u.is_known {partition} ORDER BY u.cost_pico) AS rank,
        count(*) OVER (PARTITION BY c.place, u.is_known {partition}) AS many
    FROM unnest(%(starts)s::timestamptz[], %(ends)s::timestamptz[]) WITH ORDINALITY AS c (s, e, place)
    CROSS JOIN LATERAL ({rows}) AS u
) AS r
GROUP BY r.at {groups}
