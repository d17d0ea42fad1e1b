//! YAML, lines, included files and variables.

use super::*;

#[test]
fn what_is_no_yaml_is_refused_with_its_line() {
    for (yaml, error) in [
        ("", "c.yaml:1: is empty"),
        ("# only a comment\n", "is empty"),
        ("null", "is empty"),
        ("- a", "must hold a mapping with keys such as `model_list`, not a list"),
        ("text", "must hold a mapping"),
        ("model_list:\n  - a\n b", "c.yaml:3: is no valid YAML"),
        ("a: [", "is no valid YAML"),
        ("a: *nowhere", "is no valid YAML"),
        ("a: 1\n---\nb: 2", "is no valid YAML"),
        ("outcrop:\n  driver: !x auto", "YAML tags"),
        ("general_settings:\n  master_key: !!int MARKERsecret", "a value does not fit its tag"),
        ("a:\n  <<: 5", "c.yaml:2: a: `<<` takes a mapping"),
        ("a: {<<: [{b: 1}, [c]]}", "c.yaml:1: a: `<<` takes a mapping"),
        ("? [a]\n: 5", "has a key that is no text"),
        ("? [&a a]\n: *a", "c.yaml: has a key that is no text"),
    ] {
        refuse(yaml, &[], &[error]);
    }
    refuse(&"[".repeat(100_000), &[], &["is no valid YAML"]);
    refuse(&format!("a: {}{}", "[".repeat(500), "]".repeat(500)), &[], &["recursion limit"]);
    let mut laughs = String::from("a0: &a0 [x, x]\n");
    for level in 1..40 {
        laughs += &format!("a{level}: &a{level} [*a{0}, *a{0}, *a{0}, *a{0}]\n", level - 1);
    }
    refuse(&laughs, &[], &["repetition limit exceeded"]);
    refuse(
        "outcrop:\n  driver: auto\n  driver: epoll",
        &[],
        &["c.yaml:3: outcrop.driver: stands twice"],
    );
}

#[test]
fn lines_are_right_however_the_file_is_written() {
    let yaml = "\u{feff}# a comment
base: &base
  aws_region_name: us-east-1
  zzz: 1

params: &params {
  <<: *base, model: a.b,
  yyy: 2 }
model_list:
- model_name: &name m
  litellm_params:
    <<: [*base, {xxx: 3}]
    model: a.b

-   litellm_params: *params
    model_name: *name
- *name
- 'text
  on two lines'
- [ ]
-
  - model_name: x
- !!map {model_name: 'n'}
-
  vvv: | # a block
    text
";
    let problems = load_files(&[("c.yaml", yaml)], &KEYS).unwrap_err();
    let found: Vec<_> =
        problems.iter().map(|problem| format!("{}:{}", problem.line, problem.key)).collect();
    let expected = [
        "2:base",
        "4:model_list[0].litellm_params.zzz",
        "6:params",
        "4:model_list[1].litellm_params.zzz",
        "8:model_list[1].litellm_params.yyy",
        "12:model_list[0].litellm_params.xxx",
    ];
    for expected in expected {
        assert!(found.iter().any(|found| found == expected), "{expected} in {found:#?}");
    }
    for (item, line) in [(3, 18), (4, 20), (5, 22), (6, 23), (7, 25)] {
        let expected = format!("{line}:model_list[{item}]");
        assert!(found.contains(&expected), "{expected} in {found:#?}");
    }
}

#[test]
fn a_deployment_knows_its_line() {
    let yaml = "model_list:\n\n  - {model_name: a, litellm_params: &p {model: a.b, aws_region_name: us-east-1}}\n  -\n    model_name: b\n    litellm_params: *p\n";
    let lines: Vec<_> = check(yaml, &KEYS, &[])
        .settings
        .deployments
        .iter()
        .map(|deployment| deployment.line)
        .collect();
    assert_eq!(lines, [3, 5]);
}

#[test]
fn variables_are_looked_up_everywhere() {
    let yaml = "
environment_variables: {REGION: us-east-1, COPY: os.environ/OUTER, PORT: 8080, OUTER: inner}
model_list:
- model_name: os.environ/COPY
  litellm_params:
    model: a.b
    aws_region_name: os.environ/REGION
    api_key: os.environ/SECRET
    tags: [os.environ/COPY, {x: os.environ/COPY}]
    weight: os.environ/PORT
    api_base: http://os.environ/REGION
";
    let environment = [("SECRET", MARKER), ("OUTER", "outer")];
    let loaded =
        check(yaml, &environment, &["sends its api_key unencrypted", "tags: LiteLLM's key"]);
    let deployment = &loaded.settings.deployments[0];
    assert_eq!(
        (deployment.model_name.as_str(), deployment.region.as_str()),
        ("outer", "us-east-1")
    );
    assert!(
        matches!(fixed(&deployment.credential), Credential::ApiKey(key) if key.expose() == MARKER)
    );
    assert_eq!(deployment.weight, 8080);
    assert_eq!(deployment.endpoint.url(), "http://os.environ/REGION", "only at a value's start");
}

