//! What an exported one-stage detector gives: the raw numbers of its cells, boxes, or the objects that are left of them.

use super::lower::{Lowering, int, ints, of_each_object, of_each_picture};
use crate::graph::{Detector, Facts, Graph, Shape, TaskAligned};
use serde::Serialize;

/// Objects of one class that [`BoxForm::Objects`] gives of a picture at most.
pub const MOST_OF_A_CLASS: usize = 100;

/// How far an exported detector goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum BoxForm {
    /// Decoding and suppression outside: `output` `[batch, cells, numbers]`, for each cell the box's raw numbers, then
    /// probabilities: of an object where a head tells it, and of each class. As the publishers of YOLOX export it.
    Raw,
    /// Suppression outside: `output` as above with center, width and height in input pixels in place of the raw numbers.
    #[default]
    Decoded,
    /// All inside: `boxes` `[objects, 4]` (left, top, right, bottom in input pixels), `scores` `[objects]`, `classes`
    /// `[objects]` and `pictures` `[objects]`, the place of each in the batch.
    Objects,
}

impl BoxForm {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Raw, Self::Decoded, Self::Objects];

    /// Its name on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Decoded => "decoded",
            Self::Objects => "objects",
        }
    }
}

/// What is asked of an exported detector. What is left open is as the detector has it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct BoxOutput {
    /// How far it goes.
    pub form: BoxForm,
    /// Least score of an object, for [`BoxForm::Objects`].
    pub confidence: Option<f32>,
    /// The intersection over union from which the less likely of two boxes of one class goes, likewise.
    pub overlap: Option<f32>,
}

/// What the heads say, channels before cells.
struct Heads {
    /// `[batch, n, cells]`
    raw: String,
    /// `[batch, 1, cells]`
    objectness: Option<String>,
    /// `[batch, classes, cells]`
    classes: String,
    /// Numbers of each cell in `raw`.
    numbers: usize,
    cells: Cells,
}

/// The cells of all levels, finest level first, row by row.
#[derive(Default)]
struct Cells {
    columns: Vec<f32>,
    rows: Vec<f32>,
    sides: Vec<f32>,
}

/// Takes the names of the outputs before a layer can have them.
///
/// # Errors
/// Words, where the network is a detector that cannot be said in ONNX here.
pub(super) fn reserve(to: &mut Lowering, graph: &Graph, asked: &BoxOutput) -> Result<(), String> {
    match &graph.detector {
        None => return Ok(()),
        Some(Detector::TwoStage(_)) => {
            return Err("a detector that proposes regions first is not written as ONNX; write .safetensors, which \
                        torchvision loads strictly"
                .to_owned());
        }
        Some(Detector::SimOta(_) | Detector::TaskAligned(_)) => {}
    }
    for name in names(asked.form) {
        to.fresh(name);
    }
    Ok(())
}

fn names(form: BoxForm) -> &'static [&'static str] {
    match form {
        BoxForm::Raw | BoxForm::Decoded => &["output"],
        BoxForm::Objects => &["boxes", "scores", "classes", "pictures"],
    }
}

/// Writes what follows the heads' layers.
///
/// # Errors
/// Words, where the heads are not as the method says.
pub(super) fn heads(to: &mut Lowering, graph: &Graph, facts: &Facts, asked: &BoxOutput) -> Result<(), String> {
    let Some(detector) = &graph.detector else { return Ok(()) };
    let heads = match detector {
        Detector::SimOta(method) => {
            let cells = Cells::of(graph, &method.strides)?;
            let [class, boxes, objectness] = joined(to, graph, facts, cells.len())?;
            let objectness = Some(unary(to, "Sigmoid", &objectness, "objectness/probability"));
            let classes = unary(to, "Sigmoid", &class, "class/probability");
            Heads { raw: boxes, objectness, classes, numbers: 4, cells }
        }
        Detector::TaskAligned(method) => {
            let cells = Cells::of(graph, &method.strides)?;
            let [class, boxes] = joined(to, graph, facts, cells.len())?;
            let classes = unary(to, "Sigmoid", &class, "class/probability");
            Heads { raw: boxes, objectness: None, classes, numbers: 4 * method.bins, cells }
        }
        Detector::TwoStage(_) => return Ok(()),
    };
    if asked.form == BoxForm::Raw {
        let raw = heads.raw.clone();
        rows(to, &heads, raw, heads.numbers + detector.classes());
        return Ok(());
    }
    let boxes = match detector {
        Detector::SimOta(_) => by_size(to, &heads),
        Detector::TaskAligned(method) => by_distance(to, method, &heads),
        Detector::TwoStage(_) => return Ok(()),
    };
    if asked.form == BoxForm::Decoded {
        rows(to, &heads, boxes, 4 + detector.classes());
    } else {
        let confidence = asked.confidence.unwrap_or_else(|| detector.confidence());
        objects(to, &heads, &boxes, confidence, asked.overlap.unwrap_or_else(|| detector.overlap()));
    }
    Ok(())
}

