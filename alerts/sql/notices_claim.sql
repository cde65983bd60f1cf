-- One row: the delivery to a channel (or to a person's mail) that is to be tried now, held.
-- Takes channel_id and user_id (one of them NULL), now, and until when the lease holds by the database's clock.
-- Messages of one incident go to a receiver in their order: a later one waits while an earlier one waits, unless the
-- receiver refused that one for what it holds. Stands on delivery_due.
SELECT d.id
FROM alerts_delivery AS d
JOIN alerts_transition AS t ON t.id = d.transition_id
WHERE d.state = 'waiting'
  AND d.next_at <= %(now)s
  AND (d.leased_until IS NULL OR d.leased_until < now())
  AND d.channel_id IS NOT DISTINCT FROM %(channel_id)s
  AND d.user_id IS NOT DISTINCT FROM %(user_id)s
  AND NOT EXISTS (
      SELECT FROM alerts_channel AS c
      WHERE c.id = d.channel_id AND (NOT c.is_on OR c.archived_at IS NOT NULL OR c.paused_until > %(now)s)
  )
  AND NOT EXISTS (
      SELECT
      FROM alerts_delivery AS e
      JOIN alerts_transition AS u ON u.id = e.transition_id
      WHERE e.state = 'waiting'
        AND e.id < d.id
        AND e.channel_id IS NOT DISTINCT FROM d.channel_id
        AND e.user_id IS NOT DISTINCT FROM d.user_id
        AND u.incident_id = t.incident_id
        AND NOT (e.attempts > 0 AND e.leased_until IS NULL AND e.status = ANY(%(refused)s))
  )
ORDER BY d.id
LIMIT 1
FOR NO KEY UPDATE OF d SKIP LOCKED
