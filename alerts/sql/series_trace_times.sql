-- One row is one window, combination of dimensions and bucket of a sketch (%(bounds)s: highest value of each): how many
-- traces took that long. As series_traces.
SELECT
    c.place - 1 AS at, {dimensions}
    width_bucket(t.root_duration_ns - 1, %(bounds)s::bigint[]) AS bucket, count(*)::bigint
FROM unnest(%(starts)s::timestamptz[], %(ends)s::timestamptz[]) WITH ORDINALITY AS c (s, e, place)
CROSS JOIN LATERAL (
    SELECT t.* FROM traces_trace AS t WHERE t.started_at >= c.s AND t.started_at < c.e AND {conditions}
) AS t
WHERE t.root_duration_ns >= 0
GROUP BY c.place, bucket {groups}
