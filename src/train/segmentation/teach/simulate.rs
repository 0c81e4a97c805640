//! What a person would ask: a point or a box of an object, then clicks where the mask is wrong.

use super::objects::TaughtObject;
use crate::data::VOID;
use crate::nn::ask::{Marks, Point};
use crate::rng::Rng;

/// Standard deviation of a box's sides, in parts of the box's width or height.
const BOX_NOISE: f32 = 0.1;
/// Largest change of a side in pixels.
const MOST_NOISE_PX: f32 = 20.0;

/// A box, or a point drawn from the object's pixels. `numbers` is the map of objects, `size` its height and width.
#[must_use]
pub fn first_prompt(object: &TaughtObject, numbers: &[u16], size: [usize; 2], boxes: f32, rng: &mut Rng) -> Marks {
    if rng.chance(boxes) {
        return Marks { points: Vec::new(), xyxy: Some(noisy_box(object.xyxy, size, rng)) };
    }
    let xy = drawn(numbers, size[1], rng, |number| number == object.number);
    Marks { points: xy.map(|xy| Point { xy, positive: true }).into_iter().collect(), xyxy: None }
}

/// The box around an object whose sides a person does not hit exactly: each moves by normal noise of a tenth of the box's width
/// or height, by 20 pixels at most. `size` is the input's height and width, beyond which nothing is drawn.
#[must_use]
pub fn noisy_box(xyxy: [u32; 4], [height, width]: [usize; 2], rng: &mut Rng) -> [f32; 4] {
    let [left, top, right, bottom] = xyxy.map(|side| side as f32);
    // Sides are pixels that belong to the object.
    let lengths = [right - left + 1.0, bottom - top + 1.0];
    let mut moved = |side: f32, axis: usize| {
        let noise = rng.normal() * BOX_NOISE * lengths[axis];
        let limit = [width, height][axis].max(1) as f32 - 1.0;
        (side + noise.clamp(-MOST_NOISE_PX, MOST_NOISE_PX)).clamp(0.0, limit)
    };
    let sides = [moved(left, 0), moved(top, 1), moved(right, 0), moved(bottom, 1)];
    [sides[0].min(sides[2]), sides[1].min(sides[3]), sides[0].max(sides[2]), sides[1].max(sides[3])]
}

/// A click drawn from the pixels at which a mask is wrong: on the object where it is missing, else on what does not belong to it.
/// Where nothing is wrong, a click on the object. `logits` are above zero where the mask is.
#[must_use]
pub fn correction(
    logits: &[f32],
    object: &TaughtObject,
    numbers: &[u16],
    width: usize,
    rng: &mut Rng,
) -> Option<Point> {
    let is_wrong = |at: usize, number: u16| {
        let said = logits.get(at).is_some_and(|&logit| logit > 0.0);
        number != VOID && said != (number == object.number)
    };
    let count = numbers.iter().enumerate().filter(|(at, number)| is_wrong(*at, **number)).count();
    if count == 0 {
        let xy = drawn(numbers, width, rng, |number| number == object.number)?;
        return Some(Point { xy, positive: true });
    }
    let chosen = rng.below(count);
    let mut wrong = numbers.iter().enumerate().filter(|(at, number)| is_wrong(*at, **number));
    let (at, &number) = wrong.nth(chosen)?;
    Some(Point { xy: place(at, width), positive: number == object.number })
}

/// A pixel of an object as far from its border as any, over rows and columns, the first of equal ones: where a careful person would
/// click.
#[must_use]
pub fn inmost(object: &TaughtObject, numbers: &[u16], width: usize) -> [f32; 2] {
    let [left, top, right, bottom] = object.xyxy.map(|side| side as usize);
    let (across, down) = (right - left + 3, bottom - top + 3);
    // Steps to the border, in a frame of one pixel around the box.
    let mut steps = vec![0_u32; across * down];
    let is_own = |x: usize, y: usize| numbers.get(y * width + x) == Some(&object.number);
    for y in 1..down - 1 {
        for x in 1..across - 1 {
            if is_own(left + x - 1, top + y - 1) {
                steps[y * across + x] = 1 + steps[(y - 1) * across + x].min(steps[y * across + x - 1]);
            }
        }
    }
    let mut best = (0, [left, top]);
    for y in (1..down - 1).rev() {
        for x in (1..across - 1).rev() {
            let after = 1 + steps[(y + 1) * across + x].min(steps[y * across + x + 1]);
            let own = steps[y * across + x].min(after);
            steps[y * across + x] = own;
            if own > 0 && own >= best.0 {
                best = (own, [left + x - 1, top + y - 1]);
            }
        }
    }
    best.1.map(|at| at as f32)
}

/// A pixel drawn from those that count.
fn drawn(numbers: &[u16], width: usize, rng: &mut Rng, counts: impl Fn(u16) -> bool) -> Option<[f32; 2]> {
    let all = || numbers.iter().enumerate().filter(|(_, number)| counts(**number)).map(|(at, _)| at);
    let chosen = rng.below(all().count());
    all().nth(chosen).map(|at| place(at, width))
}

fn place(at: usize, width: usize) -> [f32; 2] {
    [(at % width.max(1)) as f32, (at / width.max(1)) as f32]
}

