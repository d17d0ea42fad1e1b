//! config.yaml (LiteLLM's keys) → checked settings; errors with file, line and key.
