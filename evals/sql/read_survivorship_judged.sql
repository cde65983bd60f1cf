-- One row: how many last answers of closed sessions of the window a judge gave the same score, in the same group, with
-- the same chance to be judged and to be among these rows; each of `reviewed` has a row of its own, which names it.
-- Takes project_id, start, end_, oldest and until (of the judged traces: last answers come later than first turns),
-- criterion, version_ids, share (of them that come back, a sample by their trace's hash), reviewed (traces that come
-- back for certain), lone (a bit of Fact). Stands on evals_score_name or evals_score_age, and traces_behaviour_last.
WITH chosen AS MATERIALIZED (
    SELECT DISTINCT ON (s.trace_id)
        s.trace_id,
        s.judgement_id,
        s.number,
        s.trace_id = ANY (%(reviewed)s::uuid[]) AS is_reviewed
    FROM evals_score AS s
    WHERE s.project_id = %(project_id)s
        AND s.name = %(criterion)s
        AND s.started_at >= %(oldest)s
        AND s.started_at < %(until)s
        AND s.source = 1
        AND s.span_id = 0
        AND s.judge_version_id = ANY (%(version_ids)s::bigint[])
        AND s.number IS NOT NULL
        AND (
            (uuid_hash_extended(s.trace_id, 5) & 1048575) < %(share)s::float8 * 1048576
            OR s.trace_id = ANY (%(reviewed)s::uuid[])
        )
    ORDER BY s.trace_id, s.judge_version_id DESC
)
SELECT
    CASE WHEN c.is_reviewed THEN c.trace_id END AS trace_id,
    b.feature,
    b.stratum,
    b.vote <> 0 AS has_voted,
    b.is_lone,
    c.number,
    g.pi * CASE WHEN c.is_reviewed THEN 1.0 ELSE %(share)s::float8 END AS pi,
    count(*) AS times
FROM chosen AS c
CROSS JOIN LATERAL (
    SELECT o.feature, o.stratum, o.vote, o.facts & %(lone)s <> 0 AS is_lone
    FROM traces_behaviour AS o
    WHERE o.project_id = %(project_id)s
        AND o.last_trace_id = c.trace_id
        AND o.is_closed
        AND o.first_at >= %(start)s
        AND o.first_at < %(end_)s
    OFFSET 0  -- each looked up by its key in turn, whatever the planner takes the tables for
) AS b
CROSS JOIN LATERAL (
    SELECT o.pi
    FROM evals_judgement AS o
    WHERE o.project_id = %(project_id)s
        AND o.judgement_id = c.judgement_id
        AND o.pi IS NOT NULL
        AND o.repeat = 0
        AND o.purpose IN (1, 2)
    OFFSET 0
) AS g
GROUP BY 1, 2, 3, 4, 5, 6, 7
