-- One row for the installation: how many entries of the feed wait for the search index, counted no further than 10,000,
-- for how many seconds the oldest has waited (NULL: none waits), and how many documents were set aside. Stands on the
-- feed's primary key.
SELECT
    count(*),
    extract(epoch FROM now() - min(waiting.changed_at))::double precision,
    (SELECT coalesce(sum(set_aside), 0)::bigint FROM traces_search_state)
FROM (
    SELECT changed_at FROM traces_feed WHERE consumer = %(consumer)s LIMIT 10000
) AS waiting
