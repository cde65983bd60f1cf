-- One row: a channel, or a person, to which something is to be sent now, and to which nobody is sending.
-- Takes now. Stands on delivery_due.
SELECT d.channel_id, d.user_id, min(d.id) AS first
FROM alerts_delivery AS d
LEFT JOIN alerts_channel AS c ON c.id = d.channel_id
WHERE d.state = 'waiting'
  AND d.next_at <= %(now)s
  AND (d.leased_until IS NULL OR d.leased_until < now())
  AND (c.id IS NULL OR (c.is_on AND c.archived_at IS NULL AND (c.paused_until IS NULL OR c.paused_until <= %(now)s)))
  AND NOT EXISTS (
      SELECT
      FROM alerts_delivery AS e
      WHERE e.state = 'waiting'
        AND e.leased_until >= now()
        AND e.channel_id IS NOT DISTINCT FROM d.channel_id
        AND e.user_id IS NOT DISTINCT FROM d.user_id
  )
GROUP BY d.channel_id, d.user_id
ORDER BY first
LIMIT 100
