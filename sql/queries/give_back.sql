-- give_back - lets go of batches of which nothing was sent, at once and for
-- whoever wants them. (Partly sent ones are settled: see settle.sql.)
--
-- Parameters:
--   $1 bigint    worker id
--   $2 bigint[]  batch ids
-- Result: id bigint, of each batch that was ours.
UPDATE postbatch.batch
   SET lease_owner = NULL, lease_until = NULL
 WHERE id = ANY ($2::bigint[]) AND lease_owner = $1::bigint
RETURNING id
