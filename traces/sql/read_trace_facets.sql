-- One row per combination of facet values among the newest %(sample)s traces that match: the values, when each of these
-- traces began (seconds since 1970, joined by commas), how many they are, and how far down they were found. One pass for all facets: grouping for each
-- facet apart took three times as long. {near} is what an index leads to, newest first, as for the list; no more than
-- %(scan)s of these are looked at for {far}. Where that bound was met, one more row has `hit` false.
SELECT {cells}, hit, string_agg(seconds::text, ','), count(*), max(place)
FROM (
    SELECT {columns}, extract(epoch FROM t.started_at)::bigint AS seconds, ({far}) AS hit, t.place
    FROM (
        SELECT t.*, row_number() OVER (ORDER BY t.started_at DESC) AS place
        FROM traces_trace AS t
        WHERE {near}
        ORDER BY t.started_at DESC
        LIMIT %(scan)s
    ) AS t
    WHERE ({far}) OR t.place = %(scan)s
    LIMIT %(sample)s
) AS sample
GROUP BY {cells}, hit
