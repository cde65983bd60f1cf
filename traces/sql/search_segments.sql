-- One row per segment of the project that reaches into the window (NULL: open end), newest end first. Stands on
-- traces_search_segment_last.
SELECT
    segment_id, day, docs, first_at, last_at, block_starts, gone_map
FROM traces_search_segment
WHERE project_id = %(project_id)s
  AND (%(start)s::timestamptz IS NULL OR last_at >= %(start)s)
  AND (%(end)s::timestamptz IS NULL OR first_at < %(end)s)
ORDER BY last_at DESC, segment_id DESC
