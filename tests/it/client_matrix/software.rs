//! Which clients there are, where they come from, and how to run them. `.ci/install.sh` names the same versions.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::clients::{self, Package, bounded, python};
use crate::running::{free_port, path, scratch};

const NPM_SECONDS_MAX: u32 = 240;
const DRIVER_SECONDS_MAX: u32 = 120;

/// Every operation of the matrix.
pub(super) const ALL: [&str; 11] = [
    "invoke",
    "invoke_stream",
    "converse",
    "converse_stream",
    "count_tokens",
    "apply_guardrail",
    "retrieve",
    "retrieve_and_generate",
    "invoke_agent",
    "rerank",
    "list_foundation_models",
];
/// Those of Anthropic's own API.
const ANTHROPICS: &[&str] = &["invoke", "invoke_stream"];

/// What a client is made of.
enum Software {
    /// The system's, driven by a python without anything.
    Curl,
    /// From PyPI.
    Python(&'static Package),
    /// From npm: the folder, packages with versions, a further argument for the driver.
    Node(&'static str, &'static [&'static str], &'static str),
}

/// A column of the matrix.
pub(super) struct Client {
    /// Its name in the document.
    pub name: &'static str,
    /// What its driver must say it is; empty: the system's, whatever it is.
    pub version: &'static str,
    /// In `clients/matrix/`.
    driver: &'static str,
    software: Software,
    /// Speaks HTTP/2 with the proxy. The stand-in speaks HTTP/1.1 alone, so there it does that.
    pub over_http2: bool,
    /// Sends a token rather than signing, where it can.
    pub bearer: bool,
    /// What it has.
    pub operations: &'static [&'static str],
}

const AWSCLI: Package = Package {
    folder: "awscli-1.46.3",
    requirement: "awscli==1.46.3",
    module: "awscli",
    variable: "OUTCROP_PYTHON_AWSCLI",
};
const ANTHROPIC: Package = Package {
    folder: "anthropic-2.14.0",
    requirement: "anthropic[bedrock]==2.14.0",
    module: "anthropic",
    variable: "OUTCROP_PYTHON_ANTHROPIC",
};
const LANGCHAIN: Package = Package {
    folder: "langchain-aws-1.9.1",
    requirement: "langchain-aws==1.9.1",
    module: "langchain_aws",
    variable: "OUTCROP_PYTHON_LANGCHAIN",
};

const AWS_SDK: [&str; 3] = [
    "@aws-sdk/client-bedrock-runtime@3.1164.0",
    "@aws-sdk/client-bedrock-agent-runtime@3.1164.0",
    "@aws-sdk/client-bedrock@3.1164.0",
];

pub(super) const CLIENTS: [Client; 10] = [
    Client {
        name: "AWS CLI 1",
        version: "1.46.3",
        driver: "with_awscli.py",
        software: Software::Python(&AWSCLI),
        over_http2: false,
        bearer: false,
        operations: &[
            "invoke",
            "converse",
            "count_tokens",
            "apply_guardrail",
            "retrieve",
            "retrieve_and_generate",
            "rerank",
            "list_foundation_models",
        ],
    },
    Client {
        name: "langchain-aws",
        version: "1.9.1",
        driver: "with_langchain.py",
        software: Software::Python(&LANGCHAIN),
        over_http2: false,
        bearer: false,
        operations: &[
            "invoke",
            "invoke_stream",
            "converse",
            "converse_stream",
            "retrieve",
            "invoke_agent",
            "rerank",
        ],
    },
    Client {
        name: "Anthropic's SDK for Python",
        version: "2.14.0",
        driver: "with_anthropic.py",
        software: Software::Python(&ANTHROPIC),
        over_http2: false,
        bearer: false,
        operations: ANTHROPICS,
    },
    Client {
        name: "curl",
        version: "",
        driver: "with_curl.py",
        software: Software::Curl,
        over_http2: false,
        bearer: true,
        operations: &ALL,
    },
    Client {
        name: "boto3 1.43",
        version: "1.43.127",
        driver: "with_boto3.py",
        software: Software::Python(&clients::OLD.package),
        over_http2: false,
        bearer: true,
        operations: &ALL,
    },
    Client {
        name: "boto3 1.44",
        version: "1.44.8",
        driver: "with_boto3.py",
        software: Software::Python(&clients::CURRENT.package),
        over_http2: false,
        bearer: false,
        operations: &ALL,
    },
    Client {
        name: "AWS SDK for JavaScript 3",
        version: "3.1164.0",
        driver: "with_aws.mjs",
        software: Software::Node("aws-sdk-js-3.1164.0", &AWS_SDK, ""),
        over_http2: true,
        bearer: false,
        operations: &ALL,
    },
    Client {
        name: "AWS SDK for JavaScript 3, over HTTP/1.1",
        version: "3.1164.0",
        driver: "with_aws.mjs",
        software: Software::Node("aws-sdk-js-3.1164.0", &AWS_SDK, "http1"),
        over_http2: false,
        bearer: false,
        operations: &ALL,
    },
    Client {
        name: "AWS SDK for JavaScript 3.787",
        version: "3.787.0",
        driver: "with_aws.mjs",
        software: Software::Node(
            "aws-sdk-js-3.787.0",
            &[
                "@aws-sdk/client-bedrock-runtime@3.787.0",
                "@aws-sdk/client-bedrock-agent-runtime@3.787.0",
                "@aws-sdk/client-bedrock@3.787.0",
            ],
            "",
        ),
        over_http2: false,
        bearer: false,
        operations: &[
            "invoke",
            "invoke_stream",
            "converse",
            "converse_stream",
            "apply_guardrail",
            "retrieve",
            "retrieve_and_generate",
            "invoke_agent",
            "rerank",
            "list_foundation_models",
        ],
    },
    Client {
        name: "Anthropic's SDK for JavaScript",
        version: "1.1.3",
        driver: "with_anthropic.mjs",
        software: Software::Node("anthropic-js-1.1.3", &["@anthropic-ai/bedrock-sdk@1.1.3"], ""),
        over_http2: false,
        bearer: true,
        operations: ANTHROPICS,
    },
];

impl Client {
    /// Its driver, ready to start at AWS or at the proxy; `None`, loudly, if the client cannot be had.
    pub(super) fn command(&self, at_proxy: bool) -> Option<Command> {
        let driver = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/clients/matrix");
        let driver = driver.join(self.driver);
        let mut command = match self.software {
            Software::Curl if !runs("curl") => return self.missing("there is no curl"),
            Software::Curl => bounded(DRIVER_SECONDS_MAX, Path::new("python3")),
            Software::Python(package) => bounded(DRIVER_SECONDS_MAX, &python(package)?),
            Software::Node(folder, packages, argument) => {
                let modules = match node_modules(folder, packages) {
                    Ok(modules) => modules,
                    Err(why) => return self.missing(&why),
                };
                let argument = if self.over_http2 && !at_proxy { "http1" } else { argument };
                let mut command = bounded(DRIVER_SECONDS_MAX, Path::new("node"));
                command
                    .current_dir(modules)
                    .arg(driver)
                    .args(Some(argument).filter(|it| !it.is_empty()));
                return Some(of_nobody(command));
            }
        };
        command.arg("-B").arg(driver);
        Some(of_nobody(command))
    }

