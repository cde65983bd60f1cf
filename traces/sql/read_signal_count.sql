-- One row: how many signals match, counted no further than %(limit)s, so that it costs the same at any size.
SELECT count(*)
FROM (
    SELECT 1
    FROM traces_signal AS t
    WHERE {conditions}
    LIMIT %(limit)s
) AS counted
