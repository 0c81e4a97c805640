//! Walks over the tensors of a block by their public names.

use super::Block;
use burn::module::{Module as _, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::Tensor;

/// The public name of a walk's path inside a block: `n0` becomes `0`, `this` and enum variants have no segment.
#[must_use]
pub fn local_name(path: &[String]) -> String {
    let parts = path.iter().filter(|part| !part.is_empty()).map(|part| match part.strip_prefix('n') {
        Some(digits) if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) => digits,
        _ => part.as_str(),
    });
    parts.collect::<Vec<_>>().join(".")
}

/// Sees each tensor of a block.
pub trait Visit {
    /// Called for each tensor with its name relative to the node.
    fn tensor<const D: usize>(&mut self, name: &str, param: &Param<Tensor<D>>);
}

/// Replaces tensors of a block.
pub trait Change {
    /// Called for each tensor with its name relative to the node; what it returns takes its place.
    fn tensor<const D: usize>(&mut self, name: &str, param: Param<Tensor<D>>) -> Param<Tensor<D>>;
}

struct Walk<'a, T> {
    path: Vec<String>,
    inner: &'a mut T,
}

impl<T> Walk<'_, T> {
    fn enter(&mut self, name: &str, container: &str) {
        // The variant of the `Block` enum and a layer that stands for the whole node have no segment in the names.
        let silent = container.starts_with("Enum:") || name == "this";
        self.path.push(if silent { String::new() } else { name.to_owned() });
    }
}

impl<T: Visit> ModuleVisitor for Walk<'_, T> {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.enter(name, container);
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let name = local_name(&self.path);
        self.inner.tensor(&name, param);
    }
}

impl<T: Change> ModuleMapper for Walk<'_, T> {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.enter(name, container);
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let name = local_name(&self.path);
        self.inner.tensor(&name, param)
    }
}

/// Shows each tensor of a block to `visitor`.
pub fn visit(block: &Block, visitor: &mut impl Visit) {
    block.visit(&mut Walk { path: Vec::new(), inner: visitor });
}

/// Lets `change` replace the tensors of a block.
#[must_use]
pub fn change(block: Block, change: &mut impl Change) -> Block {
    block.map(&mut Walk { path: Vec::new(), inner: change })
}
