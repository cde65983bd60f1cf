-- One row per trace that holds a span of this id inside the window. No index begins with the span id, so this reads the
-- keys of the window's partitions; the statement's time limit bounds it.
SELECT DISTINCT trace_id
FROM traces_span
WHERE project_id = %(project_id)s
  AND span_id = %(span_id)s
  AND started_at >= %(start)s
  AND started_at < %(end)s
LIMIT 20
