-- glance - has anything been committed since the last glance?
--
-- For an idle service, before peek.sql: costs a twentieth of it. Two equal
-- snapshots see the same transactions, so what was not there at the first is
-- not there at the second.
--
-- Parameters: none.
-- Result: one row: snapshot text
SELECT pg_current_snapshot()::text AS snapshot
