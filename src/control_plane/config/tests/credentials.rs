//! Which credential a deployment gets, and what is refused instead of guessed.

use super::*;
use crate::control_plane::config::CredentialSource;

#[test]
fn credentials_are_the_entrys_else_the_environments() {
    let token = [KEYS[0], KEYS[1], ("AWS_SESSION_TOKEN", "MARKERsecretToken")];
    let check = |params: &str,
                 environment: &[(&str, &str)],
                 expected: (&str, &str, Option<&str>),
                 warnings: &[&str]| {
        let deployment = one(
            &format!("model: a.b, aws_region_name: us-east-1, {params}"),
            environment,
            warnings,
        );
        let (id, secret, token) = match &deployment.credential {
            Credential::SigV4 { access_key_id, secret_access_key, session_token } => (
                access_key_id.as_str(),
                secret_access_key.expose(),
                session_token.as_ref().map(|token| token.expose()),
            ),
            Credential::ApiKey(key) => ("", key.expose(), None),
        };
        assert_eq!((id, secret, token), expected);
        deployment.credential_source
    };
    assert_eq!(check("", &KEYS, ("AKIDEXAMPLE", MARKER, None), &[]), CredentialSource::Environment);
    check("", &token, ("AKIDEXAMPLE", MARKER, Some("MARKERsecretToken")), &[]);
    let own = "aws_access_key_id: AKIDOWN, aws_secret_access_key: MARKERsecret/+=";
    let source = check(own, &token, ("AKIDOWN", "MARKERsecret/+=", None), &[]);
    assert_eq!(source, CredentialSource::Entry, "and the environment's token is not mixed in");
    check(
        &format!("{own}, aws_session_token: t"),
        &token,
        ("AKIDOWN", "MARKERsecret/+=", Some("t")),
        &[],
    );
    check(
        &format!("{own}, aws_session_token: ''"),
        &token,
        ("AKIDOWN", "MARKERsecret/+=", None),
        &["is empty: taken as unset"],
    );
    check("api_key: MARKERsecretKey", &token, ("", "MARKERsecretKey", None), &[]);
    let (id, key) = ("aws_access_key_id: has no effect", "aws_secret_access_key: has no effect");
    check(&format!("api_key: k, {own}"), &[], ("", "k", None), &[id, key]);
    check("aws_role_name: , aws_profile_name: null", &KEYS, ("AKIDEXAMPLE", MARKER, None), &[]);
}

#[test]
fn a_credential_that_is_not_whole_is_refused() {
    let check = |params: &str, environment: &[(&str, &str)], error: &str| {
        refuse(
            &entry(&format!("model: a.b, aws_region_name: us-east-1, {params}")),
            environment,
            &[error],
        );
    };
    check("", &[], "c.yaml:3: model_list[0].litellm_params: has no credential");
    check("", &KEYS[..1], "AWS_ACCESS_KEY_ID is set, but not AWS_SECRET_ACCESS_KEY");
    check("", &KEYS[1..], "AWS_SECRET_ACCESS_KEY is set, but not AWS_ACCESS_KEY_ID");
    check(
        "",
        &[KEYS[0], ("AWS_SECRET_ACCESS_KEY", "MARKERsecret\r")],
        "variable AWS_SECRET_ACCESS_KEY holds",
    );
    check("", &[("AWS_ACCESS_KEY_ID", "a/b"), KEYS[1]], "variable AWS_ACCESS_KEY_ID holds");
    check(
        "aws_access_key_id: x",
        &KEYS,
        "aws_access_key_id: aws_access_key_id and aws_secret_access_key go together",
    );
    check(
        "aws_secret_access_key: MARKERsecret",
        &KEYS,
        "aws_secret_access_key: aws_access_key_id and",
    );
    check("aws_session_token: MARKERsecret", &KEYS, "aws_session_token: aws_access_key_id and");
    for id in ["a/b", "'a,b'", "'a=b'", "'a b'", "''", "é", "\"a\\nb\"", "true"] {
        check(
            &format!("aws_access_key_id: {id}, aws_secret_access_key: x"),
            &[],
            "aws_access_key_id: ",
        );
    }
    for bad in
        ["''", "\"MARKERsecret\\r\\nX: y\"", "MARKERsecreté", "'MARKERsecret '", "[MARKERsecret]"]
    {
        check(
            &format!("aws_access_key_id: a, aws_secret_access_key: {bad}"),
            &[],
            "aws_secret_access_key: ",
        );
        check(&format!("api_key: {bad}"), &KEYS, "api_key: ");
        if bad != "''" {
            check(
                &format!(
                    "aws_access_key_id: a, aws_secret_access_key: b, aws_session_token: {bad}"
                ),
                &[],
                "aws_session_token: ",
            );
        }
    }
    check(
        "aws_access_key_id: a, aws_secret_access_key: 0x1f",
        &[],
        "is a number; put it in quotes",
    );
}

#[test]
fn a_source_that_is_not_supported_is_refused() {
    for key in
        "profile_name role_name session_name web_identity_token external_id sts_endpoint".split(' ')
    {
        let yaml =
            entry(&format!("model: a.b, aws_region_name: us-east-1, aws_{key}: MARKERsecret"));
        refuse(&yaml, &KEYS, &[&format!("litellm_params.aws_{key}: is not supported")]);
    }
    let named =
        entry("model: a.b, aws_region_name: us-east-1, litellm_credential_name: c, api_key: k");
    refuse(&named, &KEYS, &["would sign with another credential than you mean"]);
}
