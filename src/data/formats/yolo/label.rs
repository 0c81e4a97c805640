//! One line of a label file: `class cx cy w h`, or a polygon `class x1 y1 x2 y2 x3 y3 …`, in parts of the picture.

/// A box in parts (0-1) of the picture, and what is odd about its line.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Line {
    pub class: u64,
    /// Left, top, right, bottom.
    pub xyxy: [f32; 4],
    /// The corners `x1 y1 x2 y2 …` of a polygon, in parts of the picture.
    pub corners: Vec<f64>,
    pub odd: Option<&'static str>,
}

/// Coordinates above this are no parts of a picture.
const MOST: f64 = 2.0;

/// Reads a line that is not empty.
///
/// # Errors
/// Why it is none.
pub(super) fn read(text: &str) -> Result<Line, String> {
    let mut words: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
    let mut odd = None;
    if words.len() == 1 && text.contains(',') {
        words = text.split(',').map(|word| word.trim().to_owned()).collect();
        odd = Some("commas between the numbers instead of spaces");
    } else if words.iter().any(|word| word.contains(',')) {
        words = words.into_iter().map(|word| word.trim_end_matches(',').replace(',', ".")).collect();
        odd = Some("commas in its numbers; read as decimal points");
    }
    match words.len() {
        5 => {}
        6 => return Err("6 values: a prediction with its confidence, not a label".to_owned()),
        n if n >= 7 && n % 2 == 1 => {}
        n => return Err(format!("{n} values where a box has 5 and a polygon an odd number from 7 on")),
    }
    let numbers: Result<Vec<f64>, String> = words
        .iter()
        .map(|word| word.parse().ok().filter(|n: &f64| n.is_finite()).ok_or_else(|| format!("{word} is no number")))
        .collect();
    let numbers = numbers?;
    let (class, numbers) = numbers.split_first().ok_or("no values")?;
    if *class < 0.0 || class.fract() != 0.0 || *class > 1e9 {
        return Err(format!("{class} is no class number"));
    }
    if let Some(large) = numbers.iter().find(|number| number.abs() > MOST) {
        return Err(format!("{large} is no part of the picture (0 to 1); pixels are not read"));
    }
    let mut outline = Vec::new();
    let xyxy = match numbers {
        &[cx, cy, w, h] => [cx - w / 2.0, cy - h / 2.0, cx + w / 2.0, cy + h / 2.0],
        corners => {
            outline = corners.to_vec();
            let of = |axis: usize| corners.iter().skip(axis).step_by(2).copied();
            let (low, high) = (|axis| of(axis).fold(f64::MAX, f64::min), |axis| of(axis).fold(f64::MIN, f64::max));
            [low(0), low(1), high(0), high(1)]
        }
    };
    Ok(Line { class: *class as u64, xyxy: xyxy.map(|value| value as f32), corners: outline, odd })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boxes_polygons_and_what_is_neither() {
        let near = |text: &str, class: u64, xyxy: [f32; 4], odd: bool| {
            let line = read(text).unwrap();
            assert_eq!((line.class, line.odd.is_some()), (class, odd), "{text}");
            for (got, want) in line.xyxy.iter().zip(xyxy) {
                assert!((got - want).abs() < 1e-6, "{text}: {:?}", line.xyxy);
            }
        };
        near("3 0.5 0.5 0.2 0.4", 3, [0.4, 0.3, 0.6, 0.7], false);
        near("3\t0.5\t0.5\t0.2  0.4 ", 3, [0.4, 0.3, 0.6, 0.7], false);
        near("3 0,5 0,5 0,2 0,4", 3, [0.4, 0.3, 0.6, 0.7], true);
        near("3,0.5,0.5,0.2,0.4", 3, [0.4, 0.3, 0.6, 0.7], true);
        near("3.0 0.5 0.5 0.2 0.4", 3, [0.4, 0.3, 0.6, 0.7], false);
        near("0 0.1 0.2 0.5 0.1 0.3 0.9", 0, [0.1, 0.1, 0.5, 0.9], false);
        for wrong in [
            "0 0.5 0.5 0.2 0.2 0.9",
            "0 0.5 0.5 0.2",
            "0",
            "x 0.5 0.5 0.2 0.2",
            "-1 0.5 0.5 0.2 0.2",
            "0 nan 1 1 1",
            "0.5 0.5 0.5 0.2 0.2",
            "0 320 240 64 48",
            "0 0.1 0.2 0.3 0.4 0.5 0.6 0.7",
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
