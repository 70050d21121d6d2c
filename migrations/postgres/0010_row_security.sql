-- The second lock between tenants: row-level security. The server calls these at every start, since who may make roles, and who
-- the server comes as, is known then. neural_guard_engine sees every row; neural_guard_api those of the tenant that the
-- transaction names in neural_guard.tenant, and none without.

-- Makes a role that nobody can log in as, unless it is there, and lets a login act as it.
CREATE FUNCTION guard_lend_role(role_name TEXT, login TEXT) RETURNS VOID
LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role_name) THEN
        BEGIN
            EXECUTE format('CREATE ROLE %I NOLOGIN', role_name);
        EXCEPTION WHEN duplicate_object OR unique_violation THEN
            -- Roles belong to the whole server: one of another database was quicker.
            NULL;
        END;
    END IF;
    IF NOT pg_has_role(login, role_name, 'USAGE') THEN
        EXECUTE format('GRANT %I TO %I', role_name, login);
    END IF;
END
$$;

-- Lets the interface do this much to a table.
CREATE FUNCTION guard_allow_api(table_name TEXT, privileges TEXT[]) RETURNS VOID
LANGUAGE plpgsql AS $$
DECLARE
    privilege TEXT;
BEGIN
    FOREACH privilege IN ARRAY privileges LOOP
        IF NOT has_table_privilege('neural_guard_api', table_name, privilege) THEN
            EXECUTE format('GRANT %s ON %I TO neural_guard_api', privilege, table_name);
        END IF;
    END LOOP;
END
$$;

-- Puts a table under forced row-level security.
CREATE FUNCTION guard_enclose(table_name TEXT) RETURNS VOID
LANGUAGE plpgsql AS $$
BEGIN
    IF NOT (SELECT relforcerowsecurity FROM pg_class WHERE oid = table_name::regclass) THEN
        EXECUTE format('DROP POLICY IF EXISTS engine ON %I', table_name);
        EXECUTE format('DROP POLICY IF EXISTS tenant ON %I', table_name);
        EXECUTE format('CREATE POLICY engine ON %I TO neural_guard_engine USING (true)', table_name);
        EXECUTE format(
            'CREATE POLICY tenant ON %I TO neural_guard_api USING (tenant = current_setting(''neural_guard.tenant'', true))',
            table_name);
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', table_name);
    END IF;
END
$$;
