//! Optimizers, schedule and losses against PyTorch's numbers (`ops_optim.json`, `ops_losses.json`).

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use burn::tensor::{Device, Int, Tensor, TensorData};
use common::{floats, integers, samples, uniform, usizes};
use frostline::graph::blocks::{Classifier, GlobalAvgPool};
use frostline::graph::{Builder, FreezePlan, HeadKind, Part};
use frostline::models::{Mode, Network};
use frostline::nn::{Ctx, cpu, dropout, loss};
use frostline::rng::Rng;
use frostline::train::{Optimizer, OptimizerChoice, Plan, learning_rate};
use serde_json::Value as Json;
use std::sync::Arc;

fn cases(file: &str) -> Vec<Json> {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(file);
    let json: Json = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    json["cases"].as_array().unwrap().clone()
}

fn case(file: &str, name: &str) -> Json {
    cases(file).into_iter().find(|case| case["name"] == name).unwrap()
}

/// A network whose head's bias gets the gradient `g` from the loss `sum(logits * g)` on a black picture.
fn biased() -> Network {
    let mut b = Builder::new("bias", 8, 8);
    b.part(Part::Head("cls".to_owned()));
    let x = b.node("pool", GlobalAvgPool {}, &[b.image()]);
    let x = b.node("fc", Classifier::new(3, 4), &[x]);
    b.head("cls", x, HeadKind::Classify { classes: 4 });
    let mut network = Network::new(Arc::new(b.finish().unwrap()), 0, &Device::flex()).unwrap();
    network.set_plan(&FreezePlan::default());
    network.assign(vec![("fc.bias".to_owned(), uniform("p", 4, -1.0, 1.0))]).unwrap();
    network
}

#[test]
fn optimizers_follow_torchs_trajectories() {
    let was_on = cpu::is_on();
    for (name, choice) in [
        ("sgd", OptimizerChoice::Sgd { momentum: 0.0, weight_decay: 0.0 }),
        ("sgd_momentum_wd", OptimizerChoice::Sgd { momentum: 0.9, weight_decay: 0.01 }),
        ("adamw", OptimizerChoice::AdamW { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 0.1 }),
    ] {
        let wanted = case("ops_optim.json", name)["after_each_step"].clone();
        // By burn's operations and in place.
        let [composed, moved] = [false, true].map(|kernels| {
            cpu::switch(kernels);
            trajectory(choice, wanted.as_array().unwrap().len())
        });
        cpu::switch(was_on);
        for (step, (bias, wanted)) in composed.iter().zip(wanted.as_array().unwrap()).enumerate() {
            for (have, want) in bias.iter().zip(floats(wanted)) {
                assert!((f64::from(*have) - want).abs() < 2e-6, "{name} step {step}: {bias:?} and not {wanted}");
            }
        }
        assert_eq!(moved, composed, "{name}: to the bit");
    }
}

/// The bias after each step.
fn trajectory(choice: OptimizerChoice, steps: usize) -> Vec<Vec<f32>> {
    let mut network = biased();
    let mut optimizer = Optimizer::new(choice);
    let after = |step| {
        let images = Tensor::zeros([1, 3, 8, 8], &Device::flex());
        let outputs = network.forward(images, Mode::Train, &mut Ctx::default()).unwrap();
        let values = uniform(&format!("g{step}"), 4, -1.0, 1.0);
        let g = Tensor::<2>::from_data(TensorData::new(values, [1, 4]), &Device::flex());
        let grads = (outputs[0].vector().unwrap() * g).sum().backward();
        optimizer.step(&mut network, grads, None, &|_| 0.1);
        network.tensors().unwrap().into_iter().find(|t| t.spec.name == "fc.bias").unwrap().values
    };
    (0..steps).map(after).collect()
}

