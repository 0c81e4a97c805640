//! One view of one picture: where it lies in the input, and the features of it.

use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use super::digests::stamp_of;
use crate::data::{BoxTarget, MaskTarget, Placement, Target, View};

/// What a record is found by: the picture's bytes and how it is seen. Half of a SHA-256.
pub type RecordKey = crate::data::records::Key;

/// How a picture came into the input, so that its targets can be placed without its pixels.
#[derive(Clone, Debug, PartialEq)]
pub enum Seen {
    /// By a placement alone: boxes and masks as they are when the record is read are placed by it.
    Placed {
        /// Where the whole picture lies.
        placement: Placement,
        /// The part of the input that shows it: left, top, right, bottom in pixels.
        window: [u32; 4],
        /// A box of which less than this part (0-1) of the area is left is dropped.
        min_visible: f32,
    },
    /// Together with its targets, which decided how it was cut.
    Composed {
        /// Where the whole picture lies.
        placement: Placement,
        /// Its boxes in pixels of the input.
        boxes: Option<Vec<BoxTarget>>,
        /// Its class ids at the size of the input.
        mask: Option<Vec<u8>>,
        /// The numbers of its objects at the size of the input, where they were wanted.
        objects: Option<Vec<u16>>,
    },
}

/// One view of one picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// How the picture came into the input.
    pub seen: Seen,
    /// All tensors of the cut, one after the other.
    pub values: Arc<[f32]>,
}

/// The key of a view of the picture with this digest. A view that was drawn at random hangs on the seed, the number of the
/// view, the picture's place in the set and, where targets decided how it was cut, on these.
#[must_use]
pub fn record_key(picture: &[u8; 32], view: &View, index: usize, target: &Target) -> RecordKey {
    let mut hash = Sha256::new();
    hash.update(picture);
    if let Some(augment) = view.augment.as_ref().filter(|augment| !augment.is_none()) {
        hash.update(view.seed.to_le_bytes());
        hash.update(view.epoch.to_le_bytes());
        hash.update((index as u64).to_le_bytes());
        hash.update(format!("{augment:?}"));
        if augment.composes() {
            hash.update(format!("{:?} {:?}", target.boxes, target.mask));
            if let Some(MaskTarget::File(path) | MaskTarget::Values { path, .. }) = &target.mask {
                hash.update(stamp_of(path));
            }
        }
    }
    let digest: [u8; 32] = hash.finalize().into();
    let mut key = RecordKey::default();
    key.copy_from_slice(&digest[..16]);
    key
}

impl Seen {
    /// Where the whole picture lies in the input.
    #[must_use]
    pub fn placement(&self) -> Placement {
        match self {
            Self::Placed { placement, .. } | Self::Composed { placement, .. } => *placement,
        }
    }

    /// Bytes in memory, about.
    pub(super) fn size(&self) -> usize {
        match self {
            Self::Placed { .. } => 80,
            Self::Composed { boxes, mask, objects, .. } => {
                let ids = mask.as_ref().map_or(0, Vec::len) + 2 * objects.as_ref().map_or(0, Vec::len);
                80 + 40 * boxes.as_ref().map_or(0, Vec::len) + ids
            }
        }
    }

    /// As bytes, to the bit.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let place = |placement: &Placement, out: &mut Vec<u8>| {
            placement.parts().iter().for_each(|part| out.extend(part.to_le_bytes()));
        };
        match self {
            Self::Placed { placement, window, min_visible } => {
                out.push(0);
                place(placement, out);
                window.iter().for_each(|side| out.extend(side.to_le_bytes()));
                out.extend(min_visible.to_le_bytes());
            }
            Self::Composed { placement, boxes, mask, objects } => {
                out.push(1);
                place(placement, out);
                out.extend(boxes.as_ref().map_or(u32::MAX, |all| all.len() as u32).to_le_bytes());
                for one in boxes.iter().flatten() {
                    out.extend(one.class.to_le_bytes());
                    one.xyxy.iter().for_each(|side| out.extend(side.to_le_bytes()));
                    out.push(u8::from(one.crowd) | u8::from(one.difficult) << 1);
                    out.extend(one.area_px.unwrap_or(f32::NAN).to_le_bytes());
                }
                out.extend(mask.as_ref().map_or(u32::MAX, |ids| ids.len() as u32).to_le_bytes());
                out.extend(mask.iter().flatten());
                out.extend(objects.as_ref().map_or(u32::MAX, |ids| ids.len() as u32).to_le_bytes());
                out.extend(objects.iter().flatten().flat_map(|id| id.to_le_bytes()));
            }
        }
    }

    /// From bytes that [`Seen::write`] gave; none where they are something else.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let mut bytes = Bytes(bytes);
        let [kind] = bytes.take()?;
        let mut parts = [0.0; 4];
        for part in &mut parts {
            *part = f64::from_le_bytes(bytes.take()?);
        }
        let placement = Placement::from_parts(parts);
        if kind == 0 {
            let mut window = [0; 4];
            for side in &mut window {
                *side = u32::from_le_bytes(bytes.take()?);
            }
            return Some(Self::Placed { placement, window, min_visible: f32::from_le_bytes(bytes.take()?) });
        }
        let count = u32::from_le_bytes(bytes.take()?);
        let boxes = if count == u32::MAX { None } else { Some(bytes.boxes(count)?) };
        let length = u32::from_le_bytes(bytes.take()?);
        let mask = if length == u32::MAX { None } else { Some(bytes.cut(length as usize)?.to_vec()) };
        let length = u32::from_le_bytes(bytes.take()?);
        let ids = |bytes: &[u8]| bytes.as_chunks().0.iter().map(|&two| u16::from_le_bytes(two)).collect();
        let objects = if length == u32::MAX { None } else { Some(ids(bytes.cut(2 * length as usize)?)) };
        Some(Self::Composed { placement, boxes, mask, objects })
    }
}

/// Bytes that are read from their start.
struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (first, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*first)
    }

    fn cut(&mut self, length: usize) -> Option<&[u8]> {
        let (first, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(first)
    }

    fn boxes(&mut self, count: u32) -> Option<Vec<BoxTarget>> {
        let mut boxes = Vec::new();
        for _ in 0..count {
            let class = u32::from_le_bytes(self.take()?);
            let mut xyxy = [0.0; 4];
            for side in &mut xyxy {
                *side = f32::from_le_bytes(self.take()?);
            }
            let [flags] = self.take()?;
            let area = f32::from_le_bytes(self.take()?);
            let area_px = (!area.is_nan()).then_some(area);
            boxes.push(BoxTarget { class, xyxy, crowd: flags & 1 != 0, difficult: flags & 2 != 0, area_px });
        }
        Some(boxes)
    }
}
