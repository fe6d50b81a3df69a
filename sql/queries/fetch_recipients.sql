-- fetch_recipients - the people of a batch, as they are now.
--
-- Texts are cut, because a batch has room for five hundred people and none may
-- take it from the others. An address that is cut stays too long to be one.
-- Octets are asked first: to count letters costs more than to read the row.
--
-- A site may have a view here. The condition = ANY finds its way into most,
-- that of a join into few (not past DISTINCT, nor into a UNION of which one
-- side has no index): what would be read then is the whole of it, so that of a
-- view the runs are asked for id by id.
--
-- Parameters:
--   $1 bigint[]  recipient ids, each once
--   $2 bigint[]  runs of more recipients: the first id of each
--   $3 bigint[]  and the last
-- Result, in no order; all who are in a run, wanted or not; a recipient that
-- is gone has no row:
--   id bigint, email text, name text, locale text (both may be ''),
--   active boolean,
--   suppressed text  why the address must not be written to; NULL: it may
WITH directory AS MATERIALIZED (
  SELECT relkind IN ('r', 'p') AS is_table
    FROM pg_class WHERE oid = 'postbatch.recipient'::regclass
)
SELECT r.id,
       CASE WHEN octet_length(r.email) <= 320 THEN r.email
            ELSE left(r.email, 320) END AS email,
       CASE WHEN octet_length(r.name) <= 200 THEN r.name
            ELSE coalesce(left(r.name, 200), '') END AS name,
       CASE WHEN octet_length(r.locale) <= 40 THEN r.locale
            ELSE coalesce(left(r.locale, 40), '') END AS locale,
       r.state = 'active' AS active,
       CASE WHEN EXISTS (SELECT FROM postbatch.suppression)
            THEN (SELECT left(s.reason, 200) FROM postbatch.suppression AS s
                   WHERE s.email = lower(r.email COLLATE "C")
                     AND (s.until IS NULL OR s.until > now()))
       END AS suppressed
  FROM (SELECT id, email, name, locale, state
          FROM postbatch.recipient
         WHERE id = ANY ($1::bigint[] || (
               SELECT array_agg(i)
                 FROM directory,
                      unnest($2::bigint[], $3::bigint[]) AS run (low, high),
                      generate_series(run.low, run.high) AS i
                WHERE NOT is_table))
        UNION ALL
        SELECT id, email, name, locale, state
          FROM unnest($2::bigint[], $3::bigint[]) AS run (low, high)
          JOIN postbatch.recipient ON id BETWEEN run.low AND run.high
         WHERE (SELECT is_table FROM directory)) AS r
