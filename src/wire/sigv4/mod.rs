//! AWS Signature Version 4, without I/O.
