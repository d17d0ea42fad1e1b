//! Attempts, as clients, upstreams and the accounts see them: elsewhere, again, or not at all.

#[path = "failover/answers.rs"]
mod answers;
#[path = "failover/groups.rs"]
mod groups;
#[path = "failover/health.rs"]
mod health;
#[path = "failover/regions.rs"]
mod regions;
#[path = "failover/rules.rs"]
mod rules;
#[path = "failover/storm.rs"]
mod storm;
#[path = "failover/streams.rs"]
mod streams;
#[path = "failover/times.rs"]
mod times;
