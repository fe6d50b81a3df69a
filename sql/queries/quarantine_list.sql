-- quarantine_list - what is set aside and not released, oldest first.
--
-- Parameters; those that are NULL do not narrow:
--   $1 bigint[]  event ids
--   $2 text      an event type
--   $3 int       most rows
-- Result: event_id bigint, type text, stage text, reason text,
--   created_at timestamptz (of the event), total bigint (of all rows)
SELECT event_id, type, stage, reason, created_at, count(*) OVER () AS total
  FROM postbatch.quarantine
 WHERE released_at IS NULL
   AND ($1::bigint[] IS NULL OR event_id = ANY ($1::bigint[]))
   AND ($2::text IS NULL OR type = $2::text)
 ORDER BY quarantined_at, event_id
 LIMIT $3::int
