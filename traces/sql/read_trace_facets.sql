-- One row per combination of facet values among the newest %(sample)s traces that match: the values, when each of these
-- traces began (seconds since 1970, joined by commas), and how many they are. One pass for all facets: grouping for each
-- facet apart took three times as long. Stands on the same index as the list, newest first.
SELECT {cells}, string_agg(seconds::text, ','), count(*)
FROM (
    SELECT {columns}, extract(epoch FROM t.started_at)::bigint AS seconds
    FROM traces_trace AS t
    WHERE {conditions}
    ORDER BY t.started_at DESC, t.trace_id DESC
    LIMIT %(sample)s
) AS sample
GROUP BY {cells}
