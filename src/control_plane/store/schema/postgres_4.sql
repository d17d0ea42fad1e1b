-- What ApplyGuardrail's answers tell. See docs/store.md.
ALTER TABLE spend_logs ADD COLUMN guardrail_units BIGINT;
