-- offender - who is behind what was reported: {"report_last_id": 771}.
--
-- The user, the writer of the comment, the creator of the request, or the
-- maintainers of the project or package that the report names.
SELECT pass.event_id, o.recipient_id
  FROM pass
  JOIN obs.reports AS r
    ON r.id = postbatch.to_bigint(pass.payload ->> 'report_last_id')
 CROSS JOIN LATERAL (
       SELECT u.recipient_id FROM obs.users AS u
        WHERE r.reportable_type = 'User' AND u.id = r.reportable_id
       UNION ALL
       SELECT u.recipient_id
         FROM obs.comments AS c
         JOIN obs.users AS u ON u.id = c.user_id
        WHERE r.reportable_type = 'Comment' AND c.id = r.reportable_id
       UNION ALL
       SELECT u.recipient_id
         FROM obs.requests AS q
         JOIN obs.users AS u ON u.login = q.creator
        WHERE r.reportable_type = 'BsRequest' AND q.id = r.reportable_id
       UNION ALL
       SELECT h.recipient_id
         FROM obs.projects AS j
        CROSS JOIN LATERAL obs.holders(j.name, NULL, 'maintainer') AS h
        WHERE r.reportable_type = 'Project' AND j.id = r.reportable_id
       UNION ALL
       SELECT h.recipient_id
         FROM obs.packages AS k
         JOIN obs.projects AS j ON j.id = k.project_id
        CROSS JOIN LATERAL obs.holders(j.name, k.name, 'maintainer') AS h
        WHERE r.reportable_type = 'Package' AND k.id = r.reportable_id) AS o
