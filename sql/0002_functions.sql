-- 0002 - the functions of Postbatch: for applications, for writers of roles,
-- and for the dispatcher itself.

-------------------------------------------------------------------------------
-- For applications
--
-- emit() is all that an application needs, and all it may do. It appends an
-- event in the transaction of the caller: what is rolled back sends no mail.
-- It takes whatever it is given, because a notification must never be the
-- reason that the application's own transaction fails; what no contract can
-- make sense of is set aside by the router, with its reason.

-- One event. urgency is 'urgent', 'normal' or 'bulk'; anything else means
-- that of the type. Gives the event's id.
CREATE FUNCTION postbatch.emit(type text, payload jsonb,
                               urgency text DEFAULT NULL) RETURNS bigint
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
  AS $$
DECLARE
  event_id bigint;
BEGIN
  INSERT INTO postbatch.event (type, payload, urgency)
  VALUES (coalesce(emit.type, ''), coalesce(emit.payload, 'null'),
          CASE emit.urgency WHEN 'urgent' THEN 1 WHEN 'normal' THEN 2
                            WHEN 'bulk' THEN 3 END)
  RETURNING id INTO event_id;
  RETURN event_id;
END $$;

-- The same for a payload that comes as text, as most drivers send it. Text
-- that is not JSON is kept as one JSON string, for the quarantine to show.
CREATE FUNCTION postbatch.emit(type text, payload text,
                               urgency text DEFAULT NULL) RETURNS bigint
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
  AS $$
DECLARE
  parsed jsonb;
BEGIN
  BEGIN
    parsed := emit.payload::jsonb;
  EXCEPTION WHEN data_exception OR program_limit_exceeded
              OR statement_too_complex THEN
    parsed := to_jsonb(emit.payload);
  END;
  RETURN postbatch.emit(emit.type, parsed, emit.urgency);
END $$;

-- Many events of one type. Gives their number.
CREATE FUNCTION postbatch.emit(type text, payloads jsonb[]) RETURNS bigint
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
  AS $$
DECLARE
  emitted bigint;
BEGIN
  INSERT INTO postbatch.event (type, payload)
  SELECT coalesce(emit.type, ''), coalesce(p, 'null')
    FROM unnest(emit.payloads) AS p;
  GET DIAGNOSTICS emitted = ROW_COUNT;
  RETURN emitted;
END $$;

-------------------------------------------------------------------------------
-- For writers of roles: conversions that give NULL where they would fail. A
-- role that raises an error stops at one event all events of its step.

-- A whole number of up to 18 digits.
CREATE FUNCTION postbatch.to_bigint(value text) RETURNS bigint
  LANGUAGE sql IMMUTABLE PARALLEL SAFE
  AS $$ SELECT CASE WHEN value ~ '^[+-]?[0-9]{1,18}$'
                    THEN value::bigint END $$;

-- The same of a JSON number; NULL for any other JSON value. Quicker.
CREATE FUNCTION postbatch.to_bigint(value jsonb) RETURNS bigint
  LANGUAGE sql IMMUTABLE PARALLEL SAFE
  AS $$ SELECT CASE WHEN value BETWEEN '-9000000000000000000'
                                   AND '9000000000000000000'
                    THEN value::bigint END $$;

-- 'true' and 'false', as JSON writes them.
CREATE FUNCTION postbatch.to_boolean(value text) RETURNS boolean
  LANGUAGE sql IMMUTABLE PARALLEL SAFE
  AS $$ SELECT CASE value WHEN 'true' THEN true WHEN 'false' THEN false END $$;

-- The elements of a JSON array; none for anything else.
CREATE FUNCTION postbatch.elements(value jsonb) RETURNS SETOF jsonb
  LANGUAGE sql IMMUTABLE PARALLEL SAFE
  AS $$ SELECT jsonb_array_elements(
          CASE jsonb_typeof(value) WHEN 'array' THEN value ELSE '[]' END) $$;

-- The same as text: {"logins": ["a", "b"]} gives a and b.
CREATE FUNCTION postbatch.elements_text(value jsonb) RETURNS SETOF text
  LANGUAGE sql IMMUTABLE PARALLEL SAFE
  AS $$ SELECT jsonb_array_elements_text(
          CASE jsonb_typeof(value) WHEN 'array' THEN value ELSE '[]' END) $$;

