//! A graph with one module per node, executed along the edges: from any cut to any node.

use crate::graph::{BnPolicy, Facts, FreezePlan, Frontier, Graph, GraphError, Node, NodeId, Shape, Source, TensorSpec};
use crate::nn::ask::Prompt;
use crate::nn::visit::{self, Change, Visit};
use crate::nn::{self, Block, Ctx, NormMode, Params, RunError, Value};
use crate::rng::Rng;
use burn::module::Param;
use burn::tensor::{Device, Tensor, TensorData};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// Whether a forward pass is a training step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Gradients flow to what trains; batch norms follow the freeze plan.
    Train,
    /// No gradients, stored statistics everywhere.
    Infer,
}

/// A tensor of a network on the host.
#[derive(Clone, Debug)]
pub struct HostTensor {
    /// What it is, under its full name.
    pub spec: TensorSpec,
    /// Its values, row-major in torch's layout.
    pub values: Vec<f32>,
}

/// Replaces tensors of a network.
pub trait ChangeTensors {
    /// Called before the tensors of a node; whether they are to be shown.
    fn enter(&mut self, _node: &Node, _frozen: bool) -> bool {
        true
    }

    /// Called for each tensor with its description (full name); what it returns takes its place.
    fn change<const D: usize>(&mut self, spec: &TensorSpec, param: Param<Tensor<D>>) -> Param<Tensor<D>>;
}

/// Sees tensors of a network.
pub trait SeeTensors {
    /// Called for each tensor with its description (full name).
    fn see<const D: usize>(&mut self, spec: &TensorSpec, param: &Param<Tensor<D>>);
}

/// A graph that can be run.
#[derive(Clone, Debug)]
pub struct Network {
    graph: Arc<Graph>,
    facts: Arc<Facts>,
    blocks: Vec<Block>,
    device: Device,
    plan: FreezePlan,
    /// For each node the last node that reads it, after which its value is dropped.
    last_reader: Vec<Option<NodeId>>,
}

impl Network {
    /// Makes the network with new weights drawn from `seed`; nothing is frozen yet and nothing trains until
    /// [`Network::set_plan`] is called.
    ///
    /// # Errors
    /// When the graph is faulty.
    pub fn new(graph: Arc<Graph>, seed: u64, device: &Device) -> Result<Self, RunError> {
        Self::filled(graph, &|spec| nn::values(spec, seed), device)
    }

    /// The same with the values that `fill` gives for each tensor.
    ///
    /// # Errors
    /// When the graph is faulty.
    pub fn filled(
        graph: Arc<Graph>,
        fill: &dyn Fn(&TensorSpec) -> Vec<f32>,
        device: &Device,
    ) -> Result<Self, RunError> {
        let describe = |error: GraphError| RunError::Description(error.to_string());
        let facts = Arc::new(graph.facts().map_err(describe)?);
        let device = device.clone().inner();
        let mut blocks = Vec::with_capacity(graph.nodes.len());
        for id in graph.ids() {
            let node = graph.node(id);
            let mut params = Params::new(&facts.node(id).tensors, &node.prefix, fill, &device);
            blocks.push(Block::new(&node.block, &mut params)?);
            if let Some(name) = params.left().first() {
                return Err(RunError::Description(format!("the module of {} does not take {name}", node.path)));
            }
        }
        let mut last_reader = vec![None; graph.nodes.len()];
        for (from, to) in graph.edges() {
            last_reader[from.0] = Some(to);
        }
        Ok(Self { graph, facts, blocks, device, plan: FreezePlan::default(), last_reader })
    }

    /// What is executed and drawn.
    #[must_use]
    pub fn graph(&self) -> &Arc<Graph> {
        &self.graph
    }

    /// What it costs.
    #[must_use]
    pub fn facts(&self) -> &Arc<Facts> {
        &self.facts
    }

    /// Where it lives.
    #[must_use]
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// The freeze plan in force.
    #[must_use]
    pub fn plan(&self) -> &FreezePlan {
        &self.plan
    }

    /// What the plan means.
    #[must_use]
    pub fn frontier(&self) -> Frontier {
        Frontier::of(&self.graph, &self.facts, &self.plan)
    }

