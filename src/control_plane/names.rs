//! What the references in ledger entries mean, for good: an append-only file beside the ledger.
//!
//! An entry outlives the process and the configuration that made it, so a reference is written down,
//! and on disk, before the first entry can hold it. One JSON line each; a line that was torn is skipped,
//! and what it named is written anew.

use std::{
    collections::HashMap,
    fs::{File, OpenOptions},
    io::{self, BufRead, BufReader, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
    sync::Arc,
};

use arc_swap::ArcSwap;
use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};

use crate::boundary::ledger::entry::{DeploymentRef, KeyRef};

/// What an entry's deployment was called.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct DeploymentName {
    /// `model_info.id`.
    pub id: String,
    /// `model_name`: what clients ask for.
    pub model_group: String,
    /// What AWS is asked for.
    pub model: String,
    /// Where.
    pub region: String,
    /// `https://host/base`.
    pub api_base: String,
}

/// What an entry's key was called. Never the key itself.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct KeyName {
    /// As LiteLLM has it: SHA-256 in hexadecimal, or `litellm_proxy_master_key`.
    pub api_key: String,
    /// The operator's name for it; may be empty.
    pub alias: String,
}

/// LiteLLM's word for the master key.
pub const MASTER_KEY_NAME: &str = "litellm_proxy_master_key";

#[derive(Deserialize, Serialize)]
enum Line {
    #[serde(rename = "deployment")]
    Deployment(u64, DeploymentName),
    #[serde(rename = "key")]
    Key(u64, KeyName),
}

/// What readers look names up in, while a reload puts others in its place that know more. Whoever has an
/// entry finds its names: they are here before a snapshot refers to them.
pub type SharedNames = Arc<ArcSwap<Names>>;

/// All that was ever named.
#[derive(Clone, Debug, Default)]
pub struct Names {
    deployments: HashMap<DeploymentRef, DeploymentName>,
    keys: HashMap<KeyRef, KeyName>,
    file: Option<Arc<File>>,
    /// Lines that are to be written together, if many come.
    held: Option<Vec<u8>>,
}

impl Names {
    /// Reads the file, or makes it.
    ///
    /// # Errors
    /// What the file system says.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file =
            OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path)?;
        let mut names = Self::default();
        let mut lines = BufReader::new(&file);
        let mut line = Vec::new();
        let mut ends_in_line = true;
        while {
            line.clear();
            lines.read_until(b'\n', &mut line)? > 0
        } {
            ends_in_line = line.ends_with(b"\n");
            match serde_json::from_slice(&line) {
                Ok(Line::Deployment(number, name)) => {
                    names.deployments.insert(DeploymentRef(number), name);
                }
                Ok(Line::Key(number, name)) => {
                    names.keys.insert(KeyRef(number), name);
                }
                Err(_torn) => {} // and written anew when it is needed
            }
        }
        names.file = Some(Arc::new(file));
        if !ends_in_line {
            names.append(b"\n")?;
        }
        Ok(names)
    }

    /// Without a file: for who names what no entry will hold for long.
    #[must_use]
    pub fn in_memory() -> Self {
        Self::default()
    }

    /// What the reference names, if it is known.
    #[must_use]
    pub fn deployment(&self, reference: DeploymentRef) -> Option<&DeploymentName> {
        self.deployments.get(&reference)
    }

    /// What the reference names, if it is known.
    #[must_use]
    pub fn key(&self, reference: KeyRef) -> Option<&KeyName> {
        self.keys.get(&reference)
    }

    /// The reference of `name`, which is on disk by then.
    ///
    /// # Errors
    /// What the file system says.
    pub fn add_deployment(&mut self, name: &DeploymentName) -> io::Result<DeploymentRef> {
        let reference = DeploymentRef(fingerprint(name));
        if self.deployments.get(&reference) != Some(name) {
            self.write(&Line::Deployment(reference.0, name.clone()))?;
            self.deployments.insert(reference, name.clone());
        }
        Ok(reference)
    }

    /// The reference of `name`, which is on disk by then.
    ///
    /// # Errors
    /// What the file system says.
    pub fn add_key(&mut self, name: &KeyName) -> io::Result<KeyRef> {
        let reference = KeyRef(fingerprint(name));
        if self.keys.get(&reference) != Some(name) {
            self.write(&Line::Key(reference.0, name.clone()))?;
            self.keys.insert(reference, name.clone());
        }
        Ok(reference)
    }

    /// From now on names are on disk only once [`Self::settle`] has returned: one write for many.
    pub fn hold(&mut self) {
        self.held.get_or_insert_default();
    }

    /// Writes what was held.
    ///
    /// # Errors
    /// What the file system says.
    pub fn settle(&mut self) -> io::Result<()> {
        match self.held.take() {
            Some(held) if !held.is_empty() => self.append(&held),
            _ => Ok(()),
        }
    }

    fn write(&mut self, line: &Line) -> io::Result<()> {
        let mut text = serde_json::to_vec(line)?;
        text.push(b'\n');
        if let Some(held) = &mut self.held {
            held.append(&mut text);
            return Ok(());
        }
        self.append(&text)
    }

    /// In one write, so that two processes that share the file do not mix their lines.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let Some(file) = &self.file else { return Ok(()) };
        (&**file).write_all(bytes)?;
        file.sync_data()
    }
}

/// Never 0, which names nothing. Two names with one fingerprint: once in 2^32 names.
fn fingerprint(name: &impl Serialize) -> u64 {
    let text = serde_json::to_vec(name).expect("strings alone");
    let hash = digest(&SHA256, &text);
    let first = hash.as_ref()[..8].try_into().expect("SHA-256 has 32 bytes");
    u64::from_le_bytes(first).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_outlive_the_process_and_a_torn_line() {
        let path = std::env::temp_dir().join(format!("outcrop-names-{}", std::process::id()));
        let _ = std::fs::remove_file(&path);
        let east = DeploymentName {
            id: "east".into(),
            model_group: "claude".into(),
            model: "m".into(),
            region: "us-east-1".into(),
            api_base: "https://h".into(),
        };
        let west = DeploymentName { id: "west".into(), ..east.clone() };
        let key = KeyName { api_key: MASTER_KEY_NAME.into(), alias: String::new() };
        let mut names = Names::open(&path).unwrap();
        let first = names.add_deployment(&east).unwrap();
        let master = names.add_key(&key).unwrap();
        OpenOptions::new().append(true).open(&path).unwrap().write_all(b"{\"depl").unwrap();
        let mut names = Names::open(&path).unwrap();
        assert_eq!(names.deployment(first), Some(&east));
        let second = names.add_deployment(&west).unwrap();
        let size = std::fs::metadata(&path).unwrap().len();
        assert_eq!(names.add_deployment(&east).unwrap(), first, "as before");
        assert_eq!(std::fs::metadata(&path).unwrap().len(), size, "and not written again");
        let names = Names::open(&path).unwrap();
        assert_eq!((names.deployment(first), names.deployment(second)), (Some(&east), Some(&west)));
        assert_eq!(names.key(master), Some(&key));
        assert_eq!(names.key(KeyRef(0)), None);
        // Torn right before the line's end: what is written next begins a line of its own.
        let text = std::fs::read(&path).unwrap();
        std::fs::write(&path, &text[..text.len() - 1]).unwrap();
        let mut names = Names::open(&path).unwrap();
        names.add_deployment(&DeploymentName { id: "north".into(), ..east.clone() }).unwrap();
        let names = Names::open(&path).unwrap();
        assert_eq!((names.deployments.len(), names.keys.len()), (3, 1));
        std::fs::remove_file(&path).unwrap();
    }
}
