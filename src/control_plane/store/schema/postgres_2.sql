-- Attempts before the one that a row tells of. See docs/store.md.
ALTER TABLE spend_logs ADD COLUMN fallbacks BIGINT, ADD COLUMN failed_attempts TEXT;
