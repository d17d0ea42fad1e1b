//! Settings → groups: who shares a name, how they are balanced, and which names there are.

use std::collections::HashMap;

use super::{
    config::{self, Settings},
    prepare::Standings,
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
    /// Those that share a `model_name`, in the order of the configuration; then one for each deployment.
    pub groups: Vec<Group>,
    /// By `model_name`, by alias, and by a deployment's id: of equal names the first of these counts.
    pub routes: Routes,
    /// The names that a client is shown.
    pub listed: Vec<String>,
}

/// Makes them. `deployments` are those of the settings, in their order.
pub fn group(
    settings: &Settings,
    deployments: &[Deployment],
    standings: &mut Standings,
) -> Grouped {
    let mut groups: Vec<Group> = Vec::new();
    let mut places: HashMap<&str, usize> = HashMap::new();
    let members: Vec<Member> = settings
        .deployments
        .iter()
        .zip(deployments)
        .enumerate()
        .map(|(at, (said, made))| member(at, said, made, settings, standings))
        .collect();
    for (said, member) in settings.deployments.iter().zip(&members) {
        let place = *places.entry(&said.model_name).or_insert_with(|| {
            groups.push(empty(&said.model_name, settings));
            groups.len() - 1
        });
        groups[place].members.push(member.clone());
        let any = said.own.retries.unwrap_or(0);
        groups[place].retries.any = groups[place].retries.any.max(any);
    }
    let named = groups.len();
    for (place, group) in groups.iter_mut().enumerate() {
        let own = settings.router.fallbacks.iter().filter(|(name, _)| *name == group.name);
        let own: Vec<&String> = own.flat_map(|(_, fallbacks)| fallbacks).collect();
        let said =
            if own.is_empty() { settings.router.default_fallbacks.iter().collect() } else { own };
        let said = said.into_iter().filter_map(|name| places.get(name.as_str()).copied());
        group.fallbacks = said.filter(|it| *it != place).collect();
    }
    for (said, member) in settings.deployments.iter().zip(members) {
        let mut group = empty(&said.model_name, settings);
        group.members.push(member);
        groups.push(group);
    }
    let aliases = &settings.router.aliases;
    let mut listed: Vec<String> = groups[..named].iter().map(|it| it.name.clone()).collect();
    listed.extend(aliases.iter().filter(|it| !it.is_hidden).map(|it| it.name.clone()));
    let of_groups = groups[..named].iter().enumerate().map(|(at, it)| (it.name.clone(), at));
    let of_aliases =
        aliases.iter().filter_map(|it| Some((it.name.clone(), *places.get(it.group.as_str())?)));
    let ids = settings.deployments.iter().enumerate();
    let of_ids = ids.map(|(at, it)| (it.id.clone(), named + at));
    let routes = Routes::new(of_groups.chain(of_aliases).chain(of_ids));
    Grouped { groups, routes, listed }
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
