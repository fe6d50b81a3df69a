-- any_role - the user or the group that a change of roles is about:
-- {"user": "jane"} or {"group": "factory-staging"}.
SELECT pass.event_id, p.recipient_id
  FROM pass
 CROSS JOIN LATERAL (
       SELECT u.recipient_id FROM obs.users AS u
        WHERE u.login = pass.payload ->> 'user'
       UNION ALL
       SELECT p.recipient_id
         FROM obs.groups AS g
        CROSS JOIN LATERAL obs.people(NULL, g.id) AS p
        WHERE g.title = pass.payload ->> 'group') AS p
