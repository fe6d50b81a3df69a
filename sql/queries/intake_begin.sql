-- intake_begin - a source is read for the first time: where from.
--
-- Parameters:
--   $1 text    source
--   $2 bigint  number of the first notification to take
--   $3 text    who: host and process id
-- Result: next bigint, or no row when the source has a cursor already.
INSERT INTO postbatch.intake (source, next, owner, owned_at)
VALUES ($1::text, $2::bigint, $3::text, now())
ON CONFLICT (source) DO NOTHING
RETURNING next
