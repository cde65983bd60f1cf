-- One row: a member of an incident (that goes on, or was resolved before it ended) which is over and does not say so
-- yet: id, project, since when.
-- An alarm that ended or was closed; a cost budget whose period ended (%(now)s). Stands on incident_members_going.
SELECT m.id, m.project_id, coalesce(a.ended_at, a.closed_at, %(now)s)
FROM alerts_incidentmember AS m
JOIN alerts_incident AS i ON i.id = m.incident_id AND i.state <> 'merged'
JOIN alerts_alarm AS a ON a.id = m.ref AND a.state IN ('ended', 'closed')
WHERE m.over_at IS NULL AND m.kind = 'alarm'
UNION ALL
SELECT m.id, m.project_id, s.end_at
FROM alerts_incidentmember AS m
JOIN alerts_incident AS i ON i.id = m.incident_id AND i.state <> 'merged'
JOIN alerts_budgetstand AS s ON s.id = m.ref AND s.end_at <= %(now)s
WHERE m.over_at IS NULL AND m.kind = 'budget'
