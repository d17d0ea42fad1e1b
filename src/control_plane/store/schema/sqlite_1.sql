-- See docs/store.md. `spend_logs` is a view of these two, made from the list of columns: see packed.rs.
CREATE TABLE spend_names (
  id INTEGER NOT NULL PRIMARY KEY,
  api_key TEXT NOT NULL,
  api_key_alias TEXT NOT NULL,
  model TEXT NOT NULL,
  model_id TEXT NOT NULL,
  model_group TEXT NOT NULL,
  region TEXT NOT NULL,
  api_base TEXT NOT NULL,
  UNIQUE (api_key, api_key_alias, model, model_id, model_group, region, api_base)
);
-- Ids begin with their time: new rows go to the table's end, and a time is a range of ids.
CREATE TABLE spend_rows (
  request_id TEXT NOT NULL PRIMARY KEY,
  names INTEGER NOT NULL,
  litellm_call_id TEXT,
  detail TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX spend_rows_call_id ON spend_rows (litellm_call_id) WHERE litellm_call_id IS NOT NULL;
CREATE TABLE seen_requests (
  request_id TEXT NOT NULL PRIMARY KEY
) WITHOUT ROWID;
CREATE TABLE daily_spend (
  day TEXT NOT NULL,
  api_key TEXT NOT NULL,
  model_group TEXT NOT NULL,
  model TEXT NOT NULL,
  deployment TEXT NOT NULL,
  region TEXT NOT NULL,
  requests INTEGER NOT NULL,
  failures INTEGER NOT NULL,
  unknown INTEGER NOT NULL,
  input_tokens INTEGER NOT NULL,
  output_tokens INTEGER NOT NULL,
  cache_read_tokens INTEGER NOT NULL,
  cache_write_5m_tokens INTEGER NOT NULL,
  cache_write_1h_tokens INTEGER NOT NULL,
  cache_write_unsplit_tokens INTEGER NOT NULL,
  cost_usd INTEGER NOT NULL,
  cost_pico INTEGER NOT NULL,
  spend REAL GENERATED ALWAYS AS (cost_usd + cost_pico / 1000000000000.0) VIRTUAL,
  PRIMARY KEY (day, api_key, model_group, model, deployment, region)
) WITHOUT ROWID;
