-- 0006 - alarms: what a person should know, once a cause.
--
-- An alarm is a row for a cause, not for an event: a hundred thousand events
-- that fail for one reason are one alarm with a count. Whoever meets a cause,
-- on whatever host, raises the same row; whoever finds a row that a backend
-- (an exception tracker, a command, the log) was not told of claims it and
-- reports it. What could not be reported stays due.
--
-- The round of an alarm counts how often it became worth telling: when it was
-- first raised, when it came back after having been over, when it ended (if
-- it is of the kind that ends), and again while it goes on, where that is
-- wanted. A backend that was told of an older round is due.

CREATE TABLE postbatch.alarm (
  cause        text        PRIMARY KEY COLLATE "C",  -- names it, everywhere
  kind         text        NOT NULL,  -- as an exception class: UnlistedKey
  severity     text        NOT NULL DEFAULT 'error'
                           CHECK (severity IN ('error', 'warning')),
  component    text        NOT NULL,  -- what part of Postbatch
  action       text        NOT NULL,  -- at what it was: a type, a relay
  message      text        NOT NULL,  -- constant, however often it happens
  over_message text,                  -- to be told when it is over; or NULL
  file         text,                  -- a template, a contract, with ":line"
  params       jsonb       NOT NULL DEFAULT '{}',  -- what varies
  lasts        boolean     NOT NULL,  -- a state that ends, or something that
                                      -- happens again and again
  count        bigint      NOT NULL,  -- 0: a state, only seen to be so
  first_at     timestamptz NOT NULL DEFAULT now(),
  last_at      timestamptz NOT NULL DEFAULT now(),
  resolved_at  timestamptz,  -- it seems to have ended then
  is_over      boolean     NOT NULL DEFAULT false,  -- and did not come back
  round        int         NOT NULL DEFAULT 1,
  round_at     timestamptz NOT NULL DEFAULT now(),
  reported_at  timestamptz   -- when a backend last took a report of it
) WITH (fillfactor = 70);
CREATE INDEX alarm_kind ON postbatch.alarm (kind) WHERE NOT is_over;

-- Which round of an alarm a backend was told of last.
CREATE TABLE postbatch.alarm_report (
  cause         text        NOT NULL COLLATE "C"
                            REFERENCES postbatch.alarm ON DELETE CASCADE,
  backend       text        NOT NULL COLLATE "C",
  told_round    int         NOT NULL DEFAULT 0,
  claim         bigint      NOT NULL,  -- of whoever reports it now, or did
  claimed_round int         NOT NULL,
  tries         int         NOT NULL,  -- of this round
  tried_at      timestamptz NOT NULL DEFAULT now(),
  due_at        timestamptz NOT NULL,  -- not to be tried before
  PRIMARY KEY (cause, backend)
) WITH (fillfactor = 70);
CREATE SEQUENCE postbatch.alarm_claim_seq;

-- Up to where the quarantine was looked through; one row.
CREATE TABLE postbatch.alarm_look (
  only_row  boolean     PRIMARY KEY DEFAULT true CHECK (only_row),
  snap      pg_snapshot NOT NULL,
  looked_at timestamptz NOT NULL DEFAULT '-infinity'
) WITH (fillfactor = 10, autovacuum_vacuum_scale_factor = 0,
        autovacuum_vacuum_threshold = 100);
INSERT INTO postbatch.alarm_look (snap) VALUES (pg_current_snapshot());

-- What became visible between two looks is found as the router finds events:
-- by transaction, so that what commits late is neither lost nor counted
-- twice. Old rows have no xid: they are no news.
ALTER TABLE postbatch.quarantine ADD COLUMN xid xid8;
ALTER TABLE postbatch.quarantine
  ALTER COLUMN xid SET DEFAULT pg_current_xact_id();
CREATE INDEX quarantine_xid ON postbatch.quarantine (xid);

CREATE INDEX drift_last_at ON postbatch.drift (last_at);

-------------------------------------------------------------------------------
-- Raising and resolving

