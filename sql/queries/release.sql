-- release - sends events on that the router had set aside, after the fix.
--
-- Each is appended to the log anew, as an event of its own with the time of
-- the first one, and routed like any other; if nothing was fixed it is set
-- aside again. Only events of the stage 'route' are released so: nobody has
-- had mail about them. Those of other stages are marked as released here, and
-- their letters are sent again by resend_do.sql with the event ids and the
-- verdict "skipped", in the same transaction, so that nobody gets a letter
-- twice and none is forgotten.
--
-- Parameters; those that are NULL do not narrow:
--   $1 bigint[]  event ids
--   $2 text      an event type
-- Result, a row an event: event_id bigint, stage text, released_as bigint
-- (NULL: send its letters again), gone boolean (its payload is not there any
-- more: not released).
WITH picked AS MATERIALIZED (
  SELECT q.event_id, q.stage, q.type, q.created_at, q.payload
    FROM postbatch.quarantine AS q
   WHERE q.released_at IS NULL
     AND ($1::bigint[] IS NULL OR q.event_id = ANY ($1::bigint[]))
     AND ($2::text IS NULL OR q.type = $2::text)
     FOR UPDATE
),
found AS MATERIALIZED (
  SELECT p.event_id, p.stage, coalesce(e.type, p.type) AS type,
         coalesce(e.payload, p.payload) AS payload,
         coalesce(e.created_at, p.created_at, now()) AS created_at, e.urgency,
         CASE WHEN p.stage = 'route'
                   AND coalesce(e.payload, p.payload) IS NOT NULL
              THEN nextval('postbatch.event_seq') << 4
                   | postbatch.ring(now(), 16) END AS new_id
    FROM picked AS p
    LEFT JOIN postbatch.event AS e
      ON e.ring = (p.event_id & 15)::smallint AND e.id = p.event_id
),
appended AS (
  INSERT INTO postbatch.event (id, type, payload, created_at, urgency)
  SELECT new_id, type, payload, created_at, urgency
    FROM found WHERE new_id IS NOT NULL
),
marked AS (
  UPDATE postbatch.quarantine AS q
     SET released_at = now(), released_as = f.new_id
    FROM found AS f
   WHERE q.event_id = f.event_id AND f.payload IS NOT NULL
)
SELECT event_id, stage, new_id AS released_as, payload IS NULL AS gone
  FROM found
 ORDER BY event_id
