//! `POST /spend/calculate`: what a given usage costs, by the rules that requests are charged by.
//!
//! ```text
//!   {"model": NAME, "region"?: R, "usage": {…}}
//!   {"model"?: NAME, "completion_response": {"model"?: NAME, "usage": {…}}}         LiteLLM's
//!     → {"cost": "0.0123" | null, "cost_pico": N | null, "rule": …, "breakdown": {…} | null, "unknown": … | null}
//! ```
//!
//! Money is text, exact, or whole pico-dollars; LiteLLM's `cost` is a float.

use axum::{Json, body::Bytes, extract::State};
use serde_json::{Value, json};

use super::{desk::Desk, refusal::Refusal, usage};
use crate::{
    bedrock::price::{Bill, Cost, Unpriced, price},
    units::PicoUsd,
};

/// Answers with the cost, or why nobody knows it.
pub(super) async fn calculate(
    State(desk): State<Desk>,
    content: Bytes,
) -> Result<Json<Value>, Refusal> {
    let asked: Value = serde_json::from_slice(&content)
        .map_err(|error| Refusal::bad_request(format!("The content is no JSON: {error}.")))?;
    if !asked.is_object() {
        return Err(Refusal::bad_request("The content must be a JSON object."));
    }
    let response = given(&asked, "completion_response");
    let model = text(&asked, "model")?;
    let model = match (model, response) {
        (None, Some(response)) => text(response, "model")?,
        (model, _) => model,
    };
    let Some(counts) = given(&asked, "usage").or_else(|| given(response?, "usage")) else {
        return Err(Refusal::bad_request(if given(&asked, "messages").is_some() {
            "messages alone have no price here: the model counts their tokens, in its answer; send usage or \
             completion_response."
        } else {
            "usage is missing: send usage, or completion_response with it."
        }));
    };
    let Some(model) = model else {
        return Err(Refusal::bad_request(
            "model is missing: a model_name of this proxy's, or a Bedrock model id.",
        ));
    };
    let found = desk.known().prices.find(model, text(&asked, "region")?)?;
    let usage = usage::read(counts)?;
    Ok(Json(match found.rate {
        Err(no_rate) => answer(Err(no_rate.to_string()), &found.rule),
        Ok(rate) => match price(&usage, &rate) {
            Cost::Known(bill) => answer(Ok(bill), &found.rule),
            Cost::Unknown(why) => answer(Err(words(why)), &found.rule),
        },
    }))
}

fn given<'v>(object: &'v Value, key: &str) -> Option<&'v Value> {
    object.get(key).filter(|value| !value.is_null())
}

fn text<'v>(object: &'v Value, key: &str) -> Result<Option<&'v str>, Refusal> {
    match given(object, key) {
        None => Ok(None),
        Some(Value::String(text)) if !text.is_empty() => Ok(Some(text)),
        Some(_) => Err(Refusal::bad_request(format!("{key} must be text, and not empty."))),
    }
}

fn answer(bill: Result<Bill, String>, rule: &str) -> Value {
    let rule = Some(rule).filter(|rule| !rule.is_empty());
    match bill {
        Ok(bill) => json!({
            "cost": bill.total.to_string(),
            "cost_pico": bill.total.0,
            "rule": rule,
            "breakdown": breakdown(&bill),
            "unknown": null,
        }),
        Err(why) => json!({
            "cost": null, "cost_pico": null, "rule": rule, "breakdown": null, "unknown": why,
        }),
    }
}

fn breakdown(bill: &Bill) -> Value {
    let dollars = |amount: PicoUsd| amount.to_string();
    json!({
        "input": dollars(bill.input),
        "output": dollars(bill.output),
        "cache_read": dollars(bill.cache_read),
        "cache_write": dollars(bill.cache_write),
        "pieces": dollars(bill.pieces),
        "is_long_context": bill.is_long,
        "assumes_5m_cache_writes": bill.assumes_5m,
    })
}

fn words(why: Unpriced) -> String {
    match why {
        Unpriced::NoCount(part) => format!("the number of {} tokens is not given", part.name()),
        Unpriced::NoPieceCount(piece) => {
            format!("the number of pieces is not given for {}", piece.name())
        }
        Unpriced::NoPrice(part) => format!("no price is listed for {} tokens", part.name()),
        Unpriced::NoPiecePrice(piece) => format!("no price is listed: {}", piece.name()),
        Unpriced::NoTier(tier) => {
            format!("no price is listed for the service tier {}", tier.word())
        }
        Unpriced::NoLongTier(tier) => {
            let tier = tier.word();
            format!("no price is listed for a context this long in the service tier {tier}")
        }
        Unpriced::TooLarge => "above 18.4 million US dollars".to_owned(),
    }
}
