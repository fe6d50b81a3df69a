-- reseat - starts reading anew, for a database that was restored from a dump
-- or copied by logical replication into another cluster: stored transaction
-- ids mean nothing there. pg_upgrade, base backups and physical standbys keep
-- them and need none of this.
--
-- Every event above the highest id that was dealt with counts as new. Events
-- with a lower id that had not been dealt with (transactions that were
-- running when the last events were read) are not found: compare with the
-- ledger if that matters.
--
-- Parameters: none. To be run while nothing emits and no worker runs.
-- Result: events bigint, to be read now.
WITH fresh AS (
  UPDATE postbatch.event AS e SET xid = pg_current_xact_id()
    FROM postbatch.route AS r
   WHERE e.id > r.top_id
  RETURNING 1
),
old AS (
  UPDATE postbatch.event AS e SET xid = '3'  -- the first there can be
    FROM postbatch.route AS r
   WHERE e.id <= r.top_id
  RETURNING 1
),
seat AS (
  UPDATE postbatch.route
     SET snap_last = pg_current_snapshot(), snap_cur = pg_current_snapshot(),
         phase = 2, pos_xid = '0', pos_id = 0
  RETURNING 1
)
SELECT (SELECT count(*) FROM fresh) AS events FROM seat
