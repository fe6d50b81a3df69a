-- admin_moderator_or_staff - who has a role for the whole site. No key of the
-- payload is read.
SELECT pass.event_id, u.recipient_id
  FROM pass
 CROSS JOIN LATERAL (
       SELECT DISTINCT g.user_id FROM obs.global_roles AS g
        WHERE g.role IN ('Admin', 'Moderator', 'Staff')) AS g
  JOIN obs.users AS u ON u.id = g.user_id