#[test]
fn the_optimizers_memory_survives_a_trip_to_the_host() {
    let mut network = biased();
    let mut optimizer = Optimizer::new(OptimizerChoice::ADAMW);
    let images = Tensor::zeros([1, 3, 8, 8], &Device::flex());
    let outputs = network.forward(images, Mode::Train, &mut Ctx::default()).unwrap();
    optimizer.step(&mut network, outputs[0].vector().unwrap().sum().backward(), None, &|_| 0.1);
    let state = optimizer.state().unwrap();
    assert_eq!(state["fc.bias"].step, 1);
    assert!(state["fc.bias"].first.iter().all(|m| (m - 0.1).abs() < 1e-6), "{state:?}"); // (1 - beta1) * gradient 1
    let mut other = Optimizer::new(OptimizerChoice::ADAMW);
    other.restore(state.clone(), &Device::flex());
    assert_eq!(other.state().unwrap(), state);
}

#[test]
fn the_cosine_is_torchs() {
    let plan = Plan { lr: 1.0, warmup_epochs: 0.0, ..Plan::default() };
    let wanted = floats(&case("ops_optim.json", "schedule_cosine_T8_min0.01")["lr_used_at_step"]);
    for (step, want) in wanted.iter().take(8).enumerate() {
        let ours = 0.01 + 0.99 * learning_rate(&plan, step as u64, 4, 8);
        assert!((ours - want).abs() < 1e-9, "step {step}: {ours} and not {want}");
    }
}

#[test]
fn cross_entropies_and_their_gradients_are_torchs() {
    let mut checked = 0;
    for case in cases("ops_losses.json").iter().filter(|case| case["name"] == "cross_entropy") {
        let (args, of) = (&case["args"], &case["in"]);
        let shape: [usize; 4] = usizes(&of["logits"]["shape"]).try_into().unwrap();
        let [n, classes, h, w] = shape;
        let values = uniform("logits", n * classes * h * w, -3.0, 3.0);
        let logits = Tensor::<4>::from_data(TensorData::new(values, shape), &Device::flex()).autodiff().require_grad();
        let mut ids = integers("labels", n * h * w, 3);
        let ignored = args.get("ignore_index").is_some();
        if ignored {
            // Row 0 of each picture.
            (0..n).for_each(|i| ids[i * h * w..i * h * w + w].fill(255));
        }
        let weights = args.get("weight").map(|given| floats(given).iter().map(|&x| x as f32).collect::<Vec<_>>());
        let smoothing = args["label_smoothing"].as_f64().unwrap_or(0.0);
        if ignored && (weights.is_some() || smoothing > 0.0) {
            continue; // No head offers the two together yet.
        }
        let loss = if ignored {
            let targets = Tensor::<3, Int>::from_data(TensorData::new(ids, [n, h, w]), &Device::flex());
            loss::pixel_cross_entropy(logits.clone(), targets, 255)
        } else {
            let rows = logits.clone().permute([0, 2, 3, 1]).reshape([n * h * w, classes]);
            let targets = Tensor::<1, Int>::from_data(TensorData::new(ids, [n * h * w]), &Device::flex());
            let weights = weights.map(|w| Tensor::from_data(TensorData::new(w, [classes]), &Device::flex()));
            loss::cross_entropy(rows, targets, weights, smoothing)
        };
        let value = f64::from(loss.clone().inner().into_scalar::<f32>());
        let want = floats(&case["out"]["val"])[0];
        assert!((value - want).abs() < 1e-5, "{args}: {value} and not {want}");
        let upstream = f64::from(uniform("w", 1, -1.0, 1.0)[0]);
        let grads = loss.backward();
        let ours = logits.grad(&grads).unwrap().into_data().try_to_vec::<f32>().unwrap();
        let (indices, wanted) = samples(&case["grad"]["logits"]);
        for (i, want) in indices.into_iter().zip(wanted) {
            let have = f64::from(ours[i]) * upstream;
            assert!((have - want).abs() < 1e-6, "{args} gradient {i}: {have} and not {want}");
        }
        checked += 1;
    }
    assert_eq!(checked, 4);
}

