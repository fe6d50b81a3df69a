-- subscriber - who follows the topic of the event: {"topic": "release"}.
SELECT pass.event_id, s.recipient_id
  FROM pass
  JOIN postbatch.subscription AS s ON s.topic = pass.payload ->> 'topic'
