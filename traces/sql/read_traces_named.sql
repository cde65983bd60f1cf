-- One row per trace with one of these ids, or with this id at its sender. Stands on the primary key and
-- traces_trace_foreign; needs no time bound, since both are exact.
SELECT trace_id
FROM traces_trace
WHERE project_id = %(project_id)s
  AND trace_id = ANY(%(ids)s::uuid[])
UNION
SELECT trace_id
FROM traces_trace
WHERE project_id = %(project_id)s
  AND foreign_trace_id = %(foreign)s
LIMIT 50
