-- One row per term block that may hold one of the terms, or a term with one of the beginnings, in one of the segments;
-- {prefix_limit} of these a beginning and segment at most. Stands on the primary key of the partitions of the days.
WITH segment AS (
    SELECT * FROM unnest(%(segment_ids)s::bigint[], %(days)s::timestamptz[]) AS s (segment_id, day)
),
place AS (
    -- Where a term stands, or a beginning begins.
    SELECT s.segment_id, s.day, b.first
    FROM segment AS s
    CROSS JOIN unnest(%(terms)b::bytea[]) AS w (term)
    CROSS JOIN LATERAL (
        SELECT b.first
        FROM traces_search_block AS b
        WHERE b.project_id = %(project_id)s
          AND b.segment_id = s.segment_id
          AND b.kind = 1
          AND b.day = s.day
          AND b.day >= %(first_day)s
          AND b.day <= %(last_day)s
          AND b.first <= w.term
        ORDER BY b.first DESC
        LIMIT 1
    ) AS b
    UNION
    SELECT s.segment_id, s.day, b.first
    FROM segment AS s
    CROSS JOIN unnest(%(prefixes)b::bytea[], %(prefix_ends)b::bytea[]) AS w (low, high)
    CROSS JOIN LATERAL (
        SELECT b.first
        FROM traces_search_block AS b
        WHERE b.project_id = %(project_id)s
          AND b.segment_id = s.segment_id
          AND b.kind = 1
          AND b.day = s.day
          AND b.day >= %(first_day)s
          AND b.day <= %(last_day)s
          AND b.first > w.low
          AND b.first < w.high
        ORDER BY b.first
        LIMIT %(prefix_limit)s
    ) AS b
)
SELECT b.segment_id, b.first, b.data
FROM place AS p
JOIN traces_search_block AS b
    ON b.segment_id = p.segment_id AND b.day = p.day AND b.first = p.first
WHERE b.project_id = %(project_id)s
  AND b.kind = 1
  AND b.day >= %(first_day)s
  AND b.day <= %(last_day)s
ORDER BY b.segment_id, b.first
