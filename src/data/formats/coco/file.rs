//! The part of a COCO file that is used, entry by entry: one that is wrong takes no other with it.

use std::collections::HashMap;

use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::rle;
use crate::data::Region;

/// A whole file.
#[derive(Deserialize)]
pub(super) struct File<const MASKS: bool> {
    #[serde(default)]
    pub images: Vec<Entry<Image>>,
    /// None in a list of pictures that nothing is known about.
    pub annotations: Option<Vec<Entry<Annotation<MASKS>>>>,
    #[serde(default)]
    pub categories: Vec<Entry<Category>>,
}

/// One entry of a list, or what is wrong with it.
pub(super) struct Entry<T>(pub Result<T, String>);

/// What an entry is read as.
pub(super) trait Read: Sized {
    fn read(value: &Value) -> Result<Self, String>;
}

impl<'de, T: Read> Deserialize<'de> for Entry<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(T::read(&Value::deserialize(deserializer)?)))
    }
}

pub(super) struct Image {
    pub id: String,
    pub file_name: String,
    /// Width and height in pixels; 0 where they are not given.
    pub size_px: [u32; 2],
}

pub(super) struct Category {
    pub id: String,
    pub name: String,
}

/// `MASKS` keeps what masks are made of, which in large sets is most of the file.
pub(super) struct Annotation<const MASKS: bool> {
    pub image: String,
    pub category: String,
    /// Left, top, right, bottom in pixels.
    pub xyxy: [f32; 4],
    pub crowd: bool,
    /// Square pixels of the mask.
    pub area_px: Option<f32>,
    /// Whether there is a mask.
    pub has_mask: bool,
    /// Its mask, if it has one and it is kept, or what is wrong with it.
    pub mask: Result<Option<Mask>, String>,
}

/// The pixels of an annotation.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Mask {
    pub region: Region,
    /// Height and width of the picture that runs are for.
    pub size: Option<[u64; 2]>,
}

/// An id as text, so that `7`, `7.0` and `"7"` are the same.
fn id(value: &Value, key: &str) -> Result<String, String> {
    match value.get(key) {
        Some(Value::String(text)) => Ok(text.trim().to_owned()),
        Some(Value::Number(number)) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => Ok(whole.to_string()),
            (None, Some(part)) if part.fract() == 0.0 => Ok(format!("{part:.0}")),
            _ => Ok(number.to_string()),
        },
        Some(other) => Err(format!("its {key} is {}", told(other))),
        None => Err(format!("it has no {key}")),
    }
}

/// A value for people, cut to a length that can be read.
fn told(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(40) {
        Some((at, _)) => format!("{}…", text.get(..at).unwrap_or_default()),
        None => text,
    }
}

fn number(value: &Value) -> Option<f64> {
    value.as_f64().filter(|number| number.is_finite())
}

impl Read for Image {
    fn read(value: &Value) -> Result<Self, String> {
        let side = |key| value.get(key).and_then(number).map_or(0, |px| px.clamp(0.0, 1e9) as u32);
        let file_name = match value.get("file_name").or_else(|| value.get("path")) {
            Some(Value::String(name)) if !name.trim().is_empty() => name.trim().to_owned(),
            Some(other) => return Err(format!("its file_name is {}", told(other))),
            None => return Err("it has no file_name".to_owned()),
        };
        Ok(Self { id: id(value, "id")?, file_name, size_px: [side("width"), side("height")] })
    }
}

impl Read for Category {
    fn read(value: &Value) -> Result<Self, String> {
        let name = match value.get("name") {
            Some(Value::String(name)) if !name.trim().is_empty() => name.trim().to_owned(),
            Some(other) => return Err(format!("its name is {}", told(other))),
            None => return Err("it has no name".to_owned()),
        };
        Ok(Self { id: id(value, "id")?, name })
    }
}

impl<const MASKS: bool> Read for Annotation<MASKS> {
    fn read(value: &Value) -> Result<Self, String> {
        let crowd = match value.get("iscrowd") {
            None | Some(Value::Null) => false,
            Some(Value::Bool(crowd)) => *crowd,
            Some(other) => number(other).ok_or_else(|| format!("its iscrowd is {}", told(other)))? != 0.0,
        };
        let segmentation = value.get("segmentation").unwrap_or(&Value::Null);
        let xyxy = match value.get("bbox") {
            None | Some(Value::Null) => around(segmentation).ok_or("it has no bbox")?,
            Some(bbox) => {
                let numbers: Option<Vec<f64>> = bbox.as_array().and_then(|all| all.iter().map(number).collect());
                match numbers.as_deref() {
                    Some(&[x, y, w, h]) => [x, y, x + w, y + h].map(|value| value as f32),
                    _ => return Err(format!("its bbox is {} and not four numbers", told(bbox))),
                }
            }
        };
        let (image, category) = (id(value, "image_id")?, id(value, "category_id")?);
        let area_px = value.get("area").and_then(number).map(|area| area as f32).filter(|area| *area > 0.0);
        let mask = read_mask(segmentation);
        let has_mask = matches!(mask, Ok(Some(_)));
        Ok(Self { image, category, xyxy, crowd, area_px, has_mask, mask: mask.map(|mask| mask.filter(|_| MASKS)) })
    }
}