    fn missing(&self, why: &str) -> Option<Command> {
        crate::skip(&format!("the matrix with {}", self.name), why);
        None
    }
}

/// Without a configuration of AWS's, and no metadata service to ask.
fn of_nobody(mut command: Command) -> Command {
    command.env_clear().env("PATH", path()).env("HOME", scratch("nobody"));
    command.env("AWS_EC2_METADATA_DISABLED", "true");
    command
}

fn runs(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success())
}

/// The folder below `target/clients` with these packages in its `node_modules`, made if it is not there.
fn node_modules(folder: &str, packages: &[&str]) -> Result<PathBuf, String> {
    if !runs("node") {
        return Err("there is no node".into());
    }
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("target");
    let place = target.join("clients").join(folder);
    if place.join("node_modules").exists() {
        return Ok(place);
    }
    let aside = place.with_file_name(format!("{folder}-{}", free_port()));
    let made = (|| {
        std::fs::create_dir_all(&aside).map_err(|error| format!("{}: {error}", aside.display()))?;
        let flags = ["install", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"];
        let mut npm = bounded(NPM_SECONDS_MAX, Path::new("npm"));
        clients::succeed(npm.args(flags).arg("--prefix").arg(&aside).args(packages))?;
        std::fs::rename(&aside, &place).map_err(|error| format!("{}: {error}", place.display()))
    })();
    let _ = std::fs::remove_dir_all(&aside);
    made.map(|()| place)
}

/// Whoever installs for CI installs what is run here.
#[test]
fn the_script_that_installs_names_these_versions() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join(".ci/install.sh");
    let script = std::fs::read_to_string(script).expect("the script");
    for client in &CLIENTS {
        match client.software {
            Software::Curl => {}
            Software::Python(package) => {
                let line = format!(
                    "venv \"$1/{}\" {} '{}'",
                    package.folder, package.module, package.requirement
                );
                assert!(script.contains(&line), "{line}");
            }
            Software::Node(folder, packages, _) => {
                assert!(folder.ends_with(client.version) && script.contains(client.version));
                assert!(packages.iter().all(|package| package.ends_with(client.version)));
            }
        }
    }
}
