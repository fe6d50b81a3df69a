-- renew - extends leases.
--
-- Parameters:
--   $1 bigint    worker id
--   $2 int       milliseconds from now until the lease ends
--   $3 bigint[]  batch ids
--   $4 bigint[]  their epochs
-- Result: id bigint, of each batch that is still ours. What is missing was
-- taken over: start no new letter of it.
UPDATE postbatch.batch AS b
   SET lease_until = now() + $2::int * interval '1 ms'
  FROM unnest($3::bigint[], $4::bigint[]) AS mine (id, epoch)
 WHERE b.id = mine.id AND b.lease_owner = $1::bigint AND b.epoch = mine.epoch
RETURNING b.id
