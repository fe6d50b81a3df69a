-- fetch_recipients - the people of a batch, as they are now.
--
-- Texts are cut, because a batch has room for five hundred people and none may
-- take it from the others. An address that is cut stays too long to be one.
--
-- Parameters:
--   $1 bigint[]  recipient ids, each once
-- Result, in no order; a recipient that is gone has no row:
--   id bigint, email text, name text, locale text (both may be ''),
--   active boolean,
--   suppressed text  why the address must not be written to; NULL: it may
SELECT r.id, left(r.email, 320) AS email,
       coalesce(left(r.name, 200), '') AS name,
       coalesce(left(r.locale, 40), '') AS locale,
       r.state = 'active' AS active,
       CASE WHEN EXISTS (SELECT FROM postbatch.suppression)
            THEN (SELECT left(s.reason, 200) FROM postbatch.suppression AS s
                   WHERE s.email = lower(r.email COLLATE "C")
                     AND (s.until IS NULL OR s.until > now()))
       END AS suppressed
  FROM postbatch.recipient AS r
 WHERE r.id = ANY ($1::bigint[])
