//! COCO's run lengths of a mask, column by column, the first run counting zeros: as a list of numbers, or packed into a
//! string (<https://github.com/cocodataset/cocoapi/blob/master/common/maskApi.c>, `rleToString`).

/// The runs in a packed string: each number in groups of 5 bits from the lowest, as characters from 48 on, with bit 5
/// for "goes on" and the sign in bit 4 of the last; from the fourth on they are differences to the last but one.
///
/// # Errors
/// What is wrong with the string.
pub(crate) fn unpack(text: &str) -> Result<Vec<u32>, String> {
    let mut runs: Vec<i64> = Vec::new();
    let mut bytes = text.bytes();
    while let Some(mut byte) = bytes.next() {
        let (mut value, mut shift) = (0i64, 0u32);
        loop {
            let group = byte.checked_sub(48).filter(|group| *group < 64);
            let group = group.ok_or_else(|| format!("the character {:?} in it", char::from(byte)))?;
            if shift > 40 {
                return Err("a run of more than 40 bits".to_owned());
            }
            value |= i64::from(group & 0x1F) << shift;
            shift += 5;
            if group & 0x20 == 0 {
                if group & 0x10 != 0 {
                    value |= -1i64 << shift;
                }
                break;
            }
            byte = bytes.next().ok_or("a run that does not end")?;
        }
        if let [.., before, _] = runs.as_slice()
            && runs.len() > 2
        {
            value += before;
        }
        runs.push(value);
    }
    runs.into_iter().map(|run| u32::try_from(run).map_err(|_| format!("a run of {run} pixels"))).collect()
}

/// Whether runs fill a mask of this height and width exactly.
///
/// # Errors
/// How many pixels there are, and how many there should be.
pub(crate) fn check(runs: &[u32], [height, width]: [u64; 2]) -> Result<(), String> {
    let pixels: u64 = runs.iter().map(|run| u64::from(*run)).sum();
    let size = height.saturating_mul(width);
    if pixels == size { Ok(()) } else { Err(format!("{pixels} pixels in its runs where {height}x{width} are {size}")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_of_pycocotools_are_unpacked() {
        // pycocotools.mask.frPyObjects({"counts": runs, "size": [h, w]}, h, w)["counts"] of pycocotools 2.0.11.
        for (size, text, runs) in [
            ([5, 4], "6344", vec![6, 3, 4, 7]),
            ([5, 4], "0d0", vec![0, 20]),
            ([5, 4], "d0", vec![20]),
            ([480, 640], "T3b1^=:F\\m0`aR9hQ6", vec![100, 50, 430, 60, 420, 1000, 297_940, 7_200]),
            ([3, 3], "111000000", vec![1; 9]),
        ] {
            assert_eq!(unpack(text), Ok(runs.clone()), "{text}");
            assert_eq!(check(&runs, size), Ok(()));
        }
        assert!(check(&[6, 3], [5, 4]).is_err());
        assert_eq!(unpack(""), Ok(vec![]));
        assert!(unpack("\u{1}").is_err() && unpack("P").is_err() && unpack("ppppppppppp0").is_err());
    }
}
