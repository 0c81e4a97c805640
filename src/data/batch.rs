//! From plain buffers to tensors: the only file here that names burn.

use super::features::{Hit, RecordKey, Seen};
use super::loader::RawBatch;
use super::{BoxTarget, IGNORE_ID, Label, Placement};
use burn::tensor::{Device, Int, Tensor, TensorData};

/// A batch on the device. Targets are there when every picture has one.
#[derive(Clone, Debug)]
pub struct Batch {
    /// Indices into the data set's samples.
    pub indices: Vec<usize>,
    /// Where its tensors live.
    pub device: Device,
    /// Height and width of the input in pixels.
    pub size: [usize; 2],
    /// The pictures without features, `[pictures without, 3, height, width]`; none where all have them.
    pub images: Option<Tensor<4>>,
    /// Per picture: the features of it that are known; empty where none were looked for.
    pub hits: Vec<Option<Hit>>,
    /// Per picture: what its features can be stored under; empty where none were looked for.
    pub views: Vec<Option<(RecordKey, Seen)>>,
    /// What each label column says of each picture: `[picture][column]`, on the host.
    pub labels: Vec<Vec<Label>>,
    /// Class of each pixel, `[batch, height, width]`, [`IGNORE_ID`] where none counts.
    pub masks: Option<Tensor<3, Int>>,
    /// The same on the host.
    pub mask_ids: Vec<Option<Vec<u8>>>,
    /// Per picture: numbers of objects at input size, on the host, where they were asked for ([`super::load_objects`]).
    pub objects: Vec<Option<Vec<u16>>>,
    /// Per picture: its objects in input pixels; none where nothing is known of them.
    pub boxes: Vec<Option<Vec<BoxTarget>>>,
    /// Per picture: where it lies in the input.
    pub placements: Vec<Placement>,
    /// Per picture: its own width and height in pixels.
    pub images_px: Vec<[u32; 2]>,
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
        let size = [height, width];
        let without = count - raw.hits.iter().flatten().count();
        let images =
            (without > 0).then(|| Tensor::from_data(TensorData::new(raw.pixels, [without, 3, height, width]), device));
        let (labels, boxes) = raw.targets.into_iter().map(|target| (target.labels, target.boxes)).unzip();
        let masks = raw.masks.iter().all(Option::is_some).then(|| {
            let ids: Vec<i32> = raw.masks.iter().flatten().flatten().map(|&id| i32::from(id)).collect();
            Tensor::from_data(TensorData::new(ids, [count, height, width]), device)
        });
        Some(Self {
            indices: raw.indices,
            device: device.clone(),
            size,
            images,
            hits: raw.hits,
            views: raw.views,
            labels,
            masks,
            mask_ids: raw.masks,
            objects: raw.objects,
            boxes,
            placements: raw.placements,
            images_px: raw.images_px,
        })
    }

    /// What a column says of each picture.
    pub fn column(&self, column: usize) -> impl Iterator<Item = &Label> {
        self.labels.iter().map(move |labels| labels.get(column).unwrap_or(&Label::Unknown))
    }

    /// Classes of the pictures whose class in a column is known, `[known]`, and which pictures these are, `[known]`;
    /// none where no class is known.
    #[must_use]
    pub fn classes(&self, column: usize) -> Option<(Tensor<1, Int>, Tensor<1, Int>)> {
        let known = |(at, label): (usize, &Label)| Some((i32::try_from(label.class()?).ok()?, i32::try_from(at).ok()?));
        let (ids, rows): (Vec<i32>, Vec<i32>) = self.column(column).enumerate().filter_map(known).unzip();
        self.upload_rows(ids, rows)
    }

    /// For each picture whose labels in a column are known, 1 where it has a class and 0 where not, `[known, classes]`,
    /// and which pictures these are, `[known]`; none where no labels are known.
    #[must_use]
    pub fn label_sets(&self, column: usize, classes: usize) -> Option<(Tensor<2>, Tensor<1, Int>)> {
        let (mut values, mut rows) = (Vec::new(), Vec::new());
        for (at, label) in self.column(column).enumerate().filter(|(_, label)| label.is_known()) {
            let has = |class: usize| u32::try_from(class).is_ok_and(|class| label.has(class));
            values.extend((0..classes).map(|class| f32::from(has(class))));
            rows.push(i32::try_from(at).unwrap_or(i32::MAX));
        }
        let device = &self.device;
        (!rows.is_empty()).then(|| {
            let count = rows.len();
            let values = Tensor::from_data(TensorData::new(values, [count, classes]), device);
            (values, Tensor::from_data(TensorData::new(rows, [count]), device))
        })
    }

    fn upload_rows(&self, ids: Vec<i32>, rows: Vec<i32>) -> Option<(Tensor<1, Int>, Tensor<1, Int>)> {
        let upload = |values: Vec<i32>| {
            let count = values.len();
            Tensor::from_data(TensorData::new(values, [count]), &self.device)
        };
        (!rows.is_empty()).then(|| (upload(ids), upload(rows)))
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
