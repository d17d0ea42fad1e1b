//! Where credentials come from, each source against a stand-in for who gives it; and what happens when one
//! ends, is refused, or does not come.

mod giver;

use std::{path::PathBuf, time::Duration};

use outcrop::{
    control_plane::config::DriverChoice,
    mock_bedrock::{Options, StandIn, Verdict},
};

use self::giver::{Giver, KEY_ID, SECRET, iso};
use crate::http::{Answer, Client, request};
use crate::proxy::{
    BEARER, ByHand, Deployment, INVOKE, KEY, Proxy, config_file, under_both_drivers,
};
use crate::running::{Running, scratch, within};

under_both_drivers!(
    an_expired_credential_is_renewed_and_the_request_made_once_more,
    what_is_in_force_stays_while_its_source_fails,
);

/// A stand-in that takes what a giver gives, once.
fn stand_in(token: Option<&str>) -> StandIn {
    let session_token = token.map(str::to_owned);
    StandIn::start(Options { tls: false, session_token, ..Options::default() }).expect("a stand-in")
}

fn invoke(client: &mut Client) -> Answer {
    client.ask(request(INVOKE, BEARER, b"{}"))
}

/// A process with this environment, and one deployment with these parameters; it must sign well.
fn serves(name: &str, params: &str, environment: &[(&str, &str)], token: Option<&str>) -> String {
    let stand_in = stand_in(token);
    let config = scratch(&format!("credentials-{name}-{}.yaml", stand_in.address().port()));
    let data = config.with_extension("data");
    std::fs::create_dir_all(&data).expect("a writable target/tmp");
    let text = format!(
        "model_list:\n- model_name: claude\n  litellm_params:\n    model: bedrock/anthropic.claude-v2:1\n    \
         aws_region_name: us-east-1\n    api_base: http://{}\n{params}general_settings: {{master_key: {KEY}}}\n\
         outcrop: {{driver: epoll, data_dir: \"{}\"}}\n",
        stand_in.address(),
        data.display()
    );
    std::fs::write(&config, text).expect("a writable target/tmp");
    let arguments = ["--config", config.to_str().expect("UTF-8"), "--num_workers", "1"];
    let home = scratch("nobody");
    let home = [("HOME", home.to_str().expect("UTF-8")), ("AWS_EC2_METADATA_DISABLED", "true")];
    let environment: Vec<_> = home.iter().chain(environment).copied().collect();
    let proxy = Running::start(name, &arguments, &environment, crate::running::answers_ready);
    let answer = invoke(&mut Client::connect(([127, 0, 0, 1], proxy.port).into()));
    let said = proxy.said();
    assert_eq!(answer.head.status, 200, "{name}: {answer:?}\n{said}");
    let seen = stand_in.record().last().expect("a request");
    assert!(matches!(seen.verdict, Verdict::Signed | Verdict::ApiKey), "{name}: {seen:?}");
    for secret in [SECRET, "TOKEN-"] {
        assert!(!said.contains(secret), "{name} shows a secret: {said}");
    }
    let _ = std::fs::remove_dir_all(data);
    said
}

/// What the environment would say, said by the configuration.
fn serves_configured(name: &str, variables: &[(&str, &str)], token: Option<&str>) -> String {
    let lines = variables.iter().map(|(name, value)| format!("  {name}: \"{value}\"\n"));
    let section = format!("environment_variables:\n{}", lines.collect::<String>());
    serves(name, &section, &[], token)
}

fn file(name: &str, text: &str) -> PathBuf {
    let path = scratch(&format!("credentials-{}-{name}", crate::running::free_port()));
    std::fs::write(&path, text).expect("a writable target/tmp");
    path
}

#[test]
fn a_container_gives_and_its_token_file_is_sent() {
    let giver = Giver::start();
    let token = file("token", "container-token-1");
    let url = format!("http://{}/container", giver.address);
    let environment = [
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", url.as_str()),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", token.to_str().expect("UTF-8")),
    ];
    serves("container", "", &environment, Some("TOKEN-1"));
    assert!(
        giver
            .last("GET /container")
            .to_ascii_lowercase()
            .contains("authorization: container-token-1")
    );
}

