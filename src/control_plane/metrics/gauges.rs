//! What no entry says: the cores' own counts, the ledger, the log.

use super::exposition::{Decimal, Family, Labels, Page};
use crate::boundary::counters::CoreCounts;

/// What no entry says, as it is at the scrape.
#[derive(Clone, Copy, Debug, Default)]
pub struct Gauges<'g> {
    /// Of each core, in their order.
    pub cores: &'g [CoreCounts],
    /// Of each core's ledger, in their order.
    pub ledgers: &'g [LedgerCounts],
    /// Entries' bytes that wait in segment files.
    pub spill_bytes: u64,
    /// For how long the store has taken nothing, in milliseconds; 0: it takes what it is given.
    pub store_away_ms: u64,
    /// [`AccessLog::dropped`](super::super::access_log::AccessLog::dropped).
    pub access_log_dropped: u64,
    /// [`AccessLog::write_errors`](super::super::access_log::AccessLog::write_errors).
    pub access_log_write_errors: u64,
    /// Outcrop's.
    pub version: &'g str,
    /// `io_uring` or `epoll`.
    pub driver: &'g str,
}

/// One core's ledger.
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
                "outcrop_connections_refused_total",
                "Client connections closed because there were too many.",
                |core| core.connections_refused,
            ),
            (
                "outcrop_requests_total",
                "Requests whose head was whole, pages among them.",
                |core| core.requests,
            ),
            ("outcrop_client_received_bytes_total", "Bytes from clients.", |core| {
                core.client_bytes_in
            }),
            ("outcrop_client_sent_bytes_total", "Bytes to clients.", |core| core.client_bytes_out),
            ("outcrop_core_ticks_total", "Rounds of the core's loop.", |core| core.ticks),
        ];
        for (name, help, count) in ever {
            per_core(page.counter(name, help), self.cores, count);
        }
        let mut family = page.counter(
            "outcrop_core_busy_seconds_total",
            "Seconds in which the core did something; its rate is the core's load.",
        );
        for (index, core) in self.cores.iter().enumerate() {
            family.sample(&[&core_label(index)], Decimal::<6>(core.busy_us.into()));
        }
    }

    fn connections_to_upstream(&self, page: &mut Page) {
        let mut family = page.counter(
            "outcrop_upstream_connections_total",
            "Connections that requests to upstream went on: made for it, or reused.",
        );
        let total = |of: fn(&CoreCounts) -> u64| self.cores.iter().map(of).sum::<u64>();
        family.sample(&[&Labels::of(&[("reused", "false")])], total(|core| core.upstream_connects));
        family.sample(&[&Labels::of(&[("reused", "true")])], total(|core| core.upstream_reuses));
        let bytes: [PerCore<CoreCounts>; 2] = [
            ("outcrop_upstream_received_bytes_total", "Bytes from upstream.", |core| {
                core.upstream_bytes_in
            }),
            ("outcrop_upstream_sent_bytes_total", "Bytes to upstream.", |core| {
                core.upstream_bytes_out
            }),
        ];
        for (name, help, count) in bytes {
            per_core(page.counter(name, help), self.cores, count);
        }
    }

    fn ledgers(&self, page: &mut Page) {
        let now: [PerCore<LedgerCounts>; 2] = [
            ("outcrop_ledger_depth", "Entries that wait for the store.", |it| it.depth),
            ("outcrop_ledger_capacity", "Entries that may wait before they spill.", |it| {
                it.capacity
            }),
        ];
        for (name, help, count) in now {
            per_core(page.gauge(name, help), self.ledgers, count);
        }
        let ever: [PerCore<LedgerCounts>; 2] = [
            ("outcrop_ledger_lost_total", "Entries that found no room anywhere.", |it| it.lost),
            ("outcrop_ledger_torn_total", "Entries that were found torn after a crash.", |it| {
                it.torn
            }),
        ];
        for (name, help, count) in ever {
            per_core(page.counter(name, help), self.ledgers, count);
        }
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
