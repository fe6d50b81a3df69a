-- replay_quarantine - a page of what waits in quarantine with a payload of its
-- own, because the leaf of the event was emptied; for a check that tries events
-- with other templates.
--
-- Parameters:
--   $1 bigint  the last id of the page before; 0 = the first page
--   $2 int     how many days
--   $3 int     most rows
-- Result: event_id bigint, type text, payload text, created_us bigint,
--   waits boolean (true), is_closed boolean (false)
SELECT q.event_id, q.type, q.payload::text AS payload,
       (extract(epoch FROM q.created_at) * 1000000)::bigint AS created_us,
       true AS waits, false AS is_closed
  FROM postbatch.quarantine AS q
 WHERE q.event_id > $1::bigint
   AND q.released_at IS NULL
   AND q.payload IS NOT NULL
   AND q.created_at >= now() - $2::int * interval '1 day'
   AND NOT EXISTS (SELECT FROM postbatch.event AS e
                    WHERE e.ring = (q.event_id & 15)::smallint
                      AND e.id = q.event_id)
 ORDER BY q.event_id
 LIMIT $3::int
