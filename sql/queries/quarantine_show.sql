-- quarantine_show - all that is known of one event that was set aside.
--
-- Parameters:
--   $1 bigint  event id
-- Result, one row or none: type text, stage text, reason text, created_at
--   timestamptz (of the event), quarantined_at timestamptz, fate text (NULL
--   while it waits), payload text (NULL when it is gone), pretty text (the
--   same for people), created_us bigint, skipped bigint: letters that left it
--   out
SELECT q.type, q.stage, q.reason, q.created_at, q.quarantined_at,
       CASE WHEN q.dropped_at IS NOT NULL
            THEN format('dropped %s by %s: %s', q.dropped_at,
                        coalesce(q.dropped_by, 'somebody'), q.drop_reason)
            WHEN q.released_as IS NOT NULL
            THEN format('released %s as event %s', q.released_at,
                        q.released_as)
            WHEN q.released_at IS NOT NULL
            THEN format('released %s, its letters were sent again',
                        q.released_at)
       END AS fate,
       p.payload::text AS payload, jsonb_pretty(p.payload) AS pretty,
       (extract(epoch FROM q.created_at) * 1000000)::bigint AS created_us,
       (SELECT count(*) FROM postbatch.ledger AS l
         WHERE l.verdict = 5 AND l.at >= q.quarantined_at - interval '1 day'
           AND (l.event_id = q.event_id OR q.event_id = ANY (l.more_events)))
         AS skipped
  FROM postbatch.quarantine AS q
  LEFT JOIN postbatch.event AS e
    ON e.ring = (q.event_id & 15)::smallint AND e.id = q.event_id
 CROSS JOIN LATERAL (SELECT coalesce(e.payload, q.payload) AS payload) AS p
 WHERE q.event_id = $1::bigint
