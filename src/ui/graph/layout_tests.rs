use super::*;
use crate::graph::blocks::Activation;
use crate::graph::blocks::{BasicBlock, Classifier, ConvNormAct, GlobalAvgPool, PixelClassifier, Stem};
use crate::graph::{Builder, Conv, HeadKind, NodeId, Norm, Part};
use crate::session::{ModelTask, catalogue};
use crate::ui::graph::{cut, state};

fn request(folded: BTreeSet<String>, aspect_tenths: u32) -> Request {
    Request { folded, aspect_tenths }
}

fn conv(inputs: usize) -> ConvNormAct {
    ConvNormAct::new(Conv::new(inputs, 24, 1, 1), Activation::Relu)
}

/// A made-up network with a neck over three stages and two heads: what no family of the zoo has yet.
fn with_neck() -> Graph {
    let mut b = Builder::new("made up", 128, 128);
    let stem = b.node("stem", Stem { inputs: 3, outputs: 16, norm: Norm::default() }, &[b.image()]);
    let mut x = stem;
    let mut levels = Vec::new();
    for (i, width) in [16, 32, 64].into_iter().enumerate() {
        b.stage(&format!("stage{i}"));
        for j in 0..2 {
            let inputs = if i > 0 && j == 0 { width / 2 } else { width };
            let stride = if i > 0 && j == 0 { 2 } else { 1 };
            x = b.node(
                &format!("stage{i}.{j}"),
                BasicBlock { inputs, outputs: width, stride, norm: Norm::default() },
                &[x],
            );
        }
        levels.push((x, width));
    }
    b.part(Part::Neck);
    let mut outputs = Vec::new();
    for (i, (level, inputs)) in levels.into_iter().enumerate() {
        let lateral = b.node(&format!("inner{i}"), conv(inputs), &[level]);
        outputs.push(b.node(&format!("level{i}"), conv(24), &[lateral]));
    }
    b.part(Part::Head("mask".to_owned()));
    let mask = b.node("mask", PixelClassifier { inputs: 24, classes: 3, upsample: 4 }, &[outputs[0]]);
    b.head("mask", mask, HeadKind::PixelClassify { classes: 3 });
    b.part(Part::Head("cls".to_owned()));
    let pooled = b.node("pool", GlobalAvgPool {}, &[outputs[2]]);
    let cls = b.node("cls", Classifier::new(24, 5), &[pooled]);
    b.head("cls", cls, HeadKind::Classify { classes: 5 });
    b.finish().unwrap()
}

fn all_graphs() -> Vec<Graph> {
    let zoo = catalogue().into_iter().map(|variant| variant.published().unwrap());
    zoo.chain([with_neck()]).collect()
}

#[test]
fn nothing_overlaps_and_everything_is_shown() {
    for graph in all_graphs() {
        let facts = graph.facts().unwrap();
        for folded in [BTreeSet::new(), state::stages_of_several(&graph)] {
            for aspect in [8, 17, 30] {
                let placed = layout(&graph, &facts, &request(folded.clone(), aspect));
                let shown: usize = placed.boxes.iter().map(|b| b.nodes.len()).sum();
                assert_eq!(shown, graph.nodes.len(), "{}", graph.name);
                for (i, a) in placed.boxes.iter().enumerate() {
                    assert!(placed.bounds().contains_rect(a.rect), "{}: {a:?} is outside", graph.name);
                    for b in &placed.boxes[i + 1..] {
                        assert!(!a.rect.expand(3.0).intersects(b.rect), "{}: {a:?} and {b:?}", graph.name);
                    }
                }
            }
        }
    }
}

#[test]
fn a_neck_lines_up_with_the_stages_that_feed_it() {
    let graph = with_neck();
    let facts = graph.facts().unwrap();
    let folded = state::stages_of_several(&graph);
    let placed = layout(&graph, &facts, &request(folded, 17));
    let rect = |path: &str| placed.boxes[placed.box_of(graph.find(path).unwrap()).unwrap()].rect;
    for i in 0..3 {
        let (stage, lateral, level) =
            (rect(&format!("stage{i}.0")), rect(&format!("inner{i}")), rect(&format!("level{i}")));
        assert!((stage.center().y - lateral.center().y).abs() < 1.0, "level {i} is level");
        assert!((lateral.center().y - level.center().y).abs() < 1.0);
        assert!(stage.right() < lateral.left() && lateral.right() < level.left());
    }
    assert!((rect("inner0").center().x - rect("inner2").center().x).abs() < 1.0, "laterals stand above each other");
    assert!(rect("inner2").center().y < rect("inner0").center().y, "coarse is above fine");
    let titles: Vec<&str> = placed.lanes.iter().map(|lane| lane.title.as_str()).collect();
    assert_eq!(titles, ["Backbone", "Neck", "Heads"]);
}

