-- 0004 - what is set aside can be dropped for good.
--
-- A dropped event has left the quarantine like a released one, so released_at
-- says when; the new columns say that nothing was sent, who decided so and why.
-- It goes 90 days later (housekeeping).

ALTER TABLE postbatch.quarantine
  ADD COLUMN dropped_at  timestamptz,
  ADD COLUMN dropped_by  text,
  ADD COLUMN drop_reason text,
  ADD CONSTRAINT quarantine_drop_is_whole
    CHECK ((dropped_at IS NULL) = (drop_reason IS NULL)
           AND (dropped_at IS NULL OR released_at IS NOT NULL)),
  ADD CONSTRAINT quarantine_is_sent_on_or_dropped
    CHECK (dropped_at IS NULL OR released_as IS NULL);

COMMENT ON COLUMN postbatch.quarantine.released_at IS
  'when it left the quarantine: sent on, or dropped (then dropped_at is set)';
COMMENT ON COLUMN postbatch.quarantine.dropped_by IS
  'the person, as the command knew them';