-- The elements of a JSON array that are whole numbers.
CREATE FUNCTION postbatch.elements_bigint(value jsonb) RETURNS SETOF bigint
  LANGUAGE sql IMMUTABLE PARALLEL SAFE
  AS $$ SELECT n FROM (SELECT postbatch.to_bigint(e) AS n
          FROM jsonb_array_elements_text(
            CASE jsonb_typeof(value) WHEN 'array' THEN value ELSE '[]' END)
            AS e) AS x WHERE n IS NOT NULL $$;

-------------------------------------------------------------------------------
-- For the dispatcher

-- Whether the payload of an event contains the scope of a preference.
CREATE FUNCTION postbatch.in_scope(event_id bigint, scope jsonb)
  RETURNS boolean LANGUAGE sql STABLE
  AS $$ SELECT EXISTS (SELECT FROM postbatch.event AS e
                        WHERE e.ring = (event_id & 15)::smallint
                          AND e.id = event_id AND e.payload @> scope) $$;

-- The list of contracts (its shape: queries/sync_types.sql) as rows.
CREATE FUNCTION postbatch.read_contracts(contracts jsonb)
  RETURNS TABLE (name text, mailable boolean, "grouping" text, gather_max int,
                 urgency smallint, originator_key text, required_keys text[],
                 frequency text, fault text, role_names text[],
                 role_frequencies text[])
  LANGUAGE sql STABLE
  AS $$
  SELECT c.name, coalesce(c.mailable, true), coalesce(c.grouping, 'each'),
         CASE c.grouping WHEN 'gather' THEN greatest(c.gather_max, 1)
                         ELSE 1 END,
         coalesce(c.urgency, 2)::smallint, c.originator,
         ARRAY(SELECT postbatch.elements_text(c.required)),
         coalesce(c.frequency, 'instant'), c.fault,
         ARRAY(SELECT r ->> 'name' FROM postbatch.elements(c.roles)
                 WITH ORDINALITY AS x (r, nth) ORDER BY nth),
         ARRAY(SELECT coalesce(r ->> 'frequency', c.frequency, 'instant')
                 FROM postbatch.elements(c.roles)
                 WITH ORDINALITY AS x (r, nth) ORDER BY nth)
    FROM jsonb_to_recordset(contracts) AS c (
         name text, mailable boolean, grouping text, gather_max int,
         urgency int, originator text, required jsonb, fault text,
         frequency text, roles jsonb)
$$;

-- Makes event_type, role and event_type_role say what the contracts say.
-- Types are never deleted, because old events name them: one that is gone
-- from the templates gets a fault.
CREATE FUNCTION postbatch.sync_types(contracts jsonb)
  RETURNS TABLE (role_id smallint, role_name text) LANGUAGE plpgsql
  AS $$
#variable_conflict use_column
DECLARE
  gone CONSTANT text := 'no event type of this name:'
                        ' its folder is gone from the templates';
BEGIN
  -- One at a time. Missing names are inserted by NOT EXISTS: ON CONFLICT
  -- would use up a number of the sequence at each start of a worker.
  LOCK TABLE postbatch.event_type, postbatch.role, postbatch.event_type_role
    IN SHARE ROW EXCLUSIVE MODE;

  INSERT INTO postbatch.role (name)
  SELECT DISTINCT n
    FROM postbatch.read_contracts(contracts) AS c, unnest(c.role_names) AS n
   WHERE NOT EXISTS (SELECT FROM postbatch.role AS r WHERE r.name = n);

  INSERT INTO postbatch.event_type (name, mailable)
  SELECT c.name, c.mailable FROM postbatch.read_contracts(contracts) AS c
   WHERE NOT EXISTS (SELECT FROM postbatch.event_type AS t
                      WHERE t.name = c.name);

  -- Unchanged rows are left alone: workers start often.
  UPDATE postbatch.event_type AS t
     SET (mailable, grouping, gather_max, urgency, originator_key,
          required_keys, frequency, fault, role_ids, role_names,
          role_frequencies)
       = (c.mailable, c.grouping, c.gather_max, c.urgency, c.originator_key,
          c.required_keys, c.frequency, c.fault, c.role_ids, c.role_names,
          c.role_frequencies)
    FROM (SELECT c.*, ARRAY(
                   SELECT r.id FROM unnest(c.role_names)
                     WITH ORDINALITY AS x (name, nth)
                     JOIN postbatch.role AS r ON r.name = x.name
                    ORDER BY nth) AS role_ids
            FROM postbatch.read_contracts(contracts) AS c) AS c
   WHERE t.name = c.name
     AND (t.mailable, t.grouping, t.gather_max, t.urgency, t.originator_key,
          t.required_keys, t.frequency, t.fault, t.role_ids, t.role_names,
          t.role_frequencies)
         IS DISTINCT FROM
         (c.mailable, c.grouping, c.gather_max, c.urgency, c.originator_key,
          c.required_keys, c.frequency, c.fault, c.role_ids, c.role_names,
          c.role_frequencies);

  UPDATE postbatch.event_type AS t SET fault = gone
   WHERE t.fault IS DISTINCT FROM gone
     AND NOT EXISTS (SELECT FROM postbatch.read_contracts(contracts) AS c
                      WHERE c.name = t.name);

  DELETE FROM postbatch.event_type_role AS x
   WHERE NOT EXISTS (
         SELECT FROM postbatch.event_type AS t
          WHERE t.id = x.type_id
            AND t.role_ids[x.position + 1] = x.role_id
            AND t.role_frequencies[x.position + 1] = x.frequency);
  INSERT INTO postbatch.event_type_role
  SELECT t.id, x.role_id, x.nth - 1, t.role_frequencies[x.nth]
    FROM postbatch.event_type AS t,
         unnest(t.role_ids) WITH ORDINALITY AS x (role_id, nth)
  ON CONFLICT DO NOTHING;

  RETURN QUERY SELECT r.id, r.name FROM postbatch.role AS r ORDER BY r.id;
