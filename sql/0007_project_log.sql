-- 0007 - the project log, and letters that are held until they are due.

-------------------------------------------------------------------------------
-- Project log: what happened where, for feeds and for people who ask.
--
-- One row for each event of a type whose contract has "log", written by the
-- routing step that deals with the event, in its transaction: so exactly once,
-- whatever is killed, and whoever wants a mail or does not. There is no job
-- that could fall behind, and no row that could get stuck: it names what the
-- payload says, whether that exists any more or not.
--
-- A ring of leaves like the other logs: ten whole days, then a leaf is emptied.

-- One router works at a time, so these numbers grow in the order of commits:
-- who has read up to one has missed nothing below it.
CREATE SEQUENCE postbatch.project_log_seq;
CREATE TABLE postbatch.project_log (
  ring      smallint    NOT NULL DEFAULT postbatch.ring(now(), 12),
  id        bigint      NOT NULL DEFAULT nextval('postbatch.project_log_seq'),
  at        timestamptz NOT NULL,  -- of the event
  event_id  bigint      NOT NULL,
  type      text        NOT NULL COLLATE "C",
  project   text        NOT NULL COLLATE "C",
  package   text        COLLATE "C",
  user_name text        COLLATE "C",
  request   text        COLLATE "C",
  rest      jsonb       NOT NULL   -- of the payload, cut
) PARTITION BY LIST (ring);
-- Event ids grow with time, so this is a project's log, newest first.
CREATE INDEX project_log_project ON postbatch.project_log (project, event_id);
CREATE INDEX project_log_id      ON postbatch.project_log (id);

DO $$
BEGIN
  FOR i IN 0 .. 11 LOOP
    EXECUTE format('CREATE TABLE postbatch.project_log_%s PARTITION OF'
      ' postbatch.project_log FOR VALUES IN (%s)'
      ' WITH (autovacuum_enabled = off)', i, i);
  END LOOP;
END $$;

-- Events of logged types whose payload does not say where: no row, but a count.
CREATE TABLE postbatch.project_log_missing (
  type           text        PRIMARY KEY COLLATE "C",
  events         bigint      NOT NULL DEFAULT 1,
  first_event_id bigint      NOT NULL,
  first_at       timestamptz NOT NULL DEFAULT now(),
  last_at        timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 70);

-- Which keys of the payload to log, as the contract says. log_project NULL:
-- events of this type are not logged.
ALTER TABLE postbatch.event_type
  ADD log_project text,
  ADD log_package text,
  ADD log_user    text[] NOT NULL DEFAULT '{}',
  ADD log_request text,
  -- Gathering: how long the first event waits for more.
  ADD window_ms   int NOT NULL DEFAULT 0 CHECK (window_ms >= 0);

-- A released event is a second event about the same thing; route.sql looks
-- whether the first one was logged.
CREATE INDEX quarantine_released_as ON postbatch.quarantine (released_as)
  WHERE released_as IS NOT NULL;

-- A value for a column of the log; NULL when there is nothing in it.
CREATE FUNCTION postbatch.log_value(payload jsonb, key text) RETURNS text
  LANGUAGE sql IMMUTABLE PARALLEL SAFE
  AS $$ SELECT nullif(left(payload ->> key, 200), '') $$;

-- The first of the keys that names a user.
CREATE FUNCTION postbatch.log_user(payload jsonb, keys text[]) RETURNS text
  LANGUAGE sql IMMUTABLE PARALLEL SAFE
  AS $$ SELECT left(payload ->> key, 200)
          FROM unnest(keys) WITH ORDINALITY AS x (key, nth)
         WHERE payload ->> key NOT IN ('', 'unknown')
         ORDER BY nth LIMIT 1 $$;

-- What is left of a payload without these keys, in 64 kB as it is stored.
-- Where that does not suffice, long values become the beginnings of their
-- text; after that the keys that do not fit are left out.
CREATE FUNCTION postbatch.log_rest(payload jsonb, keys text[]) RETURNS jsonb
  LANGUAGE sql IMMUTABLE PARALLEL SAFE
  AS $$ SELECT CASE
    WHEN pg_column_size(rest) <= 65535
    THEN rest
    ELSE (SELECT coalesce(jsonb_object_agg(key, value), '{}')
            FROM (SELECT key, value,
                         sum(octet_length(key) + pg_column_size(value))
                           OVER (ORDER BY key) AS bytes
                    FROM (SELECT key,
                                 CASE WHEN pg_column_size(value) <= 1000
                                      THEN value
                                      ELSE to_jsonb(left(rest ->> key, 500))
                                 END AS value
                            FROM jsonb_each(rest) AS e (key, value)) AS short
                 ) AS fitted
           WHERE bytes <= 60000)
    END
    FROM (SELECT CASE jsonb_typeof(payload) WHEN 'object'
                      THEN payload - keys ELSE '{}' END AS rest) AS p $$;

