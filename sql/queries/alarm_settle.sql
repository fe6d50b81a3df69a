-- alarm_settle - what became of a report that alarm_claim.sql gave.
--
-- Parameters:
--   $1 bigint  the claim
--   $2 bigint  milliseconds until it is to be tried again; NULL: it is told
-- Result: none of interest.
SELECT postbatch.settle_claim($1::bigint, $2::bigint * interval '1 ms')
