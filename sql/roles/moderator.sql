-- moderator - who looks after reports; while there are no moderators, the
-- admins and the staff do. No key of the payload is read.
SELECT pass.event_id, u.recipient_id
  FROM pass
 CROSS JOIN LATERAL (
       SELECT g.user_id FROM obs.global_roles AS g WHERE g.role = 'Moderator'
       UNION
       SELECT g.user_id FROM obs.global_roles AS g
        WHERE g.role IN ('Admin', 'Staff')
          AND NOT EXISTS (SELECT FROM obs.global_roles AS m
                           WHERE m.role = 'Moderator')) AS g
  JOIN obs.users AS u ON u.id = g.user_id