#[cfg(test)]
mod tests {
    use super::super::objects_of;
    use super::*;

    /// 8×8: an object of 5×4 pixels with its corner at (1, 2), the last row void.
    fn map() -> (Vec<u16>, TaughtObject) {
        let number = |at: usize| match (at % 8, at / 8) {
            (1..=5, 2..=5) => 3,
            (_, 7) => VOID,
            _ => 0,
        };
        let numbers: Vec<u16> = (0..64).map(number).collect();
        let object = objects_of(&numbers, 8)[0];
        (numbers, object)
    }

    #[test]
    fn first_prompts_are_points_of_the_object_or_boxes_near_it() {
        let (numbers, object) = map();
        assert_eq!(object.xyxy, [1, 2, 5, 5]);
        let mut rng = Rng::new(1);
        let (mut points, mut boxes) = (std::collections::BTreeSet::new(), 0);
        for _ in 0..600 {
            let marks = first_prompt(&object, &numbers, [8, 8], 0.5, &mut rng);
            match (marks.points.as_slice(), marks.xyxy) {
                ([Point { xy: [x, y], positive: true }], None) => {
                    let at = (*y * 8.0 + *x) as usize;
                    assert_eq!(numbers[at], 3);
                    points.insert(at);
                }
                ([], Some(_)) => boxes += 1,
                other => panic!("{other:?}"),
            }
        }
        // Both kinds about equally often, and every pixel of the object.
        assert!((240..360).contains(&boxes) && points.len() == 20, "{boxes} boxes, {} points", points.len());
    }

    #[test]
    fn sides_of_boxes_are_a_tenth_off_and_never_more_than_twenty_pixels() {
        let mut rng = Rng::new(2);
        let (mut squares, mut most) = (0.0_f64, 0.0_f32);
        for _ in 0..4000 {
            // 100 pixels wide, 600 high, in the middle of 1024.
            let [left, top, right, bottom] = noisy_box([400, 200, 499, 799], [1024, 1024], &mut rng);
            assert!(left < right && top < bottom);
            squares += f64::from((left - 400.0).powi(2) + (right - 499.0).powi(2)) / 2.0;
            most = most.max((top - 200.0).abs()).max((bottom - 799.0).abs());
            assert!((left - 400.0).abs() <= 20.0);
        }
        // Normal noise of 10 px, cut at two deviations: E[min(z², 4)] = 0.7385 + 4 · 0.0455 = 0.9205.
        let deviation = (squares / 4000.0).sqrt();
        assert!((deviation - 9.594).abs() < 0.25, "{deviation}");
        assert!((most - 20.0).abs() < 1e-3, "a tenth of 600 pixels is more than 20: {most}");
        // Nothing outside of the input.
        let [left, top, right, bottom] = noisy_box([0, 0, 9, 9], [10, 10], &mut rng);
        assert!(left >= 0.0 && top >= 0.0 && right <= 9.0 && bottom <= 9.0);
    }

    #[test]
    fn corrections_lie_where_the_mask_is_wrong() {
        let (numbers, object) = map();
        let mut rng = Rng::new(3);
        // The mask has the object but for its first column, and one pixel too many; void pixels cannot be wrong.
        let said = |at: usize| {
            let object = (2..=5).contains(&(at % 8)) && (2..=5).contains(&(at / 8));
            if object || at == 7 || at / 8 == 7 { 1.5 } else { -2.0 }
        };
        let logits: Vec<f32> = (0..64).map(said).collect();
        let mut seen = std::collections::BTreeMap::new();
        for _ in 0..300 {
            let point = correction(&logits, &object, &numbers, 8, &mut rng).unwrap();
            seen.insert((point.xy[1] * 8.0 + point.xy[0]) as usize, point.positive);
        }
        let wanted = [(7, false), (17, true), (25, true), (33, true), (41, true)];
        assert_eq!(seen.into_iter().collect::<Vec<_>>(), wanted);
        // Nothing is wrong: somewhere on the object.
        let right: Vec<f32> = numbers.iter().map(|&number| if number == 3 { 1.0 } else { -1.0 }).collect();
        let point = correction(&right, &object, &numbers, 8, &mut rng).unwrap();
        assert!(point.positive && numbers[(point.xy[1] * 8.0 + point.xy[0]) as usize] == 3);
    }

    #[test]
    fn the_inmost_pixel_by_hand() {
        let (numbers, object) = map();
        // 5×4 pixels: rows 3 and 4 are two steps from the border, of their columns 2 to 4; the first is (2, 3).
        assert_eq!(inmost(&object, &numbers, 8), [2.0, 3.0]);
        // A ring of one pixel: each is one step away, the first is its corner.
        let ring: Vec<u16> = (0..64)
            .map(|at| {
                u16::from(
                    (1..7).contains(&(at % 8)) && [1, 6].contains(&(at / 8))
                        || (1..7).contains(&(at / 8)) && [1, 6].contains(&(at % 8)),
                )
            })
            .collect();
        assert_eq!(inmost(&objects_of(&ring, 8)[0], &ring, 8), [1.0, 1.0]);
    }
}
