//! Large pictures in overlapping tiles: where tiles lie, that blending leaves no seam, that what comes out is what one pass over
//! the whole gives where the network sees no border.

#![allow(clippy::allow_attributes, clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail as tests do")]

use burn::tensor::{Device, Tensor, TensorData, activation};
use frostline::data::{Placement, Rgb8, transform};
use frostline::graph::blocks::{Activation, ConvNormAct, PixelClassifier};
use frostline::graph::{Builder, Conv, HeadKind, Part, Preprocess, Resize};
use frostline::models::{Mode, Network};
use frostline::nn::Ctx;
use frostline::nn::resize::{Corners, bilinear};
use frostline::rng::Rng;
use frostline::train::segmentation::{Logits, Mask, Parts, TileAxis, in_tiles};
use std::sync::Arc;

fn names() -> Arc<Vec<String>> {
    Arc::new(["a", "b", "c"].map(str::to_owned).to_vec())
}

#[test]
fn tiles_cover_everything_and_their_shares_are_made_up_for() {
    for (length, side) in [(1, 32), (31, 32), (32, 32), (33, 32), (64, 32), (1000, 32), (257, 64), (10_000, 256)] {
        let axis = TileAxis::new(length, side);
        assert_eq!(axis.starts[0], 0, "{length} {side}");
        if length > side {
            assert_eq!(axis.starts.last().unwrap() + side, length);
            // Neighbors share a quarter at least.
            let gaps: Vec<usize> = axis.starts.windows(2).map(|pair| pair[1] - pair[0]).collect();
            assert!(gaps.iter().all(|gap| (1..=side - side / 4).contains(gap)), "{length} {side} {gaps:?}");
        } else {
            assert_eq!(axis.starts.len(), 1);
        }
        // The outermost pixel has the first step of one ramp, half of 1 over a quarter of the side.
        let least = 2.0 / side as f32 - 1e-6;
        assert!(axis.sums.len() == length && axis.sums.iter().all(|sum| *sum >= least), "{length} {side}");
    }
    assert_eq!(TileAxis::new(100, 40).starts, [0, 30, 60]);
}

#[test]
fn pictures_like_those_of_the_training_are_looked_at_as_a_whole() {
    let part = |parts: Parts, size, usual| parts.part_px(size, usual, [256, 256]);
    assert_eq!(part(Parts::Auto, [400, 300], Some([320, 280])), None);
    assert_eq!(part(Parts::Auto, [10_000, 300], Some([320, 280])), Some(320));
    // Trained on large pictures, reduced to the input: parts of that size are reduced as much.
    assert_eq!(part(Parts::Auto, [2048, 1024], Some([2048, 1024])), None);
    assert_eq!(part(Parts::Auto, [9000, 9000], Some([2048, 1024])), Some(2048));
    assert_eq!(part(Parts::Auto, [1000, 1000], None), None);
    assert_eq!(part(Parts::Auto, [2000, 10], None), Some(256));
    assert_eq!((part(Parts::Whole, [9000, 9], None), part(Parts::Of(99), [10, 10], None)), (None, Some(99)));
}

/// A network that looks one pixel to each side.
fn narrow(seed: u64) -> Network {
    let mut b = Builder::new("narrow", 32, 32);
    let x = b.node("stem", ConvNormAct::new(Conv::new(3, 6, 3, 1), Activation::Relu), &[b.image()]);
    b.part(Part::Head("mask".to_owned()));
    let x = b.node("mask", PixelClassifier { inputs: 6, classes: 3, upsample: 1 }, &[x]);
    b.head("mask", x, HeadKind::PixelClassify { classes: 3 });
    Network::new(Arc::new(b.finish().unwrap()), seed, &Device::flex()).unwrap().inference()
}

fn picture(width: u32, height: u32) -> Rgb8 {
    let mut rng = Rng::new(u64::from(width * 7 + height));
    let pixels = (0..width * height).flat_map(|at| {
        let (x, y) = (at % width, at / width);
        [(x * 5 + y) as u8, (y * 9) as u8, (x / 7 * 31) as u8].map(|value| value.wrapping_add(rng.below(40) as u8))
    });
    Rgb8 { width, height, pixels: pixels.collect() }
}

fn rule(side: u32) -> Preprocess {
    Preprocess { resize: Resize::Stretch, ..Preprocess::imagenet(side) }
}

/// The probabilities of one pass over the whole picture, `[class][pixel]`.
fn whole(network: &Network, picture: &Rgb8) -> Vec<f32> {
    let (width, height) = (picture.width as usize, picture.height as usize);
    let mut pixels = vec![0.0; 3 * width * height];
    transform::normalize(picture, &rule(32), &mut pixels);
    let images = Tensor::from_data(TensorData::new(pixels, [1, 3, height, width]), &Device::flex());
    let outputs = network.forward(images, Mode::Infer, &mut Ctx::default()).unwrap();
    activation::softmax(outputs[0].map().unwrap(), 1).into_data().try_to_vec::<f32>().unwrap()
}

