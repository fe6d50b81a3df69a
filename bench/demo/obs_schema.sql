-- obs_schema - a small Open Build Service to try things with: schema obs.
--
-- It holds what the roles in sql/roles/ need to know and nothing more: users,
-- groups, projects, packages, who has which role on them, who watches what,
-- requests with their actions and reviews, reports, tokens. Fill it with
-- obs_data.sql; append events with obs_events.sql.
--
-- Whoever can be written to is a row of postbatch.recipient: every user (key:
-- the login), and every group that has an address of its own (key: 'group:'
-- and its title). Users and groups refer to it by recipient_id; there is no
-- foreign key, since a site may put a view in the place of that table.
--
-- Needs the schema postbatch.

CREATE SCHEMA obs;
COMMENT ON SCHEMA obs IS 'a small Open Build Service, for the demonstration';

-------------------------------------------------------------------------------
-- People

CREATE TABLE obs.users (
  id           bigint NOT NULL,
  login        text   NOT NULL UNIQUE,
  realname     text   NOT NULL DEFAULT '',
  email        text   NOT NULL,
  state        text   NOT NULL DEFAULT 'confirmed' CHECK
               (state IN ('unconfirmed', 'confirmed', 'locked', 'deleted',
                          'subaccount')),
  recipient_id bigint NOT NULL UNIQUE,
  PRIMARY KEY (id) INCLUDE (recipient_id)  -- most look-ups want only that
);

CREATE TABLE obs.groups (
  id           bigint PRIMARY KEY,
  title        text   NOT NULL UNIQUE,
  email        text,
  recipient_id bigint UNIQUE,  -- NULL: no address, its members are written to
  CHECK ((email IS NULL) = (recipient_id IS NULL))
);

CREATE TABLE obs.groups_users (
  group_id bigint  NOT NULL REFERENCES obs.groups,
  user_id  bigint  NOT NULL REFERENCES obs.users,
  email    boolean NOT NULL DEFAULT true,  -- wants the mails of this group
  PRIMARY KEY (group_id, user_id)
);

CREATE TABLE obs.global_roles (
  role    text   NOT NULL CHECK (role IN ('Admin', 'Staff', 'Moderator')),
  user_id bigint NOT NULL REFERENCES obs.users,
  PRIMARY KEY (role, user_id)
);

-------------------------------------------------------------------------------
-- Projects and packages

CREATE TABLE obs.projects (
  id   bigint PRIMARY KEY,
  name text   NOT NULL UNIQUE
);

CREATE TABLE obs.packages (
  id               bigint PRIMARY KEY,
  project_id       bigint NOT NULL REFERENCES obs.projects,
  name             text   NOT NULL,
  devel_package_id bigint REFERENCES obs.packages,  -- where it is worked on
  UNIQUE (project_id, name)
);

CREATE TABLE obs.relationships (
  id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  role       text   NOT NULL CHECK
             (role IN ('maintainer', 'bugowner', 'reader', 'reviewer',
                       'downloader')),
  project_id bigint REFERENCES obs.projects,
  package_id bigint REFERENCES obs.packages,
  user_id    bigint REFERENCES obs.users,
  group_id   bigint REFERENCES obs.groups,
  CHECK (num_nonnulls(project_id, package_id) = 1),
  CHECK (num_nonnulls(user_id, group_id) = 1)
);
CREATE INDEX relationships_project ON obs.relationships (project_id, role)
  WHERE project_id IS NOT NULL;
CREATE INDEX relationships_package ON obs.relationships (package_id, role)
  WHERE package_id IS NOT NULL;

CREATE TABLE obs.watched_projects (
  project_id bigint NOT NULL REFERENCES obs.projects,
  user_id    bigint NOT NULL REFERENCES obs.users,
  PRIMARY KEY (project_id, user_id)
);

CREATE TABLE obs.watched_packages (
  package_id bigint NOT NULL REFERENCES obs.packages,
  user_id    bigint NOT NULL REFERENCES obs.users,
  PRIMARY KEY (package_id, user_id)
);

-------------------------------------------------------------------------------
-- Requests. They name projects, packages and people as text: what they name
-- may be gone, or be on another instance.

