-- resend_do - sends letters again: those that resend_preview.sql shows, of
-- which it takes the same parameters.
--
-- They go into new batches as first attempts (other Message-IDs than before,
-- so that no receiver takes them for twins), a letter that was one stays one,
-- and each gets a row "resent" in the ledger: a second run finds nothing. To be
-- run behind resend_lock.sql in one transaction, so that no two find the same.
--
-- Parameters; those that are NULL do not narrow:
--   $1 bigint[]     event ids
--   $2 text         a recipient: key, email address or id
--   $3 timestamptz  what happened since then
--   $4 smallint[]   which last verdicts count: {3} failed, {3,4} also unsure,
--                   {5} skipped (so also what poison left out)
-- Result: one row: letters bigint, batches bigint, left_out bigint (pairs
-- with an obstacle).
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
again AS MATERIALIZED (
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
),
numbered AS MATERIALIZED (
  -- Letters as they were: same batch, recipient and first event. The events
  -- of a digest may differ in their urgency; the letter has the last of it.
  SELECT recipient_id, event_id, batch_id, first_event, attempt, role, urgency,
         dense_rank() OVER (PARTITION BY urgency
                                ORDER BY recipient_id, batch_id, first_event)
         - 1 AS letter
    FROM (SELECT recipient_id, event_id, batch_id, first_event, attempt, role,
                 max(urgency) OVER (PARTITION BY recipient_id, batch_id,
                                                 first_event) AS urgency
            FROM again
           WHERE obstacle IS NULL) AS a
),
made AS (
  INSERT INTO postbatch.batch
         (urgency, n, recipient_ids, event_ids, roles, letters)
  SELECT urgency, max(letter) - min(letter) + 1, array_agg(recipient_id),
         array_agg(event_id), array_agg(coalesce(role, 0::smallint)),
         CASE WHEN max(letter) - min(letter) + 1 < count(*)
              THEN array_agg((letter % 500)::smallint) END
    FROM (SELECT *, letter / 500 AS part FROM numbered
           ORDER BY urgency, part, letter, event_id) AS l
   GROUP BY urgency, part
  RETURNING n
),
noted AS (
  INSERT INTO postbatch.ledger_letter (batch_id, recipient_id, event_id,
                                       more_events, verdict, role, attempt,
                                       reply)
  SELECT batch_id, recipient_id, min(event_id),
         nullif((array_agg(event_id ORDER BY event_id))[2:], '{}'), 6,
         min(role), max(attempt), 'sent again on request'
    FROM numbered
   GROUP BY urgency, letter, batch_id, recipient_id
  RETURNING 1
)
SELECT (SELECT count(*) FROM noted) AS letters,
       (SELECT count(*) FROM made) AS batches,
       (SELECT count(*) FROM again WHERE obstacle IS NOT NULL) AS left_out
