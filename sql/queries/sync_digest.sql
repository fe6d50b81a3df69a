-- sync_digest - tells the database when digests are due; once, at start.
--
-- Parameters:
--   $1 int   hour of the day of daily and weekly digests, 0 to 23
--   $2 int   day of weekly digests: 1 Monday ... 7 Sunday
--   $3 text  time zone of recipients who have none
-- Result: one row: is_known boolean, whether PostgreSQL knows the time zone.
-- If not, it counts as UTC.
WITH known AS MATERIALIZED (
  SELECT postbatch.is_time_zone($3::text) AS is_known
),
changed AS (
  UPDATE postbatch.digest_time
     SET hour = $1::int, weekday = $2::int,
         time_zone = CASE WHEN known.is_known THEN $3::text ELSE 'UTC' END
    FROM known
   WHERE (hour, weekday, time_zone) IS DISTINCT FROM
         ($1::int, $2::int,
          CASE WHEN known.is_known THEN $3::text ELSE 'UTC' END)
)
SELECT is_known FROM known
