//! From plain buffers to tensors: the only file here that names burn.

use super::IGNORE_ID;
use super::loader::RawBatch;
use burn::tensor::{Device, Int, Tensor, TensorData};

/// A batch on the device. Targets are there when every picture has one.
#[derive(Clone, Debug)]
pub struct Batch {
    /// Indices into the data set's samples.
    pub indices: Vec<usize>,
    /// `[batch, 3, height, width]`
    pub images: Tensor<4>,
    /// Class of each picture, `[batch]`
    pub classes: Option<Tensor<1, Int>>,
    /// The same on the host.
    pub class_ids: Vec<Option<u32>>,
    /// Class of each pixel, `[batch, height, width]`, [`IGNORE_ID`] where none counts.
    pub masks: Option<Tensor<3, Int>>,
    /// The same on the host.
    pub mask_ids: Vec<Option<Vec<u8>>>,
}

impl Batch {
    /// Uploads a batch; none when no picture of it could be read.
    #[must_use]
    pub fn upload(raw: RawBatch, device: &Device) -> Option<Self> {
        let count = raw.indices.len();
        if count == 0 {
            return None;
        }
        let [height, width] = raw.size_px.map(|n| n as usize);
        let images = Tensor::from_data(TensorData::new(raw.pixels, [count, 3, height, width]), device);
        let class_ids: Vec<Option<u32>> = raw.targets.iter().map(|target| target.class).collect();
        let classes: Option<Vec<i32>> = class_ids.iter().map(|id| id.and_then(|id| i32::try_from(id).ok())).collect();
        let classes = classes.map(|ids| Tensor::from_data(TensorData::new(ids, [count]), device));
        let masks = raw.masks.iter().all(Option::is_some).then(|| {
            let ids: Vec<i32> = raw.masks.iter().flatten().flatten().map(|&id| i32::from(id)).collect();
            Tensor::from_data(TensorData::new(ids, [count, height, width]), device)
        });
        Some(Self { indices: raw.indices, images, classes, class_ids, masks, mask_ids: raw.masks })
    }

    /// Number of pictures.
    #[must_use]
    pub fn len(&self) -> usize {
        self.indices.len()
    }

    /// Whether there is no picture; an uploaded batch has one.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.indices.is_empty()
    }
}

/// The id of pixels that no loss and no metric counts, as a tensor holds it.
pub const IGNORE: i32 = IGNORE_ID as i32;
