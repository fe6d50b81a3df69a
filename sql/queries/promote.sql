-- promote - makes batches of held letters that are due: one step.
--
-- Must follow route_lock.sql in the same transaction. What is taken from
-- postbatch.held is deleted by the statement that writes it into batches,
-- under the rows' own locks: each pair is promoted once, or, if the
-- transaction fails, still held. What becomes visible late is found by the
-- next look: nothing is remembered of what was looked at.
--
-- All that a recipient has due in digests is one letter, of up to $1 events,
-- the rest a further one; of a type that gathers, one letter for each
-- recipient and type, as in route.sql. To keep that true, due times are taken
-- whole: the oldest, and as many more as $2 allows. Each row has a pair or
-- more, so that no more rows than that are looked at.
--
-- Parameters:
--   $1 int     most events of one digest (1 makes a letter of each)
--   $2 bigint  most pairs of one step, if it is not one due time (25000)
-- Result: one row:
--   pairs bigint, letters bigint, batches bigint
--   finished boolean  nothing more was due when the step began
WITH due AS MATERIALIZED (
  SELECT max(due_at) FILTER (WHERE pairs <= $2::bigint OR due_at = oldest)
           AS until
    FROM (SELECT due_at, min(due_at) OVER () AS oldest,
                 sum(n) OVER (ORDER BY due_at) AS pairs
            FROM (SELECT due_at, n FROM postbatch.held
                   WHERE due_at <= now()
                     AND current_setting('postbatch.routing', true) = 'locked'
                   ORDER BY due_at LIMIT $2::bigint + 1) AS h) AS h
),
taken AS MATERIALIZED (
  DELETE FROM postbatch.held AS h
   USING due
   WHERE h.due_at <= due.until
  RETURNING h.urgency, h.type_id, h.recipient_ids, h.event_ids, h.roles
),
letter AS (
  SELECT p.urgency, p.recipient_id, p.event_id, p.role_id,
         count(*) FILTER (WHERE (p.nth - 1) % p.gather_max = 0)
           OVER (PARTITION BY p.urgency
                     ORDER BY p.recipient_id, p.type_id, p.event_id
                      ROWS UNBOUNDED PRECEDING) - 1 AS letter
    FROM (SELECT t.urgency, t.type_id, u.recipient_id, u.event_id, u.role_id,
                 CASE WHEN t.type_id IS NULL THEN $1::int
                      ELSE coalesce((SELECT gather_max
                                       FROM postbatch.event_type
                                      WHERE id = t.type_id), 1)
                 END AS gather_max,
                 row_number() OVER (
                   PARTITION BY t.urgency, u.recipient_id, t.type_id
                       ORDER BY u.event_id) AS nth
            FROM taken AS t
           CROSS JOIN LATERAL unnest(t.recipient_ids, t.event_ids, t.roles)
                   AS u (recipient_id, event_id, role_id)) AS p
),
made AS (
  -- Letters about many events: fewer of them in a batch.
  INSERT INTO postbatch.batch
         (urgency, n, recipient_ids, event_ids, roles, letters)
  SELECT urgency, max(letter) - min(letter) + 1,
         array_agg(recipient_id), array_agg(event_id), array_agg(role_id),
         CASE WHEN max(letter) - min(letter) + 1 < count(*)
              THEN array_agg((letter % 50)::smallint) END
    FROM (SELECT *, letter / 50 AS part FROM letter
           ORDER BY urgency, part, letter, event_id) AS l
   GROUP BY urgency, part
  RETURNING n, cardinality(event_ids) AS pairs
)
SELECT coalesce(sum(pairs), 0)::bigint AS pairs,
       coalesce(sum(n), 0)::bigint AS letters, count(*) AS batches,
       NOT EXISTS (SELECT FROM due
                     JOIN postbatch.held AS h ON h.due_at > due.until
                    WHERE h.due_at <= now()) AS finished
  FROM made
