-- route_skip - sets the next event aside, whatever it is.
--
-- For the case that should not be: route.sql fails, and still fails with a
-- step of one event ($1 = 1) because a role file raises an error on it. Then
-- this takes that event out of the way. It reads as route.sql does, and like
-- it must follow route_lock.sql in the same transaction.
--
-- Not for errors that are no event's fault: a role file that does not parse,
-- a missing table (SQLSTATE class 42) or a lost connection would set aside
-- event after event.
--
-- Parameters:
--   $1 text  the reason, in words: what route.sql said
-- Result: the columns of route.sql as far as finished, then event_id bigint
-- and type text; no row when there is nothing to read or this transaction does not hold the lock.
WITH here AS MATERIALIZED (
  -- Where reading stands; a finished window (phase 2) gives way to the next.
  SELECT CASE phase WHEN 2 THEN 0 ELSE phase END AS phase,
         CASE phase WHEN 2 THEN '0' ELSE pos_xid END AS pos_xid,
         CASE phase WHEN 2 THEN 0 ELSE pos_id END AS pos_id,
         CASE phase WHEN 2 THEN snap_cur ELSE snap_last END AS snap_last,
         CASE phase WHEN 2 THEN pg_current_snapshot()
                    ELSE snap_cur END AS snap_cur
    FROM postbatch.route
   WHERE current_setting('postbatch.routing', true) = 'locked'
     AND current_setting('transaction_isolation') = 'read committed'
),
event AS MATERIALIZED (
  -- As in route.sql.
  SELECT 0 AS phase, e.*
    FROM here
   CROSS JOIN LATERAL (
         SELECT x FROM pg_snapshot_xip(here.snap_last) AS x
          WHERE here.phase = 0 AND x >= here.pos_xid
            AND pg_visible_in_snapshot(x, here.snap_cur)
          ORDER BY x) AS straggler
   CROSS JOIN LATERAL (
         SELECT xid, id, type, payload, created_at, urgency
           FROM postbatch.event
          WHERE xid >= straggler.x AND xid <= straggler.x  -- as in route.sql
            AND (xid, id) > (here.pos_xid, here.pos_id)
          ORDER BY xid, id LIMIT 1) AS e
  UNION ALL
  SELECT 1, e.*
    FROM (SELECT pg_snapshot_xmax(snap_cur) AS hi, snap_cur,
                 CASE phase WHEN 1 THEN pos_xid
                      ELSE pg_snapshot_xmax(snap_last) END AS xid,
                 CASE phase WHEN 1 THEN pos_id ELSE -1 END AS id
            FROM here) AS pos
   CROSS JOIN LATERAL (
         SELECT xid, id, type, payload, created_at, urgency
           FROM postbatch.event
          WHERE (xid, id) > (pos.xid, pos.id) AND xid < pos.hi
            AND pg_visible_in_snapshot(xid, pos.snap_cur)
          ORDER BY xid, id LIMIT 1) AS e
  LIMIT 1
),
set_aside AS (
  INSERT INTO postbatch.quarantine (event_id, type, stage, reason, created_at)
  SELECT id, left(type, 200), 'route', $1::text, created_at FROM event
  ON CONFLICT (event_id) DO NOTHING
),
logged AS MATERIALIZED (
  SELECT l.logged
    FROM (SELECT array_agg(id) AS event_ids FROM event) AS e
   CROSS JOIN LATERAL postbatch.log_events(e.event_ids) AS l
   WHERE e.event_ids IS NOT NULL
)
UPDATE postbatch.route
   SET snap_last = here.snap_last,
       snap_cur  = here.snap_cur,
       phase     = event.phase,
       pos_xid   = event.xid,
       pos_id    = event.id,
       top_id    = greatest(route.top_id, event.id),
       routed_at = now()
  FROM here, event, logged
RETURNING 1::bigint AS events, 1::bigint AS quarantined, 0::bigint AS fanouts,
          0::bigint AS letters, 0::bigint AS batches, false AS finished,
          event.id AS event_id, event.type
