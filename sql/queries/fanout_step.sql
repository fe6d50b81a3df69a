-- fanout_step - writes the next batches of one event that has very many
-- recipients; the least served of such events first.
--
-- The text is completed at start as that of route.sql is, with
-- fanout_part.sql around each role. It needs no lock but that of its row in
-- postbatch.fanout, and may run beside the router, on any host; the caller
-- waits while many bulk letters wait already. The place is kept as the last
-- recipient id (a keyset), so a crash loses nothing. Who joins the role
-- meanwhile is reached or not, depending on the id.
--
-- A fan-out whose event type has a fault waits until it has none.
--
-- Parameters:
--   $1 int  most pairs of one step (10000)
--   $2 int  how many fan-outs to pass over: those that fail come first again
--           and again, and must not hold up the others
-- Result: one row, or none when there is nothing to do:
--   event_id bigint, letters bigint, batches bigint  written
--   done boolean   this event is finished
WITH fan AS MATERIALIZED (
  SELECT f.event_id, f.urgency, f.after_recipient
    FROM postbatch.fanout AS f
   WHERE NOT f.done
     AND NOT EXISTS (
         SELECT FROM postbatch.event AS e
           JOIN postbatch.event_type AS t ON t.name = e.type
          WHERE e.ring = (f.event_id & 15)::smallint AND e.id = f.event_id
            AND t.fault IS NOT NULL)
   ORDER BY f.served, f.event_id
  OFFSET $2::int LIMIT 1
     FOR UPDATE SKIP LOCKED
),
pair AS MATERIALIZED (
  SELECT p.event_id, p.type, p.urgency, p.originator_id, x.recipient_id,
         x.role_id, o.place, p.role_names[o.place] AS role,
         p.role_frequencies[o.place] AS frequency
    FROM (
         SELECT fan.event_id, fan.urgency, fan.after_recipient,
                e.type, e.payload, t.role_names, t.role_frequencies,
                CASE WHEN t.mailable THEN t.role_ids END AS role_ids,
                CASE WHEN e.payload ->> t.originator_key IS NOT NULL
                     THEN (SELECT r.id FROM postbatch.recipient AS r
                            WHERE r.key = e.payload ->> t.originator_key)
                END AS originator_id
           FROM fan
           JOIN postbatch.event AS e
             ON e.ring = (fan.event_id & 15)::smallint AND e.id = fan.event_id
           JOIN postbatch.event_type AS t ON t.name = e.type
         OFFSET 0) AS p
   CROSS JOIN LATERAL (
         SELECT * FROM (
--{roles}
           SELECT NULL::smallint AS role_id, NULL::bigint AS recipient_id
            WHERE false
           -- */
         ) AS x
          WHERE x.recipient_id > p.after_recipient
          -- WITH TIES: all roles of the last recipient, or none.
          ORDER BY x.recipient_id FETCH FIRST ($1::int) ROWS WITH TIES) AS x
   CROSS JOIN LATERAL (
         SELECT array_position(p.role_ids, x.role_id) AS place) AS o
),
wish AS (
  SELECT p.urgency, p.recipient_id, p.event_id, p.role_id, p.place,
         -- As in route.sql, each EXISTS is asked once.
         coalesce(
           CASE WHEN EXISTS (SELECT FROM postbatch.preference
                              WHERE recipient_id IS NOT NULL)
                THEN (SELECT f.frequency FROM postbatch.preference AS f
                       WHERE f.recipient_id = p.recipient_id
                         AND f.type = p.type AND f.role = p.role
                         AND (f.scope IS NULL
                              OR postbatch.in_scope(p.event_id, f.scope)))
           END,
           CASE WHEN EXISTS (SELECT FROM postbatch.preference
                              WHERE recipient_id IS NULL)
                THEN (SELECT f.frequency FROM postbatch.preference AS f
                       WHERE f.recipient_id IS NULL
                         AND f.type = p.type AND f.role = p.role
                         AND (f.scope IS NULL
                              OR postbatch.in_scope(p.event_id, f.scope)))
           END,
           p.frequency) AS frequency
    FROM pair AS p
   WHERE p.recipient_id IS DISTINCT FROM p.originator_id
     AND (NOT EXISTS (SELECT FROM postbatch.recipient
                       WHERE state = 'inactive')
          OR (SELECT true FROM postbatch.recipient AS r
               WHERE r.id = p.recipient_id AND r.state = 'inactive') IS NULL)
),
wanted AS MATERIALIZED (
  -- As in route.sql.
  SELECT DISTINCT ON (recipient_id)
         urgency, recipient_id, event_id, role_id, frequency
    FROM wish
   WHERE frequency <> 'off'
   ORDER BY recipient_id, place
),
plain AS MATERIALIZED (
  -- The batches are slices of these.
  SELECT urgency, count(*) AS n, array_agg(recipient_id) AS recipient_ids,
         array_agg(event_id) AS event_ids, array_agg(role_id) AS role_ids
    FROM (SELECT * FROM wanted
           WHERE frequency = 'instant' ORDER BY recipient_id) AS w
   GROUP BY urgency
),
made AS (
  INSERT INTO postbatch.batch (urgency, n, recipient_ids, event_ids, roles)
  SELECT p.urgency, least(500, p.n - past),
         p.recipient_ids[past + 1:past + 500],
         p.event_ids[past + 1:past + 500], p.role_ids[past + 1:past + 500]
    FROM plain AS p, generate_series(0, p.n::int - 1, 500) AS past
  RETURNING n
),
later AS MATERIALIZED (
  -- As in route.sql; a letter to so many is about this one event, there is
  -- nothing to gather.
  SELECT w.recipient_id, w.event_id, w.role_id, w.frequency, r.time_zone
    FROM wanted AS w
    LEFT JOIN postbatch.recipient AS r ON r.id = w.recipient_id
   WHERE w.frequency <> 'instant'
),
due AS MATERIALIZED (
  SELECT frequency, time_zone,
         postbatch.next_due(frequency, 0, time_zone, now()) AS due_at
    FROM (SELECT DISTINCT frequency, time_zone FROM later) AS l
),
kept AS (
  -- Due times as in route.sql.
  INSERT INTO postbatch.held (due_at, recipient_ids, event_ids, roles)
  SELECT due_at, array_agg(recipient_id), array_agg(event_id),
         array_agg(role_id)
    FROM (SELECT d.due_at + (l.recipient_id >> 6 & 63)::int
                            * interval '1 microsecond' AS due_at,
                 l.recipient_id, l.event_id, l.role_id
            FROM later AS l
            JOIN due AS d
              ON d.frequency = l.frequency
             AND d.time_zone IS NOT DISTINCT FROM l.time_zone
           ORDER BY 1, l.recipient_id) AS l
   GROUP BY due_at
)
UPDATE postbatch.fanout AS f
   SET after_recipient = coalesce((SELECT max(recipient_id) FROM pair),
                                  f.after_recipient),
       served = f.served + (SELECT coalesce(sum(n), 0) FROM made),
       done   = (SELECT count(*) FROM pair) < $1::int
  FROM fan
 WHERE f.event_id = fan.event_id
RETURNING f.event_id, (SELECT coalesce(sum(n), 0) FROM made)::bigint
            AS letters,
          (SELECT count(*) FROM made) AS batches, f.done
