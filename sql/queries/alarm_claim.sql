-- alarm_claim - takes the reports that a backend is due.
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
SELECT * FROM postbatch.claim_alarms($1::text, $2::int, $3::int,
                                     $4::bigint * interval '1 ms')
