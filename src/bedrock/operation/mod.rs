//! Request target → what is asked for.
//!
//! The target is looked at raw, segment by segment, and matched exactly; what stands between the slashes
//! is percent-decoded once. Nothing is normalised, so that no two readers of one target can disagree
//! about it. What goes upstream is built from a deployment and from those parts, never spliced.
//! What is no URI is refused rather than passed on: the query goes upstream as it came.
//! Source: the InvokeModel and Converse pages of the Bedrock API reference; LiteLLM's paths for health
//! and spend.

mod action;
mod path;

pub use action::{Action, ActionSet, Asked, Method, ModelPlace, Service, find};
pub use path::{BadPath, write_upstream};

use crate::wire::http1::head::is_host;

/// All of Bedrock is below it.
const PREFIX: &str = "/bedrock";
/// A path below it may hold anything but the action's own slash.
const MODEL_PREFIX: &str = "/model/";
/// The one action on a model that does not go through: it needs HTTP/2 on both sides.
const BIDIRECTIONAL: &str = "invoke-with-bidirectional-stream";

/// A page that Outcrop answers itself.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Page {
    /// The process lives. Needs no key.
    Liveliness,
    /// The process can serve. Needs no key.
    Readiness,
    /// The names of the model list, in OpenAI's shape. Needs a key.
    Models,
}

/// A page that only the control plane can answer, for those with a key.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum AdminPage {
    /// Prometheus's text. Needs no key if the configuration says so.
    Metrics,
    /// Rows, one per request.
    SpendLogs,
    /// Sums by model, deployment, key or day.
    SpendReport,
    /// What a given usage would cost.
    SpendCalculate,
    /// How each deployment stands.
    Health,
    /// The model list, deployment by deployment.
    ModelInfo,
    /// The model list, group by group.
    ModelGroupInfo,
}

impl AdminPage {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Metrics,
        Self::SpendLogs,
        Self::SpendReport,
        Self::SpendCalculate,
        Self::Health,
        Self::ModelInfo,
        Self::ModelGroupInfo,
    ];

    /// Where it is.
    #[must_use]
    pub fn path(self) -> &'static str {
        match self {
            Self::Metrics => "/metrics",
            Self::SpendLogs => "/spend/logs",
            Self::SpendReport => "/global/spend/report",
            Self::SpendCalculate => "/spend/calculate",
            Self::Health => "/health",
            Self::ModelInfo => "/model/info",
            Self::ModelGroupInfo => "/model_group/info",
        }
    }

    /// The method that it takes; `HEAD` goes with `GET`.
    #[must_use]
    pub fn method(self) -> &'static str {
        if self == Self::SpendCalculate { "POST" } else { "GET" }
    }

    fn from_path(path: &str) -> Option<Self> {
        // LiteLLM's is at `/metrics/`, where it sends who asks for `/metrics`.
        let path = match path {
            "/metrics/" => "/metrics",
            "/v1/model/info" => "/model/info",
            path => path,
        };
        Self::ALL.into_iter().find(|page| page.path() == path)
    }
}

/// What a request target asks for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Target<'t> {
    /// An action on a model.
    Model {
        /// The model's name, still percent-encoded, never empty.
        encoded_name: &'t str,
        /// What to do with it.
        action: Action,
        /// What followed the question mark.
        query: &'t str,
    },
    /// Another path below `/bedrock`: [`find`] knows whether it is one of AWS's.
    Bedrock {
        /// Without `/bedrock`, raw; begins with a slash.
        path: &'t str,
        /// What followed the question mark.
        query: &'t str,
    },
    /// A page of ours.
    Page(Page),
    /// A page of the control plane's.
    Admin {
        /// Which.
        page: AdminPage,
        /// What followed the question mark.
        query: &'t str,
    },
    /// Nothing that we know.
    Unknown,
    /// No URI: an authority without a host or with a user, or a query of other characters than RFC 3986's.
    Malformed,
}

