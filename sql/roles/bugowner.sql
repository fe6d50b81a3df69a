-- bugowner - who takes care of the bugs of the package: {"project":
-- "openSUSE:Factory", "package": "hello"}.
--
-- Found like the maintainer: package, else project, and devel package. See
-- obs.holders().
SELECT pass.event_id, h.recipient_id
  FROM pass
 CROSS JOIN LATERAL obs.holders(pass.payload ->> 'project',
                                pass.payload ->> 'package', 'bugowner') AS h
