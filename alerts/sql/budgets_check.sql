-- One row a cost budget that holds for somebody who asks, with what is spent of it in the periods that now lies in: from its
-- stand, and of users from their days and months themselves, which are never older than the roll-ups.
-- Takes project_id, feature, user_id (NULL: not told), day_start, month_start. Stands on the keys of alerts_costbudget,
-- alerts_budgetstand and traces_user_period.
SELECT
    b.id, b.name, b.of, b.subject, b.period, b.limit_pico, b.policy, b.read_at,
    s.spent_pico, s.unpriced, s.upper_bound, s.read_at,
    u.cost_pico, u.unpriced_count
FROM alerts_costbudget AS b
LEFT JOIN alerts_budgetstand AS s
    ON b.of <> 'user'
    AND s.budget_id = b.id
    AND s.subject = CASE b.of WHEN 'feature' THEN %(feature)s ELSE '' END
    AND s.start_at = CASE b.period WHEN 'day' THEN %(day_start)s ELSE %(month_start)s END
LEFT JOIN traces_user_period AS u
    ON b.of = 'user'
    AND u.project_id = b.project_id
    AND u.grain = CASE b.period WHEN 'day' THEN 1440 ELSE 43200 END
    AND u.bucket = CASE b.period WHEN 'day' THEN %(day_start)s ELSE %(month_start)s END
    AND u.user_id = %(user_id)s
WHERE b.project_id = %(project_id)s
    AND b.is_on
    AND b.archived_at IS NULL
    AND (
        b.of = 'project'
        OR (b.of = 'feature' AND %(feature)s::text IS NOT NULL AND b.subject IN ('', %(feature)s))
        OR (b.of = 'user' AND %(user_id)s::text IS NOT NULL AND b.subject IN ('', %(user_id)s))
    )
ORDER BY b.id
