-- One row per piece of bodies of the traces asked for, in order of start: how large it is unpacked, without the piece.
-- Stands on the primary key of the partitions between the bounds.
SELECT trace_id, payload_id, raw_bytes
FROM traces_payload
WHERE project_id = %(project_id)s
  AND trace_id = ANY(%(trace_ids)s::uuid[])
  AND started_at >= %(first)s
  AND started_at <= %(last)s
ORDER BY trace_id, started_at, payload_id
LIMIT %(limit)s
