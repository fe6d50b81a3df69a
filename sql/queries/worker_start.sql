-- worker_start - a worker process comes; its id owns the leases.
--
-- Parameters:
--   $1 text  host name
--   $2 int   process id
--   $3 int   process id of its parent, its own when it has none
-- Result: id bigint.
INSERT INTO postbatch.worker (host, pid, parent)
VALUES ($1::text, $2::int, $3::int)
RETURNING id
