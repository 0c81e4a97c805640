//! Modules of `graph::blocks::sequence`.

use super::basic::{ConvNormAct, activate};
use super::init::Params;
use super::layers::{BatchNorm, Conv2d, conv_norm, conv_norm_onto, sum};
use super::value::{Ctx, RunError, Value, single};
use crate::graph::blocks::{self, Activation, Step};
use burn::module::Module;
use burn::tensor::Tensor;

/// A layer of a row: an item's index in a vector is its position and so its name.
#[derive(Module, Debug)]
enum Layer {
    Conv(Conv2d),
    Norm(BatchNorm),
    Function(Function),
    ConvNormAct(ConvNormAct),
    SqueezeExcite(SqueezeExcite),
}

/// A layer without tensors.
#[derive(Module, Debug)]
struct Function {
    #[module(skip)]
    activation: Activation,
}

impl Function {
    fn layer(activation: Activation) -> Layer {
        Layer::Function(Self { activation })
    }
}

/// The row from position `first` on; what stands before it belongs to other nodes and does nothing here.
fn row(steps: Vec<Step>, first: usize, params: &mut Params<'_>) -> Result<Vec<Layer>, RunError> {
    let mut layers = vec![Function::layer(Activation::Identity); first];
    for step in steps {
        let name = layers.len().to_string();
        layers.push(match step {
            Step::Conv(conv) => Layer::Conv(Conv2d::new(conv, &name, params)?),
            Step::Norm(norm) => Layer::Norm(BatchNorm::new(norm, &name, params)?),
            Step::Activation(function) => Function::layer(function),
            Step::ConvNormAct(spec) => Layer::ConvNormAct(ConvNormAct::at(&format!("{name}."), &spec, params)?),
            Step::SqueezeExcite(spec) => Layer::SqueezeExcite(SqueezeExcite::at(&name, &spec, params)?),
        });
    }
    Ok(layers)
}

/// The layers one after the other; what belongs together is computed together.
fn run(layers: &[Layer], x: Tensor<4>, ctx: &mut Ctx) -> Tensor<4> {
    match layers {
        [] => x,
        [Layer::Conv(conv), Layer::Norm(norm), Layer::Function(function), rest @ ..] => {
            run(rest, conv_norm(conv, norm, x, function.activation, ctx), ctx)
        }
        [Layer::Conv(conv), Layer::Norm(norm), rest @ ..] => {
            run(rest, conv_norm(conv, norm, x, Activation::Identity, ctx), ctx)
        }
        [layer, rest @ ..] => {
            let x = match layer {
                Layer::Conv(conv) => conv.forward(x),
                Layer::Norm(norm) => norm.forward(x, ctx),
                Layer::Function(function) => activate(x, function.activation),
                Layer::ConvNormAct(block) => block.apply(x, ctx),
                Layer::SqueezeExcite(block) => block.apply(x),
            };
            run(rest, x, ctx)
        }
    }
}

/// See [`blocks::PlainConv`].
#[derive(Module, Debug)]
pub struct PlainConv {
    this: Vec<Layer>,
}

impl PlainConv {
    pub(crate) fn new(spec: &blocks::PlainConv, params: &mut Params<'_>) -> Result<Self, RunError> {
        Ok(Self { this: row(spec.steps(), spec.at, params)? })
    }

    pub(crate) fn forward(&self, inputs: &[Value], ctx: &mut Ctx) -> Result<Value, RunError> {
        Ok(Value::Map(run(&self.this, single(inputs)?.map()?, ctx))) // [batch, outputs, h, w]
    }
}

/// See [`blocks::SqueezeExcite`].
#[derive(Module, Debug)]
struct SqueezeExcite {
    fc1: Conv2d,
    fc2: Conv2d,
}

impl SqueezeExcite {
    fn at(name: &str, spec: &blocks::SqueezeExcite, params: &mut Params<'_>) -> Result<Self, RunError> {
        let [narrow, wide] = spec.convs();
        let fc1 = Conv2d::new(narrow, &format!("{name}.fc1"), params)?;
        Ok(Self { fc1, fc2: Conv2d::new(wide, &format!("{name}.fc2"), params)? })
    }

    fn apply(&self, x: Tensor<4>) -> Tensor<4> {
        let [batch, channels, height, width] = x.dims();
        let mean = x.clone().reshape([batch, channels, height * width]).mean_dim(2);
        let gate = self.fc1.forward(mean.reshape([batch, channels, 1, 1])); // [batch, squeezed, 1, 1]
        let gate = self.fc2.forward(activate(gate, Activation::Relu)); // [batch, channels, 1, 1]
        x * activate(gate, Activation::HardSigmoid)
    }
}

/// See [`blocks::InvertedResidual`].
#[derive(Module, Debug)]
pub struct InvertedResidual {
    this: Vec<Layer>,
    adds_input: bool,
}

impl InvertedResidual {
    pub(crate) fn new(spec: &blocks::InvertedResidual, params: &mut Params<'_>) -> Result<Self, RunError> {
        Ok(Self { this: row(spec.steps(), 0, params)?, adds_input: spec.adds_input() })
    }

    pub(crate) fn forward(&self, inputs: &[Value], ctx: &mut Ctx) -> Result<Value, RunError> {
        let x = single(inputs)?.map()?; // [batch, inputs, h, w]
        let y = match self.this.as_slice() {
            [first @ .., Layer::Conv(conv), Layer::Norm(norm)] if self.adds_input => {
                let y = run(first, x.clone(), ctx);
                conv_norm_onto((conv, norm), y, x, Activation::Identity, ctx)
            }
            layers if self.adds_input => sum(run(layers, x.clone(), ctx), x, Activation::Identity),
            layers => run(layers, x, ctx), // [batch, outputs, h / stride, w / stride]
        };
        Ok(Value::Map(y))
    }
}
