//! Settings → groups: who shares a name, how they are balanced, and which names there are.

use std::collections::HashMap;

use super::{
    config::{self, Settings},
    prepare::Standings,
    wildcards::Meant,
};
use crate::{
    bedrock::{price::Part, usage::ServiceTier},
    boundary::snapshot::Deployment,
    policy::{
        group::{CoolDowns, Group, Limits, Member, Retries},
        route::Routes,
    },
};

/// All groups, and how they are found.
pub struct Grouped {
    /// Those that share a `model_name`, in the order of the configuration; then one for each deployment, for
    /// each model that a wildcard stands for, and for each of AWS's ids.
    pub groups: Vec<Group>,
    /// By `model_name`, by alias, by a deployment's id, and as a wildcard has it: of equal names the first of
    /// these counts.
    pub routes: Routes,
    /// The names that a client is shown.
    pub listed: Vec<String>,
}

/// A deployment on its way into groups.
#[derive(Clone, Copy)]
struct Served<'s> {
    said: &'s config::Deployment,
    member: &'s Member,
}

/// Makes them. `deployments` are those of the entries, then those that are meant, in their order.
pub fn group(
    settings: &Settings,
    (entries, meant): (&[config::Deployment], &[Meant]),
    deployments: &[Deployment],
    standings: &mut Standings,
) -> Grouped {
    let said = entries.iter().chain(meant.iter().map(|meant| &meant.entry));
    let members: Vec<Member> = said
        .zip(deployments)
        .enumerate()
        .map(|(at, (said, made))| member(at, said, made, settings, standings))
        .collect();
    let (of_entries, of_meant) = members.split_at(entries.len());
    let served = || entries.iter().zip(of_entries).map(|(said, member)| Served { said, member });
    let meant = || {
        let members = meant.iter().zip(of_meant);
        members.map(|(meant, member)| (meant.name.as_str(), Served { said: &meant.entry, member }))
    };
    let mut groups: Vec<Group> = Vec::new();
    let of_names =
        gather(served().map(|it| (it.said.model_name.clone(), it)), settings, &mut groups);
    let places: HashMap<&str, usize> = of_names.iter().map(|(it, at)| (it.as_str(), *at)).collect();
    fall_back(settings, &places, &mut groups);
    let one = served().filter(|it| !it.said.bedrock_model_id.contains('*'));
    let of_ids = gather(one.clone().map(|it| (it.said.id.clone(), it)), settings, &mut groups);
    let of_models =
        gather(one.map(|it| (it.said.bedrock_model_id.clone(), it)), settings, &mut groups);
    // What two patterns stand for is the first one's alone: their credentials are not to be mixed.
    let by_pattern = meant().map(|(name, it)| (format!("{}\n{name}", it.said.model_name), it));
    let of_meant = gather(by_pattern, settings, &mut groups);
    for (key, at) in &of_meant {
        let pattern = key.split('\n').next().and_then(|pattern| places.get(pattern));
        groups[*at].fallbacks = pattern.map_or_else(Vec::new, |it| groups[*it].fallbacks.clone());
    }
    let meant_at = || {
        let at: HashMap<&str, usize> =
            of_meant.iter().map(|(key, at)| (key.as_str(), *at)).collect();
        meant().map(move |(name, it)| {
            (name, it, at[format!("{}\n{name}", it.said.model_name).as_str()])
        })
    };
    let names = of_names.iter().filter(|(name, _)| !name.contains('*')).cloned();
    let aliases = &settings.router.aliases;
    let aliased =
        aliases.iter().filter_map(|it| Some((it.name.clone(), *places.get(it.group.as_str())?)));
    let meant_names = meant_at()
        .flat_map(|(name, _, at)| [(name.to_owned(), at), (format!("bedrock/{name}"), at)]);
    let ids = of_models.into_iter();
    let meant_ids = meant_at().map(|(_, it, at)| (it.said.bedrock_model_id.clone(), at));
    let patterns = of_names.iter().filter(|(name, _)| name.contains('*'));
    let routes = Routes::new(names.chain(aliased).chain(of_ids).chain(meant_names))
        .with_ids(ids.chain(meant_ids))
        .with_patterns(patterns.map(|(name, at)| (name.as_str(), *at)));
    let is_listed = |name: &&String| settings.deployments.iter().any(|it| it.model_name == **name);
    let mut listed: Vec<String> =
        of_names.iter().map(|(name, _)| name).filter(is_listed).cloned().collect();
    listed.extend(aliases.iter().filter(|it| !it.is_hidden).map(|it| it.name.clone()));
    Grouped { groups, routes, listed }
}

