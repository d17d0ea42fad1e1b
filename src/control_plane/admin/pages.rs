//! The pages that Outcrop answers itself, rendered when a snapshot is made.
//!
//! Shapes are LiteLLM's, which its users' probes and dashboards read.

use std::sync::Arc;

use arc_swap::ArcSwap;
use bytes::Bytes;
use serde_json::json;

use crate::boundary::snapshot::Pages;

/// LiteLLM's constant: it has no creation time of a model either.
const CREATED: u64 = 1_677_610_602;

/// Pages for a model list whose groups have these names, in this order.
#[must_use]
pub fn pages(model_names: &[impl AsRef<str> + serde::Serialize]) -> Pages {
    let model =
        |name| json!({"id": name, "object": "model", "created": CREATED, "owned_by": "openai"});
    let models: Vec<_> = model_names.iter().map(model).collect();
    let page = |value: serde_json::Value| Bytes::from(value.to_string());
    Pages {
        models: page(json!({"data": models, "object": "list"})),
        ready: Arc::new(ArcSwap::from_pointee(ready_page(&[]))),
        alive: page(json!("I'm alive!")),
    }
}

/// `/health/readiness`, while these deployments have no credential.
#[must_use]
pub fn ready_page(without_credential: &[&str]) -> Bytes {
    let mut page = json!({"status": "healthy", "db": "Not connected"});
    if !without_credential.is_empty() {
        page["deployments_without_credential"] = json!(without_credential);
    }
    Bytes::from(page.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_escaped_and_nothing_else_is_listed() {
        let pages = pages(&["claude", "a\"b"]);
        let models: serde_json::Value = serde_json::from_slice(&pages.models).unwrap();
        assert_eq!(models["data"][1]["id"], "a\"b");
        assert_eq!(models["data"].as_array().unwrap().len(), 2);
        assert_eq!(&pages.alive[..], b"\"I'm alive!\"");
    }
}
