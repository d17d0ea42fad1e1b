//! docs/security.md names tests that are there, and what an operator is warned of.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::Command,
};

use crate::running::{path, scratch};

/// Every name between backticks with `::` in it.
fn names(document: &str) -> impl Iterator<Item = &str> {
    document.split('`').skip(1).step_by(2).filter(|name| name.contains("::"))
}

/// Whether the module's files have a test of this name.
fn is_there(name: &str) -> bool {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it");
    let parts: Vec<&str> = name.split("::").collect();
    let (function, modules) = (parts[parts.len() - 1], &parts[..parts.len() - 1]);
    let file = root.join(modules.join("/")).with_extension("rs");
    let text = fs::read_to_string(file).unwrap_or_default();
    text.contains(&format!("fn {function}("))
}

#[test]
fn every_test_that_the_document_names_is_there() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/security.md");
    let document = fs::read_to_string(file).expect("the document");
    let missing: Vec<&str> = names(&document).filter(|name| !is_there(name)).collect();
    assert!(missing.is_empty(), "docs/security.md names tests that are not there: {missing:?}");
    assert!(names(&document).count() > 30 && !is_there("security::no_such_test"));
}

#[test]
fn a_secret_that_all_may_read_is_warned_of() {
    let file = scratch("exposed.yaml");
    let check = |key: &str, mode: u32| {
        let text = format!(
            "model_list:\n  - model_name: claude\n    litellm_params:\n      model: bedrock/amazon.nova-lite-v1:0\n      \
             aws_region_name: us-east-1\n      aws_access_key_id: AKIAIOSFODNN7EXAMPLE\n      aws_secret_access_key: {key}\n"
        );
        fs::write(&file, text).expect("a writable target/tmp");
        fs::set_permissions(&file, Permissions::from_mode(mode)).expect("ours");
        let told = Command::new(env!("CARGO_BIN_EXE_outcrop"))
            .args(["check", "--config", file.to_str().expect("UTF-8")])
            .env_clear()
            .env("PATH", path())
            .env("A_SECRET", "hush")
            .output()
            .expect("outcrop starts");
        let words = [told.stdout, told.stderr].concat();
        String::from_utf8(words).expect("UTF-8")
    };
    for (key, mode, is_warned) in [
        ("hush-hush", 0o644, true),
        ("hush-hush", 0o604, true),
        ("hush-hush", 0o640, false),
        ("hush-hush", 0o600, false),
        ("os.environ/A_SECRET", 0o644, false),
        (
            "os.environ/A_SECRET\nenvironment_variables:\n  AWS_SESSION_TOKEN: hush-hush",
            0o644,
            true,
        ),
    ] {
        let told = check(key, mode);
        assert_eq!(told.contains("every user of this machine can read"), is_warned, "{told}");
        assert!(!told.contains("hush"), "{told}");
        let line = if key.contains('\n') { "exposed.yaml:9: " } else { "exposed.yaml:7: " };
        assert!(!is_warned || told.contains(line), "{told}");
    }
}
