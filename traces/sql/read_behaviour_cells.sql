-- One row per (key, feature, stratum, facts, vote, closed or open) with its counts, over the hours of a window. {key} is
-- what is grouped by (a day is cut in %(time_zone)s), {conditions} the features asked for. Stands on the key of
-- traces_behaviour_hour.
SELECT {key} AS key, feature, stratum, facts, vote, is_closed,
    sum(n), sum(answers), sum(answers_squared), sum(seconds), sum(seconds_squared), sum(seconds_n)
FROM traces_behaviour_hour
WHERE project_id = %(project_id)s
  AND hour >= %(start)s
  AND hour < %(end)s
  AND {conditions}
GROUP BY 1, 2, 3, 4, 5, 6
HAVING sum(n) <> 0
ORDER BY 1, 2, 3, 4, 5, 6
