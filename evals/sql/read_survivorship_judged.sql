-- One row: what a judge gave the last answer of a closed session of the window, with the chance that the answer had to
-- be judged and to be among these rows; the last two columns tell how many scores were looked at and the oldest one.
-- Takes project_id, start, end_, until (last answers come later than first ones), criterion, version_ids, newest
-- (scores looked at), lone (a bit of Fact), kept (about so many come back, a sample by their trace's hash), reviewed (traces that come back
-- for certain). Stands on evals_score_name, traces_behaviour_last.
WITH scored AS MATERIALIZED (
    SELECT s.trace_id, s.judgement_id, s.number, s.judge_version_id, s.started_at
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
),
counted AS MATERIALIZED (
    SELECT count(*) AS n, min(started_at) AS oldest_at, least(1.0, %(kept)s::float8 / greatest(count(*), 1)) AS share
    FROM scored
),
chosen AS MATERIALIZED (
    SELECT DISTINCT ON (s.trace_id)
        s.trace_id,
        s.judgement_id,
        s.number,
        CASE WHEN s.trace_id = ANY (%(reviewed)s::uuid[]) THEN 1.0 ELSE c.share END AS share
    FROM scored AS s
    CROSS JOIN counted AS c
    WHERE c.share >= 1.0
        OR (uuid_hash_extended(s.trace_id, 5) & 1048575) < c.share * 1048576
        OR s.trace_id = ANY (%(reviewed)s::uuid[])
    ORDER BY s.trace_id, s.judge_version_id DESC
)
SELECT
    chosen.trace_id,
    b.feature,
    b.stratum,
    b.vote <> 0 AS has_voted,
    b.is_lone,
    chosen.number,
    g.pi * chosen.share AS pi,
    c.n,
    c.oldest_at
FROM chosen
CROSS JOIN counted AS c
CROSS JOIN LATERAL (
    SELECT o.feature, o.stratum, o.vote, o.facts & %(lone)s <> 0 AS is_lone
    FROM traces_behaviour AS o
    WHERE o.project_id = %(project_id)s
        AND o.last_trace_id = chosen.trace_id
        AND o.is_closed
        AND o.first_at >= %(start)s
        AND o.first_at < %(end_)s
    OFFSET 0  -- each looked up by its key in turn, whatever the planner takes the tables for
) AS b
CROSS JOIN LATERAL (
    SELECT o.pi
    FROM evals_judgement AS o
    WHERE o.project_id = %(project_id)s
        AND o.judgement_id = chosen.judgement_id
        AND o.pi IS NOT NULL
        AND o.repeat = 0
        AND o.purpose IN (1, 2)
    OFFSET 0
) AS g
