-- One row: how many spans such as asked for there are, and in how many traces. As read_calls.sql.
SELECT count(*), count(DISTINCT s.trace_id)
FROM traces_span AS s{join}
WHERE s.project_id = %(project_id)s
  AND {conditions}
