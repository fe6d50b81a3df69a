-- 0009 - the ledger has a row a batch for the letters that were plainly sent.
--
-- Nearly all letters are: sent at their try, by the code that the others of
-- their batch had, with no words to keep. What there is to say of them already
-- stands as arrays in the batch; settle.sql moves these over as they are. Only
-- what has something of its own to say has a row of its own.
--
--   ledger_letter  a row a letter and attempt: what ledger was until now
--   ledger_batch   a row a batch, for its letters that were plainly sent
--   ledger         a view: a row a letter and attempt, of both
--
-- The leaves of ledger_letter keep their names, ledger_0 to ledger_31: a
-- worker of the version before writes into them by name and goes on settling.

ALTER TABLE postbatch.ledger RENAME TO ledger_letter;
ALTER INDEX postbatch.ledger_at_event RENAME TO ledger_letter_at_event;

CREATE TABLE postbatch.ledger_batch (
  ring          smallint    NOT NULL DEFAULT postbatch.ring(now(), 32),
  at            timestamptz NOT NULL DEFAULT now(),
  batch_id      bigint      NOT NULL,  -- the origin batch
  attempt       smallint    NOT NULL DEFAULT 0,
  code          smallint,              -- SMTP reply code, the same for all
  n             int         NOT NULL CHECK (n >= 1),  -- letters, without apart
  recipient_ids bigint[]    NOT NULL,  -- these four as they were in the batch
  event_ids     bigint[]    NOT NULL,
  letters       smallint[],
  roles         smallint[]  NOT NULL,
  apart         int[]       -- places, from 1, of the pairs that are not meant
) PARTITION BY LIST (ring);
ALTER TABLE postbatch.ledger_batch
  ALTER recipient_ids SET STORAGE EXTERNAL,
  ALTER event_ids     SET STORAGE EXTERNAL,
  ALTER letters       SET STORAGE EXTERNAL,
  ALTER roles         SET STORAGE EXTERNAL;
CREATE INDEX ledger_batch_at ON postbatch.ledger_batch USING brin (at)
  WITH (autosummarize = on);
DO $$
BEGIN
  FOR i IN 0 .. 31 LOOP
    EXECUTE format('CREATE TABLE postbatch.ledger_batch_%s PARTITION OF'
      ' postbatch.ledger_batch FOR VALUES IN (%s)'
      ' WITH (autovacuum_enabled = off)', i, i);
  END LOOP;
END $$;

COMMENT ON TABLE postbatch.ledger_letter IS
  'What became of letters, a row a letter and attempt: of those that were not'
  ' plainly sent. Read the view ledger, which has all.';
COMMENT ON TABLE postbatch.ledger_batch IS
  'Letters that were plainly sent, a row a batch. Read the view ledger.';
COMMENT ON COLUMN postbatch.ledger_batch.apart IS
  'Places (from 1) in the arrays that do not count here: these letters have'
  ' rows of their own in ledger_letter, or none';

-- The letters of ledger_batch, a row each, and the arrays they stand in: ask
-- for what these contain, and no others are taken apart.
CREATE VIEW postbatch.ledger_shared AS
  SELECT b.ring, b.at, b.batch_id, l.recipient_id, l.event_id, l.more_events,
         1::smallint AS verdict, b.code, NULL::text AS enhanced, l.role,
         b.attempt, NULL::text AS reply, b.recipient_ids, b.event_ids
    FROM postbatch.ledger_batch AS b
   CROSS JOIN LATERAL (
         SELECT p.recipient_id, p.event_id, NULL::bigint[] AS more_events,
                p.role
           FROM unnest(b.recipient_ids, b.event_ids, b.roles)
                WITH ORDINALITY AS p (recipient_id, event_id, role, place)
          WHERE b.letters IS NULL
            AND (b.apart IS NULL OR p.place <> ALL (b.apart))
         UNION ALL
         SELECT g.recipient_id, g.event_ids[1],
                nullif(g.event_ids[2:], '{}'), g.roles[1]
           FROM (SELECT min(p.recipient_id) AS recipient_id,
                        array_agg(p.event_id ORDER BY p.place) AS event_ids,
                        array_agg(p.role ORDER BY p.place) AS roles
                   FROM unnest(b.recipient_ids, b.event_ids, b.letters,
                               b.roles) WITH ORDINALITY
                        AS p (recipient_id, event_id, letter, role, place)
                  WHERE b.letters IS NOT NULL
                    AND (b.apart IS NULL OR p.place <> ALL (b.apart))
                  GROUP BY p.letter) AS g) AS l;

