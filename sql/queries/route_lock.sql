-- route_lock - takes the right to route, for this transaction.
--
-- One router at a time, on whatever host: the lock is that of the one row of
-- postbatch.route. It has to be a statement of its own, before route.sql: the
-- snapshot of route.sql must be younger than the lock, or it would go on from
-- a position that another router has just left. So:
--
--     BEGIN ISOLATION LEVEL READ COMMITTED;
--     route_lock;  route;          may be sent as one pipeline
--     COMMIT;
--
-- Parameters: none.
-- Result: one row, 'locked', when we may route; no row while another does.
-- Then route.sql does nothing and returns no row either.
--
-- The memory is for the pairs of one step, which would go to disk otherwise.
WITH mine AS MATERIALIZED (
  SELECT FROM postbatch.route FOR UPDATE SKIP LOCKED
)
SELECT set_config('postbatch.routing', 'locked', true),
       set_config('work_mem', '32MB', true)
  FROM mine
