//! The rows as Markdown, and the document that must hold them.

use std::fmt::Write as _;

use super::{CONVERSE, CONVERSE_STREAM, Case, Cost, INVOKE, STREAM};

/// The document holds these tables between its markers; under `OUTCROP_WRITE_DOCS=1`, from now on.
pub(super) fn check(tables: &[(&str, &[Case])]) {
    let mut made = String::new();
    for (title, cases) in tables {
        table(title, cases, &mut made);
    }
    crate::document::check("docs/cost.md", "cost_table.rs", &made, "cost_table");
}

fn table(title: &str, cases: &[Case], to: &mut String) {
    writeln!(to, "### {title}\n").expect("a String takes all");
    let first = if title == "Families" { "family" } else { "what" };
    writeln!(to, "| {first} | model | region | action | seen | rule | cost, USD |")
        .expect("a String takes all");
    to.push_str("|---|---|---|---|---|---|---|\n");
    for case in cases {
        let action = match case.action {
            INVOKE => "invoke",
            STREAM => "stream",
            CONVERSE => "converse",
            CONVERSE_STREAM => "converse-stream",
            other => other,
        };
        let rule = if case.rule.is_empty() { "none" } else { &case.rule };
        let rule = rule.replace(" of the built-in table", "");
        let cost = match case.cost {
            Cost::Known(pico) => usd(pico),
            Cost::Unknown(why) => format!("unknown: `{why}`"),
        };
        let (what, model, region, seen) = (case.what, case.model, case.region, seen(case));
        writeln!(to, "| {what} | `{model}` | {region} | {action} | {seen} | {rule} | {cost} |")
            .expect("a String takes all");
    }
    to.push('\n');
}

/// Counts that are not 0, and whatever else decides on the cost.
fn seen(case: &Case) -> String {
    let seen = case.seen;
    let counts = [
        ("in", seen.input),
        ("out", seen.output),
        ("cache read", seen.read),
        ("cache write 5 m", seen.write_5m),
        ("cache write 1 h", seen.write_1h),
        ("cache write unsplit", seen.write_unsplit),
        ("images", seen.images),
        ("search units", seen.queries),
        ("told in", case.told_input),
    ];
    let mut words: Vec<String> = counts
        .iter()
        .filter_map(|(name, count)| Some(format!("{name} {}", count.filter(|count| *count > 0)?)))
        .collect();
    words.extend(case.tier.map(|tier| format!("tier {tier}")));
    words.extend((case.status != 200).then(|| format!("HTTP {}", case.status)));
    words.extend(case.partial.then(|| "`usage_partial`".to_owned()));
    words.extend(case.marks.iter().map(|mark| format!("`{mark}`")));
    if words.is_empty() { "nothing".to_owned() } else { words.join(", ") }
}

/// Pico-dollars as dollars, exact.
pub(super) fn usd(pico: u64) -> String {
    let (whole, rest) = (pico / 1_000_000_000_000, pico % 1_000_000_000_000);
    let text = format!("{whole}.{rest:012}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
