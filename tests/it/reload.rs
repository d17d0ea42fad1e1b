//! SIGHUP: what changes at once, what does not, and what nobody notices.

use std::{
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::Duration,
};

use outcrop::control_plane::config::DriverChoice;
use outcrop::mock_bedrock::{Options, StandIn};

use crate::http::{Client, End, request};
use crate::proxy::{
    BEARER, Deployment, INVOKE, KEY, STREAM, ca_file, config_file, under_both_drivers,
};
use crate::running::{Running, answers_ready, scratch, within};

under_both_drivers!(
    a_model_comes_and_goes,
    a_key_changes_for_open_connections,
    a_bad_file_changes_nothing,
    a_stream_keeps_what_it_began_with,
    a_cool_down_outlives_a_reload,
    new_roots_are_trusted,
    what_needs_a_restart_is_named,
    reloads_under_load_fail_nobody,
);

const SECOND: &str = "POST /bedrock/model/second/invoke HTTP/1.1";

/// A proxy in a process of its own, and its configuration, which can be changed.
struct Rig {
    running: Running,
    driver: DriverChoice,
    config: PathBuf,
    stand_in: StandIn,
    reloads: usize,
}

impl Rig {
    fn start(driver: DriverChoice, name: &str, general: &str) -> Self {
        let stand_in = StandIn::start(Options::default()).expect("a stand-in");
        let config = config_file(driver, &[Deployment::to(stand_in.address())], general);
        let ca = ca_file(&stand_in).expect("it speaks TLS");
        let (file, ca) = (text(&config).to_owned(), text(&ca));
        let arguments = ["--config", &file, "--host", "127.0.0.1", "--num_workers", "2"];
        let running = Running::start(name, &arguments, &[("SSL_CERT_FILE", ca)], answers_ready);
        Self { running, driver, config, stand_in, reloads: 0 }
    }

    fn here(&self) -> Deployment {
        Deployment::to(self.stand_in.address())
    }

    /// Puts another configuration in the file's place.
    fn put(&self, deployments: &[Deployment], general: &str) {
        put(&self.config, self.driver, deployments, general);
    }

    /// SIGHUP, and it has taken effect.
    fn reload(&mut self) {
        self.reloads += 1;
        self.running.hang_up();
        let taken = || self.running.said().matches("configuration reloaded").count();
        assert!(within(|| taken() == self.reloads), "{}", self.running.said());
    }

    /// SIGHUP, and it is refused.
    fn reload_in_vain(&self) {
        let refused = || self.running.said().matches("RELOAD REFUSED").count();
        let before = refused();
        self.running.hang_up();
        assert!(within(|| refused() > before), "{}", self.running.said());
    }

    fn connect(&self) -> Client {
        Client::connect(([127, 0, 0, 1], self.running.port).into())
    }

