-- One row per piece of bodies: zstd of a JSON object from span id to body. Stands on the primary key.
SELECT payload_id, raw_bytes, data
FROM traces_payload
WHERE project_id = %(project_id)s
  AND trace_id = ANY(%(trace_ids)s::uuid[])
  AND started_at >= %(first)s
  AND started_at <= %(last)s
  AND payload_id = ANY(%(payload_ids)s::bigint[])
