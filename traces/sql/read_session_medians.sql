-- One row: what is usual in the project, over its newest %(sample)s sessions; each median over those that know the value.
-- Stands on traces_session_started: 1,000 rows take 3 ms at any size (measured).
SELECT
    count(*),
    percentile_cont(0.5) WITHIN GROUP (ORDER BY turns),
    percentile_cont(0.5) WITHIN GROUP (ORDER BY cost_pico::double precision) FILTER (WHERE priced_count + upper_bound_count > 0),
    count(*) FILTER (WHERE priced_count + upper_bound_count > 0),
    percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM ended_at - first_started_at)),
    count(ended_at),
    percentile_cont(0.5) WITHIN GROUP (ORDER BY worst_duration_ns),
    count(worst_duration_ns)
FROM (
    SELECT turns, cost_pico, priced_count, upper_bound_count, ended_at, first_started_at, worst_duration_ns
    FROM traces_session
    WHERE project_id = %(project_id)s
      AND turns > 0
      AND first_started_at < %(before)s
    ORDER BY first_started_at DESC, session_key DESC
    LIMIT %(sample)s
) AS newest
