//! The table of `docs/reliability.md`: what the code does with each kind of failure. The document is written
//! anew under `OUTCROP_WRITE_DOCS=1`.

use std::fmt::Write as _;

use outcrop::bedrock::failure::{Cools, Elsewhere, Failure, Scope};

/// What makes a failure one of this kind, and what the client gets if nothing else helps.
fn words(failure: Failure) -> (&'static str, &'static str) {
    const ITS_OWN: &str = "AWS's own answer";
    match failure {
        Failure::Throttled => ("ThrottlingException, TooManyRequestsException, 429", ITS_OWN),
        Failure::Unavailable => ("ServiceUnavailableException, 503", ITS_OWN),
        Failure::Internal => (
            "InternalServerException, BadGatewayException, DependencyFailedException, 5xx",
            ITS_OWN,
        ),
        Failure::NotReady => ("ModelNotReadyException", ITS_OWN),
        Failure::ModelTimeout => ("ModelTimeoutException, 408", ITS_OWN),
        Failure::ModelError => ("ModelErrorException, ModelStreamErrorException, 424", ITS_OWN),
        Failure::QuotaExceeded => ("ServiceQuotaExceededException", ITS_OWN),
        Failure::AccessDenied => ("AccessDeniedException, 403", ITS_OWN),
        Failure::CredentialRefused => (
            "ExpiredToken, UnrecognizedClient, InvalidSignature, IncompleteSignature, \
             MissingAuthenticationToken (…Exception), 401",
            "AWS's own answer; 502 if that would quote our credential",
        ),
        Failure::NotFound => ("ResourceNotFoundException, 404", ITS_OWN),
        Failure::Invalid => ("ValidationException and every other 4xx", ITS_OWN),
        Failure::ConnectFailed => ("no address, refused, unreachable", "503"),
        Failure::ConnectTimedOut => ("no connection in 5 s", "504"),
        Failure::TlsFailed => ("certificate or handshake refused", "502"),
        Failure::Reset => ("closed before a byte of an answer", "502"),
        Failure::BadAnswer => ("what came is no HTTP answer; a redirect", "502"),
        Failure::TimedOut => ("no answer's head in `timeout`", "504"),
        Failure::StreamTimedOut => ("silence within an answer", "the answer, broken off"),
        Failure::Broken => (
            "an answer that broke off, or whose frames broke",
            "502 before a stream's first frame, else the answer, broken off",
        ),
    }
}

fn table() -> String {
    let mut made =
        "| word | what it is | again here | elsewhere | left alone | what is left alone | \
                    the client gets |\n|---|---|---|---|---|---|---|\n"
            .to_owned();
    for failure in Failure::ALL {
        let rule = failure.rule();
        let (what, client) = words(failure);
        let here = if rule.here { "yes" } else { "no" };
        let elsewhere = match rule.elsewhere {
            Elsewhere::No => "no",
            Elsewhere::Any => "yes",
            Elsewhere::OtherCredential => "with another credential",
        };
        let cools = match rule.cools {
            Cools::No => "no",
            Cools::AtOnce => "at once",
            Cools::AfterFails => "after 3 in a row",
        };
        let scope = match (rule.cools, rule.scope) {
            (Cools::No, _) => "",
            (_, Scope::Deployment) => "the deployment",
            (_, Scope::Credential) => "all with its credential",
            (_, Scope::Endpoint) => "all at its endpoint",
        };
        let word = failure.word();
        writeln!(
            made,
            "| `{word}` | {what} | {here} | {elsewhere} | {cools} | {scope} | {client} |"
        )
        .expect("a String takes all");
    }
    made
}

#[test]
fn the_document_has_the_rules_of_the_code() {
    crate::document::check("docs/reliability.md", "failover/rules.rs", &table(), "failover::rules");
}
