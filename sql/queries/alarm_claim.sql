-- alarm_claim - takes the reports that a backend is due.
--
-- claim_alarms() locks and writes: it is asked only when there is one.
--
-- Parameters:
--   $1 text    the backend: 'log', 'errbit', 'command'
--   $2 int     most reports to take
--   $3 int     reports a minute, of all workers; beyond, one report sums up
--              the rest of what is due
--   $4 bigint  milliseconds after which somebody else may take them
-- Result, a row a report: claim bigint, cause, kind, severity, component,
--   action, message, file (may be NULL), params text (a JSON object), count
--   bigint, first_at, last_at, is_over boolean, tries int (this one included)
SELECT claimed.*
  FROM postbatch.claim_alarms($1::text, $2::int, $3::int,
                              $4::bigint * interval '1 ms') AS claimed
 WHERE EXISTS (
       SELECT FROM postbatch.alarm AS a
         LEFT JOIN postbatch.alarm_report AS r
           ON r.cause = a.cause AND r.backend = $1::text
        WHERE a.round > coalesce(r.told_round, 0)
          AND coalesce(r.due_at, '-infinity') <= clock_timestamp()
          AND a.round_at > now() - interval '7 days')
