//! The metrics as text: each family once, its label sets in a fixed order.

use std::fmt;

use super::{
    CACHE_READ, CACHE_WRITES, Events, KINDS, Latencies, Metrics, OUTPUT, Pair, Status, Sums,
    exposition::{Decimal, Family, Kind, Labels, Page},
    gauges::Gauges,
    histogram::Histogram,
};
use crate::{boundary::ledger::entry::Outcome, limits::OUTAGE_FAILURES_MIN};

/// A guess at a scrape's size.
const PAGE_BYTES: usize = 64 * 1024;

/// Name, help, and the number.
type Count<T> = (&'static str, &'static str, fn(&T) -> u64);

impl fmt::Display for Status {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exactly(0) => out.write_str("none"),
            Self::Exactly(status) => write!(out, "{status}"),
            Self::Class(hundreds) => write!(out, "{hundreds}xx"),
        }
    }
}

impl Metrics {
    /// In the text format, of [`CONTENT_TYPE`](super::CONTENT_TYPE).
    #[must_use]
    pub fn render(&self, gauges: &Gauges<'_>) -> String {
        let mut page = Page::with_capacity(PAGE_BYTES);
        self.requests(&mut page);
        self.money(&mut page);
        self.tokens(&mut page);
        self.latencies(&mut page);
        self.deployment_counts(&mut page);
        self.events(&mut page);
        gauges.render(&mut page);
        page.finish()
    }

    fn requests(&self, page: &mut Page) {
        let mut family = page.counter(
            "litellm_proxy_total_requests_metric_total",
            "Requests for a model, however they ended.",
        );
        for ((deployment, key, status), count) in self.requests.iter() {
            let status = Labels::of(&[("status_code", &status.to_string())]);
            let whose = [&*self.deployments.at(*deployment).model, &**self.keys.at(*key), &*status];
            family.sample(&whose, count);
        }
        let mut family = page.counter(
            "litellm_proxy_failed_requests_metric_total",
            "Requests whose client got no success, through no doing of its own.",
        );
        for ((deployment, key, status, class), count) in self.proxy_failures.iter() {
            let exception = exception(*status, class);
            let whose =
                [&*self.deployments.at(*deployment).model, &**self.keys.at(*key), &*exception];
            family.sample(&whose, count);
        }
        let mut family = page.counter("outcrop_outcomes_total", "Requests by how they ended.");
        // All are shown, so that a first one is seen as an increase.
        for outcome in Outcome::ALL.iter().filter(|it| **it != Outcome::Open).map(|it| it.word()) {
            let count = self.outcomes.get(outcome).copied().unwrap_or(0);
            family.sample(&[&Labels::of(&[("outcome", outcome)])], count);
        }
    }

    /// A sample for each deployment and key whose value is known.
    fn each<V: fmt::Display>(&self, mut family: Family<'_>, value: impl Fn(&Sums) -> Option<V>) {
        for (whose, sums) in self.sums.iter() {
            if let Some(value) = value(sums) {
                family.sample(&self.model_and_key(*whose), value);
            }
        }
    }

    fn model_and_key(&self, (deployment, key): Pair) -> [&str; 2] {
        [&self.deployments.at(deployment).model, self.keys.at(key)]
    }

    fn deployment_and_key(&self, (deployment, key): Pair) -> [&str; 2] {
        [&self.deployments.at(deployment).deployment, self.keys.at(key)]
    }

    fn money(&self, page: &mut Page) {
        let family = page.counter(
            "litellm_spend_metric_total",
            "What requests cost, in US dollars: an exact decimal. Unknown costs are not in it.",
        );
        self.each(family, |sums| sums.pico_usd.map(Decimal::<12>));
        let family = page
            .counter("outcrop_spend_pico_usd_total", "The same in pico-dollars, a whole number.");
        self.each(family, |sums| sums.pico_usd);
        let mut family = page.counter(
            "outcrop_unknown_cost_total",
            "Requests that reached AWS and whose cost is not known, by the reason.",
        );
        for ((deployment, reason), count) in &self.unknown_costs {
            let reason = Labels::of(&[("reason", reason)]);
            family.sample(&[&self.deployments.at(*deployment).deployment, &reason], count);
        }
    }

    fn tokens(&self, page: &mut Page) {
        let family = page.counter(
            "litellm_total_tokens_metric_total",
            "Tokens in and out, of requests that told both.",
        );
        self.each(family, |sums| sums.total);
        let family = page.counter(
            "litellm_input_tokens_metric_total",
            "Tokens that went in, those read from and written to a cache among them.",
        );
        self.each(family, |sums| sums.prompt);
        let family = page.counter("litellm_output_tokens_metric_total", "Tokens generated.");
        self.each(family, |sums| sums.kinds[OUTPUT]);
        let family =
            page.counter("litellm_input_cached_tokens_metric_total", "Tokens read from a cache.");
        self.each(family, |sums| sums.kinds[CACHE_READ]);
        let family = page.counter(
            "litellm_input_cache_creation_tokens_metric_total",
            "Tokens written to a cache, however long it lives.",
        );
        self.each(family, |sums| {
            let writes = CACHE_WRITES.iter().filter_map(|kind| sums.kinds[*kind]);
            writes.reduce(u64::saturating_add)
        });
        let mut family = page.counter(
            "outcrop_tokens_total",
            "Tokens by kind, as they are billed; input is what is outside the cache.",
        );
        for (whose, sums) in self.sums.iter() {
            for (kind, count) in KINDS.iter().zip(sums.kinds) {
                if let Some(count) = count {
                    let [model, key] = self.model_and_key(*whose);
                    family.sample(&[model, key, &Labels::of(&[("kind", kind)])], count);
                }
            }
        }
    }

