-- 0005 - intake: events that are fetched from elsewhere, and how far.
--
-- A source is a log of numbered notifications that another program keeps, as
-- the source server of the Open Build Service does. What is fetched becomes
-- events in the same transaction that moves the cursor (queries/
-- intake_keep.sql), so nothing can be lost or doubled in between.

-- How far each source has been read. To move a cursor by hand, stop the
-- workers and update "next".
CREATE TABLE postbatch.intake (
  source     text        PRIMARY KEY COLLATE "C",
  next       bigint      NOT NULL CHECK (next >= 1),  -- first one not taken
  moved_at   timestamptz NOT NULL DEFAULT now(),  -- the cursor moved last
  heard_at   timestamptz NOT NULL DEFAULT now(),  -- last answer in good order
  owner      text,                    -- who polls, or polled last: host and pid
  owned_at   timestamptz,
  error      text,                    -- of the last try; NULL: it went well
  error_at   timestamptz
) WITH (fillfactor = 50);

-- Notifications that were there and that we never got: never passed over in
-- silence. A row stays until somebody deletes it.
CREATE TABLE postbatch.intake_gap (
  id      bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  source  text        NOT NULL COLLATE "C",
  from_nr bigint      NOT NULL,       -- first number that is missing
  to_nr   bigint      NOT NULL,       -- where reading went on
  missing bigint,                     -- how many; NULL: nobody can know
  reason  text        NOT NULL CHECK (reason IN ('lost', 'ahead', 'short')),
  at      timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX intake_gap_at ON postbatch.intake_gap (at);
COMMENT ON COLUMN postbatch.intake_gap.reason IS
  'lost: the source had dropped them before we came;'
  ' ahead: the cursor was beyond the end, so the source was set back;'
  ' short: the source gave fewer than its numbers say';

-- Types of notifications that no contract is called after. They are kept as
-- events of the type "unknown": {"type": ..., "data": {...}}.
CREATE TABLE postbatch.intake_unknown (
  source         text        NOT NULL COLLATE "C",
  type           text        NOT NULL COLLATE "C",
  first_event_id bigint      NOT NULL,
  first_at       timestamptz NOT NULL DEFAULT now(),
  last_at        timestamptz NOT NULL DEFAULT now(),
  events         bigint      NOT NULL,
  PRIMARY KEY (source, type)
) WITH (fillfactor = 70);

-- A payload that comes as text. Text that PostgreSQL cannot keep as JSON
-- becomes one JSON string, for the quarantine to show: it must not stop those
-- that come with it.
CREATE FUNCTION postbatch.to_payload(payload text) RETURNS jsonb
  LANGUAGE plpgsql IMMUTABLE PARALLEL UNSAFE
  AS $$
BEGIN
  RETURN payload::jsonb;
EXCEPTION WHEN data_exception OR program_limit_exceeded
            OR statement_too_complex THEN
  RETURN to_jsonb(payload);
END $$;

SELECT postbatch.grant_rights();
