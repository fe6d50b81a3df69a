-- group_part - what is put around a few role parts within route.sql when
-- there are many roles: an event whose type names none of them passes the
-- group in one step. A role or a group that is passed costs 800 to 900
-- instructions an event.
--
-- Below, the word in braces is the sum of the bits of the group's roles in
-- postbatch.role_mask(), and the line with "roles" in braces gives way to
-- role_part.sql for each of them, with UNION ALL in between.
(SELECT * FROM (
--{roles}
        OFFSET 0) AS g
  WHERE p.role_mask & {role_bits} <> 0)
