//! A TLS Bedrock stand-in that verifies signatures and produces faults on request.
