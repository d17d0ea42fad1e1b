//! Stores that fail, hang, crawl and lie; disks that are full; deaths. In virtual time.

mod any_history;
mod death;
mod segments;
mod store;
mod world;
