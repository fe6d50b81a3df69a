-- target_maintainer - who maintains the target of an action of the request:
-- {"actions": [{"targetproject": "openSUSE:Factory",
-- "targetpackage": "hello"}]}.
--
-- Each target counts once; its maintainers are found by obs.holders(), as for
-- the role maintainer.
SELECT pass.event_id, h.recipient_id
  FROM pass
 CROSS JOIN LATERAL (
       SELECT DISTINCT a ->> 'targetproject' AS project,
                       a ->> 'targetpackage' AS package
         FROM postbatch.elements(pass.payload -> 'actions') AS a) AS a
 CROSS JOIN LATERAL obs.holders(a.project, a.package, 'maintainer') AS h
