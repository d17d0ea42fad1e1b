//! Who has the lowest key, without looking at all of them: a tournament tree.
//!
//! ```text
//!   winners:        a                  one match is played again per level when a key changes;
//!               a       c              the root is the winner
//!             a   b   c   d
//! ```

/// Keys of a fixed number of players, each with its place. Ties go to the lower place.
#[derive(Debug, Default)]
pub(super) struct Tournament {
    keys: Vec<u64>,
    /// `winners[1]` is the root; the match of node `n` is between those of `2n` and `2n + 1`.
    winners: Vec<u32>,
    /// Leaves: a power of two.
    width: usize,
}

impl Tournament {
    /// Begins anew with these keys. Allocates only if there are more than ever before.
    pub(super) fn reset(&mut self, keys: impl Iterator<Item = u64>) {
        self.keys.clear();
        self.keys.extend(keys);
        self.width = self.keys.len().next_power_of_two();
        self.winners.clear();
        self.winners.resize(2 * self.width, u32::MAX);
        for at in 0..self.keys.len() {
            self.winners[self.width + at] = u32::try_from(at).unwrap_or(u32::MAX);
        }
        for node in (1..self.width).rev() {
            self.winners[node] = self.play(node);
        }
    }

    /// The place of the lowest key; `None` without players.
    pub(super) fn winner(&self) -> Option<usize> {
        let winner = *self.winners.get(1)?;
        (winner != u32::MAX).then_some(winner as usize)
    }

    /// Changes a key.
    pub(super) fn set(&mut self, at: usize, key: u64) {
        self.keys[at] = key;
        let mut node = (self.width + at) / 2;
        while node > 0 {
            self.winners[node] = self.play(node);
            node /= 2;
        }
    }

    fn play(&self, node: usize) -> u32 {
        let (left, right) = (self.winners[2 * node], self.winners[2 * node + 1]);
        let key = |place: u32| self.keys.get(place as usize).copied();
        match (key(left), key(right)) {
            (Some(a), Some(b)) if b < a => right,
            (None, Some(_)) => right,
            _ => left,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_lowest_whatever_changes() {
        let mut random = fastrand::Rng::with_seed(7);
        for players in [0, 1, 2, 3, 7, 8, 100] {
            let mut keys: Vec<u64> = (0..players).map(|_| random.u64(..50)).collect();
            let mut tree = Tournament::default();
            tree.reset(keys.iter().copied());
            for _ in 0..200 {
                let lowest = keys.iter().enumerate().min_by_key(|(_, key)| **key).map(|(at, _)| at);
                assert_eq!(tree.winner(), lowest, "{keys:?}");
                if !keys.is_empty() {
                    let at = random.usize(..keys.len());
                    keys[at] = random.u64(..50);
                    tree.set(at, keys[at]);
                }
            }
        }
    }
}
