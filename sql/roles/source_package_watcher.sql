-- source_package_watcher - who watches the source package of an action of the
-- request: {"actions": [{"sourceproject": "openSUSE:Factory",
-- "sourcepackage": "hello"}]}.
SELECT pass.event_id, u.recipient_id
  FROM pass
 CROSS JOIN LATERAL (
       SELECT DISTINCT a ->> 'sourceproject' AS project,
                       a ->> 'sourcepackage' AS package
         FROM postbatch.elements(pass.payload -> 'actions') AS a) AS a
  JOIN obs.watched_packages AS w
    ON w.package_id = (SELECT k.id
                         FROM obs.projects AS j
                         JOIN obs.packages AS k ON k.project_id = j.id
                        WHERE j.name = a.project AND k.name = a.package)
  JOIN obs.users AS u ON u.id = w.user_id
