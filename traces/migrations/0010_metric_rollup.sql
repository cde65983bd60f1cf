-- Gauges and sums of hosts by 5 minutes and by hour, kept in the transaction that stores their points, so that a page
-- never reads points. A sum's increase between two buckets is the difference of their last values.
CREATE TABLE traces_metric_rollup (
    project_id integer NOT NULL,
    grain smallint NOT NULL,              -- minutes: 5, 60
    series_id bigint NOT NULL,
    bucket timestamptz NOT NULL,
    n integer NOT NULL,
    total double precision NOT NULL,
    low double precision NOT NULL,
    high double precision NOT NULL,
    last_at timestamptz NOT NULL,
    last_value double precision NOT NULL,
    PRIMARY KEY (project_id, grain, series_id, bucket)
);

INSERT INTO traces_metric_rollup
SELECT project_id, grain, series_id, date_bin(make_interval(mins => grain), at, 'epoch'), count(*), sum(value),
    min(value), max(value), max(at), (array_agg(value ORDER BY at DESC))[1]
FROM traces_metric_point
CROSS JOIN (VALUES (5), (60)) AS grains (grain)
WHERE value IS NOT NULL
GROUP BY 1, 2, 3, 4;
