//! Errors in the shape AWS SDKs understand: a status that makes them react rightly, a type, a message.
//!
//! SDKs take the type from `x-amzn-errortype` and the text from `{"message": …}`; they repeat 429, 500,
//! 502, 503 and 504, and nothing else here. Texts are fixed, so that none can leak what is inside.
//! Source: `../shared/guides/bedrock.md` §1.5 and §4.4, recorded from AWS and its SDKs.

/// Why a request gets no answer from AWS. Who erred: the client, unless a variant says otherwise.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fault {
    /// The message breaks RFC 9112 or a rule of ours; the text says which.
    BadRequest(&'static str),
    /// No client key came with the request.
    MissingKey,
    /// The client key is none of ours.
    WrongKey,
    /// It is signed, and the access key id is neither a key nor a client credential's. AWS's name for this is
    /// another than for a wrong token.
    WrongAccessKeyId,
    /// It is signed, but with no client credential, and `outcrop.require_verified_signature` is set.
    UnverifiedSignature,
    /// A client credential's signature is not made as AWS says.
    IncompleteSignature,
    /// A client credential's signature is wrong, or does not cover what it must.
    InvalidSignature,
    /// A client credential's signature is too old.
    SignatureExpired,
    /// A client credential's signature is of the future.
    SignatureEarly,
    /// A client credential is for Bedrock's operations, not for our own pages.
    NotForPages,
    /// The model's name is not in the model list.
    UnknownModel,
    /// The path is none that we serve.
    UnknownTarget,
    /// The operation is for no model, and `outcrop.passthrough` is not configured.
    NoPassthrough,
    /// `outcrop.passthrough` does not let the operation through.
    OperationRefused,
    /// A stream both ways needs HTTP/2 on both sides.
    BidirectionalStream,
    /// The path exists for another method only.
    MethodNotAllowed {
        /// The method that is allowed.
        allow: &'static str,
    },
    /// The request stopped coming.
    RequestTimeout,
    /// Content above `general_settings.max_request_size_mb`.
    ContentTooLarge,
    /// The target is longer than any of ours.
    TargetTooLong,
    /// The head has too many bytes or fields.
    HeadTooLarge,
    /// An `Expect` that we cannot meet.
    ExpectationFailed,
    /// A transfer coding other than `chunked`.
    UnknownCoding,
    /// Neither HTTP/1.0 nor HTTP/1.1.
    VersionNotSupported,
    /// Upstream cannot be reached (upstream or the network erred).
    Unreachable,
    /// Upstream's certificate or TLS is not acceptable (upstream or the network erred).
    Untrusted,
    /// Upstream answered nonsense, or broke off before the head was whole (upstream erred).
    BadAnswer,
    /// Upstream refused our own credential (we erred).
    CredentialRefused,
    /// The deployment's credential is not there at present (we erred, or its source).
    NoCredential,
    /// Upstream did not answer in time (upstream erred).
    AnswerTimeout,
    /// Upstream, or the network, took no connection in time.
    ConnectTimeout,
    /// Every deployment is at the limit that the operator set for it (nobody erred).
    Limited {
        /// When one may have room again.
        retry_after_ms: u64,
    },
    /// Our control plane cannot take another page, or has ended (we erred).
    PageUnavailable,
    /// Our control plane did not make a page in time (we erred).
    PageTimeout,
    /// We are about to stop (nobody erred).
    ShuttingDown,
    /// As much is under way as the configuration allows (nobody erred).
    Overloaded,
    /// The request could not be accounted for, and `outcrop.ledger.on_full` is `refuse` (we erred).
    Unaccountable,
}

