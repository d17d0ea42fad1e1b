//! What went wrong with one attempt, by AWS's meaning: kinds, and how answers and exceptions are judged.

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
