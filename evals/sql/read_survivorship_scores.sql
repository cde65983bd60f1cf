-- One row: how many scores of a criterion the window has, of the newest `newest`, and when the oldest of these began.
-- Takes project_id, start, until, criterion, version_ids, newest. Stands on evals_score_name or evals_score_age.
SELECT count(*), min(q.started_at)
FROM (
    SELECT s.started_at
    FROM evals_score AS s
    WHERE s.project_id = %(project_id)s
        AND s.name = %(criterion)s
        AND s.started_at >= %(start)s
        AND s.started_at < %(until)s
        AND s.source = 1
        AND s.span_id = 0
        AND s.judge_version_id = ANY (%(version_ids)s::bigint[])
        AND s.number IS NOT NULL
    ORDER BY s.started_at DESC
    LIMIT %(newest)s
) AS q