#[test]
fn tiles_say_what_one_pass_says_but_for_a_pixel_at_borders() {
    let network = narrow(3);
    for (width, height) in [(75, 50), (32, 90), (101, 32)] {
        let picture = picture(width, height);
        let mut told = Vec::new();
        let mask = in_tiles(&network, &picture, &rule(32), 32, &names(), &mut |done, total| {
            told.push((done, total));
            true
        });
        let (mask, shares) = (mask.unwrap().unwrap(), whole(&network, &picture));
        let plane = (width * height) as usize;
        let best = |at: usize| {
            (0..3).max_by(|&a, &b| shares[a * plane + at].total_cmp(&shares[b * plane + at])).unwrap() as u8
        };
        let ids = mask.ids();
        assert_eq!(ids.len(), plane);
        // A tile's outermost pixels see padding where the whole sees the neighbor, with a small share in the blend.
        let differs = (0..plane).filter(|&at| ids[at] != best(at)).count();
        assert!(differs * 50 < plane, "{width}x{height}: {differs} of {plane}");
        for class in 0..3_u8 {
            let heat = mask.heat(class).unwrap();
            let far = heat
                .iter()
                .enumerate()
                .map(|(at, &own)| (f32::from(own) / 255.0 - shares[usize::from(class) * plane + at]).abs());
            let (mut sum, mut most) = (0.0, 0.0_f32);
            far.for_each(|far| (sum, most) = (sum + far, most.max(far)));
            assert!(sum / (plane as f32) < 0.01 && most < 0.35, "{width}x{height}: {} {most}", sum / plane as f32);
        }
        assert!(told.first() == Some(&(0, told[0].1)) && told.last().is_some_and(|(done, total)| done == total));
    }
}

#[test]
fn an_even_picture_has_no_seams() {
    // Every tile says the same but at its padded border, which reaches into what two tiles share: blending leaves less than
    // a twentieth of it.
    let network = narrow(5);
    let even = Rgb8::filled(200, 70, 90);
    let mask = in_tiles(&network, &even, &rule(32), 32, &names(), &mut |_, _| true).unwrap().unwrap();
    let heat = mask.heat(0).unwrap();
    let inside: Vec<u8> = (8..62).flat_map(|y| (8..192).map(move |x| y * 200 + x)).map(|at| heat[at]).collect();
    let (low, high) = (*inside.iter().min().unwrap(), *inside.iter().max().unwrap());
    assert!(high - low <= 12, "{low} {high}");
    // A picture smaller than a tile, and one that is looked at smaller or larger than it is.
    for (size, part) in [([20, 9], 32), ([90, 60], 64), ([40, 40], 20), ([1, 1], 32)] {
        let picture = picture(size[0], size[1]);
        let mask = in_tiles(&network, &picture, &rule(32), part, &names(), &mut |_, _| true).unwrap().unwrap();
        assert_eq!((mask.ids().len() as u32, mask.size_px), (size[0] * size[1], size));
        assert!(mask.ids().iter().all(|id| *id < 3));
    }
    assert!(in_tiles(&network, &even, &rule(32), 32, &names(), &mut |_, _| false).unwrap().is_none());
}

#[test]
fn logits_are_resized_as_torch_does_it_before_classes_are_compared() {
    let mut rng = Rng::new(8);
    let numbers: Vec<f32> = (0..3 * 9 * 12).map(|_| rng.range_f64(-2.0, 2.0) as f32).collect();
    let all = Tensor::<4>::from_data(TensorData::new(numbers.clone(), [1, 3, 9, 12]), &Device::flex());
    let large = bilinear(all, [31, 50], Corners::Edges).into_data().try_to_vec::<f32>().unwrap();
    let image = Rgb8::filled(50, 31, 0);
    let stretched = Preprocess { size: [9, 12], ..rule(9) };
    let (_, placement) = transform::preprocess(&image, &stretched);
    let mask = Mask::of_logits(Logits { numbers: &numbers, size: [9, 12], placement }, [50, 31], names());
    let plane = 50 * 31;
    for (at, &id) in mask.ids().iter().enumerate() {
        let values = [large[at], large[plane + at], large[2 * plane + at]];
        let top = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        // Where two classes are equal but for rounding either is right.
        assert!(values[usize::from(id)] > top - 1e-5, "{at}: {id} of {values:?}");
    }
    // In a letterbox nothing is taken from the padding: logits there are larger than all others.
    let boxed = Preprocess { size: [20, 20], resize: Resize::LetterboxCentre { fill: 0 }, ..rule(20) };
    let (_, placement) = transform::preprocess(&Rgb8::filled(40, 20, 0), &boxed);
    let inside = |at: usize| (100..300).contains(&(at % 400));
    let numbers: Vec<f32> =
        (0..800).map(|at| if inside(at) { f32::from(u8::from(at >= 400)) } else { [9.0, 0.0][at / 400] }).collect();
    let mask = Mask::of_logits(Logits { numbers: &numbers, size: [20, 20], placement }, [40, 20], names());
    assert!(mask.ids().iter().all(|id| *id == 1), "{:?}", mask.counts());
    let moved = Placement::IDENTITY.mirrored(20);
    assert_eq!(
        Mask::of_logits(Logits { numbers: &numbers, size: [20, 20], placement: moved }, [20, 20], names()).ids().len(),
        400
    );
}
