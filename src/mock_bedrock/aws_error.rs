//! Errors as Bedrock sends them: a status, `x-amzn-ErrorType`, and `{"message":…}` (guide §1.5).
//!
//! Two namespaces exist on the wire: Bedrock's own, and coral's for whatever fails before the
//! service is reached (authentication, unknown operations).

use std::borrow::Cow;

const BEDROCK: &str = "http://internal.amazon.com/coral/com.amazon.bedrock/";
const CORAL: &str = "http://internal.amazon.com/coral/com.amazon.coral.service/";

/// One error answer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AwsError {
    /// HTTP status.
    pub status: u16,
    /// The exception's name, such as `ThrottlingException`.
    pub name: Cow<'static, str>,
    /// What the client reads.
    pub message: String,
    namespace: &'static str,
}

impl AwsError {
    /// An error that the service itself raises.
    pub fn bedrock(status: u16, name: impl Into<Cow<'static, str>>, message: &str) -> Self {
        Self { status, name: name.into(), message: message.to_owned(), namespace: BEDROCK }
    }

    /// An error raised in front of the service.
    pub fn coral(status: u16, name: &'static str, message: &str) -> Self {
        Self { status, name: name.into(), message: message.to_owned(), namespace: CORAL }
    }

    /// The error a status stands for on bedrock-runtime (guide §1.1), with AWS's own words.
    pub fn of_status(status: u16) -> Self {
        let (name, message) = match status {
            400 => (
                "ValidationException",
                "Malformed input request, please reformat your input and try again.",
            ),
            403 => (
                "AccessDeniedException",
                "You don't have access to the model with the specified model ID.",
            ),
            404 => (
                "ResourceNotFoundException",
                "Could not resolve the foundation model from the provided model identifier.",
            ),
            408 => (
                "ModelTimeoutException",
                "Model has timed out in processing the request. Try your request again.",
            ),
            424 => (
                "ModelErrorException",
                "The model encountered an unexpected error during processing. Try your request again.",
            ),
            429 => ("ThrottlingException", "Too many requests, please wait before trying again."),
            503 => ("ServiceUnavailableException", "Bedrock is unable to process your request."),
            _ => (
                "InternalServerException",
                "The system encountered an unexpected error during processing. Try your request again.",
            ),
        };
        Self::bedrock(status, name, message)
    }

    /// The value of `x-amzn-ErrorType`.
    pub fn error_type(&self) -> String {
        format!("{}:{}", self.name, self.namespace)
    }

    /// The content: `{"message":…}`, and coral's own envelope for an unknown operation.
    pub fn content(&self) -> String {
        if self.name == "UnknownOperationException" {
            return r#"{"Output":{"__type":"com.amazon.coral.service#UnknownOperationException","message":null},"Version":"1.0"}"#.to_owned();
        }
        serde_json::json!({ "message": self.message }).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_have_the_recorded_shape() {
        let error = AwsError::bedrock(
            400,
            "ValidationException",
            "The provided model identifier is invalid.",
        );
        assert_eq!(
            error.error_type(),
            "ValidationException:http://internal.amazon.com/coral/com.amazon.bedrock/"
        );
        assert_eq!(error.content(), r#"{"message":"The provided model identifier is invalid."}"#);
        assert_eq!(AwsError::of_status(418).name, "InternalServerException");
        assert!(AwsError::coral(404, "UnknownOperationException", "").content().contains("__type"));
    }
}
