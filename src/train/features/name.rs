//! What stored features are of: everything that they depend on but the picture and the view, in one digest.

use crate::graph::{Cut, NodeId, Preprocess};
use crate::models::Network;
use crate::nn::{RunError, cpu};
use crate::train::proof::digest;
use sha2::{Digest as _, Sha256};
use std::collections::HashMap;

/// Part of the name that is raised when the same tensors come to give other numbers: a kernel was replaced.
const KERNELS: u32 = 2;

/// Digests of the tensors of a network's frozen part.
pub(super) struct Names<'a> {
    network: &'a Network,
    tensors: HashMap<String, String>,
}

impl<'a> Names<'a> {
    /// Of everything that lies before the frost line.
    pub(super) fn of(network: &'a Network) -> Result<Self, RunError> {
        let frontier = network.frontier();
        let tensors = network.tensors_where(|id: NodeId, _| frontier.state(id).in_prefix())?;
        let tensors = tensors.into_iter().map(|tensor| (tensor.spec.name, digest(&tensor.values))).collect();
        Ok(Self { network, tensors })
    }

    /// The name of the store of a cut's features.
    pub(super) fn of_cut(&self, cut: &Cut, rule: &Preprocess, half: bool) -> Result<String, RunError> {
        let mut hash = Sha256::new();
        let (graph, facts) = (self.network.graph(), self.network.facts());
        let device = format!("{:?}", self.network.device());
        hash.update(format!(
            "{KERNELS} {} {half} {rule:?} {device} {} {:?}",
            env!("CARGO_PKG_VERSION"),
            cpu::is_on(),
            cut.nodes
        ));
        for &id in &cut.prefix {
            let node = graph.node(id);
            hash.update(format!("{:?} {:?} {:?}", node.path, node.block, node.inputs));
            for spec in &facts.node(id).tensors {
                let missing = || RunError::Description(format!("{} is not frozen", spec.name));
                hash.update(&spec.name);
                hash.update(self.tensors.get(&spec.name).ok_or_else(missing)?);
            }
        }
        let digest: [u8; 32] = hash.finalize().into();
        Ok(digest[..16].iter().map(|byte| format!("{byte:02x}")).collect())
    }
}
