-- resend_lock - waits until no other command sends letters again, and keeps
-- all others waiting until the transaction ends.
--
-- resend_do.sql finds out what to send from the ledger, and notes there what it
-- has sent. Two of them at one instant would both find the same letters; the
-- one that waits here begins its statement, and so its snapshot, when the other
-- one's notes are there. It must be a statement of its own for that.
--
-- Parameters: none. Result: one row.
SELECT pg_advisory_xact_lock(1885499764, 1)
