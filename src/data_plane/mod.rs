//! One pinned thread per core: accepts, authenticates, signs, relays.
//!
//! Read [`exchange`] first: it is the road of one request. A core shares nothing with another but the
//! published snapshot; inside a core everything is `Rc` and `Cell`, and no borrow is held across an
//! `.await`.

pub mod accept;
pub mod account;
pub mod answer;
pub mod attempt;
pub mod connection;
pub mod dispatch;
pub mod door;
pub mod errand;
pub mod exchange;
pub mod hold;
pub mod http2;
pub mod inbox;
pub mod intake;
pub mod outflow;
pub mod place;
pub mod pool;
pub mod relay;
pub mod renewal;
pub mod reply;
pub mod request;
pub mod scratch;
pub mod skew;
pub mod tap;
pub mod trials;
pub mod turn;
pub mod upstream;
pub mod wishes;
pub mod worker;