    fn latencies(&self, page: &mut Page) {
        type Of = fn(&Latencies) -> &Histogram;
        type Whose = for<'m> fn(&'m Metrics, Pair) -> [&'m str; 2];
        let all: [(&'static str, &'static str, Of, Whose); 5] = [
            (
                "litellm_request_total_latency_metric",
                "Seconds from the whole request head to the answer's last byte; of whole successes.",
                |it| &it.total,
                Self::model_and_key,
            ),
            (
                "litellm_llm_api_latency_metric",
                "Of these, seconds that were not ours: AWS's, the network's and the client's.",
                |it| &it.upstream,
                Self::model_and_key,
            ),
            (
                "litellm_llm_api_time_to_first_token_metric",
                "Seconds from the whole request to the first content of a stream.",
                |it| &it.first_token,
                Self::model_and_key,
            ),
            (
                "litellm_overhead_latency_metric",
                "Seconds that were ours: neither waiting for the client, nor connecting, nor upstream's.",
                |it| &it.overhead,
                Self::deployment_and_key,
            ),
            (
                "litellm_deployment_latency_per_output_token",
                "Seconds that were not ours, for each output token.",
                |it| &it.per_output_token,
                Self::deployment_and_key,
            ),
        ];
        for (name, help, histogram, labels) in all {
            let mut family = page.family(name, Kind::Histogram, help);
            for (whose, latencies) in self.latencies.iter() {
                histogram(latencies).render(&labels(self, *whose), &mut family);
            }
        }
    }

    fn deployment_counts(&self, page: &mut Page) {
        let counts: [Count<Sums>; 2] = [
            (
                "litellm_deployment_total_requests_total",
                "Requests that a deployment answered, or failed to.",
                |sums| sums.deployment_requests,
            ),
            (
                "litellm_deployment_success_responses_total",
                "Requests that a deployment answered with success.",
                |sums| sums.deployment_successes,
            ),
        ];
        for (name, help, count) in counts {
            let mut family = page.counter(name, help);
            for (whose, sums) in self.sums.iter().filter(|(_, sums)| sums.deployment_requests > 0) {
                family.sample(&self.deployment_and_key(*whose), count(sums));
            }
        }
        let mut family = page.counter(
            "litellm_deployment_failure_responses_total",
            "Requests that a deployment answered with an error, not at all, or in part.",
        );
        for ((deployment, key, status, class), count) in self.deployment_failures.iter() {
            let [deployment, key] = self.deployment_and_key((*deployment, *key));
            family.sample(&[deployment, key, &exception(*status, class)], count);
        }
        let mut family = page.counter(
            "litellm_llm_api_failed_requests_metric_total",
            "The same without the reason; LiteLLM calls it deprecated.",
        );
        for (whose, sums) in self.sums.iter() {
            let failures = sums.deployment_requests - sums.deployment_successes;
            if failures > 0 {
                family.sample(&self.model_and_key(*whose), failures);
            }
        }
        let mut family = page.gauge(
            "litellm_deployment_state",
            "0: the last request succeeded; 1: it failed; 2: so did those before it.",
        );
        for (deployment, events) in &self.events {
            if let Some(in_a_row) = events.failures_in_a_row {
                let state = match in_a_row {
                    0 => 0,
                    OUTAGE_FAILURES_MIN.. => 2,
                    _ => 1,
                };
                family.sample(&[&self.deployments.at(*deployment).deployment], state);
            }
        }
    }

    fn events(&self, page: &mut Page) {
        let counts: [Count<Events>; 5] = [
            (
                "outcrop_corrupt_streams_total",
                "Streams that held a broken frame; the client's was cut there.",
                |it| it.corrupt_streams,
            ),
            ("outcrop_stream_exceptions_total", "Streams that held an exception of AWS's.", |it| {
                it.stream_exceptions
            }),
            (
                "outcrop_partial_usage_total",
                "Answers that ended before their last word on usage.",
                |it| it.partial_usages,
            ),
            (
                "outcrop_usage_disagreements_total",
                "Answers whose two sources of usage differed.",
                |it| it.disagreements,
            ),
            (
                "outcrop_client_gone_total",
                "Requests whose client left before the answer's end.",
                |it| it.clients_gone,
            ),
        ];
        for (name, help, count) in counts {
            let mut family = page.counter(name, help);
            for (deployment, events) in &self.events {
                family.sample(&[&self.deployments.at(*deployment).deployment], count(events));
            }
        }
    }
}

fn exception(status: Status, class: &str) -> Labels {
    Labels::of(&[("exception_status", &status.to_string()), ("exception_class", class)])
}
