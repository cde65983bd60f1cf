-- One row per log event that says how good an answer was, of the traces asked for. Stands on the primary key; log events
-- keep their own clock.
SELECT trace_id, span_id, happened_at, data
FROM traces_span_log
WHERE project_id = %(project_id)s
  AND trace_id = ANY(%(trace_ids)s::uuid[])
  AND event_name = %(event_name)s
  AND happened_at >= %(first)s - interval '1 day'
  AND happened_at <= %(last)s + interval '7 days'
ORDER BY trace_id, happened_at, ordinal, digest
LIMIT %(limit)s