-- Logs those of the events whose type is logged; the router's part. One that
-- was in quarantine and released is logged once: as what it was at first.
CREATE FUNCTION postbatch.log_events(event_ids bigint[],
                                     OUT logged bigint, OUT unlogged bigint)
  LANGUAGE plpgsql
  AS $$
BEGIN
  WITH found AS MATERIALIZED (
    SELECT e.id AS event_id, e.type, e.created_at, e.payload, t.log_project,
           t.log_package, t.log_user, t.log_request,
           postbatch.log_value(e.payload, t.log_project) AS project
      FROM unnest(event_ids) AS x (id)
     CROSS JOIN LATERAL (
           SELECT * FROM postbatch.event AS e
            WHERE e.ring = (x.id & 15)::smallint AND e.id = x.id) AS e
      JOIN postbatch.event_type AS t
        ON t.name = e.type AND t.log_project IS NOT NULL
  ),
  fresh AS (
    SELECT f.* FROM found AS f
     WHERE f.project IS NOT NULL
       AND (NOT EXISTS (SELECT FROM postbatch.quarantine
                         WHERE released_as IS NOT NULL)
            OR NOT EXISTS (
               SELECT FROM postbatch.quarantine AS q
                WHERE q.released_as = f.event_id
                  AND (SELECT true FROM postbatch.project_log AS l
                        WHERE l.project = f.project
                          AND l.event_id = q.event_id LIMIT 1)))
  ),
  written AS (
    INSERT INTO postbatch.project_log
           (at, event_id, type, project, package, user_name, request, rest)
    SELECT created_at, event_id, type, project,
           postbatch.log_value(payload, log_package),
           postbatch.log_user(payload, log_user),
           postbatch.log_value(payload, log_request),
           postbatch.log_rest(payload, log_user || ARRAY[
                              log_project, log_package, log_request])
      FROM fresh
     ORDER BY event_id
    RETURNING 1
  ),
  missing AS (
    INSERT INTO postbatch.project_log_missing AS m
           (type, events, first_event_id)
    SELECT type, count(*), min(event_id)
      FROM found WHERE project IS NULL GROUP BY type
    ON CONFLICT (type) DO UPDATE
       SET events = m.events + excluded.events, last_at = now()
  )
  SELECT (SELECT count(*) FROM written),
         (SELECT count(*) FROM found WHERE project IS NULL)
    INTO logged, unlogged;
END $$;

-- Makes event_type say what the contracts say of the log and of gathering;
-- after sync_types(), of the same list.
CREATE FUNCTION postbatch.sync_logs(contracts jsonb) RETURNS bigint
  LANGUAGE plpgsql
  AS $$
DECLARE
  changed bigint;
BEGIN
  UPDATE postbatch.event_type AS t
     SET (log_project, log_package, log_user, log_request, window_ms)
       = (c.log_project, c.log_package, c.log_user, c.log_request, c.window_ms)
    FROM (SELECT x.name, x.log ->> 'project' AS log_project,
                 x.log ->> 'package' AS log_package,
                 ARRAY(SELECT postbatch.elements_text(x.log -> 'user'))
                   AS log_user,
                 x.log ->> 'request' AS log_request,
                 CASE x.grouping WHEN 'gather'
                      THEN greatest(coalesce(x.window_ms, 0), 0)
                      ELSE 0 END AS window_ms
            FROM jsonb_to_recordset(contracts) AS x (
                 name text, log jsonb, "grouping" text, window_ms int)) AS c
   WHERE t.name = c.name
     AND (t.log_project, t.log_package, t.log_user, t.log_request, t.window_ms)
         IS DISTINCT FROM
         (c.log_project, c.log_package, c.log_user, c.log_request,
          c.window_ms);
  GET DIAGNOSTICS changed = ROW_COUNT;
  RETURN changed;
END $$;

-- The leaf of tomorrow holds what is eleven days old.
CREATE FUNCTION postbatch.project_log_housekeeping()
  RETURNS TABLE (what text, outcome text) LANGUAGE plpgsql
  AS $$
BEGIN
  what := format('project_log_%s',
                 postbatch.ring(now() + interval '1 day', 12));
  outcome := postbatch.empty_leaf(what);
  IF outcome IS NOT NULL THEN
    RETURN NEXT;
  END IF;
END $$;

-------------------------------------------------------------------------------
-- Held letters: those of digests, and those of types that wait a while to
-- gather more events.
--
-- Written by the router as arrays, a row for each due time of a step; taken by
-- queries/promote.sql, which deletes what it makes batches of under the rows'
-- own locks, so each exactly once. No snapshot has to be kept for them.

ALTER TABLE postbatch.held
  DROP xid,
  -- Counted without a look at the arrays, which lie elsewhere.
  ADD n int GENERATED ALWAYS AS (cardinality(event_ids)) STORED,
  ADD type_id smallint,  -- whose events gather; NULL: of a digest
  ADD urgency smallint NOT NULL DEFAULT 3 CHECK (urgency BETWEEN 1 AND 3);
