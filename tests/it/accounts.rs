//! One row per request that AWS may have seen, one log line per request, and what they say.
//!
//! Costs are computed here, by hand, from the stand-in's rule: a token for each four bytes of content, and
//! one for each delta of text.

pub mod books;
mod faults;
mod leaving;
mod whole;
