-- intake_claim - who polls a source? One session at a time, on whatever host,
-- for as long as it lives: the lock goes with its connection.
--
-- The lock only saves work. Should two poll at once all the same, the cursor
-- in intake_keep.sql lets one of them in.
--
-- Parameters:
--   $1 text  source
--   $2 text  who asks: host and process id
-- Result: one row:
--   is_ours boolean   the lock is ours now, or was before
--   next bigint       the cursor; NULL: the source was never read
--   owner text        who has the lock when it is not ours, if known
WITH lock AS MATERIALIZED (
  SELECT pg_try_advisory_lock(hashtext('postbatch intake'),
                              hashtext($1::text)) AS is_ours
),
owned AS (
  UPDATE postbatch.intake
     SET owner = $2::text, owned_at = now()
    FROM lock
   WHERE source = $1::text AND lock.is_ours
  RETURNING next
)
SELECT lock.is_ours,
       (SELECT next FROM owned) AS next,
       (SELECT owner FROM postbatch.intake
         WHERE source = $1::text) AS owner
  FROM lock
