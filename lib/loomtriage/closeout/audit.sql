-- The audit of replays, and the role that makes them. Run once, as the owner of the outbox tables:
--   loomtriage close-out sql | psql "$OWNER_DATABASE_URL"
--   psql "$OWNER_DATABASE_URL" -c '\password loomtriage_replayer'
-- Running it again changes nothing.

CREATE TABLE IF NOT EXISTS outbox_replay_audit (
    plan_sha256 text NOT NULL,
    row_id      uuid NOT NULL,
    table_name  text NOT NULL,
    batch       integer NOT NULL,
    is_canary   boolean NOT NULL,
    replayed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    who         text NOT NULL CHECK (who <> ''),
    why         text NOT NULL CHECK (why <> ''),
    fixed       text NOT NULL,
    db_role     text NOT NULL DEFAULT session_user,
    before      jsonb NOT NULL,
    after       jsonb NOT NULL,
    -- One plan replays a row once, however often it is run.
    PRIMARY KEY (plan_sha256, row_id)
);
CREATE INDEX IF NOT EXISTS idx_outbox_replay_audit_row ON outbox_replay_audit (row_id);

-- History is added to and never changed, by nobody.
CREATE OR REPLACE FUNCTION outbox_replay_audit_is_append_only() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'outbox_replay_audit is append-only';
END $$;
CREATE OR REPLACE TRIGGER append_only
    BEFORE UPDATE OR DELETE OR TRUNCATE ON outbox_replay_audit
    FOR EACH STATEMENT EXECUTE FUNCTION outbox_replay_audit_is_append_only();

DO $$
DECLARE outbox text;
BEGIN
    IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'loomtriage_replayer') THEN
        CREATE ROLE loomtriage_replayer LOGIN CONNECTION LIMIT 4 NOINHERIT;
    END IF;
    EXECUTE format('GRANT CONNECT ON DATABASE %I TO loomtriage_replayer', current_database());
    GRANT USAGE ON SCHEMA public TO loomtriage_replayer;
    GRANT SELECT, INSERT ON outbox_replay_audit TO loomtriage_replayer;
    FOREACH outbox IN ARRAY ARRAY['search_outbox_events', 'chronicle_outbox_events'] LOOP
        IF to_regclass(outbox) IS NOT NULL THEN
            EXECUTE format('GRANT SELECT ON %I TO loomtriage_replayer', outbox);
            -- What a replay writes, and not one column more.
            EXECUTE format('GRANT UPDATE (status, attempts, owner, lease_until,'
                ' processing_started_at, next_retry_at, error_reason, error, replay_count,'
                ' last_replayed_at, last_replayed_by, last_replayed_reason, updated_at)'
                ' ON %I TO loomtriage_replayer', outbox);
        END IF;
    END LOOP;
    IF to_regclass('environment_sentinel') IS NOT NULL THEN
        GRANT SELECT ON environment_sentinel TO loomtriage_replayer;
    END IF;
    IF to_regclass('lab_marker') IS NOT NULL THEN
        GRANT SELECT ON lab_marker TO loomtriage_replayer;
    END IF;
    IF EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'loomtriage_reader') THEN
        GRANT SELECT ON outbox_replay_audit TO loomtriage_reader;
    END IF;
END $$;
