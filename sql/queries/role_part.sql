-- role_part - what is put around one role file within route.sql, where p is
-- one event at a time, by LATERAL. A role that the contract of the event's
-- type does not name is not asked.
--
-- Below, the word in braces with "_id" is the number of the role in
-- postbatch.role (list_roles.sql), that with "_byte" how it stands in
-- postbatch.role_order(), in hexadecimal, that with "_bit" its bit in
-- postbatch.role_mask(), and the line with "role" in braces gives way to the
-- text of sql/roles/NAME.sql (without a semicolon at its end). What compares
-- two constants is settled when the statement is planned; OFFSET 0 keeps the
-- condition from being asked in each branch of the role again.
(WITH pass AS NOT MATERIALIZED (SELECT p.event_id, p.type, p.payload)
 SELECT {role_id}::smallint AS role_id,
        CASE WHEN {role_id} < 255
             THEN position('\x{role_byte}'::bytea IN p.role_order)
             ELSE array_position(p.role_ids, {role_id}::smallint)
        END AS place,
        x.recipient_id::bigint
   FROM (SELECT x.recipient_id FROM (
--{role}
        ) AS x OFFSET 0) AS x
  WHERE p.role_mask & {role_bit} <> 0
    AND ({role_id} < 62 OR {role_id} = ANY (p.role_ids)))
