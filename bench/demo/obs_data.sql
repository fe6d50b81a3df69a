-- obs_data - fills the schema obs (obs_schema.sql): 2,000 users, 40 groups,
-- 300 projects, 3,000 packages, 1,500 requests, and who has to do with what.
-- openSUSE:Factory has 128 watchers. The same rows on every run.
--
--     psql -1 -f obs_schema.sql -f obs_data.sql

-- A number from 0 to n-1 that looks random, the same one for (what, i) always.
CREATE FUNCTION pg_temp.dice(what text, i bigint, n bigint) RETURNS bigint
LANGUAGE sql IMMUTABLE AS $$
  SELECT ('x' || substr(md5(what || i), 1, 12))::bit(48)::bigint % n
$$;
CREATE FUNCTION pg_temp.one_of(what text, i bigint, choices text[]) RETURNS text
LANGUAGE sql IMMUTABLE AS $$
  SELECT choices[1 + pg_temp.dice(what, i, cardinality(choices))]
$$;

-------------------------------------------------------------------------------
-- People. The first few have names that are easy to remember.

CREATE TEMPORARY TABLE person AS
SELECT i AS id,
       CASE WHEN i <= 8
            THEN (ARRAY['jane', 'björn', 'maría', 'tamás', 'zoë', 'kenichi',
                        'oluwaseun', 'admin'])[i]
            ELSE first.ascii || i END AS login,
       CASE WHEN i <= 8
            THEN (ARRAY['Jane Doe', 'Björn Åkesson', 'María Peña',
                        'Tamás Gőz', 'Zoë Löwe', '田中 健一',
                        'Olúwaṣeun Adébáyọ̀', 'Build Service Admin'])[i]
            ELSE first.name || ' ' || last.name END AS realname,
       CASE WHEN i <= 8
            THEN (ARRAY['jane', 'bjoern', 'maria', 'tamas', 'zoe', 'kenichi',
                        'oluwaseun', 'admin'])[i]
            ELSE first.ascii || i END || '@'
         || pg_temp.one_of('host', i, ARRAY['users.example.org',
              'mail.example.net', 'example.com', 'post.example.net'])
         AS email,
       CASE WHEN i <= 8 THEN 'confirmed'
            WHEN pg_temp.dice('state', i, 50) = 0 THEN 'locked'
            WHEN pg_temp.dice('state', i, 50) = 1 THEN 'unconfirmed'
            ELSE 'confirmed' END AS state
  FROM generate_series(1, 2000) AS i
 CROSS JOIN LATERAL (
       SELECT split_part(f, '/', 1) AS ascii, split_part(f, '/', 2) AS name
         FROM pg_temp.one_of('first', i, ARRAY['anna/Anna', 'petr/Petr',
                'ludek/Luděk', 'ines/Inês', 'soren/Søren', 'aoife/Aoife',
                'mehmet/Mehmet', 'ji-woo/지우', 'xiaoli/晓丽', 'olga/Ольга',
                'dimitris/Δημήτρης', 'frank/Frank', 'chloe/Chloé',
                'lukasz/Łukasz', 'noor/Noor', 'priya/Priya', 'tom/Tom',
                'ulrike/Ulrike', 'rene/René', 'sam/Sam'])
         AS f) AS first
 CROSS JOIN LATERAL (
       SELECT pg_temp.one_of('last', i, ARRAY['Müller', 'Novák', 'García',
                'O''Brien', 'Ødegård', 'Kowalski', 'Yılmaz', 'Smith', '김',
                '王', 'Петрова', 'Παπαδόπουλος', 'Lefèvre', 'Schröder',
                'van der Berg', 'Silva', 'Nagy', 'Li', 'Keller', 'Ito'])
         AS name) AS last;

