-- give_back_rest - lets go of every batch of a worker but those it knows of:
-- after a lost connection, what was leased and never arrived.
--
-- Parameters:
--   $1 bigint    worker id
--   $2 bigint[]  batches it holds and keeps
-- Result: id bigint, of each that was let go.
UPDATE postbatch.batch
   SET lease_owner = NULL, lease_until = NULL
 WHERE lease_owner = $1::bigint AND id <> ALL ($2::bigint[])
RETURNING id
