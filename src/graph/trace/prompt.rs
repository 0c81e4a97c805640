//! Steps of the symbolic forward pass on what a person asks for.

use super::Trace;
use crate::graph::GraphError;
use crate::graph::op::{Asked, Op};
use crate::graph::signal::{Shape, Signal};
use crate::graph::tensor::{Init, Role};

/// Tokens of a prompt of one point: the point and, where there is no box, one that stands for none.
const TOKENS: usize = 2;

impl Trace {
    /// The marks of a prompt as tokens of this width; tensors the frequencies and a vector for each kind of mark.
    ///
    /// # Errors
    /// When the input is no prompt.
    pub fn prompt_tokens(&mut self, prompt: &Signal, width: usize) -> Result<Signal, GraphError> {
        prompt.expect_prompt("marks")?;
        let frequencies = "positional_encoding_gaussian_matrix";
        self.tensor("pe_layer", frequencies, vec![2, width / 2], Role::Constant, Init::Normal(1.0));
        let kinds = (0..4).map(|i| format!("point_embeddings.{i}")).chain(["not_a_point_embed".to_owned()]);
        for kind in kinds {
            self.tensor(&kind, "weight", vec![1, width], Role::Weight, Init::Normal(1.0));
        }
        let output = Signal { shape: Shape::Tokens { count: TOKENS, width }, ..prompt.clone() };
        Ok(self.layer("pe_layer", Op::PromptTokens { count: TOKENS }, &[prompt], output, (TOKENS * width) as u64))
    }

    /// The earlier mask of a prompt, `[1, height, width]`.
    ///
    /// # Errors
    /// When the input is no prompt.
    pub fn prompt_mask(&mut self, prompt: &Signal, [height, width]: [usize; 2]) -> Result<Signal, GraphError> {
        prompt.expect_prompt("a mask")?;
        let output = Signal { shape: Shape::map(1, height, width), ..prompt.clone() };
        Ok(self.layer("", Op::PromptMask, &[prompt], output, 0))
    }

    /// A map for prompts with a mask; a vector for each cell for those without. Tensor `{name}.weight`.
    ///
    /// # Errors
    /// When the inputs are no map and no prompt.
    pub fn if_masked(&mut self, name: &str, map: &Signal, prompt: &Signal) -> Result<Signal, GraphError> {
        let [channels, ..] = map.expect_map(name)?;
        prompt.expect_prompt(name)?;
        self.tensor(name, "weight", vec![1, channels], Role::Weight, Init::Normal(1.0));
        Ok(self.layer(name, Op::IfMasked, &[map, prompt], map.clone(), 0))
    }

    /// Tokens and the map that they ask about as one value.
    ///
    /// # Errors
    /// When the tokens are not as long as the map is deep.
    pub fn ask(&mut self, tokens: &Signal, map: &Signal) -> Result<Signal, GraphError> {
        let [channels, height, width] = map.expect_map("a question")?;
        let (depth, count) = tokens.expect_rows("a question")?;
        if depth != channels {
            return Err(GraphError::Shape(format!("{} cannot ask about {}", tokens.shape, map.shape)));
        }
        let shape = Shape::Asking { count, map: [channels, height, width] };
        let receptive_px = map.receptive_px.max(tokens.receptive_px);
        Ok(self.layer("", Op::Ask, &[tokens, map], Signal { shape, receptive_px, ..map.clone() }, 0))
    }

    /// One part of tokens and map.
    ///
    /// # Errors
    /// When the input is something else.
    pub fn pick(&mut self, x: &Signal, part: Asked) -> Result<Signal, GraphError> {
        let (count, [channels, height, width]) = x.expect_asking("a question's part")?;
        let shape = match part {
            Asked::Tokens | Asked::TokenCodes => Shape::Tokens { count, width: channels },
            Asked::Map | Asked::MapCodes => Shape::map(channels, height, width),
        };
        Ok(self.layer("", Op::Pick { part }, &[x], Signal { shape, ..x.clone() }, 0))
    }

    /// Learned tokens before those of the input; tensors `{name}.weight`, so many rows each.
    ///
    /// # Errors
    /// When the input holds no tokens.
    pub fn prepend(&mut self, names: &[(&str, usize)], x: &Signal) -> Result<Signal, GraphError> {
        let (width, mut count) = x.expect_rows("learned tokens")?;
        for (name, rows) in names {
            self.tensor(name, "weight", vec![*rows, width], Role::Weight, Init::Normal(1.0));
            count += rows;
        }
        let name = names.first().map_or("", |(name, _)| name);
        Ok(self.layer(name, Op::Prepend, &[x], Signal { shape: Shape::Tokens { count, width }, ..x.clone() }, 0))
    }

    /// One of several tokens as a vector.
    ///
    /// # Errors
    /// When there are not so many.
    pub fn token(&mut self, x: &Signal, index: usize) -> Result<Signal, GraphError> {
        let (features, count) = x.expect_rows("a token")?;
        if index >= count {
            return Err(GraphError::Shape(format!("there is no token {index} among {count}")));
        }
        let shape = Shape::Vector { features };
        Ok(self.layer("", Op::Token { index }, &[x], Signal { shape, ..x.clone() }, 0))
    }

    /// Products of vectors with each cell of a map: one channel each.
    ///
    /// # Errors
    /// When a vector is not as long as the map is deep.
    pub fn products(&mut self, vectors: &[Signal], map: &Signal) -> Result<Signal, GraphError> {
        let [channels, height, width] = map.expect_map("products")?;
        if let Some(other) = vectors.iter().find(|vector| vector.shape != Shape::Vector { features: channels }) {
            return Err(GraphError::Shape(format!("{} has no products with {}", other.shape, map.shape)));
        }
        let shape = Shape::map(vectors.len(), height, width);
        let macs = shape.numel() * channels as u64;
        self.kept += map.numel();
        let inputs: Vec<&Signal> = vectors.iter().chain([map]).collect();
        Ok(self.layer("", Op::Products, &inputs, Signal { shape, ..map.clone() }, macs))
    }
}

impl Signal {
    /// Number of tokens and axes of the map of a question, or an error that names who wanted one.
    ///
    /// # Errors
    /// When the value is something else.
    pub fn expect_asking(&self, who: &str) -> Result<(usize, [usize; 3]), GraphError> {
        match self.shape {
            Shape::Asking { count, map } => Ok((count, map)),
            ref other => Err(GraphError::Shape(format!("{who} wants tokens with a map and gets {other}"))),
        }
    }

    fn expect_prompt(&self, who: &str) -> Result<(), GraphError> {
        match self.shape {
            Shape::Prompt => Ok(()),
            ref other => Err(GraphError::Shape(format!("{who} wants a prompt and gets {other}"))),
        }
    }
}
