//! The model list, as it is configured: `GET /model/info`, by deployment, and `GET /model_group/info`.
//!
//! Shapes and names are LiteLLM's. Prices are JSON numbers in US dollars, as in its price map. No credential
//! is shown, nor where one comes from.

use axum::{Json, extract::State, http::Uri};
use serde_json::{Map, Value, json};

use super::{desk::Desk, parameters::Parameters, refusal::Refusal};
use crate::control_plane::config::{Deployment, Settings};

/// Every deployment, described once.
pub struct ModelList(Vec<Model>);

struct Model {
    group: String,
    id: String,
    /// What AWS is asked for.
    asked: String,
    info: Value,
    prices: Map<String, Value>,
    rpm: Option<u64>,
    tpm: Option<u64>,
}

impl ModelList {
    /// Of checked settings.
    #[must_use]
    pub fn of(settings: &Settings) -> Self {
        let strategy = settings.router.strategy.name();
        Self(settings.deployments.iter().map(|it| Model::of(it, strategy)).collect())
    }

    /// What AWS is asked for by the deployment of this id.
    pub(super) fn asked(&self, id: &str) -> Option<&str> {
        self.0.iter().find(|it| it.id == id).map(|it| it.asked.as_str())
    }
}

impl Model {
    fn of(deployment: &Deployment, strategy: &str) -> Self {
        let mut prices = Map::new();
        let priced = deployment.price.as_ref().ok();
        for (name, price) in priced.iter().flat_map(|priced| priced.rate.prices()) {
            let number = serde_json::from_str(&price.to_string()).unwrap_or(Value::Null);
            prices.insert(name.litellm(), number);
        }
        let own = &deployment.own;
        let seconds = |ms: Option<u64>| {
            let text = ms.map(|ms| format!("{}.{:03}", ms / 1000, ms % 1000))?;
            serde_json::from_str::<Value>(&text).ok()
        };
        let params = [
            ("model", Some(format!("bedrock/{}", deployment.bedrock_model_id).into())),
            ("aws_region_name", Some(deployment.region.as_str().into())),
            ("api_base", Some(deployment.endpoint.url().into())),
            ("weight", Some(deployment.weight.into())),
            ("order", own.order.map(Value::from)),
            ("rpm", own.rpm.map(Value::from)),
            ("tpm", own.tpm.map(Value::from)),
            ("max_parallel_requests", own.max_parallel.map(Value::from)),
            ("timeout", seconds(own.timeout_ms)),
            ("stream_timeout", seconds(own.stream_timeout_ms)),
            ("cooldown_time", seconds(own.cool_down_ms)),
        ];
        let params = params.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?)));
        let mut info = prices.clone();
        info.insert("id".to_owned(), deployment.id.as_str().into());
        info.insert("db_model".to_owned(), false.into());
        info.insert("litellm_provider".to_owned(), "bedrock".into());
        info.insert("base_model".to_owned(), deployment.base_model.as_deref().into());
        let rule = priced.map(|priced| priced.rule.to_string());
        info.insert("price_rule".to_owned(), rule.into());
        let info = json!({
            "model_name": deployment.model_name,
            "litellm_params": params.collect::<Map<_, _>>(),
            "model_info": info,
            "routing_strategy": strategy,
        });
        let (group, id) = (deployment.model_name.clone(), deployment.id.clone());
        let asked = deployment.bedrock_model_id.clone();
        Self { group, id, asked, info, prices, rpm: own.rpm, tpm: own.tpm }
    }
}

/// `GET /model/info?litellm_model_id=`: `{"data": [{"model_name", "litellm_params", "model_info"}]}`.
pub(super) async fn model_info(State(desk): State<Desk>, uri: Uri) -> Result<Json<Value>, Refusal> {
    let parameters = Parameters::of(&uri, &["litellm_model_id"])?;
    let wanted = parameters.text("litellm_model_id");
    let known = desk.known();
    let found = known.models.0.iter().filter(|it| wanted.is_none_or(|id| it.id == id));
    let data: Vec<&Value> = found.map(|model| &model.info).collect();
    if data.is_empty() && wanted.is_some() {
        return Err(Refusal::bad_request("litellm_model_id is no deployment's id."));
    }
    Ok(Json(json!({ "data": data })))
}

/// `GET /model_group/info?model_group=`: `{"data": [{"model_group", "providers", …}]}`. Prices are the dearest
/// of the group's; `rpm` and `tpm` are sums, absent where a deployment has none.
pub(super) async fn model_group_info(
    State(desk): State<Desk>,
    uri: Uri,
) -> Result<Json<Value>, Refusal> {
    let parameters = Parameters::of(&uri, &["model_group"])?;
    let wanted = parameters.text("model_group");
    let known = desk.known();
    let mut names: Vec<&str> = Vec::new();
    for model in &known.models.0 {
        if !names.contains(&model.group.as_str()) && wanted.is_none_or(|it| it == model.group) {
            names.push(&model.group);
        }
    }
    if names.is_empty() && wanted.is_some() {
        return Err(Refusal::bad_request("model_group is no model_name."));
    }
    let data: Vec<Value> = names.into_iter().map(|name| group(name, &known.models.0)).collect();
    Ok(Json(json!({ "data": data })))
}

fn group(name: &str, models: &[Model]) -> Value {
    let members: Vec<&Model> = models.iter().filter(|it| it.group == name).collect();
    let mut group = Map::new();
    for (field, price) in members.iter().flat_map(|it| &it.prices) {
        let dearest = group.entry(field.clone()).or_insert_with(|| price.clone());
        if price.as_f64() > dearest.as_f64() {
            *dearest = price.clone();
        }
    }
    let sum = |of: fn(&Model) -> Option<u64>| {
        members.iter().map(|it| of(it)).try_fold(0_u64, |sum, it| Some(sum.saturating_add(it?)))
    };
    group.insert("model_group".to_owned(), name.into());
    group.insert("providers".to_owned(), json!(["bedrock"]));
    group.insert("deployments".to_owned(), members.iter().map(|it| it.id.as_str()).collect());
    group.insert("rpm".to_owned(), sum(|it| it.rpm).into());
    group.insert("tpm".to_owned(), sum(|it| it.tpm).into());
    group.into()
}
