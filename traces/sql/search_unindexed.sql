-- One row per trace that the index does not know at all yet, of the newest that wait, with the texts of its row. Stands on
-- the feed's primary key, then on those of traces_trace and traces_search_doc.
WITH waiting AS (
    SELECT DISTINCT trace_id
    FROM (
        SELECT unnest(trace_ids) AS trace_id
        FROM (
            SELECT trace_ids
            FROM traces_feed
            WHERE consumer = %(consumer)s
              AND project_id = %(project_id)s
            ORDER BY feed_id DESC
            LIMIT 100
        ) AS newest
        LIMIT %(limit)s
    ) AS named
)
SELECT
    t.trace_id, t.started_at,
    concat_ws(
        E'\n', t.name, t.preview_in, t.preview_out, t.user_id, t.session_id, t.foreign_trace_id, t.feature, t.service,
        t.environment, t.release, t.prompt_name, t.prompt_version, t.error_type, array_to_string(t.models, E'\n'),
        array_to_string(t.tags, E'\n')
    )
FROM waiting AS w
JOIN traces_trace AS t ON t.project_id = %(project_id)s AND t.trace_id = w.trace_id
LEFT JOIN traces_search_doc AS d ON d.project_id = %(project_id)s AND d.trace_id = w.trace_id
WHERE d.trace_id IS NULL
