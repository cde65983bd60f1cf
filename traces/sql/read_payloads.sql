-- One row per piece of a trace's bodies: zstd of a JSON object from span id to body. Stands on the primary key; a piece
-- starts with its earliest span, so the trace's bounds hold for it too.
SELECT payload_id, raw_bytes, data
FROM traces_payload
WHERE project_id = %(project_id)s
  AND trace_id = %(trace_id)s
  AND started_at >= %(first)s
  AND started_at <= %(last)s
  AND payload_id = ANY(%(payload_ids)s::bigint[])
