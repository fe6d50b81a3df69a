-- source_maintainer - who maintains the source of an action of the request:
-- {"actions": [{"sourceproject": "openSUSE:Factory",
-- "sourcepackage": "hello"}]}.
--
-- Each source counts once; its maintainers are found by obs.holders(), as for
-- the role maintainer.
SELECT pass.event_id, h.recipient_id
  FROM pass
 CROSS JOIN LATERAL (
       SELECT DISTINCT a ->> 'sourceproject' AS project,
                       a ->> 'sourcepackage' AS package
         FROM postbatch.elements(pass.payload -> 'actions') AS a) AS a
 CROSS JOIN LATERAL obs.holders(a.project, a.package, 'maintainer') AS h
