-- One row: how many staged points were new. They go into the points and, gauges and sums, into the sums by 5 minutes and
-- by hour; points that were there already count in neither. Doubles near the largest would overflow a sum and refuse
-- their batch for ever, so what is summed is held within 1e290. Rows of the sums are taken in the order of their key.
WITH moved AS (
    INSERT INTO traces_metric_point SELECT * FROM metric_stage ON CONFLICT DO NOTHING
    RETURNING project_id, series_id, at, least(greatest(value, -1e290), 1e290) AS value
), summed AS (
    INSERT INTO traces_metric_rollup AS r (
        project_id, grain, series_id, bucket, n, total, low, high, last_at, last_value
    )
    SELECT project_id, grain, series_id, date_bin(make_interval(mins => grain), at, 'epoch') AS bucket,
        count(*), sum(value), min(value), max(value), max(at), (array_agg(value ORDER BY at DESC))[1]
    FROM moved
    CROSS JOIN (VALUES (5), (60)) AS grains (grain)
    WHERE value IS NOT NULL
    GROUP BY project_id, grain, series_id, bucket
    ORDER BY project_id, grain, series_id, bucket
    ON CONFLICT (project_id, grain, series_id, bucket) DO UPDATE SET
        n = r.n + excluded.n,
        total = r.total + excluded.total,
        low = least(r.low, excluded.low),
        high = greatest(r.high, excluded.high),
        last_at = greatest(r.last_at, excluded.last_at),
        last_value = CASE WHEN excluded.last_at >= r.last_at THEN excluded.last_value ELSE r.last_value END
)
SELECT count(*) FROM moved
