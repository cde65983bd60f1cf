-- One value: whether an alarm waits that would open or join an incident: found since %(since)s and of none, and either
-- it may page, or it was found since %(fresh)s in a project where an incident goes on. Stands on alerts_alarm_found.
SELECT EXISTS (
    SELECT FROM alerts_alarm AS a
    WHERE a.found_at > %(since)s
      AND (
        a.is_page OR a.found_at > %(fresh)s AND EXISTS (
            SELECT FROM alerts_incident AS i
            WHERE i.project_id = a.project_id AND i.state IN ('open', 'acknowledged')
        )
      )
      AND NOT EXISTS (
        SELECT FROM alerts_incidentmember AS m
        WHERE m.project_id = a.project_id AND m.kind = 'alarm' AND m.ref = a.id
      )
)
