-- log_list - the project log, newest first.
--
-- To be run with its parameters at hand (not as a generic plan): what is NULL
-- then disappears from the plan. A project's rows come from their own index,
-- those of all projects in the order in which they were written.
--
-- Parameters; those that are NULL do not narrow:
--   $1 text         project
--   $2 text         package
--   $3 text         user
--   $4 text         event type
--   $5 timestamptz  only what happened since then
--   $6 int          most rows
-- Result: id bigint, at text (UTC), type text, project text, package text,
--   user_name text, request text, rest text (JSON), event_id bigint,
--   line text (all of it as one JSON object)
SELECT id, to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS') AS at,
       type, project, package, user_name, request, rest::text, event_id,
       json_build_object('id', id, 'at', at, 'event', event_id, 'type', type,
                         'project', project, 'package', package,
                         'user', user_name, 'request', request,
                         'payload', rest)::text AS line
  FROM ((SELECT 0 AS part, event_id AS nth, l.* FROM postbatch.project_log AS l
          WHERE $1::text IS NOT NULL AND l.project = $1::text
            AND ($2::text IS NULL OR l.package = $2::text)
            AND ($3::text IS NULL OR l.user_name = $3::text)
            AND ($4::text IS NULL OR l.type = $4::text)
            AND ($5::timestamptz IS NULL OR l.at >= $5::timestamptz)
          ORDER BY l.event_id DESC LIMIT $6::int)
        UNION ALL
        (SELECT 1, id, l.* FROM postbatch.project_log AS l
          WHERE $1::text IS NULL
            AND ($2::text IS NULL OR l.package = $2::text)
            AND ($3::text IS NULL OR l.user_name = $3::text)
            AND ($4::text IS NULL OR l.type = $4::text)
            AND ($5::timestamptz IS NULL OR l.at >= $5::timestamptz)
          ORDER BY l.id DESC LIMIT $6::int)) AS l
 ORDER BY nth DESC
