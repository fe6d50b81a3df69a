-- housekeeping - empties the leaves of tomorrow, forgets what is long done;
-- every minute or so, by any worker.
--
-- Parameters: none.
-- Result, a row for each thing that was done or could not be: what text,
-- outcome text ('emptied', 'busy: ...', 'kept: ...', 'deleted: 12').
SELECT what, outcome FROM postbatch.housekeeping()
UNION ALL
SELECT what, outcome FROM postbatch.project_log_housekeeping()
