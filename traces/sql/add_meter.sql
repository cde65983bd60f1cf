-- Adds one batch's figures of one model to its row of traces_meter. Takes the columns by name. Stands on the primary key.
-- What is recent fades: a call of an hour ago weighs 1/e (no less than e^-50, so that nothing underflows).
INSERT INTO traces_meter AS meter (
    project_id, model, succeeded, failed, latency, latency_ns, input_tokens, output_tokens, priced, cost_pico, length,
    characters, recent_priced, recent_cost_pico
) VALUES (
    %(project_id)s, %(model)s, %(succeeded)s, %(failed)s, %(latency)s::bigint[], %(latency_ns)s, %(input_tokens)s,
    %(output_tokens)s, %(priced)s, %(cost_pico)s, %(length)s::bigint[], %(characters)s, %(priced)s, %(cost_pico)s
)
ON CONFLICT (project_id, model) DO UPDATE SET
    succeeded = meter.succeeded + excluded.succeeded,
    failed = meter.failed + excluded.failed,
    latency = (
        SELECT array_agg(each.a + each.b ORDER BY each.at)
        FROM unnest(meter.latency, excluded.latency) WITH ORDINALITY AS each (a, b, at)
    ),
    latency_ns = meter.latency_ns + excluded.latency_ns,
    input_tokens = meter.input_tokens + excluded.input_tokens,
    output_tokens = meter.output_tokens + excluded.output_tokens,
    priced = meter.priced + excluded.priced,
    cost_pico = meter.cost_pico + excluded.cost_pico,
    length = (
        SELECT array_agg(each.a + each.b ORDER BY each.at)
        FROM unnest(meter.length, excluded.length) WITH ORDINALITY AS each (a, b, at)
    ),
    characters = meter.characters + excluded.characters,
    recent_priced = excluded.recent_priced + meter.recent_priced
        * exp(greatest(-extract(epoch FROM now() - meter.recent_at) / 3600, -50)::double precision),
    recent_cost_pico = excluded.recent_cost_pico + meter.recent_cost_pico
        * exp(greatest(-extract(epoch FROM now() - meter.recent_at) / 3600, -50)::double precision),
    recent_at = now()