END $$;

-- Empties one leaf if it holds anything. The caller has made sure that nobody
-- needs it; still_true is asked again under the lock. Gives what became of it,
-- NULL when there was nothing in it.
CREATE FUNCTION postbatch.empty_leaf(leaf text, still_true text DEFAULT 'true')
  RETURNS text LANGUAGE plpgsql
  AS $$
DECLARE
  is_true boolean;
BEGIN
  EXECUTE format('SELECT EXISTS (SELECT FROM postbatch.%I)', leaf)
     INTO is_true;
  IF NOT is_true THEN
    RETURN NULL;
  END IF;
  -- A dump or a long report may read it: then try again a minute later,
  -- rather than make everybody else wait behind us.
  PERFORM set_config('lock_timeout', '100ms', true);
  EXECUTE format('LOCK TABLE postbatch.%I IN ACCESS EXCLUSIVE MODE', leaf);
  EXECUTE 'SELECT ' || still_true INTO is_true;
  IF NOT is_true THEN
    RETURN 'kept: it came into use again';
  END IF;
  EXECUTE format('TRUNCATE postbatch.%I', leaf);
  RETURN 'emptied';
EXCEPTION WHEN lock_not_available THEN
  RETURN 'busy: somebody reads it';
END $$;

-- Whether all events of a leaf are routed: nothing in it is as young as the
-- oldest transaction that the router still has to look at.
CREATE FUNCTION postbatch.is_routed(ring smallint) RETURNS boolean
  LANGUAGE sql STABLE
  AS $$ SELECT NOT EXISTS (
          SELECT FROM postbatch.event AS e, postbatch.route AS r
           WHERE e.ring = is_routed.ring
             AND e.xid >= pg_snapshot_xmin(r.snap_last)) $$;

-- What still needs an event of a leaf, in words; NULL: nothing does.
CREATE FUNCTION postbatch.needs_leaf(ring smallint) RETURNS text
  LANGUAGE sql STABLE
  AS $$ SELECT CASE
    WHEN NOT postbatch.is_routed(ring)
    THEN 'events in it are not routed yet'
    WHEN EXISTS (SELECT FROM postbatch.fanout
                  WHERE NOT done AND event_id & 15 = needs_leaf.ring)
    THEN 'an event in it is not fanned out yet'
    WHEN EXISTS (SELECT FROM postbatch.batch AS b, unnest(b.event_ids) AS e
                  WHERE e & 15 = needs_leaf.ring)
    THEN 'letters about events in it are not sent yet'
    WHEN EXISTS (SELECT FROM postbatch.held AS h, unnest(h.event_ids) AS e
                  WHERE e & 15 = needs_leaf.ring)
    THEN 'letters about events in it wait for their digest'
    END $$;

-- See queries/housekeeping.sql.
CREATE FUNCTION postbatch.housekeeping()
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
        what, format('postbatch.is_routed(%s::smallint)', day));
    END IF;
    RETURN NEXT;
  END IF;

  -- The ledger: the leaf of tomorrow holds what is 31 days old.
  what := format('ledger_%s', postbatch.ring(now() + interval '1 day', 32));
  outcome := postbatch.empty_leaf(what);
  IF outcome IS NOT NULL THEN
    RETURN NEXT;
  END IF;

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
