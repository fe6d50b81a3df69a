-- member - who was put into a group or taken out of it: {"member": "jane"}.
SELECT pass.event_id, u.recipient_id
  FROM pass
  JOIN obs.users AS u ON u.login = pass.payload ->> 'member'
