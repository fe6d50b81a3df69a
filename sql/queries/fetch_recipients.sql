-- fetch_recipients - the people of a batch, as they are now.
--
-- Parameters:
--   $1 bigint[]  recipient ids, each once
-- Result, in no order; a recipient that is gone has no row:
--   id bigint, email text, name text, locale text (both may be ''),
--   active boolean,
--   suppressed text  why the address must not be written to; NULL: it may
SELECT r.id, r.email, coalesce(r.name, '') AS name,
       coalesce(r.locale, '') AS locale, r.state = 'active' AS active,
       CASE WHEN EXISTS (SELECT FROM postbatch.suppression)
            THEN (SELECT s.reason FROM postbatch.suppression AS s
                   WHERE s.email = lower(r.email COLLATE "C")
                     AND (s.until IS NULL OR s.until > now()))
       END AS suppressed
  FROM postbatch.recipient AS r
 WHERE r.id = ANY ($1::bigint[])
