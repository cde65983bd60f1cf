-- One row is one trace of the sample that began in [start, end), with whether it is of what grew. {flag} and
-- {conditions} (each beginning with AND) are over alerts_sample AS s. Stands on alerts_sample_started.
SELECT s.trace_id, NULL::bigint AS span_id, s.started_at, coalesce({flag}, false) AS is_flagged, s.pi
FROM alerts_sample AS s
WHERE s.project_id = %(project_id)s
    AND s.started_at >= %(start)s
    AND s.started_at < %(end)s
    {conditions}
