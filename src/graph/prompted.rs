//! Where a promptable network is cut: what a picture becomes once, and what each prompt is answered with.

use super::network::{Graph, HeadKind, NodeId, Part, PromptTells};

/// Masks of an answer: all but the first, which is for prompts that leave no choice.
pub const OFFERED: usize = 3;

/// The nodes between which prompts are answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PromptEnds {
    /// The end of the backbone: the picture's features, which prompts are put to.
    pub features: NodeId,
    /// Masks.
    pub masks: NodeId,
    /// How much each will overlap what was meant.
    pub quality: NodeId,
}

impl PromptEnds {
    /// Those of a graph; none where it takes no prompts.
    #[must_use]
    pub fn of(graph: &Graph) -> Option<Self> {
        let head = |wanted: PromptTells| {
            let tells = |kind: &HeadKind| matches!(kind, HeadKind::Prompted { tells, candidates } if *tells == wanted && *candidates > OFFERED);
            graph.heads.iter().find(|head| tells(&head.kind)).map(|head| head.output)
        };
        if !graph.takes_prompts() {
            return None;
        }
        let ends = |(from, to): &(NodeId, NodeId)| {
            graph.node(*from).part == Part::Backbone && graph.node(*to).part != Part::Backbone
        };
        let features = graph.edges().into_iter().find(ends).map(|(from, _)| from)?;
        Some(Self { features, masks: head(PromptTells::Mask)?, quality: head(PromptTells::Iou)? })
    }
}
