-- One row per span that tells what a trace was about: model calls, tools, retrievals, the root, and spans of the names
-- asked for; of each trace at most the first and the last {half}. {columns} are those of traces.read.spans.
-- Stands on the primary key of the partitions between the bounds.
SELECT {columns}, o.resource, o.scope_name, o.scope_version, o.scope_attributes, o.vocabulary
FROM (
    SELECT inner_s.*,
        row_number() OVER (PARTITION BY inner_s.trace_id ORDER BY inner_s.started_at, inner_s.span_id) AS from_first,
        row_number() OVER (
            PARTITION BY inner_s.trace_id ORDER BY inner_s.started_at DESC, inner_s.span_id DESC
        ) AS from_last
    FROM traces_span AS inner_s
    WHERE inner_s.project_id = %(project_id)s
      AND inner_s.trace_id = ANY(%(trace_ids)s::uuid[])
      AND inner_s.started_at >= %(first)s
      AND inner_s.started_at <= %(last)s
      AND (
        inner_s.kind IN (1, 3, 4, 5)
        OR (inner_s.kind = 2 AND %(with_embeddings)s)
        OR inner_s.parent_span_id IS NULL
        OR inner_s.span_id = ANY(%(span_ids)s::bigint[])
        OR inner_s.name = ANY(%(names)s::text[])
      )
) AS s
LEFT JOIN traces_origin AS o ON o.project_id = s.project_id AND o.origin_id = s.origin_id
WHERE s.from_first <= {half} OR s.from_last <= {half}
ORDER BY s.trace_id, s.started_at, s.span_id