CREATE VIEW postbatch.ledger AS
  SELECT ring, at, batch_id, recipient_id, event_id, more_events, verdict,
         code, enhanced, role, attempt, reply
    FROM postbatch.ledger_letter
  UNION ALL
  SELECT ring, at, batch_id, recipient_id, event_id, more_events, verdict,
         code, enhanced, role, attempt, reply
    FROM postbatch.ledger_shared;
COMMENT ON VIEW postbatch.ledger IS
  'What became of every letter, a row a letter and attempt. To write, use'
  ' ledger_letter.';
COMMENT ON VIEW postbatch.ledger_shared IS
  'The letters of ledger_batch, a row each. Read the view ledger.';
COMMENT ON COLUMN postbatch.ledger.verdict IS
  '1 sent, 2 deferred, 3 failed, 4 unsure, 5 skipped, 6 resent';

-- Whoever was allowed to read it still is.
DO $$
DECLARE
  reader text;
BEGIN
  FOR reader IN
    SELECT CASE a.grantee WHEN 0 THEN 'PUBLIC'
                ELSE quote_ident(pg_get_userbyid(a.grantee)) END
      FROM pg_class AS c, aclexplode(c.relacl) AS a
     WHERE c.oid = 'postbatch.ledger_letter'::regclass
       AND a.privilege_type = 'SELECT' AND a.grantee <> c.relowner
  LOOP
    EXECUTE format('GRANT SELECT ON postbatch.ledger TO %s', reader);
  END LOOP;
END $$;

-- What the ledger has of some events or recipients, since a time; what is NULL
-- does not narrow. Like the view with these conditions, but arrays in which
-- nothing is looked for are not taken apart.
CREATE FUNCTION postbatch.ledger_about(events bigint[], recipients bigint[],
                                       since timestamptz)
  RETURNS SETOF postbatch.ledger LANGUAGE sql STABLE
  AS $$
  SELECT l.ring, l.at, l.batch_id, l.recipient_id, l.event_id, l.more_events,
         l.verdict, l.code, l.enhanced, l.role, l.attempt, l.reply
    FROM postbatch.ledger_letter AS l
   WHERE l.at >= coalesce(since, '-infinity')
     AND (events IS NULL OR l.event_id = ANY (events)
          OR l.more_events && events)
     AND (recipients IS NULL OR l.recipient_id = ANY (recipients))
  UNION ALL
  SELECT l.ring, l.at, l.batch_id, l.recipient_id, l.event_id, l.more_events,
         l.verdict, l.code, l.enhanced, l.role, l.attempt, l.reply
    FROM postbatch.ledger_shared AS l
   WHERE l.at >= coalesce(since, '-infinity')
     AND (events IS NULL OR l.event_ids && events)
     AND (events IS NULL OR l.event_id = ANY (events)
          OR l.more_events && events)
     AND (recipients IS NULL OR l.recipient_ids && recipients)
     AND (recipients IS NULL OR l.recipient_id = ANY (recipients))
  $$;

-------------------------------------------------------------------------------
-- For stats

-- The youngest rows of the ledger, of both kinds: so many pages of the leaves
-- of today, and of those of yesterday in the first hour of a day, and of
-- ledger_batch rows for no more than so many letters (NULL: any number). Rows
-- are only ever appended, so the end of a leaf is what was written last. Costs
-- the same whatever the ledger holds. Where one kind does not reach back as
-- far as another, what the other has from before is left out, so that both
-- tell of the same time. is_whole: nothing of the last hour is missing.
CREATE FUNCTION postbatch.ledger_youngest(pages int, most_letters int)
  RETURNS TABLE (at timestamptz, verdict smallint, n int, is_batch boolean,
                 is_whole boolean, event_id bigint, event_ids bigint[],
                 letters smallint[], apart int[])
  LANGUAGE plpgsql STABLE
  AS $$
