//! The proof that what is frozen does not move: a digest of every frozen tensor at the start, compared after each epoch.

use crate::graph::{BnPolicy, NodeId, TensorSpec};
use crate::models::{HostTensor, Network};
use crate::nn::RunError;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// SHA-256 of the little-endian f32 values of each frozen tensor, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    /// Hexadecimal digests by tensor name.
    pub digests: BTreeMap<String, String>,
}

impl Proof {
    /// Digests of everything that is frozen under the network's plan, statistics included.
    ///
    /// # Errors
    /// When the device fails.
    pub fn of(network: &Network) -> Result<Self, RunError> {
        let tensors = network.tensors_where(|id, spec| must_stay(network, id, spec))?;
        let digests = tensors.into_par_iter().map(|tensor| (tensor.spec.name, digest(&tensor.values))).collect();
        Ok(Self { digests })
    }

    /// Compares with the network as it is now; the names of tensors that moved.
    ///
    /// # Errors
    /// When the device fails.
    pub fn moved(&self, network: &Network) -> Result<Vec<String>, RunError> {
        let tensors = network.tensors_where(|_, spec| self.digests.contains_key(&spec.name))?;
        Ok(self.moved_among(&tensors))
    }

    /// The names of those among a network's `tensors` that moved, or that are missing.
    #[must_use]
    pub fn moved_among(&self, tensors: &[HostTensor]) -> Vec<String> {
        let known: BTreeMap<&String, &HostTensor> = tensors.iter().map(|tensor| (&tensor.spec.name, tensor)).collect();
        let moved = self
            .digests
            .par_iter()
            .filter(|(name, wanted)| known.get(name).is_none_or(|tensor| **wanted != digest(&tensor.values)));
        moved.map(|(name, _)| name.clone()).collect()
    }
}

/// Whether a tensor must not change: it belongs to a frozen node, except statistics that the plan lets move.
fn must_stay(network: &Network, id: NodeId, spec: &TensorSpec) -> bool {
    let path = &network.graph().node(id).path;
    let moves = spec.role.is_buffer() && network.plan().bn_policy(path) == BnPolicy::Train;
    network.plan().is_frozen(path) && !moves
}

pub(super) fn digest(values: &[f32]) -> String {
    let mut hash = Sha256::new();
    let mut bytes = Vec::with_capacity(4 * 4096);
    for chunk in values.chunks(4096) {
        bytes.resize(4 * chunk.len(), 0);
        bytes.chunks_exact_mut(4).zip(chunk).for_each(|(to, value)| to.copy_from_slice(&value.to_le_bytes()));
        hash.update(&bytes);
    }
    hash.finalize().iter().fold(String::with_capacity(64), |mut text, byte| {
        write!(text, "{byte:02x}").ok();
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digest_is_sha256_of_the_little_endian_bytes() {
        // printf '\\x00\\x00\\x80\\x3f' | sha256sum
        let wanted = "e00e5eb9444182f352323374ef4e08ebcb784725fdd4fd612d7730540b3e0c8c";
        assert_eq!(digest(&[1.0]), wanted);
        assert_ne!(digest(&[0.0]), digest(&[-0.0]));
    }
}
