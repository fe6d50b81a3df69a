-- stats - the state of everything, in one row. For people and for monitoring.
--
-- Its cost does not grow with the logs: of events that wait and of the ledger
-- no more is read than the parameters say.
--
-- Parameters:
--   $1 int  count waiting events up to this many (10000); beyond, their
--           number is estimated from the event ids
--   $2 int  pages of each kind of the ledger's rows to read, from their end
--           (400: about 30000 letters with rows of their own, and of the
--           others a million)
-- Result, one row; ages in seconds, NULL where nothing waits:
--   waiting_events bigint, waiting_events_exact boolean, oldest_event_s,
--   waiting_batches, waiting_letters bigint   due and not leased
--   oldest_letter_s                           since they were due
--   leased_batches, leased_letters bigint     in the hands of workers
--   later_batches, later_letters bigint       to be tried again later
--   held_letters bigint                       pairs that are not due yet
--   next_held_s                               until the next of them is due;
--                                             negative: late
--   fanouts bigint                            events not fanned out yet
--   quarantined, drifting, suppressed bigint  open now
--   quarantined_1h bigint                     set aside in the last hour
--   unlogged bigint                           events whose place in the
--                                             project log is not known, ever
--   faulty_types text                         names, or ''
--   workers, hosts bigint                     seen within 30 s
--   emitted bigint                            numbers given to events, ever:
--                                             grows by one with each
--   events_per_s                              over the last minute, or over
--                                             the last $1 events
--   letters_per_s                             sent, over the last minute
--   sent_1m bigint                            in the last minute
--   sent_1h, deferred_1h, failed_1h, unsure_1h, skipped_1h bigint
--   recent_s     the seconds that these six cover: 3600, or less where $2
--                pages do not reach back so far
--   ledger_rows bigint  by PostgreSQL's estimates: letters and attempts of the
--                       last month
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
          WHERE xid >= x AND xid <= x  -- "=": see route.sql
            AND (route.phase <> 0
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
tail AS MATERIALIZED (
  SELECT at, verdict, n, is_whole
    FROM postbatch.ledger_youngest($2::int, NULL)
),
recent AS MATERIALIZED (
  SELECT CASE WHEN coalesce(bool_and(is_whole), true) THEN 3600.0
              ELSE least(3600.0, greatest(0.001,
                         date_part('epoch', now() - min(at)))) END AS s
    FROM tail
),
hour AS (
  SELECT coalesce(sum(n) FILTER (WHERE verdict = 1
                    AND at >= now() - interval '1 min'), 0) AS sent_1m,
         coalesce(sum(n) FILTER (WHERE verdict = 1), 0) AS sent,
         coalesce(sum(n) FILTER (WHERE verdict = 2), 0) AS deferred,
         coalesce(sum(n) FILTER (WHERE verdict = 3), 0) AS failed,
         coalesce(sum(n) FILTER (WHERE verdict = 4), 0) AS unsure,
         coalesce(sum(n) FILTER (WHERE verdict = 5), 0) AS skipped
    FROM tail
   WHERE at >= now() - interval '1 hour'
),
young AS (
  -- The events of the last minute, of the two leaves they can be in.
  SELECT count(*) AS n, min(created_at) AS oldest
    FROM (SELECT created_at FROM postbatch.event
           WHERE ring IN (postbatch.ring(now(), 16),
                          postbatch.ring(now() - interval '1 min', 16))
           ORDER BY id DESC LIMIT $1::int) AS e
   WHERE created_at >= now() - interval '1 min'
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
       (SELECT coalesce(sum(n), 0) FROM postbatch.held)::bigint
         AS held_letters,
       (SELECT date_part('epoch', min(due_at) - now())
          FROM postbatch.held) AS next_held_s,
       (SELECT count(*) FROM postbatch.fanout WHERE NOT done) AS fanouts,
       (SELECT count(*) FROM postbatch.quarantine
         WHERE released_at IS NULL) AS quarantined,
       (SELECT count(*) FROM postbatch.quarantine
         WHERE released_at IS NULL
           AND quarantined_at >= now() - interval '1 hour') AS quarantined_1h,
       (SELECT count(*) FROM postbatch.drift) AS drifting,
       (SELECT count(*) FROM postbatch.suppression
         WHERE until IS NULL OR until > now()) AS suppressed,
       (SELECT coalesce(sum(events), 0)
          FROM postbatch.project_log_missing)::bigint AS unlogged,
       (SELECT coalesce(string_agg(name, ', ' ORDER BY name), '')
          FROM postbatch.event_type WHERE fault IS NOT NULL) AS faulty_types,
       (SELECT count(*) FROM postbatch.worker
         WHERE seen_at > now() - interval '30 s') AS workers,
       (SELECT count(DISTINCT host) FROM postbatch.worker
         WHERE seen_at > now() - interval '30 s') AS hosts,
       s.last_value - CASE WHEN s.is_called THEN 0 ELSE 1 END AS emitted,
       round((young.n / CASE WHEN young.n < $1::int THEN 60.0
                             ELSE greatest(0.001, date_part('epoch',
                                           now() - young.oldest))
                        END)::numeric, 1) AS events_per_s,
       round((hour.sent_1m / least(60.0, recent.s))::numeric, 1)
         AS letters_per_s,
       hour.sent_1m, hour.sent AS sent_1h, hour.deferred AS deferred_1h,
       hour.failed AS failed_1h, hour.unsure AS unsure_1h,
       hour.skipped AS skipped_1h,
       round(recent.s::numeric, 1) AS recent_s,
       postbatch.ledger_rows() AS ledger_rows,
       (SELECT max(date_part('epoch', now() - xact_start))
          FROM pg_stat_activity
         WHERE backend_xmin IS NOT NULL AND datname = current_database()
           AND pid <> pg_backend_pid()) AS horizon_s
  FROM route, event, batch, hour, recent, young, postbatch.event_seq AS s