DECLARE
  leaf  text;
  day   smallint;
  first bigint;
  parts text[];
  size  CONSTANT int := current_setting('block_size')::int;
  one   CONSTANT text :=
    'SELECT %1$L AS leaf, at, verdict, 1 AS n, false AS is_batch,'
    ' %3$L::boolean AS is_whole, event_id, NULL::bigint[] AS event_ids,'
    ' NULL::smallint[] AS letters, NULL::int[] AS apart'
    ' FROM %1$s WHERE ctid >= %2$L::tid';
  many  CONSTANT text :=
    'SELECT %1$L, at, 1::smallint, n, true, %3$L::boolean AND NOT is_cut,'
    ' NULL::bigint, event_ids, letters, apart'
    ' FROM (SELECT *, bool_or(younger >= %4$L::bigint) OVER () AS is_cut'
    ' FROM (SELECT at, n, event_ids, letters, apart,'
    ' sum(n) OVER (ORDER BY ctid DESC) - n AS younger'
    ' FROM %1$s WHERE ctid >= %2$L::tid) AS b) AS b'
    ' WHERE younger < %4$L::bigint';
BEGIN
  FOR back IN 0 .. 1 LOOP
    day := postbatch.ring(now() - back * interval '1 hour', 32);
    EXIT WHEN back = 1 AND day = postbatch.ring(now(), 32);
    leaf := format('postbatch.ledger_%s', day);
    first := greatest(0, pg_relation_size(leaf::regclass) / size - pages);
    parts := parts || format(one, leaf, format('(%s,0)', first), first = 0);
    leaf := format('postbatch.ledger_batch_%s', day);
    first := greatest(0, pg_relation_size(leaf::regclass) / size - pages);
    parts := parts || format(many, leaf, format('(%s,0)', first), first = 0,
                             coalesce(most_letters, 2147483647));
  END LOOP;
  RETURN QUERY EXECUTE
    'WITH part AS MATERIALIZED (' || array_to_string(parts, ' UNION ALL ') ||
    '), edge AS (SELECT max(first) AS at FROM (SELECT min(at) AS first'
    ' FROM part WHERE NOT is_whole GROUP BY leaf) AS s)'
    ' SELECT p.at, p.verdict, p.n, p.is_batch, edge.at IS NULL, p.event_id,'
    ' p.event_ids, p.letters, p.apart FROM part AS p, edge'
    ' WHERE p.at >= coalesce(edge.at, ''-infinity'')';
END $$;

-- The same a row a letter, of not many more than so many pages of
-- ledger_letter hold.
CREATE OR REPLACE FUNCTION postbatch.ledger_tail(pages int)
  RETURNS TABLE (at timestamptz, event_id bigint, verdict smallint,
                 is_whole boolean)
  LANGUAGE sql STABLE
  AS $$
  SELECT y.at, e.event_id, y.verdict, y.is_whole
    FROM postbatch.ledger_youngest(pages, pages * 75) AS y
   CROSS JOIN LATERAL (
         SELECT y.event_id WHERE NOT y.is_batch
         UNION ALL
         -- Of each letter the first event: where the letter before ends.
         SELECT p.event_id
           FROM unnest(y.event_ids, y.letters) WITH ORDINALITY
                AS p (event_id, letter, place)
          WHERE y.is_batch
            AND (y.letters IS NULL
                 OR p.letter IS DISTINCT FROM y.letters[p.place - 1])
            AND (y.apart IS NULL OR p.place <> ALL (y.apart))
         ) AS e (event_id)
  $$;

-- About how many rows the view has, from PostgreSQL's own counts of rows; what
-- a row of a leaf of ledger_batch stands for is told by those of its last page.
CREATE FUNCTION postbatch.ledger_rows() RETURNS bigint
  LANGUAGE plpgsql STABLE
  AS $$
DECLARE
  total bigint := 0;
  mean  numeric;
  last  bigint;
  leaf  record;