    fn metric(&self, name: &str) -> String {
        let ask = format!("GET /metrics HTTP/1.1\r\nHost: x\r\n{BEARER}\r\n");
        let answer = self.connect().ask(ask);
        let page = String::from_utf8(answer.content).expect("UTF-8");
        let line = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.expect("a metric of this name").to_owned()
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a UTF-8 path")
}

/// Another configuration in the place of one that [`config_file`] made, with the same data.
pub fn put(config: &Path, driver: DriverChoice, deployments: &[Deployment], general: &str) {
    let new = config_file(driver, deployments, general);
    let data_dir = |of: &Path| text(&of.with_extension("data")).to_owned();
    let words = std::fs::read_to_string(&new).expect("the file just written");
    std::fs::write(&new, words.replace(&data_dir(&new), &data_dir(config))).expect("writable");
    std::fs::rename(&new, config).expect("a writable folder");
    std::fs::remove_dir(new.with_extension("data")).expect("an empty folder");
}

fn a_model_comes_and_goes(driver: DriverChoice) {
    let mut rig = Rig::start(driver, "reload-models", "");
    let mut client = rig.connect();
    assert_eq!(client.ask(request(INVOKE, BEARER, b"{}")).head.status, 200);
    client.ask(request(SECOND, BEARER, b"{}")).check_fault(404, "ResourceNotFoundException");
    rig.put(&[rig.here(), rig.here().named("second").with_id("two")], "");
    client.ask(request(SECOND, BEARER, b"{}")).check_fault(404, "ResourceNotFoundException");
    let connections = rig.stand_in.record().connections();
    rig.reload();
    for line in [SECOND, INVOKE] {
        assert_eq!(
            client.ask(request(line, BEARER, b"{}")).head.status,
            200,
            "the same connection"
        );
    }
    assert_eq!(rig.stand_in.record().connections(), connections, "upstream's are kept, too");
    let models = client.ask(format!("GET /v1/models HTTP/1.1\r\nHost: x\r\n{BEARER}\r\n"));
    assert!(models.json()["data"].as_array().is_some_and(|all| all.len() == 2), "{models:?}");
    rig.put(&[rig.here().named("second").with_id("two")], "");
    rig.reload();
    client.ask(request(INVOKE, BEARER, b"{}")).check_fault(404, "ResourceNotFoundException");
    assert_eq!(client.ask(request(SECOND, BEARER, b"{}")).head.status, 200);
    assert_eq!(rig.metric("outcrop_config_reloads_total{outcome=\"taken\"}"), "2");
}

fn a_key_changes_for_open_connections(driver: DriverChoice) {
    let mut rig = Rig::start(driver, "reload-key", "");
    let mut client = rig.connect();
    assert_eq!(client.ask(request(INVOKE, BEARER, b"{}")).head.status, 200);
    let words = std::fs::read_to_string(&rig.config).expect("our file");
    let other = "sk-another-2f7c18d0a9";
    std::fs::write(&rig.config, words.replace(KEY, other)).expect("writable");
    rig.reload();
    let refused = client.ask(request(INVOKE, BEARER, b"{}"));
    assert_eq!(refused.head.status, 403, "{refused:?}");
    let bearer = format!("Authorization: Bearer {other}\r\n");
    assert_eq!(rig.connect().ask(request(INVOKE, &bearer, b"{}")).head.status, 200);
    assert!(!rig.running.said().contains(other), "{}", rig.running.said());
}

fn a_bad_file_changes_nothing(driver: DriverChoice) {
    let mut rig = Rig::start(driver, "reload-bad", "");
    let good = std::fs::read_to_string(&rig.config).expect("our file");
    let line = 1 + good.lines().position(|line| line.contains("aws_region_name")).expect("there");
    let bad = good.replace("\"us-east-1\"", "\"us east\"");
    std::fs::write(&rig.config, bad).expect("writable");
    rig.reload_in_vain();
    let said = rig.running.said();
    let place =
        format!("{}:{line}: model_list[0].litellm_params.aws_region_name", text(&rig.config));
    assert!(said.contains(&place), "{place} is not in:\n{said}");
    let mut client = rig.connect();
    assert_eq!(client.ask(request(INVOKE, BEARER, b"{}")).head.status, 200);
    assert_eq!(rig.metric("outcrop_config_reloads_total{outcome=\"refused\"}"), "1");
    assert_eq!(rig.metric("outcrop_config_last_reload_ok"), "0");
    // No YAML at all; no file at all.
    std::fs::write(&rig.config, "model_list: [").expect("writable");
    rig.reload_in_vain();
    std::fs::remove_file(&rig.config).expect("our file");
    rig.reload_in_vain();
    assert_eq!(client.ask(request(INVOKE, BEARER, b"{}")).head.status, 200);
    std::fs::write(&rig.config, good).expect("writable");
    rig.reload();
    assert_eq!(rig.metric("outcrop_config_reloads_total{outcome=\"refused\"}"), "3");
    assert_eq!(rig.metric("outcrop_config_reloads_total{outcome=\"taken\"}"), "1");
    assert_eq!(rig.metric("outcrop_config_last_reload_ok"), "1");
    assert_eq!(client.ask(request(INVOKE, BEARER, b"{}")).head.status, 200);
}

fn a_stream_keeps_what_it_began_with(driver: DriverChoice) {
    let mut rig = Rig::start(driver, "reload-stream", "");
    let mut client = rig.connect();
    let fields = format!("{BEARER}X-Amzn-Bedrock-Mock: frames=3; gate\r\n");
    client.send(request(STREAM, &fields, b"{}"));
    rig.stand_in.release_frames(1);
    let head = client.head().expect("a head");
    let mut content = client.chunk().expect("the first frame");
    rig.put(&[rig.here().named("second").with_id("two")], "");
    rig.reload();
    rig.connect().ask(request(INVOKE, BEARER, b"{}")).check_fault(404, "ResourceNotFoundException");
    rig.stand_in.release_frames(1000);
    assert_eq!(client.content(&head, &mut content), End::Clean, "{}", rig.running.said());
    // And its account still names the deployment that is no more.
    let logs = format!("GET /spend/logs?limit=10 HTTP/1.1\r\nHost: x\r\n{BEARER}\r\n");
    let rows = rig.connect().ask(logs).json();
    let of = |group: &str| {
        let rows = rows.as_array().expect("rows").iter();
        rows.filter(|row| row["model_group"] == group && row["status"] == "success").count()
    };
    assert_eq!(of("claude"), 1, "{rows:#}");
}

fn a_cool_down_outlives_a_reload(driver: DriverChoice) {
    let general = "router_settings:\n  cooldown_time: 600\n";
    let mut rig = Rig::start(driver, "reload-standing", general);
    let certificate = rig.stand_in.authority().cloned();
    let well = StandIn::start(Options { certificate, ..Options::default() }).expect("a stand-in");
    let pair =
        |rig: &Rig| [rig.here().with_id("ill"), Deployment::to(well.address()).with_id("well")];
    rig.put(&pair(&rig), general);
    rig.reload();
    rig.stand_in.set_fault("status=429").expect("a directive");
    let mut client = rig.connect();
    // Until the one that is ill was asked, and told that it is.
    assert!(within(|| {
        assert_eq!(client.ask(request(INVOKE, BEARER, b"{}")).head.status, 200);
        rig.stand_in.record().requests() > 0
    }));
    rig.stand_in.set_fault("").expect("none");
    let asked = rig.stand_in.record().requests();
    let third = rig.here().named("second").with_id("three");
    let [ill, well] = pair(&rig);
    rig.put(&[third, well, ill], general);
    rig.reload();
    for _ in 0..40 {
        assert_eq!(client.ask(request(INVOKE, BEARER, b"{}")).head.status, 200);
    }
    assert_eq!(rig.stand_in.record().requests(), asked, "it cools down, whatever was reloaded");
}

fn new_roots_are_trusted(driver: DriverChoice) {
    let stranger = StandIn::start(Options::default()).expect("a stand-in with a CA of its own");
    let mut rig = Rig::start(driver, "reload-roots", "");
    rig.put(&[rig.here(), Deployment::to(stranger.address()).named("second").with_id("two")], "");
    rig.reload();
    let mut client = rig.connect();
    let refused = client.ask(request(SECOND, BEARER, b"{}"));
    assert_eq!(refused.head.status, 502, "{refused:?}");
    let known = ca_file(&rig.stand_in).expect("TLS");
    let added = ca_file(&stranger).expect("TLS");
    let read = |path: &Path| std::fs::read(path).expect("a certificate");
    std::fs::write(&known, [read(&known), read(&added)].concat()).expect("writable");
    rig.reload();
    for line in [SECOND, INVOKE] {
        let answer = client.ask(request(line, BEARER, b"{}"));
        assert_eq!(answer.head.status, 200, "{answer:?}\n{}", rig.running.said());
    }
    std::fs::write(&known, "no certificate").expect("writable");
    rig.reload_in_vain();
    assert!(rig.running.said().contains("SSL_CERT_FILE"), "{}", rig.running.said());
    assert_eq!(client.ask(request(SECOND, BEARER, b"{}")).head.status, 200);
}

fn what_needs_a_restart_is_named(driver: DriverChoice) {
    let mut rig = Rig::start(driver, "reload-fixed", "");
    rig.put(&[rig.here()], "litellm_settings:\n  json_logs: true\n");
    let words = std::fs::read_to_string(&rig.config).expect("our file");
    let elsewhere = scratch("reload-elsewhere");
    std::fs::create_dir_all(&elsewhere).expect("writable");
    let data_dir = rig.config.with_extension("data");
    std::fs::write(&rig.config, words.replace(text(&data_dir), text(&elsewhere)))
        .expect("writable");
    rig.reload();
    let said = rig.running.said();
    for key in ["outcrop.data_dir", "litellm_settings.json_logs"] {
        assert!(said.contains(&format!("{key} has changed, which takes effect at the next start")));
    }
    assert_eq!(said.matches("has changed").count(), 2, "{said}");
    assert_eq!(std::fs::read_dir(&elsewhere).expect("readable").count(), 0);
}

/// A reload every 50 ms, each changing what there is, for some seconds; clients on connections that are kept,
/// and on new ones.
fn reloads_under_load_fail_nobody(driver: DriverChoice) {
    let rig = Rig::start(driver, "reload-load", "");
    let address = ([127, 0, 0, 1], rig.running.port).into();
    let (is_over, answered) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for number in 0..4 {
            let (is_over, answered) = (&is_over, &answered);
            scope.spawn(move || {
                let mut client = Client::connect(address);
                while !is_over.load(Ordering::Relaxed) {
                    let line = if number % 2 == 0 { INVOKE } else { STREAM };
                    let answer = client.ask(request(line, BEARER, b"{}"));
                    assert_eq!((answer.head.status, answer.end), (200, End::Clean), "{answer:?}");
                    answered.fetch_add(1, Ordering::Relaxed);
                    if number >= 2 {
                        client = Client::connect(address);
                    }
                }
            });
        }
        for round in 0..60 {
            let others =
                (0..round % 3).map(|it| rig.here().named("other").with_id(&it.to_string()));
            let all: Vec<_> = [rig.here()].into_iter().chain(others).collect();
            rig.put(&all, "");
            rig.running.hang_up();
            std::thread::park_timeout(Duration::from_millis(50));
        }
        is_over.store(true, Ordering::Relaxed);
    });
    let answered = answered.load(Ordering::Relaxed);
    assert!(answered > 100, "{answered} requests are no load");
    // What came while one was under way was one reload more, not lost: the last file is in force.
    rig.put(&[rig.here(), rig.here().named("second").with_id("two")], "");
    rig.running.hang_up();
    let mut client = rig.connect();
    let ask = || client.ask(request(SECOND, BEARER, b"{}")).head.status == 200;
    assert!(within(ask), "{}", rig.running.said());
    let said = rig.running.said();
    assert!(said.matches("configuration reloaded").count() > 5, "{said}");
    assert!(!said.contains("REFUSED"), "{said}");
}
