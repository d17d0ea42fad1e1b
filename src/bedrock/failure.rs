//! What went wrong with one attempt, by AWS's meaning: kinds, and how answers and exceptions are judged.

use crate::bedrock::fault::ErrorName;

/// Why an attempt did not succeed. The discriminant is stored in ledger entries: never reuse one.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[repr(u8)]
pub enum Failure {
    /// ThrottlingException, TooManyRequestsException or any other 429.
    Throttled = 1,
    /// ServiceUnavailableException or any other 503.
    Unavailable = 2,
    /// InternalServerException, or any other 5xx.
    Internal = 3,
    /// ModelNotReadyException.
    NotReady = 4,
    /// ModelTimeoutException: the model took too long, by AWS's clock.
    ModelTimeout = 5,
    /// ModelErrorException, ModelStreamErrorException: the model failed on this request.
    ModelError = 6,
    /// ServiceQuotaExceededException.
    QuotaExceeded = 7,
    /// AccessDeniedException: our credential may not do this.
    AccessDenied = 8,
    /// ExpiredToken, UnrecognizedClient, InvalidSignature, …: our credential itself is refused.
    CredentialRefused = 9,
    /// ResourceNotFoundException.
    NotFound = 10,
    /// ValidationException and every other 4xx: the request is at fault.
    Invalid = 11,
    /// The endpoint's name has no address, or no address let us in.
    ConnectFailed = 12,
    /// Connecting took too long.
    ConnectTimedOut = 13,
    /// The endpoint's certificate or TLS was refused.
    TlsFailed = 14,
    /// The connection ended, or failed, before an answer's head was whole.
    Reset = 15,
    /// What came is no answer.
    BadAnswer = 16,
    /// No answer's head in time.
    TimedOut = 17,
    /// A stream fell silent, or its first byte did not come in time.
    StreamTimedOut = 18,
    /// The answer broke off, or its frames broke, after its head had come.
    Broken = 19,
}

/// What a failure means for what comes next. The table stands in `docs/reliability.md`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Rule {
    /// The same deployment may be asked again, after a while, if no other is there.
    pub here: bool,
    /// Who else may be asked.
    pub elsewhere: Elsewhere,
    /// When what failed is left alone for a while.
    pub cools: Cools,
    /// What it is that failed.
    pub scope: Scope,
}

/// Who else may be asked after a failure.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Elsewhere {
    /// Nobody: the request is at fault, and would be anywhere.
    No,
    /// Any other deployment.
    Any,
    /// A deployment with another credential.
    OtherCredential,
}

/// When what failed is left alone for a while.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Cools {
    /// Never: it is well.
    No,
    /// At the first failure, unless `allowed_fails` says otherwise.
    AtOnce,
    /// After some.
    AfterFails,
}

/// What it is that failed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Scope {
    /// The deployment: this model, in this region, under this account.
    Deployment,
    /// The credential, with all deployments that use it.
    Credential,
    /// The endpoint, with all deployments behind it.
    Endpoint,
}

/// LiteLLM's classes of errors, as its `retry_policy` and `allowed_fails_policy` name them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(missing_docs, reason = "the names are LiteLLM's, without `ErrorRetries` at their end")]
pub enum Class {
    BadRequest,
    Authentication,
    Timeout,
    RateLimit,
    ContentPolicyViolation,
    InternalServer,
    ServiceUnavailable,
    NotFound,
}

impl Class {
    /// All of them, by their discriminants.
    pub const ALL: [Self; 8] = [
        Self::BadRequest,
        Self::Authentication,
        Self::Timeout,
        Self::RateLimit,
        Self::ContentPolicyViolation,
        Self::InternalServer,
        Self::ServiceUnavailable,
        Self::NotFound,
    ];

    /// LiteLLM's name, in front of `ErrorRetries` and `ErrorAllowedFails`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::BadRequest => "BadRequest",
            Self::Authentication => "Authentication",
            Self::Timeout => "Timeout",
            Self::RateLimit => "RateLimit",
            Self::ContentPolicyViolation => "ContentPolicyViolation",
            Self::InternalServer => "InternalServer",
            Self::ServiceUnavailable => "ServiceUnavailable",
            Self::NotFound => "NotFound",
        }
    }
}

