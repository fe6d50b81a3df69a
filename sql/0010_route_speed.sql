-- 0010 - what the router asks of each event, made ready once per event type.

-- A bit for each role: that of role 0 to 61 is its own, the rest share one.
CREATE FUNCTION postbatch.role_mask(role_ids smallint[]) RETURNS bigint
  LANGUAGE sql IMMUTABLE PARALLEL SAFE
  AS $$ SELECT coalesce(bit_or(1::bigint << least(id, 62)), 0)
          FROM unnest(role_ids) AS id $$;

-- A byte for each role, in the contract's order; 255 and above are all one.
CREATE FUNCTION postbatch.role_order(role_ids smallint[]) RETURNS bytea
  LANGUAGE sql IMMUTABLE PARALLEL SAFE
  AS $$ SELECT coalesce(string_agg(set_byte('\x00', 0, least(id, 255)), ''
                                   ORDER BY nth), '')
          FROM unnest(role_ids) WITH ORDINALITY AS r (id, nth) $$;

-- What queries/route.sql carries with each pair, as one number: how long a
-- type gathers, in milliseconds, above 32 bits; how many events it puts into
-- one letter beyond the first, above one bit; 1 when it is logged.
CREATE FUNCTION postbatch.terms(window_ms int, gather_max int,
                                is_logged boolean)
  RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE
  AS $$ SELECT (window_ms::bigint << 32) | ((gather_max - 1)::bigint << 1)
               | is_logged::int::bigint $$;

-- For queries/role_part.sql. To look into an array costs 350 instructions to
-- find out that it does not hold a role, and 1,070 to find where it does.
ALTER TABLE postbatch.event_type
  ADD role_mask  bigint NOT NULL
      GENERATED ALWAYS AS (postbatch.role_mask(role_ids)) STORED,
  ADD role_order bytea  NOT NULL
      GENERATED ALWAYS AS (postbatch.role_order(role_ids)) STORED,
  ADD terms      bigint NOT NULL
      GENERATED ALWAYS AS (postbatch.terms(window_ms, gather_max,
                                           log_project IS NOT NULL)) STORED;

-- As it was, but for "xid = x": see queries/route.sql, of stragglers.
CREATE OR REPLACE FUNCTION postbatch.oldest_waiting(OUT event_at timestamptz,
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
                          WHERE xid >= x AND xid <= x
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

SELECT postbatch.grant_rights();
