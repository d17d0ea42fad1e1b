//! Messages that no honest peer sends, over real sockets: what the proxy answers, that it closes, and
//! that nothing of them reaches the other side. Numbers as C6 or U5 are rows of the reliability guide.

mod answers;
mod content;
mod fields;
mod framing;
mod heads;
mod rig;
mod targets;
mod truncated;