impl Fault {
    /// The HTTP status.
    #[must_use]
    pub fn status(self) -> u16 {
        match self {
            Self::BadRequest(_) => 400,
            Self::MissingKey
            | Self::WrongKey
            | Self::WrongAccessKeyId
            | Self::UnverifiedSignature
            | Self::IncompleteSignature
            | Self::InvalidSignature
            | Self::SignatureExpired
            | Self::SignatureEarly
            | Self::NotForPages
            | Self::NoPassthrough
            | Self::OperationRefused => 403,
            Self::UnknownModel | Self::UnknownTarget => 404,
            Self::MethodNotAllowed { .. } => 405,
            Self::RequestTimeout => 408,
            Self::ContentTooLarge => 413,
            Self::TargetTooLong => 414,
            Self::ExpectationFailed => 417,
            Self::HeadTooLarge => 431,
            Self::UnknownCoding | Self::BidirectionalStream => 501,
            Self::Untrusted | Self::BadAnswer | Self::CredentialRefused => 502,
            Self::Unreachable
            | Self::NoCredential
            | Self::PageUnavailable
            | Self::ShuttingDown
            | Self::Overloaded
            | Self::Unaccountable => 503,
            Self::AnswerTimeout | Self::ConnectTimeout | Self::PageTimeout => 504,
            Self::Limited { .. } => 429,
            Self::VersionNotSupported => 505,
        }
    }

    /// The exception's name, for `x-amzn-errortype`.
    #[must_use]
    pub fn error_type(self) -> &'static str {
        match self {
            Self::MissingKey => "MissingAuthenticationTokenException",
            Self::WrongAccessKeyId | Self::UnverifiedSignature => "UnrecognizedClientException",
            Self::IncompleteSignature => "IncompleteSignatureException",
            Self::InvalidSignature => "InvalidSignatureException",
            Self::SignatureExpired => "RequestExpired",
            Self::SignatureEarly => "RequestInTheFuture",
            Self::WrongKey | Self::NoPassthrough | Self::OperationRefused | Self::NotForPages => {
                "AccessDeniedException"
            }
            Self::UnknownModel => "ResourceNotFoundException",
            Self::UnknownTarget | Self::MethodNotAllowed { .. } => "UnknownOperationException",
            Self::RequestTimeout => "RequestTimeoutException",
            Self::ContentTooLarge => "RequestEntityTooLargeException",
            Self::Limited { .. } => "ThrottlingException",
            Self::Unreachable
            | Self::NoCredential
            | Self::AnswerTimeout
            | Self::ConnectTimeout
            | Self::PageUnavailable
            | Self::PageTimeout
            | Self::ShuttingDown
            | Self::Overloaded
            | Self::Unaccountable => "ServiceUnavailableException",
            Self::Untrusted | Self::BadAnswer | Self::CredentialRefused => {
                "InternalServerException"
            }
            _ => "ValidationException",
        }
    }

    /// What happened and what to do, for a person. Holds no character that JSON would escape.
    #[must_use]
    pub fn message(self) -> &'static str {
        match self {
            Self::BadRequest(what) => what,
            Self::MissingKey => {
                "No key: send Authorization: Bearer KEY, or sign with KEY as the access key id."
            }
            Self::WrongKey
            | Self::WrongAccessKeyId
            | Self::UnverifiedSignature
            | Self::IncompleteSignature
            | Self::InvalidSignature
            | Self::SignatureExpired
            | Self::SignatureEarly
            | Self::NotForPages => self.message_of_key(),
            Self::UnknownModel => {
                "No model of this name is configured here; GET /v1/models lists the names."
            }
            Self::UnknownTarget => {
                "No operation at this path; this proxy serves Bedrock's own paths below /bedrock/."
            }
            Self::NoPassthrough => {
                "This operation is for no model of the model list: it needs outcrop.passthrough, which its operator can set."
            }
            Self::OperationRefused => {
                "The operator of this proxy does not let this operation through (outcrop.passthrough)."
            }
            Self::BidirectionalStream => {
                "InvokeModelWithBidirectionalStream needs HTTP/2 and signs each event; this proxy does not serve it."
            }
            Self::MethodNotAllowed { .. } => {
                "This path does not take this method; the allow field names the one it takes."
            }
            Self::RequestTimeout => "The request did not arrive in time.",
            Self::ContentTooLarge => {
                "The request's content is larger than this proxy is configured to take."
            }
            Self::TargetTooLong => "The request target is too long.",
            Self::HeadTooLarge => "The request's header section is too large.",
            Self::ExpectationFailed => "The only expectation met here is 100-continue.",
            Self::UnknownCoding => "The only transfer coding understood here is chunked.",
            Self::VersionNotSupported => "This port speaks HTTP/1.1 and HTTP/1.0.",
            Self::Unreachable => "The model's endpoint could not be reached; try again.",
            Self::Untrusted => {
                "The model's endpoint could not be trusted: its certificate or TLS was refused."
            }
            Self::BadAnswer => {
                "The model's endpoint broke off or answered with something that is not HTTP; try again."
            }
            Self::CredentialRefused => {
                "The model's endpoint refused this proxy's own credential; its operator can mend that."
            }
            Self::NoCredential => {
                "This proxy has no credential for the model's endpoint at present; try again."
            }
            Self::AnswerTimeout => "The model's endpoint did not answer in time; try again.",
            Self::ConnectTimeout => "The model's endpoint took no connection in time; try again.",
            Self::Limited { .. } => {
                "All of this model's deployments are at their configured limits; try again later."
            }
            Self::PageUnavailable => {
                "This proxy has too many pages to make, or none can be made; try again."
            }
            Self::PageTimeout => "The page was not made in time; ask for less, or try again.",
            Self::ShuttingDown => "This proxy is shutting down; try again.",
            Self::Overloaded => {
                "This proxy has as much under way as it may have at once; try again."
            }
            Self::Unaccountable => {
                "This proxy cannot record what requests cost, and is told to serve none then; try again."
            }
        }
    }

    /// Of a key or a client credential.
    fn message_of_key(self) -> &'static str {
        match self {
            Self::WrongKey | Self::WrongAccessKeyId => {
                "The key sent with the request is not valid for this proxy."
            }
            Self::UnverifiedSignature => {
                "The access key id of the signature is no client credential of this proxy."
            }
            Self::IncompleteSignature => {
                "The Authorization field is no complete AWS4-HMAC-SHA256 signature of this request."
            }
            Self::InvalidSignature => {
                "The request signature we calculated does not match the signature you provided. Check the secret access key, and that every x-amz field is signed."
            }
            Self::SignatureExpired => {
                "Signature expired: it was made more than five minutes ago; check your clock."
            }
            Self::SignatureEarly => {
                "Signature not yet current: it is of more than five minutes from now; check your clock."
            }
            Self::NotForPages => {
                "A client credential is for Bedrock's operations; this page needs a key."
            }
            _ => "The signature was refused.",
        }
    }

    /// When to come again, in milliseconds, of what passes by itself.
    #[must_use]
    pub fn retry_after_ms(self) -> Option<u64> {
        match self {
            Self::Limited { retry_after_ms } => Some(retry_after_ms),
            _ => (self.status() == 503).then_some(1000),
        }
    }

    /// Whether the connection must end: what follows on it can no longer be told apart.
    #[must_use]
    pub fn ends_connection(self) -> bool {
        matches!(
            self,
            Self::BadRequest(_)
                | Self::RequestTimeout
                | Self::TargetTooLong
                | Self::HeadTooLarge
                | Self::UnknownCoding
                | Self::VersionNotSupported
                | Self::ShuttingDown
        )
    }
}

