-- One row per (facet, value) over the newest %(sample)s traces that match, and one row ('', times as seconds since 1970,
-- how many) for the histogram. Stands on the same index as the list, newest first.
WITH sample AS MATERIALIZED (
    SELECT {columns}
    FROM traces_trace AS t
    WHERE {conditions}
    ORDER BY t.started_at DESC, t.trace_id DESC
    LIMIT %(sample)s
)
{facets}
