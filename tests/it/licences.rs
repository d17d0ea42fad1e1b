//! `deny.toml`, enforced: what every package in `Cargo.lock` may be licensed under, come from, be called.
//!
//! cargo-deny reads the same file; this needs no tool but cargo. All features and all platforms count.
//! The judge is a pure function of (policy, package), tried on bad samples first.

use serde::Deserialize;
use serde_json::Value;
use std::process::Command;

/// The part of cargo-deny's format that we use; a key we do not know is an error, lest it seem enforced.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Policy {
    graph: Graph,
    licenses: Licenses,
    bans: Bans,
    sources: Sources,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Graph {
    all_features: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Licenses {
    allow: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Bans {
    #[serde(rename = "multiple-versions")]
    _multiple_versions: String, // cargo-deny's to warn about
    #[serde(rename = "wildcards")]
    _wildcards: String, // crates.io refuses them already
    deny: Vec<Ban>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Ban {
    #[serde(rename = "crate")]
    name: String,
    reason: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Sources {
    unknown_registry: String,
    unknown_git: String,
    allow_registry: Vec<String>,
}

/// One entry of `cargo metadata`'s `packages`.
#[derive(Clone, Debug, Deserialize)]
struct Package {
    name: String,
    version: String,
    license: Option<String>,
    source: Option<String>,
}

#[test]
fn every_dependency_is_allowed() {
    let policy = policy();
    assert!(policy.graph.all_features, "deny.toml covers all features");
    assert_eq!(policy.sources.unknown_registry, "deny");
    assert_eq!(policy.sources.unknown_git, "deny");
    let Some(packages) = packages() else { return };
    assert!(packages.len() > 100, "the graph was not read: {} packages", packages.len());
    assert!(packages.iter().any(|package| package.name == "rustls"), "the graph is not ours");
    let findings: Vec<String> =
        packages.iter().filter_map(|package| judge(&policy, package).err()).collect();
    assert!(findings.is_empty(), "{findings:#?}");
}

fn policy() -> Policy {
    toml::from_str(include_str!("../../deny.toml")).expect("deny.toml in the form known here")
}

/// All packages of all platforms and features. `None` (loudly; never under CI) if cargo cannot name
/// them: a machine that only built has not fetched what other platforms need.
fn packages() -> Option<Vec<Package>> {
    let metadata = metadata(&["--offline"]).or_else(|offline| {
        metadata(&[]).map_err(|online| format!("offline: {offline}\nonline: {online}"))
    });
    match metadata {
        Ok(mut metadata) => Some(
            serde_json::from_value(metadata["packages"].take()).expect("cargo's metadata format"),
        ),
        Err(why) => {
            super::skip("every_dependency_is_allowed", &why);
            None
        }
    }
}

fn metadata(flags: &[&str]) -> Result<Value, String> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked", "--all-features"])
        .args(flags)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .map_err(|error| error.to_string())?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    serde_json::from_slice(&output.stdout).map_err(|error| error.to_string())
}

/// Why `package` may not be in the graph.
fn judge(policy: &Policy, package: &Package) -> Result<(), String> {
    let who = format!("{} {}", package.name, package.version);
    if let Some(ban) = policy.bans.deny.iter().find(|ban| ban.name == package.name) {
        return Err(format!("{who} is banned: {}", ban.reason));
    }
    match &package.source {
        // Only this crate comes from a path.
        None if package.name == env!("CARGO_PKG_NAME") => {}
        None => return Err(format!("{who} comes from a path")),
        Some(source) => {
            let registry = source.strip_prefix("registry+").unwrap_or("");
            if !policy.sources.allow_registry.iter().any(|allowed| allowed == registry) {
                return Err(format!("{who} comes from {source}"));
            }
        }
    }
    let Some(license) = &package.license else {
        return Err(format!("{who} names no SPDX licence"));
    };
    match satisfiable(license, &policy.licenses.allow) {
        Ok(true) => Ok(()),
        Ok(false) => Err(format!("{who}: {license} is not satisfied by deny.toml's list")),
        Err(why) => Err(format!("{who}: {license}: {why}")),
    }
}

/// Whether an SPDX expression (SPDX 2.3 annex D) can be met from `allow` alone. `/` is cargo's old OR.
/// `X WITH Y` is met only by an entry that says all of it.
fn satisfiable(expression: &str, allow: &[String]) -> Result<bool, String> {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let tokens: Vec<&str> = spaced.split_whitespace().collect();
    let mut at = 0;
    let met = any_of(&tokens, &mut at, allow)?;
    if at == tokens.len() { Ok(met) } else { Err(format!("{} is out of place", tokens[at])) }
}

/// `AND` binds tighter than `OR`.
fn any_of(tokens: &[&str], at: &mut usize, allow: &[String]) -> Result<bool, String> {
    let mut met = all_of(tokens, at, allow)?;
    while tokens.get(*at) == Some(&"OR") {
        *at += 1;
        met |= all_of(tokens, at, allow)?;
    }
    Ok(met)
}

fn all_of(tokens: &[&str], at: &mut usize, allow: &[String]) -> Result<bool, String> {
    let mut met = one(tokens, at, allow)?;
    while tokens.get(*at) == Some(&"AND") {
        *at += 1;
        met &= one(tokens, at, allow)?;
    }
    Ok(met)
}

fn one(tokens: &[&str], at: &mut usize, allow: &[String]) -> Result<bool, String> {
    let token = *tokens.get(*at).ok_or("ends early")?;
    *at += 1;
    match token {
        "(" => {
            let met = any_of(tokens, at, allow)?;
            if tokens.get(*at) != Some(&")") {
                return Err("a parenthesis is left open".into());
            }
            *at += 1;
            Ok(met)
        }
        ")" | "AND" | "OR" | "WITH" => Err(format!("{token} is out of place")),
        id if tokens.get(*at) == Some(&"WITH") => {
            let exception = *tokens.get(*at + 1).ok_or("WITH names no exception")?;
            *at += 2;
            let whole = format!("{id} WITH {exception}");
            Ok(allow.contains(&whole))
        }
        id => Ok(allow.iter().any(|allowed| allowed == id)),
    }
}

mod samples {
    use super::*;

    #[test]
    fn expressions() {
        let allow: Vec<String> = ["MIT", "ISC", "BSD-3-Clause"].map(String::from).into();
        for (expression, met) in [
            ("MIT", true),
            ("GPL-3.0-only", false),
            ("MIT/Apache-2.0", true),
            ("GPL-3.0/Apache-2.0", false),
            ("GPL-3.0-only OR MIT", true),
            ("GPL-3.0-only AND MIT", false),
            ("MIT AND ISC OR GPL-3.0-only", true),
            ("GPL-3.0-only AND ISC OR MIT", true),
            ("GPL-3.0-only AND (ISC OR MIT)", false),
            ("(GPL-3.0-only OR ISC) AND (MIT OR X)", true),
            ("((MIT))", true),
            ("MIT WITH LLVM-exception", false),
            ("MIT WITH LLVM-exception OR MIT", true),
            ("mit", false),
            ("MITNFA", false),
        ] {
            assert_eq!(satisfiable(expression, &allow), Ok(met), "{expression}");
        }
        for broken in ["", "MIT OR", "(MIT", "MIT)", "OR MIT", "MIT ISC", "MIT WITH", "()"] {
            assert!(satisfiable(broken, &allow).is_err(), "{broken}");
        }
    }

    #[test]
    fn each_wall_can_fail() {
        let policy = policy();
        let good = Package {
            name: "good".into(),
            version: "1.0.0".into(),
            license: Some("MIT OR Apache-2.0".into()),
            source: Some("registry+https://github.com/rust-lang/crates.io-index".into()),
        };
        assert_eq!(judge(&policy, &good), Ok(()));
        let bad = |change: fn(&mut Package), said: &str| {
            let mut package = good.clone();
            change(&mut package);
            let why = judge(&policy, &package).expect_err("refused");
            assert!(why.contains(said), "{why}");
        };
        bad(|p| p.name = "openssl-sys".into(), "banned");
        bad(|p| p.name = "native-tls".into(), "banned");
        bad(|p| p.license = None, "no SPDX");
        bad(|p| p.license = Some("AGPL-3.0-only".into()), "not satisfied");
        bad(|p| p.license = Some("MIT OR".into()), "ends early");
        bad(|p| p.source = None, "path");
        bad(|p| p.source = Some("git+https://github.com/a/b#c".into()), "comes from git");
        bad(|p| p.source = Some("registry+https://example.com/index".into()), "example.com");
    }

    #[test]
    fn an_unknown_key_of_the_policy_is_an_error() {
        let text = include_str!("../../deny.toml").replace("[sources]", "[sources]\nnew-key = 1");
        assert!(toml::from_str::<Policy>(&text).is_err());
    }
}
