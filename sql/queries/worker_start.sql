-- worker_start - a worker process comes; its id owns the leases.
--
-- Parameters:
--   $1 text  host name
--   $2 int   process id
-- Result: id bigint.
INSERT INTO postbatch.worker (host, pid) VALUES ($1::text, $2::int)
RETURNING id