#[test]
fn a_u_goes_down_on_the_left_and_up_on_the_right_with_level_skips() {
    let mut seen = 0;
    for variant in catalogue().into_iter().filter(|variant| variant.task == ModelTask::Segment) {
        let graph = variant.published().unwrap();
        let facts = graph.facts().unwrap();
        for folded in [BTreeSet::new(), state::stages_of_several(&graph)] {
            let placed = layout(&graph, &facts, &request(folded.clone(), 17));
            let rect = |id: NodeId| placed.boxes[placed.box_of(id).unwrap()].rect;
            for (from, to) in graph.edges() {
                let (a, b) = (rect(from), rect(to));
                let (from, to) = (graph.node(from), graph.node(to));
                let who = format!("{}: {} to {}", graph.name, from.path, to.path);
                let stacked = from.stage == to.stage;
                assert!(stacked || a.right() < b.left(), "{who}: to the right");
                let stride = |path: &str| facts.node(graph.find(path).unwrap()).output.stride_px;
                let (fine, coarse) = (stride(&from.path), stride(&to.path));
                match fine.cmp(&coarse) {
                    std::cmp::Ordering::Less => assert!(a.center().y < b.center().y, "{who}: down"),
                    std::cmp::Ordering::Greater => assert!(a.center().y > b.center().y, "{who}: up"),
                    // Blocks of an open stage stand above each other.
                    std::cmp::Ordering::Equal if from.part == to.part => {}
                    std::cmp::Ordering::Equal => {
                        seen += usize::from(to.part == Part::Neck);
                        assert!((a.center().y - b.center().y).abs() < 1.0, "{who}: level");
                    }
                }
            }
        }
    }
    // Four or three levels of the classic ones and four of those on a residual network, twice.
    assert!(seen >= 54, "{seen} skips");
}

/// Every cut of a chain can be reached by the pointer, and the line that is drawn for it lies between its two sides. The
/// neck and the heads of a detector are a lattice, and so is what a picture and a prompt meet in: there the order of
/// execution is no order on the screen.
#[test]
fn every_cut_of_a_chain_has_its_line() {
    for graph in catalogue().into_iter().map(|variant| variant.published().unwrap()) {
        let facts = graph.facts().unwrap();
        let placed = layout(&graph, &facts, &request(BTreeSet::new(), 17));
        let lattice = graph.detector.is_some() || graph.inputs.len() > 1;
        let chain = |id: &NodeId| !lattice || graph.node(*id).part == Part::Backbone;
        for upto in graph.ids().filter(chain) {
            let boxes: BTreeSet<usize> = graph.ids().take(upto.0 + 1).filter_map(|id| placed.box_of(id)).collect();
            let line = cut::line(&placed, &boxes, -4000.0, 4000.0);
            for (index, b) in placed.boxes.iter().enumerate() {
                let y = b.rect.center().y;
                let pairs = line.windows(2).filter(|pair| (pair[0].x - pair[1].x).abs() < 0.5);
                let x = pairs.filter(|pair| (pair[0].y..=pair[1].y).contains(&y)).map(|pair| pair[0].x).next().unwrap();
                let left = b.rect.center().x < x;
                assert_eq!(left, boxes.contains(&index), "{}: cut at {}, box {b:?}", graph.name, graph.node(upto).path);
            }
            let own = placed.boxes[placed.box_of(upto).unwrap()].rect;
            let pointer = pos2(own.right() - 2.0, own.top() + 2.0);
            assert_eq!(cut::cold_side(&placed, pointer), boxes, "{}: pointer on {}", graph.name, graph.node(upto).path);
        }
    }
}
