-- Sums, per session asked for, what traces_trace holds of it, and puts that into its row, which must be there; one row
-- returned for each that had traces. The first and last value of something is the least and greatest of (moment, trace,
-- value) as text: one pass, no sort, and no memory however long the session is. Stands on traces_trace_session: 27 µs a
-- session of 4 traces, 8 µs a trace of a long one (measured). %(claimed_at)s: only rows not refreshed since; NULL: all.
WITH summed AS (
    SELECT asked.session_id, of_traces.*, named.*
    FROM unnest(%(session_ids)s::text[]) AS asked (session_id)
    CROSS JOIN LATERAL (
        SELECT
            count(*)::integer AS turns,
            count(*) FILTER (WHERE error_count > 0)::integer AS error_turns,
            count(*) FILTER (WHERE root_status = 2)::integer AS failed_turns,
            sum(span_count) AS span_count,
            sum(generation_count) AS generation_count,
            sum(error_count) AS error_count,
            sum(usage_count) AS usage_count,
            sum(priced_count) AS priced_count,
            sum(unpriced_count) AS unpriced_count,
            sum(unknown_usage_count) AS unknown_usage_count,
            sum(partial_count) AS partial_count,
            sum(upper_bound_count) AS upper_bound_count,
            sum(duplicate_count) AS duplicate_count,
            least(sum(input_fresh), {most}) AS input_fresh,
            least(sum(input_cache_read), {most}) AS input_cache_read,
            least(sum(input_cache_write_5m), {most}) AS input_cache_write_5m,
            least(sum(input_cache_write_1h), {most}) AS input_cache_write_1h,
            least(sum(input_audio), {most}) AS input_audio,
            least(sum(output_text), {most}) AS output_text,
            least(sum(output_reasoning), {most}) AS output_reasoning,
            least(sum(output_audio), {most}) AS output_audio,
            sum(cost_pico) AS cost_pico,
            sum(cost_reported_pico) AS cost_reported_pico,
            min(started_at) AS first_started_at,
            max(started_at) AS last_started_at,
            CASE WHEN max(ended_at) IS NOT NULL THEN greatest(max(ended_at), max(started_at)) END AS ended_at,
            max(duration_ns) AS worst_duration_ns,
            (max(ARRAY[lpad(duration_ns::text, 20, '0') COLLATE "C", trace_id::text])
                FILTER (WHERE duration_ns IS NOT NULL))[2]::uuid AS worst_trace_id,
            count(DISTINCT user_id)::integer AS user_count,
            (min(ARRAY[place, user_id]) FILTER (WHERE user_id IS NOT NULL))[2] AS user_id,
            (min(ARRAY[place, service]) FILTER (WHERE service IS NOT NULL))[2] AS service,
            (min(ARRAY[place, environment]) FILTER (WHERE environment IS NOT NULL))[2] AS environment,
            (max(ARRAY[place, release]) FILTER (WHERE release IS NOT NULL))[2] AS release,
            (min(ARRAY[place, preview_in]) FILTER (WHERE preview_in IS NOT NULL))[2] AS preview_in,
            (max(ARRAY[place, preview_out]) FILTER (WHERE preview_out IS NOT NULL))[2] AS preview_out
        FROM (
            SELECT
                t.*,
                {duration_ns} AS duration_ns,
                -- 18 digits for all of the years 1 to 9999.
                ((extract(epoch FROM t.started_at) * 1000000 + 200000000000000000)::bigint::text || t.trace_id::text)
                    COLLATE "C" AS place
            FROM traces_trace AS t
            WHERE t.project_id = %(project_id)s
              AND t.session_id = asked.session_id
        ) AS placed
    ) AS of_traces
    CROSS JOIN LATERAL (
        SELECT
            ARRAY(
                SELECT DISTINCT t.feature COLLATE "C" AS feature
                FROM traces_trace AS t
                WHERE t.project_id = %(project_id)s
                  AND t.session_id = asked.session_id
                  AND t.feature IS NOT NULL
                ORDER BY feature
                LIMIT %(names_max)s
            ) AS features,
            ARRAY(
                SELECT DISTINCT model COLLATE "C" AS model
                FROM traces_trace AS t
                CROSS JOIN LATERAL unnest(t.models) AS model
                WHERE t.project_id = %(project_id)s
                  AND t.session_id = asked.session_id
                ORDER BY model
                LIMIT %(names_max)s
            ) AS models
    ) AS named
)
UPDATE traces_session AS s
SET refreshed_at = clock_timestamp(),
    -- Whoever asked while a long session was being summed asks for one more time.
    stale_since = CASE WHEN s.stale_since > coalesce(%(stale_since)s::timestamptz, 'infinity') THEN s.stale_since END,
    {assignments}
FROM summed AS r
WHERE s.project_id = %(project_id)s
  AND s.session_id = r.session_id
  AND r.turns > 0
  AND (%(claimed_at)s::timestamptz IS NULL OR s.refreshed_at = %(claimed_at)s)
RETURNING s.session_id