CREATE TEMPORARY TABLE team AS
SELECT i AS id,
       CASE WHEN i <= 8
            THEN (ARRAY['factory-staging', 'factory-maintainers',
                        'legal-team', 'security-team', 'kernel-maintainers',
                        'python-team', 'gnome-team', 'release-managers'])[i]
            ELSE pg_temp.one_of('team', i, ARRAY['kde', 'rust', 'perl',
                   'printing', 'fonts', 'games', 'server', 'haskell'])
                 || '-team-' || i END AS title,
       i <= 3 OR pg_temp.dice('address', i, 3) = 0 AS has_address
  FROM generate_series(1, 40) AS i;

INSERT INTO postbatch.recipient (key, email, name, locale, time_zone, state)
SELECT login, email, realname,
       pg_temp.one_of('locale', id, ARRAY['en', 'en', 'de', 'cs', 'pt_BR',
                                          'ja', 'fr', NULL]),
       pg_temp.one_of('zone', id, ARRAY['UTC', 'Europe/Berlin',
                        'Europe/Prague', 'America/Sao_Paulo', 'Asia/Tokyo',
                        'America/New_York', NULL]),
       CASE state WHEN 'confirmed' THEN 'active' ELSE 'inactive' END
  FROM person ORDER BY id;
INSERT INTO postbatch.recipient (key, email, name)
SELECT 'group:' || title, title || '@lists.example.org', title
  FROM team WHERE has_address ORDER BY id;

INSERT INTO obs.users (id, login, realname, email, state, recipient_id)
SELECT p.id, p.login, p.realname, p.email, p.state, r.id
  FROM person AS p JOIN postbatch.recipient AS r ON r.key = p.login;
INSERT INTO obs.groups (id, title, email, recipient_id)
SELECT t.id, t.title, r.email, r.id
  FROM team AS t
  LEFT JOIN postbatch.recipient AS r
    ON t.has_address AND r.key = 'group:' || t.title;
-- 3 to 22 members; one in five does not want the group's mails.
INSERT INTO obs.groups_users (group_id, user_id, email)
SELECT DISTINCT ON (g.id, u)
       g.id, u, pg_temp.dice('group mail', g.id * 2000 + u, 5) > 0
  FROM obs.groups AS g
 CROSS JOIN LATERAL generate_series(1, 3 + pg_temp.dice('size', g.id, 20)) AS n
 CROSS JOIN LATERAL (
       SELECT 1 + pg_temp.dice('member', g.id * 100 + n, 2000) AS u) AS u;
INSERT INTO obs.global_roles (role, user_id)
VALUES ('Admin', 8), ('Staff', 7), ('Staff', 11), ('Moderator', 3),
       ('Moderator', 12);

-------------------------------------------------------------------------------
-- Projects: 1 Factory, 2..10 other distributions, 11..60 development,
-- 61..300 homes. Packages: 1..1200 in Factory, 1201..2200 where the first
-- thousand of them are developed, 2201..3000 branches in homes.

INSERT INTO obs.projects (id, name)
SELECT i, CASE
         WHEN i <= 10
         THEN (ARRAY['openSUSE:Factory', 'openSUSE:Leap:42.3',
                     'openSUSE:Leap:15.0', 'openSUSE:Backports:SLE-12',
                     'openSUSE:Factory:ARM', 'openSUSE:Factory:PowerPC',
                     'openSUSE:Factory:NonFree', 'openSUSE:Maintenance',
                     'openSUSE:Tools', 'openSUSE:Infrastructure'])[i]
         WHEN i <= 60
         THEN 'devel:' || (ARRAY['languages', 'libraries', 'tools', 'desktop',
                                 'kernel'])[1 + i % 5]
              || ':' || (ARRAY['base', 'python', 'perl', 'rust', 'c', 'gnome',
                               'kde', 'net', 'doc', 'extra'])[1 + (i - 11) / 5]
         ELSE 'home:' || (SELECT login FROM obs.users WHERE id = i - 60)
              || CASE WHEN i % 3 = 0 THEN ':branches:openSUSE:Factory'
                      ELSE '' END
         END
  FROM generate_series(1, 300) AS i;

