-- until: when the match counts no longer, so that it can be forgotten. Nothing has been written to the table before.
ALTER TABLE windows ADD COLUMN until BIGINT NOT NULL DEFAULT 0;

CREATE INDEX windows_by_end ON windows (until);
