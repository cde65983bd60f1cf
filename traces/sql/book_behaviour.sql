-- Books into the hourly counts what rows of units held (sign -1) and hold now (sign 1), as told in %(lines)s; in order
-- of the key, so that folds that book at once wait for each other and never in a circle. Cells that are empty then go.
-- One row: how many cells changed. Stands on the key of traces_behaviour_hour.
WITH booked AS (
    INSERT INTO traces_behaviour_hour AS held (
        project_id, hour, feature, stratum, facts, vote, is_closed, n, answers, answers_squared, seconds,
        seconds_squared, seconds_n
    )
    SELECT
        %(project_id)s, date_trunc('hour', first_at, 'UTC') AS hour, feature, stratum, facts, vote, is_closed,
        sum(sign), sum(sign * answers), sum(sign * answers * answers),
        coalesce(sum(sign * length_seconds::numeric), 0),
        coalesce(sum(sign * length_seconds::numeric * length_seconds::numeric), 0),
        coalesce(sum(sign) FILTER (WHERE length_seconds IS NOT NULL), 0)
    FROM jsonb_to_recordset(%(lines)s::jsonb) AS line (
        sign integer, first_at timestamptz, feature text, stratum smallint, facts integer, vote smallint,
        is_closed boolean, answers bigint, length_seconds double precision
    )
    GROUP BY 2, 3, 4, 5, 6, 7
    HAVING sum(sign) <> 0 OR sum(sign * answers) <> 0 OR sum(sign * answers * answers) <> 0
        OR coalesce(sum(sign * length_seconds::numeric), 0) <> 0
        OR coalesce(sum(sign * length_seconds::numeric * length_seconds::numeric), 0) <> 0
        OR sum(sign) FILTER (WHERE length_seconds IS NOT NULL) <> 0
    ORDER BY 2, 3, 4, 5, 6, 7
    ON CONFLICT (project_id, hour, feature, stratum, facts, vote, is_closed) DO UPDATE SET
        n = held.n + excluded.n,
        answers = held.answers + excluded.answers,
        answers_squared = held.answers_squared + excluded.answers_squared,
        seconds = held.seconds + excluded.seconds,
        seconds_squared = held.seconds_squared + excluded.seconds_squared,
        seconds_n = held.seconds_n + excluded.seconds_n
    RETURNING hour, feature, stratum, facts, vote, is_closed, n
)
SELECT hour, feature, stratum, facts, vote, is_closed FROM booked WHERE n = 0