#[test]
fn an_instance_gives_by_the_second_version_of_its_service() {
    let giver = Giver::start();
    let url = format!("http://{}", giver.address);
    let environment = [
        ("AWS_EC2_METADATA_SERVICE_ENDPOINT", url.as_str()),
        ("AWS_EC2_METADATA_DISABLED", "false"),
    ];
    serves("instance", "", &environment, Some("TOKEN-1"));
    let fields = giver.last("GET /latest/meta-data/iam/security-credentials/the-role");
    assert!(fields.contains("x-aws-ec2-metadata-token: IMDS-SESSION"), "{fields}");
}

#[test]
fn a_web_identity_of_the_environment_is_taken_to_sts() {
    let giver = Giver::start();
    let token = file("identity", "web-identity-1\n");
    let url = format!("http://{}", giver.address);
    let environment = [
        ("AWS_WEB_IDENTITY_TOKEN_FILE", token.to_str().expect("UTF-8")),
        ("AWS_ROLE_ARN", "arn:aws:iam::1:role/irsa"),
        ("AWS_ENDPOINT_URL_STS", url.as_str()),
    ];
    serves("irsa", "", &environment, Some("TOKEN-1"));
    let asked = giver.last("POST /");
    assert!(asked.contains("web-identity-1") && asked.contains("role%2Firsa"), "{asked}");
}

