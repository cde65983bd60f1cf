-- One row per trace of a session, in the order asked for. {columns} are those of traces.read.rows and the ranks, which
-- tell whose words the previews are. Stands on traces_trace_session.
SELECT {columns}, t.ranks
FROM traces_trace AS t
WHERE t.project_id = %(project_id)s
  AND t.session_id = %(session_id)s
  AND {conditions}
ORDER BY {order}
LIMIT %(limit)s
