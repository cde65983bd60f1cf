-- One row per trace of a list, in the order asked for. {columns} are those of traces.read.rows, {conditions} those of a
-- TraceFilter, {order} one of the sorts with the trace id behind it. Newest first stands on traces_trace_started;
-- one feature, user or session on its own index; cost on traces_trace_cost. Other orders sort what the window holds.
SELECT {columns}
FROM traces_trace AS t
WHERE {conditions}
ORDER BY {order}
LIMIT %(limit)s
