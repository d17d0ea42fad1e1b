//! Flags and subcommands. `outcrop --config config.yaml` serves; LiteLLM's users change one word.

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Args, Parser, Subcommand};
use outcrop::{
    control_plane::{
        bind,
        config::{self, Environment, Loaded, Problem},
        prices_command,
        reload::Source,
        running::Plan,
        spend::{Day, GroupBy, ReportQuery},
        spend_command::{self, Form},
        successor::Program,
        supervisor::{self, Sockets},
        systemd::ServiceManager,
    },
    net::{
        descriptors,
        inherited::{self, Inherited},
        signals,
    },
    policy::auth::ClientCredential,
};

#[cfg(feature = "stand-in")]
mod demo;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Wrong flags or configuration, as clap has it for flags.
const USAGE: u8 = 2;

#[derive(Parser)]
#[command(version, about, args_conflicts_with_subcommands = true)]
struct Command {
    #[command(subcommand)]
    subcommand: Option<Mode>,
    #[command(flatten)]
    serve: Serve,
}

#[derive(Subcommand)]
enum Mode {
    /// Validate a configuration and explain what was understood, deployment by deployment
    Check {
        /// The configuration file (LiteLLM's config.yaml)
        #[arg(long, short)]
        config: PathBuf,
    },
    /// Show what a model's tokens cost, and by which rule
    Prices {
        /// A model id, a cross-region profile id, or an ARN; with --config also a model_name of its
        model: String,
        /// The region that requests go to [default: us-east-1; of a model_name: every deployment's]
        #[arg(long)]
        region: Option<String>,
        /// The configuration file (LiteLLM's config.yaml), whose own prices and outcrop.prices then count
        #[arg(long, short)]
        config: Option<PathBuf>,
    },
    /// Print the access key that signs for a client key: for SDKs that send no bearer token over plain http
    ClientCredentials {
        /// The configuration file (LiteLLM's config.yaml), whose master key it is for
        #[arg(long, short)]
        config: PathBuf,
    },
    /// Show what was spent: read from the store, whether the proxy runs or not
    Spend(Spend),
    /// Run the proxy in front of a built-in Bedrock stand-in; needs no AWS account
    #[cfg(feature = "stand-in")]
    Demo(demo::Arguments),
    /// Run the Bedrock stand-in alone: a TLS server that checks signatures as AWS does
    #[cfg(feature = "stand-in")]
    MockBedrock(outcrop::mock_bedrock::Arguments),
}

#[derive(Args)]
struct Spend {
    /// The configuration file (LiteLLM's config.yaml), which says where the store is
    #[arg(long, short)]
    config: PathBuf,
    /// What to show a line for
    #[arg(long, default_value = "model", value_parser = group_by, value_name = "model|deployment|api_key|day")]
    by: GroupBy,
    /// From this day on (UTC)
    #[arg(long, value_parser = spend_command::day, value_name = "YYYY-MM-DD")]
    since: Option<Day>,
    /// Up to this day, included (UTC)
    #[arg(long, value_parser = spend_command::day, value_name = "YYYY-MM-DD")]
    until: Option<Day>,
    /// As JSON, as `/global/spend/report` has it
    #[arg(long, conflicts_with = "csv")]
    json: bool,
    /// As CSV, without the total
    #[arg(long)]
    csv: bool,
}

fn group_by(word: &str) -> Result<GroupBy, &'static str> {
    GroupBy::from_word(word).ok_or("one of model, deployment, api_key, day")
}

