//! Usage from the content of an answer that is no stream.

use super::shape::{self, meaning};
use super::{Counts, Family, FieldUsage, Usage};
use crate::bedrock::operation::Action;
use crate::wire::json::Scanner;

/// Reads an answer that tells its usage as it passes; holds none of it.
///
/// Content under a content-coding is no JSON: do not feed it. The fields still give the usage then.
#[derive(Clone, Debug)]
pub struct BodyUsage {
    scanner: Scanner,
}

impl BodyUsage {
    /// Before the first byte of an answer to `action` by a model of `family`.
    #[must_use]
    pub fn new(action: Action, family: Family) -> Self {
        let paths = match action {
            Action::Converse | Action::ConverseStream => shape::converse(),
            Action::Invoke | Action::InvokeWithResponseStream => shape::invoke(family),
            Action::ChatCompletions | Action::Responses => shape::openai(),
            Action::ApplyGuardrail => shape::guardrail(),
            Action::Rerank => shape::invoke(Family::Rerank),
            _ => shape::nothing(),
        };
        Self { scanner: Scanner::new(paths) }
    }

    /// The next piece of content.
    pub fn feed(&mut self, content: &[u8]) {
        self.scanner.feed(content);
    }

    /// The usage, when the content has ended or will not go on.
    #[must_use]
    pub fn settle(&self, fields: &FieldUsage) -> Usage {
        let mut told = Counts::default();
        take(&self.scanner, &mut Counts::default(), &mut told);
        let mut usage = Counts::settle(fields.counts(), told);
        // The fields came before the content: what they say is whole even if the content is not.
        usage.partial = !self.scanner.is_whole() && fields.counts().output.is_none();
        usage
    }
}

/// What a scan found, to its source. Where two paths give one count, the first in the table counts.
pub(super) fn take(scanner: &Scanner, billed: &mut Counts, told: &mut Counts) {
    for (label, number) in scanner.values().rev() {
        match meaning(label) {
            Some((count, true)) => billed.set(count, number),
            Some((count, false)) => told.set(count, number),
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guardrails_units_are_summed_but_for_those_that_are_free() {
        let check = |content: &str, expected| {
            let mut body = BodyUsage::new(Action::ApplyGuardrail, Family::Unknown);
            body.feed(content.as_bytes());
            let usage = body.settle(&FieldUsage::default());
            assert_eq!(usage.guardrail_units, expected, "{content}");
            let tokens = Usage { guardrail_units: None, partial: false, ..usage };
            assert_eq!(tokens, Usage::default(), "units are no tokens: {content}");
        };
        check(
            r#"{"usage":{"topicPolicyUnits":1,"contentPolicyUnits":2,"wordPolicyUnits":4,
            "sensitiveInformationPolicyUnits":8,"sensitiveInformationPolicyFreeUnits":16,
            "contextualGroundingPolicyUnits":32,"contentPolicyImageUnits":64,"automatedReasoningPolicyUnits":128,
            "automatedReasoningPolicies":1},"action":"NONE","assessments":[{"usage":{"topicPolicyUnits":9}}]}"#,
            Some(235),
        );
        check(r#"{"usage":{"topicPolicyUnits":0,"wordPolicyUnits":4}}"#, Some(0));
        check(r#"{"usage":{"wordPolicyUnits":4}}"#, None);
        let most = u64::MAX / 2;
        check(
            &format!(r#"{{"usage":{{"topicPolicyUnits":{most},"contentPolicyUnits":{most}}}}}"#),
            Some(most * 2),
        );
        check(r#"{"message":"no"}"#, None);
    }
}
