-- quarantine_drop - marks what is set aside as dropped for good: it is never
-- sent on, and does not count any more.
--
-- Parameters; those of the first three that are NULL do not narrow, one must
-- be given:
--   $1 bigint[]  event ids
--   $2 text      an event type
--   $3 text      a stage
--   $4 text      why
--   $5 text      who
-- Result: event_id bigint, of each that was dropped.
UPDATE postbatch.quarantine
   SET dropped_at = now(), released_at = now(), drop_reason = $4::text,
       dropped_by = $5::text
 WHERE released_at IS NULL
   AND ($1::bigint[] IS NOT NULL OR $2::text IS NOT NULL
        OR $3::text IS NOT NULL)
   AND ($1::bigint[] IS NULL OR event_id = ANY ($1::bigint[]))
   AND ($2::text IS NULL OR type = $2::text)
   AND ($3::text IS NULL OR stage = $3::text)
RETURNING event_id
