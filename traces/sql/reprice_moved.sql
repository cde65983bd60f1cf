-- One row per trace that started in the window when the job was ordered and starts before it by now, since an earlier span
-- of it came meanwhile; newest first, after a position: a slice of at most %(traces)s.
-- Such a trace was changed since and has no span below the window among those stored before (batch ids grow with time).
-- Looks at the traces of some days below the window: stands on traces_trace_started.
SELECT trace_id, started_at, last_started_at, span_count
FROM traces_trace AS trace
WHERE project_id = %(project_id)s
  AND started_at >= %(lowest)s
  AND started_at < %(start)s
  AND last_started_at >= %(start)s
  AND updated_at >= %(ordered_at)s
  AND (%(after_at)s::timestamptz IS NULL OR (started_at, trace_id) < (%(after_at)s, %(after_id)s::uuid))
  AND NOT EXISTS (
      SELECT 1
      FROM traces_span AS span
      WHERE span.project_id = trace.project_id
        AND span.trace_id = trace.trace_id
        AND span.started_at >= trace.started_at
        AND span.started_at < %(start)s
        AND span.batch_id < %(batch_id)s
  )
ORDER BY started_at DESC, trace_id DESC
LIMIT %(traces)s;
