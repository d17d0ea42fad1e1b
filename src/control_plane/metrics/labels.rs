//! Which labels there are: bounded, however many names an operator or an attacker makes up.
//!
//! Labels come from the configuration alone (deployments, keys) and from AWS's own words (statuses, error
//! names), never from what a client sent. What comes above the bounds is counted under `other`: sums
//! over all labels stay exact.

use std::{
    collections::{BTreeMap, HashMap},
    hash::Hash,
};

use super::exposition::Labels;
use crate::control_plane::names::{DeploymentName, KeyName};

/// Nothing was picked, or presented.
const NONE: &str = "none";
/// It was named once, and the names file has it no more.
const UNKNOWN: &str = "unknown";
/// Above the bound.
pub(super) const OTHER: &str = "other";
/// Places of the three words.
const NONE_AT: Place = 0;
const UNKNOWN_AT: Place = 1;
/// Where what comes above the bound is counted.
pub(super) const OTHER_AT: Place = 2;
const WORDS: [&str; 3] = [NONE, UNKNOWN, OTHER];

/// Where a table keeps something.
pub(super) type Place = u16;

/// Labels by reference. Two references of the same labels (a deployment whose region changed) are one.
pub(super) struct Table<R, L> {
    by_reference: HashMap<R, Place>,
    by_labels: HashMap<L, Place>,
    labels: Vec<L>,
    places_max: usize,
}

impl<R: Copy + Default + Eq + Hash, L: Clone + Eq + Hash> Table<R, L> {
    /// For `named` labels besides those of the three words.
    pub(super) fn new(named_max: usize, word: impl Fn(&str) -> L) -> Self {
        let mut table = Self {
            by_reference: HashMap::new(),
            by_labels: HashMap::new(),
            labels: Vec::new(),
            places_max: named_max + WORDS.len(),
        };
        for labels in WORDS.map(word) {
            table.add(labels);
        }
        table.by_reference.insert(R::default(), NONE_AT);
        table
    }

    /// `labels` are asked for once per reference; they give `None` if nobody knows what it names.
    pub(super) fn find(&mut self, reference: R, labels: impl FnOnce() -> Option<L>) -> Place {
        if let Some(place) = self.by_reference.get(&reference) {
            return *place;
        }
        let Some(labels) = labels() else { return UNKNOWN_AT };
        let place = match self.by_labels.get(&labels) {
            Some(place) => *place,
            None if self.labels.len() < self.places_max => self.add(labels),
            None => return OTHER_AT,
        };
        // A reload that renames without end must not fill this, either.
        if self.by_reference.len() < 4 * self.places_max {
            self.by_reference.insert(reference, place);
        }
        place
    }

    fn add(&mut self, labels: L) -> Place {
        let place = Place::try_from(self.labels.len()).expect("fewer than 2^16 are kept");
        self.labels.push(labels.clone());
        self.by_labels.insert(labels, place);
        place
    }

    pub(super) fn at(&self, place: Place) -> &L {
        &self.labels[usize::from(place)]
    }
}

/// A deployment's labels, as LiteLLM's older and newer metrics call them.
#[derive(Clone, Eq, Hash, PartialEq)]
pub(super) struct DeploymentLabels {
    /// `requested_model`, `model`, `model_id`, `api_provider`.
    pub(super) model: Labels,
    /// `requested_model`, `model_group`, `litellm_model_name`, `model_id`, `api_provider`.
    pub(super) deployment: Labels,
}

impl DeploymentLabels {
    pub(super) fn of(name: &DeploymentName) -> Self {
        Self::new(&name.model_group, &name.model, &name.id)
    }

    pub(super) fn word(word: &str) -> Self {
        Self::new(word, word, word)
    }

    fn new(group: &str, model: &str, id: &str) -> Self {
        let provider = ("api_provider", "bedrock");
        Self {
            model: Labels::of(&[
                ("requested_model", group),
                ("model", model),
                ("model_id", id),
                provider,
            ]),
            deployment: Labels::of(&[
                ("requested_model", group),
                ("model_group", group),
                ("litellm_model_name", model),
                ("model_id", id),
                provider,
            ]),
        }
    }
}

/// `hashed_api_key`, `api_key_alias`.
pub(super) fn key_labels(name: &KeyName) -> Labels {
    Labels::of(&[("hashed_api_key", &name.api_key), ("api_key_alias", &name.alias)])
}

pub(super) fn key_word(word: &str) -> Labels {
    Labels::of(&[("hashed_api_key", word), ("api_key_alias", word)])
}

/// Something per label set, for so many of them; in the order of their places.
pub(super) struct Sets<K, V> {
    sets: BTreeMap<K, V>,
    own_max: usize,
    own: usize,
}

impl<K: Copy + Ord, V: Default> Sets<K, V> {
    pub(super) fn new(own_max: usize) -> Self {
        Self { sets: BTreeMap::new(), own_max, own: 0 }
    }

    /// What is kept for `key`, or for `folded` if there is no room; of folded keys there must be few.
    pub(super) fn at(&mut self, key: K, folded: K) -> &mut V {
        let is_new = !self.sets.contains_key(&key);
        let has_room = self.own < self.own_max;
        self.own += usize::from(is_new && has_room);
        let key = if is_new && !has_room { folded } else { key };
        self.sets.entry(key).or_default()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.sets.iter()
    }
}
