-- One row per (signal, trace): signals that wait for a request which a span of these traces is, by the provider's id of
-- its answer or by `request_id` in its metadata. Takes project_id, trace_ids, since, until (of the starts of spans).
-- Stands on the key of traces_span and on traces_signal_request.
WITH told AS (
    SELECT trace_id, response_id AS request_id
    FROM traces_span
    WHERE project_id = %(project_id)s AND trace_id = ANY(%(trace_ids)s) AND response_id IS NOT NULL
        AND started_at >= %(since)s AND started_at <= %(until)s
    UNION
    SELECT trace_id, metadata ->> 'request_id'
    FROM traces_span
    WHERE project_id = %(project_id)s AND trace_id = ANY(%(trace_ids)s) AND metadata ? 'request_id'
        AND started_at >= %(since)s AND started_at <= %(until)s
)
SELECT s.signal_key, told.trace_id
FROM told
CROSS JOIN LATERAL (
    SELECT x.signal_key FROM traces_signal AS x
    WHERE x.project_id = %(project_id)s AND x.request_id = told.request_id AND x.bound_at IS NULL
    OFFSET 0
) AS s
