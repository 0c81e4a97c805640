//! Numbers as people read them.

use std::time::Duration;

/// Digits in groups of three: `525 568`.
#[must_use]
pub fn count(n: u64) -> String {
    grouped(n, ' ')
}

/// Digits in groups of three with `gap` between the groups.
#[must_use]
pub fn grouped(n: u64, gap: char) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(gap);
        }
        out.push(digit);
    }
    out
}

/// Three significant digits with a unit prefix: `11.7 M`.
#[must_use]
pub fn short(n: u64) -> String {
    prefixed(n, "").trim_end().to_owned()
}

/// Bytes in decimal units: `3.10 MB`.
#[must_use]
pub fn bytes(n: u64) -> String {
    prefixed(n, "B")
}

fn prefixed(n: u64, unit: &str) -> String {
    let (value, prefix) = match n {
        0..1_000 => return format!("{n} {unit}"),
        1_000..1_000_000 => (n as f64 / 1e3, "k"),
        1_000_000..1_000_000_000 => (n as f64 / 1e6, "M"),
        _ => (n as f64 / 1e9, "G"),
    };
    format!("{} {prefix}{unit}", significant(value))
}

/// A change of bytes with its sign: `+38 MB`.
#[must_use]
pub fn bytes_change(from: u64, to: u64) -> String {
    let sign = if to >= from { "+" } else { "−" };
    format!("{sign}{}", bytes(to.abs_diff(from)))
}

fn significant(value: f64) -> String {
    let digits = if value >= 99.95 {
        0
    } else if value >= 9.995 {
        1
    } else {
        2
    };
    format!("{value:.digits$}")
}

/// Milliseconds: `41 ms`, `1.20 s`.
#[must_use]
pub fn millis(ms: f64) -> String {
    if ms >= 1000.0 { format!("{} s", significant(ms / 1000.0)) } else { format!("{} ms", significant(ms)) }
}

/// Minutes and seconds, hours where there are any: `06:12`, `1:02:03`.
#[must_use]
pub fn clock(time: Duration) -> String {
    let secs = time.as_secs();
    let (hours, minutes, secs) = (secs / 3600, secs / 60 % 60, secs % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{secs:02}") } else { format!("{minutes:02}:{secs:02}") }
}

/// A number with its noun: `1 node`, `3 nodes`.
#[must_use]
pub fn plural(n: usize, noun: &str) -> String {
    if n == 1 {
        return format!("1 {noun}");
    }
    let ending = if noun.ends_with("ss") || noun.ends_with("tch") { "es" } else { "s" };
    format!("{n} {noun}{ending}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!([plural(1, "epoch"), plural(2, "epoch"), plural(8, "batch")], ["1 epoch", "2 epochs", "8 batches"]);
        assert_eq!(count(525_568), "525 568");
        assert_eq!(count(999), "999");
        assert_eq!(count(1_000), "1 000");
        assert_eq!(count(11_689_512), "11 689 512");
        assert_eq!(short(11_689_512), "11.7 M");
        assert_eq!(short(138_357_544), "138 M");
        assert_eq!(short(640), "640");
        assert_eq!(short(2_050), "2.05 k");
        assert_eq!(short(1_814_073_344), "1.81 G");
        assert_eq!(short(999_500), "1000 k");
        assert_eq!(grouped(11_689_512, '\u{202f}'), "11\u{202f}689\u{202f}512");
        assert_eq!(bytes(512), "512 B");
        assert_eq!(bytes(3_100_000), "3.10 MB");
        assert_eq!(bytes_change(900, 400), "−500 B");
        assert_eq!(clock(Duration::from_secs(372)), "06:12");
        assert_eq!(clock(Duration::from_secs(3723)), "1:02:03");
        assert_eq!(millis(655.2), "655 ms");
        assert_eq!(plural(2, "class"), "2 classes");
        assert_eq!(plural(1, "node"), "1 node");
    }
}
