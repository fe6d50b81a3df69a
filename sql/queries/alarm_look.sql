-- alarm_look - looks for what a person should know: events set aside, keys in
-- no contract, types with a fault, gaps of importers, what waits too long;
-- and ends what did not come back. By any worker; it looks only if nobody has
-- within the period.
--
-- Parameters, milliseconds:
--   $1 bigint  the period
--   $2 bigint  a cause that was silent for so long is news again
--   $3 bigint  a state that ended so long ago is over
--   $4 bigint  what goes on is told again after so long; NULL: never
--   $5 bigint  an event or letter that waits longer is an alarm; NULL: none is
-- Result: one boolean: true when it looked.
SELECT postbatch.look_for_alarms($1::bigint * interval '1 ms',
         $2::bigint * interval '1 ms', $3::bigint * interval '1 ms',
         $4::bigint * interval '1 ms', $5::bigint * interval '1 ms')