-- The file and line that a reason begins with, without the folders that
-- differ from host to host; NULL when it begins with none.
CREATE FUNCTION postbatch.alarm_file(reason text) RETURNS text
  LANGUAGE sql IMMUTABLE PARALLEL SAFE
  AS $$
  SELECT substring(substring(left(reason, 2000)
           from '^[^ ":]+\.(?:mustache|json)(?::[0-9]+)?')
           from '(?:[^/]+/)?[^/]+$')
$$;

-- A reason without what differs from event to event: numbers and what stands
-- in quotes. The place in a file, which it may begin with, stays.
CREATE FUNCTION postbatch.alarm_reason(reason text) RETURNS text
  LANGUAGE sql IMMUTABLE PARALLEL SAFE
  AS $$
  SELECT coalesce(postbatch.alarm_file(reason) || ': ', '')
      || left(regexp_replace(regexp_replace(regexp_replace(
           regexp_replace(left(reason, 2000),
                          '^[^ ":]+\.(mustache|json)(:[0-9]+)?: *', ''),
           '"[^"]*("|$)', '"..."', 'g'),
           '''[^'']*(''|$)', '''...''', 'g'),
           '\m[0-9a-fA-F]*[0-9][0-9a-fA-F]*\M', '#', 'g'), 300)
$$;

-- Something happened (lasts is false, seen counts it, or is the count of all
-- when is_total), or is the case (lasts; seen may be 0). It happened again
-- only if it did so after the last time; quiet is how long a cause has to be
-- silent to be news again. Random names must not make random causes without
-- end: beyond 200 of a kind they become one.
CREATE FUNCTION postbatch.raise_alarm(
    new_cause text, new_kind text, new_severity text, new_component text,
    new_action text, new_message text, new_over_message text, new_file text,
    new_params jsonb, does_last boolean, seen bigint, is_total boolean,
    seen_at timestamptz, quiet interval) RETURNS void LANGUAGE plpgsql
  AS $$
#variable_conflict use_column
BEGIN
  IF NOT EXISTS (SELECT FROM postbatch.alarm WHERE cause = new_cause)
     AND (SELECT count(*) FROM postbatch.alarm
           WHERE kind = new_kind AND NOT is_over) >= 200 THEN
    new_params := jsonb_build_object('one_of_them', new_message);
    new_message := 'more than 200 different causes of this kind';
    new_cause := new_kind || '/*';
    new_action := '*';
    new_file := NULL;
    is_total := false;
    seen_at := clock_timestamp();
  END IF;
  INSERT INTO postbatch.alarm AS a
         (cause, kind, severity, component, action, message, over_message,
          file, params, lasts, count, first_at, last_at)
  VALUES (new_cause, new_kind, new_severity, new_component,
          left(new_action, 200), left(new_message, 900),
          left(new_over_message, 900), left(new_file, 500), new_params,
          does_last, seen, seen_at, seen_at)
  ON CONFLICT (cause) DO UPDATE
     SET severity = excluded.severity, message = excluded.message,
         over_message = excluded.over_message, file = excluded.file,
         params = excluded.params, lasts = excluded.lasts,
         count = CASE WHEN is_total THEN seen
                      WHEN a.is_over OR a.last_at < seen_at - quiet
                      THEN seen ELSE a.count + seen END,
         first_at = CASE WHEN a.is_over OR a.last_at < seen_at - quiet
                         THEN seen_at ELSE a.first_at END,
         last_at = seen_at, resolved_at = NULL, is_over = false,
         round = CASE WHEN a.is_over OR a.last_at < seen_at - quiet
                      THEN a.round + 1 ELSE a.round END,
         round_at = CASE WHEN a.is_over OR a.last_at < seen_at - quiet
                         THEN clock_timestamp() ELSE a.round_at END
   WHERE a.last_at < seen_at
         -- A state is not written down again and again.
     AND (NOT does_last OR seen > 0 OR a.resolved_at IS NOT NULL
          OR a.last_at < seen_at - interval '1 min');
END $$;

-- A state has ended, as far as this host can tell: one that another host saw
-- last, a short time ago, goes on. It counts as over when it stays away; see
-- end_alarms.
CREATE FUNCTION postbatch.resolve_alarm(ended_cause text, host text)
  RETURNS void LANGUAGE sql
  AS $$
  UPDATE postbatch.alarm SET resolved_at = clock_timestamp()
   WHERE cause = ended_cause AND lasts AND resolved_at IS NULL
     AND (resolve_alarm.host IS NULL OR params ->> 'host' IS NULL
          OR params ->> 'host' = resolve_alarm.host
          OR last_at < now() - interval '15 min')
$$;

-------------------------------------------------------------------------------
-- Looking

-- Since when the oldest event waits to be routed, and the oldest letter that
-- is due to be sent, in the hands of a worker or not; NULL: none does. A few
-- index probes.
CREATE FUNCTION postbatch.oldest_waiting(OUT event_at timestamptz,
                                         OUT letter_at timestamptz)
  LANGUAGE sql STABLE
  AS $$
  SELECT (SELECT min(created_at)
            FROM (SELECT e.created_at
                    FROM (SELECT CASE phase WHEN 1 THEN pos_xid
                                   WHEN 2 THEN pg_snapshot_xmax(snap_cur)
                                   ELSE pg_snapshot_xmax(snap_last) END AS xid,
                                 CASE phase WHEN 1 THEN pos_id
                                   ELSE -1 END AS id
                            FROM postbatch.route) AS pos
                   CROSS JOIN LATERAL (
                         SELECT created_at FROM postbatch.event
                          WHERE (xid, id) > (pos.xid, pos.id)
                          ORDER BY xid, id LIMIT 1) AS e
                  UNION ALL
                  SELECT e.created_at
                    FROM postbatch.route AS r
                   CROSS JOIN LATERAL pg_snapshot_xip(
                         CASE r.phase WHEN 0 THEN r.snap_last
                                      ELSE r.snap_cur END) AS x
                   CROSS JOIN LATERAL (
                         SELECT created_at FROM postbatch.event
                          WHERE xid = x
                            AND (r.phase <> 0
                                 OR (xid, id) > (r.pos_xid, r.pos_id))
                          ORDER BY xid, id LIMIT 1) AS e) AS first),
         (SELECT min(b.due_at)
            FROM unnest('{1,2,3}'::smallint[]) AS u (urgency)
           CROSS JOIN LATERAL (
                 SELECT due_at FROM postbatch.batch
                  WHERE urgency = u.urgency AND due_at <= now()
                  ORDER BY due_at, id LIMIT 1) AS b)
$$;

-- Events that were set aside since the snapshot before, by cause.
CREATE FUNCTION postbatch.raise_quarantined(before pg_snapshot,
                                            upto pg_snapshot, quiet interval)
  RETURNS void LANGUAGE plpgsql
  AS $$
DECLARE
  g record;
BEGIN
  FOR g IN
    WITH fresh AS (
      SELECT q.event_id, q.type, q.stage, q.reason
        FROM pg_snapshot_xip(before) AS x
       CROSS JOIN LATERAL (SELECT * FROM postbatch.quarantine
                            WHERE xid = x) AS q
       WHERE pg_visible_in_snapshot(q.xid, upto)
      UNION ALL
      SELECT event_id, type, stage, reason FROM postbatch.quarantine
       WHERE xid >= pg_snapshot_xmax(before) AND xid < pg_snapshot_xmax(upto)
         AND pg_visible_in_snapshot(xid, upto)
    ),
    told AS (  -- first by the words as they are, so that few are looked at
      SELECT type, stage, reason, count(*) AS n,
             min(event_id) AS event_id, max(event_id) AS last_id
        FROM fresh GROUP BY type, stage, reason
    ),
    grouped AS (
      SELECT type, stage, words, sum(n)::bigint AS n, min(reason) AS reason,
             min(event_id) AS event_id, max(last_id) AS last_id,
             bool_or(is_fault) AS is_fault,
             row_number() OVER (ORDER BY sum(n) DESC, type, stage, words)
               > 500 AS is_rest
        FROM (SELECT told.*, t.fault IS NOT NULL AS is_fault,
                     CASE WHEN t.fault IS NULL
                          THEN postbatch.alarm_reason(told.reason)
                          ELSE '' END AS words
                FROM told
                LEFT JOIN postbatch.event_type AS t
                  ON t.name = told.type AND t.fault = told.reason) AS x
       GROUP BY type, stage, words
    )
    SELECT * FROM grouped WHERE NOT is_rest
    UNION ALL
    SELECT '*', '*', 'many more causes', sum(n)::bigint, min(reason),
           min(event_id), max(last_id), false, true
      FROM grouped WHERE is_rest HAVING count(*) > 0
  LOOP
    IF g.is_fault THEN  -- what is wrong with the type is the cause
      PERFORM postbatch.raise_fault(g.type, g.reason, g.n, quiet);
    ELSE
      PERFORM postbatch.raise_alarm(
        concat_ws('/', 'quarantine', g.type, g.stage, left(md5(g.words), 12)),
        'QuarantinedEvent', 'error', g.stage, g.type,
        format('%s: events are set aside: %s', g.type, g.words), NULL,
        postbatch.alarm_file(g.reason),
        jsonb_build_object('type', g.type, 'stage', g.stage,
          'reason', left(g.reason, 1000), 'event_id', g.event_id,
          'last_event_id', g.last_id,
          'see', 'postbatch quarantine list; after the fix: postbatch'
                 ' quarantine release'),
        false, g.n, false, clock_timestamp(), quiet);
    END IF;
  END LOOP;
END $$;

-- A type whose files cannot be used; seen counts its events set aside.
CREATE FUNCTION postbatch.raise_fault(type text, fault text, seen bigint,
                                      quiet interval)
  RETURNS void LANGUAGE sql
  AS $$
  SELECT postbatch.raise_alarm(
    'fault/' || type, 'TypeFault', 'error', 'templates', type,
    format('%s: events of this type cannot be mailed: %s', type,
           left(coalesce(postbatch.alarm_file(fault)
                         || substring(fault from '^[^ ":]+(?::[0-9]+)?(:.*)'),
                         fault), 600)),
    format('%s: events of this type can be mailed again', type),
    postbatch.alarm_file(fault),
    jsonb_build_object('type', type, 'fault', left(fault, 2000),
      'see', 'mend the file and restart; then: postbatch quarantine release'),
    true, seen, false, clock_timestamp(), quiet)
$$;

-- Types that the templates have and that cannot be used.
CREATE FUNCTION postbatch.raise_faults(quiet interval)
  RETURNS void LANGUAGE plpgsql
  AS $$
DECLARE
  gone CONSTANT text := 'no event type of this name:%';  -- as sync_types says
BEGIN
  PERFORM postbatch.raise_fault(t.name, t.fault, 0, quiet)
     FROM postbatch.event_type AS t
    WHERE t.mailable AND t.fault IS NOT NULL AND t.fault NOT LIKE gone;
  PERFORM postbatch.resolve_alarm(a.cause, NULL)
     FROM postbatch.alarm AS a
    WHERE a.kind = 'TypeFault' AND NOT a.is_over AND a.resolved_at IS NULL
      AND NOT EXISTS (SELECT FROM postbatch.event_type AS t
                       WHERE t.name = a.action AND t.fault IS NOT NULL
                         AND t.fault NOT LIKE gone);
END $$;

-- Payload keys that no contract lists. The counts are those of the table, so
-- that looking twice at the same row changes nothing.
CREATE FUNCTION postbatch.raise_drift(since timestamptz, quiet interval)
  RETURNS void LANGUAGE plpgsql
  AS $$
BEGIN
  PERFORM postbatch.raise_alarm(
    concat_ws('/', 'drift', d.type, d.key), 'UnlistedKey', 'warning',
    'contract', d.type,
    format('%s: payload key "%s" is in no contract', d.type, d.key), NULL,
    NULL,
    jsonb_build_object('type', d.type, 'keys', jsonb_build_array(d.key),
      'event_id', d.first_event_id, 'events', d.events, 'mailed', true,
      'see', 'add the key to the contract of the type, or mend who emits it'),
    false, d.events, true, d.last_at, quiet)
    FROM postbatch.drift AS d
   WHERE d.last_at >= since;
END $$;

-- Events that an importer knows it has missed, where there is one.
CREATE FUNCTION postbatch.raise_gaps(since timestamptz, quiet interval)
  RETURNS void LANGUAGE plpgsql
  AS $$
BEGIN
  IF to_regclass('postbatch.intake_gap') IS NULL THEN
    RETURN;
  END IF;
  EXECUTE $gaps$
    SELECT postbatch.raise_alarm(
      'intake/' || g.source, 'SyncLost', 'error', 'intake', g.source,
      format('%s: events were lost before they could be taken in', g.source),
      NULL, NULL,
      jsonb_build_object('source', g.source, 'from', g.from_nr, 'to', g.to_nr,
        'reason', left(g.reason, 1000), 'gaps', g.n),
      false, g.n, true, g.at, $2)
      FROM (SELECT DISTINCT source FROM postbatch.intake_gap
             WHERE at >= $1) AS s
     CROSS JOIN LATERAL (
           SELECT source, from_nr, to_nr, at, reason, count(*) OVER () AS n
             FROM postbatch.intake_gap
            WHERE source = s.source
            ORDER BY at DESC, from_nr DESC LIMIT 1) AS g
    $gaps$ USING since, quiet;
END $$;

-- Types that an importer met and that no contract is called after.
CREATE FUNCTION postbatch.raise_unknown(since timestamptz, quiet interval)
  RETURNS void LANGUAGE plpgsql
  AS $$
BEGIN
  IF to_regclass('postbatch.intake_unknown') IS NULL THEN
    RETURN;
  END IF;
  EXECUTE $unknown$
    SELECT postbatch.raise_alarm(
      concat_ws('/', 'unknown', u.source, u.type), 'UnknownType', 'warning',
      'intake', u.type,
      format('%s: type %s has no contract', u.source, u.type),
      NULL, NULL,
      jsonb_build_object('source', u.source, 'type', u.type,
        'event_id', u.first_event_id, 'events', u.events,
        'see', 'add a contract of this name to the templates'),
      false, u.events, true, u.last_at, $2)
      FROM postbatch.intake_unknown AS u
     WHERE u.last_at >= $1 $unknown$ USING since, quiet;
END $$;

-- What waits longer than it should; most NULL: nobody wants to know.
CREATE FUNCTION postbatch.raise_waiting(most interval, quiet interval)
  RETURNS void LANGUAGE plpgsql
  AS $$
DECLARE
  w record;
BEGIN
  FOR w IN
    SELECT x.*
      FROM postbatch.oldest_waiting() AS o
     CROSS JOIN LATERAL (VALUES
           ('waiting/events', 'EventsWaiting', 'route', o.event_at,
            'events wait too long to be routed',
            'no event waits too long any more'),
           ('waiting/letters', 'LettersWaiting', 'send', o.letter_at,
            'letters wait too long to be sent',
            'no letter waits too long any more')
           ) AS x (cause, kind, action, oldest_at, message, over_message)
  LOOP
    IF w.oldest_at < now() - most THEN
      PERFORM postbatch.raise_alarm(
        w.cause, w.kind, 'error', 'queue', w.action, w.message,
        w.over_message, NULL,
        jsonb_build_object('oldest_at', w.oldest_at, 'oldest_s',
          date_part('epoch', now() - w.oldest_at)::bigint,
          'limit_s', date_part('epoch', most)::bigint,
          'see', 'postbatch stats'),
        true, 0, false, clock_timestamp(), quiet);
    ELSE
      PERFORM postbatch.resolve_alarm(w.cause, NULL);
    END IF;
  END LOOP;
END $$;

-- What was raised and has ended, or goes on.
CREATE FUNCTION postbatch.end_alarms(quiet interval, settle interval,
                                     repeat interval)
  RETURNS void LANGUAGE sql
  AS $$
  -- States that stayed away, which is told once their beginning was.
  UPDATE postbatch.alarm
     SET is_over = true, round_at = clock_timestamp(),
         round = round + (over_message IS NOT NULL)::int
   WHERE lasts AND NOT is_over AND resolved_at < now() - settle
     AND reported_at >= round_at;
  -- What has not happened for long.
  UPDATE postbatch.alarm
     SET is_over = true, resolved_at = coalesce(resolved_at, last_at)
   WHERE NOT is_over
     AND last_at < now() - CASE WHEN lasts
                                THEN greatest(quiet, interval '15 min')
                                ELSE quiet END;
  UPDATE postbatch.alarm
     SET round = round + 1, round_at = clock_timestamp()
   WHERE NOT is_over AND resolved_at IS NULL
     AND round_at < now() - repeat AND last_at > round_at;
  DELETE FROM postbatch.alarm
   WHERE is_over AND last_at < now() - interval '90 days';
$$;

-- Looks for all of it, if nobody has done so within the period. See
-- queries/alarm_look.sql. Each statement in here has a snapshot of its own,
-- the lock on the row comes first.
CREATE FUNCTION postbatch.look_for_alarms(period interval, quiet interval,
    settle interval, repeat interval, waiting interval)
  RETURNS boolean LANGUAGE plpgsql
  AS $$
DECLARE
  here   postbatch.alarm_look;
  upto   pg_snapshot;
  since  timestamptz;
BEGIN
  SELECT * INTO here FROM postbatch.alarm_look
   WHERE looked_at <= clock_timestamp() - period
     FOR UPDATE SKIP LOCKED;
  IF NOT FOUND THEN
    RETURN false;
  END IF;
  upto := pg_current_snapshot();
  -- After a restore the stored one may be from another cluster's future.
  IF pg_snapshot_xmax(here.snap) <= pg_snapshot_xmax(upto) THEN
    PERFORM postbatch.raise_quarantined(here.snap, upto, quiet);
  END IF;
  -- A time that was written may become visible as late as its statement may
  -- take; seeing it twice does no harm.
  since := here.looked_at - interval '2 min';
  PERFORM postbatch.raise_drift(since, quiet);
  PERFORM postbatch.raise_gaps(since, quiet);
  PERFORM postbatch.raise_unknown(since, quiet);
  PERFORM postbatch.raise_faults(quiet);
  PERFORM postbatch.raise_waiting(waiting, quiet);
  PERFORM postbatch.end_alarms(quiet, settle, repeat);
  UPDATE postbatch.alarm_look SET snap = upto, looked_at = clock_timestamp();
  RETURN true;
END $$;

-------------------------------------------------------------------------------
-- Reporting

-- Takes what this backend was not told of, for as long as the lease; see
-- queries/alarm_claim.sql. Of more than per_minute, the rest becomes one
-- report.
CREATE FUNCTION postbatch.claim_alarms(backend text, most int, per_minute int,
                                       lease interval)
  RETURNS TABLE (claim bigint, cause text, kind text, severity text,
                 component text, action text, message text, file text,
                 params text, count bigint, first_at timestamptz,
                 last_at timestamptz, is_over boolean, tries int)
  LANGUAGE plpgsql
  AS $$
#variable_conflict use_column
DECLARE
  room    int;
  due     text[];
  sum_it  bigint;
  singles int;
BEGIN
  -- Who finds it locked comes again soon.
  PERFORM FROM postbatch.alarm_look FOR UPDATE SKIP LOCKED;
  IF NOT FOUND THEN
    RETURN;
  END IF;
  SELECT per_minute - count(DISTINCT r.claim) INTO room
    FROM postbatch.alarm_report AS r
   WHERE r.backend = claim_alarms.backend
     AND r.tried_at > clock_timestamp() - interval '1 min';
  SELECT array_agg(x.cause) INTO due
    FROM (SELECT a.cause
            FROM postbatch.alarm AS a
            LEFT JOIN postbatch.alarm_report AS r
              ON r.cause = a.cause AND r.backend = claim_alarms.backend
           WHERE a.round > coalesce(r.told_round, 0)
             AND coalesce(r.due_at, '-infinity') <= clock_timestamp()
             AND a.round_at > now() - interval '7 days'
           ORDER BY a.round_at, a.cause LIMIT 1000) AS x;
  IF room <= 0 OR due IS NULL THEN
    RETURN;
  END IF;
  singles := least(most, CASE WHEN cardinality(due) <= room
                              THEN cardinality(due) ELSE room - 1 END);
  IF cardinality(due) <= room OR room > most THEN
    due := due[1:singles];  -- nothing to sum up, or not yet
  END IF;
  sum_it := nextval('postbatch.alarm_claim_seq');
  RETURN QUERY
  WITH claimed AS (
    INSERT INTO postbatch.alarm_report AS r
           (cause, backend, claim, claimed_round, tries, tried_at, due_at)
    SELECT a.cause, claim_alarms.backend,
           CASE WHEN d.nth > singles THEN sum_it
                ELSE nextval('postbatch.alarm_claim_seq') END,
           a.round, 1, clock_timestamp(), clock_timestamp() + lease
      FROM unnest(due) WITH ORDINALITY AS d (cause, nth)
      JOIN postbatch.alarm AS a ON a.cause = d.cause
    ON CONFLICT (cause, backend) DO UPDATE
       SET claim = excluded.claim, claimed_round = excluded.claimed_round,
           tries = CASE WHEN r.claimed_round = excluded.claimed_round
                        THEN r.tries + 1 ELSE 1 END,
           tried_at = excluded.tried_at, due_at = excluded.due_at
    RETURNING r.*
  )
  SELECT c.claim, a.cause, a.kind, a.severity, a.component, a.action,
         CASE WHEN a.is_over THEN coalesce(a.over_message, a.message)
              ELSE a.message END,
         a.file, a.params::text, greatest(a.count, 1), a.first_at, a.last_at,
         a.is_over AND a.over_message IS NOT NULL, c.tries
    FROM claimed AS c
    JOIN postbatch.alarm AS a ON a.cause = c.cause
   WHERE c.claim <> sum_it
  UNION ALL
  SELECT sum_it, 'summary', 'ManyCauses', 'error', 'report', 'summary',
         'more is wrong than is reported one by one: the rest of it', NULL,
         jsonb_build_object('causes', count(*),
           'some_of_them', (array_agg(jsonb_build_object('kind', a.kind,
              'message', a.message, 'count', a.count)
              ORDER BY a.round_at, a.cause))[1:100],
           'see', 'SELECT * FROM postbatch.alarm WHERE NOT is_over')::text,
         sum(a.count)::bigint, min(a.first_at), max(a.last_at), false,
         max(c.tries)
    FROM claimed AS c
    JOIN postbatch.alarm AS a ON a.cause = c.cause
   WHERE c.claim = sum_it
  HAVING count(*) > 0;
END $$;

-- What became of a claim: it is told, or to be tried again after a while.
CREATE FUNCTION postbatch.settle_claim(settled bigint, again interval)
  RETURNS void LANGUAGE plpgsql
  AS $$
BEGIN
  PERFORM FROM postbatch.alarm_look FOR UPDATE;  -- in the order of a look
  UPDATE postbatch.alarm_report
     SET told_round = CASE WHEN again IS NULL THEN claimed_round
                           ELSE told_round END,
         due_at = CASE WHEN again IS NULL THEN '-infinity'
                       ELSE clock_timestamp() + again END
   WHERE claim = settled;
  UPDATE postbatch.alarm AS a SET reported_at = clock_timestamp()
    FROM postbatch.alarm_report AS r
   WHERE r.claim = settled AND a.cause = r.cause AND again IS NULL;
END $$;

SELECT postbatch.grant_rights();
