-- quarantine_events - sets poison events aside; the first reason stays.
--
-- Parameters, parallel arrays:
--   $1 bigint[]  event ids
--   $2 text[]    their types
--   $3 text[]    stages: 'render', ...
--   $4 text[]    reasons, in words
--   $5 bigint[]  when they happened, microseconds since 1970
-- Result: event_id bigint, of each that was not in quarantine yet.
INSERT INTO postbatch.quarantine (event_id, type, stage, reason, created_at)
SELECT DISTINCT ON (event_id) event_id, left(type, 200), stage, reason,
       to_timestamp(created_us / 1000000.0)
  FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::bigint[])
       AS q (event_id, type, stage, reason, created_us)
 ORDER BY event_id
ON CONFLICT (event_id) DO NOTHING
RETURNING event_id
