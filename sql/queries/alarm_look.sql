-- alarm_look - looks for what a person should know: events set aside, keys in
-- no contract, types with a fault, gaps of importers, what waits too long;
-- and ends what did not come back. By any worker; it looks only if nobody has
-- within the period.
--
-- Most of the time there is nothing: that is seen here, by a few index probes
-- that write nothing. look_for_alarms() is asked when one of them finds
-- something, and every five minutes all the same (more often where a tenth of
-- $5 is less): what waits too long is seen only there.
--
-- Parameters, milliseconds:
--   $1 bigint  the period; 0: look, whatever the probes say
--   $2 bigint  a cause that was silent for so long is news again
--   $3 bigint  a state that ended so long ago is over
--   $4 bigint  what goes on is told again after so long; NULL: never
--   $5 bigint  an event or letter that waits longer is an alarm; NULL: none is
-- Result: at most one row, one boolean: true when look_for_alarms() looked.
WITH look AS MATERIALIZED (
  SELECT snap, looked_at,
         looked_at - interval '2 min' AS since  -- as look_for_alarms() has it
    FROM postbatch.alarm_look
   WHERE looked_at <= clock_timestamp() - $1::bigint * interval '1 ms'
)
SELECT CASE WHEN
         $1::bigint = 0
         OR looked_at <= clock_timestamp()
              - least(interval '5 min', $5::bigint * interval '0.1 ms')
         -- What was raised and may end, or is to be told again.
         OR EXISTS (
            SELECT FROM postbatch.alarm AS a
             WHERE NOT a.is_over
               AND (a.lasts
                    OR a.last_at < now() - $2::bigint * interval '1 ms'
                    OR (a.last_at > a.round_at AND a.round_at
                          < now() - $4::bigint * interval '1 ms')))
         -- Of before the snapshot, of transactions that ended since; and of
         -- those that began after it.
         OR EXISTS (
            SELECT FROM pg_snapshot_xip(snap) AS x
             CROSS JOIN LATERAL (
                   SELECT FROM postbatch.quarantine WHERE xid = x LIMIT 1) AS q)
         OR EXISTS (
            SELECT FROM postbatch.quarantine
             WHERE xid >= pg_snapshot_xmax(snap))
         OR EXISTS (SELECT FROM postbatch.drift WHERE last_at >= since)
         OR EXISTS (SELECT FROM postbatch.intake_gap WHERE at >= since)
         OR EXISTS (SELECT FROM postbatch.intake_unknown
                     WHERE last_at >= since)
         OR EXISTS (SELECT FROM postbatch.event_type
                     WHERE mailable AND fault IS NOT NULL
                       AND fault NOT LIKE 'no event type of this name:%')
       THEN postbatch.look_for_alarms($1::bigint * interval '1 ms',
              $2::bigint * interval '1 ms', $3::bigint * interval '1 ms',
              $4::bigint * interval '1 ms', $5::bigint * interval '1 ms')
       ELSE false END
  FROM look
