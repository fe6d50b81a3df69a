-- stats_types - the same by type and urgency: what waits, what became of it.
--
-- Of everything a bounded part is looked at, the oldest of what waits and the
-- youngest of what is done, so the figures of a type say "at least" where
-- there is more in all than the parameters allow.
--
-- Parameters:
--   $1 int  most waiting events, most pairs in batches and most pairs held to
--           look at, each (5000)
--   $2 int  pages of the ledger to read, from its end (100, about 8000 rows)
-- Result, a row for each type and urgency of which there is anything, by name:
--   type text, urgency smallint,
--   events bigint, oldest_s   not routed yet; age of the oldest
--   waiting, in_flight, later, held bigint  pairs of recipient and event: due,
--                             leased, to be tried again, not due yet
--   sent, deferred, failed, unsure, skipped bigint  letters of the last hour
--   quarantined bigint        open now (of the type: in its usual urgency)
WITH route AS MATERIALIZED (SELECT * FROM postbatch.route),
fresh AS MATERIALIZED (
  -- What the router would read next, from its position on.
  SELECT e.id, e.type, e.urgency, e.created_at
    FROM (SELECT CASE phase WHEN 1 THEN pos_xid WHEN 2
                      THEN pg_snapshot_xmax(snap_cur)
                      ELSE pg_snapshot_xmax(snap_last) END AS xid,
                 CASE phase WHEN 1 THEN pos_id ELSE -1 END AS id
            FROM route) AS pos
   CROSS JOIN LATERAL (
         SELECT id, type, urgency, created_at FROM postbatch.event
          WHERE (xid, id) > (pos.xid, pos.id)
          ORDER BY xid, id LIMIT $1::int) AS e
),
late AS MATERIALIZED (
  SELECT e.id, e.type, e.urgency, e.created_at
    FROM route
   CROSS JOIN LATERAL pg_snapshot_xip(CASE phase WHEN 0 THEN snap_last
                                           ELSE snap_cur END) AS x
   CROSS JOIN LATERAL (
         SELECT id, type, urgency, created_at FROM postbatch.event
          WHERE xid >= x AND xid <= x  -- "=": see route.sql
            AND (route.phase <> 0
                 OR (xid, id) > (route.pos_xid, route.pos_id))
          ORDER BY xid, id LIMIT $1::int) AS e
   LIMIT $1::int
),
pair AS (
  -- Batches and what is held, a bounded number of pairs of each.
  (SELECT e.id, CASE WHEN b.lease_until >= now() THEN 2
                     WHEN b.due_at <= now() THEN 1 ELSE 3 END AS state,
          b.urgency
     FROM (SELECT * FROM postbatch.batch
            ORDER BY urgency, due_at, id LIMIT 200) AS b
    CROSS JOIN LATERAL unnest(b.event_ids) AS e (id)
    LIMIT $1::int)
  UNION ALL
  (SELECT e.id, 4, h.urgency
     FROM (SELECT * FROM postbatch.held ORDER BY due_at LIMIT 1000) AS h
    CROSS JOIN LATERAL unnest(h.event_ids) AS e (id)
    LIMIT $1::int)
  UNION ALL
  SELECT event_id, 10 + verdict, NULL
    FROM postbatch.ledger_tail($2::int)
   WHERE at >= now() - interval '1 hour'
),
known AS MATERIALIZED (
  -- Each event is looked up once, however many letters it has.
  SELECT p.id, p.state, p.urgency, count(*) AS n
    FROM pair AS p GROUP BY p.id, p.state, p.urgency
),
figure AS (
  SELECT e.type, e.urgency, 0 AS state, count(*) AS n, min(created_at) AS oldest
    FROM (SELECT * FROM fresh UNION ALL SELECT * FROM late) AS e
   GROUP BY e.type, e.urgency
  UNION ALL
  SELECT e.type, coalesce(k.urgency, e.urgency), k.state, sum(k.n), NULL
    FROM known AS k
   CROSS JOIN LATERAL (
         SELECT e.type, e.urgency FROM postbatch.event AS e
          WHERE e.ring = (k.id & 15)::smallint AND e.id = k.id) AS e
   GROUP BY 1, 2, 3
  UNION ALL
  SELECT type, NULL, 20, count(*), NULL
    FROM (SELECT type FROM postbatch.quarantine
           WHERE released_at IS NULL LIMIT 100000) AS q
   GROUP BY type
)
SELECT f.type, coalesce(f.urgency, t.urgency, 2) AS urgency,
       coalesce(sum(n) FILTER (WHERE state = 0), 0)::bigint AS events,
       date_part('epoch', now() - min(oldest)) AS oldest_s,
       coalesce(sum(n) FILTER (WHERE state = 1), 0)::bigint AS waiting,
       coalesce(sum(n) FILTER (WHERE state = 2), 0)::bigint AS in_flight,
       coalesce(sum(n) FILTER (WHERE state = 3), 0)::bigint AS later,
       coalesce(sum(n) FILTER (WHERE state = 4), 0)::bigint AS held,
       coalesce(sum(n) FILTER (WHERE state = 11), 0)::bigint AS sent,
       coalesce(sum(n) FILTER (WHERE state = 12), 0)::bigint AS deferred,
       coalesce(sum(n) FILTER (WHERE state = 13), 0)::bigint AS failed,
       coalesce(sum(n) FILTER (WHERE state = 14), 0)::bigint AS unsure,
       coalesce(sum(n) FILTER (WHERE state = 15), 0)::bigint AS skipped,
       coalesce(sum(n) FILTER (WHERE state = 20), 0)::bigint AS quarantined
  FROM figure AS f
  LEFT JOIN postbatch.event_type AS t ON t.name = f.type
 GROUP BY f.type, coalesce(f.urgency, t.urgency, 2)
 ORDER BY f.type, urgency
