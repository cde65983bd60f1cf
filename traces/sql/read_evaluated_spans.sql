-- One row per span whose events say how good its answer was. Stands on the primary key of the partitions between the
-- bounds.
SELECT trace_id, span_id, payload_id
FROM traces_span
WHERE project_id = %(project_id)s
  AND trace_id = ANY(%(trace_ids)s::uuid[])
  AND started_at >= %(first)s
  AND started_at <= %(last)s
  AND flags & %(flag)s <> 0
  AND payload_id IS NOT NULL
ORDER BY trace_id, started_at, span_id
LIMIT %(limit)s
