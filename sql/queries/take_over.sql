-- take_over - gets back the batches that an earlier life of this worker held,
-- as its journal names them. Whatever their lease says: the journal's lock
-- proves that the earlier life has ended.
--
-- Parameters:
--   $1 bigint    worker id
--   $2 int       milliseconds until the lease ends
--   $3 bigint[]  batch ids
--   $4 bigint[]  the epochs in which they were held
-- Result: as lease.sql, with claimed bigint, the old epoch, at the end. A
-- batch that somebody has taken over or settled meanwhile has no row.
--
-- The epoch stays: the owner changes, and that fences the earlier life off. So
-- a life that ends before it has seen the answer leaves the batches as the
-- journal names them, for the next one.
UPDATE postbatch.batch AS b
   SET lease_owner = $1::bigint,
       lease_until = now() + $2::int * interval '1 ms'
  FROM unnest($3::bigint[], $4::bigint[]) AS mine (id, epoch)
 WHERE b.id = mine.id AND b.epoch = mine.epoch
RETURNING b.id, b.urgency, b.attempt, coalesce(b.origin, b.id) AS origin,
          b.epoch, b.routed_at,
          b.n, b.recipient_ids, b.event_ids, b.letters, b.roles,
          mine.epoch AS claimed
