//! Which deployment of a group gets a request: weighted random choice.
//!
//! The weights are summed once, when a snapshot is made; a choice is one random number and a binary
//! search. Source: LiteLLM's `simple-shuffle`.

/// Deployments that share a name, with the sums of their weights.
#[derive(Clone, Debug)]
pub struct Group {
    /// Indices into the snapshot's deployments.
    deployments: Vec<usize>,
    /// `cumulative[i]` is the sum of the weights up to and including `i`; ascending; the last is above 0.
    cumulative: Vec<u64>,
}

impl Group {
    /// From `(deployment, weight)` pairs, at least one. If all weights are 0, all count the same.
    #[must_use]
    pub fn new(members: &[(usize, u64)]) -> Self {
        assert!(!members.is_empty(), "a group has a deployment");
        let even = members.iter().all(|(_, weight)| *weight == 0);
        let mut sum = 0_u64;
        let cumulative = members.iter().map(|(_, weight)| {
            sum = sum.saturating_add(if even { 1 } else { *weight });
            sum
        });
        let cumulative = cumulative.collect();
        Self {
            deployments: members.iter().map(|(deployment, _)| *deployment).collect(),
            cumulative,
        }
    }

    /// The deployment that `random`, uniform over all of `u64`, falls on.
    #[must_use]
    pub fn pick(&self, random: u64) -> usize {
        let total = *self.cumulative.last().expect("a group has a deployment");
        // The high half of the product is uniform below `total`, without a division (Lemire).
        let point = (u128::from(random) * u128::from(total)) >> 64;
        let at = self.cumulative.partition_point(|sum| u128::from(*sum) <= point);
        self.deployments[at]
    }

    /// Indices into the snapshot's deployments.
    #[must_use]
    pub fn deployments(&self) -> &[usize] {
        &self.deployments
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Shares of 2^16 evenly spaced random numbers.
    fn shares(members: &[(usize, u64)]) -> Vec<u64> {
        let group = Group::new(members);
        let mut counts = vec![0; members.len()];
        for step in 0..1_u64 << 16 {
            let picked = group.pick(step << 48);
            counts[members.iter().position(|(deployment, _)| *deployment == picked).unwrap()] += 1;
        }
        counts
    }

    #[test]
    fn shares_follow_the_weights() {
        assert_eq!(shares(&[(7, 1)]), [65_536]);
        assert_eq!(shares(&[(7, 1), (3, 1)]), [32_768, 32_768]);
        assert_eq!(shares(&[(0, 3), (1, 1)]), [49_152, 16_384]);
        assert_eq!(shares(&[(0, 0), (1, 5), (2, 0)]), [0, 65_536, 0], "weight 0 is never picked");
        assert_eq!(shares(&[(0, 0), (1, 0)]), [32_768, 32_768], "unless all are 0");
    }

    #[test]
    fn the_largest_random_number_and_weights_stay_in_bounds() {
        let group = Group::new(&[(0, u64::MAX), (1, u64::MAX)]);
        assert_eq!(group.pick(u64::MAX), 0);
        assert_eq!(group.pick(0), 0);
        assert_eq!(Group::new(&[(4, 1), (5, 1)]).pick(u64::MAX), 5);
    }
}
