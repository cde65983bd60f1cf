-- One row is one window: spans that came and that were rejected, requests that brought them, and how long these took
-- from the first byte to the commit, in all. Kept sums and the batches not folded into them yet, in one snapshot.
-- Takes project_id, sources, starts and ends of the windows (whole hours).
-- Stands on the key of traces_ingest_hour and traces_ingest_batch_open.
SELECT c.place - 1 AS at, sum(h.received)::bigint, sum(h.rejected)::bigint, sum(h.requests)::bigint, sum(h.lag_ms)
FROM unnest(%(starts)s::timestamptz[], %(ends)s::timestamptz[]) WITH ORDINALITY AS c (s, e, place)
CROSS JOIN LATERAL (
    SELECT h.received, h.rejected, h.requests, h.lag_ms_sum AS lag_ms
    FROM traces_ingest_hour AS h
    WHERE h.project_id = %(project_id)s AND h.hour >= c.s AND h.hour < c.e AND h.source = ANY (%(sources)s::text[])
    UNION ALL
    SELECT
        b.received, b.rejected, r.n, r.n * greatest(extract(epoch FROM b.committed_at - b.received_at) * 1000, 0)::float8
    FROM traces_ingest_batch AS b
    -- Of a large request, stored in parts, the last counts: it has the bytes.
    CROSS JOIN LATERAL (SELECT (b.body_bytes > 0 OR b.source NOT IN ('traces', 'native'))::integer AS n) AS r
    WHERE b.project_id = %(project_id)s
        AND NOT b.accounted
        AND b.received_at >= c.s
        AND b.received_at < c.e
        AND b.source = ANY (%(sources)s::text[])
) AS h
GROUP BY c.place
