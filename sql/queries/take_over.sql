-- take_over - gets back the batches that an earlier life of this worker held,
-- as its journal names them. Whatever their lease says: the journal's lock
-- proves that the earlier life has ended.
--
-- Parameters:
--   $1 bigint    worker id
--   $2 int       milliseconds until the lease ends
--   $3 bigint[]  batch ids
--   $4 bigint[]  the epochs in which they were held
--   $5 bigint[]  earlier lives that may have taken them over and ended before
--                they could note the new epoch
-- Result: as lease.sql, with claimed bigint, the old epoch, at the end. A
-- batch that somebody has taken over or settled meanwhile has no row.
UPDATE postbatch.batch AS b
   SET lease_owner = $1::bigint,
       lease_until = now() + $2::int * interval '1 ms',
       epoch       = b.epoch + 1
  FROM unnest($3::bigint[], $4::bigint[]) AS mine (id, epoch)
 WHERE b.id = mine.id
   AND (b.epoch = mine.epoch
        OR b.epoch > mine.epoch AND b.lease_owner = ANY ($5::bigint[]))
RETURNING b.id, b.urgency, b.attempt, coalesce(b.origin, b.id) AS origin,
          b.epoch, b.routed_at,
          b.n, b.recipient_ids, b.event_ids, b.letters, b.roles,
          mine.epoch AS claimed
