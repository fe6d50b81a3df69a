-- target_project_watcher - who watches the target project of an action of the
-- request: {"actions": [{"targetproject": "openSUSE:Factory"}]}.
--
-- The same people as target_watcher, by the name the role has since May 2024.
SELECT pass.event_id, u.recipient_id
  FROM pass
 CROSS JOIN LATERAL (
       SELECT DISTINCT a ->> 'targetproject' AS name
         FROM postbatch.elements(pass.payload -> 'actions') AS a) AS a
  JOIN obs.projects AS j ON j.name = a.name
  JOIN obs.watched_projects AS w ON w.project_id = j.id
  JOIN obs.users AS u ON u.id = w.user_id