/// An error's name, AWS's or ours, as a number that stays the same from release to release.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ErrorName(u8);

impl ErrorName {
    /// Each at the place that is its code: append only.
    const NAMES: [&'static str; 26] = [
        "",
        "AccessDeniedException",
        "ConflictException",
        "ExpiredTokenException",
        "IncompleteSignatureException",
        "InternalServerException",
        "InvalidSignatureException",
        "MissingAuthenticationTokenException",
        "ModelErrorException",
        "ModelNotReadyException",
        "ModelStreamErrorException",
        "ModelTimeoutException",
        "RequestEntityTooLargeException",
        "RequestTimeoutException",
        "ResourceNotFoundException",
        "ServiceQuotaExceededException",
        "ServiceUnavailableException",
        "ThrottlingException",
        "TooManyRequestsException",
        "UnknownOperationException",
        "UnrecognizedClientException",
        "ValidationException",
        "BadGatewayException",
        "DependencyFailedException",
        "RequestExpired",
        "RequestInTheFuture",
    ];
    /// A name that this version does not know.
    const OTHER: Self = Self(u8::MAX);

    /// Of `x-amzn-errortype`'s value: what follows a colon is a URI (Smithy's REST JSON protocol), and what
    /// stands before `#` a namespace. Any case: a stream's exceptions begin with a small letter.
    #[must_use]
    pub fn of(name: &[u8]) -> Self {
        let name = name.split(|byte| *byte == b':').next().unwrap_or_default();
        let name = name.rsplit(|byte| *byte == b'#').next().unwrap_or_default().trim_ascii();
        let known =
            Self::NAMES.iter().position(|known| name.eq_ignore_ascii_case(known.as_bytes()));
        known.and_then(|at| u8::try_from(at).ok()).map_or(Self::OTHER, Self)
    }

