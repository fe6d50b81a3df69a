-- route - turns the next events into batches: one step of the router.
--
-- Must follow route_lock.sql in the same transaction. The text is completed
-- at start: the one line that holds nothing but a comment with "roles" in
-- braces gives way to role_part.sql for every role, one after the other; many
-- roles are put together by group_part.sql. It is a whole statement without
-- any role, too: what stands below the line for that case becomes a comment
-- when there are roles, because even an empty branch costs 370 instructions
-- an event.
--
-- Parameters:
--   $1 int   most events of one step (5000)
--   $2 int   most pairs of recipient and event of one step (50000); where
--            they do not suffice the step ends before the event that is cut
--   $3 int   an event with more pairs than this goes into postbatch.fanout
--            (20000)
-- Result: one row, or none when this transaction does not hold the lock:
--   events bigint       dealt with, whatever became of them
--   quarantined bigint  of them set aside
--   fanouts bigint      of them left to fanout_step.sql
--   letters bigint, batches bigint  written
--   finished boolean    nothing was left to read when the step began. False
--                       means: step again at once, there may be more
--   held bigint         pairs that wait in postbatch.held until they are due
--   logged bigint       rows of postbatch.project_log
--   unlogged bigint     events whose payload does not say what project they
--                       belong to, though their type is logged
--
-- How events are read. Ids are given at INSERT, rows appear at COMMIT, so
-- "id > last" loses what commits late. Read is what became visible between
-- two snapshots: first the transactions that were running at the older one
-- and have ended since (the stragglers), then all that began between the two.
-- The window and the position in it are stored in the route row, so that a
-- window of any size is read in steps, by whoever holds the lock.
--
-- No payload can make this statement fail: only ->, ->>, ?& and @> touch it,
-- which give NULL or false where they do not fit, and postbatch.to_bigint().
-- A role file may break that promise; see route_skip.sql.
WITH here AS MATERIALIZED (
  -- Where reading stands; a finished window (phase 2) gives way to the next.
  SELECT phase = 2 AS is_new_window,
         CASE phase WHEN 2 THEN 0 ELSE phase END AS phase,
         CASE phase WHEN 2 THEN '0' ELSE pos_xid END AS pos_xid,
         CASE phase WHEN 2 THEN 0 ELSE pos_id END AS pos_id,
         CASE phase WHEN 2 THEN snap_cur ELSE snap_last END AS snap_last,
         CASE phase WHEN 2 THEN pg_current_snapshot()
                    ELSE snap_cur END AS snap_cur
    FROM postbatch.route
   WHERE current_setting('postbatch.routing', true) = 'locked'
     AND current_setting('transaction_isolation') = 'read committed'
),
event AS (
  -- The branches of UNION ALL run one after the other, each in the order of
  -- (xid, id). The path '{}' leads to the whole payload: what is stored
  -- compressed is so decompressed once, and not by every expression below.
  -- Of a straggler's events, xid is bounded on both sides: "xid = x" would
  -- let the order be that of id alone, and a planner that has seen a leaf with
  -- one xid would read all of that leaf, by the index over id, for each.
  SELECT e.*
    FROM here
   CROSS JOIN LATERAL (
         SELECT x FROM pg_snapshot_xip(here.snap_last) AS x
          WHERE here.phase = 0 AND x >= here.pos_xid
            AND pg_visible_in_snapshot(x, here.snap_cur)
          ORDER BY x) AS straggler
   CROSS JOIN LATERAL (
         SELECT xid, id, type, urgency, payload #> '{}' AS payload
           FROM postbatch.event
          WHERE xid >= straggler.x AND xid <= straggler.x
            AND (xid, id) > (here.pos_xid, here.pos_id)
          ORDER BY xid, id LIMIT $1::int) AS e
  UNION ALL
  SELECT e.*
    FROM (SELECT pg_snapshot_xmax(snap_cur) AS hi, snap_cur,
                 CASE phase WHEN 1 THEN pos_xid
                      ELSE pg_snapshot_xmax(snap_last) END AS xid,
                 CASE phase WHEN 1 THEN pos_id ELSE -1 END AS id
            FROM here) AS pos
   CROSS JOIN LATERAL (
         SELECT xid, id, type, urgency, payload #> '{}' AS payload
           FROM postbatch.event
          WHERE (xid, id) > (pos.xid, pos.id) AND xid < pos.hi
            AND pg_visible_in_snapshot(xid, pos.snap_cur)
          ORDER BY xid, id LIMIT $1::int) AS e
  LIMIT $1::int
),
pair AS MATERIALIZED (
  -- Who should hear of it, and by which role. An event of which nobody should
  -- hear has one row, without a role, so that all else about this step can be
  -- read from here; rows stand in the order in which the events were read. A
  -- recipient who does not want the mail has the frequency 'off' or none. Each
  -- EXISTS without a reference to the pair is asked once a step: where there
  -- is nothing to look up, nothing is.
  --
  -- A column costs 300 to 400 instructions a row, as rows are written twice
  -- and read four times. So "rank" is the role and, above its 16 bits, the
  -- place of the role in the contract; postbatch.terms() tells of "terms".
  SELECT p.event_id, p.xid, x.recipient_id, p.urgency, p.type_id,
         (x.place << 16) | x.role_id AS rank, p.terms,
         CASE WHEN x.recipient_id IS NOT NULL
               AND x.recipient_id IS DISTINCT FROM p.originator_id
               AND (NOT EXISTS (SELECT FROM postbatch.recipient
                                 WHERE state = 'inactive')
                    OR (SELECT true FROM postbatch.recipient AS r
                         WHERE r.id = x.recipient_id AND r.state = 'inactive')
                       IS NULL)
              THEN coalesce(
                     CASE WHEN EXISTS (SELECT FROM postbatch.preference
                                        WHERE recipient_id IS NOT NULL)
                          THEN (SELECT f.frequency
                                  FROM postbatch.preference AS f
                                 WHERE f.recipient_id = x.recipient_id
                                   AND f.type = p.type
                                   AND f.role = p.role_names[x.place]
                                   AND (f.scope IS NULL
                                        OR p.payload @> f.scope))
                     END,
                     CASE WHEN EXISTS (SELECT FROM postbatch.preference
                                        WHERE recipient_id IS NULL)
                          THEN (SELECT f.frequency
                                  FROM postbatch.preference AS f
                                 WHERE f.recipient_id IS NULL
                                   AND f.type = p.type
                                   AND f.role = p.role_names[x.place]
                                   AND (f.scope IS NULL
                                        OR p.payload @> f.scope))
                     END,
                     p.role_frequencies[x.place]) END AS frequency,
         p.reason
    FROM (SELECT *, CASE WHEN mailable AND reason IS NULL
                         THEN all_roles ELSE 0 END AS role_mask
            FROM (
          -- Each event with what its contract says, and why it cannot be
          -- mailed.
          SELECT e.xid, e.id AS event_id, e.type, e.payload,
                 coalesce(e.urgency, t.urgency) AS urgency,
                 t.id AS type_id, t.mailable, t.terms,
                 t.role_ids, t.role_names, t.role_frequencies,
                 t.role_order, t.role_mask AS all_roles,
                 CASE WHEN e.payload ->> t.originator_key IS NOT NULL
                      THEN (SELECT r.id FROM postbatch.recipient AS r
                             WHERE r.key = e.payload ->> t.originator_key)
                 END AS originator_id,
                 CASE WHEN t.id IS NULL
                      THEN 'no event type has this name'
                      WHEN NOT t.mailable
                      THEN NULL
                      WHEN t.fault IS NOT NULL
                      THEN t.fault
                      WHEN jsonb_typeof(e.payload) <> 'object'
                      THEN 'the payload is not an object but: '
                           || jsonb_typeof(e.payload)
                      WHEN NOT e.payload ?& t.required_keys
                      THEN 'required key is missing: '
                           || (SELECT string_agg(k, ', ')
                                 FROM unnest(t.required_keys) AS k
                                WHERE NOT e.payload ? k)
                 END AS reason
            FROM event AS e
            LEFT JOIN postbatch.event_type AS t ON t.name = e.type
          OFFSET 0) AS e
          OFFSET 0) AS p
    LEFT JOIN LATERAL (
--{roles}
         SELECT NULL::smallint AS role_id, NULL::int AS place,
                NULL::bigint AS recipient_id
          WHERE false
         -- */
         -- Bounded by the LIMIT below: one here would hand its bound down to
         -- every branch, 700 instructions an event, and 2,300 with 31 roles.
         OFFSET 0) AS x ON true
   LIMIT greatest($2::int, $3::int + 3)
),
tally AS MATERIALIZED (
  -- Where the rows did not suffice, the last event is not all there.
  SELECT count(*) AS rows,
         count(DISTINCT event_id) AS events,
         count(*) < greatest($2::int, $3::int + 3) AS is_whole,
         min(urgency)::int AS urgency_from, max(urgency)::int AS urgency_to,
         max(event_id) AS top_id, count(reason) > 0 AS has_poison,
         bit_or(terms) & 4294967294 > 0 AS has_gather,
         bit_or(terms) & 1 > 0 AS has_log,
         -- Looked for only where anybody or any type could want it.
         CASE WHEN EXISTS (
                   SELECT FROM postbatch.preference
                    WHERE frequency IN ('hourly', 'daily', 'weekly'))
                OR EXISTS (
                   SELECT FROM postbatch.event_type
                    WHERE window_ms > 0 OR role_frequencies
                          && '{hourly,daily,weekly}')
              THEN (SELECT bool_or(terms >> 32 > 0
                                   OR frequency NOT IN ('instant', 'off'))
                      FROM pair)
         END AS has_later
    FROM pair
),
giant AS MATERIALIZED (
  -- Looked for only when there are enough pairs for one.
  SELECT array_agg(g.event_id) AS event_ids
    FROM (SELECT event_id FROM pair
           WHERE (SELECT rows FROM tally) > $3::int
           GROUP BY event_id HAVING count(rank) > $3::int) AS g
),
cut AS MATERIALIZED (
  -- A giant is left to fanout_step.sql whether all its pairs are here or not,
  -- so a step gets on even when one event is more than it may hold.
  SELECT last.event_id,
         CASE WHEN last.event_id IS NULL THEN tally.events
              ELSE tally.events - 1 END AS events
    FROM tally CROSS JOIN giant
    LEFT JOIN LATERAL (
         SELECT event_id FROM pair WHERE NOT tally.is_whole
         OFFSET greatest(0, tally.rows - 1) LIMIT 1) AS last
      ON (last.event_id = ANY (giant.event_ids)) IS NOT TRUE
),
wanted AS NOT MATERIALIZED (
  -- One pair for each recipient and event: of the roles by which the
  -- recipient wants it, the first in the order of the contract.
  SELECT DISTINCT ON (p.urgency, p.recipient_id, p.type_id, p.event_id)
         p.urgency, p.recipient_id, p.type_id, p.event_id, p.rank,
         p.frequency, (p.terms >> 32)::int AS window_ms,
         ((p.terms & 4294967295) >> 1) + 1 AS gather_max
    FROM pair AS p
   WHERE p.frequency <> 'off'
     AND p.event_id IS DISTINCT FROM (SELECT event_id FROM cut)
     AND (p.event_id = ANY ((SELECT event_ids FROM giant)::bigint[]))
         IS NOT TRUE
   ORDER BY p.urgency, p.recipient_id, p.type_id, p.event_id, p.rank
),
plain AS MATERIALIZED (
  -- A letter a pair: the batches are slices of these. One urgency after the
  -- other, so that the first key of the sort tells nearly all pairs apart:
  -- with the urgency as first key it costs 3,500 instructions a pair more.
  SELECT u.urgency::smallint, w.*
    FROM tally
   CROSS JOIN generate_series(tally.urgency_from, tally.urgency_to)
              AS u (urgency)
   CROSS JOIN LATERAL (
         SELECT count(*) AS n, array_agg(recipient_id) AS recipient_ids,
                array_agg(event_id) AS event_ids,
                array_agg((rank & 65535)::smallint) AS role_ids
           FROM (SELECT * FROM wanted
                  ORDER BY recipient_id, type_id, event_id) AS w
          WHERE w.urgency = u.urgency AND w.frequency = 'instant'
            AND w.window_ms = 0) AS w
   WHERE NOT tally.has_gather AND w.n > 0
),
letter AS (
  -- A type that gathers has one letter for up to gather_max events; all
  -- others have gather_max 1.
  SELECT w.urgency, w.recipient_id, w.event_id,
         (w.rank & 65535)::smallint AS role_id,
         count(*) FILTER (WHERE (w.nth - 1) % w.gather_max = 0)
           OVER (PARTITION BY w.urgency
                     ORDER BY w.recipient_id, w.type_id, w.event_id
                      ROWS UNBOUNDED PRECEDING) - 1 AS letter
    FROM (SELECT *, row_number()
                 OVER (PARTITION BY urgency, recipient_id, type_id
                           ORDER BY event_id) AS nth
            FROM wanted
           WHERE frequency = 'instant' AND window_ms = 0) AS w
   WHERE (SELECT has_gather FROM tally)
),
made AS (
  INSERT INTO postbatch.batch
         (urgency, n, recipient_ids, event_ids, roles, letters)
  SELECT p.urgency, least(500, p.n - past), p.recipient_ids[past + 1:past + 500],
         p.event_ids[past + 1:past + 500], p.role_ids[past + 1:past + 500],
         NULL::smallint[]
    FROM plain AS p, generate_series(0, p.n::int - 1, 500) AS past
  UNION ALL
  SELECT urgency, max(letter) - min(letter) + 1,
         array_agg(recipient_id), array_agg(event_id), array_agg(role_id),
         CASE WHEN max(letter) - min(letter) + 1 < count(*)
              THEN array_agg((letter % 500)::smallint) END
    FROM (SELECT *, letter / 500 AS part FROM letter
           ORDER BY urgency, part, letter, event_id) AS l
   GROUP BY urgency, part
  RETURNING n
),
later AS MATERIALIZED (
  -- What is not to be mailed at once. A pass without any stops at the first
  -- condition.
  SELECT w.urgency, w.recipient_id, w.type_id, w.event_id,
         (w.rank & 65535)::smallint AS role_id, w.frequency,
         CASE w.frequency WHEN 'instant' THEN w.window_ms
                          ELSE 0 END AS window_ms,
         CASE w.frequency WHEN 'instant' THEN NULL
              ELSE r.time_zone END AS time_zone
    FROM wanted AS w
    LEFT JOIN postbatch.recipient AS r ON r.id = w.recipient_id
   WHERE (SELECT has_later FROM tally)
     AND (w.frequency <> 'instant' OR w.window_ms > 0)
),
due AS MATERIALIZED (
  -- Few: a frequency and a time zone at a time, however many recipients.
  SELECT frequency, window_ms, time_zone,
         postbatch.next_due(frequency, window_ms, time_zone, now()) AS due_at
    FROM (SELECT DISTINCT frequency, window_ms, time_zone FROM later) AS l
),
kept AS (
  -- Not all that is due at eight at once, because promote.sql takes due times
  -- whole: a 64th of the recipients each microsecond, neighbours together,
  -- because they are fetched together for less.
  INSERT INTO postbatch.held
         (due_at, urgency, type_id, recipient_ids, event_ids, roles)
  SELECT due_at, urgency, type_id, array_agg(recipient_id),
         array_agg(event_id), array_agg(role_id)
    FROM (SELECT d.due_at + (l.recipient_id >> 6 & 63)::int
                            * interval '1 microsecond' AS due_at,
                 l.recipient_id, l.event_id, l.role_id,
                 CASE l.frequency WHEN 'instant' THEN l.urgency
                      ELSE 3 END AS urgency,
                 CASE l.frequency WHEN 'instant' THEN l.type_id
                 END AS type_id
            FROM later AS l
            JOIN due AS d
              ON d.frequency = l.frequency AND d.window_ms = l.window_ms
             AND d.time_zone IS NOT DISTINCT FROM l.time_zone
           ORDER BY 1, urgency, type_id, l.recipient_id, l.event_id
         ) AS l
   GROUP BY due_at, urgency, type_id
  RETURNING cardinality(event_ids) AS n
),
logged AS MATERIALIZED (
  -- Every event of a logged type, whatever else becomes of it; a pass without
  -- any does not call. In a function, because this statement would have to
  -- open all leaves of the log to find that it does not need them.
  SELECT l.logged, l.unlogged
    FROM (SELECT array_agg(DISTINCT event_id) AS event_ids
            FROM pair
           WHERE (SELECT has_log FROM tally) AND terms & 1 = 1
             AND event_id IS DISTINCT FROM (SELECT event_id FROM cut)) AS p
   CROSS JOIN LATERAL postbatch.log_events(p.event_ids) AS l
   WHERE p.event_ids IS NOT NULL
),
set_aside AS (
  INSERT INTO postbatch.quarantine (event_id, type, stage, reason, created_at)
  SELECT p.event_id, left(e.type, 200), 'route', p.reason, e.created_at
    FROM pair AS p
    JOIN postbatch.event AS e
      ON e.ring = (p.event_id & 15)::smallint AND e.id = p.event_id
   WHERE (SELECT has_poison FROM tally)
     AND p.reason IS NOT NULL
     AND p.event_id IS DISTINCT FROM (SELECT event_id FROM cut)
  ON CONFLICT (event_id) DO NOTHING
  RETURNING 1
),
fanned AS (
  INSERT INTO postbatch.fanout (event_id)
  SELECT unnest(event_ids) FROM giant
  ON CONFLICT (event_id) DO NOTHING
  RETURNING 1
),
done AS (
  SELECT cut.events, last.xid, last.event_id,
         tally.is_whole AND tally.events < $1::int AS is_window_read,
         CASE WHEN cut.event_id IS NULL THEN tally.top_id
              ELSE (SELECT max(event_id) FROM pair
                     WHERE event_id <> cut.event_id) END AS top_id
    FROM tally CROSS JOIN cut
    LEFT JOIN LATERAL (
         -- The last row but those of the event that is cut.
         SELECT xid, event_id FROM pair
         OFFSET greatest(0, CASE WHEN cut.event_id IS NULL THEN tally.rows
                                 ELSE (SELECT count(*) FROM pair
                                        WHERE event_id <> cut.event_id)
                            END - 1) LIMIT 1) AS last
      ON last.event_id IS DISTINCT FROM cut.event_id
)
UPDATE postbatch.route
   SET snap_last = here.snap_last,
       snap_cur  = here.snap_cur,
       -- A straggler was running at the older snapshot.
       phase     = CASE WHEN done.is_window_read THEN 2
                        WHEN done.xid >= pg_snapshot_xmax(here.snap_last)
                        THEN 1 ELSE here.phase END,
       pos_xid   = coalesce(done.xid, here.pos_xid),
       pos_id    = coalesce(done.event_id, here.pos_id),
       top_id    = greatest(route.top_id, done.top_id),
       routed_at = now()
  FROM here, done
RETURNING done.events,
          (SELECT count(*) FROM set_aside) AS quarantined,
          (SELECT count(*) FROM fanned) AS fanouts,
          (SELECT coalesce(sum(n), 0) FROM made)::bigint AS letters,
          (SELECT count(*) FROM made) AS batches,
          done.is_window_read AND here.is_new_window AS finished,
          (SELECT coalesce(sum(n), 0) FROM kept)::bigint AS held,
          coalesce((SELECT logged FROM logged), 0) AS logged,
          coalesce((SELECT unlogged FROM logged), 0) AS unlogged
