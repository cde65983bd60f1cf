-- One row per (what, name, outcome): what arrived since the beginning, for counters. Takes nothing. Kept sums plus the
-- batches not folded yet, in one statement. Reads the whole of the small hourly tables, and traces_ingest_batch_open.
WITH items AS (
    SELECT source, stored, duplicate, rejected, dropped FROM traces_ingest_hour
    UNION ALL
    SELECT source, stored, duplicate, rejected, dropped FROM traces_ingest_batch WHERE NOT accounted
)
SELECT 'items' AS what, source AS name, each.outcome, sum(each.n)::bigint AS n
FROM items
CROSS JOIN LATERAL (
    VALUES ('stored', stored), ('duplicate', duplicate), ('rejected', rejected), ('dropped', dropped)
) AS each (outcome, n)
GROUP BY source, each.outcome
UNION ALL
SELECT 'reasons', reason, outcome, sum(n)::bigint
FROM traces_ingest_reason_hour
GROUP BY reason, outcome
UNION ALL
SELECT 'refused', http_status::text, '', sum(n)::bigint
FROM traces_ingest_refusal_hour
GROUP BY http_status