    /// Freezes and thaws: from now on gradients are kept for exactly what trains under `plan`.
    pub fn set_plan(&mut self, plan: &FreezePlan) {
        self.plan = plan.clone();
        self.change_tensors(&mut Track { plan: Some(plan), weights: false, affine: false });
    }

    /// The same network without any gradient, sharing its tensors.
    #[must_use]
    pub fn inference(&self) -> Self {
        let mut network = self.clone();
        network.change_tensors(&mut Track { plan: None, weights: false, affine: false });
        network
    }

    /// Runs all nodes on images `[batch, 3, height, width]`; the heads' raw outputs in the graph's order.
    ///
    /// # Errors
    /// When a value has another kind than a block takes.
    pub fn forward(&self, images: Tensor<4>, mode: Mode, ctx: &mut Ctx) -> Result<Vec<Value>, RunError> {
        let wanted: Vec<NodeId> = self.graph.heads.iter().map(|head| head.output).collect();
        self.run(&[Value::Map(images)], &BTreeMap::new(), &wanted, mode, ctx)
    }

    /// The same from the outputs of some nodes (a cut) where there are some: then the images are not needed.
    ///
    /// # Errors
    /// As [`Network::run`].
    pub fn forward_from(
        &self,
        images: Option<&Tensor<4>>,
        given: &BTreeMap<NodeId, Value>,
        mode: Mode,
        ctx: &mut Ctx,
    ) -> Result<Vec<Value>, RunError> {
        let wanted: Vec<NodeId> = self.graph.heads.iter().map(|head| head.output).collect();
        let images = images.filter(|_| given.is_empty()).map(|images| Value::Map(images.clone()));
        self.run(images.as_slice(), given, &wanted, mode, ctx)
    }

    /// Runs what is needed for the outputs of `wanted`, given the graph's inputs and the outputs of some nodes already
    /// (a cut). Values are dropped after their last reader.
    ///
    /// # Errors
    /// When an input is missing or has another kind than a block takes.
    pub fn run(
        &self,
        inputs: &[Value],
        given: &BTreeMap<NodeId, Value>,
        wanted: &[NodeId],
        mode: Mode,
        ctx: &mut Ctx,
    ) -> Result<Vec<Value>, RunError> {
        let needed = self.needed(given, wanted);
        ctx.training = mode == Mode::Train;
        if let Some(Value::Map(images)) = inputs.first() {
            let [_, _, height, width] = images.dims();
            ctx.input = [height, width];
        }
        let mut values: Vec<Option<Value>> = vec![None; self.blocks.len()];
        for (&id, value) in given {
            values[id.0] = Some(value.clone());
        }
        for id in self.graph.ids().filter(|id| needed[id.0]) {
            let node = self.graph.node(id);
            let mut arguments = Vec::with_capacity(node.inputs.len());
            for source in &node.inputs {
                let value = match source {
                    Source::Input(i) => inputs.get(*i).cloned().or_else(|| self.prompt(*i, inputs, ctx)),
                    Source::Node(from) => values[from.0].clone(),
                };
                arguments.push(value.ok_or(RunError::Kind { wanted: "an input", got: "none" })?);
            }
            for parent in self.graph.parents(id) {
                if self.last_reader[parent.0] == Some(id) && !wanted.contains(&parent) {
                    values[parent.0] = None;
                }
            }
            let batch_statistics = mode == Mode::Train && self.plan.bn_policy(&node.path) == BnPolicy::Train;
            ctx.norm = if batch_statistics { NormMode::Batch } else { NormMode::Stored };
            let drops = mode == Mode::Train && !self.plan.is_frozen(&node.path);
            ctx.dropout = ctx.seed.filter(|_| drops).map(|seed| Rng::keyed(seed, &node.path));
            values[id.0] = Some(self.blocks[id.0].forward(&arguments, ctx)?);
        }
        let missing = RunError::Kind { wanted: "an output", got: "none" };
        let outputs = wanted.iter().map(|id| values[id.0].clone().ok_or_else(|| missing.clone()));
        // What the losses send back goes through the whole network.
        let flush = |output: Value| if mode == Mode::Train { output.flush_gradient() } else { output };
        outputs.map(|output| output.map(flush)).collect()
    }

