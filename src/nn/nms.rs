//! Non-maximum suppression on the host: of boxes that overlap, the surest stays.

/// Area of the intersection over area of the union of two boxes (left, top, right, bottom); 0 where both are empty.
#[must_use]
pub fn iou(a: &[f32; 4], b: &[f32; 4]) -> f32 {
    let width = a[2].min(b[2]) - a[0].max(b[0]);
    let height = a[3].min(b[3]) - a[1].max(b[1]);
    if width <= 0.0 || height <= 0.0 {
        return 0.0;
    }
    let inter = width * height;
    inter / (area(a) + area(b) - inter)
}

/// Width times height.
#[must_use]
pub fn area(b: &[f32; 4]) -> f32 {
    (b[2] - b[0]) * (b[3] - b[1])
}

/// Indices of the boxes that stay, by falling score; equal scores in the order given. A box goes when one that stays
/// overlaps it by more than `max_iou` (more, not as much). Boxes of different `groups` (classes, levels) do not meet;
/// without groups all do. Boxes beyond the shorter of the lists are left out. As torchvision's `nms` and `batched_nms`.
#[must_use]
pub fn nms(boxes: &[[f32; 4]], scores: &[f32], groups: Option<&[u32]>, max_iou: f32) -> Vec<usize> {
    let count = boxes.len().min(scores.len()).min(groups.map_or(usize::MAX, <[u32]>::len));
    let mut order: Vec<usize> = (0..count).collect();
    order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
    sorted_nms(boxes, &order, groups, max_iou, usize::MAX)
}

/// The same for boxes whose order is known, until `most` stay.
#[must_use]
pub fn sorted_nms(
    boxes: &[[f32; 4]],
    order: &[usize],
    groups: Option<&[u32]>,
    max_iou: f32,
    most: usize,
) -> Vec<usize> {
    let mut keep = Vec::new();
    // For each group the boxes that stay: most boxes are compared with a few only.
    let mut kept: std::collections::HashMap<u32, Vec<([f32; 4], f32)>> = std::collections::HashMap::new();
    for &i in order {
        if keep.len() >= most {
            break;
        }
        let Some(candidate) = boxes.get(i) else { continue };
        let own = kept.entry(groups.and_then(|groups| groups.get(i)).copied().unwrap_or(0)).or_default();
        let [left, top, right, bottom] = *candidate;
        let size = area(candidate);
        let suppressed = own.iter().any(|(other, other_size)| {
            let width = right.min(other[2]) - left.max(other[0]);
            let height = bottom.min(other[3]) - top.max(other[1]);
            if width <= 0.0 || height <= 0.0 {
                return false;
            }
            let inter = width * height;
            inter / (size + other_size - inter) > max_iou
        });
        if !suppressed {
            own.push((*candidate, size));
            keep.push(i);
        }
    }
    keep
}
