-- One row per user of a month: the dearest first. Stands on traces_user_period_cost, read from its end: as many steps as
-- rows are asked for, however many users there are.
SELECT user_id, n, errors, input_tokens, cached_tokens, output_tokens, cost_pico, unpriced_count
FROM traces_user_period
WHERE project_id = %(project_id)s
  AND grain = 43200
  AND bucket = %(bucket)s
ORDER BY cost_pico DESC
LIMIT %(limit)s;
