-- One row a request, kind and model of its counted calls and its searches: how many, their tokens by bucket, their cost and
-- how many have none. Takes project_id, trace_ids, kinds. Stands on the keys of traces_trace and traces_span; the times of a
-- trace bound the partitions.
SELECT
    s.trace_id, s.kind, coalesce(s.model_answered, s.model_requested) AS model,
    count(*), sum(coalesce(s.input_fresh, 0))::bigint, sum(coalesce(s.input_cache_read, 0))::bigint,
    sum(coalesce(s.input_cache_write_5m, 0))::bigint, sum(coalesce(s.input_cache_write_1h, 0))::bigint,
    sum(coalesce(s.input_audio, 0))::bigint, sum(coalesce(s.output_text, 0))::bigint,
    sum(coalesce(s.output_reasoning, 0))::bigint, sum(coalesce(s.output_audio, 0))::bigint,
    coalesce(sum(s.cost_pico), 0)::bigint, count(*) FILTER (WHERE s.cost_pico IS NULL AND s.counted)
FROM traces_trace AS t
CROSS JOIN LATERAL (
    SELECT * FROM traces_span AS s
    WHERE s.project_id = t.project_id AND s.trace_id = t.trace_id
        AND s.started_at >= t.started_at AND s.started_at <= t.last_started_at
        AND s.kind = ANY (%(kinds)s::smallint[])
        AND (s.counted OR s.kind <> %(generation)s)
) AS s
WHERE t.project_id = %(project_id)s AND t.trace_id = ANY (%(trace_ids)s::uuid[])
GROUP BY s.trace_id, s.kind, coalesce(s.model_answered, s.model_requested)
