-- The lab's tables, column for column what Wordloom's own workers and API expect, so that they run
-- here unchanged. Two consequences that surprise:
--   * neither outbox has a correlation id; it travels in the W3C trace state of the row;
--   * ids, event_version and replay_count have no server default: the writer supplies them.

-- Business tables, as little as the API and the projections need.

CREATE TABLE books (
    id            uuid PRIMARY KEY,
    library_id    uuid,
    title         text NOT NULL,
    created_at    timestamptz NOT NULL DEFAULT now(),
    updated_at    timestamptz NOT NULL DEFAULT now(),
    event_version bigint NOT NULL DEFAULT 0
);

CREATE TABLE blocks (
    id            uuid PRIMARY KEY,
    library_id    uuid,
    book_id       uuid REFERENCES books (id) ON DELETE CASCADE,
    text          text NOT NULL,
    created_at    timestamptz NOT NULL DEFAULT now(),
    updated_at    timestamptz NOT NULL DEFAULT now(),
    event_version bigint NOT NULL DEFAULT 0
);
CREATE INDEX ix_blocks_book_id ON blocks (book_id);

CREATE TABLE tags (
    id            uuid PRIMARY KEY,
    library_id    uuid,
    title         text NOT NULL,
    created_at    timestamptz NOT NULL DEFAULT now(),
    updated_at    timestamptz NOT NULL DEFAULT now(),
    event_version bigint NOT NULL DEFAULT 0
);

-- The two outboxes: one table per projection, equal columns.

CREATE TABLE search_outbox_events (
    id                    uuid PRIMARY KEY,
    entity_type           varchar(50) NOT NULL,
    entity_id             uuid NOT NULL,
    op                    varchar(20) NOT NULL,
    event_version         bigint NOT NULL,
    created_at            timestamptz NOT NULL DEFAULT now(),
    updated_at            timestamptz NOT NULL DEFAULT now(),
    status                varchar(20) NOT NULL DEFAULT 'pending',
    owner                 varchar(120),
    lease_until           timestamptz,
    processing_started_at timestamptz,
    attempts              integer NOT NULL DEFAULT 0,
    next_retry_at         timestamptz,
    processed_at          timestamptz,
    error_reason          varchar(80),
    error                 text,
    traceparent           varchar(512),
    tracestate            text,
    replay_count          integer NOT NULL,
    last_replayed_at      timestamptz,
    last_replayed_by      varchar(120),
    last_replayed_reason  text
);
CREATE INDEX idx_search_outbox_entity ON search_outbox_events (entity_type, entity_id);
CREATE INDEX idx_search_outbox_processed ON search_outbox_events (processed_at);
CREATE INDEX idx_search_outbox_claim
    ON search_outbox_events (status, next_retry_at, lease_until, event_version);
CREATE INDEX idx_search_outbox_processing_started
    ON search_outbox_events (status, processing_started_at);
CREATE INDEX idx_search_outbox_error_reason ON search_outbox_events (status, error_reason);
CREATE INDEX ix_search_outbox_events_entity_type ON search_outbox_events (entity_type);
CREATE INDEX ix_search_outbox_events_entity_id ON search_outbox_events (entity_id);
CREATE INDEX ix_search_outbox_events_event_version ON search_outbox_events (event_version);
CREATE INDEX ix_search_outbox_events_status ON search_outbox_events (status);
CREATE INDEX ix_search_outbox_events_owner ON search_outbox_events (owner);
CREATE INDEX ix_search_outbox_events_lease_until ON search_outbox_events (lease_until);
CREATE INDEX ix_search_outbox_events_next_retry_at ON search_outbox_events (next_retry_at);
CREATE INDEX ix_search_outbox_events_processing_started_at
    ON search_outbox_events (processing_started_at);
CREATE INDEX ix_search_outbox_events_error_reason ON search_outbox_events (error_reason);

CREATE TABLE chronicle_outbox_events (LIKE search_outbox_events INCLUDING DEFAULTS);
ALTER TABLE chronicle_outbox_events ADD PRIMARY KEY (id);
CREATE INDEX idx_chronicle_outbox_entity ON chronicle_outbox_events (entity_type, entity_id);
CREATE INDEX idx_chronicle_outbox_processed ON chronicle_outbox_events (processed_at);
CREATE INDEX idx_chronicle_outbox_claim
    ON chronicle_outbox_events (status, next_retry_at, lease_until, event_version);
CREATE INDEX idx_chronicle_outbox_processing_started
    ON chronicle_outbox_events (status, processing_started_at);
