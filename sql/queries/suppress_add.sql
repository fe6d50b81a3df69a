-- suppress_add - addresses that must not be written to from now on.
--
-- Parameters, parallel arrays:
--   $1 text[]  email addresses
--   $2 text[]  reasons
--   $3 int[]   seconds until it ends, or NULL: for good
-- Result: none.
INSERT INTO postbatch.suppression AS s (email, reason, until)
SELECT DISTINCT ON (1) lower(email COLLATE "C"), reason,
       now() + seconds * interval '1 s'
  FROM unnest($1::text[], $2::text[], $3::int[]) AS x (email, reason, seconds)
 ORDER BY 1
ON CONFLICT (email) DO UPDATE
   SET reason = excluded.reason, until = excluded.until
