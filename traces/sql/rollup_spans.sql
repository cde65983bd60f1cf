-- One row per span of the asked traces, with the place of its trace among them. Stands on the primary key of
-- traces_span, one look-up a trace; its bounds keep the partitions of other days out.
SELECT asked.place::integer, {columns}
FROM unnest(%(trace_ids)s::uuid[], %(places)s::integer[], %(lows)s::timestamptz[], %(highs)s::timestamptz[])
    AS asked (trace_id, place, low, high)
JOIN traces_span AS s
    ON s.project_id = %(project_id)s
    AND s.trace_id = asked.trace_id
    AND s.started_at >= asked.low
    AND s.started_at <= asked.high