#[derive(Args)]
struct Serve {
    /// The configuration file (LiteLLM's config.yaml)
    #[arg(long, short)]
    config: Option<PathBuf>,
    /// The address to listen on [default: 0.0.0.0, or 127.0.0.1 while the master key is unset or public]
    #[arg(long)]
    host: Option<String>,
    /// The port to listen on [default: 4000]
    #[arg(long)]
    port: Option<u16>,
    /// Worker threads, one per core [default: all cores]
    #[arg(
        long = "num_workers",
        alias = "num-workers",
        default_value_t = 0,
        hide_default_value = true
    )]
    num_workers: usize,
    /// Our certificate in PEM form, with those between it and an authority: clients come through TLS
    #[arg(long = "ssl_certfile_path", alias = "ssl-certfile-path", value_name = "FILE")]
    certificate: Option<String>,
    /// Its key
    #[arg(long = "ssl_keyfile_path", alias = "ssl-keyfile-path", value_name = "FILE")]
    key: Option<String>,
}

fn main() -> ExitCode {
    let command = Command::parse();
    match command.subcommand {
        None => serve(&command.serve),
        Some(Mode::Check { config }) => check(&config),
        Some(Mode::Prices { model, region, config }) => {
            prices(&model, region.as_deref(), config.as_deref())
        }
        Some(Mode::ClientCredentials { config }) => client_credentials(&config),
        Some(Mode::Spend(flags)) => spend(&flags),
        #[cfg(feature = "stand-in")]
        Some(Mode::Demo(arguments)) => told(demo::run(&arguments, say)),
        #[cfg(feature = "stand-in")]
        Some(Mode::MockBedrock(arguments)) => told(
            outcrop::mock_bedrock::run(arguments).map_err(|error| format!("the stand-in: {error}")),
        ),
    }
}

fn check(path: &Path) -> ExitCode {
    match load(path) {
        Ok(loaded) => {
            let mut text = String::new();
            config::explain(&loaded, &mut text).expect("a String takes all");
            // A closed pipe (`| head`) is no failure of the configuration.
            let _ = io::stdout().write_all(text.as_bytes());
            ExitCode::SUCCESS
        }
        Err(code) => code,
    }
}

