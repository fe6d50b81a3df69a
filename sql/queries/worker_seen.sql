-- worker_seen - a worker is alive; every 10 s or so.
--
-- Parameters:
--   $1 bigint  worker id
-- Result: id bigint; no row when it was forgotten: start again.
UPDATE postbatch.worker SET seen_at = now() WHERE id = $1::bigint
RETURNING id
