-- One row per trace that matches; asked for its plan alone, whose estimate stands in for a count.
SELECT t.trace_id
FROM traces_trace AS t
WHERE {conditions}
