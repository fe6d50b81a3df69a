-- token_executor - in whose name the token works: {"token_id": 512}.
SELECT pass.event_id, u.recipient_id
  FROM pass
  JOIN obs.tokens AS t
    ON t.id = postbatch.to_bigint(pass.payload ->> 'token_id')
  JOIN obs.users AS u ON u.id = t.executor_id