/// Reads an origin-form target, or an absolute-form one, whose authority is ignored (RFC 9112 §3.2.2:
/// we serve one origin, whatever it is called).
#[must_use]
pub fn parse(target: &str) -> Target<'_> {
    let Some(origin) = origin_form(target) else { return Target::Malformed };
    let (path, query) = origin.split_once('?').unwrap_or((origin, ""));
    if !is_query(query) {
        return Target::Malformed;
    }
    if let Some(path) = path.strip_prefix(PREFIX).filter(|path| path.starts_with('/')) {
        return below_prefix(path, query);
    }
    match path {
        "/health/liveliness" | "/health/liveness" => Target::Page(Page::Liveliness),
        "/health/readiness" => Target::Page(Page::Readiness),
        "/v1/models" | "/models" => Target::Page(Page::Models),
        _ => match AdminPage::from_path(path) {
            Some(page) => Target::Admin { page, query },
            None => Target::Unknown,
        },
    }
}

fn below_prefix<'t>(path: &'t str, query: &'t str) -> Target<'t> {
    let Some(rest) = path.strip_prefix(MODEL_PREFIX) else {
        return Target::Bedrock { path, query };
    };
    match rest.rsplit_once('/') {
        Some((encoded_name, last)) if !encoded_name.is_empty() => match Action::on_model(last) {
            Some(action) => Target::Model { encoded_name, action, query },
            None if last == BIDIRECTIONAL => Target::Bedrock { path, query },
            None => Target::Unknown,
        },
        _ => Target::Unknown,
    }
}

/// A target's path and query, as they came; `None` if it is none.
#[must_use]
pub fn path_and_query(target: &str) -> Option<(&str, &str)> {
    let origin = origin_form(target)?;
    Some(origin.split_once('?').unwrap_or((origin, "")))
}

/// Path and query; `None` if the authority in front of them is none (RFC 9110 §4.2.1, §4.2.4).
fn origin_form(target: &str) -> Option<&str> {
    let scheme = ["http://", "https://"].iter().find(|scheme| {
        target.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme))
    });
    let Some(scheme) = scheme else { return Some(target) };
    let rest = &target[scheme.len()..];
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, origin) = rest.split_at(end);
    is_host(authority.as_bytes()).then_some(if origin.is_empty() { "/" } else { origin })
}

