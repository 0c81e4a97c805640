//! A step that computes activations again gives what a step at once gives, in every task, under any freeze plan. (That both give
//! PyTorch's numbers, running statistics included, is tested in accumulate.rs.)

#![allow(clippy::allow_attributes, clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail as tests do")]

mod common;

use burn::tensor::Device;
use common::tiny;
use frostline::data::batch::Batch;
use frostline::data::{Dataset, PixelCache, Task};
use frostline::graph::{FreezePlan, Frontier, Segments};
use frostline::models::HostTensor;
use frostline::train::features::Given;
use frostline::train::losses::LossOptions;
use frostline::train::{Optimizer, OptimizerChoice, PendingStep, Plan, Rates, Setup};
use std::collections::BTreeMap;
use std::sync::Arc;

struct Step {
    losses: BTreeMap<String, f64>,
    before: Vec<HostTensor>,
    after: Vec<HostTensor>,
    boundaries: usize,
}

fn step(plan: &Plan, set: &Arc<Dataset>) -> Step {
    let mut setup = Setup::new(plan.clone(), Arc::clone(set), &Device::flex()).unwrap();
    let (graph, facts) = (setup.network.graph(), setup.network.facts());
    let boundaries = Segments::of(graph, facts, &Frontier::of(graph, facts, &plan.freeze)).boundaries.len();
    let options = LossOptions::of(&setup.plan, graph, set, &Device::flex()).unwrap();
    let raw = setup.loader(1, 0, &Arc::new(PixelCache::default())).next_batch().unwrap();
    let batch = Batch::upload(raw, &Device::flex()).unwrap();
    let before = setup.network.tensors().unwrap();
    let mut pending = PendingStep::default();
    pending.add(&mut setup.network, (&batch, &Given::new()), &options, &setup.plan, 0, false).unwrap();
    let rates = Rates { base: setup.plan.lr, stages: &setup.plan.stage_lr };
    let mut optimizer = Optimizer::new(setup.plan.optimizer);
    let losses = pending.finish(&mut setup.network, &mut optimizer, &setup.plan, rates).unwrap().losses;
    Step { losses, before, after: setup.network.tensors().unwrap(), boundaries }
}

#[test]
fn gradients_are_the_same_in_every_task_and_what_is_frozen_stays() {
    let classified = tiny::dataset(8);
    let mut segmented = Dataset::clone(&classified);
    segmented.task = Task::Segment;
    segmented.columns[0].classes = vec!["ground".to_owned(), "square".to_owned()];
    let (segmented, boxed) = (Arc::new(segmented), tiny::boxed(&classified));
    let cases = [
        ("resnet_mini", &classified, "none"),
        ("resnet_mini", &classified, "layer1,layer3"),
        // Dropout draws the same numbers again.
        ("mobilenet_v3_small", &classified, "none"),
        ("unet_mini", &segmented, "none"),
        // Skips cross several boundaries.
        ("unet_mini", &segmented, "down1"),
        ("yolox_nano", &boxed, "none"),
        // Regions cross a boundary.
        ("fasterrcnn_resnet18_fpn", &boxed, "until:layer2"),
    ];
    for (model, set, frozen) in cases {
        let own = Plan { model: model.to_owned(), size_px: 64, lr: 1e-2, ..tiny::plan(1) };
        let optimizer = OptimizerChoice::Sgd { momentum: 0.0, weight_decay: 0.0 };
        let graph = frostline::models::find(model).unwrap().graph(2, 64).unwrap();
        let freeze = FreezePlan::parse(&graph, frozen).unwrap();
        let plan = Plan { optimizer, freeze, ..own };
        let once = step(&plan, set);
        let again = step(&Plan { recompute: true, ..plan }, set);
        assert!(again.boundaries > 0, "{model}");
        for (name, loss) in &once.losses {
            let error = (again.losses[name] / loss - 1.0).abs();
            // (To the bit with burn's operations; kernels of our own take what keeps nothing in one pass.)
            assert!(error < 1e-6, "{model}: the loss {name} is off by {error}");
        }
        let mut moved = 0;
        for ((before, once), again) in once.before.iter().zip(&once.after).zip(&again.after) {
            let name = &once.spec.name;
            if once.spec.role.is_buffer() || once.values == before.values {
                assert!(once.values == again.values, "{model}: {name}");
                continue;
            }
            moved += 1;
            let (mut difference, mut change) = (0.0, 0.0);
            for ((before, once), again) in before.values.iter().zip(&once.values).zip(&again.values) {
                difference += f64::from(once - again).powi(2);
                change += f64::from(once - before).powi(2);
            }
            // The weights themselves are rounded to 1 part in 10 million.
            let norm = once.values.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>();
            let (difference, change) = (difference.sqrt(), change.sqrt());
            assert!(difference <= 1e-4 * change + 1e-7 * norm.sqrt(), "{model}: {name} {difference} of {change}");
        }
        assert!(moved > 4, "{model}: {moved} tensors moved");
    }
}
