-- updated_token_member - the user or the group that a token was shared with
-- or taken from: {"user_login": "jane"} or {"group_title": "factory-staging"}.
SELECT pass.event_id, p.recipient_id
  FROM pass
 CROSS JOIN LATERAL (
       SELECT u.recipient_id FROM obs.users AS u
        WHERE u.login = pass.payload ->> 'user_login'
       UNION ALL
       SELECT p.recipient_id
         FROM obs.groups AS g
        CROSS JOIN LATERAL obs.people(NULL, g.id) AS p
        WHERE g.title = pass.payload ->> 'group_title') AS p
