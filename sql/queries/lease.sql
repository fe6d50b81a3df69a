-- lease - takes batches that are due, for a while.
--
-- One row version a batch, none of it in an index. A batch that another
-- worker is taking at this moment is passed over (SKIP LOCKED). CTE and LIMIT
-- are MATERIALIZED, because a plain subquery may run again inside a join and
-- take more than was asked for.
--
-- Parameters:
--   $1 bigint       worker id
--   $2 int          milliseconds until the lease ends
--   $3 int          most batches
--   $4 smallint[]   urgencies, in the order to look: {1,2,3}
--   $5 timestamptz  look only at batches due after this; '-infinity' looks
--                   at all. (Under a snapshot that somebody holds for hours
--                   the index keeps an entry of every batch since; whoever
--                   knows that nothing old waits can pass over them.)
-- Result, a row a batch, in no order:
--   id, urgency smallint, attempt smallint, origin bigint (own id when it is
--   the first), epoch bigint (name it when settling), routed_at timestamptz,
--   n int (letters), recipient_ids bigint[],
--   event_ids bigint[], letters smallint[] (from 0; NULL: one each), roles
--   smallint[]
WITH due AS MATERIALIZED (
  SELECT b.id
    FROM unnest($4::smallint[]) WITH ORDINALITY AS u (urgency, turn)
   CROSS JOIN LATERAL (
         SELECT id FROM postbatch.batch
          WHERE urgency = u.urgency
            AND due_at <= now() AND due_at > $5::timestamptz
            AND (lease_until IS NULL OR lease_until < now())
          ORDER BY due_at, id LIMIT $3::int
            FOR UPDATE SKIP LOCKED) AS b
   LIMIT $3::int
)
UPDATE postbatch.batch AS b
   SET lease_owner = $1::bigint,
       lease_until = now() + $2::int * interval '1 ms',
       epoch       = epoch + 1
  FROM due
 WHERE b.id = due.id
RETURNING b.id, b.urgency, b.attempt, coalesce(b.origin, b.id) AS origin,
          b.epoch, b.routed_at,
          b.n, b.recipient_ids, b.event_ids, b.letters, b.roles
