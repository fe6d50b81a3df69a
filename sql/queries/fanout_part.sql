-- fanout_part - what is put around one role file within fanout_step.sql: as
-- role_part.sql, but each role gives its next recipients in the order of
-- their ids, and no more than a step needs. From an index over (what the role
-- looks for, recipient id) that costs the same on the first step and the last.
(WITH pass AS NOT MATERIALIZED (SELECT p.event_id, p.type, p.payload)
 SELECT {role_id}::smallint AS role_id, x.recipient_id::bigint
   FROM (
--{role}
        ) AS x
  WHERE {role_id} = ANY (p.role_ids) AND x.recipient_id > p.after_recipient
  ORDER BY x.recipient_id FETCH FIRST ($1::int) ROWS WITH TIES)
