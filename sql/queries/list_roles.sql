-- list_roles - the numbers of the roles, as batches and the ledger have them.
--
-- Parameters: none.
-- Result: role_id smallint, role_name text, in_use boolean: whether a
-- contract names it now.
SELECT r.id AS role_id, r.name AS role_name,
       EXISTS (SELECT FROM postbatch.event_type_role AS x
                WHERE x.role_id = r.id) AS in_use
  FROM postbatch.role AS r
 ORDER BY r.id