BEGIN
  FOR leaf IN SELECT relid, relname, n_live_tup FROM pg_stat_user_tables
               WHERE schemaname = 'postbatch' AND n_live_tup > 0
                 AND relname ~ '^ledger_(batch_)?[0-9]+$' LOOP
    mean := 1;
    IF leaf.relname LIKE 'ledger\_batch\_%' THEN
      last := pg_relation_size(leaf.relid)
              / current_setting('block_size')::int - 1;
      EXECUTE format('SELECT avg(n) FROM postbatch.%I WHERE ctid >= %L::tid',
                     leaf.relname, format('(%s,0)', greatest(last, 0)))
         INTO mean;
    END IF;
    total := total + leaf.n_live_tup * coalesce(mean, 1);
  END LOOP;
  RETURN total;
END $$;

-------------------------------------------------------------------------------
-- Housekeeping

-- See queries/housekeeping.sql. Whether anything needs a leaf of events is
-- asked again under its lock: "resend" may have put letters about old events
-- into a batch after it was asked first. Whoever does so has read the leaf in
-- the same transaction, so the lock waits for its end, and what comes behind
-- the lock finds the events gone and says so.
CREATE OR REPLACE FUNCTION postbatch.housekeeping()
  RETURNS TABLE (what text, outcome text) LANGUAGE plpgsql
  AS $$
DECLARE
  day  smallint := postbatch.ring(now() + interval '1 day', 16);
  rows bigint;
BEGIN
  -- Events: the leaf of tomorrow holds those of fifteen days ago.
  what := format('event_%s', day);
  IF EXISTS (SELECT FROM postbatch.event AS e WHERE e.ring = day) THEN
    outcome := 'kept: ' || postbatch.needs_leaf(day);
    IF outcome IS NULL THEN
      -- What is in quarantine stays there, with its payload.
      UPDATE postbatch.quarantine AS q
         SET payload = e.payload
        FROM postbatch.event AS e
       WHERE e.ring = day AND e.id = q.event_id
         AND q.released_at IS NULL AND q.payload IS NULL;
      outcome := postbatch.empty_leaf(
        what, format('postbatch.needs_leaf(%s::smallint) IS NULL', day));
    END IF;
    RETURN NEXT;
  END IF;

  -- The ledger: the leaves of tomorrow hold what is 31 days old. At midnight,
  -- a worker whose clock is ahead writes into them before it is tomorrow here.
  FOREACH what IN ARRAY ARRAY['ledger_%s', 'ledger_batch_%s'] LOOP
    what := format(what, postbatch.ring(now() + interval '1 day', 32));
    outcome := postbatch.empty_leaf(
      what, format('NOT EXISTS (SELECT FROM postbatch.%I'
                   ' WHERE at > now() - interval ''15 days'')', what));
    IF outcome IS NOT NULL THEN
      RETURN NEXT;
    END IF;
  END LOOP;

  what := 'fanout';
  DELETE FROM postbatch.fanout
   WHERE done AND created_at < now() - interval '1 day';
  GET DIAGNOSTICS rows = ROW_COUNT;
  outcome := 'deleted: ' || rows;
  IF rows > 0 THEN RETURN NEXT; END IF;

  what := 'quarantine';
  DELETE FROM postbatch.quarantine
   WHERE released_at < now() - interval '90 days';
  GET DIAGNOSTICS rows = ROW_COUNT;
  outcome := 'deleted: ' || rows;
  IF rows > 0 THEN RETURN NEXT; END IF;

  what := 'suppression';
  DELETE FROM postbatch.suppression
   WHERE until < now() - interval '1 day';
  GET DIAGNOSTICS rows = ROW_COUNT;
  outcome := 'deleted: ' || rows;
  IF rows > 0 THEN RETURN NEXT; END IF;

  -- A worker that died long ago; its id is never used again.
  what := 'worker';
  DELETE FROM postbatch.worker
   WHERE seen_at < now() - interval '7 days';
  GET DIAGNOSTICS rows = ROW_COUNT;
  outcome := 'deleted: ' || rows;
  IF rows > 0 THEN RETURN NEXT; END IF;
END $$;

SELECT postbatch.grant_rights();
