-- reporter - who reported what the event is about.
--
--     {"reporter": "jane"}      that user
--     {"report_id": 771}        who filed that report
--     {"report_last_id": 771}   who filed it, or another report that was
--                               decided on together with it
SELECT pass.event_id, u.recipient_id
  FROM pass
 CROSS JOIN LATERAL (
       SELECT u.id FROM obs.users AS u
        WHERE u.login = pass.payload ->> 'reporter'
       UNION
       SELECT r.reporter_id FROM obs.reports AS r
        WHERE r.id = postbatch.to_bigint(pass.payload ->> 'report_id')
       UNION
       SELECT r.reporter_id FROM obs.reports AS r
        WHERE r.id = postbatch.to_bigint(pass.payload ->> 'report_last_id')
       UNION
       SELECT r.reporter_id
         FROM obs.reports AS last
         JOIN obs.reports AS r ON r.decision_id = last.decision_id
        WHERE last.id = postbatch.to_bigint(pass.payload ->> 'report_last_id')
       ) AS r
  JOIN obs.users AS u ON u.id = r.id