CREATE INDEX idx_chronicle_outbox_error_reason ON chronicle_outbox_events (status, error_reason);
CREATE INDEX ix_chronicle_outbox_events_entity_type ON chronicle_outbox_events (entity_type);
CREATE INDEX ix_chronicle_outbox_events_entity_id ON chronicle_outbox_events (entity_id);
CREATE INDEX ix_chronicle_outbox_events_event_version ON chronicle_outbox_events (event_version);
CREATE INDEX ix_chronicle_outbox_events_status ON chronicle_outbox_events (status);
CREATE INDEX ix_chronicle_outbox_events_owner ON chronicle_outbox_events (owner);
CREATE INDEX ix_chronicle_outbox_events_lease_until ON chronicle_outbox_events (lease_until);
CREATE INDEX ix_chronicle_outbox_events_next_retry_at ON chronicle_outbox_events (next_retry_at);
CREATE INDEX ix_chronicle_outbox_events_processing_started_at
    ON chronicle_outbox_events (processing_started_at);
CREATE INDEX ix_chronicle_outbox_events_error_reason ON chronicle_outbox_events (error_reason);

-- What the projections read and write.

CREATE TABLE search_index (
    id            uuid PRIMARY KEY,
    entity_type   varchar(50) NOT NULL,
    library_id    uuid,
    entity_id     uuid NOT NULL,
    text          text NOT NULL,
    snippet       text,
    rank_score    double precision DEFAULT 0,
    created_at    timestamptz NOT NULL DEFAULT now(),
    updated_at    timestamptz NOT NULL DEFAULT now(),
    event_version bigint NOT NULL DEFAULT 0,
    CONSTRAINT uq_search_index_entity UNIQUE (entity_type, entity_id)
);
CREATE INDEX idx_search_index_type ON search_index (entity_type);
CREATE INDEX idx_search_index_updated ON search_index (updated_at);

CREATE TABLE chronicle_events (
    id             uuid PRIMARY KEY,
    event_type     varchar(64) NOT NULL,
    book_id        uuid NOT NULL REFERENCES books (id) ON DELETE CASCADE,
    block_id       uuid REFERENCES blocks (id) ON DELETE SET NULL,
    actor_id       uuid,
    payload        jsonb NOT NULL DEFAULT '{}',
    schema_version integer NOT NULL DEFAULT 1,
    provenance     varchar(32) NOT NULL DEFAULT 'unknown',
    source         varchar(64) NOT NULL DEFAULT 'unknown',
    actor_kind     varchar(32) NOT NULL DEFAULT 'unknown',
    correlation_id varchar(128),
    occurred_at    timestamptz NOT NULL,
    created_at     timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX ix_chronicle_events_book_time ON chronicle_events (book_id, occurred_at DESC);
CREATE INDEX ix_chronicle_events_type_time ON chronicle_events (event_type, occurred_at DESC);
CREATE INDEX ix_chronicle_events_created ON chronicle_events (created_at DESC);

CREATE TABLE chronicle_entries (
    id                 uuid PRIMARY KEY,
    event_type         varchar(64) NOT NULL,
    book_id            uuid NOT NULL REFERENCES books (id) ON DELETE CASCADE,
    block_id           uuid REFERENCES blocks (id) ON DELETE SET NULL,
    actor_id           uuid,
    occurred_at        timestamptz NOT NULL,
    created_at         timestamptz NOT NULL,
    payload            jsonb NOT NULL DEFAULT '{}',
    summary            text,
    projection_version integer NOT NULL DEFAULT 1,
    updated_at         timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX ix_chronicle_entries_time ON chronicle_entries (occurred_at, id);
CREATE INDEX ix_chronicle_entries_book_time ON chronicle_entries (book_id, occurred_at DESC);
CREATE INDEX ix_chronicle_entries_type_time ON chronicle_entries (event_type, occurred_at DESC);

CREATE TABLE chronicle_event_dedupe_state (
    event_type     varchar(64) NOT NULL,
    book_id        uuid NOT NULL REFERENCES books (id) ON DELETE CASCADE,
    block_id       uuid NOT NULL REFERENCES blocks (id) ON DELETE CASCADE,
    actor_id       uuid NOT NULL,
    window_seconds integer NOT NULL,
    last_bucket    bigint NOT NULL,
    updated_at     timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (event_type, book_id, block_id, actor_id, window_seconds)
);

CREATE TABLE projection_status (
    projection_name               varchar(100) PRIMARY KEY,
    last_rebuild_started_at       timestamptz,
    last_rebuild_finished_at      timestamptz,
    last_rebuild_duration_seconds double precision,
    last_rebuild_success          boolean,
    last_rebuild_error            text,
    updated_at                    timestamptz NOT NULL DEFAULT now()
);

-- The two locks against touching anything but a lab.

CREATE TABLE environment_sentinel (
    id         integer PRIMARY KEY,
    project    text NOT NULL,
    env        text NOT NULL CHECK (env IN ('dev', 'test', 'sandbox')),
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE lab_marker (
    lab_id text NOT NULL
);