COMMENT ON TABLE postbatch.held IS 'pairs of recipient and event, not due yet';

-- Asked once a step: does anybody want digests, or any type wait, at all?
CREATE INDEX preference_later ON postbatch.preference (frequency)
  WHERE frequency IN ('hourly', 'daily', 'weekly');
CREATE INDEX event_type_later ON postbatch.event_type (id)
  WHERE window_ms > 0 OR role_frequencies && '{hourly,daily,weekly}';

-- When digests are due, as the settings say; one row, written at start.
CREATE TABLE postbatch.digest_time (
  only_row  boolean  PRIMARY KEY DEFAULT true CHECK (only_row),
  hour      smallint NOT NULL DEFAULT 8 CHECK (hour BETWEEN 0 AND 23),
  weekday   smallint NOT NULL DEFAULT 1 CHECK (weekday BETWEEN 1 AND 7),
  time_zone text     NOT NULL DEFAULT 'UTC'  -- of recipients without one
);
COMMENT ON COLUMN postbatch.digest_time.weekday IS '1 Monday ... 7 Sunday';
INSERT INTO postbatch.digest_time DEFAULT VALUES;

CREATE FUNCTION postbatch.is_time_zone(name text) RETURNS boolean
  LANGUAGE plpgsql STABLE
  AS $$
BEGIN
  RETURN (now() AT TIME ZONE name) IS NOT NULL;
EXCEPTION WHEN data_exception THEN
  RETURN false;
END $$;

-- When a letter is due that is routed now: the next full hour, the next time
-- it is the hour of daily digests, or that hour on the day of weekly ones,
-- where the recipient is. 'instant' means gathering: the end of the window
-- that now is in. A time zone that PostgreSQL does not know is passed over.
CREATE FUNCTION postbatch.next_due(frequency text, window_ms int,
                                   time_zone text, now timestamptz)
  RETURNS timestamptz LANGUAGE plpgsql STABLE
  AS $$
DECLARE
  digest postbatch.digest_time;
  zone   text;
  here   timestamp;
  due    timestamp;
BEGIN
  IF frequency = 'instant' THEN
    RETURN to_timestamp(
      (floor(date_part('epoch', now) * 1000 / window_ms) + 1) * window_ms
      / 1000);
  END IF;
  SELECT * INTO digest FROM postbatch.digest_time;
  FOREACH zone IN ARRAY ARRAY[time_zone, digest.time_zone, 'UTC'] LOOP
    EXIT WHEN postbatch.is_time_zone(zone);
  END LOOP;
  here := now AT TIME ZONE zone;
  CASE frequency
  WHEN 'hourly' THEN
    due := date_trunc('hour', here) + interval '1 hour';
  WHEN 'daily' THEN
    due := date_trunc('day', here) + digest.hour * interval '1 hour';
    IF due <= here THEN
      due := due + interval '1 day';
    END IF;
  ELSE
    due := date_trunc('week', here)
           + (digest.weekday - 1) * interval '1 day'
           + digest.hour * interval '1 hour';
    IF due <= here THEN
      due := due + interval '7 days';
    END IF;
  END CASE;
  -- Where clocks go back, an hour of the clock comes twice.
  RETURN CASE WHEN due AT TIME ZONE zone > now THEN due AT TIME ZONE zone
              ELSE now + interval '1 hour' END;
END $$;

-------------------------------------------------------------------------------
-- For stats

-- The youngest rows of the ledger: so many pages of the leaf of today, and of
-- that of yesterday in the first hour of a day. Rows are only ever appended,
-- so the end of a leaf is what was written last. Costs the same whatever the
-- ledger holds. is_whole: the leaves had no more pages than that, so nothing
-- of the last hour is missing.
CREATE FUNCTION postbatch.ledger_tail(pages int)
  RETURNS TABLE (at timestamptz, event_id bigint, verdict smallint,
                 is_whole boolean)
  LANGUAGE plpgsql STABLE
  AS $$
DECLARE
  leaf  text;
  first bigint;
  hour  CONSTANT timestamptz := now() - interval '1 hour';
BEGIN
  FOR back IN 0 .. 1 LOOP
    leaf := format('postbatch.ledger_%s',
                   postbatch.ring(now() - back * interval '1 hour', 32));
    EXIT WHEN back = 1 AND postbatch.ring(hour, 32) = postbatch.ring(now(), 32);
    first := greatest(0, pg_relation_size(leaf::regclass)
                         / current_setting('block_size')::int - pages);
    RETURN QUERY EXECUTE format(
      'SELECT at, event_id, verdict, %L::boolean FROM %s WHERE ctid >= %L::tid',
      first = 0, leaf, format('(%s,0)', first));
  END LOOP;
END $$;

SELECT postbatch.grant_rights();
