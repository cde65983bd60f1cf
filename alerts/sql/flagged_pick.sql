-- One row is one picked response beside the sums over all of them: how many, how many flagged, their weights (1 / pi) and
-- those squared. {rows} gives trace_id, span_id, started_at, is_flagged and pi of the responses of a stretch.
-- Takes start, end, wanted (which of is_flagged), without (trace ids never picked), seed, limit, and what {rows} takes.
-- {order} by `draw`, a hash of the trace under the seed in (0, 1): the first of it are a fair draw, the same whenever it
-- is asked; by -ln(draw) * pi, one in which each has a chance by its weight (Efraimidis and Spirakis 2006).
WITH u AS MATERIALIZED ({rows}),
sums AS (
    SELECT
        count(*)::bigint AS n,
        count(*) FILTER (WHERE is_flagged)::bigint AS flagged,
        coalesce(sum(1 / pi), 0)::float8 AS w,
        coalesce(sum(1 / pi) FILTER (WHERE is_flagged), 0)::float8 AS w_flagged,
        coalesce(sum(1 / (pi * pi)), 0)::float8 AS w2
    FROM u
)
SELECT
    sums.n, sums.flagged, sums.w, sums.w_flagged, sums.w2,
    p.trace_id, p.span_id, p.started_at, p.is_flagged, p.pi
FROM sums
LEFT JOIN LATERAL (
    SELECT d.*
    FROM (
        SELECT u.*, (((hashtextextended(u.trace_id::text, %(seed)s) >> 11) & 4503599627370495) + 0.5) / 4503599627370496 AS draw
        FROM u
        WHERE u.is_flagged = ANY (%(wanted)s::boolean[])
            AND NOT u.trace_id = ANY (%(without)s::uuid[])
    ) AS d
    ORDER BY {order}, d.trace_id, d.span_id
    LIMIT %(limit)s
) AS p ON true
