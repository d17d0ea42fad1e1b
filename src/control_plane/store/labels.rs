//! Texts that stand in many rows, each made once: what the references in entries name, words, addresses.
//!
//! Bounded by a batch: they are made for one and dropped with it, so that a name that is written down
//! later shows from then on. The words are ours and few, and are kept.

use std::{
    collections::HashMap,
    hash::{BuildHasherDefault, Hasher},
    net::IpAddr,
    sync::Arc,
};

use super::columns::{Cell, NAMES};
use crate::boundary::ledger::entry::{DeploymentRef, KeyRef};
use crate::control_plane::names::Names;

/// What a deployment's columns show.
#[derive(Clone)]
pub(super) struct DeploymentLabel {
    pub(super) id: Arc<str>,
    pub(super) model_group: Arc<str>,
    pub(super) model: Arc<str>,
    pub(super) region: Arc<str>,
    pub(super) api_base: Arc<str>,
}

/// What a key's columns show.
#[derive(Clone)]
pub(super) struct KeyLabel {
    pub(super) api_key: Arc<str>,
    pub(super) alias: Arc<str>,
}

/// A map by references. They are fingerprints of names that the operator chose: nobody can send such as
/// collide, so the hash need not be secret, and it is looked up for every row.
pub(super) type ByReference<K, V> = HashMap<K, V, BuildHasherDefault<Mixed>>;

/// Multiplies and rotates.
#[derive(Default)]
pub(super) struct Mixed(u64);

impl Hasher for Mixed {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u64((*byte).into()));
    }

    fn write_u32(&mut self, number: u32) {
        self.write_u64(number.into());
    }

    fn write_u64(&mut self, number: u64) {
        // 2^64 / golden ratio, made odd: Fibonacci hashing.
        self.0 = (self.0.rotate_left(26) ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn finish(&self) -> u64 {
        self.0.rotate_left(26)
    }
}

/// What references name, for when the names themselves are out of reach.
#[derive(Default)]
pub(super) struct Resolved {
    deployments: ByReference<DeploymentRef, DeploymentLabel>,
    keys: ByReference<KeyRef, KeyLabel>,
}

impl Resolved {
    /// Of a reference that was asked for when there were names.
    pub(super) fn deployment(&self, reference: DeploymentRef) -> &DeploymentLabel {
        self.deployments.get(&reference).expect("resolved before")
    }

    /// As [`Self::deployment`].
    pub(super) fn key(&self, reference: KeyRef) -> &KeyLabel {
        self.keys.get(&reference).expect("resolved before")
    }
}

/// The texts of one batch.
pub(super) struct Labels<'n> {
    names: &'n Names,
    resolved: Resolved,
    addresses: HashMap<IpAddr, Arc<str>>,
    words: Vec<(&'static str, Arc<str>)>,
    empty: Arc<str>,
}

impl<'n> Labels<'n> {
    pub(super) fn new(names: &'n Names) -> Self {
        Self {
            names,
            resolved: Resolved::default(),
            addresses: HashMap::new(),
            words: Vec::new(),
            empty: "".into(),
        }
    }

    /// Empty texts for 0, `ref:<hex>` for what no name is known of.
    pub(super) fn deployment(&mut self, reference: DeploymentRef) -> DeploymentLabel {
        if let Some(known) = self.resolved.deployments.get(&reference) {
            return known.clone();
        }
        let label = match self.names.deployment(reference) {
            Some(name) => DeploymentLabel {
                id: name.id.as_str().into(),
                model_group: name.model_group.as_str().into(),
                model: name.model.as_str().into(),
                region: name.region.as_str().into(),
                api_base: name.api_base.as_str().into(),
            },
            None => {
                let shown = self.unnamed(reference.0);
                DeploymentLabel {
                    id: shown.clone(),
                    model_group: shown.clone(),
                    model: shown,
                    region: self.empty.clone(),
                    api_base: self.empty.clone(),
                }
            }
        };
        self.resolved.deployments.insert(reference, label.clone());
        label
    }

    /// As [`Self::deployment`].
    pub(super) fn key(&mut self, reference: KeyRef) -> KeyLabel {
        if let Some(known) = self.resolved.keys.get(&reference) {
            return known.clone();
        }
        let label = match self.names.key(reference) {
            Some(name) => KeyLabel {
                api_key: name.api_key.as_str().into(),
                alias: name.alias.as_str().into(),
            },
            None => KeyLabel { api_key: self.unnamed(reference.0), alias: self.empty.clone() },
        };
        self.resolved.keys.insert(reference, label.clone());
        label
    }

    /// In the order of [`NAMES`](super::columns::NAMES).
    pub(super) fn names_of(
        &mut self,
        key: KeyRef,
        deployment: DeploymentRef,
    ) -> [Arc<str>; NAMES.len()] {
        let KeyLabel { api_key, alias } = self.key(key);
        let DeploymentLabel { id, model_group, model, region, api_base } =
            self.deployment(deployment);
        [api_key, alias, model, id, model_group, region, api_base]
    }

    fn unnamed(&self, reference: u64) -> Arc<str> {
        if reference == 0 { self.empty.clone() } else { format!("ref:{reference:016x}").into() }
    }

    pub(super) fn address(&mut self, address: IpAddr) -> Cell {
        let text = self.addresses.entry(address).or_insert_with(|| address.to_string().into());
        Cell::Text(text.clone())
    }

    pub(super) fn into_resolved(self) -> Resolved {
        self.resolved
    }

    /// One of our own words. They are few: looked for one by one, by where they lie in memory.
    pub(super) fn word(&mut self, word: &'static str) -> Cell {
        if let Some((_, text)) = self.words.iter().find(|(known, _)| std::ptr::eq(*known, word)) {
            return Cell::Text(text.clone());
        }
        let text: Arc<str> = word.into();
        self.words.push((word, text.clone()));
        Cell::Text(text)
    }
}
