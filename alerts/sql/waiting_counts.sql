-- One row: how many incidents of a project go on, and how many answers wait in its open review queues, each counted up
-- to `most`; then since when the oldest work of each kind waits (NULL: none does), and when a worker last showed life.
-- Takes project_id, going (states of an incident), most and now.
-- Stands on incident_going; review_item_next, a queue each; traces_ingest_batch_open; the feed's primary key, a consumer
-- each; evals_judgement_due, a judge version that was used each.
SELECT
    (
        SELECT count(*) FROM (
            SELECT 1 FROM alerts_incident
            WHERE project_id = %(project_id)s AND state = ANY(%(going)s)
            LIMIT %(most)s
        ) AS going
    ),
    (
        SELECT count(*) FROM (
            SELECT 1
            FROM evals_reviewqueue AS q
            JOIN evals_reviewitem AS i ON i.queue_id = q.id AND i.state IN ('open', 'disputed')
            WHERE q.project_id = %(project_id)s AND q.closed_at IS NULL
            LIMIT %(most)s
        ) AS waiting
    ),
    (SELECT max(at) FROM jobs_heartbeat),
    (
        SELECT committed_at FROM traces_ingest_batch
        WHERE project_id = %(project_id)s AND NOT accounted
        ORDER BY batch_id LIMIT 1
    ),
    (
        SELECT changed_at FROM traces_feed
        WHERE consumer = 1 AND project_id = %(project_id)s  -- traces.write.feed.Consumer.ROLL_UP
        ORDER BY feed_id LIMIT 1
    ),
    (
        SELECT changed_at FROM traces_feed
        WHERE consumer = 5 AND project_id = %(project_id)s  -- BEHAVIOUR
        ORDER BY feed_id LIMIT 1
    ),
    (
        SELECT changed_at FROM traces_feed
        WHERE consumer = 7 AND project_id = %(project_id)s  -- SAMPLE
        ORDER BY feed_id LIMIT 1
    ),
    least(
        (
            SELECT changed_at FROM traces_feed
            WHERE consumer = 4 AND project_id = %(project_id)s  -- ABOVE: what judges draw from
            ORDER BY feed_id LIMIT 1
        ),
        (
            SELECT min(due.next_at)
            FROM evals_judge AS k
            JOIN evals_judgeversion AS v ON v.judge_id = k.id AND v.frozen_at IS NOT NULL
            CROSS JOIN LATERAL (
                SELECT j.next_at FROM evals_judgement AS j
                WHERE j.state = 'pending' AND j.judge_version_id = v.id AND j.purpose = 1 AND j.next_at <= %(now)s
                ORDER BY j.next_at LIMIT 1
            ) AS due
            WHERE k.project_id = %(project_id)s
        )
    ),
    (
        SELECT min(due_at) FROM alerts_monitor
        WHERE project_id = %(project_id)s AND archived_at IS NULL AND is_on AND due_at <= %(now)s
    )
