-- log_follow - what was added to the project log behind a row, oldest first.
--
-- The numbers of its rows grow in the order of commits (one router works at a
-- time), so nothing is missed by asking for what is behind the last one seen.
--
-- Parameters: $1 to $6 as in log_list.sql, $7 bigint the last id seen.
-- Result: as log_list.sql.
SELECT id, to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS') AS at,
       type, project, package, user_name, request, rest::text, event_id,
       json_build_object('id', id, 'at', at, 'event', event_id, 'type', type,
                         'project', project, 'package', package,
                         'user', user_name, 'request', request,
                         'payload', rest)::text AS line
  FROM postbatch.project_log AS l
 WHERE l.id > $7::bigint
   AND ($1::text IS NULL OR l.project = $1::text)
   AND ($2::text IS NULL OR l.package = $2::text)
   AND ($3::text IS NULL OR l.user_name = $3::text)
   AND ($4::text IS NULL OR l.type = $4::text)
   AND ($5::timestamptz IS NULL OR l.at >= $5::timestamptz)
 ORDER BY l.id LIMIT $6::int
