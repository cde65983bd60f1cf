-- One row: what a trace's user asked, cut. Takes project_id, trace_ids. Stands on the primary key of traces_trace.
SELECT trace_id, left(preview_in, 160) AS question
FROM traces_trace
WHERE project_id = %(project_id)s
    AND trace_id = ANY (%(trace_ids)s)