CREATE TABLE obs.requests (
  id          bigint      PRIMARY KEY,
  number      bigint      NOT NULL UNIQUE,
  creator     text        NOT NULL,
  state       text        NOT NULL DEFAULT 'new',
  description text,
  created_at  timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE obs.request_actions (
  id             bigint PRIMARY KEY,
  request_id     bigint NOT NULL REFERENCES obs.requests,
  type           text   NOT NULL,
  source_project text,
  source_package text,
  source_rev     text,
  target_project text,
  target_package text,
  person         text,
  role           text
);
CREATE INDEX request_actions_request ON obs.request_actions (request_id, id);

CREATE TABLE obs.reviews (
  id         bigint PRIMARY KEY,
  request_id bigint NOT NULL REFERENCES obs.requests,
  state      text   NOT NULL DEFAULT 'new',
  by_user    text,
  by_group   text,
  by_project text,
  by_package text,
  CHECK (num_nonnulls(by_user, by_group, by_project) = 1),
  CHECK (by_package IS NULL OR by_project IS NOT NULL)
);
CREATE INDEX reviews_request ON obs.reviews (request_id, id);

CREATE TABLE obs.watched_requests (
  request_id bigint NOT NULL REFERENCES obs.requests,
  user_id    bigint NOT NULL REFERENCES obs.users,
  PRIMARY KEY (request_id, user_id)
);

-------------------------------------------------------------------------------
-- Moderation and tokens

CREATE TABLE obs.comments (
  id      bigint PRIMARY KEY,
  user_id bigint NOT NULL REFERENCES obs.users
);

CREATE TABLE obs.reports (
  id              bigint PRIMARY KEY,
  reporter_id     bigint NOT NULL REFERENCES obs.users,
  reportable_type text   NOT NULL CHECK
                  (reportable_type IN ('Project', 'Package', 'Comment', 'User',
                                       'BsRequest')),
  reportable_id   bigint NOT NULL,
  decision_id     bigint  -- reports decided together have the same
);
CREATE INDEX reports_decision ON obs.reports (decision_id)
  WHERE decision_id IS NOT NULL;

CREATE TABLE obs.tokens (
  id          bigint PRIMARY KEY,
  executor_id bigint NOT NULL REFERENCES obs.users,
  description text   NOT NULL DEFAULT ''
);

CREATE TABLE obs.tokens_users (
  token_id bigint NOT NULL REFERENCES obs.tokens,
  user_id  bigint NOT NULL REFERENCES obs.users,
  PRIMARY KEY (token_id, user_id)
);

CREATE TABLE obs.tokens_groups (
  token_id bigint NOT NULL REFERENCES obs.tokens,
  group_id bigint NOT NULL REFERENCES obs.groups,
  PRIMARY KEY (token_id, group_id)
);

-------------------------------------------------------------------------------
-- What several roles have in common. Each is one SELECT, so that the planner
-- can merge it into the statement that asks.

-- Whom to write to for a user, or for a group: its address when it has one,
-- else the members who want its mails.
CREATE FUNCTION obs.people(user_id bigint, group_id bigint)
RETURNS TABLE (recipient_id bigint)
LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT u.recipient_id FROM obs.users AS u WHERE u.id = $1
  UNION ALL
  SELECT g.recipient_id FROM obs.groups AS g
   WHERE g.id = $2 AND g.recipient_id IS NOT NULL
  UNION ALL
  SELECT u.recipient_id
    FROM obs.groups AS g
    JOIN obs.groups_users AS m ON m.group_id = g.id AND m.email
    JOIN obs.users AS u ON u.id = m.user_id
   WHERE g.id = $2 AND g.recipient_id IS NULL
$$;

-- Whom to write to for a role on a package: who has it there or, when nobody
-- has, on its project; and the same for its devel package, for the devel
-- package of that, and so on. Without a package, or when it is gone: who has
-- the role on the project. A circle of devel packages is walked once.
CREATE FUNCTION obs.holders(project text, package text, role text)
RETURNS TABLE (recipient_id bigint)
LANGUAGE sql STABLE PARALLEL SAFE AS $$
  WITH RECURSIVE object AS (
    SELECT j.id AS project_id, k.id AS package_id, k.devel_package_id
      FROM obs.projects AS j
      LEFT JOIN obs.packages AS k ON k.project_id = j.id AND k.name = $2
     WHERE j.name = $1
    UNION
    SELECT k.project_id, k.id, k.devel_package_id
      FROM object AS o
      JOIN obs.packages AS k ON k.id = o.devel_package_id
  )
  SELECT p.recipient_id
    FROM object AS o
   CROSS JOIN LATERAL (
         SELECT r.user_id, r.group_id
           FROM obs.relationships AS r
          WHERE r.package_id = o.package_id AND r.role = $3
         UNION ALL
         SELECT r.user_id, r.group_id
           FROM obs.relationships AS r
          WHERE r.project_id = o.project_id AND r.role = $3
            AND NOT EXISTS (SELECT FROM obs.relationships AS own
                             WHERE own.package_id = o.package_id
                               AND own.role = $3)) AS r
   CROSS JOIN LATERAL obs.people(r.user_id, r.group_id) AS p
$$;