    /// What is asked of the images where the graph takes a prompt and none was given.
    fn prompt(&self, input: usize, inputs: &[Value], ctx: &Ctx) -> Option<Value> {
        self.graph.inputs.get(input).filter(|input| input.shape == Shape::Prompt)?;
        let middle = || {
            let Some(Value::Map(images)) = inputs.first() else { return None };
            let [count, _, height, width] = images.dims();
            Some(Arc::new(Prompt::middle(count, [height, width])))
        };
        ctx.prompt.clone().or_else(middle).map(Value::Prompt)
    }

    /// Which nodes have to run for `wanted` when the outputs of `given` are there.
    fn needed(&self, given: &BTreeMap<NodeId, Value>, wanted: &[NodeId]) -> Vec<bool> {
        let mut needed = vec![false; self.blocks.len()];
        let mut open: Vec<NodeId> = wanted.iter().copied().filter(|id| !given.contains_key(id)).collect();
        while let Some(id) = open.pop() {
            if !std::mem::replace(&mut needed[id.0], true) {
                open.extend(self.graph.parents(id).filter(|parent| !given.contains_key(parent)));
            }
        }
        needed
    }

    /// Puts the running statistics that a training step computed in their places.
    pub fn apply_statistics(&mut self, ctx: Ctx) {
        if !ctx.statistics.is_empty() {
            self.change_tensors(&mut Statistics(ctx.statistics));
        }
    }

    /// Lets `change` replace tensors.
    pub fn change_tensors(&mut self, change: &mut impl ChangeTensors) {
        let facts = Arc::clone(&self.facts);
        for (id, block) in self.graph.ids().zip(&mut self.blocks) {
            let tensors = &facts.node(id).tensors;
            if tensors.is_empty() {
                continue;
            }
            let node = self.graph.node(id);
            if change.enter(node, self.plan.is_frozen(&node.path)) {
                let mut step = InNode { prefix: &node.prefix, tensors, change };
                // Nothing else holds the block's tensors meanwhile, so that they can be changed where they lie.
                let whole = std::mem::replace(block, Block::GlobalAvgPool(nn::GlobalAvgPool {}));
                *block = visit::change(whole, &mut step);
            }
        }
    }

    /// Shows all tensors to `see`.
    pub fn see_tensors(&self, see: &mut impl SeeTensors) {
        for (id, block) in self.graph.ids().zip(&self.blocks) {
            let tensors = &self.facts.node(id).tensors;
            if !tensors.is_empty() {
                visit::visit(block, &mut SeeInNode { prefix: &self.graph.node(id).prefix, tensors, see });
            }
        }
    }

    /// All tensors on the host, in the checkpoint's order.
    ///
    /// # Errors
    /// When the device fails.
    pub fn tensors(&self) -> Result<Vec<HostTensor>, RunError> {
        self.tensors_where(|_, _| true)
    }

    /// The tensors that `keep` chooses by node and description, on the host.
    ///
    /// # Errors
    /// When the device fails.
    pub fn tensors_where(&self, keep: impl Fn(NodeId, &TensorSpec) -> bool) -> Result<Vec<HostTensor>, RunError> {
        let mut all = Vec::new();
        for (id, block) in self.graph.ids().zip(&self.blocks) {
            let specs: Vec<&TensorSpec> = self.facts.node(id).tensors.iter().filter(|spec| keep(id, spec)).collect();
            if specs.is_empty() {
                continue;
            }
            let mut read = Read { prefix: &self.graph.node(id).prefix, specs: &specs, found: HashMap::new() };
            visit::visit(block, &mut read);
            for spec in &specs {
                let Some(values) = read.found.remove(&spec.name) else {
                    return Err(RunError::Description(format!("no module holds {}", spec.name)));
                };
                let values = values.map_err(|error| RunError::Device(format!("{}: {error}", spec.name)))?;
                all.push(HostTensor { spec: (*spec).clone(), values });
            }
        }
        Ok(all)
    }

