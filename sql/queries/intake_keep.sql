-- intake_keep - takes what was fetched: the cursor moves and the events are
-- there, or neither.
--
-- The cursor must still be where the fetch began: what two have fetched at the
-- same time is kept once, whoever comes first.
--
-- Parameters; $4, $5 and $6 are parallel arrays, one place a notification, in
-- their order:
--   $1 text      source
--   $2 bigint    where the fetch began
--   $3 bigint    where the next one begins
--   $4 text[]    event types; "unknown" has the payload {"type", "data"}
--   $5 bigint[]  times of the source, seconds since 1970; 0 = not told. A time
--                that is yet to come counts as now
--   $6 text[]    payloads, JSON
--   $7 text      reason of a gap between $2 and $3; NULL: there is none
--   $8 bigint    notifications missing there; NULL: nobody can know
-- Result: one row:
--   is_kept boolean    false: the cursor was elsewhere, nothing was done
--   events bigint
--   new_unknown text   types no contract is called after, seen for the first
--                      time: names with commas, or NULL
WITH moved AS (
  UPDATE postbatch.intake
     SET next = $3::bigint, heard_at = now(), error = NULL, error_at = NULL,
         moved_at = CASE WHEN next = $3::bigint THEN moved_at ELSE now() END
   WHERE source = $1::text AND next = $2::bigint
  RETURNING source
),
added AS (
  INSERT INTO postbatch.event (type, payload, created_at)
  SELECT n.type, postbatch.to_payload(n.payload),
         CASE WHEN n.time_s BETWEEN 1 AND date_part('epoch', now())::bigint
              THEN to_timestamp(n.time_s) ELSE clock_timestamp() END
    FROM moved, unnest($4::text[], $5::bigint[], $6::text[]) WITH ORDINALITY
                AS n (type, time_s, payload, place)
   ORDER BY n.place
  RETURNING id, type, payload
),
strange AS (
  INSERT INTO postbatch.intake_unknown AS u
         (source, type, first_event_id, events)
  SELECT $1::text, left(coalesce(payload ->> 'type', ''), 200), min(id),
         count(*)
    FROM added WHERE type = 'unknown'
   GROUP BY 2
  ON CONFLICT (source, type) DO UPDATE
     SET last_at = now(), events = u.events + excluded.events
  RETURNING u.type, u.xmax = 0 AS is_new  -- inserted, not updated
),
missed AS (
  INSERT INTO postbatch.intake_gap (source, from_nr, to_nr, missing, reason)
  SELECT source, $2::bigint, $3::bigint, $8::bigint, $7::text
    FROM moved WHERE $7::text IS NOT NULL
)
SELECT EXISTS (SELECT FROM moved) AS is_kept,
       (SELECT count(*) FROM added) AS events,
       (SELECT string_agg(type, ', ' ORDER BY type) FROM strange
         WHERE is_new) AS new_unknown
