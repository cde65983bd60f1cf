-- One row per point of time, group and reason (error type or finish reason): how often. As rollup_read.
SELECT {at} AS at, {groups} r.reason, sum(r.n)::bigint
FROM unnest(%(grains)s::smallint[], %(lows)s::timestamptz[], %(highs)s::timestamptz[], %(shifts)s::interval[])
    AS segment (grain, low, high, shift)
JOIN traces_rollup_reason AS r
    ON r.project_id = %(project_id)s
    AND r.grain = segment.grain
    AND r.bucket >= segment.low - segment.shift
    AND r.bucket < segment.high - segment.shift
    AND {family}
    AND r.what = %(what)s
{scopes}
GROUP BY {keys}, r.reason
