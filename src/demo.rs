//! `outcrop demo`: the stand-in as two regions, and the proxy in front of them. No AWS account needed.
//!
//! The proxy runs exactly as it would in earnest, on a configuration file that the demo writes and
//! names, so that it can be looked at and taken as a start.

use std::{
    fmt::Write as _,
    fs::OpenOptions,
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use clap::Args;
use outcrop::{
    control_plane::{
        bind::{self, DEFAULT_PORT},
        config::{self, Environment},
        reload::Source,
        running::Plan,
        supervisor,
    },
    mock_bedrock::{Authority, Options, Seen, StandIn},
    net::signals,
};

/// The regions played.
const REGIONS: [&str; 2] = ["us-east-1", "us-west-2"];
/// Names that clients ask for, and the models behind them.
const MODELS: [(&str, &str); 2] = [
    ("claude", "us.anthropic.claude-sonnet-4-20250514-v1:0"),
    ("nova", "us.amazon.nova-lite-v1:0"),
];
/// What the documentation uses; so the demo listens on this machine only.
const KEY: &str = "sk-1234";
const CONTENT: &str = r#"{"anthropic_version":"bedrock-2023-05-31","max_tokens":64,"messages":[{"role":"user","content":"Hello"}]}"#;

/// The demo's flags.
#[derive(Args)]
pub struct Arguments {
    /// The port the proxy listens on
    #[arg(long, default_value_t = DEFAULT_PORT)]
    port: u16,
    /// Worker threads, one per core [default: all cores]
    #[arg(
        long = "num_workers",
        alias = "num-workers",
        default_value_t = 0,
        hide_default_value = true
    )]
    num_workers: usize,
    /// Milliseconds between two frames of a stream
    #[arg(long, default_value_t = 100)]
    frame_gap_ms: u64,
}

/// Runs until a signal. The error is for the operator.
pub fn run(arguments: &Arguments, mut say: impl FnMut(&str)) -> Result<(), String> {
    let words = |what: &str| {
        let what = what.to_owned();
        move |error: io::Error| format!("{what}: {error}")
    };
    let authority = Arc::new(Authority::generate().map_err(words("cannot make a certificate"))?);
    let folder = Folder::make().map_err(words("cannot make a folder for the demo's files"))?;
    let ca = folder.0.join("ca.pem");
    authority.write_pem(&ca).map_err(words("cannot write the stand-in's CA"))?;
    signals::hold(); // until somebody listens for them
    let start = |region: &&str| stand_in(region, &authority, arguments.frame_gap_ms);
    let stand_ins: Vec<StandIn> = REGIONS
        .iter()
        .map(start)
        .collect::<io::Result<_>>()
        .map_err(words("cannot start the stand-in"))?;
    let file = folder.0.join("config.yaml");
    write_private(&file, &configuration(&stand_ins))
        .map_err(words("cannot write the demo's configuration"))?;

    let ca = ca.to_str().ok_or("the temporary folder's name is not UTF-8")?;
    let environment = Environment::from_pairs([("SSL_CERT_FILE", ca)]);
    let source = Source { path: file.clone(), environment };
    let loaded = config::load(&source.path, &source.environment);
    let loaded = loaded
        .map_err(|problems| format!("the demo's own configuration is wrong: {problems:?}"))?;
    let bind = bind::decide(None, Some(arguments.port), &loaded.settings)
        .map_err(|error| error.to_string())?;
    let running = supervisor::start(&loaded.settings, &bind, arguments.num_workers);
    let running = running.map_err(|error| error.to_string())?;
    for (region, stand_in) in REGIONS.iter().zip(&stand_ins) {
        say(&format!("stand-in for {region}: https://{}", stand_in.address()));
    }
    say(&format!("configuration: {}; CA: {ca}", file.display()));
    say(&format!("event loop: {}", running.driver_line));
    say(&format!(
        "listening on http://{}; try:\n{}",
        running.address(),
        commands(&running.address().to_string())
    ));
    running.wait(Plan::of(source), say).map_err(|error| error.to_string())
}

/// A folder of our own, gone when the demo ends.
struct Folder(PathBuf);

impl Folder {
    fn make() -> io::Result<Self> {
        let path = std::env::temp_dir().join(format!("outcrop-demo-{}", std::process::id()));
        std::fs::create_dir_all(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let remove = |path: &Path| std::fs::remove_dir_all(path);
        // What stays behind is two small files in the temporary folder.
        let _ = remove(&self.0);
    }
}

fn stand_in(region: &str, authority: &Arc<Authority>, frame_gap_ms: u64) -> io::Result<StandIn> {
    let name = region.to_owned();
    let mut options = Options {
        region: region.to_owned(),
        certificate: Some(authority.clone()),
        on_request: Some(Arc::new(move |seen: &Seen| print_request(&name, seen))),
        ..Options::default()
    };
    options.answers.frame_gap_ms = frame_gap_ms;
    StandIn::start(options)
}

/// A line per request, as the stand-in saw it.
fn print_request(region: &str, seen: &Seen) {
    use std::io::Write as _;
    let operation =
        seen.operation.map_or_else(|| "unknown".to_owned(), |operation| format!("{operation:?}"));
    // Nobody may be reading any more.
    let _ = writeln!(
        io::stderr().lock(),
        "outcrop: {region} · {operation} {} · {} B · {:?} · {} · {} frames",
        seen.model_id,
        seen.content_length,
        seen.verdict,
        seen.status,
        seen.frames_sent,
    );
}

/// For us alone: it holds a secret, if one that everybody knows.
fn write_private(path: &Path, text: &str) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    options.open(path)?.write_all(text.as_bytes())
}

fn configuration(stand_ins: &[StandIn]) -> String {
    let mut text = String::from("# Written by `outcrop demo`.\nmodel_list:\n");
    for (name, model) in MODELS {
        for (region, stand_in) in REGIONS.iter().zip(stand_ins) {
            let port = stand_in.address().port();
            write!(
                text,
                "  - model_name: {name}\n    litellm_params:\n      model: bedrock/{model}\n      \
                 aws_region_name: {region}\n      aws_access_key_id: AKIAOUTCROPSTANDIN00\n      \
                 aws_secret_access_key: outcrop-stand-in-secret\n      \
                 aws_bedrock_runtime_endpoint: https://localhost:{port}\n    model_info:\n      id: {name}-{region}\n",
            )
            .expect("a String takes all");
        }
    }
    text + "general_settings:\n  master_key: " + KEY + "\n"
}

fn commands(address: &str) -> String {
    let curl = |options: &str, action: &str| {
        format!(
            "  curl {options} http://{address}/bedrock/model/claude/{action} \\\n    -H 'Authorization: Bearer {KEY}' \
             -H 'Content-Type: application/json' \\\n    -d '{CONTENT}'\n"
        )
    };
    format!(
        "\n{}\n{}\n  python3 - <<'END'    # pip install boto3\nimport boto3\n\
         bedrock = boto3.client('bedrock-runtime', region_name='us-east-1', endpoint_url='http://{address}/bedrock',\n\
         \x20                      aws_access_key_id='{KEY}', aws_secret_access_key='any')\n\
         answer = bedrock.converse(modelId='claude', messages=[{{'role': 'user', 'content': [{{'text': 'Hello'}}]}}])\n\
         print(answer['output']['message']['content'][0]['text'], answer['usage'])\nEND\n",
        curl("-s", "invoke"),
        curl("-sN --output -", "invoke-with-response-stream"),
    )
}
