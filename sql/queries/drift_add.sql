-- drift_add - reports payload keys that no contract lists. Call it with what
-- has gathered over seconds or minutes, not for every batch.
--
-- Parameters, parallel arrays, a key at each place:
--   $1 text[]    event types
--   $2 text[]    keys
--   $3 bigint[]  an event that has it, the first that was seen
--   $4 bigint[]  how many events had it
-- Result: type text, key text, is_new boolean: worth a warning.
INSERT INTO postbatch.drift AS d (type, key, first_event_id, events)
SELECT left(type, 200), left(key, 200), min(event_id), sum(events)
  FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[])
       AS x (type, key, event_id, events)
 GROUP BY 1, 2
 ORDER BY 1, 2  -- all writers in one order: no deadlock
ON CONFLICT (type, key) DO UPDATE
   SET events = d.events + excluded.events, last_at = now()
RETURNING type, key, xmax = 0 AS is_new
