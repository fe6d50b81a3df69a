-- replay_events - a page of the events of the last days, for a check that tries
-- them with other templates; oldest first. Only leaves of those days are read.
--
-- Parameters:
--   $1 bigint  the last id of the page before; 0 = the first page
--   $2 int     how many days
--   $3 int     most rows
-- Result: event_id bigint, type text, payload text, created_us bigint,
--   waits boolean: it is in quarantine, is_closed boolean: it was there, and a
--   person has released or dropped it
SELECT e.id AS event_id, e.type, e.payload::text AS payload,
       (extract(epoch FROM e.created_at) * 1000000)::bigint AS created_us,
       q.event_id IS NOT NULL AND q.released_at IS NULL AS waits,
       q.released_at IS NOT NULL AS is_closed
  FROM (SELECT * FROM postbatch.event
         WHERE id > $1::bigint
           AND ring = ANY (ARRAY(
               SELECT postbatch.ring(now() - d * interval '1 day', 16)
                 FROM generate_series(0, $2::int) AS d))
           AND created_at >= now() - $2::int * interval '1 day'
         ORDER BY id
         LIMIT $3::int) AS e
  LEFT JOIN postbatch.quarantine AS q ON q.event_id = e.id
 ORDER BY e.id