/// The corners of the polygons that a mask consists of.
fn polygons(segmentation: &Value) -> Option<Result<Vec<Vec<f64>>, String>> {
    let all = segmentation.as_array().filter(|all| !all.is_empty())?;
    let one = |polygon: &Value| {
        let numbers: Option<Vec<f64>> = polygon.as_array().and_then(|all| all.iter().map(number).collect());
        match numbers {
            None => Err(format!("a polygon is {} and not a list of numbers", told(polygon))),
            Some(numbers) if numbers.len() % 2 == 1 => Err(format!("a polygon has {} numbers", numbers.len())),
            Some(numbers) if numbers.len() < 6 => Err(format!("a polygon has {} corners", numbers.len() / 2)),
            Some(numbers) => Ok(numbers),
        }
    };
    Some(all.iter().map(one).collect())
}

/// The box around polygons.
fn around(segmentation: &Value) -> Option<[f32; 4]> {
    let mut xyxy = [f32::INFINITY, f32::INFINITY, f32::NEG_INFINITY, f32::NEG_INFINITY];
    for polygon in polygons(segmentation)?.ok()? {
        for (i, value) in polygon.iter().enumerate() {
            let value = *value as f32;
            xyxy[i % 2] = xyxy[i % 2].min(value);
            xyxy[i % 2 + 2] = xyxy[i % 2 + 2].max(value);
        }
    }
    Some(xyxy)
}

/// Polygons, runs as a list or packed runs; no mask is no mistake.
fn read_mask(segmentation: &Value) -> Result<Option<Mask>, String> {
    let Some(map) = segmentation.as_object() else {
        return match (segmentation, polygons(segmentation)) {
            (_, Some(read)) => read.map(|all| Some(Mask { region: Region::Polygons(all), size: None })),
            (Value::Null | Value::Array(_), None) => Ok(None),
            (other, None) => Err(format!("it is {}", told(other))),
        };
    };
    let size = map.get("size").and_then(Value::as_array).and_then(|size| match size.as_slice() {
        [height, width] => Some([height.as_u64()?, width.as_u64()?]),
        _ => None,
    });
    let size = size.ok_or("it has no size of two numbers")?;
    let runs = match map.get("counts") {
        Some(Value::String(text)) => rle::unpack(text)?,
        Some(Value::Array(runs)) => {
            let runs: Option<Vec<u32>> = runs.iter().map(|run| u32::try_from(run.as_u64()?).ok()).collect();
            runs.ok_or("its counts are not all whole numbers")?
        }
        _ => return Err("it has no counts".to_owned()),
    };
    rle::check(&runs, size)?;
    Ok(Some(Mask { region: Region::Runs(runs), size: Some(size) }))
}

/// The line of each entry of the top-level lists of a JSON text, by the key of the list.
pub(super) fn lines(text: &str) -> HashMap<String, Vec<usize>> {
    let mut found: HashMap<String, Vec<usize>> = HashMap::new();
    let (mut line, mut depth, mut key, mut last) = (1, 0usize, String::new(), String::new());
    let mut expects = false;
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        if expects && !byte.is_ascii_whitespace() && byte != b']' {
            expects = false;
            found.entry(key.clone()).or_default().push(line);
        }
        match byte {
            b'\n' => line += 1,
            b'"' => {
                let start = at + 1;
                at = start;
                while let Some(&inside) = bytes.get(at)
                    && inside != b'"'
                {
                    at += if inside == b'\\' { 2 } else { 1 };
                }
                if depth == 1 {
                    last = text.get(start..at.min(text.len())).unwrap_or_default().to_owned();
                }
            }
            b':' if depth == 1 => key.clone_from(&last),
            b'[' | b'{' => {
                depth += 1;
                expects = byte == b'[' && depth == 2;
            }
            b']' | b'}' => {
                depth = depth.saturating_sub(1);
                expects = false;
            }
            b',' if depth == 2 => expects = found.contains_key(&key),
            _ => {}
        }
        at += 1;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_have_their_lines() {
        let text = "{\"info\": {\"a\": [1,\n2]},\n \"images\": [{\"id\": 1, \"x\": \"a]\\\"[\"},\n\n {\"id\": 2}\n, 3],\n\"annotations\": []}";
        let lines = lines(text);
        assert_eq!(lines.get("images"), Some(&vec![3, 5, 6]));
        assert_eq!(lines.get("annotations"), None);
    }

    #[test]
    fn masks_of_every_form_are_checked() {
        let check = |text: &str| read_mask(&serde_json::from_str(text).unwrap()).map(|_| ());
        for fine in [
            "null",
            "[]",
            "[[1,1,2,1,2,2],[5,5,6,5,6,6,5,6.5]]",
            r#"{"size":[5,4],"counts":[6,3,4,7]}"#,
            r#"{"size":[5,4],"counts":"6344"}"#,
        ] {
            assert_eq!(check(fine), Ok(()), "{fine}");
        }
        for (wrong, why) in [
            ("[[1,1,2,1]]", "a polygon has 2 corners"),
            ("[[1,1,2,1,3]]", "a polygon has 5 numbers"),
            ("[1,1,2,1,3,3]", "a polygon is 1 and not a list of numbers"),
            (r#"{"size":[5,4],"counts":[6,3]}"#, "9 pixels in its runs where 5x4 are 20"),
            (r#"{"size":[5,4],"counts":"~"}"#, "the character '~' in it"),
            (r#"{"counts":[20]}"#, "it has no size of two numbers"),
            ("7", "it is 7"),
        ] {
            assert_eq!(check(wrong), Err(why.to_owned()));
        }
    }
}
