//! Steps of an optimizer on burn's tensors, without allocating anew.

pub use super::kernels::update::{Adam, Descent};

use super::kernels::update;
use burn::backend::Flex;
use burn::backend::flex::FlexTensor;
use burn::tensor::{DType, Shape, Tensor};

/// A tensor that is to be moved, with its gradient and what the optimizer remembers; none of them under automatic
/// differentiation.
#[derive(Clone, Debug)]
pub struct Moving {
    /// The weights.
    pub weight: Tensor<1>,
    /// Their gradient.
    pub grad: Tensor<1>,
    /// Momentum, or Adam's mean of the gradient; none before the first step.
    pub first: Option<Tensor<1>>,
    /// Adam's mean of the squared gradient; none before the first step.
    pub second: Option<Tensor<1>>,
}

/// A step.
#[derive(Clone, Copy, Debug)]
pub enum Rule {
    /// Stochastic gradient descent without memory.
    Descent(Descent),
    /// With momentum: the share of the buffer that is kept.
    Momentum(Descent, f32),
    /// Adam with decoupled weight decay.
    Adam(Adam),
}

/// What a step left.
#[derive(Clone, Debug)]
pub struct Moved {
    /// The new weights.
    pub weight: Tensor<1>,
    /// The new memory, as in [`Moving`].
    pub first: Option<Tensor<1>>,
    /// The new memory, as in [`Moving`].
    pub second: Option<Tensor<1>>,
}

/// Moves the weights and the memory.
///
/// # Errors
/// The tensors as they were, where the kernels do not apply.
pub fn update(rule: Rule, moving: Moving) -> Result<Moved, Box<Moving>> {
    let Some(Held { mut weight, grad, mut first, mut second }) = Held::new(&moving) else {
        return Err(Box::new(moving));
    };
    // With the other handles gone the numbers change where they lie.
    drop(moving);
    let grad = grad.storage::<f32>();
    let zeros = || FlexTensor::zeros(Shape::new([grad.len()]), DType::F32);
    match rule {
        Rule::Descent(rule) => update::descend(weight.storage_mut(), grad, rule),
        Rule::Momentum(rule, kept) => {
            let buffer = first.get_or_insert_with(zeros);
            update::descend_with(weight.storage_mut(), grad, buffer.storage_mut(), rule, kept);
        }
        Rule::Adam(rule) => {
            let (mean, square) = (first.get_or_insert_with(zeros), second.get_or_insert_with(zeros));
            update::adam(weight.storage_mut(), grad, mean.storage_mut(), square.storage_mut(), rule);
        }
    }
    let tensor = Tensor::from_primitive::<Flex>;
    Ok(Moved { weight: tensor(weight), first: first.map(tensor), second: second.map(tensor) })
}

/// The same as burn's CPU backend holds it.
struct Held {
    weight: FlexTensor,
    grad: FlexTensor,
    first: Option<FlexTensor>,
    second: Option<FlexTensor>,
}

impl Held {
    /// If all of it lies on the processor, and the kernels are on.
    fn new(moving: &Moving) -> Option<Self> {
        if !super::is_on() || !super::kernels::available() {
            return None;
        }
        let memory = |tensor: &Option<Tensor<1>>| tensor.as_ref().map_or(Some(None), |tensor| whole(tensor).map(Some));
        let Moving { weight, grad, first, second } = moving;
        Some(Self { weight: whole(weight)?, grad: whole(grad)?, first: memory(first)?, second: memory(second)? })
    }
}

/// A tensor of f32 that is all of its storage, value behind value.
fn whole(tensor: &Tensor<1>) -> Option<FlexTensor> {
    if tensor.dtype() != DType::F32 {
        return None;
    }
    let tensor = tensor.clone().try_into_primitive::<Flex>().ok()?;
    let all = tensor.layout().contiguous_offsets()? == (0, tensor.bytes().len() / size_of::<f32>());
    all.then_some(tensor)
}
