-- request_watcher - who watches the request: {"number": 548912}.
SELECT pass.event_id, u.recipient_id
  FROM pass
  JOIN obs.requests AS q
    ON q.number = postbatch.to_bigint(pass.payload ->> 'number')
  JOIN obs.watched_requests AS w ON w.request_id = q.id
  JOIN obs.users AS u ON u.id = w.user_id
