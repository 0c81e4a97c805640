//! The network of the plan with its costs, and what the freeze plan in force means for it.

use crate::data::{DEFAULT_COLUMN, Dataset, LabelColumn};
use crate::graph::{Facts, FreezePlan, Frontier, Graph, GraphError, HeadPlan};
use crate::session::{Variant, View, catalogue, find_model};
use crate::train::{Plan, head_plans};
use std::sync::Arc;

/// Classes of the head while no data set says how many.
const CLASSES: usize = 10;

/// What a network depends on.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Key {
    model: String,
    heads: Vec<HeadPlan>,
    size_px: u32,
}

/// The network that is shown.
#[derive(Debug)]
pub struct Network {
    /// Nodes and edges.
    pub graph: Arc<Graph>,
    /// Costs.
    pub facts: Facts,
    /// What is frozen, and what follows.
    pub frontier: Frontier,
    /// The epoch that this holds in, from 1.
    pub epoch: u32,
    key: Key,
    freeze: FreezePlan,
}

impl Network {
    /// The network of a plan.
    ///
    /// # Errors
    /// When not even the first model of the registry can be built.
    pub fn new(plan: &Plan) -> Result<Self, GraphError> {
        let head = HeadPlan { name: DEFAULT_COLUMN.to_owned(), classes: CLASSES, multi: false };
        let key = Key { model: plan.model.clone(), heads: vec![head], size_px: plan.size_px };
        let first = || catalogue().into_iter().next().ok_or(GraphError::Structure("the registry is empty".to_owned()));
        let graph = match build(&key) {
            Ok(graph) => graph,
            Err(_) => first().and_then(|variant: Variant| variant.published())?,
        };
        let facts = graph.facts()?;
        let frontier = Frontier::of(&graph, &facts, &plan.freeze);
        Ok(Self { graph: Arc::new(graph), facts, frontier, epoch: 1, key, freeze: plan.freeze.clone() })
    }

    /// Follows the plan, the data and the run; `looked_at` is the epoch shown while no run trains this network. Returns why the network cannot be built, once for each new reason.
    pub fn update(&mut self, plan: &Plan, view: &View, looked_at: u32) -> Option<String> {
        let heads = view.data.as_ref().map_or_else(|| self.key.heads.clone(), |data| heads(plan, data));
        let key = Key { model: plan.model.clone(), heads, size_px: plan.size_px };
        let mut problem = None;
        let mut changed = false;
        if key != self.key {
            match build(&key).and_then(|graph| graph.facts().map(|facts| (graph, facts))) {
                Ok((graph, facts)) => {
                    self.graph = Arc::new(graph);
                    self.facts = facts;
                    changed = true;
                }
                Err(error) => problem = Some(format!("{} cannot be built: {error}.", key.model)),
            }
            self.key = key;
        }
        let run = view.run.as_ref().filter(|run| view.is_training() && self.is_of(&run.info.graph));
        self.epoch = run.map_or(looked_at.clamp(1, plan.epochs.max(1)), crate::session::RunView::epoch);
        let freeze = run.map_or(plan.phase(self.epoch).freeze, |run| &run.freeze);
        if changed || *freeze != self.freeze {
            self.freeze = freeze.clone();
            self.frontier = Frontier::of(&self.graph, &self.facts, &self.freeze);
        }
        problem
    }

    /// Whether a graph is this network.
    #[must_use]
    pub fn is_of(&self, graph: &Graph) -> bool {
        graph.name == self.graph.name && graph.nodes.len() == self.graph.nodes.len() && graph.heads == self.graph.heads
    }
}

fn build(key: &Key) -> Result<Graph, GraphError> {
    let variant = find_model(&key.model).map_err(GraphError::Structure)?;
    variant.graph_with(&key.heads, key.size_px as usize)
}

/// The heads of a plan on a set: while it names columns that the set does not have, the first column's.
fn heads(plan: &Plan, data: &Dataset) -> Vec<HeadPlan> {
    let columns = data.find_columns(&plan.heads).or_else(|_| data.find_columns(&[])).unwrap_or_default();
    let columns: Vec<LabelColumn> = columns.into_iter().filter_map(|at| data.columns.get(at).cloned()).collect();
    match columns.as_slice() {
        [] => head_plans(&[LabelColumn::single(Vec::new())]),
        columns => head_plans(columns),
    }
}
