-- One row per trace with spans such as asked for: its id and how many of them. {conditions} are over traces_span AS s and,
-- where {join} brings it, traces_trace AS t. The start of the spans bounds the partitions; within one, traces_span_started
-- leads to the pages of the window.
SELECT s.trace_id, count(*)
FROM traces_span AS s{join}
WHERE s.project_id = %(project_id)s
  AND {conditions}
GROUP BY s.trace_id
LIMIT %(limit)s
