-- commenter - who took part in the discussion or was mentioned in it:
-- {"commenters": ["jane", 17]}.
--
-- A string is a login, a number is the id of a user.
SELECT pass.event_id, u.recipient_id
  FROM pass
 CROSS JOIN LATERAL postbatch.elements(pass.payload -> 'commenters') AS c
 CROSS JOIN LATERAL (
       SELECT by_login.recipient_id FROM obs.users AS by_login
        WHERE jsonb_typeof(c) = 'string' AND by_login.login = c #>> '{}'
       UNION ALL
       SELECT by_id.recipient_id FROM obs.users AS by_id
        WHERE jsonb_typeof(c) = 'number'
          AND by_id.id = postbatch.to_bigint(c #>> '{}')) AS u
