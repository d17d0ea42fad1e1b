//! The annotated reference, the golden explanation, and files that somebody's disk garbled.

use super::*;

const SAMPLE: &str = include_str!("../../../../config.yaml");
const EXPLAINED: &str = include_str!("../../../../tests/vectors/config/explain.yaml");
const EXPLANATION: &str = include_str!("../../../../tests/vectors/config/explain.txt");

#[test]
fn the_annotated_reference_starts_as_it_is() {
    let settings = check(SAMPLE, &KEYS, &[]).settings;
    let found: Vec<_> =
        settings.deployments.iter().map(|it| (it.model_name.as_str(), it.weight)).collect();
    assert_eq!(found, [("claude", 3), ("claude", 1), ("nova", 1)]);
    assert!(settings.master_key.is_none());
}

#[test] // a key that is commented out must be as right as one that is not
fn the_annotated_reference_is_right_where_it_is_commented_out() {
    let key = |line: &str| {
        let name = line.split_once(':').map_or("", |(name, _)| name);
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
    };
    let uncommented: String = SAMPLE
        .lines()
        .filter(|line| !line.contains("api_base:"))
        .map(|line| match line.split_once("# ") {
            Some((indent, rest)) if indent.trim().is_empty() && key(rest) => {
                format!("{indent}{rest}\n")
            }
            Some(("", rest)) if rest.starts_with("  AWS_REGION:") => format!("{rest}\n"),
            Some(("", rest)) if rest.starts_with("  - more_models") => format!("{rest}\n"),
            _ => format!("{line}\n"),
        })
        .collect();
    let variables = [
        "NOVA_ACCESS_KEY_ID",
        "NOVA_SECRET_ACCESS_KEY",
        "NOVA_SESSION_TOKEN",
        "AWS_BEARER_TOKEN_BEDROCK",
    ];
    let mut environment: Vec<_> = variables.map(|name| (name, MARKER)).to_vec();
    environment.push(("DATABASE_URL", "postgresql://outcrop:MARKERsecret@127.0.0.1/outcrop"));
    environment.extend(KEYS.into_iter().chain([("LITELLM_MASTER_KEY", MARKER)]));
    let files = [
        ("c.yaml", uncommented.as_str()),
        ("more_models.yaml", "model_list: []"),
        ("prices.json", "{}"),
    ];
    let loaded = load_files(&files, &environment)
        .unwrap_or_else(|problems| panic!("{}\n{uncommented}", rendered(&problems)));
    let unexpected: Vec<_> = loaded
        .warnings
        .iter()
        .filter(|warning| !warning.message.contains("`api_key` of the same entry wins"))
        .collect();
    assert!(
        unexpected.iter().all(|warning| warning.message.contains("has no `")),
        "{unexpected:#?}"
    );
    assert!(loaded.settings.master_key.is_some());
    let (sample, defaults) = (check(SAMPLE, &KEYS, &[]).settings, loaded.settings);
    let accounting =
        Accounting { database_url: None, retention_s: None, ..defaults.accounting.clone() };
    assert_eq!(
        format!("{accounting:?}"),
        format!("{:?}", sample.accounting),
        "what is commented out shows the default, but for where there is none"
    );
    assert!(
        defaults.accounting.database_url.is_some() && defaults.accounting.retention_s.is_some()
    );
    assert_eq!(
        (
            sample.max_request_bytes,
            sample.driver,
            sample.shutdown_grace_s,
            sample.permit_weak_master_key
        ),
        (
            defaults.max_request_bytes,
            defaults.driver,
            defaults.shutdown_grace_s,
            defaults.permit_weak_master_key
        ),
        "what is commented out shows the default"
    );
}

#[test]
fn the_explanation_is_golden() {
    let environment = [KEYS[0], KEYS[1], ("MARKER", MARKER)];
    let loaded = load_files(&[("explain.yaml", EXPLAINED)], &environment)
        .unwrap_or_else(|p| panic!("{}", rendered(&p)));
    let mut found = String::new();
    explain(&loaded, &mut found).unwrap();
    assert_eq!(found, EXPLANATION, "if this is meant, it is the new explain.txt:\n{found}");
}

/// What is written into a file; nothing: a byte is taken away instead.
const GARBLES: [&str; 16] = [
    "",
    "\n",
    ":",
    "- ",
    "*defaults",
    "&x ",
    "!t ",
    "[",
    "}",
    "'",
    "\t",
    "<<: ",
    "? ",
    "|",
    "\u{0}",
    "\"\\x",
];

#[test]
fn garbled_files_are_judged_not_crashed_on() {
    let environment = [KEYS[0], KEYS[1], ("MARKER", MARKER)];
    let sample: String = SAMPLE
        .lines()
        .filter(|line| !line.trim_start().starts_with('#'))
        .map(|line| format!("{line}\n"))
        .collect();
    for text in [sample.as_str(), EXPLAINED] {
        for at in (0..text.len()).filter(|at| text.is_char_boundary(*at)) {
            let _ = load_files(&[("c.yaml", &text[..at])], &environment);
            for garble in GARBLES.into_iter().skip(at % 8).step_by(8) {
                let end = (at + usize::from(garble.is_empty())).min(text.len());
                let garbled = format!("{}{garble}{}", &text[..at], &text[end..]);
                let _ = load_files(&[("c.yaml", &garbled)], &environment);
            }
        }
    }
}

/// What the next test makes YAML of, most of it wrong.
const FRAGMENTS: [&str; 36] = [
    "\n",
    "\n",
    "\n  ",
    "\n    ",
    "- ",
    "- ",
    ": ",
    ": ",
    "? ",
    "a",
    "b",
    "model_list",
    "outcrop",
    "5",
    "~",
    "'q'",
    "\"\\n\"",
    "&x ",
    "&y ",
    "*x",
    "*y",
    "*x ",
    "[",
    "]",
    "{",
    "}",
    ", ",
    "<<: ",
    "!!str ",
    "!!map ",
    "!!seq ",
    "! ",
    "!t ",
    "|\n",
    "# c\n",
    "---\n",
];

#[test]
fn no_text_of_yamls_own_signs_crashes() {
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = |bound: usize| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        usize::try_from(random % u64::try_from(bound).unwrap()).unwrap()
    };
    for _ in 0..20_000 {
        let text: String = (0..3 + next(16)).map(|_| FRAGMENTS[next(FRAGMENTS.len())]).collect();
        let _ = load_files(&[("c.yaml", &text)], &KEYS);
    }
}

#[test] // a pass per line wanted would take minutes here
fn a_large_file_is_read_in_one_pass() {
    let item = "- {model_name: m, litellm_params: {model: a.b, aws_region_name: us-east-1, max_budget: 1}}\n";
    let loaded =
        load_files(&[("c.yaml", &format!("model_list:\n{}", item.repeat(2_000)))], &KEYS).unwrap();
    let lines = |line: &dyn Fn(usize) -> usize| (0..2_000).all(|index| line(index) == index + 2);
    assert!(lines(&|index| loaded.settings.deployments[index].line));
    assert!(lines(&|index| loaded.warnings[index].line));
}