/// `*( pchar / "/" / "?" )` (RFC 3986 §3.4).
fn is_query(query: &str) -> bool {
    let mut rest = query.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = match (first, tail) {
            (b'%', [high, low, tail @ ..])
                if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
            {
                tail
            }
            (byte, tail)
                if byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/?".contains(byte) =>
            {
                tail
            }
            _ => return false,
        };
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(target: &str, expected: Target<'_>) {
        assert_eq!(parse(target), expected, "{target}");
    }

    fn model(encoded_name: &str, action: Action) -> Target<'_> {
        Target::Model { encoded_name, action, query: "" }
    }

    #[test]
    fn names_may_hold_slashes_colons_and_arns() {
        use Action::*;
        check("/bedrock/model/claude/invoke", model("claude", Invoke));
        check("/bedrock/model/team/claude/converse", model("team/claude", Converse));
        check("/bedrock/model/us.a.b-v1:0/converse-stream", model("us.a.b-v1:0", ConverseStream));
        check(
            "/bedrock/model/arn:aws:bedrock:us-east-1:1:inference-profile%2Fx/invoke-with-response-stream",
            model("arn:aws:bedrock:us-east-1:1:inference-profile%2Fx", InvokeWithResponseStream),
        );
        check("/bedrock/model/invoke/invoke", model("invoke", Invoke));
        check("http://else:1/bedrock/model/claude/invoke", model("claude", Invoke));
        check("HTTPS://else/bedrock/model/claude/invoke", model("claude", Invoke));
    }

    #[test]
    fn nothing_is_normalised_or_guessed() {
        for target in [
            "/",
            "*",
            "",
            "/bedrock",
            "/bedrock/model/",
            "/bedrock/model//invoke",
            "/bedrock/model/invoke",
            "/bedrock/model/claude/invoke/",
            "/bedrock/model/claude/Invoke",
            "/bedrock/model/claude/invoke%20",
            "//bedrock/model/claude/invoke",
            "/x/../bedrock/model/claude/invoke",
            "/model/claude/invoke",
            "/bedrock/model/claude/invoke;x",
            "http://host",
            "http://host?x",
            "ftp://h/v1/models",
            "/bedrockx/guardrail",
            "/v1/models/",
            "/metrics//",
            "/Metrics",
            "/spend/logs/",
            "/spend",
            "/global/spend",
            "/spend/logs/v2",
            "//metrics",
        ] {
            check(target, Target::Unknown);
        }
    }

    #[test]
    fn all_else_below_bedrock_is_kept_raw_for_the_table() {
        for path in [
            "/",
            "/model",
            "//model/claude/invoke",
            "/v2/model/claude/invoke",
            "/guardrail/a%2Fb/version/1/apply",
            "/sessions/",
            "/model/claude/invoke-with-bidirectional-stream",
            "/../model/claude/invoke",
        ] {
            check(&format!("/bedrock{path}?a=b"), Target::Bedrock { path, query: "a=b" });
        }
    }

    #[test]
    fn a_query_is_kept_apart() {
        let expected =
            Target::Model { encoded_name: "claude", action: Action::Invoke, query: "a=/b?c" };
        check("/bedrock/model/claude/invoke?a=/b?c", expected);
        check("/v1/models?return_wildcard_routes=false", Target::Page(Page::Models));
        check("/health/readiness", Target::Page(Page::Readiness));
        check("/health/liveness", Target::Page(Page::Liveliness));
    }

    #[test]
    fn admin_pages_are_known_by_their_exact_path() {
        use AdminPage::*;
        let admin = |page, query| Target::Admin { page, query };
        check("/metrics", admin(Metrics, ""));
        check("/metrics/", admin(Metrics, ""));
        check("/spend/logs?limit=1", admin(SpendLogs, "limit=1"));
        check("/global/spend/report?group_by=day&x=?", admin(SpendReport, "group_by=day&x=?"));
        check("http://h/spend/calculate", admin(SpendCalculate, ""));
        check("/spend/logs?a#b", Target::Malformed);
        check("/health?model=claude", admin(Health, "model=claude"));
        check("/v1/model/info", admin(ModelInfo, ""));
        check("/model_group/info", admin(ModelGroupInfo, ""));
        let posts = AdminPage::ALL.into_iter().filter(|page| page.method() == "POST");
        assert_eq!(posts.collect::<Vec<_>>(), [SpendCalculate]);
    }

    #[test]
    fn what_is_no_uri_is_malformed() {
        for target in [
            "http:///bedrock/model/claude/invoke",
            "http://",
            "http://user@host/v1/models",
            "http://host:port/v1/models",
            "https://ho st/v1/models",
            "http://[::1/v1/models",
            "http://host#/v1/models",
            "/bedrock/model/claude/invoke?a#b",
            "/bedrock/model/claude/invoke?a=%",
            "/bedrock/model/claude/invoke?%4",
            "/bedrock/model/claude/invoke?%zz",
            "/v1/models?<script>",
            "/x?a|b",
            "/x?\"",
        ] {
            check(target, Target::Malformed);
        }
        for query in ["", "a", "a=b&c=%0d%0A", "/../?", "-._~!$&'()*+,;=:@"] {
            let target = format!("/bedrock/model/claude/invoke?{query}");
            check(&target, Target::Model { encoded_name: "claude", action: Action::Invoke, query });
        }
    }
}
