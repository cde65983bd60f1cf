-- One row per trace with one of these ids, with this id at its sender, or with an id of this beginning (low to high;
-- NULL: none is meant). Stands on the primary key and traces_trace_foreign; needs no time bound, since all are narrow.
SELECT trace_id
FROM traces_trace
WHERE project_id = %(project_id)s
  AND trace_id = ANY(%(ids)s::uuid[])
UNION
SELECT trace_id
FROM traces_trace
WHERE project_id = %(project_id)s
  AND foreign_trace_id = %(foreign)s
UNION
SELECT trace_id
FROM traces_trace
WHERE project_id = %(project_id)s
  AND trace_id BETWEEN %(low)s::uuid AND %(high)s::uuid
LIMIT 50
