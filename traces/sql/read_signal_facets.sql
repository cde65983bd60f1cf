-- One row per combination of what the newest %(sample)s signals that match are, and how many these are.
SELECT kind, vote, source, is_bound, feature, count(*)
FROM (
    SELECT t.kind, t.vote, t.source, t.bound_at IS NOT NULL AS is_bound, t.feature
    FROM traces_signal AS t
    WHERE {conditions}
    ORDER BY t.happened_at DESC, t.signal_id DESC
    LIMIT %(sample)s
) AS newest
GROUP BY kind, vote, source, is_bound, feature
