-- One row per piece of bodies, not too large to be looked through at once, of the traces asked for, earliest first.
-- Stands on the primary key of the partitions between the bounds.
SELECT trace_id, raw_bytes, data
FROM traces_payload
WHERE project_id = %(project_id)s
  AND trace_id = ANY(%(trace_ids)s::uuid[])
  AND started_at >= %(first)s
  AND started_at <= %(last)s
  AND raw_bytes <= %(most_bytes)s
ORDER BY started_at, payload_id
LIMIT %(limit)s
