//! Request target → operation.
