//! One-stage detectors at their limits: pictures without objects, one class, a thousand objects in a picture, odd boxes.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use burn::module::Param;
use burn::tensor::{Device, Gradients, Tensor, TensorData};
use common::uniform;
use frostline::graph::{FreezePlan, TensorSpec};
use frostline::models::{Mode, Network, SeeTensors, find};
use frostline::nn::{Ctx, Object};
use frostline::train::detection;
use std::sync::Arc;

const SIDE: usize = 64;

fn network(model: &str, classes: usize) -> Network {
    let graph = find(model).unwrap().graph(classes, SIDE).unwrap();
    let mut network = Network::new(Arc::new(graph), 3, &Device::flex()).unwrap();
    network.set_plan(&FreezePlan::default());
    network
}

fn object(class: usize, xyxy: [f32; 4]) -> Object {
    Object { class, xyxy, crowd: false }
}

struct Finite<'a> {
    grads: &'a Gradients,
    seen: usize,
}

impl SeeTensors for Finite<'_> {
    fn see<const D: usize>(&mut self, spec: &TensorSpec, param: &Param<Tensor<D>>) {
        let Some(grad) = param.val().grad(self.grads) else { return };
        let values = grad.into_data().try_to_vec::<f32>().unwrap();
        assert!(values.iter().all(|x| x.is_finite()), "the gradient of {}", spec.name);
        self.seen += 1;
    }
}

/// The loss terms of a training step; every gradient has to be finite.
fn step(network: &Network, objects: Vec<Vec<Object>>, closing: bool) -> Vec<f32> {
    let shape = [objects.len(), 3, SIDE, SIDE];
    let pixels = uniform("pixels", shape.iter().product(), 0.0, 1.0);
    let images = Tensor::from_data(TensorData::new(pixels, shape), &Device::flex());
    let mut ctx = Ctx::default();
    ctx.pictures.objects = Some(objects);
    ctx.pictures.closing = closing;
    let outputs = network.forward(images, Mode::Train, &mut ctx).unwrap();
    let terms = detection::losses(network.graph().detector.as_ref().unwrap(), &outputs, &ctx).unwrap();
    let values = terms.iter().map(|term| term.clone().inner().into_scalar::<f32>()).collect();
    let grads = terms.into_iter().reduce(|sum, term| sum + term).unwrap().backward();
    let mut finite = Finite { grads: &grads, seen: 0 };
    network.see_tensors(&mut finite);
    assert!(finite.seen > 100, "{} gradients", finite.seen);
    values
}

#[test]
fn batches_of_every_kind_give_finite_losses_and_gradients() {
    let one = || vec![object(0, [8.0, 8.0, 40.0, 48.0])];
    let many = (0..1000).map(|i| {
        let (x, y) = ((i % 32) as f32 * 1.7, (i / 32) as f32 * 1.6);
        object(i % 3, [x, y, x + 5.0 + (i % 5) as f32, y + 6.0 + (i % 4) as f32])
    });
    let many: Vec<Object> = many.collect();
    let odd = vec![
        object(1, [10.0, 10.0, 10.0, 10.0]),
        object(2, [-50.0, -60.0, 300.0, 280.0]),
        object(0, [500.0, 500.0, 520.0, 530.0]),
        object(1, [63.9, 0.0, 64.0, 64.0]),
        object(7, [20.0, 20.0, 50.0, 50.0]),
    ];
    let crowd = vec![Object { crowd: true, ..one()[0] }];
    for model in ["yolox_nano", "yolov8n"] {
        let three = network(model, 3);
        let empty = step(&three, vec![vec![], vec![]], false);
        // Without an object nothing is said of boxes; a crowd is no object.
        assert_eq!(empty[1], 0.0, "{model}: {empty:?}");
        assert_eq!(step(&three, vec![crowd.clone(), vec![]], false), empty, "{model}");
        for objects in [vec![one(), vec![]], vec![vec![], many.clone()], vec![odd.clone(), one()]] {
            let losses = step(&three, objects, false);
            assert!(losses.iter().all(|loss| loss.is_finite() && *loss > 0.0), "{model}: {losses:?}");
        }
        let losses = step(&network(model, 1), vec![one(), one()], false);
        assert!(losses.iter().all(|loss| loss.is_finite() && *loss > 0.0), "{model} of one class: {losses:?}");
    }
}

#[test]
fn the_last_epochs_add_the_distance_to_the_boxes_of_sim_ota() {
    let network = network("yolox_nano", 3);
    let objects = || vec![vec![object(0, [8.0, 8.0, 40.0, 48.0])], vec![object(1, [20.0, 10.0, 60.0, 60.0])]];
    let (usual, last) = (step(&network, objects(), false), step(&network, objects(), true));
    assert!(last[1] > usual[1] && last[0] == usual[0] && last[2] == usual[2], "{usual:?} {last:?}");
}
