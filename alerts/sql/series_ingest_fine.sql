-- As series_ingest, for windows shorter than an hour: from the batches themselves, which are kept for some days. Ids grow
-- with the millisecond in which a batch was opened, a while after its first byte came.
-- Takes project_id, sources, starts and ends of the windows. Stands on the key of traces_ingest_batch.
SELECT
    c.place - 1 AS at, sum(b.received)::bigint, sum(b.rejected)::bigint, sum(b.n)::bigint,
    sum(b.n * greatest(extract(epoch FROM b.committed_at - b.received_at) * 1000, 0))::float8
FROM unnest(%(starts)s::timestamptz[], %(ends)s::timestamptz[]) WITH ORDINALITY AS c (s, e, place)
CROSS JOIN LATERAL (
    -- Of a large request, stored in parts, the last counts: it has the bytes.
    SELECT
        b.received, b.rejected, b.received_at, b.committed_at,
        (b.body_bytes > 0 OR b.source NOT IN ('traces', 'native'))::integer AS n
    FROM traces_ingest_batch AS b
    WHERE b.project_id = %(project_id)s
        AND b.batch_id >= (extract(epoch FROM c.s - interval '1 minute') * 1000)::bigint << 20
        AND b.batch_id < (extract(epoch FROM c.e + interval '15 minutes') * 1000)::bigint << 20
        AND b.received_at >= c.s
        AND b.received_at < c.e
        AND b.source = ANY (%(sources)s::text[])
) AS b
GROUP BY c.place
