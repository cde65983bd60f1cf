-- One row per span asked for: what is needed to read its content. Each is found by its key within its trace's bounds;
-- %(first)s and %(last)s are there so that the plan looks at no other partition.
SELECT s.trace_id, s.span_id, s.kind, s.flags, s.payload_id, s.attributes, o.vocabulary
FROM unnest(
    %(trace_ids)s::uuid[], %(span_ids)s::bigint[], %(starts)s::timestamptz[], %(ends)s::timestamptz[]
) AS asked (trace_id, span_id, first, last)
JOIN traces_span AS s
  ON s.project_id = %(project_id)s
  AND s.trace_id = asked.trace_id
  AND s.span_id = asked.span_id
  AND s.started_at >= asked.first
  AND s.started_at <= asked.last
  AND s.started_at >= %(first)s
  AND s.started_at <= %(last)s
LEFT JOIN traces_origin AS o ON o.project_id = s.project_id AND o.origin_id = s.origin_id
