-- develpackage_or_package_maintainer - who maintains the devel package or,
-- when the package has none, the package itself: {"project":
-- "openSUSE:Factory", "package": "hello"}.
SELECT pass.event_id, h.recipient_id
  FROM pass
  JOIN obs.projects AS j ON j.name = pass.payload ->> 'project'
  JOIN obs.packages AS k ON k.project_id = j.id
                        AND k.name = pass.payload ->> 'package'
  LEFT JOIN obs.packages AS d ON d.id = k.devel_package_id
  LEFT JOIN obs.projects AS dj ON dj.id = d.project_id
 CROSS JOIN LATERAL obs.holders(coalesce(dj.name, j.name),
                                coalesce(d.name, k.name), 'maintainer') AS h
