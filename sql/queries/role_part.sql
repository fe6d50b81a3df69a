-- role_part - what is put around one role file within route.sql and
-- fanout_step.sql, where p is one event at a time, by LATERAL. A role that
-- the contract of the event's type does not name is not asked.
--
-- Below, the word in braces with "_id" is the number of the role in
-- postbatch.role (list_roles.sql), and the line with "role" in braces gives
-- way to the text of sql/roles/NAME.sql (without a semicolon at its end).
UNION ALL
(WITH pass AS NOT MATERIALIZED (SELECT p.event_id, p.type, p.payload)
 SELECT {role_id}::smallint AS role_id, x.recipient_id
   FROM (
--{role}
        ) AS x
  WHERE {role_id} = ANY (p.role_ids))
