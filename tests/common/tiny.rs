//! A tiny set and a tiny two-head network, and an observer that notes everything.

use burn::tensor::Device;
use frostline::data::{
    Augment, BoxTarget, Dataset, ImageSource, Label, LabelColumn, MaskPixels, MaskTarget, Sample, Split, Target, Task,
};
use frostline::graph::blocks::{
    Activation, BasicBlock, Classifier, ConvNormAct, EncoderNeck, GlobalAvgPool, MapUpscaling, MaskProducts,
    MaskQuality, PatchEmbed, PixelClassifier, PromptEncoder, Question, TwoWayEnd, TwoWayLayer, VitBlock,
};
use frostline::graph::{Builder, Conv, FreezePlan, Graph, HeadKind, Norm, Part, Preprocess, PromptTells, Shape};
use frostline::models::Network;
use frostline::train::{
    Best, Control, DeviceChoice, EpochNews, Evaluation, FreezePhase, LiveSample, Observer, OptimizerChoice, Plan,
    RunFile, RunInfo, Setup, StepNews,
};
use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;

/// 16×16 pictures of two kinds: a bright square left (class 0) or right (class 1), with the square as mask.
pub fn dataset(count: usize) -> Arc<Dataset> {
    let mut samples = Vec::new();
    for i in 0..count {
        let class = i % 2;
        let left = if class == 0 { 1 } else { 9 };
        let (x, y) = (left + (i / 2) % 2, 2 + (i / 4) % 6);
        let mut picture = image::RgbImage::from_pixel(16, 16, image::Rgb([40, 60 + (i % 5) as u8 * 10, 50]));
        let mut ids = vec![0u8; 256];
        for dy in 0..5 {
            for dx in 0..5 {
                picture.put_pixel((x + dx) as u32, (y + dy) as u32, image::Rgb([220, 180, 60]));
                ids[(y + dy) * 16 + x + dx] = 1;
            }
        }
        let mut bytes = Vec::new();
        picture.write_to(&mut std::io::Cursor::new(&mut bytes), image::ImageFormat::Png).unwrap();
        let mask = MaskTarget::Pixels(Arc::new(MaskPixels { width: 16, height: 16, ids }));
        samples.push(Sample {
            image: ImageSource::Memory { name: format!("{i}.png"), bytes: bytes.into() },
            split: if i % 4 == 3 || i % 8 == 0 { Split::Val } else { Split::Train },
            size_px: [16, 16],
            target: Target { mask: Some(mask), ..Target::of_class(Some(class as u32)) },
        });
    }
    Arc::new(Dataset {
        root: PathBuf::new(),
        name: "squares".to_owned(),
        task: Task::Classify,
        format: "test".to_owned(),
        columns: vec![LabelColumn::single(vec!["left".to_owned(), "right".to_owned()])],
        category_ids: Vec::new(),
        found: count,
        samples,
        issues: Vec::new(),
        suggested_split: false,
        unnamed: Vec::new(),
    })
}

/// The same pictures with a box around each square.
pub fn boxed(set: &Dataset) -> Arc<Dataset> {
    let mut set = set.clone();
    set.task = Task::Detect;
    for sample in &mut set.samples {
        let class = sample.target.labels.first().and_then(Label::class).unwrap();
        let left = if class == 0 { 1.0 } else { 9.0 };
        sample.target =
            Target { boxes: Some(vec![BoxTarget::new(class, [left, 2.0, left + 6.0, 12.0])]), ..Target::default() };
    }
    set.columns = vec![LabelColumn::single(vec!["left".to_owned(), "right".to_owned()])];
    Arc::new(set)
}

/// A shared backbone, a classification head and a per-pixel head.
pub fn two_heads() -> Graph {
    let mut b = Builder::new("two_heads", 16, 16);
    b.stage("stem");
    let conv = Conv::new(3, 8, 3, 1);
    let x = b.node("stem", ConvNormAct::new(conv, Activation::Relu), &[b.image()]);
    b.stage("body");
    let x = b.node("body.0", BasicBlock { inputs: 8, outputs: 16, stride: 2, norm: Norm::default() }, &[x]);
    let x = b.node("body.1", BasicBlock { inputs: 16, outputs: 16, stride: 1, norm: Norm::default() }, &[x]);
    b.part(Part::Head("shape".to_owned()));
    let pooled = b.node("pool", GlobalAvgPool {}, &[x]);
    let logits = b.node("shape", Classifier { dropout: 0.2, ..Classifier::new(16, 2) }, &[pooled]);
    b.head("shape", logits, HeadKind::Classify { classes: 2 });
    b.part(Part::Head("mask".to_owned()));
    let pixels = b.node("mask", PixelClassifier { inputs: 16, classes: 2, upsample: 2 }, &[x]);
    b.head("mask", pixels, HeadKind::PixelClassify { classes: 2 });
    b.finish().unwrap()
}

