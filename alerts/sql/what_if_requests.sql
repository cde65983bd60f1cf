-- One row a request: its cost and tokens, and the place of its turn in its session, in the order of ids. Takes project_id,
-- trace_ids, with_turns. Stands on the key of traces_trace and traces_trace_session.
SELECT
    t.trace_id, t.session_id, t.cost_pico,
    t.unpriced_count + t.unknown_usage_count + t.partial_count AS missing,
    t.input_fresh + t.input_cache_read + t.input_cache_write_5m + t.input_cache_write_1h + t.input_audio AS tokens_in,
    t.output_text + t.output_reasoning + t.output_audio AS tokens_out,
    t.generation_count,
    CASE WHEN %(with_turns)s AND t.session_id IS NOT NULL THEN (
        SELECT count(*) + 1 FROM traces_trace AS b
        WHERE b.project_id = t.project_id AND b.session_id = t.session_id AND b.started_at < t.started_at
    ) ELSE 1 END AS turn
FROM traces_trace AS t
WHERE t.project_id = %(project_id)s AND t.trace_id = ANY (%(trace_ids)s::uuid[])
ORDER BY md5(t.trace_id::text)
