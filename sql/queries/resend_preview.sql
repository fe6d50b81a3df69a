-- resend_preview - what resend_do.sql would send again, and what it cannot.
--
-- The last verdict on each pair of recipient and event decides: what failed,
-- was sent again and then arrived is not sent a third time. The ledger goes
-- back a month and has no index on recipients: name a time where there is
-- much of it. To be run on a connection without pinned plans.
--
-- Parameters; those that are NULL do not narrow:
--   $1 bigint[]     event ids
--   $2 text         a recipient: key, email address or id
--   $3 timestamptz  what happened since then
--   $4 smallint[]   which last verdicts count: {3} failed, {3,4} also unsure,
--                   {5} skipped (so also what poison left out)
-- Result, a row a pair, by time:
--   recipient_id bigint, email text, event_id bigint, type text,
--   verdict smallint, at timestamptz, code smallint, reply text,
--   obstacle text  why it cannot be sent again; NULL: it can
WITH who AS MATERIALIZED (
  SELECT id FROM postbatch.recipient
   WHERE key = $2::text OR email = $2::text
      OR id = postbatch.to_bigint($2::text)
),
latest AS (
  -- The last word on each pair of recipient and event.
  SELECT DISTINCT ON (l.recipient_id, e.id)
         l.recipient_id, e.id AS event_id, l.verdict, l.at, l.role, l.reply,
         l.code, l.attempt, l.batch_id, l.event_id AS first_event
    FROM (SELECT CASE WHEN $2::text IS NOT NULL
                      THEN ARRAY(SELECT id FROM who) END AS ids) AS w
   CROSS JOIN LATERAL postbatch.ledger_about($1::bigint[], w.ids,
                                             $3::timestamptz) AS l
   CROSS JOIN LATERAL unnest(l.event_id || l.more_events) AS e (id)
    -- Others would be sorted for nothing; what was sent is not so rare. As a
    -- join, because what "IN" finds is looked through for each row once it is
    -- more than work_mem holds.
    LEFT JOIN (SELECT DISTINCT recipient_id
                 FROM postbatch.ledger_letter
                WHERE verdict = ANY ($4::smallint[])
                  AND at >= coalesce($3::timestamptz, '-infinity')) AS h
      ON h.recipient_id = l.recipient_id
   WHERE ($1::bigint[] IS NULL OR e.id = ANY ($1::bigint[]))
     AND (1 = ANY ($4::smallint[]) OR h.recipient_id IS NOT NULL)
   ORDER BY l.recipient_id, e.id, l.at DESC, l.attempt DESC
),
again AS (
  SELECT l.*, e.type, t.id AS type_id, r.email,
         coalesce(e.urgency, t.urgency, 2::smallint) AS urgency,
         CASE WHEN e.id IS NULL THEN 'the event is gone'
              WHEN r.id IS NULL THEN 'the recipient is gone'
         END AS obstacle
    FROM latest AS l
    LEFT JOIN postbatch.event AS e
      ON e.ring = (l.event_id & 15)::smallint AND e.id = l.event_id
    LEFT JOIN postbatch.event_type AS t ON t.name = e.type
    LEFT JOIN postbatch.recipient AS r ON r.id = l.recipient_id
   WHERE l.verdict = ANY ($4::smallint[])
)
SELECT recipient_id, email, event_id, type, verdict, at, code, reply, obstacle
  FROM again
 ORDER BY at, recipient_id, event_id