/// A promptable network as SAM is one: two blocks of 32 channels, one with windows, cells of 8 pixels, tokens of 32 numbers.
pub fn asking(size_px: usize) -> Graph {
    let (width, stride, heads) = (32, 8, 4);
    let mut b = Builder::new("asking", size_px, size_px);
    let prompt = b.input("prompt", Shape::Prompt);
    b.stage("image_encoder");
    let table = size_px / stride;
    let patches = PatchEmbed { patch_px: stride, width, table };
    let mut x = b.named("image_encoder.patch_embed", "image_encoder", patches, &[b.image()]);
    for (i, window) in [Some(3), None].into_iter().enumerate() {
        let table = window.unwrap_or(table);
        let block = VitBlock { width, heads, hidden: 2 * width, window, table, epsilon: 1e-6 };
        x = b.node(&format!("image_encoder.blocks.{i}"), block, &[x]);
    }
    let neck = EncoderNeck { inputs: width, outputs: width, unused_classes: None };
    let features = b.named("image_encoder.neck", "image_encoder", neck, &[x]);
    b.part(Part::Neck);
    let asked = b.node("prompt_encoder", PromptEncoder { width, mask_channels: 8, stride }, &[features, prompt]);
    b.part(Part::Head("mask".to_owned()));
    let mut x = b.named("mask_decoder.tokens", "mask_decoder", Question { candidates: 4 }, &[features, asked]);
    for i in 0..2 {
        let layer = TwoWayLayer { width, heads, hidden: 64, first: i == 0 };
        x = b.node(&format!("mask_decoder.transformer.layers.{i}"), layer, &[x]);
    }
    let end = TwoWayEnd { width, heads };
    let told = b.named("mask_decoder.transformer.final", "mask_decoder.transformer", end, &[x]);
    let large = b.node("mask_decoder.output_upscaling", MapUpscaling { width }, &[told]);
    let products = MaskProducts { width, depth: width / 8, candidates: 4 };
    let masks = b.node("mask_decoder.output_hypernetworks_mlps", products, &[told, large]);
    b.part(Part::Head("iou".to_owned()));
    let quality = MaskQuality { width, hidden: 32, candidates: 4 };
    let iou = b.node("mask_decoder.iou_prediction_head", quality, &[told]);
    b.head("mask", masks, HeadKind::Prompted { candidates: 4, tells: PromptTells::Mask });
    b.head("iou", iou, HeadKind::Prompted { candidates: 4, tells: PromptTells::Iou });
    b.finish().unwrap()
}

pub fn rule() -> Preprocess {
    let mut rule = Preprocess::imagenet(16);
    rule.resize = frostline::graph::Resize::Stretch;
    rule
}

pub fn plan(epochs: u32) -> Plan {
    Plan {
        model: "two_heads".to_owned(),
        size_px: 32,
        epochs,
        batch: 4,
        lr: 0.05,
        optimizer: OptimizerChoice::SGD,
        augment: Augment::none(),
        device: DeviceChoice::Cpu,
        ..Plan::default()
    }
}

pub fn setup(plan: Plan, dataset: &Arc<Dataset>) -> Setup {
    setup_on(plan, dataset, &Device::flex())
}

pub fn setup_on(plan: Plan, dataset: &Arc<Dataset>, device: &Device) -> Setup {
    Setup::with_graph(plan, Arc::clone(dataset), two_heads(), rule(), device).unwrap()
}

/// Notes everything, and gives out controls after given numbers of steps.
#[derive(Default)]
pub struct Notes {
    pub steps: Vec<StepNews>,
    pub epochs: Vec<EpochNews>,
    pub samples: usize,
    pub shown: Vec<LiveSample>,
    pub evaluated: Vec<Arc<Evaluation>>,
    pub best: Option<Best>,
    pub frozen: Vec<(u64, String)>,
    pub paused: Vec<bool>,
    pub script: VecDeque<(u64, Control)>,
    /// Controls after given numbers of questions instead: also between the batches of a step.
    pub asked: VecDeque<(u64, Control)>,
    pub polls: u64,
    pub trainable: Vec<u64>,
    pub logs: Vec<String>,
    /// After this step the files of one folder are copied to another: what a kill would leave.
    pub killed: Option<(u64, [PathBuf; 2])>,
}

impl Observer for Notes {
    fn started(&mut self, info: RunInfo) {
        self.trainable.push(info.trainable);
    }
    fn step(&mut self, news: StepNews) {
        if let Some((_, [from, to])) = self.killed.take_if(|(step, _)| *step == news.step) {
            std::fs::create_dir_all(&to).unwrap();
            for file in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
                std::fs::copy(file.path(), to.join(file.file_name())).unwrap();
            }
        }
        self.steps.push(news);
    }
    fn epoch(&mut self, news: EpochNews) {
        self.epochs.push(news);
    }
    fn evaluated(&mut self, evaluation: Arc<Evaluation>) {
        self.evaluated.push(evaluation);
    }
    fn samples(&mut self, _: u32, samples: Vec<LiveSample>) {
        self.samples += samples.len();
        self.shown = samples;
    }
    fn best(&mut self, best: Best) {
        self.best = Some(best);
    }
    fn frozen(&mut self, step: u64, _: f64, _: &FreezePlan, trainable: u64, note: String) {
        self.frozen.push((step, note));
        self.trainable.push(trainable);
    }
    fn timeline(&mut self, step: u64, _: f64, _: &[FreezePhase], note: String) {
        self.frozen.push((step, note));
    }
    fn lr(&mut self, _: u64, _: f64, _: f64) {}
    fn paused(&mut self, paused: bool) {
        self.paused.push(paused);
    }
    fn progress(&mut self, _: &str, _: usize, _: usize) {}
    fn warning(&mut self, issue: frostline::data::Issue) {
        panic!("{issue:?}");
    }
    fn log(&mut self, text: String) {
        self.logs.push(text);
    }
    fn poll(&mut self, _: &Network, _: &RunFile, wait: bool) -> Option<Control> {
        self.polls += 1;
        if self.asked.front().is_some_and(|(poll, _)| *poll <= self.polls) {
            return self.asked.pop_front().map(|(_, control)| control);
        }
        let due = self.script.front().is_some_and(|(step, _)| wait || *step <= self.steps.len() as u64);
        if due { self.script.pop_front().map(|(_, control)| control) } else { None }
    }
}
