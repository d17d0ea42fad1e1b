//! Not for use: whole runs of the balancer in virtual time, each strategy against its definition and each
//! promise of `docs/reliability.md` against faults. Seeded: a run that fails, fails again.

mod faults;
mod strategies;
mod world;