/// torch 2.15: `binary_cross_entropy_with_logits`, and its gradients, with logits at the kink and far outside.
#[test]
fn binary_cross_entropy_and_its_gradients_are_torchs() {
    let upload = |values: [f32; 6]| Tensor::<2>::from_data(TensorData::new(values.to_vec(), [2, 3]), &Device::flex());
    let targets = upload([1.0, 0.0, 1.0, 0.0, 1.0, 0.0]);
    let weight = Tensor::<1>::from_floats([2.0, 0.5, 3.0], &Device::flex());
    for (weight, value, gradients) in [
        (None, 11.140_457, [-0.083_333_336, 0.146_799_5, -0.158_762_35, 0.166_666_67, -0.166_666_67, 0.103_743_225]),
        (
            Some(weight),
            9.772_178,
            [-0.166_666_67, 0.146_799_5, -0.476_287_04, 0.166_666_67, -0.083_333_336, 0.103_743_225],
        ),
    ] {
        let logits = upload([0.0, 2.0, -3.0, 30.0, -30.0, 0.5]).autodiff().require_grad();
        let loss = loss::binary_cross_entropy(logits.clone(), targets.clone(), weight);
        assert!((loss.clone().inner().into_scalar::<f32>() - value).abs() < 1e-5);
        let ours = logits.grad(&loss.backward()).unwrap().into_data().try_to_vec::<f32>().unwrap();
        for (have, want) in ours.iter().zip(gradients) {
            assert!((have - want).abs() < 1e-7, "{ours:?}");
        }
    }
}

#[test]
fn dropout_drops_its_share_and_keeps_the_mean() {
    let ones = Tensor::<2>::ones([100, 1000], &Device::flex().autodiff()).require_grad();
    let mut ctx = Ctx { dropout: Some(Rng::new(5)), ..Ctx::default() };
    let dropped = dropout(ones.clone(), 0.2, &mut ctx);
    let values = dropped.clone().inner().into_data().try_to_vec::<f32>().unwrap();
    assert!(values.iter().all(|&v| v == 0.0 || v == 1.25)); // torch's 1 / (1 - p)
    let zeros = values.iter().filter(|&&v| v == 0.0).count() as f64 / 1e5;
    assert!((zeros - 0.2).abs() < 0.005, "{zeros}"); // four standard deviations of 100 000 draws
    let grads = dropped.sum().backward();
    assert_eq!(ones.grad(&grads).unwrap().into_data().try_to_vec::<f32>().unwrap(), values);
    assert_eq!(
        dropout(ones, 0.2, &mut Ctx::default()).inner().into_data().try_to_vec::<f32>().unwrap(),
        [1.0; 100_000]
    );
}

#[test]
fn dropout_follows_the_step_and_rests_where_nothing_trains() {
    let mut b = Builder::new("drops", 8, 8);
    b.part(Part::Head("cls".to_owned()));
    let x = b.node("pool", GlobalAvgPool {}, &[b.image()]);
    let x = b.node("fc", Classifier { dropout: 0.5, ..Classifier::new(3, 4) }, &[x]);
    b.head("cls", x, HeadKind::Classify { classes: 4 });
    let mut network = Network::new(Arc::new(b.finish().unwrap()), 0, &Device::flex()).unwrap();
    network.set_plan(&FreezePlan::default());
    let run = |network: &Network, mode, mut ctx: Ctx| {
        let outputs = network.forward(Tensor::ones([16, 3, 8, 8], &Device::flex()), mode, &mut ctx).unwrap();
        outputs[0].vector().unwrap().inner().into_data().try_to_vec::<f32>().unwrap()
    };
    let whole = run(&network, Mode::Infer, Ctx::of_step(1, 0));
    let first = run(&network, Mode::Train, Ctx::of_step(1, 0));
    assert_ne!(first, whole);
    assert_eq!(first, run(&network, Mode::Train, Ctx::of_step(1, 0)));
    assert_ne!(first, run(&network, Mode::Train, Ctx::of_step(1, 1)));
    assert_ne!(first, run(&network, Mode::Train, Ctx::of_step(2, 0)));
    network.set_plan(&FreezePlan { frozen: ["fc".to_owned()].into(), ..FreezePlan::default() });
    assert_eq!(whole, run(&network, Mode::Train, Ctx::of_step(1, 0)));
}