impl Cells {
    fn of(graph: &Graph, strides: &[usize]) -> Result<Self, String> {
        let input = graph.inputs.first().map(|input| input.shape.dims()).unwrap_or_default();
        let &[_, height, width] = input.as_slice() else { return Err("the network reads no picture".to_owned()) };
        let mut cells = Self::default();
        for &side in strides {
            for row in 0..height.div_ceil(side) {
                for column in 0..width.div_ceil(side) {
                    cells.columns.push(column as f32);
                    cells.rows.push(row as f32);
                    cells.sides.push(side as f32);
                }
            }
        }
        Ok(cells)
    }

    fn len(&self) -> usize {
        self.sides.len()
    }

    /// Columns and rows, both moved by `offset`, `[1, 2, cells]`; sides `[1, 1, cells]`.
    fn constants(&self, to: &mut Lowering, offset: f32) -> (String, String) {
        let places = self.columns.iter().chain(&self.rows).map(|place| place + offset).collect();
        let places = to.constant("constant/cells", vec![1, 2, self.len()], places);
        (places, to.constant("constant/sides", vec![1, 1, self.len()], self.sides.clone()))
    }
}

/// Each head's maps one after the other, `[batch, channels, cells]`.
fn joined<const N: usize>(
    to: &mut Lowering,
    graph: &Graph,
    facts: &Facts,
    cells: usize,
) -> Result<[String; N], String> {
    let mut all = Vec::with_capacity(N);
    for head in &graph.heads {
        let output = &facts.node(head.output).output;
        let wrong = || format!("the head {} does not end in maps of levels", head.name);
        let maps = to.levels.get(&output.value).cloned().ok_or_else(wrong)?;
        let Shape::Pyramid { levels } = &output.shape else { return Err(wrong()) };
        if levels.iter().map(|[_, height, width]| height * width).sum::<usize>() != cells {
            return Err(format!("the head {} has other levels than the detector says", head.name));
        }
        // 0 keeps an axis, -1 takes what is left.
        let shape = to.whole("constant/flat", vec![0, 0, -1]);
        let mut flat = Vec::with_capacity(maps.len());
        for map in maps {
            let output = to.fresh(&format!("{map}/cells"));
            to.push("Reshape", vec![map, shape.clone()], Vec::new(), &output);
            flat.push(output);
        }
        let name = to.fresh(&format!("{}/cells", head.name));
        to.push("Concat", flat, vec![int("axis", 2)], &name);
        all.push(name);
    }
    all.try_into().map_err(|_| format!("the detector does not have {N} heads"))
}

fn unary(to: &mut Lowering, kind: &str, of: &str, name: &str) -> String {
    let output = to.fresh(name);
    to.push(kind, vec![of.to_owned()], Vec::new(), &output);
    output
}

fn binary(to: &mut Lowering, kind: &str, a: &str, b: &str, name: &str) -> String {
    let output = to.fresh(name);
    to.push(kind, vec![a.to_owned(), b.to_owned()], Vec::new(), &output);
    output
}

fn halves(to: &mut Lowering, of: &str, [first, second]: [&str; 2]) -> [String; 2] {
    let outputs = [to.fresh(first), to.fresh(second)];
    to.push_many("Split", vec![of.to_owned()], vec![int("axis", 1)], first, outputs.to_vec());
    outputs
}

fn join(to: &mut Lowering, of: Vec<String>, name: &str) -> String {
    let output = to.fresh(name);
    to.push("Concat", of, vec![int("axis", 1)], &output);
    output
}

/// Center and size in pixels, `[batch, 4, cells]`, from offsets in cells and logarithms of sizes in cells.
fn by_size(to: &mut Lowering, heads: &Heads) -> String {
    let (places, sides) = heads.cells.constants(to, 0.0);
    let [offset, size] = halves(to, &heads.raw, ["box/offset", "box/log_size"]);
    let center = binary(to, "Add", &offset, &places, "box/place");
    let center = binary(to, "Mul", &center, &sides, "box/center");
    let size = unary(to, "Exp", &size, "box/size_in_cells");
    let size = binary(to, "Mul", &size, &sides, "box/size");
    join(to, vec![center, size], "box/pixels")
}