    /// Replaces tensors by name; names that the network does not have are an error, and then nothing changes.
    ///
    /// # Errors
    /// When a name is unknown or a length differs.
    pub fn assign(&mut self, tensors: Vec<(String, Vec<f32>)>) -> Result<(), RunError> {
        let known: HashMap<&str, u64> = self.facts.tensors().map(|spec| (spec.name.as_str(), spec.numel())).collect();
        for (name, values) in &tensors {
            match known.get(name.as_str()) {
                None => return Err(RunError::Description(format!("the network has no tensor {name}"))),
                Some(&count) if count != values.len() as u64 => {
                    let have = values.len();
                    return Err(RunError::Description(format!("{name} holds {count} values and {have} were given")));
                }
                Some(_) => {}
            }
        }
        let device = self.device.clone();
        self.change_tensors(&mut Assign { values: tensors.into_iter().collect(), device });
        Ok(())
    }
}

/// Full name of a tensor in a node.
fn full(prefix: &str, local: &str) -> String {
    if prefix.is_empty() { local.to_owned() } else { format!("{prefix}.{local}") }
}

/// Turns gradients on for what trains and off for the rest.
struct Track<'a> {
    plan: Option<&'a FreezePlan>,
    /// Of the node at hand: whether its weights train, whether its norms' scale and shift do.
    weights: bool,
    affine: bool,
}

impl ChangeTensors for Track<'_> {
    fn enter(&mut self, node: &Node, _: bool) -> bool {
        self.weights = self.plan.is_some_and(|plan| !plan.is_frozen(&node.path));
        self.affine = self.plan.is_some_and(|plan| plan.bn_policy(&node.path) != BnPolicy::Stored);
        true
    }

    fn change<const D: usize>(&mut self, spec: &TensorSpec, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let trains = self.weights && !spec.role.is_buffer() && (self.affine || !spec.role.is_norm());
        if trains == param.is_require_grad() {
            return param;
        }
        let (id, value, _) = param.consume();
        let value = value.inner();
        Param::initialized(id, if trains { value.autodiff().require_grad() } else { value })
    }
}

struct InNode<'a, C> {
    prefix: &'a str,
    tensors: &'a [TensorSpec],
    change: &'a mut C,
}

impl<C: ChangeTensors> Change for InNode<'_, C> {
    fn tensor<const D: usize>(&mut self, name: &str, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let name = full(self.prefix, name);
        match self.tensors.iter().find(|spec| spec.name == name) {
            Some(spec) => self.change.change(spec, param),
            None => param,
        }
    }
}

struct SeeInNode<'a, S> {
    prefix: &'a str,
    tensors: &'a [TensorSpec],
    see: &'a mut S,
}

impl<S: SeeTensors> Visit for SeeInNode<'_, S> {
    fn tensor<const D: usize>(&mut self, name: &str, param: &Param<Tensor<D>>) {
        let name = full(self.prefix, name);
        if let Some(spec) = self.tensors.iter().find(|spec| spec.name == name) {
            self.see.see(spec, param);
        }
    }
}

struct Statistics(HashMap<burn::module::ParamId, Tensor<1>>);

impl ChangeTensors for Statistics {
    fn change<const D: usize>(&mut self, spec: &TensorSpec, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        match self.0.remove(&param.id) {
            Some(new) => Param::initialized(param.id, new.reshape(shape_of::<D>(spec))),
            None => param,
        }
    }
}

struct Assign {
    values: HashMap<String, Vec<f32>>,
    device: Device,
}

impl ChangeTensors for Assign {
    fn change<const D: usize>(&mut self, spec: &TensorSpec, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some(values) = self.values.remove(&spec.name) else { return param };
        let tracked = param.is_require_grad();
        let value = Tensor::<D>::from_data(TensorData::new(values, spec.shape.clone()), &self.device);
        Param::initialized(param.id, if tracked { value.autodiff().require_grad() } else { value })
    }
}

fn shape_of<const D: usize>(spec: &TensorSpec) -> [usize; D] {
    std::array::from_fn(|axis| spec.shape.get(axis).copied().unwrap_or(1))
}

struct Read<'a> {
    prefix: &'a str,
    specs: &'a [&'a TensorSpec],
    found: HashMap<String, Result<Vec<f32>, RunError>>,
}

impl Visit for Read<'_> {
    fn tensor<const D: usize>(&mut self, name: &str, param: &Param<Tensor<D>>) {
        let name = full(self.prefix, name);
        if self.specs.iter().any(|spec| spec.name == name) {
            self.found.insert(name, nn::read(param.val().inner()));
        }
    }
}
