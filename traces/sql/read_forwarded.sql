-- One row per span that some accepted requests stored, in the order of the requests, those behind a position of the
-- first one. Stands on the primary key of the partitions between the requests' first and last start.
SELECT
    s.batch_id, s.trace_id, s.span_id, s.parent_span_id, s.name, s.otel_kind, s.status, s.status_message, s.started_at,
    s.duration_ns, s.payload_id, s.attributes::text, s.origin_id
FROM traces_span AS s
WHERE s.project_id = %(project_id)s
  AND s.trace_id = ANY(%(trace_ids)s::uuid[])
  AND s.batch_id = ANY(%(batch_ids)s::bigint[])
  AND s.started_at >= %(first)s
  AND s.started_at <= %(last)s
  AND (
      %(done_trace)s::uuid IS NULL
      OR s.batch_id <> %(first_batch)s
      OR (s.trace_id, s.span_id) > (%(done_trace)s::uuid, %(done_span)s::bigint)
  )
ORDER BY array_position(%(batch_ids)s::bigint[], s.batch_id), s.trace_id, s.span_id
LIMIT %(limit)s
