//! `model_list`: each entry becomes a deployment.
//!
//! Each part of an entry is judged on its own, so that one start shows all its errors.

use super::document::{Content, Node};
use super::environment::Environment;
use super::problem::{Place, Problems};
use super::read::climbs;
use super::settings::{Deployment, Endpoint};
use super::weight::Amounts;
use super::{credential, endpoint, identity, keys, patience, price, region, weight};
use crate::bedrock::model;
use crate::bedrock::operation::Service;
use crate::bedrock::price::PriceMap;
use crate::limits::MODEL_ID_BYTES_MAX;

/// An entry that is right by itself, before it is compared with the others.
struct Draft {
    /// Without weight; its id is empty if none is given.
    deployment: Deployment,
    amounts: Amounts,
    /// Of the id, else of the entry.
    id_place: Place,
    params_place: Place,
}

/// What `model` and `model_id` say.
pub(super) struct Chosen {
    /// What AWS is asked for.
    pub(super) id: String,
    /// What `model` says where `model_id` says something else: LiteLLM prices by it.
    pub(super) named: Option<String>,
    /// `bedrock/<region>/` in front of `model`, or of `model_id`.
    pub(super) prefix_region: Option<String>,
    /// The region in the ARN of `model_id`, else of `model`.
    pub(super) arn_region: Option<String>,
}

/// The deployments of `model_list`, without the entries that hold errors.
pub(super) fn read(
    root: &Node,
    prices: Option<&PriceMap>,
    environment: &Environment,
    problems: &mut Problems,
) -> Vec<Deployment> {
    let Some(list) = root.get("model_list") else {
        problems.warning(&root.place, "has no `model_list`: nothing is served");
        return Vec::new();
    };
    let items = match &list.content {
        Content::List(items) if items.is_empty() => {
            problems.warning(&list.place, "is empty: nothing is served");
            return Vec::new();
        }
        Content::List(items) => items,
        Content::Missing => return Vec::new(),
        _ => {
            problems.error(&list.place, format!("must be a list of entries, not {}", list.kind()));
            return Vec::new();
        }
    };
    let drafts: Vec<_> =
        items.iter().filter_map(|item| draft(item, prices, environment, problems)).collect();
    let entries: Vec<_> = drafts
        .iter()
        .map(|draft| (draft.deployment.model_name.as_str(), draft.amounts, &draft.params_place))
        .collect();
    let weights = weight::settle(&entries, problems);
    let weigh =
        |(draft, weight): (Draft, u64)| (Deployment { weight, ..draft.deployment }, draft.id_place);
    let mut deployments: Vec<_> = drafts.into_iter().zip(weights).map(weigh).collect();
    identity::assign(&mut deployments, problems);
    deployments.into_iter().map(|(deployment, _)| deployment).collect()
}

/// One entry; `None` after an error.
fn draft(
    entry: &Node,
    prices: Option<&PriceMap>,
    environment: &Environment,
    problems: &mut Problems,
) -> Option<Draft> {
    let Content::Mapping(_) = entry.content else {
        let message = format!(
            "must be a mapping with `model_name` and `litellm_params`, not {}",
            entry.kind()
        );
        problems.error(&entry.place, message);
        return None;
    };
    keys::ENTRY.check(entry, problems);
    let info = entry.get("model_info");
    if let Some(info) = info {
        keys::MODEL_INFO.check(info, problems);
    }
    let model_name = model_name(entry, problems);
    let id = identity::explicit(info, problems);
    let Some(params) = entry.get("litellm_params") else {
        problems.error(
            &entry.place,
            "has no `litellm_params`; write at least `litellm_params: {model: bedrock/<model id>}`",
        );
        return None;
    };
    keys::LITELLM_PARAMS.check(params, problems);
    let Content::Mapping(_) = params.content else { return None };

    let chosen = chosen(params, problems)
        .filter(|it| fits_name(it, model_name.as_deref(), params, problems));
    let named = endpoint::named(params, environment, problems);
    let region =
        region::choose(params, chosen.as_ref(), named.as_ref().ok(), environment, problems);
    let credential = credential::choose(params, environment, problems);
    let amounts = weight::read(params, problems);
    let own = patience::read(params, info, problems);

    let (region, (credential, credential_source)) = (region?, credential?);
    let endpoint = named.ok()?.unwrap_or_else(|| endpoint::public(Service::Runtime, &region));
    warn_of_clear_text(&endpoint, &credential, params, problems);
    let (id, id_place) = id.ok()?.unwrap_or_else(|| (String::new(), entry.place.clone()));
    let Chosen { id: bedrock_model_id, named, .. } = chosen?;
    let asked = price::Asked { model: &bedrock_model_id, named: named.as_deref(), region: &region };
    let price::Chosen { price, own_prices, base_model } =
        price::choose((params, info), &asked, prices, problems);
    let deployment = Deployment {
        model_name: model_name?,
        id,
        bedrock_model_id,
        price,
        own_prices,
        base_model,
        region,
        endpoint,
        credential,
        credential_source,
        own,
        weight: 1,
        line: entry.place.line,
        file: entry.place.file.to_path_buf(),
    };
    Some(Draft { deployment, amounts: amounts?, id_place, params_place: params.place.clone() })
}

