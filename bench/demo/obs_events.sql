-- obs_events - appends events of a small Open Build Service by
-- postbatch.emit(), as its API would. Needs obs_schema.sql and obs_data.sql.
--
--     psql -v events=4000 -v from=1 -f obs_events.sql
--
-- events: how many (4000). from: number of the first (1); the same numbers
-- give the same events, other numbers other ones. Of 20 events 9 are failed
-- builds, 2 failed services, 2 new requests, 3 changes of a request, 1 a
-- wanted review, and 3 comments.

\if :{?events}
\else
  \set events 4000
\endif
\if :{?from}
\else
  \set from 1
\endif

CREATE OR REPLACE FUNCTION pg_temp.dice(what text, i bigint, n bigint)
RETURNS bigint LANGUAGE sql IMMUTABLE AS $$
  SELECT ('x' || substr(md5(what || i), 1, 12))::bit(48)::bigint % n
$$;
CREATE OR REPLACE FUNCTION pg_temp.one_of(what text, i bigint, choices text[])
RETURNS text LANGUAGE sql IMMUTABLE AS $$
  SELECT choices[1 + pg_temp.dice(what, i, cardinality(choices))]
$$;

-- The keys that all events about a request have.
CREATE OR REPLACE FUNCTION pg_temp.request(i bigint)
RETURNS TABLE (id bigint, number bigint, state text, payload jsonb)
LANGUAGE sql STABLE AS $$
  SELECT q.id, q.number, q.state, jsonb_build_object(
           'author', q.creator, 'number', q.number, 'state', q.state,
           'description', q.description,
           'when', to_char(q.created_at AT TIME ZONE 'UTC',
                           'YYYY-MM-DD"T"HH24:MI:SS'),
           'who', q.creator,
           'actions', (SELECT jsonb_agg(jsonb_strip_nulls(jsonb_build_object(
                                'action_id', a.id, 'type', a.type,
                                'sourceproject', a.source_project,
                                'sourcepackage', a.source_package,
                                'sourcerevision', a.source_rev,
                                'targetproject', a.target_project,
                                'targetpackage', a.target_package,
                                'person', a.person, 'role', a.role))
                                ORDER BY a.id)
                         FROM (SELECT * FROM obs.request_actions
                                WHERE request_id = q.id
                                ORDER BY id LIMIT 51) AS a))
    FROM obs.requests AS q
   WHERE q.id = 1 + pg_temp.dice('request', i, 1500)
$$;

CREATE OR REPLACE FUNCTION pg_temp.event(i bigint)
RETURNS TABLE (type text, payload jsonb)
LANGUAGE plpgsql STABLE AS $$
#variable_conflict use_column
DECLARE
  place  bigint := (i - 1) % 20;
  k      record;  -- a package, half of the time one of Factory
  q      record;  -- a request
  who    text := (SELECT login FROM obs.users
                   WHERE id = 1 + pg_temp.dice('who', i, 2000));
  others jsonb := (SELECT jsonb_agg(login ORDER BY id) FROM obs.users
                    WHERE id IN (1 + pg_temp.dice('other', i, 2000),
                                 1 + pg_temp.dice('another', i, 2000)));
  words  text := pg_temp.one_of('words', i, ARRAY[
           E'Thanks!\n\nCould you name the patch in the changes file, please?',
           'Builds here on aarch64 now, looks good to me. – Björn',
           E'@jane the `gettext` build needs ≥ 0.19:\n\n> '
             || '<https://bugs.example.org/1071234>',
           '+1', 'Warum fehlt hier die Übersetzung? 日本語もお願いします。']);
