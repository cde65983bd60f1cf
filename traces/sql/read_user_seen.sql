-- One row: when a user was first and last seen among the traces that are kept, NULL where there are none; and when the
-- project's users begin. Stands on traces_trace_user and the primary key of traces_user_period.
SELECT
    (SELECT min(t.started_at) FROM traces_trace AS t WHERE t.project_id = %(project_id)s AND t.user_id = %(user_id)s),
    (SELECT max(t.started_at) FROM traces_trace AS t WHERE t.project_id = %(project_id)s AND t.user_id = %(user_id)s),
    (SELECT min(u.bucket) FROM traces_user_period AS u WHERE u.project_id = %(project_id)s AND u.grain = 43200)
