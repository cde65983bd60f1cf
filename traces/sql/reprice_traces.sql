-- One row per trace that started in the window, newest first, after a position: a slice of at most %(traces)s.
-- Newest first, because a late span only ever moves a trace's start back: into the part that is still to come.
-- Stands on traces_trace_started.
SELECT trace_id, started_at, last_started_at, span_count
FROM traces_trace
WHERE project_id = %(project_id)s
  AND started_at >= %(start)s
  AND started_at < %(end)s
  AND (%(after_at)s::timestamptz IS NULL OR (started_at, trace_id) < (%(after_at)s, %(after_id)s::uuid))
ORDER BY started_at DESC, trace_id DESC
LIMIT %(traces)s;