/// Center and size in pixels, `[batch, 4, cells]`, from distributions of the distances to the sides in cells.
fn by_distance(to: &mut Lowering, method: &TaskAligned, heads: &Heads) -> String {
    let (centers, sides) = heads.cells.constants(to, 0.5);
    let bins = method.bins;
    let shape = to.whole("constant/bins_shape", vec![0, 4, bins as i64, heads.cells.len() as i64]);
    let split = binary(to, "Reshape", &heads.raw, &shape, "box/bins");
    let shares = to.fresh("box/shares");
    to.push("Softmax", vec![split], vec![int("axis", 2)], &shares);
    let values = (0..bins).map(|bin| bin as f32).collect();
    let values = to.constant("constant/bins", vec![1, 1, bins, 1], values);
    let weighted = binary(to, "Mul", &shares, &values, "box/weighted");
    let axis = to.whole("constant/axis_2", vec![2]);
    let distance = to.fresh("box/distance");
    to.push("ReduceSum", vec![weighted, axis], vec![int("keepdims", 0)], &distance);
    let [before, after] = halves(to, &distance, ["box/before", "box/after"]);
    let from = binary(to, "Sub", &centers, &before, "box/from");
    let until = binary(to, "Add", &centers, &after, "box/until");
    let half = to.constant("constant/half", Vec::new(), vec![0.5]);
    let sum = binary(to, "Add", &from, &until, "box/sum");
    let center = binary(to, "Mul", &sum, &half, "box/center_in_cells");
    let center = binary(to, "Mul", &center, &sides, "box/center");
    let size = binary(to, "Sub", &until, &from, "box/size_in_cells");
    let size = binary(to, "Mul", &size, &sides, "box/size");
    join(to, vec![center, size], "box/pixels")
}

/// The output `[batch, cells, numbers]`: `boxes` and the probabilities of each cell.
fn rows(to: &mut Lowering, heads: &Heads, boxes: String, mut numbers: usize) {
    let mut parts = vec![boxes];
    numbers += usize::from(heads.objectness.is_some());
    parts.extend(heads.objectness.clone());
    parts.push(heads.classes.clone());
    let all = join(to, parts, "output/channels");
    to.push("Transpose", vec![all], vec![ints("perm", &[0, 2, 1])], "output");
    to.lowered.output.push(of_each_picture("output", &[heads.cells.len(), numbers]));
}

/// The outputs of what is left after suppression. A cell speaks for its best class only.
fn objects(to: &mut Lowering, heads: &Heads, boxes: &str, confidence: f32, overlap: f32) {
    let scores = match &heads.objectness {
        Some(objectness) => binary(to, "Mul", &heads.classes, objectness, "score/all"),
        None => heads.classes.clone(),
    };
    let best = to.fresh("score/best");
    to.push("ReduceMax", vec![scores.clone()], vec![ints("axes", &[1]), int("keepdims", 1)], &best);
    let is_best = binary(to, "Equal", &scores, &best, "score/is_best");
    let chosen = to.fresh("score/chosen");
    to.push("Cast", vec![is_best], vec![int("to", 1)], &chosen);
    let scores = binary(to, "Mul", &scores, &chosen, "score/of_best");
    let by_cell = to.fresh("box/by_cell");
    to.push("Transpose", vec![boxes.to_owned()], vec![ints("perm", &[0, 2, 1])], &by_cell);
    let most = to.whole("constant/most_of_a_class", vec![MOST_OF_A_CLASS as i64]);
    let overlap = to.constant("constant/overlap", vec![1], vec![overlap]);
    // ONNX keeps what is above the threshold, this program what reaches it.
    let confidence = to.constant("constant/confidence", vec![1], vec![confidence.next_down()]);
    let kept = to.fresh("kept"); // [objects, 3]: picture, class, cell
    let inputs = vec![by_cell.clone(), scores.clone(), most, overlap, confidence];
    to.push("NonMaxSuppression", inputs, vec![int("center_point_box", 1)], &kept);
    let column = |to: &mut Lowering, at: i64, output: &str| {
        let index = to.whole("constant/column", vec![at]);
        let narrow = to.fresh(&format!("{output}/column"));
        to.push("Gather", vec![kept.clone(), index], vec![int("axis", 1)], &narrow);
        let flat = to.whole("constant/vector", vec![-1]);
        to.push("Reshape", vec![narrow, flat], Vec::new(), output);
    };
    column(to, 0, "pictures");
    column(to, 1, "classes");
    to.push("GatherND", vec![scores, kept.clone()], Vec::new(), "scores");
    let ends = to.whole("constant/picture_and_cell", vec![0, 2]);
    let cell = to.fresh("kept/cell");
    to.push("Gather", vec![kept.clone(), ends], vec![int("axis", 1)], &cell);
    let center_size = binary(to, "GatherND", &by_cell, &cell, "kept/box");
    // Left is x - w / 2, right is x + w / 2.
    let turn = vec![1.0, 0.0, 1.0, 0.0, 0.0, 1.0, 0.0, 1.0, -0.5, 0.0, 0.5, 0.0, 0.0, -0.5, 0.0, 0.5];
    let corners = to.constant("constant/corners", vec![4, 4], turn);
    to.push("MatMul", vec![center_size, corners], Vec::new(), "boxes");
    to.lowered.output.push(of_each_object("boxes", &[4], false));
    to.lowered.output.push(of_each_object("scores", &[], false));
    to.lowered.output.push(of_each_object("classes", &[], true));
    to.lowered.output.push(of_each_object("pictures", &[], true));
}
