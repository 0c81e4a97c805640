//! From burn's tensors to slices and back, and an operation's gradients on burn's tape.

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::NoCheckpointing;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::{Autodiff, Flex, TensorMetadata as _};
use burn::tensor::{DType, Tensor, TensorData};
use std::fmt;
use std::sync::Arc;

/// A tensor on the CPU with automatic differentiation.
type Tracked = <Autodiff<Flex> as burn::backend::BackendTypes>::FloatTensorPrimitive;

/// A tensor that the kernels can read.
pub(super) struct Input {
    tensor: Tracked,
    values: Values,
    /// Whether the tensor came from a device with automatic differentiation.
    autodiff: bool,
}

/// The values of a tensor, one behind the other. A copy of this shares them.
#[derive(Clone)]
pub(super) struct Values(FlexTensor);

impl Values {
    fn new(tensor: &FlexTensor) -> Self {
        Self(tensor.to_contiguous())
    }

    /// The values.
    pub(super) fn get(&self) -> &[f32] {
        self.0.as_slice::<f32>().unwrap_or_default()
    }
}

impl Input {
    /// The tensor, if it is one of f32 on the CPU, and the CPU has vectors.
    pub(super) fn new<const D: usize>(x: &Tensor<D>) -> Option<Self> {
        if x.dtype() != DType::F32 || !super::is_on() || !super::kernels::available() {
            return None;
        }
        if let Ok(tensor) = x.clone().try_into_primitive::<Autodiff<Flex>>() {
            let values = Values::new(tensor.primitive());
            return Some(Self { tensor, values, autodiff: true });
        }
        let tensor = x.clone().try_into_primitive::<Flex>().ok()?;
        let values = Values::new(&tensor);
        Some(Self { tensor: Tracked::new(tensor), values, autodiff: false })
    }

    /// Whether a gradient will be asked of it.
    pub(super) fn is_tracked(&self) -> bool {
        self.tensor.is_tracked()
    }

    /// The tensor itself.
    pub(super) fn tensor(&self) -> &FlexTensor {
        self.tensor.primitive()
    }

    /// What it holds.
    pub(super) fn values(&self) -> &Values {
        &self.values
    }

    /// What it holds.
    pub(super) fn get(&self) -> &[f32] {
        self.values.get()
    }
}

/// Gradients of the inputs for which one is wanted.
pub(super) type Grads<const N: usize> = [Option<Vec<f32>>; N];

/// From the output's gradient, and which inputs want one, to those of the inputs.
type Pullback<const N: usize> = dyn Fn(&[f32], [bool; N]) -> Grads<N> + Send + Sync;

#[derive(Clone)]
struct State<const N: usize> {
    pullback: Arc<Pullback<N>>,
    shapes: [Vec<usize>; N],
}

impl<const N: usize> fmt::Debug for State<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State").field("shapes", &self.shapes).finish_non_exhaustive()
    }
}

/// An operation whose gradients a closure computes.
#[derive(Debug)]
struct Operation;

impl<const N: usize> Backward<Flex, N> for Operation {
    type State = State<N>;

    fn backward(self, ops: Ops<State<N>, N>, grads: &mut Gradients, _: &mut Checkpointer) {
        let grad = Values::new(&grads.consume::<Flex>(&ops.node));
        let wanted = ops.parents.each_ref().map(Option::is_some);
        let State { pullback, shapes } = ops.state;
        let all = pullback(grad.get(), wanted);
        for ((parent, grad), shape) in ops.parents.into_iter().zip(all).zip(shapes) {
            if let (Some(parent), Some(grad)) = (parent, grad) {
                grads.register::<Flex>(parent.id, FlexTensor::from_data(TensorData::new(grad, shape)));
            }
        }
    }
}

/// A tensor of `values`, recorded with its gradients if one of the inputs wants one.
pub(super) fn record<const D: usize, const N: usize>(
    inputs: &[Input; N],
    (values, shape): (Vec<f32>, [usize; D]),
    pullback: impl Fn(&[f32], [bool; N]) -> Grads<N> + Send + Sync + 'static,
) -> Tensor<D> {
    record_as(inputs, FlexTensor::from_data(TensorData::new(values, shape)), pullback)
}

/// The same of an `output` that is there already.
pub(super) fn record_as<const D: usize, const N: usize>(
    inputs: &[Input; N],
    output: FlexTensor,
    pullback: impl Fn(&[f32], [bool; N]) -> Grads<N> + Send + Sync + 'static,
) -> Tensor<D> {
    if !inputs.iter().any(|input| input.autodiff) {
        return Tensor::from_primitive::<Flex>(output);
    }
    if !inputs.iter().any(Input::is_tracked) {
        return Tensor::from_primitive::<Autodiff<Flex>>(Tracked::new(output));
    }
    let shapes = inputs.each_ref().map(|input| input.tensor.shape().to_vec());
    let nodes = inputs.each_ref().map(|input| input.tensor.node());
    let output = match Operation.prepare::<NoCheckpointing>(nodes).compute_bound().stateful() {
        OpsKind::Tracked(prep) => prep.finish(State { pullback: Arc::new(pullback), shapes }, output),
        OpsKind::UnTracked(prep) => prep.finish(output),
    };
    Tensor::from_primitive::<Autodiff<Flex>>(output)
}

/// A tensor of `values` on the device without automatic differentiation.
pub(super) fn plain<const D: usize>(values: Vec<f32>, shape: [usize; D]) -> Tensor<D> {
    Tensor::from_primitive::<Flex>(FlexTensor::from_data(TensorData::new(values, shape)))
}

/// A tensor of `values` without gradients, on the device of `like`.
pub(super) fn constant<const D: usize>(like: &Input, values: Vec<f32>, shape: [usize; D]) -> Tensor<D> {
    let tensor = plain(values, shape);
    if like.autodiff { Tensor::from_inner(tensor) } else { tensor }
}
