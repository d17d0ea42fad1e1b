//! What a client reported, as a table of docs/clients.md.

use std::fmt::Write as _;

use serde_json::Value;

use super::CASES;
use super::software::Client;

/// The document holds this client's table between its markers.
pub(super) fn check(client: &Client, reports: &[Value]) {
    let made = table(client, reports);
    let by = format!("client_matrix.rs, {}", client.name);
    crate::document::check("docs/clients.md", &by, &made, "client_matrix");
}

/// A line for all operations of which a client says the same.
fn table(client: &Client, reports: &[Value]) -> String {
    let mut rows: Vec<(Vec<&str>, Vec<String>)> = Vec::new();
    for operation in client.operations {
        let cells = CASES.iter().map(|case| {
            let of_case =
                |report: &&Value| report["operation"] == *operation && report["case"] == case.name;
            reports.iter().find(of_case).map_or_else(|| "–".to_owned(), cell)
        });
        let cells: Vec<String> = cells.collect();
        match rows.iter_mut().find(|(_, known)| *known == cells) {
            Some((operations, _)) => operations.push(operation),
            None => rows.push((vec![operation], cells)),
        }
    }
    let heads: Vec<&str> = CASES.iter().map(|case| case.title).collect();
    let mut made =
        format!("| operation | {} |\n|---{}|\n", heads.join(" | "), "|---".repeat(CASES.len()));
    for (operations, cells) in rows {
        let operations = operations.join(", ").replace('_', "-");
        writeln!(made, "| {operations} | {} |", cells.join(" | ")).expect("a String takes all");
    }
    made
}

/// The class of the error, its code if that is another, the status, and how many events came before.
fn cell(report: &Value) -> String {
    let events = report["events"].as_u64().expect("a count");
    let Some(class) = report["class"].as_str() else {
        let noticed = if report["case"] == "ok" { "ok" } else { "**not noticed**" };
        return if events > 0 { format!("{noticed}, {events} events") } else { noticed.to_owned() };
    };
    let mut made = format!("`{class}`");
    if let Some(code) = report["code"].as_str().filter(|code| *code != class) {
        write!(made, " (`{code}`)").expect("a String takes all");
    }
    if let Some(status) = report["status"].as_u64() {
        write!(made, " {status}").expect("a String takes all");
    }
    if events > 0 {
        let events = if events == 1 { "1 event".to_owned() } else { format!("{events} events") };
        write!(made, " after {events}").expect("a String takes all");
    }
    made
}
