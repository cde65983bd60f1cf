-- One row per GenAI log event of the traces asked for. Stands on the primary key; log events keep their own clock, so the
-- bounds are wider than the traces'.
SELECT trace_id, event_name, data
FROM traces_span_log
WHERE project_id = %(project_id)s
  AND trace_id = ANY(%(trace_ids)s::uuid[])
  AND happened_at >= %(first)s - interval '1 day'
  AND happened_at <= %(last)s + interval '2 days'
ORDER BY trace_id, happened_at, ordinal
LIMIT %(limit)s