#[test]
fn what_only_the_process_can_say_is_told() {
    let variables = "environment_variables: {AWS_CONTAINER_CREDENTIALS_FULL_URI: http://x}\n";
    let yaml =
        format!("{variables}{}", entry("model: a.b, aws_region_name: us-east-1, api_key: k"));
    check(&yaml, &[], &["AWS_CONTAINER_CREDENTIALS_FULL_URI: is seen by os.environ/… only"]);
    let identity = "environment_variables: {AWS_WEB_IDENTITY_TOKEN_FILE: /t, AWS_ROLE_ARN: a}\n";
    let role = "model: a.b, aws_region_name: us-east-1, aws_role_name: b";
    refuse(&format!("{identity}{}", entry(role)), &[], &["aws_role_name: would be assumed with"]);
}

#[test]
fn variables_that_are_not_set_are_errors() {
    refuse(
        "litellm_settings:\n  callbacks:\n  - a\n  - os.environ/NOT_SET\n  cache_params: {password: os.environ/NOR_THIS}\n",
        &[],
        &[
            "c.yaml:4: litellm_settings.callbacks[1]: environment variable NOT_SET is not set; set it, or remove the key (error)",
            "c.yaml:5: litellm_settings.cache_params.password: environment variable NOR_THIS",
        ],
    );
    let yaml = entry(
        "model: os.environ/A, aws_region_name: os.environ/B, api_key: os.environ/C, weight: os.environ/D",
    );
    refuse(&yaml, &[], &["variable A", "variable B", "variable C", "variable D"]);
    refuse(
        "environment_variables: {X: os.environ/Y}",
        &[],
        &["environment_variables.X: environment variable Y"],
    );
    refuse("general_settings: {master_key: os.environ/}", &[], &["names no variable"]);
}

#[test]
fn included_files_extend_lists_and_replace_the_rest() {
    let item = |name: &str| {
        format!(
            "- {{model_name: {name}, litellm_params: {{model: a.b, aws_region_name: us-east-1}}}}\n"
        )
    };
    let main = format!(
        "include: [sub/b.yaml, /abs/d.yaml]\nmodel_list:\n{}outcrop: {{driver: epoll, shutdown_grace_s: 5}}\n",
        item("a")
    );
    let b = format!("include:\n- c.yaml\n- ../main.yaml\nmodel_list:\n{}", item("b"));
    let c = format!("model_list:\n{}\noutcrop: {{driver: io_uring}}\n", item("c"));
    let files = [
        ("main.yaml", main.as_str()),
        ("sub/b.yaml", &b),
        ("sub/c.yaml", &c),
        ("/abs/d.yaml", "include: [d.yaml]\n"),
        ("sub/../main.yaml", "x: 1"),
    ];
    let mut files = files.to_vec();
    files.pop();
    let problems = load_files(&files, &KEYS).unwrap_err();
    assert!(
        rendered(&problems).contains("sub/b.yaml:3: include[1]: cannot read sub/../main.yaml"),
        "{}",
        rendered(&problems)
    );

    let b = b.replace("- ../main.yaml\n", "- c.yaml\n");
    files[1].1 = &b;
    let loaded = load_files(&files, &KEYS).unwrap();
    let found: Vec<_> = loaded
        .settings
        .deployments
        .iter()
        .map(|deployment| {
            format!("{} {}:{}", deployment.model_name, deployment.file.display(), deployment.line)
        })
        .collect();
    assert_eq!(found, ["a main.yaml:3", "b sub/b.yaml:5", "c sub/c.yaml:2"]);
    assert_eq!(
        (loaded.settings.driver, loaded.settings.shutdown_grace_s),
        (DriverChoice::IoUring, 30)
    );
    let warnings = rendered(&loaded.warnings);
    for warning in [
        "main.yaml:4: outcrop: is replaced as a whole by sub/c.yaml:4, which is included (warning)",
        "sub/b.yaml:3: include[1]: sub/c.yaml is read already; skipped (warning)",
        "/abs/d.yaml:1: include[0]: /abs/d.yaml is read already; skipped (warning)",
    ] {
        assert!(warnings.contains(warning), "{warning} in\n{warnings}");
    }
}

#[test]
fn a_problem_in_an_included_file_names_that_file() {
    let files = [
        ("main.yaml", "include: [b.yaml, e.yaml]\n"),
        ("b.yaml", "outcrop:\n  driver: x\n"),
        ("e.yaml", ""),
    ];
    let problems = rendered(&load_files(&files, &[]).unwrap_err());
    assert!(problems.contains("b.yaml:2: outcrop.driver: must be"), "{problems}");
    assert!(problems.contains("e.yaml:1: is empty (warning)"), "{problems}");
    refuse("include: x.yaml", &[], &["include: must be a list of files, not text"]);
    refuse(
        "include: [5]",
        &[],
        &["c.yaml:1: include[0]: must be the path of a file, not a number"],
    );
    refuse("a: 1\ninclude:\n- gone.yaml", &[], &["c.yaml:3: include[0]: cannot read gone.yaml"]);
}

#[test]
fn files_are_read_from_the_disk() {
    let environment = Environment::from_pairs(KEYS);
    let gone = super::super::load(Path::new("/nowhere/config.yaml"), &environment).unwrap_err();
    assert!(
        rendered(&gone).starts_with("/nowhere/config.yaml: cannot read /nowhere/config.yaml: "),
        "{gone:?}"
    );
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/config");
    let cycle = super::super::load(&folder.join("cycle_a.yaml"), &environment).unwrap();
    assert_eq!(cycle.settings.deployments.len(), 2);
    assert!(
        rendered(&cycle.warnings).contains("cycle_a.yaml is read already; skipped"),
        "{:?}",
        cycle.warnings
    );
}