/// Appends a group for each key, in the order of the keys' first ones; the keys, and the groups' places.
fn gather<'s>(
    served: impl Iterator<Item = (String, Served<'s>)>,
    settings: &Settings,
    groups: &mut Vec<Group>,
) -> Vec<(String, usize)> {
    let mut places: HashMap<String, usize> = HashMap::new();
    let mut in_order = Vec::new();
    for (key, Served { said, member }) in served {
        let place = *places.entry(key).or_insert_with_key(|key| {
            groups.push(empty(&said.model_name, settings));
            in_order.push((key.clone(), groups.len() - 1));
            groups.len() - 1
        });
        groups[place].members.push(member.clone());
        let any = said.own.retries.unwrap_or(0);
        groups[place].retries.any = groups[place].retries.any.max(any);
    }
    in_order
}

/// Tells each named group which others it falls back to.
fn fall_back(settings: &Settings, places: &HashMap<&str, usize>, groups: &mut [Group]) {
    let router = &settings.router;
    for (place, group) in groups.iter_mut().enumerate() {
        let own = router.fallbacks.iter().filter(|(name, _)| *name == group.name);
        let own: Vec<&String> = own.flat_map(|(_, fallbacks)| fallbacks).collect();
        let said = if own.is_empty() { router.default_fallbacks.iter().collect() } else { own };
        let said = said.into_iter().filter_map(|name| places.get(name.as_str()).copied());
        group.fallbacks = said.filter(|it| *it != place).collect();
    }
}

fn empty(name: &str, settings: &Settings) -> Group {
    let router = &settings.router;
    let mut retries: Retries = router.retries;
    for (_, policy) in router.group_retries.iter().filter(|(group, _)| group == name) {
        for (of_class, said) in retries.by_class.iter_mut().zip(policy) {
            *of_class = said.or(*of_class);
        }
    }
    Group {
        name: name.to_owned(),
        members: Vec::new(),
        strategy: router.strategy,
        retries,
        retry_after_ms: router.retry_after_ms,
        fallbacks: Vec::new(),
        weighted_failover: router.weighted_failover,
    }
}

fn member(
    at: usize,
    said: &config::Deployment,
    made: &Deployment,
    settings: &Settings,
    standings: &mut Standings,
) -> Member {
    let (own, router) = (&said.own, &settings.router);
    let time_ms = own.cool_down_ms.unwrap_or(router.cool_downs.time_ms);
    let prices = made.rate.as_ref().and_then(|rate| rate.bracket(ServiceTier::Standard));
    let cost = |part| prices.and_then(|prices| prices.base.of(part));
    Member {
        deployment: at,
        weight: said.weight,
        order: own.order.unwrap_or(u32::MAX),
        cost: cost(Part::Input)
            .map(|input| input.0.saturating_add(cost(Part::Output).map_or(0, |it| it.0))),
        limits: Limits {
            rpm: own.rpm,
            tpm: own.tpm,
            max_parallel: own.max_parallel.or(router.max_parallel),
            are_enforced: router.enforces_rates,
        },
        standing: standings.deployment(&said.id),
        credential: standings.credential(&said.credential),
        endpoint: standings.endpoint(&made.endpoint),
        cool_down: CoolDowns {
            time_ms: if router.disable_cool_downs { 0 } else { time_ms },
            allowed: own.allowed_fails.or(router.cool_downs.allowed),
            by_class: own.allowed_fails_policy.unwrap_or(router.cool_downs.by_class),
        },
    }
}
