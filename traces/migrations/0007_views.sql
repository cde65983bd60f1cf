-- Finding traces by what they hold. Write cost measured on 130,000 stored spans and 60,000 trace rows
-- (docs/decisions/0005-indexes-for-finding.md): 5 µs a trace, 0.04 µs a span, 0.2 µs a span that has metadata.

-- Traces by a model or tag, however rare. Inserts wait in a list that is kept short, since every reader goes through it.
CREATE INDEX traces_trace_models ON traces_trace USING gin (models, tags) WITH (gin_pending_list_limit = 256);

-- The spans of an hour without reading the day: what a point of a chart leads to. Rows lie about in order of arrival.
CREATE INDEX traces_span_started ON traces_span USING brin (started_at) WITH (pages_per_range = 16, autosummarize = on);

-- Spans by what their sender attached.
CREATE INDEX traces_span_metadata ON traces_span USING gin (metadata jsonb_path_ops) WHERE metadata IS NOT NULL;
