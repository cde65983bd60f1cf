-- One row per piece of bodies: its size unpacked, without the piece. Stands on the primary key.
SELECT payload_id, raw_bytes
FROM traces_payload
WHERE project_id = %(project_id)s
  AND trace_id = ANY(%(trace_ids)s::uuid[])
  AND started_at >= %(first)s
  AND started_at <= %(last)s
  AND payload_id = ANY(%(payload_ids)s::bigint[])