CREATE TEMPORARY TABLE package_name AS
SELECT i AS id,
       (ARRAY['hello', 'gettext', 'curl', 'zlib', 'ncurses', 'openssl', 'git',
              'vim', 'nano', 'bash', 'coreutils', 'grep', 'sed', 'gawk',
              'make', 'cmake', 'meson', 'ninja', 'llvm', 'gcc', 'glibc',
              'python-requests', 'python-jinja2', 'python-lxml', 'perl-DBI',
              'perl-JSON', 'rubygem-nokogiri', 'ghc-aeson', 'rust', 'go',
              'postgresql', 'mariadb', 'sqlite3', 'redis', 'nginx', 'apache2',
              'postfix', 'dovecot', 'bind', 'unbound', 'kernel-default',
              'systemd', 'dracut', 'grub2', 'xorg-x11-server', 'Mesa',
              'wayland', 'gtk4', 'libqt5-qtbase', 'plasma5-desktop',
              'gnome-shell', 'libreoffice', 'gimp', 'inkscape', 'blender',
              'cups', 'sane-backends', 'ImageMagick', 'libstdc++', 'café']
       )[1 + (i - 1) % 60]
         || (ARRAY['', '-devel', '-doc', '-tools', '-utils', '-extras',
                   '-lang', '-test', '-compat', '-plugins', '-data',
                   '-themes', '-bindings', '-server', '-client', '-libs',
                   '-static', '-examples', '-legacy', '-ng']
            )[1 + (i - 1) / 60] AS name
  FROM generate_series(1, 1200) AS i;

INSERT INTO obs.packages (id, project_id, name)
SELECT 1200 + n.id, 11 + (n.id - 1) % 50, n.name
  FROM package_name AS n WHERE n.id <= 1000;
INSERT INTO obs.packages (id, project_id, name, devel_package_id)
SELECT n.id, 1, n.name, CASE WHEN n.id <= 1000 THEN 1200 + n.id END
  FROM package_name AS n;
INSERT INTO obs.packages (id, project_id, name)
SELECT 2200 + i, 61 + (i - 1) % 240, n.name
  FROM generate_series(1, 800) AS i
  JOIN package_name AS n
    ON n.id = 1 + ((i - 1) / 240) * 240
                + pg_temp.dice('branch', i, 240);

-- Distributions are kept by groups and a few people, development projects by
-- two to six people and sometimes a group, homes by whose they are.
INSERT INTO obs.relationships (role, project_id, group_id)
VALUES ('maintainer', 1, 2), ('maintainer', 2, 8), ('maintainer', 3, 8),
       ('maintainer', 4, 8), ('bugowner', 1, 1), ('reader', 8, 4);
INSERT INTO obs.relationships (role, project_id, user_id)
SELECT DISTINCT 'maintainer', j.id,
       1 + pg_temp.dice('maintains', j.id * 10 + n, 2000)
  FROM obs.projects AS j
 CROSS JOIN LATERAL generate_series(
         1, 2 + pg_temp.dice('maintainers', j.id, 5)) AS n
 WHERE j.id BETWEEN 1 AND 60;
INSERT INTO obs.relationships (role, project_id, group_id)
SELECT 'maintainer', j.id, 5 + pg_temp.dice('team of', j.id, 36)
  FROM obs.projects AS j
 WHERE j.id BETWEEN 11 AND 60 AND pg_temp.dice('has team', j.id, 3) = 0;
INSERT INTO obs.relationships (role, project_id, user_id)
SELECT role, j.id, j.id - 60
  FROM obs.projects AS j
 CROSS JOIN (VALUES ('maintainer'), ('bugowner')) AS r (role)
 WHERE j.id > 60;
