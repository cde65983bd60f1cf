-- One row per piece of bodies asked for (traces.read.turns), in the order of the session. What would bring the page over
-- %(budget)s bytes unpacked stays where it is: its data is NULL. Stands on the primary key of the partitions between
-- the first and the last trace of the page; a piece starts within its trace.
SELECT
    p.trace_id,
    p.payload_id,
    p.raw_bytes,
    CASE WHEN sum(p.raw_bytes) OVER (ORDER BY asked.place) <= %(budget)s THEN p.data END
FROM unnest(
    %(trace_ids)s::uuid[], %(payload_ids)s::bigint[], %(starts)s::timestamptz[], %(ends)s::timestamptz[]
) WITH ORDINALITY AS asked (trace_id, payload_id, first, last, place)
JOIN traces_payload AS p
  ON p.project_id = %(project_id)s
  AND p.trace_id = asked.trace_id
  AND p.payload_id = asked.payload_id
  AND p.started_at >= asked.first
  AND p.started_at <= asked.last
  AND p.started_at >= %(first)s
  AND p.started_at <= %(last)s
ORDER BY asked.place
