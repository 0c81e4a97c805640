//! The usual ways to thaw a pretrained network, as plain functions of the graph and the number of epochs.

use super::plan::Plan;
use super::timeline::FreezePhase;
use crate::graph::{Facts, FreezePlan, Graph, Part, Preset};
use std::collections::BTreeMap;
use std::fmt;

/// Learning rate of the first stage beside that of the heads, where rates fall towards the input: fastai's `lr / 100`.
const LOWEST: f64 = 0.01;

/// Usual losses of masks, with their names for people: what is good where nothing is known; small objects on much ground; as good an
/// intersection over union as can be; objects that touch.
pub const MASK_LOSSES: [(&str, &str); 4] = [
    ("Cross-entropy and Dice", "ce+dice"),
    ("Small objects: focal and Dice", "focal+dice"),
    ("For the IoU: cross-entropy and Lovász", "ce+lovasz"),
    ("Touching objects: U-Net's borders and Dice", "border+dice"),
];

/// A freeze plan over all epochs, with its learning rates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SchedulePreset {
    /// The heads train, the backbone stays as it is.
    HeadOnly,
    /// The heads for a fifth of the epochs, then everything at half the learning rate, lower towards the input
    /// (`fine_tune` of fastai, Howard & Gugger 2020, arXiv:2002.04688).
    TwoPhases,
    /// The heads first, then one more stage at a time from the end, each with a lower learning rate
    /// (Howard & Ruder 2018, arXiv:1801.06146).
    Gradual,
    /// Everything from the start, with learning rates that fall from the heads to the input.
    Falling,
}

impl fmt::Display for SchedulePreset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::HeadOnly => "Head only",
            Self::TwoPhases => "Fine-tune in two phases",
            Self::Gradual => "Gradual",
            Self::Falling => "All at once, falling rates",
        })
    }
}

/// Stages of the backbone that have weights, in order of execution.
#[must_use]
pub fn backbone_stages(graph: &Graph, facts: &Facts) -> Vec<String> {
    let mut stages: Vec<String> = Vec::new();
    for id in graph.ids().filter(|&id| graph.node(id).part == Part::Backbone && facts.node(id).params > 0) {
        let stage = &graph.node(id).stage;
        if !stages.contains(stage) {
            stages.push(stage.clone());
        }
    }
    stages
}

/// Factors on the learning rate that rise by equal ratios from a hundredth in the first stage of the backbone to 1 in the
/// heads, which are not named.
#[must_use]
pub fn falling_rates(graph: &Graph, facts: &Facts) -> BTreeMap<String, f64> {
    let stages = backbone_stages(graph, facts);
    let steps = stages.len() as f64;
    let rate = |at: usize| LOWEST.powf((steps - at as f64) / steps);
    stages.into_iter().enumerate().map(|(at, stage)| (stage, rate(at))).collect()
}

impl SchedulePreset {
    /// All of them, in the order of their names on screen.
    pub const ALL: [Self; 4] = [Self::HeadOnly, Self::TwoPhases, Self::Gradual, Self::Falling];

    /// Puts it into a plan with as many epochs as the plan has.
    ///
    /// # Errors
    /// A sentence, when the epochs are too few.
    pub fn apply(self, plan: &mut Plan, graph: &Graph, facts: &Facts) -> Result<(), String> {
        let heads = FreezePlan::preset(graph, &Preset::HeadOnly).map_err(|error| error.to_string())?;
        if plan.epochs < 2 && matches!(self, Self::TwoPhases | Self::Gradual) {
            return Err(format!("{self} needs at least 2 epochs, not {}.", plan.epochs));
        }
        plan.timeline.clear();
        plan.stage_lr = if self == Self::HeadOnly { BTreeMap::new() } else { falling_rates(graph, facts) };
        plan.freeze = if self == Self::Falling { FreezePlan::default() } else { heads };
        match self {
            Self::HeadOnly | Self::Falling => {}
            Self::TwoPhases => {
                let all = FreezePhase::new(1 + (plan.epochs / 5).max(1), FreezePlan::default());
                plan.timeline.push(FreezePhase { lr_factor: 0.5, ..all });
            }
            Self::Gradual => {
                let stages = backbone_stages(graph, facts);
                let mut freeze = plan.freeze.clone();
                for (group, from_epoch) in gradual(stages.len(), plan.epochs) {
                    for stage in stages.iter().rev().skip(group.start).take(group.len()) {
                        freeze.set_stage(graph, stage, false);
                    }
                    plan.timeline.push(FreezePhase::new(from_epoch, freeze.clone()));
                }
                if let Some(last) = plan.timeline.last_mut() {
                    last.freeze = FreezePlan::default(); // nodes without weights too
                }
            }
        }
        Ok(())
    }
}

