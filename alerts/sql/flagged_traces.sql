-- One row is one trace that began in [start, end), with whether it is flagged. {flag} and {conditions} are over
-- traces_trace AS t. Stands on traces_trace_started.
SELECT t.trace_id, NULL::bigint AS span_id, t.started_at, coalesce({flag}, false) AS is_flagged, 1.0::float8 AS pi
FROM traces_trace AS t
WHERE t.started_at >= %(start)s
    AND t.started_at < %(end)s
    AND {conditions}
