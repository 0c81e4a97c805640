//! Several heads on one backbone: further heads are copies of the family's own, under names of their own.

use super::GraphError;
use super::network::{Graph, Head, HeadKind, Node, NodeId, Part, Source};
use std::collections::BTreeMap;

/// A head to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeadPlan {
    /// Its name: the loss term, the prefix of further heads' metrics and tensors.
    pub name: String,
    /// Number of classes.
    pub classes: usize,
    /// Whether a picture can have several of them, or none.
    pub multi: bool,
}

impl HeadPlan {
    /// What the head's raw output means, where the family's own is a classifier of pictures.
    fn kind(&self, own: &HeadKind) -> HeadKind {
        match own {
            HeadKind::Classify { classes } if self.multi => HeadKind::MultiLabel { classes: *classes },
            other => other.clone(),
        }
    }
}

impl Graph {
    /// Gives the first head the name and the meaning that `plan` asks for. Its nodes keep their paths and tensors.
    #[must_use]
    pub fn with_first_head(mut self, plan: &HeadPlan) -> Self {
        // The heads of a detector, those of a promptable network, and one that tells a class for each pixel have names by what
        // they tell.
        if self.detector.is_none()
            && let Some(head) = self.heads.first_mut()
            && !matches!(head.kind, HeadKind::PixelClassify { .. } | HeadKind::Prompted { .. })
        {
            let old = Part::Head(std::mem::replace(&mut head.name, plan.name.clone()));
            head.kind = plan.kind(&head.kind);
            for node in self.nodes.iter_mut().filter(|node| node.part == old) {
                node.part = Part::Head(plan.name.clone());
            }
        }
        self
    }

    /// Puts the first head of `from`, a graph of the same family, on this graph as a further head. Its nodes and tensors
    /// stand under `heads.NAME.`; what they read is found here by path.
    ///
    /// # Errors
    /// When the name is taken, or the head reads a node that this graph does not have.
    pub fn graft(&mut self, from: &Self, plan: &HeadPlan) -> Result<(), GraphError> {
        let fault = |what: String| GraphError::Structure(format!("the head {} {what}", plan.name));
        if self.detector.is_some() {
            return Err(fault("cannot stand beside a detector's heads".to_owned()));
        }
        let head = from.heads.first().ok_or_else(|| fault("has no pattern to be made after".to_owned()))?;
        if self.heads.iter().any(|known| known.name == plan.name) {
            return Err(fault("is there twice".to_owned()));
        }
        let part = Part::Head(head.name.clone());
        let under = |name: &str| match name {
            "" => format!("heads.{}", plan.name),
            name => format!("heads.{}.{name}", plan.name),
        };
        let mut copies: BTreeMap<NodeId, NodeId> = BTreeMap::new();
        for id in from.ids().filter(|&id| from.node(id).part == part) {
            let node = from.node(id);
            let mut inputs = Vec::with_capacity(node.inputs.len());
            for source in &node.inputs {
                inputs.push(match source {
                    Source::Input(_) => *source,
                    Source::Node(read) => {
                        let path = &from.node(*read).path;
                        let here = copies.get(read).copied().or_else(|| self.find(path));
                        Source::Node(here.ok_or_else(|| fault(format!("reads {path}, which is not there")))?)
                    }
                });
            }
            copies.insert(id, NodeId(self.nodes.len()));
            self.nodes.push(Node {
                path: under(&node.path),
                prefix: under(&node.prefix),
                stage: under(&node.stage),
                part: Part::Head(plan.name.clone()),
                block: node.block.clone(),
                inputs,
            });
        }
        let output = copies.get(&head.output).ok_or_else(|| fault("does not end in a node of its own".to_owned()))?;
        self.heads.push(Head { name: plan.name.clone(), output: *output, kind: plan.kind(&head.kind) });
        Ok(())
    }

    /// Which of the data's label columns a head learns: label heads take them in turn.
    #[must_use]
    pub fn label_column(&self, head: usize) -> Option<usize> {
        let labels = |head: &&Head| matches!(head.kind, HeadKind::Classify { .. } | HeadKind::MultiLabel { .. });
        self.heads.get(head).filter(labels)?;
        Some(self.heads.iter().take(head).filter(labels).count())
    }
}
