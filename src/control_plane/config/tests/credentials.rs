//! Which credential a deployment gets, and what is refused instead of guessed.

use super::*;
use crate::control_plane::config::{Base, CredentialSource, Origin, Source, Token};

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
        let (id, secret, token) = match fixed(&deployment.credential) {
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
fn who_names_a_role_or_a_profile_gets_that_and_nothing_else() {
    let source = |params: &str, environment: &[(&str, &str)]| -> (Source, CredentialSource) {
        let params = format!("model: a.b, aws_region_name: us-east-1, {params}");
        let deployment = one(&params, environment, &[]);
        match deployment.credential {
            Origin::Source(source) => (*source, deployment.credential_source),
            Origin::Fixed(_) => panic!("{params}"),
        }
    };
    let (chain, of) = source("", &[]);
    assert!(matches!(chain.base, Base::Chain) && chain.role.is_none());
    assert_eq!((of, chain.region.as_str()), (CredentialSource::Environment, "us-east-1"));
    let files = [KEYS[0], KEYS[1], ("AWS_CONFIG_FILE", "/c"), ("AWS_REGION", "eu-west-1")];
    let (profile, of) = source("aws_profile_name: p", &files);
    assert_eq!((of, profile.region.as_str()), (CredentialSource::Entry, "eu-west-1"));
    let Base::Profile { name, files } = profile.base else { panic!() };
    assert_eq!((name.as_str(), files), ("p", [Some("/c".into()), None]));

    let role = "aws_role_name: arn:aws:iam::1:role/r";
    let (by_key, _) = source(role, &KEYS);
    assert!(matches!(by_key.base, Base::Key(_)));
    assert_eq!(by_key.role.unwrap().session_name, "outcrop");
    let own = format!("{role}, aws_access_key_id: AKIDOWN, aws_secret_access_key: MARKERsecret");
    let (by_own, _) = source(&own, &KEYS);
    assert!(
        matches!(by_own.base, Base::Key(Credential::SigV4 { access_key_id, .. }) if access_key_id == "AKIDOWN")
    );
    let (by_chain, _) = source(role, &[]);
    assert!(matches!(by_chain.base, Base::Chain));
    let all = format!(
        "{role}, aws_session_name: s, aws_external_id: x, aws_session_tags: {{a: b}}, \
         aws_sts_endpoint: 'https://sts.example', aws_profile_name: p"
    );
    let (all, _) = source(&all, &KEYS);
    assert!(matches!(all.base, Base::Profile { .. }));
    assert_eq!(all.sts_endpoint.as_deref(), Some("https://sts.example"));
    let role_of = all.role.unwrap();
    assert_eq!(role_of.tags, [("a".to_owned(), "b".to_owned())]);
    assert_eq!((role_of.session_name.as_str(), role_of.external_id.as_deref()), ("s", Some("x")));

    let token = |token: &str, environment: &[(&str, &str)]| {
        let (source, _) = source(&format!("{role}, aws_web_identity_token: {token}"), environment);
        match source.base {
            Base::WebIdentity(Token::File(path)) => format!("file {}", path.display()),
            Base::WebIdentity(Token::Text(text)) => format!("text {}", text.expose()),
            _ => panic!("{token}"),
        }
    };
    assert_eq!(token("/var/run/token", &KEYS), "file /var/run/token");
    assert_eq!(token("oidc/file/t", &KEYS), "file t");
    assert_eq!(token("oidc/env/T", &[("T", MARKER)]), "text MARKERsecret");
    assert_eq!(token("oidc/env_path/T", &[("T", "/t")]), "file /t");
    assert_eq!(token("MARKERsecret.jwt", &KEYS), "text MARKERsecret.jwt");
}

#[test]
fn equal_sources_are_shared_and_others_are_not() {
    let key = |params: &str| {
        one(&format!("model: a.b, aws_region_name: us-east-1, {params}"), &KEYS, &[])
            .credential
            .key()
    };
    let all = [
        "",
        "api_key: k",
        "aws_profile_name: p",
        "aws_profile_name: q",
        "aws_role_name: r",
        "aws_role_name: r, aws_session_name: t",
        "aws_role_name: r, aws_external_id: t",
        "aws_role_name: r, aws_access_key_id: a, aws_secret_access_key: s",
        "aws_role_name: r, aws_access_key_id: a, aws_secret_access_key: t",
        "aws_role_name: r, aws_web_identity_token: MARKERsecret1",
        "aws_role_name: r, aws_web_identity_token: MARKERsecret2",
    ];
    for (at, one) in all.iter().enumerate() {
        assert!(all.iter().enumerate().all(|(other, it)| (key(it) == key(one)) == (at == other)));
    }
}

#[test]
fn the_environments_bearer_token_comes_before_its_keys_but_not_for_agents() {
    let environment = [KEYS[0], KEYS[1], ("AWS_BEARER_TOKEN_BEDROCK", "MARKERsecretB")];
    let deployment = one("model: a.b, aws_region_name: us-east-1", &environment, &[]);
    let key = fixed(&deployment.credential);
    assert!(matches!(key, Credential::ApiKey(key) if key.expose() == "MARKERsecretB"));
    let region = [environment[0], environment[1], environment[2], ("AWS_REGION_NAME", "us-east-1")];
    let settings = check("model_list: []", &region, &["nothing is served"]).settings;
    let passthrough = settings.passthrough.unwrap();
    assert_eq!(passthrough.credential.access_key_id(), "AKIDEXAMPLE");
}

#[test]
fn what_does_not_go_together_is_refused() {
    for (params, error) in [
        ("aws_session_name: s", "aws_session_name: needs aws_role_name"),
        ("aws_web_identity_token: MARKERsecret", "aws_web_identity_token: needs aws_role_name"),
        ("aws_external_id: x, aws_profile_name: p", "aws_external_id: needs aws_role_name"),
        ("aws_role_name: r, api_key: k", "aws_role_name: cannot go with `api_key`"),
        ("aws_role_name: r, aws_sts_endpoint: sts.example", "must start with https://"),
        ("aws_role_name: r, aws_session_tags: x", "must be a list of"),
        ("aws_role_name: r, aws_session_tags: [{Key: a}]", "must have `Key` and `Value`"),
        ("aws_role_name: r, aws_web_identity_token: oidc/google/x", "is not supported"),
        ("aws_role_name: r, aws_web_identity_token: oidc/env/NONE", "variable that is not set"),
        ("aws_profile_name: ''", "is empty"),
        ("aws_role_name: r, aws_access_key_id: a", "go together"),
        (
            "litellm_credential_name: c, api_key: k",
            "would sign with another credential than you mean",
        ),
    ] {
        refuse(
            &entry(&format!("model: a.b, aws_region_name: us-east-1, {params}")),
            &KEYS,
            &[error],
        );
    }
}