impl Failure {
    /// What is wrong with an answer of this status, whose `x-amzn-errortype` is `error`; `None` for a good
    /// one. AWS's name decides, and the status where the name is none that we know.
    #[must_use]
    pub fn of_answer(status: u16, error: ErrorName) -> Option<Self> {
        if status < 400 {
            return None;
        }
        Some(Self::of_name(error).unwrap_or(match status {
            401 => Self::CredentialRefused,
            403 => Self::AccessDenied,
            404 => Self::NotFound,
            408 => Self::ModelTimeout,
            424 => Self::ModelError,
            429 => Self::Throttled,
            503 => Self::Unavailable,
            500.. => Self::Internal,
            _ => Self::Invalid,
        }))
    }

    /// What an exception, or an error frame, within a stream means.
    #[must_use]
    pub fn of_exception(error: ErrorName) -> Self {
        Self::of_name(error).unwrap_or(Self::Internal)
    }

    fn of_name(error: ErrorName) -> Option<Self> {
        Some(match error.text() {
            "ThrottlingException" | "TooManyRequestsException" => Self::Throttled,
            "ServiceUnavailableException" => Self::Unavailable,
            "InternalServerException" | "BadGatewayException" | "DependencyFailedException" => {
                Self::Internal
            }
            "ModelNotReadyException" => Self::NotReady,
            "ModelTimeoutException" => Self::ModelTimeout,
            "ModelErrorException" | "ModelStreamErrorException" => Self::ModelError,
            "ServiceQuotaExceededException" => Self::QuotaExceeded,
            "AccessDeniedException" => Self::AccessDenied,
            "ExpiredTokenException"
            | "UnrecognizedClientException"
            | "InvalidSignatureException"
            | "IncompleteSignatureException"
            | "MissingAuthenticationTokenException" => Self::CredentialRefused,
            "ResourceNotFoundException" => Self::NotFound,
            "ValidationException"
            | "ConflictException"
            | "RequestEntityTooLargeException"
            | "RequestTimeoutException"
            | "UnknownOperationException" => Self::Invalid,
            _ => return None,
        })
    }

    /// What follows.
    #[must_use]
    pub fn rule(self) -> Rule {
        use Cools::{AfterFails, AtOnce};
        use Elsewhere::{Any, OtherCredential};
        use Scope::{Credential, Deployment, Endpoint};
        let rule = |here, elsewhere, cools, scope| Rule { here, elsewhere, cools, scope };
        match self {
            Self::Throttled => rule(true, Any, AtOnce, Deployment),
            Self::Unavailable | Self::Internal | Self::NotReady | Self::Reset | Self::BadAnswer => {
                rule(true, Any, AfterFails, Deployment)
            }
            Self::Broken | Self::TimedOut | Self::StreamTimedOut => {
                rule(false, Any, AfterFails, Deployment)
            }
            Self::QuotaExceeded => rule(false, Any, AtOnce, Deployment),
            Self::ModelTimeout | Self::ModelError => rule(false, Any, Cools::No, Deployment),
            Self::ConnectFailed => rule(true, Any, AfterFails, Endpoint),
            Self::ConnectTimedOut | Self::TlsFailed => rule(false, Any, AfterFails, Endpoint),
            Self::CredentialRefused => rule(false, OtherCredential, AtOnce, Credential),
            // A 404 may be about a guardrail or a prompt that the request names, and not about the model.
            Self::AccessDenied | Self::Invalid | Self::NotFound => {
                rule(false, Elsewhere::No, Cools::No, Deployment)
            }
        }
    }

    /// Whether it is certain that AWS has not begun to do what was asked.
    #[must_use]
    pub fn is_before_execution(self) -> bool {
        match self {
            Self::Throttled
            | Self::Unavailable
            | Self::NotReady
            | Self::QuotaExceeded
            | Self::AccessDenied
            | Self::CredentialRefused
            | Self::NotFound
            | Self::Invalid
            | Self::ConnectFailed
            | Self::ConnectTimedOut
            | Self::TlsFailed => true,
            Self::Internal
            | Self::ModelTimeout
            | Self::ModelError
            | Self::Reset
            | Self::BadAnswer
            | Self::TimedOut
            | Self::StreamTimedOut
            | Self::Broken => false,
        }
    }

    /// LiteLLM's class.
    #[must_use]
    pub fn class(self) -> Class {
        match self {
            Self::Invalid => Class::BadRequest,
            Self::AccessDenied | Self::CredentialRefused => Class::Authentication,
            Self::TimedOut | Self::StreamTimedOut | Self::ConnectTimedOut | Self::ModelTimeout => {
                Class::Timeout
            }
            Self::Throttled | Self::QuotaExceeded | Self::NotReady => Class::RateLimit,
            Self::Unavailable => Class::ServiceUnavailable,
            Self::NotFound => Class::NotFound,
            Self::Internal
            | Self::ModelError
            | Self::ConnectFailed
            | Self::TlsFailed
            | Self::Reset
            | Self::BadAnswer
            | Self::Broken => Class::InternalServer,
        }
    }

