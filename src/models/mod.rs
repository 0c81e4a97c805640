//! Families, each a description, and the [`Network`] that executes one.

mod catalogue;
mod faster_rcnn;
mod mobile_sam;
mod mobilenet;
mod network;
mod resnet;
mod sam;
mod smp_unet;
mod unet;
mod vgg;
mod yolov8;
mod yolox;

pub use catalogue::{Accuracy, ClassTensor, ModelTask, PublicWeights, Variant};
pub use network::{ChangeTensors, HostTensor, Mode, Network, SeeTensors};

/// All models, family by family. A new family is a file here and a line in this list.
#[must_use]
pub fn catalogue() -> Vec<Variant> {
    let detectors = [faster_rcnn::variants(), yolox::variants(), yolov8::variants()].concat();
    let segmenters = [unet::variants(), smp_unet::variants()].concat();
    let prompted = [sam::variants(), mobile_sam::variants()].concat();
    [resnet::variants(), mobilenet::variants(), vgg::variants(), detectors, segmenters, prompted].concat()
}

/// The public weights whose file usually has this name.
#[must_use]
pub fn published_as(file: &str) -> Option<PublicWeights> {
    catalogue().iter().find_map(|variant| variant.public(file).cloned())
}

/// The model with this name.
///
/// # Errors
/// A sentence that names the known models.
pub fn find(name: &str) -> Result<Variant, String> {
    let all = catalogue();
    let known: Vec<&str> = all.iter().map(|variant| variant.name).collect();
    let message = format!("There is no model named {name}; known are {}.", known.join(", "));
    all.into_iter().find(|variant| variant.name == name).ok_or(message)
}
