-- addressee - whom the payload itself names.
--
--     {"recipient": 7}              the recipient whose id is 7
--     {"recipient": "hilda"}        the recipient whose key is hilda
--     {"recipients": [7, "hilda"]}  several of them
--
-- A number is an id, a string is a key; what names nobody is passed over.
SELECT pass.event_id,
       CASE jsonb_typeof(pass.payload -> 'recipient')
         WHEN 'number' THEN postbatch.to_bigint(pass.payload ->> 'recipient')
         WHEN 'string' THEN (SELECT r.id FROM postbatch.recipient AS r
                              WHERE r.key = pass.payload ->> 'recipient')
       END AS recipient_id
  FROM pass
UNION ALL
SELECT pass.event_id,
       coalesce(postbatch.to_bigint(a.who),
                (SELECT r.id FROM postbatch.recipient AS r
                  WHERE r.key = a.who #>> '{}'))
  FROM pass
 CROSS JOIN LATERAL postbatch.elements(pass.payload -> 'recipients') AS a (who)
 WHERE pass.payload ? 'recipients'
