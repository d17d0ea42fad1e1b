-- LiteLLM's names where it has one; times are UTC. See docs/store.md.
CREATE TABLE spend_logs (
  request_id TEXT NOT NULL PRIMARY KEY,
  started_us BIGINT NOT NULL,
  total_us BIGINT NOT NULL,
  overhead_us BIGINT NOT NULL,
  first_byte_us BIGINT,
  first_content_us BIGINT,
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
  http_status BIGINT,
  error TEXT,
  cost_pico BIGINT,
  unknown_cost TEXT,
  total_tokens BIGINT,
  prompt_tokens BIGINT,
  completion_tokens BIGINT,
  input_tokens BIGINT,
  cache_read_tokens BIGINT,
  cache_write_5m_tokens BIGINT,
  cache_write_1h_tokens BIGINT,
  cache_write_unsplit_tokens BIGINT,
  told_input_tokens BIGINT,
  told_output_tokens BIGINT,
  told_cache_read_tokens BIGINT,
  told_cache_write_tokens BIGINT,
  images BIGINT,
  input_images BIGINT,
  video_seconds BIGINT,
  audio_seconds BIGINT,
  search_queries BIGINT,
  service_tier TEXT,
  usage_partial BOOLEAN NOT NULL,
  stream BOOLEAN NOT NULL,
  marks TEXT,
  attempts BIGINT NOT NULL,
  request_bytes BIGINT NOT NULL,
  answer_bytes BIGINT NOT NULL,
  core BIGINT NOT NULL,
  spend NUMERIC GENERATED ALWAYS AS (cost_pico * 0.000000000001) STORED,
  "startTime" TIMESTAMP NOT NULL GENERATED ALWAYS AS
    (TIMESTAMP 'epoch' + started_us * INTERVAL '1 microsecond') STORED,
  "endTime" TIMESTAMP NOT NULL GENERATED ALWAYS AS
    (TIMESTAMP 'epoch' + (started_us + total_us) * INTERVAL '1 microsecond') STORED,
  "completionStartTime" TIMESTAMP GENERATED ALWAYS AS
    (TIMESTAMP 'epoch' + (started_us + first_content_us) * INTERVAL '1 microsecond') STORED,
  request_duration_ms BIGINT GENERATED ALWAYS AS (total_us / 1000) STORED,
  custom_llm_provider TEXT NOT NULL DEFAULT 'bedrock'
);
CREATE INDEX spend_logs_started ON spend_logs (started_us);
CREATE INDEX spend_logs_api_key ON spend_logs (api_key, started_us);
CREATE INDEX spend_logs_call_id ON spend_logs (litellm_call_id) WHERE litellm_call_id IS NOT NULL;
CREATE TABLE seen_requests (
  request_id TEXT NOT NULL PRIMARY KEY,
  started_us BIGINT NOT NULL
);
CREATE INDEX seen_requests_started ON seen_requests (started_us);
CREATE TABLE daily_spend (
  day TEXT NOT NULL,
  api_key TEXT NOT NULL,
  model_group TEXT NOT NULL,
  model TEXT NOT NULL,
  deployment TEXT NOT NULL,
  region TEXT NOT NULL,
  requests BIGINT NOT NULL,
  failures BIGINT NOT NULL,
  unknown BIGINT NOT NULL,
  input_tokens BIGINT NOT NULL,
  output_tokens BIGINT NOT NULL,
  cache_read_tokens BIGINT NOT NULL,
  cache_write_5m_tokens BIGINT NOT NULL,
  cache_write_1h_tokens BIGINT NOT NULL,
  cache_write_unsplit_tokens BIGINT NOT NULL,
  cost_usd BIGINT NOT NULL,
  cost_pico BIGINT NOT NULL,
  spend NUMERIC GENERATED ALWAYS AS (cost_usd + cost_pico * 0.000000000001) STORED,
  PRIMARY KEY (day, api_key, model_group, model, deployment, region)
);
