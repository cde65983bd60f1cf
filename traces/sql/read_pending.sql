-- One row: how many committed batches are not in the hourly sums yet, and the age of the oldest in seconds (NULL where
-- there is none). Takes nothing. Stands on traces_ingest_batch_open.
SELECT
    count(*) AS batches,
    extract(epoch FROM now() - min(committed_at))::double precision AS oldest_seconds
FROM traces_ingest_batch
WHERE NOT accounted
