//! `os.environ/NAME` → the value of that variable; and `environment_variables`, which such look-ups see.

use super::document::{Content, Node};
use super::environment::Environment;
use super::problem::Problems;

/// In front of a variable's name; it must be the value's start, as in LiteLLM.
const PREFIX: &str = "os.environ/";
/// Variables that AWS's providers read of the process itself, and that have no other way to them.
const OF_PROCESS: [&str; 2] = ["AWS_CONTAINER_", "AWS_EC2_METADATA_"];

/// Lays `environment_variables` over `environment`, then replaces each `os.environ/NAME` under `root`.
pub(super) fn substitute(root: &mut Node, environment: &mut Environment, problems: &mut Problems) {
    let Content::Mapping(sections) = &mut root.content else { return };
    if let Some((_, variables)) =
        sections.iter_mut().find(|(key, _)| key == "environment_variables")
    {
        replace(variables, environment, problems);
        overlay(variables, environment, problems);
    }
    for (_, section) in sections.iter_mut().filter(|(key, _)| key != "environment_variables") {
        replace(section, environment, problems);
    }
}

fn replace(node: &mut Node, environment: &Environment, problems: &mut Problems) {
    match &mut node.content {
        Content::List(items) => {
            items.iter_mut().for_each(|item| replace(item, environment, problems))
        }
        Content::Mapping(entries) => {
            entries.iter_mut().for_each(|(_, value)| replace(value, environment, problems));
        }
        Content::Text(text) => {
            let Some(name) = text.strip_prefix(PREFIX).map(String::from) else { return };
            if name.is_empty() {
                problems.error(&node.place, "names no variable; write `os.environ/NAME`");
            } else if let Some(value) = environment.get(&name) {
                *text = value.into();
            } else {
                problems.error(
                    &node.place,
                    format!("environment variable {name} is not set; set it, or remove the key"),
                );
                node.content = Content::Missing;
            }
            node.variable = Some(name);
        }
        _ => {}
    }
}

fn overlay(variables: &Node, environment: &mut Environment, problems: &mut Problems) {
    match &variables.content {
        Content::Mapping(entries) => {
            for (name, value) in entries {
                if OF_PROCESS.iter().any(|start| name.starts_with(start)) {
                    let hint = "is seen by os.environ/… only: AWS's credential chain reads it of the process, so \
                                set it there";
                    problems.warning(&value.place, hint);
                }
                if let Some(text) = value.text(problems) {
                    environment.set(name, text);
                }
            }
        }
        Content::Null => {}
        _ => problems.error(
            &variables.place,
            format!("must map names to text, not be {}", variables.kind()),
        ),
    }
}
