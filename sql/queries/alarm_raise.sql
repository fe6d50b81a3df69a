-- alarm_raise - a worker has met something that a person should know.
--
-- Parameters:
--   $1 text     the cause: one text, whoever meets it
--   $2 text     kind, as an exception class
--   $3 text     severity: 'error' or 'warning'
--   $4 text     component
--   $5 text     action
--   $6 text     message, constant for the cause
--   $7 text     message for when it is over, or NULL
--   $8 text     file with line, or NULL
--   $9 text     params, a JSON object; its "host" is who may resolve it
--   $10 boolean it lasts until it is resolved
--   $11 bigint  how often it happened
--   $12 bigint  milliseconds: as $2 of alarm_look.sql
-- Result: none of interest.
SELECT postbatch.raise_alarm($1::text, $2::text, $3::text, $4::text, $5::text,
         $6::text, $7::text, $8::text, $9::jsonb, $10::boolean, $11::bigint,
         false, clock_timestamp(), $12::bigint * interval '1 ms')
