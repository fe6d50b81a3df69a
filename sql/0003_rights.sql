-- 0003 - who may do what.
--
--   postbatch_app     applications: may emit, and nothing else
--   postbatch_worker  the dispatcher: works on the tables, owns none
--
-- Neither can log in; grant them to the users who do:
--
--     GRANT postbatch_app TO the_web_application;
--     GRANT postbatch_worker TO the_dispatcher;

-- Gives both roles their rights. Later migrations that add a table call it
-- again; so does an administrator who had to create the roles first.
CREATE FUNCTION postbatch.grant_rights() RETURNS void LANGUAGE plpgsql
  AS $$
BEGIN
  REVOKE ALL ON ALL FUNCTIONS IN SCHEMA postbatch FROM PUBLIC;
  IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'postbatch_app') THEN
    GRANT USAGE ON SCHEMA postbatch TO postbatch_app;
    GRANT EXECUTE ON FUNCTION postbatch.emit(text, jsonb, text),
      postbatch.emit(text, text, text), postbatch.emit(text, jsonb[])
      TO postbatch_app;
  END IF;
  IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'postbatch_worker') THEN
    GRANT USAGE ON SCHEMA postbatch TO postbatch_worker;
    -- TRUNCATE is what empties the leaves of the logs.
    GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE
      ON ALL TABLES IN SCHEMA postbatch TO postbatch_worker;
    REVOKE INSERT, UPDATE, DELETE, TRUNCATE ON postbatch.schema_version
      FROM postbatch_worker;
    GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA postbatch
      TO postbatch_worker;
    GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA postbatch TO postbatch_worker;
    REVOKE EXECUTE ON FUNCTION postbatch.grant_rights() FROM postbatch_worker;
  END IF;
END $$;

DO $$
DECLARE
  wanted text;
BEGIN
  FOREACH wanted IN ARRAY ARRAY['postbatch_app', 'postbatch_worker'] LOOP
    BEGIN
      IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = wanted) THEN
        EXECUTE format('CREATE ROLE %I NOLOGIN', wanted);
      END IF;
    EXCEPTION
      WHEN insufficient_privilege THEN
        RAISE NOTICE 'the role % is missing and % may not create roles',
          wanted, current_user
          USING HINT = format('An administrator should run: CREATE ROLE %I'
            ' NOLOGIN; and then, in this database: SELECT'
            ' postbatch.grant_rights();', wanted);
      WHEN duplicate_object OR unique_violation THEN
        NULL;  -- somebody else has just created it
    END;
  END LOOP;
  PERFORM postbatch.grant_rights();
END $$;
