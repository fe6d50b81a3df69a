-- intake_failed - a try that brought nothing: noted for people to see.
--
-- Parameters:
--   $1 text  source
--   $2 text  why
-- Result: none.
UPDATE postbatch.intake
   SET error = left($2::text, 1000), error_at = now()
 WHERE source = $1::text
