//! Errors in the shape AWS SDKs understand.
