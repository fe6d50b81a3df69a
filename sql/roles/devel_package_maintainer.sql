-- devel_package_maintainer - who maintains the devel package that the payload
-- names: {"develproject": "devel:tools", "develpackage": "hello"}.
SELECT pass.event_id, h.recipient_id
  FROM pass
 CROSS JOIN LATERAL obs.holders(pass.payload ->> 'develproject',
                                pass.payload ->> 'develpackage',
                                'maintainer') AS h
