-- worker_stop - a worker process goes; its leases end at once, whatever is
-- left of them.
--
-- Parameters:
--   $1 bigint    worker id
--   $2 bigint[]  batches it still holds
-- Result: none.
WITH gone AS (DELETE FROM postbatch.worker WHERE id = $1::bigint)
UPDATE postbatch.batch
   SET lease_owner = NULL, lease_until = NULL
 WHERE id = ANY ($2::bigint[]) AND lease_owner = $1::bigint
