-- fetch_events - events of one leaf, within a budget of memory.
--
-- Parameters:
--   $1 smallint  the leaf: id & 15 of each of them
--   $2 bigint[]  event ids, each once
--   $3 int       largest payload, in bytes of text
--   $4 bigint    most bytes of payload in all; at least $3
-- Result, in no order; an event that is gone has no row:
--   id bigint, type text,
--   payload text (JSON); NULL when too large, or beyond the budget
--   created_us bigint (microseconds since 1970),
--   too_large boolean
SELECT id, type,
       CASE WHEN octet_length(payload) <= $3::int
             AND sum(CASE WHEN octet_length(payload) <= $3::int
                          THEN octet_length(payload) ELSE 0 END)
                   OVER (ROWS UNBOUNDED PRECEDING) <= $4::bigint
            THEN payload END AS payload,
       created_us, octet_length(payload) > $3::int AS too_large
  FROM (SELECT id, type, payload::text AS payload,
               (date_part('epoch', created_at) * 1000000)::bigint
                 AS created_us
          FROM postbatch.event
         WHERE ring = $1::smallint AND id = ANY ($2::bigint[])
        OFFSET 0) AS e