INSERT INTO obs.relationships (role, project_id, user_id)
SELECT 'reader', j.id, 1 + pg_temp.dice('reads', j.id, 2000)
  FROM obs.projects AS j WHERE pg_temp.dice('readers', j.id, 10) = 0;
-- Two development packages in five have one to three maintainers of their
-- own, one in three has a bugowner.
INSERT INTO obs.relationships (role, package_id, user_id)
SELECT DISTINCT 'maintainer', k.id,
       1 + pg_temp.dice('keeps', k.id * 10 + n, 2000)
  FROM obs.packages AS k
 CROSS JOIN LATERAL generate_series(
         1, 1 + pg_temp.dice('keepers', k.id, 3)) AS n
 WHERE k.id BETWEEN 1201 AND 2200 AND pg_temp.dice('kept', k.id, 5) < 2;
INSERT INTO obs.relationships (role, package_id, user_id)
SELECT 'bugowner', k.id, 1 + pg_temp.dice('bugs', k.id, 2000)
  FROM obs.packages AS k
 WHERE k.id BETWEEN 1201 AND 2200 AND pg_temp.dice('buggy', k.id, 3) = 0;

INSERT INTO obs.watched_projects (project_id, user_id)
SELECT 1, id FROM obs.users ORDER BY md5('watcher' || id) LIMIT 128;
INSERT INTO obs.watched_projects (project_id, user_id)
SELECT DISTINCT j.id, 1 + pg_temp.dice('watches', j.id * 100 + n, 2000)
  FROM obs.projects AS j
 CROSS JOIN LATERAL generate_series(
         1, pg_temp.dice('watchers', j.id,
                         CASE WHEN j.id <= 60 THEN 40 ELSE 4 END)) AS n
 WHERE j.id > 1;
INSERT INTO obs.watched_packages (package_id, user_id)
SELECT DISTINCT 1 + pg_temp.dice('watched package', i, 3000),
       1 + pg_temp.dice('package watcher', i, 2000)
  FROM generate_series(1, 2000) AS i;

-------------------------------------------------------------------------------
-- Requests: most hand a package from where it is developed, or from a branch
-- in a home, to Factory; one in 100 is a big one with 60 actions.

INSERT INTO obs.requests (id, number, creator, state, description, created_at)
SELECT i, 548000 + i,
       (SELECT login FROM obs.users
         WHERE id = 1 + pg_temp.dice('creator', i, 2000)),
       pg_temp.one_of('request state', i, ARRAY['new', 'review', 'review',
                        'accepted', 'accepted', 'declined', 'revoked']),
       pg_temp.one_of('description', i, ARRAY[
         E'Update to the newest release\n- drops two patches that are upstream',
         'Fix the build with gcc 7', NULL,
         E'- Fixes boo#1071234\n- Übersetzungen für de, fr und pt_BR',
         'Obsolete since the switch to Python 3']),
       timestamptz '2017-12-01 08:00 UTC' + i * interval '13 minutes'
  FROM generate_series(1, 1500) AS i;

INSERT INTO obs.request_actions (id, request_id, type, source_project,
                                 source_package, source_rev, target_project,
                                 target_package, person, role)
SELECT row_number() OVER (ORDER BY q.id, n), q.id, t.type,
       CASE WHEN t.type = 'submit' THEN s.name END,
       CASE WHEN t.type = 'submit' THEN k.name END,
       CASE WHEN t.type = 'submit'
            THEN (1 + pg_temp.dice('rev', q.id, 90))::text END,
       'openSUSE:Factory', k.name,
       CASE WHEN t.type = 'add_role' THEN q.creator END,
       CASE WHEN t.type = 'add_role' THEN 'bugowner' END
  FROM obs.requests AS q
 CROSS JOIN LATERAL generate_series(
         1, CASE WHEN q.id % 100 = 0 THEN 60
                 WHEN pg_temp.dice('actions', q.id, 5) = 0 THEN 3
                 ELSE 1 END) AS n
 CROSS JOIN LATERAL (
       SELECT CASE pg_temp.dice('type', q.id, 20)
                WHEN 0 THEN 'delete' WHEN 1 THEN 'add_role'
                ELSE 'submit' END AS type,
              1 + (pg_temp.dice('package', q.id, 1000) + n * 7) % 1000
                AS package_id) AS t
  JOIN obs.packages AS k ON k.id = t.package_id
  JOIN obs.packages AS d ON d.id = k.devel_package_id
  JOIN obs.projects AS s
    ON s.id = CASE WHEN pg_temp.dice('from home', q.id, 3) = 0
                   THEN 61 + pg_temp.dice('home', q.id, 240)
                   ELSE d.project_id END;