/// Which of `count` stages, counted from the end, thaw from which epoch on: one each `n` epochs, with at least `n` epochs
/// left after the last; more at a time where the epochs are fewer.
fn gradual(count: usize, epochs: u32) -> Vec<(std::ops::Range<usize>, u32)> {
    let borders = usize::try_from(epochs.max(2) - 1).unwrap_or(usize::MAX);
    let size = count.div_ceil(borders).max(1);
    let groups = count.div_ceil(size);
    let every = u32::try_from(groups + 1).map_or(1, |phases| (epochs / phases).max(1));
    let from = |group: usize| u32::try_from(group + 1).map_or(epochs, |nth| 1 + nth * every);
    (0..groups).map(|group| (group * size..((group + 1) * size).min(count), from(group))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::blocks::{BasicBlock, Classifier, GlobalAvgPool, PixelClassifier};
    use crate::graph::{Builder, HeadKind, Norm};

    fn applied(preset: SchedulePreset, graph: &Graph, epochs: u32) -> Plan {
        let mut plan = Plan { epochs, ..Plan::default() };
        preset.apply(&mut plan, graph, &graph.facts().unwrap()).unwrap();
        plan
    }

    /// The stages of the backbone that train in each phase, with the phase's first epoch.
    fn phases(plan: &Plan, graph: &Graph) -> Vec<(u32, Vec<String>)> {
        let trains = |freeze: &FreezePlan| {
            let stages = backbone_stages(graph, &graph.facts().unwrap());
            let free = |stage: &String| graph.nodes.iter().any(|n| n.stage == *stage && !freeze.is_frozen(&n.path));
            stages.into_iter().filter(free).collect()
        };
        plan.phases().map(|phase| (phase.from_epoch, trains(phase.freeze))).collect()
    }

    fn named(list: &[(u32, &[&str])]) -> Vec<(u32, Vec<String>)> {
        list.iter().map(|(epoch, stages)| (*epoch, stages.iter().map(|s| (*s).to_owned()).collect())).collect()
    }

    fn two_heads() -> Graph {
        let mut b = Builder::new("two", 32, 32);
        b.stage("low");
        let x = b.node("low", BasicBlock { inputs: 3, outputs: 8, stride: 1, norm: Norm::default() }, &[b.image()]);
        b.stage("high");
        let x = b.node("high.0", BasicBlock { inputs: 8, outputs: 8, stride: 2, norm: Norm::default() }, &[x]);
        let x = b.node("high.1", BasicBlock { inputs: 8, outputs: 8, stride: 1, norm: Norm::default() }, &[x]);
        b.part(Part::Head("kind".to_owned()));
        let pooled = b.node("pool", GlobalAvgPool {}, &[x]);
        let logits = b.node("kind", Classifier::new(8, 3), &[pooled]);
        b.head("kind", logits, HeadKind::Classify { classes: 3 });
        b.part(Part::Head("mask".to_owned()));
        let mask = b.node("mask", PixelClassifier { inputs: 8, classes: 2, upsample: 2 }, &[x]);
        b.head("mask", mask, HeadKind::PixelClassify { classes: 2 });
        b.finish().unwrap()
    }

    #[test]
    fn usual_mask_losses_are_known() {
        let read = |(_, text): &(&str, &str)| text.parse::<crate::train::segmentation::MaskLoss>().unwrap();
        assert!(read(&MASK_LOSSES[0]).is_default());
        assert!(MASK_LOSSES.iter().all(|known| read(known).to_string() == known.1));
    }

    #[test]
    fn a_resnet_thaws_from_its_end() {
        let graph = crate::models::find("resnet18").unwrap().graph(3, 64).unwrap();
        let all: &[&str] = &["stem", "layer1", "layer2", "layer3", "layer4"];
        let one = applied(SchedulePreset::HeadOnly, &graph, 10);
        assert_eq!(phases(&one, &graph), named(&[(1, &[])]));
        assert!(one.stage_lr.is_empty());
        // A fifth of 10 epochs is 2, so everything trains from the third on, at half the rate.
        let two = applied(SchedulePreset::TwoPhases, &graph, 10);
        assert_eq!(phases(&two, &graph), named(&[(1, &[]), (3, all)]));
        assert_eq!((two.timeline[0].lr_factor, two.timeline[0].freeze.frozen.len()), (0.5, 0));
        assert_eq!(applied(SchedulePreset::TwoPhases, &graph, 3).timeline[0].from_epoch, 2);
        // Six groups from lr/100 to lr: np.geomspace(0.01, 1, 6).
        let rates = [0.01, 0.025_118_864_3, 0.063_095_734_4, 0.158_489_319_2, 0.398_107_170_6];
        for (stage, want) in all.iter().zip(rates) {
            assert!((two.stage_lr[*stage] - want).abs() < 1e-10, "{stage}: {}", two.stage_lr[*stage]);
        }
        assert_eq!(two.stage_lr.len(), 5, "the head learns at the plan's rate");
        // Five stages and the head in 13 epochs: a border every 2 epochs, the last with 3 epochs left.
        let thaw: [(u32, &[&str]); 6] =
            [(1, &[]), (3, &all[4..]), (5, &all[3..]), (7, &all[2..]), (9, &all[1..]), (11, all)];
        let gradual = applied(SchedulePreset::Gradual, &graph, 13);
        assert_eq!(phases(&gradual, &graph), named(&thaw));
        assert!(gradual.timeline[4].freeze.frozen.is_empty());
        // In 3 epochs there are two borders: three stages at the first, two at the second.
        let short = applied(SchedulePreset::Gradual, &graph, 3);
        assert_eq!(phases(&short, &graph), named(&[(1, &[]), (2, &all[2..]), (3, all)]));
        let falling = applied(SchedulePreset::Falling, &graph, 10);
        assert_eq!((phases(&falling, &graph), &falling.stage_lr), (named(&[(1, all)]), &two.stage_lr));
        for preset in [SchedulePreset::TwoPhases, SchedulePreset::Gradual] {
            let mut plan = Plan { epochs: 1, ..Plan::default() };
            let refused = preset.apply(&mut plan, &graph, &graph.facts().unwrap()).unwrap_err();
            assert!(refused.ends_with("needs at least 2 epochs, not 1."), "{refused}");
        }
    }

    #[test]
    fn both_heads_train_from_the_start() {
        let graph = two_heads();
        let plan = applied(SchedulePreset::Gradual, &graph, 6);
        assert_eq!(phases(&plan, &graph), named(&[(1, &[]), (3, &["high"]), (5, &["low", "high"])]));
        assert!(["pool", "kind", "mask"].iter().all(|path| plan.phases().all(|p| !p.freeze.is_frozen(path))));
        // Three groups: 0.01, 0.1, and 1 for both heads.
        let wanted = BTreeMap::from([("low".to_owned(), 0.01), ("high".to_owned(), 0.1)]);
        assert!(plan.stage_lr.iter().zip(&wanted).all(|(a, b)| a.0 == b.0 && (a.1 - b.1).abs() < 1e-12));
        assert_eq!(plan.stage_lr.len(), 2);
    }
}
