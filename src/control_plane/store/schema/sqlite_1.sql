-- LiteLLM's names where it has one; see docs/store.md. What is derived stands in a view: SQLite computes
-- virtual columns at each INSERT, and the calendar's were half of what a row cost.
CREATE TABLE spend_rows (
  request_id TEXT NOT NULL PRIMARY KEY,
  started_us INTEGER NOT NULL,
  total_us INTEGER NOT NULL,
  overhead_us INTEGER NOT NULL,
  first_byte_us INTEGER,
  first_content_us INTEGER,
  call_type TEXT,
  api_key TEXT NOT NULL,
  api_key_alias TEXT NOT NULL,
  model TEXT NOT NULL,
  model_id TEXT NOT NULL,
  model_group TEXT NOT NULL,
  region TEXT NOT NULL,
  api_base TEXT NOT NULL,
  requester_ip_address TEXT,
  litellm_call_id TEXT,
  upstream_request_id TEXT,
  status TEXT NOT NULL,
  outcome TEXT NOT NULL,
  http_status INTEGER,
  error TEXT,
  cost_pico INTEGER,
  unknown_cost TEXT,
  total_tokens INTEGER,
  prompt_tokens INTEGER,
  completion_tokens INTEGER,
  input_tokens INTEGER,
  cache_read_tokens INTEGER,
  cache_write_5m_tokens INTEGER,
  cache_write_1h_tokens INTEGER,
  cache_write_unsplit_tokens INTEGER,
  told_input_tokens INTEGER,
  told_output_tokens INTEGER,
  told_cache_read_tokens INTEGER,
  told_cache_write_tokens INTEGER,
  images INTEGER,
  input_images INTEGER,
  video_seconds INTEGER,
  audio_seconds INTEGER,
  search_queries INTEGER,
  service_tier TEXT,
  usage_partial INTEGER NOT NULL,
  stream INTEGER NOT NULL,
  marks TEXT,
  attempts INTEGER NOT NULL,
  request_bytes INTEGER NOT NULL,
  answer_bytes INTEGER NOT NULL,
  core INTEGER NOT NULL
);
CREATE INDEX spend_logs_started ON spend_rows (started_us);
CREATE INDEX spend_logs_api_key ON spend_rows (api_key, started_us);
CREATE INDEX spend_logs_call_id ON spend_rows (litellm_call_id) WHERE litellm_call_id IS NOT NULL;
CREATE VIEW spend_logs AS SELECT *,
  cost_pico / 1000000000000.0 AS spend,
  strftime('%Y-%m-%dT%H:%M:%fZ', started_us / 1000000.0, 'unixepoch') AS "startTime",
  strftime('%Y-%m-%dT%H:%M:%fZ', (started_us + total_us) / 1000000.0, 'unixepoch') AS "endTime",
  strftime('%Y-%m-%dT%H:%M:%fZ', (started_us + first_content_us) / 1000000.0, 'unixepoch')
    AS "completionStartTime",
  total_us / 1000 AS request_duration_ms,
  'bedrock' AS custom_llm_provider
FROM spend_rows;
CREATE TABLE seen_requests (
  request_id TEXT NOT NULL PRIMARY KEY,
  started_us INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX seen_requests_started ON seen_requests (started_us);
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
