-- One row per trace asked for: the kinds of its spans. Stands on the primary key of the partitions between the bounds.
SELECT trace_id, array_agg(DISTINCT kind)
FROM traces_span
WHERE project_id = %(project_id)s
  AND trace_id = ANY(%(trace_ids)s::uuid[])
  AND started_at >= %(first)s
  AND started_at <= %(last)s
GROUP BY trace_id
