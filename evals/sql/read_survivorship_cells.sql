-- One row: how many units of a window one feature has of a group, a vote and whether they are over; traces that name no
-- session (is_lone) and units that never had an answer (is_unanswered) apart.
-- Takes project_id, start, end_, zone, lone and unanswered (bits of traces.behaviour.types.Fact), feature (NULL for
-- any) and {day}: what else rows are cut by. Stands on the key of traces_behaviour_hour.
SELECT
    {day} AS day,
    feature,
    stratum,
    vote,
    is_closed,
    facts & %(lone)s <> 0 AS is_lone,
    facts & %(unanswered)s <> 0 AS is_unanswered,
    sum(n)::bigint AS n
FROM traces_behaviour_hour
WHERE project_id = %(project_id)s
    AND hour >= %(start)s
    AND hour < %(end_)s
    AND (%(feature)s::text IS NULL OR feature = %(feature)s)
    AND n > 0
GROUP BY 1, 2, 3, 4, 5, 6, 7
