-- peek - is there anything to do? Index probes only, to be asked every 20 ms
-- (busy) to 250 ms (idle).
--
-- Events are looked for in two places: those of transactions that were still
-- running at the router's snapshot and have ended since, and those that began
-- after it. The second place is looked at in the gaps between the running
-- transactions, so that a bulk load that is not committed yet is not walked
-- over again and again. Each probe asks for the first in the order of the
-- index: else all that waits would be read into a bitmap to find one.
--
-- An empty look does not move the snapshot. Route once in 10 s all the same,
-- so that transactions that ended without an event leave the list.
--
-- Parameters:
--   $1 int  most due batches to count
-- Result: one row:
--   route boolean    there are events to route
--   fanout boolean   there are fan-out steps to do
--   due bigint       batches due and not leased, counted up to $1
--   waiting bigint   letters in them (the router waits when this is much)
--   is_ahead boolean the stored snapshot is from a future of this cluster:
--                    the database was restored from a dump; see reseat.sql
--   held boolean     held letters are due, to be promoted
--   later_ms bigint  until the clock alone may make something due: the next
--                    batch or held letter, or one whose lease ends (1000);
--                    30000 at most: the sign of life, each 10 s, makes the
--                    worker look anyway
WITH route AS MATERIALIZED (
  SELECT phase, snap_cur, pg_snapshot_xmax(snap_cur) AS top,
         pg_current_snapshot() AS now
    FROM postbatch.route
),
edge AS MATERIALIZED (
  -- Running transactions from the top of the router's snapshot on, between
  -- the top itself and the end of all.
  -- (xid, id) must be greater: all of the top, nothing of a running one.
  SELECT x, id, row_number() OVER (ORDER BY x, id) AS nth
    FROM (SELECT x, 9223372036854775807 AS id
            FROM route, pg_snapshot_xip(route.now) AS x WHERE x >= route.top
          UNION ALL SELECT top, -1 FROM route
          UNION ALL SELECT pg_snapshot_xmax(now), -1 FROM route) AS e
),
due AS MATERIALIZED (
  SELECT b.n
    FROM unnest('{1,2,3}'::smallint[]) AS u (urgency)
   CROSS JOIN LATERAL (
         SELECT n FROM postbatch.batch
          WHERE urgency = u.urgency AND due_at <= now()
            AND (lease_until IS NULL OR lease_until < now())
          ORDER BY due_at, id LIMIT $1::int) AS b
   LIMIT $1::int
),
later AS (
  SELECT greatest(now(), least(
           min(CASE WHEN b.due_at > now() THEN b.due_at
                    ELSE now() + interval '1 s' END),
           (SELECT min(due_at) FROM postbatch.held),
           now() + interval '30 s')) AS due_at
    FROM unnest('{1,2,3}'::smallint[]) AS u (urgency)
   CROSS JOIN LATERAL (
         SELECT due_at FROM postbatch.batch
          WHERE urgency = u.urgency ORDER BY due_at, id LIMIT 1) AS b
)
SELECT route.phase <> 2
       OR EXISTS (
          SELECT FROM edge AS low
            JOIN edge AS high ON high.nth = low.nth + 1
           CROSS JOIN LATERAL (
                 SELECT FROM postbatch.event
                  WHERE (xid, id) > (low.x, low.id) AND xid < high.x
                  ORDER BY xid, id LIMIT 1) AS e)
       OR EXISTS (
          SELECT FROM pg_snapshot_xip(route.snap_cur) AS x
           CROSS JOIN LATERAL (
                 SELECT FROM postbatch.event
                  WHERE xid >= x AND xid <= x  -- "=": see route.sql
                  ORDER BY xid, id LIMIT 1) AS e
           WHERE pg_visible_in_snapshot(x, route.now)) AS route,
       EXISTS (SELECT FROM postbatch.fanout WHERE NOT done) AS fanout,
       (SELECT count(*) FROM due) AS due,
       (SELECT coalesce(sum(n), 0) FROM due)::bigint AS waiting,
       route.top > pg_snapshot_xmax(route.now) AS is_ahead,
       EXISTS (SELECT FROM postbatch.held WHERE due_at <= now()) AS held,
       (SELECT date_part('epoch', due_at - now()) * 1000
          FROM later)::bigint AS later_ms
  FROM route
