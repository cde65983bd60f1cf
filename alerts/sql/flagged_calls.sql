-- One row is one trace with calls that began in [start, end): flagged where any of them is, by the first such call.
-- {flag} and {calls} are over traces_span AS s, {conditions} over traces_trace AS t. Takes kinds.
-- The start of the spans bounds the partitions; within one, traces_span_started leads to the pages of the window. OFFSET 0
-- looks traces up by key, one for each, whatever the planner believes of tables that grew since it looked.
SELECT g.trace_id, g.span_id, g.started_at, g.is_flagged, 1.0::float8 AS pi
FROM (
    SELECT
        s.trace_id,
        (array_agg(s.span_id ORDER BY coalesce({flag}, false) DESC, s.started_at, s.span_id))[1] AS span_id,
        min(s.started_at) AS started_at,
        bool_or(coalesce({flag}, false)) AS is_flagged
    FROM traces_span AS s
    WHERE s.project_id = %(project_id)s
        AND s.started_at >= %(start)s
        AND s.started_at < %(end)s
        AND s.kind = ANY (%(kinds)s::smallint[])
        AND {calls}
    GROUP BY s.trace_id
) AS g
CROSS JOIN LATERAL (
    SELECT * FROM traces_trace AS k WHERE k.project_id = %(project_id)s AND k.trace_id = g.trace_id OFFSET 0
) AS t
WHERE {conditions}