    /// Empty for no error, `other` for one that this version does not know.
    #[must_use]
    pub fn text(self) -> &'static str {
        Self::NAMES.get(usize::from(self.0)).copied().unwrap_or("other")
    }

    /// The number.
    #[must_use]
    pub fn code(self) -> u8 {
        self.0
    }

    /// Of [`Self::code`].
    #[must_use]
    pub fn from_code(code: u8) -> Self {
        Self(code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_needs_no_escaping_and_names_are_aws_names() {
        let all = [
            Fault::BadRequest("x"),
            Fault::MissingKey,
            Fault::WrongKey,
            Fault::WrongAccessKeyId,
            Fault::UnknownModel,
            Fault::UnknownTarget,
            Fault::MethodNotAllowed { allow: "POST" },
            Fault::UnverifiedSignature,
            Fault::IncompleteSignature,
            Fault::InvalidSignature,
            Fault::SignatureExpired,
            Fault::SignatureEarly,
            Fault::NotForPages,
            Fault::NoPassthrough,
            Fault::OperationRefused,
            Fault::BidirectionalStream,
            Fault::RequestTimeout,
            Fault::ContentTooLarge,
            Fault::TargetTooLong,
            Fault::HeadTooLarge,
            Fault::ExpectationFailed,
            Fault::UnknownCoding,
            Fault::VersionNotSupported,
            Fault::Unreachable,
            Fault::Untrusted,
            Fault::BadAnswer,
            Fault::CredentialRefused,
            Fault::NoCredential,
            Fault::AnswerTimeout,
            Fault::ConnectTimeout,
            Fault::Limited { retry_after_ms: 1 },
            Fault::PageUnavailable,
            Fault::PageTimeout,
            Fault::ShuttingDown,
            Fault::Overloaded,
            Fault::Unaccountable,
        ];
        for fault in all {
            assert!(
                fault
                    .message()
                    .bytes()
                    .all(|b| (b' '..0x7f).contains(&b) && b != b'"' && b != b'\\'),
                "{fault:?}"
            );
            assert_eq!(ErrorName::of(fault.error_type().as_bytes()).text(), fault.error_type());
            assert!((400..=505).contains(&fault.status()), "{fault:?}");
        }
    }

    #[test]
    fn an_error_is_known_by_its_name_alone() {
        for name in [
            "ThrottlingException",
            "throttlingException",
            "com.amazon#ThrottlingException:http://x/",
        ] {
            assert_eq!(ErrorName::of(name.as_bytes()).text(), "ThrottlingException");
        }
        assert_eq!(ErrorName::of(b"NewException").text(), "other");
        assert_eq!(ErrorName::of(b"").text(), "");
        assert_eq!(ErrorName::default().text(), "");
    }

    #[test]
    fn sdks_repeat_what_upstream_did_and_not_what_the_client_did() {
        for fault in [
            Fault::Unreachable,
            Fault::BadAnswer,
            Fault::AnswerTimeout,
            Fault::Untrusted,
            Fault::PageUnavailable,
            Fault::PageTimeout,
            Fault::ShuttingDown,
        ] {
            assert!([502, 503, 504].contains(&fault.status()), "{fault:?}");
        }
        for fault in
            [Fault::MissingKey, Fault::WrongKey, Fault::UnknownModel, Fault::BadRequest("")]
        {
            assert!([400, 403, 404].contains(&fault.status()), "{fault:?}");
        }
    }
}
