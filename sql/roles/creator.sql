-- creator - who created the request: {"author": "jane"}.
SELECT pass.event_id, u.recipient_id
  FROM pass
  JOIN obs.users AS u ON u.login = pass.payload ->> 'author'