fn model_name(entry: &Node, problems: &mut Problems) -> Option<String> {
    let Some(node) = entry.get("model_name") else {
        problems.error(&entry.place, "has no `model_name`; write the name that clients ask for");
        return None;
    };
    let name = node.line_of_text(problems)?;
    if climbs(&name) {
        problems.error(&node.place, "holds `..` as a path segment; clients could not ask for it");
        return None;
    }
    if name.matches('*').count() > 1 {
        problems.error(&node.place, "holds more than one `*`");
        return None;
    }
    Some(name)
}

/// A `*` in what AWS is asked for stands for what clients say, so the name must hold one, too.
fn fits_name(
    chosen: &Chosen,
    model_name: Option<&str>,
    params: &Node,
    problems: &mut Problems,
) -> bool {
    let fits = !chosen.id.contains('*') || model_name.is_none_or(|name| name.contains('*'));
    if !fits {
        let node = params.get("model_id").or_else(|| params.get("model")).unwrap_or(params);
        let message = "holds a wildcard, but `model_name` does not: nothing would fill it; write \
                       `model_name: bedrock/*`";
        problems.error(&node.place, message);
    }
    fits
}

/// `model` and `model_id`, of which the latter goes to AWS if it is there.
fn chosen(params: &Node, problems: &mut Problems) -> Option<Chosen> {
    let mut bedrock = false;
    if let Some(node) = params.get("custom_llm_provider") {
        let provider = node.line_of_text(problems)?;
        bedrock = provider == "bedrock" || provider == "bedrock_converse";
        if !bedrock {
            problems.error(
                &node.place,
                "names another provider: only Bedrock is served; write `bedrock`",
            );
            return None;
        }
    }
    let Some(node) = params.get("model") else {
        problems.error(&params.place, "has no `model`; write `model: bedrock/<model id or ARN>`");
        return None;
    };
    let by_model = model_of(node, bedrock, problems);
    let Some(node) = params.get("model_id") else { return by_model };
    let (by_model, by_id) = (by_model?, model_of(node, true, problems)?);
    Some(Chosen {
        id: by_id.id,
        named: Some(by_model.id),
        prefix_region: by_id.prefix_region.or(by_model.prefix_region),
        arn_region: by_id.arn_region.or(by_model.arn_region),
    })
}

/// One model string; `bedrock`: it is said elsewhere that it is Bedrock's.
fn model_of(node: &Node, bedrock: bool, problems: &mut Problems) -> Option<Chosen> {
    let text = node.line_of_text(problems)?;
    let fault = match model::parse(&text) {
        Err(fault) if node.variable.is_none() => fault.to_string().escape_debug().to_string(),
        Err(_) => format!("{} names no model of Bedrock's", node.shown()),
        Ok(model) if climbs(model.id) => {
            "holds `..` as a path segment; write the bare id or ARN".into()
        }
        Ok(model) if model.id.matches('*').count() > 1 => "holds more than one `*`".into(),
        Ok(model) if model.id.contains('%') => {
            "is percent-encoded; write it decoded, Outcrop encodes it".into()
        }
        Ok(model) if model.id.len() > MODEL_ID_BYTES_MAX => {
            "is longer than AWS takes (2048)".into()
        }
        Ok(model)
            if !model
                .id
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-._:/+=,@$*".contains(&byte)) =>
        {
            "holds a character that no model id has".into()
        }
        Ok(model) if model::is_arn(model.id) && model.id.contains('*') => {
            "holds a `*` in an ARN; write `bedrock/*`, which stands for ARNs, too".into()
        }
        Ok(model) if model::is_arn(model.id) && model::arn_region(model.id).is_none() => {
            "is no complete ARN; write arn:aws:bedrock:<region>:<account>:<type>/<id>".into()
        }
        // A provider's name may be left out, but not where it would be anybody's model (`gpt-4o`).
        Ok(model)
            if !(bedrock
                || model.provider_named
                || model::is_arn(model.id)
                || model.id.contains('.')) =>
        {
            "names no provider: only Bedrock is served; if it is Bedrock's, put `bedrock/` in front"
                .into()
        }
        Ok(model) => {
            return Some(Chosen {
                id: model.id.into(),
                named: None,
                prefix_region: model.region.map(String::from),
                arn_region: model::arn_region(model.id).map(String::from),
            });
        }
    };
    problems.error(&node.place, fault);
    None
}

/// A bearer key over plain http is anybody's who listens; a signature is not.
fn warn_of_clear_text(
    endpoint: &Endpoint,
    credential: &super::Credential,
    params: &Node,
    problems: &mut Problems,
) {
    let bearer = matches!(credential, super::Credential::ApiKey(_));
    if bearer && !endpoint.tls && !endpoint::is_loopback(endpoint) {
        problems.warning(
            &params.place,
            "sends its api_key unencrypted: the endpoint is http://; use https://",
        );
    }
}
