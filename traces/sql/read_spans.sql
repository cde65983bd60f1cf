-- One row per span asked for, every column of it, with who sent it. {columns} are those of traces.read.spans.
-- Stands on the primary key of the partitions between the trace's first and last start.
SELECT {columns}, o.resource, o.scope_name, o.scope_version, o.scope_attributes, o.vocabulary
FROM traces_span AS s
LEFT JOIN traces_origin AS o ON o.project_id = s.project_id AND o.origin_id = s.origin_id
WHERE s.project_id = %(project_id)s
  AND s.trace_id = %(trace_id)s
  AND s.started_at >= %(first)s
  AND s.started_at <= %(last)s
  AND s.span_id = ANY(%(span_ids)s::bigint[])
ORDER BY s.started_at, s.span_id
