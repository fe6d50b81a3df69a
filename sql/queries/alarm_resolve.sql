-- alarm_resolve - a state that was raised has ended, as far as this host sees.
--
-- Parameters:
--   $1 text  the cause
--   $2 text  the host; what another host has raised lately is left alone
-- Result: none of interest.
SELECT postbatch.resolve_alarm($1::text, $2::text)