BEGIN
  SELECT j.name AS project, p.name AS package INTO k
    FROM obs.packages AS p JOIN obs.projects AS j ON j.id = p.project_id
   WHERE p.id = CASE WHEN pg_temp.dice('factory', i, 2) = 0
                     THEN 1 + pg_temp.dice('package', i, 1200)
                     ELSE 1201 + pg_temp.dice('package', i, 1800) END;
  SELECT * INTO q FROM pg_temp.request(i);

  CASE
  WHEN place < 9 THEN
    type := 'BuildFail';
    payload := jsonb_build_object(
      'project', k.project, 'package', k.package,
      'repository', pg_temp.one_of('repository', i, ARRAY['standard',
                      'openSUSE_Tumbleweed', 'openSUSE_Leap_42.3']),
      'arch', pg_temp.one_of('arch', i, ARRAY['x86_64', 'x86_64', 'i586',
                                              'aarch64', 'ppc64le']),
      'rev', (1 + pg_temp.dice('rev', i, 200))::text,
      'srcmd5', md5('sources' || i), 'verifymd5', md5('verify' || i / 3),
      'readytime', (1513240000 + i)::text,
      'starttime', (1513240010 + i)::text,
      'endtime', (1513240100 + i + pg_temp.dice('took', i, 3000))::text,
      'reason', pg_temp.one_of('reason', i, ARRAY['source change',
                  'meta change', 'new build', 'rebuild counter sync']),
      'versrel', '2.' || pg_temp.dice('version', i, 30) || '-'
                 || 1 + pg_temp.dice('release', i, 9),
      'bcnt', (1 + pg_temp.dice('bcnt', i, 9))::text,
      'release', '1.' || 1 + pg_temp.dice('bcnt', i, 9),
      'workerid', 'build' || 1 + pg_temp.dice('worker', i, 90) || ':'
                  || 1 + pg_temp.dice('slot', i, 16),
      'previouslyfailed', CASE WHEN i % 3 = 0 THEN '1' END);
  WHEN place < 11 THEN
    type := 'ServiceFail';
    payload := jsonb_build_object(
      'project', k.project, 'package', k.package,
      'rev', (1 + pg_temp.dice('rev', i, 200))::text, 'user', who,
      'comment', CASE WHEN i % 2 = 0 THEN '' ELSE 'update' END,
      'error', pg_temp.one_of('error', i, ARRAY[
        'download_files: could not download '
          || 'https://ftp.example.org/hello-2.10.tar.gz: 404 Not Found',
        'tar_scm: fatal: unable to access https://git.example.org/hello.git: '
          || 'Could not resolve host: git.example.org',
        'set_version: no source archive found', 'unknown service error']));
  WHEN place < 13 THEN
    type := 'RequestCreate';
    payload := q.payload || '{"state": "new"}';
  WHEN place < 16 THEN
    type := 'RequestStatechange';
    payload := q.payload || jsonb_build_object(
      'who', who,
      'oldstate', pg_temp.one_of('oldstate', i, ARRAY['new', 'review']),
      'state', pg_temp.one_of('newstate', i, ARRAY['accepted', 'accepted',
                                 'declined', 'revoked', 'superseded']),
      'comment', CASE WHEN i % 3 = 0 THEN words END);
  WHEN place < 17 THEN
    type := 'ReviewWanted';
    payload := q.payload || jsonb_build_object('state', 'review')
      || CASE pg_temp.dice('reviewer', i, 3)
         WHEN 0 THEN jsonb_build_object(
           'by_user', who, 'reviewers', (
             SELECT jsonb_agg(jsonb_build_object('user_id', id))
               FROM obs.users WHERE login = who))
         WHEN 1 THEN jsonb_build_object(
           'by_group', 'factory-staging', 'reviewers', (
             SELECT jsonb_agg(jsonb_build_object('group_id', id))
               FROM obs.groups WHERE title = 'factory-staging'))
         ELSE jsonb_build_object(
           'by_project', k.project, 'by_package', k.package, 'reviewers',
           (SELECT coalesce(jsonb_agg(jsonb_build_object('user_id', u.id)),
                            '[]')
              FROM obs.holders(k.project, k.package, 'maintainer') AS h
              JOIN obs.users AS u ON u.recipient_id = h.recipient_id))
         END;
  ELSE
    payload := jsonb_build_object('commenter', who, 'commenters', others,
                                  'comment_body', words);
    CASE place
    WHEN 17 THEN
      type := 'CommentForProject';
      payload := payload || jsonb_build_object('project', k.project);
    WHEN 18 THEN
      type := 'CommentForPackage';
      payload := payload || jsonb_build_object('project', k.project,
                                               'package', k.package);
    ELSE
      type := 'CommentForRequest';
      payload := q.payload || payload;
    END CASE;
  END CASE;
  payload := jsonb_strip_nulls(payload);
  RETURN NEXT;
END $$;

SELECT e.type, count(postbatch.emit(e.type, e.payload)) AS events
  FROM generate_series(:from::bigint, :from::bigint + :events - 1) AS i
 CROSS JOIN LATERAL pg_temp.event(i) AS e
 GROUP BY e.type ORDER BY e.type;
