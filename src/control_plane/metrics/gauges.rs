//! What no entry says: the cores' own counts, the ledger, the log.

use super::exposition::{Decimal, Family, Labels, Page};
use crate::{boundary::counters::CoreCounts, control_plane::reload::ReloadCounts};

/// What no entry says, as it is at the scrape.
#[derive(Clone, Copy, Debug, Default)]
pub struct Gauges<'g> {
    /// Of each core, in their order.
    pub cores: &'g [CoreCounts],
    /// Processor time of each core's thread, in microseconds.
    pub busy_us: &'g [u64],
    /// The ledger's, of all cores.
    pub ledger: LedgerCounts,
    /// Entries' bytes that wait in segment files.
    pub spill_bytes: u64,
    /// For how long the store has taken nothing, in milliseconds; 0: it takes what it is given.
    pub store_away_ms: u64,
    /// [`AccessLog::dropped`](super::super::access_log::AccessLog::dropped).
    pub access_log_dropped: u64,
    /// [`AccessLog::write_errors`](super::super::access_log::AccessLog::write_errors).
    pub access_log_write_errors: u64,
    /// How reloads of the configuration went.
    pub reloads: ReloadCounts,
    /// Outcrop's.
    pub version: &'g str,
    /// `io_uring` or `epoll`.
    pub driver: &'g str,
}

/// The cores' ledgers together.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct LedgerCounts {
    /// Entries that wait, now.
    pub depth: u64,
    /// Entries that may wait.
    pub capacity: u64,
    /// Entries that found no room, ever.
    pub lost: u64,
    /// Entries that were found torn, ever.
    pub torn: u64,
}

impl Gauges<'_> {
    pub(super) fn render(&self, page: &mut Page) {
        let in_flight: u64 = self.cores.iter().map(|core| core.in_flight).sum();
        page.gauge("litellm_in_flight_requests", "Requests under way.").sample(&[], in_flight);
        self.cores(page);
        self.connections_to_upstream(page);
        self.ledgers(page);
        let mut counter = |name, help, count: u64| page.counter(name, help).sample(&[], count);
        counter(
            "outcrop_access_log_dropped_total",
            "Lines of the access log that found no room in its queue.",
            self.access_log_dropped,
        );
        counter(
            "outcrop_access_log_write_errors_total",
            "Writes of the access log that failed; they are tried again.",
            self.access_log_write_errors,
        );
        self.reloads(page);
        let build = Labels::of(&[("version", self.version), ("driver", self.driver)]);
        page.gauge("outcrop_build_info", "Always 1; its labels say what runs.")
            .sample(&[&build], 1);
    }

    fn cores(&self, page: &mut Page) {
        let now: [PerCore<CoreCounts>; 2] = [
            ("outcrop_connections", "Client connections, now.", |core| core.connections_open),
            ("outcrop_in_flight_requests", "Requests under way, by core.", |core| core.in_flight),
        ];
        for (name, help, count) in now {
            per_core(page.gauge(name, help), self.cores, count);
        }
        let ever: [PerCore<CoreCounts>; 6] = [
            ("outcrop_connections_accepted_total", "Client connections.", |core| {
                core.connections_accepted
            }),
            (
                "outcrop_requests_total",
                "Requests whose head was whole, pages among them.",
                |core| core.requests,
            ),
            (
                "outcrop_exchange_panics_total",
                "Exchanges that panicked: each cost one connection, and is a fault of Outcrop's to report.",
                |core| core.panics,
            ),
            (
                "outcrop_accept_failures_total",
                "Times that no connection could be accepted, mostly for want of descriptors.",
                |core| core.accepts_failed,
            ),
            (
                "outcrop_requests_shed_total",
                "Requests refused with 503 because as much was under way as may be.",
                |core| core.requests_shed,
            ),
            (
                "outcrop_connections_refused_total",
                "Connections refused with 503 because as many were open as may be.",
                |core| core.connections_refused,
            ),
        ];
        for (name, help, count) in ever {
            per_core(page.counter(name, help), self.cores, count);
        }
        let mut family = page.counter(
            "outcrop_core_busy_seconds_total",
            "Processor time of the core's thread; its rate is the core's load.",
        );
        for (index, busy_us) in self.busy_us.iter().enumerate() {
            family.sample(&[&core_label(index)], Decimal::<6>((*busy_us).into()));
        }
    }

    fn reloads(&self, page: &mut Page) {
        let ReloadCounts { taken, refused, is_last_ok, in_force_since } = self.reloads;
        let mut family = page.counter(
            "outcrop_config_reloads_total",
            "Reloads of the configuration (SIGHUP): taken, or refused for an error in it.",
        );
        for (outcome, count) in [("taken", taken), ("refused", refused)] {
            family.sample(&[&Labels::of(&[("outcome", outcome)])], count);
        }
        page.gauge(
            "outcrop_config_last_reload_ok",
            "1: the configuration held no error when it was last read; 0: an older one is in force.",
        )
        .sample(&[], u64::from(is_last_ok));
        page.gauge(
            "outcrop_config_in_force_since_seconds",
            "When the configuration in force was read, in seconds since 1970.",
        )
        .sample(&[], in_force_since);
    }

    fn connections_to_upstream(&self, page: &mut Page) {
        let mut family = page.counter(
            "outcrop_upstream_connections_total",
            "Connections that requests to upstream went on: made for it, or reused.",
        );
        let total = |of: fn(&CoreCounts) -> u64| self.cores.iter().map(of).sum::<u64>();
        family.sample(&[&Labels::of(&[("reused", "false")])], total(|core| core.upstream_connects));
        family.sample(&[&Labels::of(&[("reused", "true")])], total(|core| core.upstream_reuses));
    }

    fn ledgers(&self, page: &mut Page) {
        let LedgerCounts { depth, capacity, lost, torn } = self.ledger;
        let mut gauge = |name, help, count: u64| page.gauge(name, help).sample(&[], count);
        gauge("outcrop_ledger_depth", "Entries that wait for the store.", depth);
        gauge("outcrop_ledger_capacity", "Entries that may wait before they are lost.", capacity);
        let mut counter = |name, help, count: u64| page.counter(name, help).sample(&[], count);
        counter("outcrop_ledger_lost_total", "Entries that found no room anywhere.", lost);
        counter("outcrop_ledger_torn_total", "Entries that were found torn after a crash.", torn);
        page.gauge("outcrop_spill_bytes", "Entries that wait in segment files, in bytes.")
            .sample(&[], self.spill_bytes);
        page.gauge(
            "outcrop_store_away_seconds",
            "For how long the store has taken nothing; 0: it takes what it is given.",
        )
        .sample(&[], Decimal::<3>(self.store_away_ms.into()));
    }
}

/// Name, help, and the number of one core.
type PerCore<T> = (&'static str, &'static str, fn(&T) -> u64);

fn per_core<T>(mut family: Family<'_>, all: &[T], count: fn(&T) -> u64) {
    for (index, one) in all.iter().enumerate() {
        family.sample(&[&core_label(index)], count(one));
    }
}

fn core_label(index: usize) -> Labels {
    Labels::of(&[("core", &index.to_string())])
}
