-- settle - ends a batch: it is removed, and what is to be tried again (or was
-- not tried at all) goes into new batches.
--
-- Comes first in the transaction that also writes the ledger (COPY or
-- ledger.sql). The fence: only who holds the lease of this epoch can settle;
-- a late worker removes nothing, adds nothing, and must roll back.
--
-- Parameters; those from $4 on are parallel arrays, a pair at each place, in
-- the order of the batch, empty when nothing is left:
--   $1 bigint      batch id
--   $2 bigint      worker id
--   $3 bigint      epoch
--   $4 bigint[]    recipient ids
--   $5 bigint[]    event ids
--   $6 smallint[]  letter of each pair, as in the batch (numbered anew here)
--   $7 smallint[]  roles
--   $8 int[]       seconds from now until it is due; the same for all pairs
--                  of a letter. Each different (delay, attempt) makes a batch
--   $9 smallint[]  attempt of the new batch: one more for what was deferred,
--                  the same for what was not tried
-- Result: one row:
--   held boolean    the fence held; if false, roll back
--   batches bigint  new batches
WITH ended AS (
  DELETE FROM postbatch.batch
   WHERE id = $1::bigint AND lease_owner = $2::bigint AND epoch = $3::bigint
  RETURNING id, urgency, origin, routed_at
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
  RETURNING 1
)
SELECT EXISTS (SELECT FROM ended) AS held,
       (SELECT count(*) FROM later) AS batches
