-- assignee - to whom the package is assigned: {"assignee": "jane"}.
SELECT pass.event_id, u.recipient_id
  FROM pass
  JOIN obs.users AS u ON u.login = pass.payload ->> 'assignee'
