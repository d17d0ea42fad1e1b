//! Sans-IO protocol cores: bytes in, facts out.

pub mod http1;
pub mod sigv4;
