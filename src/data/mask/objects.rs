//! The objects of a picture, as a number for each pixel: those that a mask tells apart, else the connected parts of its
//! classes.

use super::{InstancePixels, load_instances, load_mask};
use crate::data::{DataError, IGNORE_ID, MaskPixels, MaskTarget};

/// The number of pixels that count for nothing: ignored ones, those of crowds, those outside of the picture.
pub const VOID: u16 = u16::MAX;

/// The objects of a mask, numbered from 1 in the order of their first pixels; 0 where none is and [`VOID`] where nothing
/// is known. A mask of classes has one for each connected part (over corners too) of each class but `background`.
///
/// # Errors
/// [`DataError`] naming the file and the cause.
pub fn load_objects(target: &MaskTarget, background: Option<u8>) -> Result<InstancePixels, DataError> {
    let classes = load_mask(target)?;
    let MaskPixels { width, height, ids } = &classes;
    let background = match target {
        MaskTarget::Shapes(shapes) => Some(shapes.background),
        _ => background,
    };
    let is_object = |id: u8| id != IGNORE_ID && Some(id) != background;
    let numbers: Vec<u32> = match load_instances(target)? {
        Some(instances) => instances.ids.into_iter().map(u32::from).collect(),
        None => components(ids, *width as usize, is_object),
    };
    let mut known = std::collections::HashMap::new();
    let number = |(&class, number): (&u8, u32)| match (number, is_object(class)) {
        _ if class == IGNORE_ID => VOID,
        (0, false) => 0,
        // A crowd: of a class, but no object.
        (0, true) => VOID,
        (number, _) => {
            let next = u16::try_from(known.len() + 1).unwrap_or(VOID);
            *known.entry(number).or_insert(next)
        }
    };
    let ids = ids.iter().zip(numbers).map(number).collect();
    Ok(InstancePixels { width: *width, height: *height, ids })
}

/// Numbers the connected parts (over corners too) of each class that `counts`, from 1 on; 0 elsewhere.
#[must_use]
pub fn components(ids: &[u8], width: usize, counts: impl Fn(u8) -> bool) -> Vec<u32> {
    let mut labels = vec![0_u32; ids.len()];
    let height = ids.len() / width.max(1);
    let (mut last, mut open) = (0, Vec::new());
    for start in 0..height * width {
        let class = ids[start];
        if labels[start] != 0 || !counts(class) {
            continue;
        }
        last += 1;
        labels[start] = last;
        open.push(start);
        while let Some(at) = open.pop() {
            let (y, x) = (at / width, at % width);
            for ny in y.saturating_sub(1)..(y + 2).min(height) {
                for nx in x.saturating_sub(1)..(x + 2).min(width) {
                    let next = ny * width + nx;
                    if labels[next] == 0 && ids[next] == class {
                        labels[next] = last;
                        open.push(next);
                    }
                }
            }
        }
    }
    labels
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Region, Shape, Shapes};
    use std::sync::Arc;

    #[test]
    fn parts_of_classes_are_objects() {
        // Two parts of class 1 (the second over a corner), one of class 2 that touches the first; 255 counts for nothing.
        let ids = [[1, 1, 0, 0, 1], [2, 0, 0, 1, 0], [2, 255, 0, 0, 0]].concat();
        let mask = MaskTarget::Pixels(Arc::new(MaskPixels { width: 5, height: 3, ids }));
        let objects = load_objects(&mask, Some(0)).unwrap();
        assert_eq!(objects.ids, [[1, 1, 0, 0, 2], [3, 0, 0, 2, 0], [3, VOID, 0, 0, 0]].concat());
        // Without a background everything is an object.
        assert_eq!(load_objects(&mask, None).unwrap().ids[..3], [1, 1, 2]);
    }

    #[test]
    fn outlines_are_objects_and_crowds_are_not() {
        // Down the columns of 4×2: pixels (0,0) and (0,1); (3,0) and (3,1); a crowd at (1,0) and (1,1).
        let shape = |runs: &[u32], class: u8, crowd: bool| Shape { class, region: Region::Runs(runs.to_vec()), crowd };
        let shapes = vec![shape(&[0, 2, 6], 1, false), shape(&[6, 2], 2, false), shape(&[2, 2, 4], 1, true)];
        let mut target = MaskTarget::Shapes(Arc::new(Shapes { size_px: [4, 2], background: 0, shapes }));
        assert_eq!(load_objects(&target, None).unwrap().ids, [1, VOID, 0, 2, 1, VOID, 0, 2]);
        // An object of a class that is ignored is none.
        target = target.renumbered(&[0, 1]);
        assert_eq!(load_objects(&target, None).unwrap().ids, [1, VOID, 0, VOID, 1, VOID, 0, VOID]);
    }
}
