-- ledger - records what became of letters, a few hundred in a statement. COPY
--
--     COPY postbatch.ledger (at, batch_id, recipient_id, event_id,
--         more_events, verdict, code, enhanced, role, attempt, reply)
--     FROM STDIN (FORMAT binary)
--
-- is cheaper from about three thousand rows on, and writes less WAL always.
--
-- A pair of recipient and event that was left out of its letter, because the
-- event is poison, gets a row of its own (skipped): "resend" finds by it.
--
-- Parameters, parallel arrays, a letter at each place:
--   $1 bigint[]    origin batch     $2 bigint[]  recipient
--   $3 bigint[]    first event      $4 text[]    its other events as an array
--                                                literal '{4,5}', or NULL
--   $5 smallint[]  verdict          $6 smallint[] reply code, or NULL
--   $7 text[]      enhanced code    $8 smallint[] role
--   $9 smallint[]  attempt          $10 text[]   reply or reason, or NULL
-- Result: none.
INSERT INTO postbatch.ledger (batch_id, recipient_id, event_id, more_events,
                              verdict, code, enhanced, role, attempt, reply)
SELECT batch_id, recipient_id, event_id, more_events::bigint[], verdict, code,
       enhanced, role, attempt, reply
  FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::text[],
              $5::smallint[], $6::smallint[], $7::text[], $8::smallint[],
              $9::smallint[], $10::text[])
       AS l (batch_id, recipient_id, event_id, more_events, verdict, code,
             enhanced, role, attempt, reply)
