-- One row per series and bucket of the metrics asked for: what it is, the mean and the sum of its points, and its last value there
-- with that of the bucket before (NULL where there is none). At most %(limit)s series, those seen first. Stands on the
-- key of traces_metric_rollup.
SELECT s.name, s.attributes, r.bucket, r.total / r.n, r.total, r.last_value,
    lag(r.last_value) OVER (PARTITION BY r.series_id ORDER BY r.bucket)
FROM (
    SELECT series_id, name, attributes FROM traces_metric_series
    WHERE project_id = %(project_id)s AND name = ANY(%(names)s::text[]) AND kind IN ('gauge', 'sum')
    ORDER BY first_seen_at, series_id
    LIMIT %(limit)s
) AS s
JOIN traces_metric_rollup AS r
    ON r.project_id = %(project_id)s AND r.grain = %(grain)s AND r.series_id = s.series_id
    AND r.bucket >= %(start)s AND r.bucket < %(end)s
ORDER BY r.bucket
