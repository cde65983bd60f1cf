-- One row a user whose day or month cost so much, the dearest first. Takes project_id, grain, bucket, least, limit; user_ids
-- (NULL: all). Stands on traces_user_period_cost, of some users on the key.
SELECT u.user_id, u.n, u.cost_pico, u.unpriced_count
FROM traces_user_period AS u
WHERE u.project_id = %(project_id)s
    AND u.grain = %(grain)s
    AND u.bucket = %(bucket)s
    AND u.cost_pico >= %(least)s
    AND (%(user_ids)s::text[] IS NULL OR u.user_id = ANY (%(user_ids)s::text[]))
ORDER BY u.cost_pico DESC, u.user_id
LIMIT %(limit)s
