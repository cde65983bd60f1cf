-- One row per span of this trace that tells of the same call as the span asked for and is not counted.
-- Reads the trace's own rows by the primary key.
SELECT s.span_id
FROM traces_span AS s
WHERE s.project_id = %(project_id)s
  AND s.trace_id = %(trace_id)s
  AND s.started_at >= %(first)s
  AND s.started_at <= %(last)s
  AND s.duplicate_of_trace = %(trace_id)s
  AND s.duplicate_of_span = %(span_id)s
ORDER BY s.started_at, s.span_id
LIMIT 20
