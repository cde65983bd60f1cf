-- One row per GenAI log event of the traces asked for, in the order they happened. Stands on the primary key; log events
-- keep their own clock, so the bounds are a day wider than the traces'.
SELECT trace_id, span_id, event_name, happened_at, ordinal, data
FROM traces_span_log
WHERE project_id = %(project_id)s
  AND trace_id = ANY(%(trace_ids)s::uuid[])
  AND span_id = ANY(%(span_ids)s::bigint[])
  AND happened_at >= %(first)s - interval '1 day'
  AND happened_at <= %(last)s + interval '2 days'
ORDER BY happened_at, ordinal, digest
LIMIT %(limit)s
