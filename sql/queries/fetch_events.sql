-- fetch_events - events of one leaf.
--
-- Parameters:
--   $1 smallint  the leaf: id & 15 of each of them
--   $2 bigint[]  event ids, each once
--   $3 bigint[]  runs of more events: the first id of each
--   $4 bigint[]  and the last. All events of a run are wanted
--   $5 int       largest payload, in bytes of text
-- Result, in no order; an event that is gone has no row:
--   id bigint, type text,
--   payload text (JSON); NULL when it is too large
--   created_at timestamptz
--
-- Turning a payload into text costs far more than all else about it, so what is
-- surely too large is not turned: as it is stored, or, where its values take
-- more than that once decompressed, because its strings alone do. What all
-- payloads take together is bounded by the reader, who takes them row by row and
-- stops keeping them in time.
SELECT id, type,
       CASE WHEN octet_length(payload) <= $5::int THEN payload END AS payload,
       created_at
  FROM (SELECT id, type,
               CASE WHEN pg_column_size(payload) <= $5::int
                    THEN payload::text
                    WHEN jsonb_typeof(payload) <> 'object'
                      OR (SELECT sum(octet_length(v.value))
                            FROM jsonb_each_text(payload) AS v) <= $5::int
                    THEN payload::text END AS payload,
               created_at
          FROM (SELECT id, type,
                       CASE WHEN pg_column_size(payload) <= $5::int
                            THEN payload #> '{}' END AS payload,
                       created_at
                  FROM (SELECT id, type, payload, created_at
                          FROM postbatch.event
                         WHERE ring = $1::smallint AND id = ANY ($2::bigint[])
                        UNION ALL
                        SELECT id, type, payload, created_at
                          FROM unnest($3::bigint[], $4::bigint[])
                               AS run (low, high)
                          JOIN postbatch.event
                            ON ring = $1::smallint
                           AND id BETWEEN run.low AND run.high) AS e
                OFFSET 0) AS e
        OFFSET 0) AS e
