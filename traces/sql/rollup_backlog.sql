-- One row for the installation: how many entries of the feed wait to be booked, counted no further than 10,000, for how
-- many seconds the oldest of these has waited (NULL: none waits), and how many traces are set aside. Stands on the
-- feed's primary key.
SELECT
    count(*),
    extract(epoch FROM now() - min(waiting.changed_at))::double precision,
    (SELECT count(*) FROM traces_rollup_aside)
FROM (
    SELECT changed_at FROM traces_feed WHERE consumer = %(consumer)s LIMIT 10000
) AS waiting
