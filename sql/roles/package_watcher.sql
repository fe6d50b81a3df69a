-- package_watcher - who watches the package: {"project": "openSUSE:Factory",
-- "package": "hello"}.
SELECT pass.event_id, u.recipient_id
  FROM pass
  JOIN obs.projects AS j ON j.name = pass.payload ->> 'project'
  JOIN obs.packages AS k ON k.project_id = j.id
                        AND k.name = pass.payload ->> 'package'
  JOIN obs.watched_packages AS w ON w.package_id = k.id
  JOIN obs.users AS u ON u.id = w.user_id
