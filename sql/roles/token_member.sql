-- token_member - with whom the token is shared: {"token_id": 512}. Users, and
-- groups by their address or their members.
SELECT pass.event_id, p.recipient_id
  FROM pass
 CROSS JOIN LATERAL (
       SELECT postbatch.to_bigint(pass.payload ->> 'token_id') AS id) AS t
 CROSS JOIN LATERAL (
       SELECT u.user_id, NULL::bigint AS group_id
         FROM obs.tokens_users AS u WHERE u.token_id = t.id
       UNION ALL
       SELECT NULL, g.group_id
         FROM obs.tokens_groups AS g WHERE g.token_id = t.id) AS m
 CROSS JOIN LATERAL obs.people(m.user_id, m.group_id) AS p