#[test]
fn a_profile_gives_keys_a_process_a_role_or_sso() {
    let giver = Giver::start();
    let script = file(
        "process.sh",
        &format!(
            "echo '{{\"Version\":1,\"AccessKeyId\":\"{KEY_ID}\",\"SecretAccessKey\":\"{SECRET}\"}}'\n"
        ),
    );
    let home = scratch(&format!("home-{}", giver.address.port()));
    std::fs::create_dir_all(home.join(".aws/sso/cache")).expect("a writable target/tmp");
    // The name of SSO's cached token is SHA-1 of the session's, "corp".
    let cached = home.join(".aws/sso/cache/ee0bfd2552fbd840c02cc48b6e823320543c450f.json");
    let ends = iso(4_000_000_000);
    let token = format!(r#"{{"accessToken":"SSO-ACCESS","expiresAt":"{ends}"}}"#);
    std::fs::write(cached, token).expect("a writable target/tmp");
    let config = file(
        "config",
        &format!(
            "[profile process]\ncredential_process = sh {}\n\
             [profile role]\nrole_arn = arn:aws:iam::1:role/by-profile\nsource_profile = keys\nrole_session_name = s\n\
             [profile sso]\nsso_session = corp\nsso_account_id = 1\nsso_role_name = reader\n\
             [sso-session corp]\nsso_region = us-east-1\nsso_start_url = https://corp.example\n",
            script.display()
        ),
    );
    let keys = format!("[keys]\naws_access_key_id = {KEY_ID}\naws_secret_access_key = {SECRET}\n");
    let shared = file("credentials", &keys);
    let url = format!("http://{}", giver.address);
    let environment = [
        ("AWS_CONFIG_FILE", config.to_str().expect("UTF-8")),
        ("AWS_SHARED_CREDENTIALS_FILE", shared.to_str().expect("UTF-8")),
        ("AWS_ENDPOINT_URL_STS", url.as_str()),
        ("AWS_ENDPOINT_URL_SSO", url.as_str()),
        ("HOME", home.to_str().expect("UTF-8")),
    ];
    let params = |name: &str| format!("    aws_profile_name: {name}\n");
    serves("profile-keys", &params("keys"), &environment, None);
    serves("profile-process", &params("process"), &environment, None);
    serves("profile-role", &params("role"), &environment, Some("TOKEN-1"));
    assert!(giver.last("POST /").contains("role%2Fby-profile"));
    serves("profile-sso", &params("sso"), &environment, Some("TOKEN-2"));
    assert!(giver.last("GET /federation").contains("SSO-ACCESS"));
    let chain = [&environment[..], &[("AWS_PROFILE", "keys")]].concat();
    serves("profile-of-the-environment", "", &chain, None);
    let _ = std::fs::remove_dir_all(home);
}

#[test]
fn a_role_is_assumed_as_the_entry_says() {
    let giver = Giver::start();
    let params = format!(
        "    aws_access_key_id: AKIDBASE\n    aws_secret_access_key: base-secret\n    \
         aws_role_name: arn:aws:iam::1:role/own\n    aws_session_name: team-a\n    aws_external_id: ext-7\n    \
         aws_session_tags: [{{Key: cost, Value: '42'}}]\n    aws_sts_endpoint: http://{}\n",
        giver.address
    );
    serves("role", &params, &[], Some("TOKEN-1"));
    let asked = giver.last("POST /");
    for part in [
        "Action=AssumeRole&",
        "role%2Fown",
        "RoleSessionName=team-a",
        "ExternalId=ext-7",
        "Tags.member.1.Key=cost",
        "Tags.member.1.Value=42",
        "Credential=AKIDBASE/",
    ] {
        assert!(asked.contains(part), "{part}: {asked}");
    }
    assert!(!asked.contains("base-secret"));

    let token = file("own-identity", "own-web-identity");
    let params = format!(
        "    aws_web_identity_token: {}\n    aws_role_name: arn:aws:iam::1:role/web\n    \
         aws_session_name: s\n    aws_sts_endpoint: http://{}\n",
        token.display(),
        giver.address
    );
    serves("web-identity", &params, &[], Some("TOKEN-2"));
    let asked = giver.last("POST /");
    assert!(asked.contains("own-web-identity") && !asked.contains("authorization"), "{asked}");
}

#[test]
fn the_environments_keys_and_bearer_token_serve_who_names_nothing() {
    let keys = [("AWS_ACCESS_KEY_ID", KEY_ID), ("AWS_SECRET_ACCESS_KEY", SECRET)];
    serves("environment", "", &keys, None);
    let temporary = [keys[0], keys[1], ("AWS_SESSION_TOKEN", "TOKEN-9")];
    serves("environment-token", "", &temporary, Some("TOKEN-9"));
}

#[test]
fn what_the_configuration_sets_reaches_the_chain() {
    let giver = Giver::start();
    let keys = format!("[keys]\naws_access_key_id = {KEY_ID}\naws_secret_access_key = {SECRET}\n");
    let shared = file("configured", &keys);
    let shared = ("AWS_SHARED_CREDENTIALS_FILE", shared.to_str().expect("UTF-8"));
    serves_configured("configured-profile", &[shared, ("AWS_PROFILE", "keys")], None);
    let by_default = file("configured-default", &keys.replace("[keys]", "[default]"));
    let by_default = ("AWS_SHARED_CREDENTIALS_FILE", by_default.to_str().expect("UTF-8"));
    serves_configured("configured-default-profile", &[by_default], None);

    let token = file("configured-identity", "web-identity-2\n");
    let url = format!("http://{}", giver.address);
    let identity = [
        ("AWS_WEB_IDENTITY_TOKEN_FILE", token.to_str().expect("UTF-8")),
        ("AWS_ROLE_ARN", "arn:aws:iam::1:role/configured"),
        ("AWS_ROLE_SESSION_NAME", "by-file"),
        ("AWS_ENDPOINT_URL_STS", &url),
    ];
    serves_configured("configured-identity", &identity, Some("TOKEN-1"));
    let asked = giver.last("POST /");
    for part in ["web-identity-2", "role%2Fconfigured", "RoleSessionName=by-file"] {
        assert!(asked.contains(part), "{part}: {asked}");
    }
}

#[test]
fn a_reload_asks_whom_the_new_configuration_names_and_nobody_twice() {
    let giver = Giver::start();
    let upstreams = [stand_in(Some("TOKEN-1")), stand_in(Some("TOKEN-2"))];
    let with = |upstream: &StandIn, role: &str| {
        let one = with_role(Deployment::plain(upstream.address()), &giver);
        one.param("aws_role_name", &format!("arn:aws:iam::1:role/{role}"))
    };
    let config = config_file(DriverChoice::Epoll, &[with(&upstreams[0], "one")], "");
    let arguments = ["--config", config.to_str().expect("UTF-8"), "--num_workers", "1"];
    let metadata = [("AWS_EC2_METADATA_DISABLED", "true")];
    let proxy = Running::start("reload-role", &arguments, &metadata, crate::running::answers_ready);
    let mut client = Client::connect(([127, 0, 0, 1], proxy.port).into());
    let mut reloads = 0;
    let mut reload = |deployment: Deployment| {
        crate::reload::put(&config, DriverChoice::Epoll, &[deployment], "");
        proxy.hang_up();
        reloads += 1;
        let taken = || proxy.said().matches("configuration reloaded").count();
        assert!(within(|| taken() == reloads), "{}", proxy.said());
    };
    assert_eq!(invoke(&mut client).head.status, 200);
    assert!(giver.last("POST /").contains("role%2Fone"));
    reload(with(&upstreams[0], "one").param("weight", "2"));
    assert_eq!(invoke(&mut client).head.status, 200);
    assert_eq!(giver.given(), 1, "the same source: what it gave is in force");

    reload(with(&upstreams[1], "two"));
    assert!(within(|| invoke(&mut client).head.status == 200), "{}", proxy.said());
    assert!(giver.last("POST /").contains("role%2Ftwo"));
    assert_eq!(giver.given(), 2);
    assert!(upstreams[1].record().seen().iter().all(|seen| seen.verdict == Verdict::Signed));
    assert_eq!(upstreams[0].record().requests(), 2, "the old one serves nobody any more");
}

#[test]
fn a_source_that_hangs_or_fails_does_not_keep_the_start_and_readiness_says_so() {
    let giver = Giver::start();
    giver.fail(true);
    let upstream = stand_in(None);
    let proxy = of_role(DriverChoice::Epoll, &upstream, &giver);
    let mut client = proxy.connect();
    let answer = client.ask(request("GET /health/readiness HTTP/1.1", "", b""));
    let without = &answer.json()["deployments_without_credential"];
    assert_eq!(without.as_array().map(Vec::len), Some(1), "{answer:?}");
    let answer = invoke(&mut client);
    answer.check_fault(503, "ServiceUnavailableException");
    assert_eq!(upstream.record().requests(), 0);
    giver.fail(false);
    assert!(within(|| {
        let answer = client.ask(request("GET /health/readiness HTTP/1.1", "", b""));
        answer.json().get("deployments_without_credential").is_none()
    }));
}

/// A proxy whose one deployment assumes a role at `giver`.
fn of_role(driver: DriverChoice, upstream: &StandIn, giver: &Giver) -> Proxy {
    Proxy::start(driver, None, &[with_role(Deployment::plain(upstream.address()), giver)], "")
}

fn with_role(deployment: Deployment, giver: &Giver) -> Deployment {
    deployment
        .param("aws_role_name", "arn:aws:iam::1:role/r")
        .param("aws_sts_endpoint", &format!("http://{}", giver.address))
        .param("cooldown_time", "0")
}

fn an_expired_credential_is_renewed_and_the_request_made_once_more(driver: DriverChoice) {
    let giver = Giver::start();
    let upstream = ByHand::start();
    // Two deployments with one role: they share what is given.
    let deployments = ["claude", "other"]
        .map(|name| with_role(Deployment::plain(upstream.address()).named(name), &giver));
    let proxy = Proxy::start(driver, None, &deployments, "");
    assert_eq!(giver.given(), 1, "one for both");
    let mut client = proxy.connect();
    client.send(request(INVOKE, BEARER, b"{}"));
    let mut hand = upstream.accept();
    assert!(hand.request().0.contains("x-amz-security-token: TOKEN-1\r\n"));
    let refused = "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\nConnection: close\r\n\
                   x-amzn-errortype: ExpiredTokenException:http://internal.amazon.com/\r\n\r\n{}";
    hand.send(refused);
    let mut hand = upstream.accept();
    let (head, content) = hand.request();
    assert!(head.contains("x-amz-security-token: TOKEN-2\r\n"), "{head}");
    assert_eq!(content, b"{}");
    // Refused again: once more is all there is.
    hand.send(refused);
    let answer = client.answer();
    assert_eq!(answer.head.status, 403, "{answer:?}");
    assert_eq!(
        answer.head.field("x-amzn-errortype").map(|it| it.starts_with("ExpiredToken")),
        Some(true)
    );
    let rows = proxy.rows(1);
    assert_eq!(rows[0]["attempts"], 2, "{rows:#?}");
}

fn what_is_in_force_stays_while_its_source_fails(driver: DriverChoice) {
    let giver = Giver::start();
    giver.live_for(Duration::from_secs(3));
    let upstream = stand_in(Some("TOKEN-1"));
    let proxy = of_role(driver, &upstream, &giver);
    giver.fail(true);
    let mut client = proxy.connect();
    // It is asked for the next before the end, in vain; what there is serves on.
    let asked = giver.asked();
    assert!(within(|| giver.asked() > asked), "it is asked again in time");
    assert_eq!(invoke(&mut client).head.status, 200);
    assert!(within(|| invoke(&mut client).head.status == 503), "until it ends");
    giver.live_for(Duration::from_secs(3600));
    giver.fail(false);
    assert!(within(|| invoke(&mut client).head.status != 503), "and then it is there again");
    assert_eq!(giver.given(), 2);
}
