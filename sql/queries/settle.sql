-- settle - ends a batch: it is removed, its letters that were plainly sent go
-- into the ledger as one row, and what is to be tried again (or was not tried
-- at all) goes into new batches.
--
-- Plainly sent is what was sent with the reply code that the row has, and
-- nothing more to say about it. The arrays of the batch are moved as they are:
-- taking a few letters out of them costs more than naming the places that do
-- not count. Comes first in the transaction that also writes rows for all
-- other letters, if there are any:
--
--     COPY postbatch.ledger_N (ring, at, batch_id, recipient_id, event_id,
--         more_events, verdict, code, enhanced, role, attempt, reply)
--     FROM STDIN (FORMAT binary)
--
-- with the same ring, time and origin. A pair that was left out of its letter,
-- because the event is poison, gets a row of its own (skipped): "resend" finds
-- by it. The fence: only who holds the lease of this epoch can settle; a late
-- worker removes nothing and adds nothing.
--
-- Parameters; $4 to $9 are parallel arrays, a pair at each place, in the order
-- of the batch, empty when nothing is left:
--   $1 bigint        batch id
--   $2 bigint        worker id
--   $3 bigint        epoch
--   $4 bigint[]      recipient ids
--   $5 bigint[]      event ids
--   $6 smallint[]    letter of each pair, as in the batch (numbered anew here)
--   $7 smallint[]    roles
--   $8 int[]         seconds from now until it is due; the same for all pairs
--                    of a letter. Each different (delay, attempt) makes a batch
--   $9 smallint[]    attempt of the new batch: one more for what was deferred,
--                    the same for what was not tried
--   $10 timestamptz  when it happened, as in the rows of the other letters
--   $11 int          letters that were plainly sent; 0: no row for them
--   $12 smallint     their reply code; 0: they have none
--   $13 int[]        places in the batch, from 1, of the pairs of all others
-- Result: one row:
--   held boolean    the fence held; if false, write nothing about this batch
--   batches bigint  new batches
WITH ended AS (
  DELETE FROM postbatch.batch
   WHERE id = $1::bigint AND lease_owner = $2::bigint AND epoch = $3::bigint
  RETURNING id, urgency, origin, routed_at, attempt, recipient_ids, event_ids,
            letters, roles
),
sent AS (
  INSERT INTO postbatch.ledger_batch
         (ring, at, batch_id, attempt, code, n, recipient_ids, event_ids,
          letters, roles, apart)
  SELECT postbatch.ring($10::timestamptz, 32), $10::timestamptz,
         coalesce(origin, id), attempt, nullif($12::smallint, 0::smallint),
         $11::int, recipient_ids, event_ids, letters, roles,
         nullif($13::int[], '{}')
    FROM ended
   WHERE $11::int > 0
),
later AS (
  INSERT INTO postbatch.batch (urgency, due_at, attempt, origin, routed_at, n,
                               recipient_ids, event_ids, roles, letters)
  SELECT ended.urgency, now() + l.delay * interval '1 s', l.attempt,
         coalesce(ended.origin, ended.id), ended.routed_at, l.n,
         l.recipient_ids, l.event_ids, l.roles, l.letters
    FROM ended
   CROSS JOIN (
         SELECT delay, attempt, max(nth) AS n,
                array_agg(recipient_id) AS recipient_ids,
                array_agg(event_id) AS event_ids,
                array_agg(role) AS roles,
                CASE WHEN max(nth) < count(*)
                     THEN array_agg((nth - 1)::smallint) END AS letters
           FROM (SELECT *, dense_rank() OVER (PARTITION BY delay, attempt
                                                  ORDER BY letter) AS nth
                   FROM unnest($4::bigint[], $5::bigint[], $6::smallint[],
                               $7::smallint[], $8::int[], $9::smallint[])
                        WITH ORDINALITY
                        AS p (recipient_id, event_id, letter, role, delay,
                              attempt, place)
                  ORDER BY delay, attempt, letter, place) AS p
          GROUP BY delay, attempt) AS l
   WHERE cardinality($4::bigint[]) > 0
  RETURNING 1
)
SELECT EXISTS (SELECT FROM ended) AS held,
       (SELECT count(*) FROM later) AS batches
