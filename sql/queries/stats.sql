-- stats - the state of everything, in one row. For people and for monitoring.
-- The totals read the whole ledger, up to a month of rows: where that is much,
-- ask seldom.
--
-- Parameters:
--   $1 int  count waiting events up to this many (10000); beyond, their
--           number is estimated from the event ids
-- Result, one row; ages in seconds, NULL where nothing waits:
--   waiting_events bigint, waiting_events_exact boolean, oldest_event_s,
--   waiting_batches, waiting_letters bigint   due and not leased
--   oldest_letter_s                           since they were due
--   leased_batches, leased_letters bigint     in the hands of workers
--   later_batches, later_letters bigint       to be tried again later
--   held_letters bigint                       waiting for their digest
--   fanouts bigint                            events not fanned out yet
--   quarantined, drifting, suppressed bigint  open now
--   faulty_types text                         names, or ''
--   workers bigint                            seen within 30 s
--   sent_1m bigint                            in the last minute
--   sent_1h, deferred_1h, failed_1h, unsure_1h, skipped_1h bigint
--   sent_all, deferred_all, failed_all, unsure_all, skipped_all bigint
--                                             as far back as the ledger goes
--   horizon_s                                 age of the oldest snapshot that
--                                             anybody holds on this database
WITH route AS MATERIALIZED (SELECT * FROM postbatch.route),
fresh AS MATERIALIZED (
  -- What the router would read next, from its position on.
  SELECT e.id, e.created_at
    FROM (SELECT CASE phase WHEN 1 THEN pos_xid WHEN 2
                      THEN pg_snapshot_xmax(snap_cur)
                      ELSE pg_snapshot_xmax(snap_last) END AS xid,
                 CASE phase WHEN 1 THEN pos_id ELSE -1 END AS id
            FROM route) AS pos
   CROSS JOIN LATERAL (
         SELECT id, created_at FROM postbatch.event
          WHERE (xid, id) > (pos.xid, pos.id)
          ORDER BY xid, id LIMIT $1::int) AS e
),
late AS MATERIALIZED (
  SELECT e.id, e.created_at
    FROM route
   CROSS JOIN LATERAL pg_snapshot_xip(CASE phase WHEN 0 THEN snap_last
                                           ELSE snap_cur END) AS x
   CROSS JOIN LATERAL (
         SELECT id, created_at FROM postbatch.event
          WHERE xid = x AND (route.phase <> 0
                             OR (xid, id) > (route.pos_xid, route.pos_id))
          ORDER BY xid, id LIMIT $1::int) AS e
   LIMIT $1::int
),
event AS (
  SELECT count(*) AS n, min(created_at) AS oldest
    FROM (SELECT * FROM fresh UNION ALL SELECT * FROM late) AS e
),
batch AS (
  SELECT count(*) FILTER (WHERE is_due AND NOT is_leased) AS waiting,
         sum(n) FILTER (WHERE is_due AND NOT is_leased) AS waiting_n,
         min(due_at) FILTER (WHERE is_due AND NOT is_leased) AS oldest,
         count(*) FILTER (WHERE is_leased) AS leased,
         sum(n) FILTER (WHERE is_leased) AS leased_n,
         count(*) FILTER (WHERE NOT is_due) AS later,
         sum(n) FILTER (WHERE NOT is_due) AS later_n
    FROM (SELECT n, due_at, due_at <= now() AS is_due,
                 coalesce(lease_until >= now(), false) AS is_leased
            FROM postbatch.batch) AS b
),
hour AS (
  SELECT count(*) FILTER (WHERE verdict = 1
                            AND at >= now() - interval '1 min') AS sent_1m,
         count(*) FILTER (WHERE verdict = 1) AS sent,
         count(*) FILTER (WHERE verdict = 2) AS deferred,
         count(*) FILTER (WHERE verdict = 3) AS failed,
         count(*) FILTER (WHERE verdict = 4) AS unsure,
         count(*) FILTER (WHERE verdict = 5) AS skipped
    FROM postbatch.ledger
   WHERE at >= now() - interval '1 hour'
),
ever AS (
  SELECT count(*) FILTER (WHERE verdict = 1) AS sent,
         count(*) FILTER (WHERE verdict = 2) AS deferred,
         count(*) FILTER (WHERE verdict = 3) AS failed,
         count(*) FILTER (WHERE verdict = 4) AS unsure,
         count(*) FILTER (WHERE verdict = 5) AS skipped
    FROM postbatch.ledger
)
SELECT CASE WHEN event.n < $1::int THEN event.n
            ELSE greatest(event.n, s.last_value - (route.top_id >> 4))
       END AS waiting_events,
       event.n < $1::int AS waiting_events_exact,
       date_part('epoch', now() - event.oldest) AS oldest_event_s,
       batch.waiting AS waiting_batches,
       coalesce(batch.waiting_n, 0) AS waiting_letters,
       date_part('epoch', now() - batch.oldest) AS oldest_letter_s,
       batch.leased AS leased_batches,
       coalesce(batch.leased_n, 0) AS leased_letters,
       batch.later AS later_batches,
       coalesce(batch.later_n, 0) AS later_letters,
       (SELECT coalesce(sum(cardinality(recipient_ids)), 0)
          FROM postbatch.held)::bigint AS held_letters,
       (SELECT count(*) FROM postbatch.fanout WHERE NOT done) AS fanouts,
       (SELECT count(*) FROM postbatch.quarantine
         WHERE released_at IS NULL) AS quarantined,
       (SELECT count(*) FROM postbatch.drift) AS drifting,
       (SELECT count(*) FROM postbatch.suppression
         WHERE until IS NULL OR until > now()) AS suppressed,
       (SELECT coalesce(string_agg(name, ', ' ORDER BY name), '')
          FROM postbatch.event_type WHERE fault IS NOT NULL) AS faulty_types,
       (SELECT count(*) FROM postbatch.worker
         WHERE seen_at > now() - interval '30 s') AS workers,
       hour.sent_1m, hour.sent AS sent_1h, hour.deferred AS deferred_1h,
       hour.failed AS failed_1h, hour.unsure AS unsure_1h,
       hour.skipped AS skipped_1h,
       ever.sent AS sent_all, ever.deferred AS deferred_all,
       ever.failed AS failed_all, ever.unsure AS unsure_all,
       ever.skipped AS skipped_all,
       (SELECT max(date_part('epoch', now() - xact_start))
          FROM pg_stat_activity
         WHERE backend_xmin IS NOT NULL AND datname = current_database()
           AND pid <> pg_backend_pid()) AS horizon_s
  FROM route, event, batch, hour, ever, postbatch.event_seq AS s
