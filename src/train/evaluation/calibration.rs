//! Whether a model is right as often as it says: the reliability curve and its errors (Guo et al. 2017, arXiv:1706.04599).

use super::results::PictureResult;

/// Bins of the reliability curve, as in the paper.
pub const BINS: usize = 15;

/// One bin: pictures whose confidence lies in `(from, to]`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Bin {
    /// Lower end, not included.
    pub from: f64,
    /// Upper end, included.
    pub to: f64,
    /// Pictures in it.
    pub count: u64,
    /// Their mean confidence; 0 without pictures.
    pub confidence: f64,
    /// The share of them that is right; 0 without pictures.
    pub accuracy: f64,
}

/// How far confidence and accuracy agree.
#[derive(Clone, Debug, PartialEq)]
pub struct Reliability {
    /// [`BINS`] bins of equal width over 0 to 1.
    pub bins: Vec<Bin>,
    /// Expected calibration error: the mean gap between confidence and accuracy, weighted by pictures.
    pub ece: f64,
    /// Maximum calibration error: the largest gap of a bin.
    pub mce: f64,
}

/// The bin of a confidence.
#[must_use]
pub fn bin_of(confidence: f32) -> usize {
    let place = (f64::from(confidence) * BINS as f64).ceil() as usize;
    place.saturating_sub(1).min(BINS - 1)
}

/// Counts pictures into bins; none without pictures.
#[must_use]
pub fn reliability(pictures: &[PictureResult]) -> Option<Reliability> {
    let width = 1.0 / BINS as f64;
    let empty = |i: usize| Bin { from: i as f64 * width, to: (i + 1) as f64 * width, ..Bin::default() };
    let mut bins: Vec<Bin> = (0..BINS).map(empty).collect();
    for picture in pictures {
        if let Some(bin) = bins.get_mut(bin_of(picture.confidence())) {
            bin.count += 1;
            bin.confidence += f64::from(picture.confidence());
            bin.accuracy += f64::from(u8::from(picture.is_right()));
        }
    }
    let (mut ece, mut mce) = (0.0, 0.0_f64);
    for bin in bins.iter_mut().filter(|bin| bin.count > 0) {
        bin.confidence /= bin.count as f64;
        bin.accuracy /= bin.count as f64;
        let gap = (bin.accuracy - bin.confidence).abs();
        ece += gap * bin.count as f64 / pictures.len() as f64;
        mce = mce.max(gap);
    }
    (!pictures.is_empty()).then_some(Reliability { bins, ece, mce })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(confidence: f32, right: bool) -> PictureResult {
        PictureResult::new(0, 0, u32::from(!right), 0.0, 0.0, &[(u32::from(!right), confidence)]).unwrap()
    }

    #[test]
    fn errors_by_hand() {
        // Bin 10 of 15 is (0.6667, 0.7333]: four pictures at 0.7, three of them right: gap |0.75 - 0.7| = 0.05.
        // Bin 14 is (0.9333, 1]: one picture at 1, wrong: gap 1.
        let mut pictures: Vec<PictureResult> = [true, true, false, true].map(|right| picture(0.7, right)).to_vec();
        pictures.push(picture(1.0, false));
        let found = reliability(&pictures).unwrap();
        assert_eq!((found.bins[10].count, found.bins[14].count), (4, 1));
        assert!((found.bins[10].accuracy - 0.75).abs() < 1e-12);
        assert!((found.bins[10].confidence - 0.7).abs() < 1e-7);
        assert!((found.ece - (0.8 * 0.05 + 0.2)).abs() < 1e-7, "{}", found.ece);
        assert!((found.mce - 1.0).abs() < 1e-12);
        assert_eq!(reliability(&[]), None);
    }

    #[test]
    fn the_upper_end_belongs_to_a_bin() {
        assert_eq!([0.0, 0.01, 0.5, 0.75, 1.0].map(bin_of), [0, 0, 7, 11, 14]);
        let found = reliability(&[picture(1.0, true)]).unwrap();
        assert_eq!((found.ece, found.mce), (0.0, 0.0));
        assert!((found.bins[14].to - 1.0).abs() < 1e-12 && found.bins[0].from == 0.0);
    }
}
