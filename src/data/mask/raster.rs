//! Polygons and run lengths become pixels exactly as in COCO's mask code (pycocotools), so that a mask drawn here is the
//! mask that COCO's measures count with. Runs go down column by column, the first one counting zeros.
//!
//! Rule: <https://github.com/cocodataset/cocoapi/blob/master/common/maskApi.c> (`rleFrPoly`).

/// Sub-pixels per pixel along which an outline is walked.
const FINE: f64 = 5.0;
/// Coordinates beyond this many pixels from the origin are no outline of anything in a picture.
pub(crate) const MOST_PX: f64 = 1e5;

/// The runs of a polygon `x1 y1 x2 y2 …` (pixels) in a mask of this width and height. Nothing is drawn of one with
/// fewer than three corners, or with a corner beyond [`MOST_PX`].
#[must_use]
pub fn polygon_runs(corners: &[f64], [width, height]: [u32; 2]) -> Vec<u32> {
    let whole = u64::from(width) * u64::from(height);
    let all = |pixels: u64| vec![u32::try_from(pixels).unwrap_or(u32::MAX)];
    let (points, _) = corners.as_chunks::<2>();
    if points.len() < 3 || corners.iter().any(|side| side.is_nan() || side.abs() > MOST_PX) {
        return all(whole);
    }
    let mut edges = crossings(outline(points), width, height);
    edges.push(whole);
    edges.sort_unstable();
    let mut runs: Vec<u32> = Vec::with_capacity(edges.len());
    let mut before = 0;
    let mut steps = edges.into_iter().map(|edge| {
        let step = edge - before;
        before = edge;
        u32::try_from(step).unwrap_or(u32::MAX)
    });
    runs.extend(steps.next());
    while let Some(step) = steps.next() {
        if step > 0 {
            runs.push(step);
        } else if let (Some(last), Some(next)) = (runs.last_mut(), steps.next()) {
            // Two edges in one place: in and out again.
            *last += next;
        }
    }
    runs
}

/// The points of a closed outline on the fine grid, in order, all along each side.
fn outline(points: &[[f64; 2]]) -> impl Iterator<Item = [i64; 2]> {
    // Cut towards zero, as the conversion in C does.
    let fine = |value: f64| FINE * value + 0.5;
    let corners: Vec<[i64; 2]> = points.iter().map(|point| point.map(|value| fine(value) as i64)).collect();
    let next: Vec<[i64; 2]> = corners.iter().copied().cycle().skip(1).take(corners.len()).collect();
    corners.into_iter().zip(next).flat_map(|(mut start, mut end)| {
        let length = [(end[0] - start[0]).abs(), (end[1] - start[1]).abs()];
        let long = usize::from(length[0] < length[1]);
        let flip = start[long] > end[long];
        if flip {
            std::mem::swap(&mut start, &mut end);
        }
        let short = 1 - long;
        let slope = match length[long] {
            0 => 0.0,
            long_side => (end[short] - start[short]) as f64 / long_side as f64,
        };
        (0..=length[long]).map(move |step| {
            let along = if flip { length[long] - step } else { step };
            let mut point = [0; 2];
            point[long] = start[long] + along;
            point[short] = (start[short] as f64 + slope * along as f64 + 0.5) as i64;
            point
        })
    })
}

/// Where the outline passes the middle of a column: the pixel, counted down the columns, at which it is crossed.
fn crossings(mut outline: impl Iterator<Item = [i64; 2]>, width: u32, height: u32) -> Vec<u64> {
    let mut edges = Vec::new();
    let Some(mut last) = outline.next() else { return edges };
    for point in outline {
        let before = std::mem::replace(&mut last, point);
        if before[0] == point[0] {
            continue;
        }
        let x = if point[0] < before[0] { point[0] } else { point[0] - 1 };
        let x = (x as f64 + 0.5) / FINE - 0.5;
        if x.floor() != x || x < 0.0 || x > f64::from(width) - 1.0 {
            continue;
        }
        let y = (before[1].min(point[1]) as f64 + 0.5) / FINE - 0.5;
        let y = y.clamp(0.0, f64::from(height)).ceil();
        edges.push(x as u64 * u64::from(height) + y as u64);
    }
    edges
}

/// Calls `paint` with the row-major position of each pixel that runs cover in a mask of this width and height.
pub(crate) fn each_pixel(runs: &[u32], [width, height]: [u32; 2], mut paint: impl FnMut(usize)) {
    let (width, height) = (width as usize, height as usize);
    let mut at = 0usize;
    for (number, run) in runs.iter().enumerate() {
        let end = at.saturating_add(*run as usize).min(width * height);
        if number % 2 == 1 {
            for place in at..end {
                let (x, y) = (place / height.max(1), place % height.max(1));
                paint(y * width + x);
            }
        }
        at = end;
    }
}

/// The runs of the pixels for which `is_set` holds (row-major positions) in a mask of this width and height.
#[must_use]
pub fn runs_of(is_set: impl Fn(usize) -> bool, [width, height]: [u32; 2]) -> Vec<u32> {
    let mut runs = vec![0];
    let mut set = false;
    for x in 0..width as usize {
        for y in 0..height as usize {
            if is_set(y * width as usize + x) != set {
                set = !set;
                runs.push(0);
            }
            if let Some(last) = runs.last_mut() {
                *last += 1;
            }
        }
    }
    runs
}

/// Runs packed into COCO's string: differences to the last but one from the fourth on, in groups of 5 bits.
#[must_use]
pub fn pack(runs: &[u32]) -> String {
    let mut text = String::new();
    for (at, run) in runs.iter().enumerate() {
        let before = if at > 2 { runs.get(at - 2).copied().unwrap_or(0) } else { 0 };
        let mut value = i64::from(*run) - i64::from(before);
        loop {
            let group = (value & 0x1F) as u8;
            value >>= 5;
            let more = if group & 0x10 != 0 { value != -1 } else { value != 0 };
            text.push(char::from(48 + (group | if more { 0x20 } else { 0 })));
            if !more {
                break;
            }
        }
    }
    text
}
