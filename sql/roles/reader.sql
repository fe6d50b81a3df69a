-- reader - who was made a reader of the project: {"project": "home:jane"}.
--
-- Roles on the package do not count.
SELECT pass.event_id, h.recipient_id
  FROM pass
 CROSS JOIN LATERAL obs.holders(pass.payload ->> 'project', NULL, 'reader') AS h
