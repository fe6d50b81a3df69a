-- worker_seen - a worker is alive, every 10 s or so, and learns who else is:
-- relays' limits are divided among parents with live workers. One that was
-- away for so long that it was forgotten comes back with its old id.
--
-- Parameters:
--   $1 bigint  worker id
--   $2 text    host name
--   $3 int     process id
--   $4 int     process id of its parent
-- Result, a row for each other parent with a worker seen within 30 s:
--   is_here boolean  it runs on the host of that name
--   parent  int
WITH me AS (
  INSERT INTO postbatch.worker AS w (id, host, pid, parent)
  OVERRIDING SYSTEM VALUE VALUES ($1::bigint, $2::text, $3::int, $4::int)
  ON CONFLICT (id) DO UPDATE SET seen_at = now()
)
SELECT host = $2::text AS is_here, parent
  FROM postbatch.worker
 WHERE seen_at > now() - interval '30 s'
   AND (host, parent) <> ($2::text, $4::int)
 GROUP BY host, parent
