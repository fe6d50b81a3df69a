-- preview_event - an event and a person as they are now, to look at a letter.
--
-- Reads only. The role is the one that the ledger has for a letter to this
-- person about this event; a letter that was not sent yet has none.
--
-- Parameters; a NULL asks for neither:
--   $1 bigint  an event id
--   $2 text    a recipient: key, email address or id
--   $3 int     largest payload, in bytes of text
-- Result, one row:
--   event_id bigint; NULL: there is no such event
--   type text, payload text (JSON; NULL when it is too large),
--   created_us bigint (microseconds since 1970-01-01 UTC)
--   recipient_id bigint; NULL: there is no such recipient
--   email text, name text, locale text (both may be ''), role text
SELECT e.id AS event_id, e.type,
       CASE WHEN octet_length(e.payload::text) <= $3::int
            THEN e.payload::text END AS payload,
       (extract(epoch FROM e.created_at) * 1000000)::bigint AS created_us,
       r.id AS recipient_id, left(r.email, 320) AS email,
       coalesce(left(r.name, 200), '') AS name,
       coalesce(left(r.locale, 40), '') AS locale,
       (SELECT o.name
          FROM postbatch.ledger_about(ARRAY[e.id], ARRAY[r.id],
                 coalesce(e.created_at, 'infinity')) AS l
          JOIN postbatch.role AS o ON o.id = l.role
         ORDER BY l.at DESC
         LIMIT 1) AS role
  FROM (SELECT) AS one
  LEFT JOIN postbatch.event AS e
    ON e.ring = ($1::bigint & 15)::smallint AND e.id = $1::bigint
  LEFT JOIN postbatch.recipient AS r
    ON r.key = $2::text OR r.email = $2::text
    OR r.id = postbatch.to_bigint($2::text)
 ORDER BY r.key = $2::text DESC NULLS LAST, r.email = $2::text DESC, r.id
 LIMIT 1
