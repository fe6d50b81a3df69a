-- quarantine_list - what is set aside, oldest first.
--
-- Parameters; those that are NULL do not narrow:
--   $1 bigint[]  event ids
--   $2 text      an event type
--   $3 int       most rows
--   $4 text      a stage
--   $5 boolean   true: also what was released or dropped
-- Result: event_id bigint, type text, stage text, reason text,
--   created_at timestamptz (of the event), total bigint (of all rows),
--   fate text: NULL while it waits, or what became of it
SELECT event_id, type, stage, reason, created_at, count(*) OVER () AS total,
       CASE WHEN dropped_at IS NOT NULL
            THEN format('dropped %s by %s: %s', dropped_at,
                        coalesce(dropped_by, 'somebody'), drop_reason)
            WHEN released_as IS NOT NULL
            THEN format('released %s as event %s', released_at, released_as)
            WHEN released_at IS NOT NULL
            THEN format('released %s, its letters were sent again',
                        released_at)
       END AS fate
  FROM postbatch.quarantine
 WHERE (released_at IS NULL OR $5::boolean)
   AND ($1::bigint[] IS NULL OR event_id = ANY ($1::bigint[]))
   AND ($2::text IS NULL OR type = $2::text)
   AND ($4::text IS NULL OR stage = $4::text)
 ORDER BY quarantined_at, event_id
 LIMIT $3::int
