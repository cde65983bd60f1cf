-- One row per document block asked for. Stands on the primary key of the partitions of the days.
SELECT b.segment_id, b.first, b.data
FROM unnest(%(segment_ids)s::bigint[], %(days)s::timestamptz[], %(firsts)b::bytea[]) AS p (segment_id, day, first)
JOIN traces_search_block AS b
    ON b.segment_id = p.segment_id AND b.day = p.day AND b.first = p.first
WHERE b.project_id = %(project_id)s
  AND b.kind = 0
  AND b.day >= %(first_day)s
  AND b.day <= %(last_day)s
