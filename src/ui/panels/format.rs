//! Numbers and names as they are shown.

pub use crate::format::clock;

/// A loss or another number without a unit, three to four digits.
#[must_use]
pub fn number(value: f64) -> String {
    let size = value.abs();
    if !value.is_finite() {
        value.to_string()
    } else if size == 0.0 {
        "0".to_owned()
    } else if size >= 1000.0 {
        format!("{value:.0}")
    } else if size >= 100.0 {
        format!("{value:.1}")
    } else if size >= 10.0 {
        format!("{value:.2}")
    } else if size >= 0.001 {
        format!("{value:.3}")
    } else {
        format!("{value:.1e}")
    }
}

/// A share between 0 and 1 as a percentage.
#[must_use]
pub fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

/// A learning rate.
#[must_use]
pub fn rate(value: f64) -> String {
    if value == 0.0 { "0".to_owned() } else { format!("{value:.2e}") }
}

/// Digits in groups of three.
#[must_use]
pub fn count(value: usize) -> String {
    crate::format::count(value as u64)
}

/// A count with its noun: `1 error`, `2 errors`.
#[must_use]
pub fn counted(number: usize, noun: &str) -> String {
    format!("{} {noun}{}", count(number), if number == 1 { "" } else { "s" })
}

/// A metric's name for people: `top1` is shown as `Top-1`; `shape/top1` as `shape Top-1`.
#[must_use]
pub fn metric(name: &str) -> String {
    let (head, key) = name.rsplit_once('/').map_or(("", name), |(head, key)| (head, key));
    let title = match key {
        "top1" => "Top-1",
        "top5" => "Top-5",
        "miou" => "mIoU",
        "dice" => "Dice",
        "pixel_accuracy" => "Pixel accuracy",
        "ap" => "AP",
        "ap50" => "AP50",
        "ap75" => "AP75",
        "ap_small" => "AP small",
        "ap_medium" => "AP medium",
        "ap_large" => "AP large",
        "ar1" => "AR1",
        "ar10" => "AR10",
        "ar100" => "AR100",
        "loss" => "Loss",
        other => other,
    };
    if head.is_empty() { title.to_owned() } else { format!("{head} {title}") }
}

/// The last part of a path, for people.
#[must_use]
pub fn file_name(path: &str) -> &str {
    path.rsplit(['/', '\\']).next().unwrap_or(path)
}

/// One field of a comma-separated file.
#[must_use]
pub fn csv_field(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn numbers_keep_three_digits_or_so() {
        assert_eq!(number(0.71234), "0.712");
        assert_eq!(number(12.3456), "12.35");
        assert_eq!(number(0.00012), "1.2e-4");
        assert_eq!(number(f64::NAN), "NaN");
        assert_eq!(percent(0.9281), "92.8 %");
        assert_eq!(count(1_204_331), "1 204 331");
        assert_eq!(count(204), "204");
        assert_eq!((counted(1, "error"), counted(0, "note")), ("1 error".to_owned(), "0 notes".to_owned()));
        assert_eq!(clock(Duration::from_secs(3723)), "1:02:03");
        assert_eq!(clock(Duration::from_secs(190)), "03:10");
    }

    #[test]
    fn names_are_those_of_the_field() {
        assert_eq!(metric("top1"), "Top-1");
        assert_eq!(metric("shape/top5"), "shape Top-5");
        assert_eq!(file_name("/a/b/ant.jpg"), "ant.jpg");
        assert_eq!(csv_field("a,\"b\""), "\"a,\"\"b\"\"\"");
    }
}
