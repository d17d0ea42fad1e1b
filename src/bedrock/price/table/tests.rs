//! The whole table against its source, and every price against what is written.

use std::collections::BTreeMap;

use serde_json::Value;

use super::*;
use crate::units::PicoUsd;

/// Every entry as names and prices of the JSON, by another road than `parse`: text compared with text.
fn as_facts(line: &str) -> (String, BTreeMap<String, String>) {
    let mut columns = line.split('\t');
    let key = columns.next().unwrap().to_owned();
    let mut facts = BTreeMap::from([("mode".to_owned(), columns.next().unwrap().to_owned())]);
    let fields: Vec<(&str, &str)> =
        columns.next().unwrap().split(' ').map(|field| field.split_once('=').unwrap()).collect();
    let above = fields.iter().find(|(name, _)| *name == "above").map(|(_, tokens)| *tokens);
    for (name, price) in fields.iter().filter(|(name, _)| *name != "above") {
        let path = match name.split_once('.') {
            Some(("above", part)) => format!("above_input_tokens.{}.{part}", above.unwrap()),
            Some((tier, part)) => format!("service_tiers.{tier}.{part}"),
            None => (*name).to_owned(),
        };
        facts.insert(path, (*price).to_owned());
    }
    assert_eq!(columns.next(), None);
    (key, facts)
}

fn flat(path: &str, value: &Value, facts: &mut BTreeMap<String, String>) {
    match value {
        Value::Object(members) => {
            for (key, value) in members {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                flat(&path, value, facts);
            }
        }
        value => {
            facts.insert(path.to_owned(), value.as_str().unwrap().to_owned());
        }
    }
}

#[test]
fn the_table_equals_its_source_field_by_field() {
    let checksum = crc32fast::hash(TABLE.as_bytes());
    assert_eq!(checksum, 0xd80e_d265, "the table changed; is it table.py's? {checksum:#x}");
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/data/bedrock_prices.json");
    let Ok(text) = std::fs::read_to_string(path) else { return };
    let source: Value = serde_json::from_str(&text).unwrap();
    let mut expected = BTreeMap::new();
    for (key, model) in source["models"].as_object().unwrap() {
        let mut facts = BTreeMap::new();
        flat("", model, &mut facts);
        // Not in the table: the same as text tokens, which table.py asserts.
        for same in ["input_image_token", "input_audio_token"] {
            if let Some(price) = facts.remove(same) {
                assert_eq!(price, facts["input"], "{key}");
            }
        }
        expected.insert(key.clone(), facts);
    }
    let ours: BTreeMap<_, _> = TABLE.lines().map(as_facts).collect();
    assert_eq!(ours, expected);
}

#[test]
fn every_price_is_whole_and_comes_back_as_it_was_written() {
    let mut before = "";
    for line in TABLE.lines() {
        let (key, _) = line.split_once('\t').unwrap();
        assert!(line.is_ascii() && before < key, "{key}");
        before = key;
        let rate = find(key).unwrap();
        let (_, facts) = as_facts(line);
        assert_eq!(rate.prices().len(), facts.len() - 1, "{key}");
        for (name, price) in rate.prices() {
            let (path, per) = match name {
                Name::Piece(piece) => (piece.name().to_owned(), 1),
                Name::Token { tier, above: Some(above), part } => {
                    assert_eq!(tier, ServiceTier::Standard);
                    (format!("above_input_tokens.{}.{}", above.0, part.name()), 1_000_000)
                }
                Name::Token { tier: ServiceTier::Standard, above: None, part } => {
                    (part.name().to_owned(), 1_000_000)
                }
                Name::Token { tier, above: None, part } => {
                    (format!("service_tiers.{}.{}", tier.word(), part.name()), 1_000_000)
                }
            };
            let written = &facts[&path];
            let whole: PicoUsd = price.times(per).unwrap();
            // PicoUsd's text is the shortest decimal; the source's may end in zeros.
            let trimmed = match written.split_once('.') {
                Some(_) => written.trim_end_matches('0').trim_end_matches('.'),
                None => written,
            };
            assert_eq!(whole.to_string(), trimmed, "{key} {path}");
        }
    }
}

#[test]
fn what_is_not_listed_is_not_found() {
    for key in ["", "a", "zzz", "anthropic.claude", "anthropic.claude-v2:1 ", "\n", "us-east-1/"] {
        assert_eq!(find(key), None, "{key:?}");
    }
}
