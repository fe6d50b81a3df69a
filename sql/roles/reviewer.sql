-- reviewer - who is asked to review the request.
--
--     {"reviewers": [{"user_id": 17}, {"group_id": 3}]}  these and no others
--     {"number": 548912}   all reviews of the request, whatever their state
--
-- A review by a project or package is one by its maintainers.
SELECT pass.event_id, p.recipient_id
  FROM pass
 CROSS JOIN LATERAL postbatch.elements(pass.payload -> 'reviewers') AS r
 CROSS JOIN LATERAL obs.people(postbatch.to_bigint(r ->> 'user_id'),
                               postbatch.to_bigint(r ->> 'group_id')) AS p
UNION ALL
SELECT pass.event_id, w.recipient_id
  FROM pass
  JOIN obs.requests AS q
    ON q.number = postbatch.to_bigint(pass.payload ->> 'number')
  JOIN obs.reviews AS v ON v.request_id = q.id
 CROSS JOIN LATERAL (
       SELECT u.recipient_id FROM obs.users AS u WHERE u.login = v.by_user
       UNION ALL
       SELECT p.recipient_id
         FROM obs.groups AS g
        CROSS JOIN LATERAL obs.people(NULL, g.id) AS p
        WHERE g.title = v.by_group
       UNION ALL
       SELECT h.recipient_id
         FROM obs.holders(v.by_project, v.by_package, 'maintainer') AS h) AS w
 WHERE jsonb_typeof(pass.payload -> 'reviewers') IS DISTINCT FROM 'array'
