-- One row per day (or month) of one user in which something was booked. The buckets are named one by one: each is one
-- look-up on the primary key of traces_user_period.
SELECT u.bucket, u.n, u.errors, u.input_tokens, u.cached_tokens, u.output_tokens, u.cost_pico, u.unpriced_count
FROM unnest(%(buckets)s::timestamptz[]) AS asked (bucket)
JOIN traces_user_period AS u
  ON u.project_id = %(project_id)s
  AND u.grain = %(grain)s
  AND u.bucket = asked.bucket
  AND u.user_id = %(user_id)s
ORDER BY u.bucket
