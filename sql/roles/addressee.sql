-- addressee - whom the payload itself names.
--
--     {"recipient": 7}              the recipient whose id is 7
--     {"recipient": "hilda"}        the recipient whose key is hilda
--     {"recipients": [7, "hilda"]}  several of them
--
-- A number is an id, a string is a key; what names nobody is passed over. A
-- JSON number without a point is a whole one: to look for that, in a value
-- that is taken out of the payload once, costs 2,700 instructions less than
-- postbatch.to_bigint().
SELECT a.event_id,
       CASE a.kind
         WHEN 'number' THEN
           CASE WHEN octet_length(a.who) < 19 AND a.who NOT LIKE '%.%'
                THEN a.who::bigint
                ELSE postbatch.to_bigint(a.who) END
         WHEN 'string' THEN (SELECT r.id FROM postbatch.recipient AS r
                              WHERE r.key = a.who)
       END AS recipient_id
  FROM (SELECT pass.event_id, pass.payload ->> 'recipient' AS who,
               jsonb_typeof(pass.payload -> 'recipient') AS kind
          FROM pass OFFSET 0) AS a
UNION ALL
SELECT pass.event_id,
       coalesce(postbatch.to_bigint(a.who),
                (SELECT r.id FROM postbatch.recipient AS r
                  WHERE r.key = a.who #>> '{}'))
  FROM pass
 CROSS JOIN LATERAL postbatch.elements(pass.payload -> 'recipients') AS a (who)
 WHERE pass.payload ? 'recipients'