fn prices(model: &str, region: Option<&str>, config: Option<&Path>) -> ExitCode {
    let loaded = match config.map(load).transpose() {
        Ok(loaded) => loaded,
        Err(code) => return code,
    };
    let settings = loaded.as_ref().map(|loaded| &loaded.settings);
    let answer = prices_command::run(settings, model, region);
    // A closed pipe (`| head`) is no failure of the look-up.
    let _ = io::stdout().write_all(answer.text.as_bytes());
    if answer.is_known { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The one command whose purpose is to show a secret: to who has the key anyway.
fn client_credentials(config: &Path) -> ExitCode {
    let loaded = match load(config) {
        Ok(loaded) => loaded,
        Err(code) => return code,
    };
    let Some(key) = &loaded.settings.master_key else {
        say("there is no master key, so any access key is let in");
        return ExitCode::FAILURE;
    };
    let pair = ClientCredential::derived(key.expose());
    let (id, secret) = (&pair.access_key_id, pair.secret_access_key.expose());
    let text = format!("AWS_ACCESS_KEY_ID={id}\nAWS_SECRET_ACCESS_KEY={secret}\n");
    // A closed pipe (`| head`) is no failure of ours.
    let _ = io::stdout().write_all(text.as_bytes());
    ExitCode::SUCCESS
}

fn spend(flags: &Spend) -> ExitCode {
    let loaded = match load(&flags.config) {
        Ok(loaded) => loaded,
        Err(code) => return code,
    };
    let query = ReportQuery { group_by: flags.by, start: flags.since, end: flags.until };
    let form = match (flags.json, flags.csv) {
        (true, _) => Form::Json,
        (false, true) => Form::Csv,
        (false, false) => Form::Table,
    };
    match spend_command::run(&loaded.settings.accounting, &query, form) {
        Ok(text) => {
            // A closed pipe (`| head`) is no failure of the store.
            let _ = io::stdout().write_all(text.as_bytes());
            ExitCode::SUCCESS
        }
        Err(error) => {
            say(&error);
            ExitCode::FAILURE
        }
    }
}

fn load(path: &Path) -> Result<Loaded, ExitCode> {
    read(&Source { path: path.to_owned(), environment: Environment::of_process() })
}

fn read(source: &Source) -> Result<Loaded, ExitCode> {
    config::load(&source.path, &source.environment).map_err(|problems| {
        say_all(&problems);
        say("the configuration holds errors; nothing was started");
        ExitCode::from(USAGE)
    })
}

fn serve(flags: &Serve) -> ExitCode {
    let Some(path) = &flags.config else {
        say("--config FILE is needed: a LiteLLM config.yaml; `outcrop demo` needs none");
        return ExitCode::from(USAGE);
    };
    let mut environment = Environment::of_process();
    for (name, value) in
        [(config::CERTIFICATE_VARIABLE, &flags.certificate), (config::KEY_VARIABLE, &flags.key)]
    {
        if let Some(value) = value {
            environment.override_with(name, value.clone());
        }
    }
    let source = Source { path: path.clone(), environment };
    // Before anything is opened: the numbers that were passed must not be taken for others.
    let inherited = match inherited::take(|name| source.environment.get(name).map(str::to_owned)) {
        Ok(inherited) => inherited,
        Err(error) => return misused(&error),
    };
    let loaded = match read(&source) {
        Ok(loaded) => loaded,
        Err(code) => return code,
    };
    say_all(&loaded.warnings);
    descriptors::raise();
    signals::hold(); // until somebody listens for them
    let (sockets, predecessor, leaves_queue) = match inherited {
        Some(Inherited::Activated(sockets)) => (Sockets::Given(sockets), None, true),
        Some(Inherited::HandedOver(sockets, ready)) => {
            (Sockets::Given(sockets), Some(ready), false)
        }
        None => match bind::decide(flags.host.as_deref(), flags.port, &loaded.settings) {
            Ok(bind) => {
                if let Some(reason) = bind.reason {
                    say(&format!("listening on this machine only: {reason}"));
                }
                (Sockets::Of(bind.address), None, false)
            }
            Err(error) => return misused(&error),
        },
    };
    let manager = match ServiceManager::of(&source.environment) {
        Ok(manager) => manager,
        Err(error) => return misused(&format!("NOTIFY_SOCKET: {error}")),
    };
    let running = match supervisor::start_on(&loaded.settings, sockets, flags.num_workers) {
        Ok(running) => running,
        Err(error) => return failed(&error),
    };
    let deployments = loaded.settings.deployments.len();
    say(&format!("event loop: {}", running.driver_line));
    let scheme = if loaded.settings.tls.is_some() { "https" } else { "http" };
    say(&format!("listening on {scheme}://{} with {deployments} deployments", running.address()));
    let program = Some(program());
    match running.wait(Plan { source, program, manager, predecessor, leaves_queue }, say) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&error),
    }
}

/// What started this process, to be started once more. A path is kept as it was given: what stands there then
/// is meant, not what stood there.
fn program() -> Program {
    let mut arguments = std::env::args_os();
    let name = arguments.next().unwrap_or_else(|| env!("CARGO_PKG_NAME").into());
    Program { name, arguments: arguments.collect() }
}

fn misused(error: &impl ToString) -> ExitCode {
    say(&error.to_string());
    ExitCode::from(USAGE)
}

#[cfg(feature = "stand-in")]
fn told(result: Result<(), String>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&error);
            ExitCode::FAILURE
        }
    }
}

fn failed(error: &supervisor::RunError) -> ExitCode {
    say(&error.to_string());
    ExitCode::FAILURE
}

fn say_all(problems: &[Problem]) {
    for problem in problems {
        say(&problem.to_string());
    }
}

/// One line for the operator. Nobody may be reading any more, which is no reason to stop.
fn say(line: &str) {
    let _ = writeln!(io::stderr().lock(), "outcrop: {line}");
}