-- Up to four reviews a request: the staging group, then the legal team, then
-- a person, then the maintainers of a package.
INSERT INTO obs.reviews (id, request_id, state, by_user, by_group, by_project,
                         by_package)
SELECT row_number() OVER (ORDER BY q.id, n), q.id,
       pg_temp.one_of('review state', q.id * 4 + n, ARRAY['new', 'accepted']),
       CASE WHEN n = 3 THEN (SELECT login FROM obs.users
                              WHERE id = 1 + pg_temp.dice('asked', q.id, 2000))
       END,
       CASE n WHEN 1 THEN 'factory-staging' WHEN 2 THEN 'legal-team' END,
       CASE WHEN n = 4 THEN j.name END, CASE WHEN n = 4 THEN k.name END
  FROM obs.requests AS q
 CROSS JOIN LATERAL generate_series(
         1, pg_temp.dice('reviews', q.id, 5)) AS n
  JOIN obs.packages AS k
    ON k.id = 1201 + pg_temp.dice('asked package', q.id, 1000)
  JOIN obs.projects AS j ON j.id = k.project_id;

INSERT INTO obs.watched_requests (request_id, user_id)
SELECT DISTINCT 1 + pg_temp.dice('watched request', i, 1500),
       1 + pg_temp.dice('request watcher', i, 2000)
  FROM generate_series(1, 600) AS i;

-------------------------------------------------------------------------------
-- Moderation and tokens

INSERT INTO obs.comments (id, user_id)
SELECT i, 1 + pg_temp.dice('comment', i, 2000)
  FROM generate_series(1, 500) AS i;
INSERT INTO obs.reports (id, reporter_id, reportable_type, reportable_id,
                         decision_id)
SELECT 700 + i, 1 + pg_temp.dice('reporter', i, 2000),
       (ARRAY['Comment', 'User', 'Project', 'Package', 'BsRequest'])[1 + i % 5],
       1 + pg_temp.dice('reported', i, 300),
       CASE WHEN i <= 30 THEN 80 + i / 2 END
  FROM generate_series(1, 40) AS i;
INSERT INTO obs.tokens (id, executor_id, description)
SELECT 500 + i, i, 'workflow of ' || (SELECT login FROM obs.users WHERE id = i)
  FROM generate_series(1, 30) AS i;
INSERT INTO obs.tokens_users (token_id, user_id)
SELECT 500 + i, i + n
  FROM generate_series(1, 30) AS i, generate_series(1, 2) AS n;
INSERT INTO obs.tokens_groups (token_id, group_id)
SELECT 500 + i, 1 + i % 40 FROM generate_series(1, 30, 3) AS i;

-- The demonstration may have been loaded just now: the planner should know.
ANALYZE postbatch.recipient, obs.users, obs.groups, obs.groups_users,
        obs.global_roles, obs.projects, obs.packages, obs.relationships,
        obs.watched_projects, obs.watched_packages, obs.requests,
        obs.request_actions, obs.reviews, obs.watched_requests, obs.comments,
        obs.reports, obs.tokens, obs.tokens_users, obs.tokens_groups;
DROP TABLE pg_temp.person, pg_temp.team, pg_temp.package_name;
