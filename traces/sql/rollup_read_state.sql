-- One row: when the oldest change that is not yet booked was committed, how many entries wait (counted up to a
-- thousand), how many traces are set aside, how many huge ones wait for their turn and since when, and the last rebuild
-- as a job's state, progress and total. Stands on the primary key of traces_feed.
SELECT
    (
        SELECT changed_at FROM traces_feed
        WHERE consumer = %(consumer)s AND project_id = %(project_id)s ORDER BY feed_id LIMIT 1
    ),
    (
        SELECT count(*) FROM (
            SELECT 1 FROM traces_feed WHERE consumer = %(consumer)s AND project_id = %(project_id)s LIMIT 1000
        ) AS waiting
    ),
    (SELECT count(*) FROM traces_rollup_aside WHERE project_id = %(project_id)s),
    (SELECT count(*) FROM traces_ledger WHERE project_id = %(project_id)s AND due_at IS NOT NULL),
    s.time_zone, j.state, j.progress, j.total, now()
FROM (SELECT 1) AS one
LEFT JOIN traces_rollup_state AS s ON s.project_id = %(project_id)s
LEFT JOIN jobs_job AS j ON j.id = s.rebuild_job
