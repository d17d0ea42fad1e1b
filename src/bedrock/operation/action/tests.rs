//! The table against what botocore recorded, and look-ups in it.

use super::*;

/// Service, name, method, path with `{}`, whether it streams: botocore's word, and AWS's for OpenAI's.
fn recorded() -> Vec<(&'static str, &'static str, &'static str, String, bool)> {
    let text = include_str!("../../../../tests/vectors/operations.tsv");
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let mut parts = line.split('\t');
            let [service, name, method, uri, answers] =
                [(); 5].map(|()| parts.next().expect("five columns"));
            let mut path = String::new();
            for (at, piece) in uri.split(['{', '}']).enumerate() {
                path.push_str(if at % 2 == 0 { piece } else { "{}" });
            }
            (service, name, method, path, answers == "stream")
        })
        .collect()
}

#[test]
fn the_table_is_botocores() {
    let recorded = recorded();
    for (service, name, method, path, is_stream) in &recorded {
        let Some(action) = Action::from_name(name) else {
            assert_eq!(*service, "bedrock", "{name} is missing");
            continue;
        };
        let row = action.row();
        assert_eq!(action.service().name(), *service, "{name}");
        assert_eq!((action.method().text(), row.path), (*method, path.as_str()), "{name}");
        assert_eq!(action.is_streaming(), *is_stream, "{name}");
    }
    for row in TABLE.iter().filter(|row| !row.path.starts_with("/openai/v1/")) {
        let name = row.action.name();
        let is_recorded = recorded.iter().any(|(_, known, ..)| *known == name);
        assert!(is_recorded || row.action == Action::Unlisted, "{name} is none of AWS's");
    }
}

#[test]
fn codes_and_names_are_distinct_and_stay() {
    for (at, action) in Action::ALL.into_iter().enumerate() {
        assert_eq!(action as usize, at);
        assert_eq!(action.row().action, action);
        assert_eq!(Action::from_name(action.name()), Some(action));
        let same = Action::ALL.into_iter().filter(|it| it.segment() == action.segment());
        assert_eq!(same.count(), 1, "{}", action.segment());
    }
    let codes = [Action::Invoke, Action::ConverseStream, Action::CountTokens, Action::Unlisted];
    assert_eq!(codes.map(|action| action as usize), [0, 3, 4, 85], "as they are in ledgers");
    for (at, action) in Action::ON_MODEL.into_iter().enumerate() {
        assert_eq!(action as usize, at, "it indexes prepared paths");
    }
}

#[test]
fn each_row_is_found_by_its_own_path_and_method() {
    for row in TABLE.iter().filter(|row| row.action != Action::Unlisted) {
        let path = row.path.replace("{}", "x%2Fy");
        assert_eq!(find(row.method.text(), &path), Asked::Action(row.action), "{path}");
        let Asked::Methods(allow) = find("BREW", &path) else { panic!("{path}") };
        assert!(allow.contains(row.method.text()), "{path}: {allow:?}");
        let mut near = vec![format!("{path}/"), format!("/x{path}"), path.to_uppercase()];
        if !row.path.ends_with("{}") {
            near.extend([format!("{path}x"), path[..path.len() - 1].to_owned()]);
        }
        for near in near {
            assert_ne!(find(row.method.text(), &near), Asked::Action(row.action), "{near}");
        }
    }
}

#[test]
fn what_is_near_is_nothing() {
    for path in [
        "",
        "/",
        "/guardrail//version/1/apply",
        "/guardrail/a/version/1",
        "/Rerank",
        "/rerank/",
        "/sessions",
        "/agents/",
        "/agents/a/agentAliases/b/sessions/c/text/d",
        "//rerank",
        "/guardrails/a/b",
        "/{}",
        "/agents",
        "/async-invoke/a/b",
        "/tags/a/b",
    ] {
        assert_eq!(find("POST", path), Asked::Nothing, "{path}");
    }
    assert_eq!(find("POST", "/sessions/a/"), Asked::Methods("GET, PUT, DELETE"));
    assert_eq!(find("GET", "/guardrail/a/version/1/apply"), Asked::Methods("POST"));
    assert_eq!(find("DELETE", "/foundation-models"), Asked::Methods("GET"));
}

#[test]
fn sets_hold_what_was_put_in() {
    for action in Action::ALL {
        let set = ActionSet::default().with(action);
        assert!(ActionSet::ALL.has(action));
        assert!(Action::ALL.into_iter().all(|it| set.has(it) == (it == action)));
    }
}

#[test]
fn what_makes_or_starts_something_is_not_repeatable() {
    for action in Action::ALL.into_iter().filter(|action| *action != Action::Unlisted) {
        let name = action.name();
        let makes = ["Start", "Create", "PutInv", "InvokeAgent", "InvokeInline", "InvokeFlow"];
        let is_once = makes.iter().any(|start| name.starts_with(start))
            || name.starts_with("RetrieveAndGenerate");
        assert_eq!(action.is_repeatable(action.method()), !is_once, "{name}");
    }
    assert!(Action::Unlisted.is_repeatable(Method::Get));
    assert!(!Action::Unlisted.is_repeatable(Method::Post));
}
