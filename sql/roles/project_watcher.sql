-- project_watcher - who watches the project: {"project": "openSUSE:Factory"}.
--
-- The same people as watcher, by the name the role has since May 2024.
SELECT pass.event_id, u.recipient_id
  FROM pass
  JOIN obs.projects AS j ON j.name = pass.payload ->> 'project'
  JOIN obs.watched_projects AS w ON w.project_id = j.id
  JOIN obs.users AS u ON u.id = w.user_id
