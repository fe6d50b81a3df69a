-- sync_types - tells the database what the contracts say; once, at start.
--
-- Parameters:
--   $1 jsonb  a list of objects, one for each event type:
--             {"name": "BuildFail", "mailable": true,
--              "grouping": "each" or "gather", "gather_max": 50,
--              "window_ms": how long to gather, "urgency": 1 urgent,
--              2 normal, 3 bulk,
--              "originator": key or null, "required": [keys],
--              "frequency": "instant", "fault": words or null,
--              "roles": [{"name": "maintainer", "frequency": "instant"}],
--              "log": null or {"project": key, "package": key,
--                      "user": [keys], "request": key}}
--             A type in the table that is not in the list gets a fault.
-- Result: role_id smallint, role_name text: all roles there are or ever were.
WITH role AS MATERIALIZED (
  SELECT role_id, role_name FROM postbatch.sync_types($1::jsonb)
),
rest AS MATERIALIZED (
  -- Not before the types are there.
  SELECT postbatch.sync_logs($1::jsonb) FROM (SELECT count(*) FROM role) AS r
)
SELECT role_id, role_name FROM role, rest ORDER BY role_id
