-- maintainer - who maintains the package: {"project": "openSUSE:Factory",
-- "package": "hello"}.
--
-- When the package has no maintainer of its own, or there is no package, it
-- is who maintains the project. The maintainers of its devel package count as
-- well. See obs.holders().
SELECT pass.event_id, h.recipient_id
  FROM pass
 CROSS JOIN LATERAL obs.holders(pass.payload ->> 'project',
                                pass.payload ->> 'package', 'maintainer') AS h
