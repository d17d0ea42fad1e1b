-- Many requests in one row: see chunk.rs. What was there moves along, 256 at a time, each with its own names.
CREATE TABLE spend_chunks (
  id INTEGER NOT NULL PRIMARY KEY,
  first_id TEXT NOT NULL,
  last_id TEXT NOT NULL,
  ids TEXT NOT NULL,
  names TEXT,
  rows TEXT
);
CREATE TABLE spend_calls (
  litellm_call_id TEXT NOT NULL,
  request_id TEXT NOT NULL,
  PRIMARY KEY (litellm_call_id, request_id)
) WITHOUT ROWID;
CREATE INDEX spend_calls_request_id ON spend_calls (request_id);
DROP VIEW IF EXISTS spend_logs;
INSERT INTO spend_chunks (first_id, last_id, ids, names, rows)
SELECT
  MIN(request_id),
  MAX(request_id),
  group_concat(request_id, '' ORDER BY at),
  '[' || group_concat(names, ',' ORDER BY at) || ']',
  '[' || group_concat(
    '[' || (at % 256) || ',' || coalesce(json_quote(litellm_call_id), 'null') || ',' || substr(detail, 2), ',' ORDER BY at
  ) || ']'
FROM (SELECT row_number() OVER (ORDER BY request_id) - 1 AS at, * FROM spend_rows)
GROUP BY at / 256;
INSERT INTO spend_calls (litellm_call_id, request_id)
SELECT litellm_call_id, request_id FROM spend_rows WHERE litellm_call_id IS NOT NULL;
INSERT INTO spend_chunks (first_id, last_id, ids)
SELECT MIN(request_id), MAX(request_id), group_concat(request_id, '' ORDER BY at)
FROM (SELECT row_number() OVER (ORDER BY request_id) - 1 AS at, request_id FROM seen_requests)
GROUP BY at / 256;
DROP TABLE spend_rows;
DROP TABLE seen_requests;
CREATE INDEX spend_chunks_last_id ON spend_chunks (last_id, first_id);
