//! How a family writes its graph down.

use super::GraphError;
use super::blocks::BlockSpec;
use super::detector::Detector;
use super::network::{Graph, Head, HeadKind, Input, Node, NodeId, Part, Source, Spelling};
use super::signal::Shape;

/// Collects nodes in order of execution.
#[derive(Debug)]
pub struct Builder {
    graph: Graph,
    part: Part,
    stage: Option<String>,
}

impl Builder {
    /// A network that takes RGB images of this size in pixels.
    #[must_use]
    pub fn new(name: &str, height: usize, width: usize) -> Self {
        let image = Input { name: "image".to_owned(), shape: Shape::map(3, height, width) };
        let (nodes, heads, spellings) = (Vec::new(), Vec::new(), Vec::new());
        let graph = Graph { name: name.to_owned(), inputs: vec![image], nodes, heads, detector: None, spellings };
        Self { graph, part: Part::Backbone, stage: None }
    }

    /// The image input.
    #[must_use]
    pub fn image(&self) -> Source {
        Source::Input(0)
    }

    /// Adds a further input, such as a prompt.
    pub fn input(&mut self, name: &str, shape: Shape) -> Source {
        self.graph.inputs.push(Input { name: name.to_owned(), shape });
        Source::Input(self.graph.inputs.len() - 1)
    }

    /// The nodes that follow belong to this part.
    pub fn part(&mut self, part: Part) {
        self.part = part;
        self.stage = None;
    }

    /// The nodes that follow fold into this stage.
    pub fn stage(&mut self, stage: &str) {
        self.stage = Some(stage.to_owned());
    }

    /// A node whose tensors' prefix is its path.
    pub fn node(&mut self, path: &str, block: impl Into<BlockSpec>, inputs: &[Source]) -> Source {
        self.named(path, path, block, inputs)
    }

    /// A node whose tensors stand under another prefix than its path.
    pub fn named(&mut self, path: &str, prefix: &str, block: impl Into<BlockSpec>, inputs: &[Source]) -> Source {
        self.graph.nodes.push(Node {
            path: path.to_owned(),
            prefix: prefix.to_owned(),
            stage: self.stage.clone().unwrap_or_else(|| path.to_owned()),
            part: self.part.clone(),
            block: block.into(),
            inputs: inputs.to_vec(),
        });
        Source::Node(NodeId(self.graph.nodes.len() - 1))
    }

    /// Declares that a node's output is a head's raw output.
    pub fn head(&mut self, name: &str, output: Source, kind: HeadKind) {
        if let Source::Node(output) = output {
            self.graph.heads.push(Head { name: name.to_owned(), output, kind });
        }
    }

    /// Declares how the heads detect together.
    pub fn detector(&mut self, detector: Detector) {
        self.graph.detector = Some(detector);
    }

    /// Another publisher's names for the modules, as pairs of prefixes without the last dot: here, there. `note` says
    /// what else differs in that publisher's network, where something does.
    pub fn spelling(&mut self, by: &str, note: &str, modules: Vec<(String, String)>) {
        self.graph.spellings.push(Spelling { by: by.to_owned(), note: note.to_owned(), modules });
    }

    /// The finished graph.
    ///
    /// # Errors
    /// When names repeat, an edge points forward, shapes do not fit or there is no head.
    pub fn finish(self) -> Result<Graph, GraphError> {
        self.graph.facts()?;
        Ok(self.graph)
    }
}
