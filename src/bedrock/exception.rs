//! What a client is told within a stream that broke off: an exception that its operation models.
//!
//! SDKs raise a modelled exception under its name; one that is not modelled becomes an error without name
//! and message in some of them. So the name depends on the operation. Source: the service models of botocore.

use crate::bedrock::operation::{Action, Service};

/// How a stream broke off.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum BreakOff {
    /// Its connection ended, or failed.
    Cut,
    /// Nothing came for too long.
    Silent,
    /// The request's time was up.
    OutOfTime,
}

/// An exception of an operation's model.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Exception {
    /// `:exception-type`.
    pub exception_type: &'static str,
    /// JSON.
    pub payload: &'static str,
}

impl Exception {
    /// What says to a client of `action` that its stream broke off.
    #[must_use]
    pub fn of(action: Action, break_off: BreakOff) -> Self {
        Self {
            exception_type: match (action.service(), action, break_off) {
                (Service::Runtime, Action::ConverseStream, _)
                | (Service::Runtime, Action::InvokeWithResponseStream, BreakOff::Cut) => {
                    "modelStreamErrorException"
                }
                (Service::Runtime, Action::InvokeWithResponseStream, _) => "modelTimeoutException",
                // All streams have it.
                _ => "internalServerException",
            },
            payload: match break_off {
                BreakOff::Cut => {
                    r#"{"message":"The connection to Amazon Bedrock broke off within the stream."}"#
                }
                BreakOff::Silent => {
                    r#"{"message":"Amazon Bedrock sent nothing for too long within the stream."}"#
                }
                BreakOff::OutOfTime => {
                    r#"{"message":"The stream took longer than a request may take here."}"#
                }
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By botocore 1.44.5; of the agents' operations, what all of their streams have.
    #[test]
    fn each_operation_models_what_it_gets() {
        const CONVERSE: [&str; 5] = [
            "internalServerException",
            "modelStreamErrorException",
            "validationException",
            "throttlingException",
            "serviceUnavailableException",
        ];
        for action in Action::ALL.into_iter().filter(|action| action.is_streaming()) {
            for break_off in [BreakOff::Cut, BreakOff::Silent, BreakOff::OutOfTime] {
                let Exception { exception_type, payload } = Exception::of(action, break_off);
                let is_modelled = match action {
                    Action::InvokeWithResponseStream => {
                        CONVERSE.contains(&exception_type)
                            || exception_type == "modelTimeoutException"
                    }
                    Action::ConverseStream => CONVERSE.contains(&exception_type),
                    _ => exception_type == "internalServerException",
                };
                assert!(is_modelled, "{action:?} {break_off:?}: {exception_type}");
                let payload: serde_json::Value = serde_json::from_str(payload).unwrap();
                assert!(payload["message"].as_str().is_some_and(|text| !text.is_empty()));
            }
        }
    }
}
