-- Counters of calls of models, for /metrics (traces.meters). A batch's row keeps what its spans add, in the commit that
-- stores them; the consumer that folds it into the account of ingest adds it here, once. Nothing is ever taken away.
ALTER TABLE traces_ingest_batch ADD COLUMN calls jsonb;  -- {model: Meter.packed()}; NULL: no call of a model

-- One row per project and model, the most that a project has being traces.write.meters.MODELS_MAX.
CREATE TABLE traces_meter (
    project_id integer NOT NULL,
    model text NOT NULL,
    ordinal bigint GENERATED ALWAYS AS IDENTITY, -- which was seen first
    succeeded bigint NOT NULL,
    failed bigint NOT NULL,
    latency bigint[] NOT NULL,            -- calls by bucket, not cumulated: traces.meters.LATENCY_SECONDS
    latency_ns numeric NOT NULL,
    input_tokens numeric NOT NULL,
    output_tokens numeric NOT NULL,
    priced bigint NOT NULL,
    cost_pico numeric NOT NULL,
    length bigint[] NOT NULL,             -- traces.meters.LENGTH_CHARACTERS
    characters numeric NOT NULL,
    recent_priced double precision NOT NULL,    -- faded: what was an hour ago weighs 1/e
    recent_cost_pico double precision NOT NULL,
    recent_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (project_id, model)
);
