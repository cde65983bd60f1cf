-- One row per point of time and group: sums over the rows of the segments. A segment is a grain with the buckets
-- [low, high) of it; points begin at the edges. Buckets of days are placed by their middle (`shift`), so that days cut
-- in a zone the project had before fall on the date they mostly lie in. Stands on the primary key, one range a segment.
SELECT {at} AS at, {groups} {columns}
FROM unnest(%(grains)s::smallint[], %(lows)s::timestamptz[], %(highs)s::timestamptz[], %(shifts)s::interval[])
    AS segment (grain, low, high, shift)
JOIN traces_rollup AS r
    ON r.project_id = %(project_id)s
    AND r.grain = segment.grain
    AND r.bucket >= segment.low - segment.shift
    AND r.bucket < segment.high - segment.shift
    AND {family}
{scopes}
GROUP BY {keys}