    /// All, in the order of their discriminants, from 1.
    pub const ALL: [Self; 19] = [
        Self::Throttled,
        Self::Unavailable,
        Self::Internal,
        Self::NotReady,
        Self::ModelTimeout,
        Self::ModelError,
        Self::QuotaExceeded,
        Self::AccessDenied,
        Self::CredentialRefused,
        Self::NotFound,
        Self::Invalid,
        Self::ConnectFailed,
        Self::ConnectTimedOut,
        Self::TlsFailed,
        Self::Reset,
        Self::BadAnswer,
        Self::TimedOut,
        Self::StreamTimedOut,
        Self::Broken,
    ];

    /// As logs, the store and pages have it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Throttled => "throttled",
            Self::Unavailable => "unavailable",
            Self::Internal => "internal",
            Self::NotReady => "not_ready",
            Self::ModelTimeout => "model_timeout",
            Self::ModelError => "model_error",
            Self::QuotaExceeded => "quota_exceeded",
            Self::AccessDenied => "access_denied",
            Self::CredentialRefused => "credential_refused",
            Self::NotFound => "not_found",
            Self::Invalid => "invalid",
            Self::ConnectFailed => "connect_failed",
            Self::ConnectTimedOut => "connect_timed_out",
            Self::TlsFailed => "tls_failed",
            Self::Reset => "reset",
            Self::BadAnswer => "bad_answer",
            Self::TimedOut => "timed_out",
            Self::StreamTimedOut => "stream_timed_out",
            Self::Broken => "broken",
        }
    }

    /// Of a stored discriminant.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.get(usize::from(code).checked_sub(1)?).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(status: u16, name: &str) -> Option<Failure> {
        Failure::of_answer(status, ErrorName::of(name.as_bytes()))
    }

    #[test]
    fn aws_s_word_counts_and_else_the_status() {
        assert_eq!(judged(200, ""), None);
        assert_eq!(judged(304, ""), None);
        assert_eq!(judged(429, "ThrottlingException:http://x/"), Some(Failure::Throttled));
        assert_eq!(judged(429, "ModelNotReadyException"), Some(Failure::NotReady));
        assert_eq!(judged(400, "ServiceQuotaExceededException"), Some(Failure::QuotaExceeded));
        assert_eq!(judged(400, "ThrottlingException"), Some(Failure::Throttled));
        assert_eq!(judged(403, "ExpiredTokenException"), Some(Failure::CredentialRefused));
        assert_eq!(judged(403, "AccessDeniedException"), Some(Failure::AccessDenied));
        for (status, failure) in [
            (400, Failure::Invalid),
            (403, Failure::AccessDenied),
            (404, Failure::NotFound),
            (408, Failure::ModelTimeout),
            (413, Failure::Invalid),
            (424, Failure::ModelError),
            (429, Failure::Throttled),
            (500, Failure::Internal),
            (502, Failure::Internal),
            (503, Failure::Unavailable),
            (529, Failure::Internal),
        ] {
            assert_eq!(judged(status, ""), Some(failure), "{status}");
            assert_eq!(judged(status, "BrandNewException"), Some(failure), "{status}");
        }
        let throttled = ErrorName::of(b"throttlingException");
        assert_eq!(Failure::of_exception(throttled), Failure::Throttled);
        assert_eq!(Failure::of_exception(ErrorName::of(b"new")), Failure::Internal);
    }

    #[test]
    fn codes_and_words_are_their_own() {
        for (code, failure) in (1..).zip(Failure::ALL) {
            assert_eq!((failure as u8, Failure::from_code(code)), (code, Some(failure)));
        }
        assert_eq!((Failure::from_code(0), Failure::from_code(20)), (None, None));
        let words: std::collections::HashSet<_> = Failure::ALL.map(Failure::word).into();
        assert_eq!(words.len(), Failure::ALL.len());
    }

    #[test]
    fn what_the_request_is_at_fault_for_is_final_and_cools_nothing() {
        for failure in Failure::ALL {
            let rule = failure.rule();
            let is_final = !rule.here && rule.elsewhere == Elsewhere::No;
            let is_request_s =
                matches!(failure, Failure::Invalid | Failure::AccessDenied | Failure::NotFound);
            assert_eq!(is_final, is_request_s, "{failure:?}");
            assert!(!is_final || rule.cools == Cools::No, "{failure:?}");
        }
    }
}
