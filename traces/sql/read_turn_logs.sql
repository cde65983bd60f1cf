-- One row per GenAI log event of the spans asked for. Log events keep their own clock, so the bounds are wider than the
-- traces'. Stands on the primary key.
SELECT l.trace_id, l.span_id, l.event_name, l.happened_at, l.ordinal, l.data
FROM unnest(%(trace_ids)s::uuid[], %(span_ids)s::bigint[]) AS asked (trace_id, span_id)
JOIN traces_span_log AS l
  ON l.project_id = %(project_id)s
  AND l.trace_id = asked.trace_id
  AND l.span_id = asked.span_id
  AND l.happened_at >= %(first)s - interval '1 day'
  AND l.happened_at <= %(last)s + interval '2 days'
ORDER BY l.happened_at DESC, l.ordinal DESC, l.digest
LIMIT %(limit)s
