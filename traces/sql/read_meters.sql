-- One row per (project, model) of traces_meter, in the order in which they were first seen, so that a limit cuts off the
-- newest and never the same one now and then; the slug of the project with it. Takes nothing. Reads the whole of a table
-- that has at most some dozens of rows a project.
SELECT
    project.slug, meter.model, meter.succeeded, meter.failed, meter.latency, meter.latency_ns::double precision,
    meter.input_tokens::double precision, meter.output_tokens::double precision, meter.priced,
    meter.cost_pico::double precision, meter.length, meter.characters::double precision,
    meter.recent_cost_pico / nullif(meter.recent_priced, 0)
FROM traces_meter AS meter
JOIN projects_project AS project ON project.id = meter.project_id
ORDER BY meter.ordinal
