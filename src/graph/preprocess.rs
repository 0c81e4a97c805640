//! How a picture becomes the network's input. The rule belongs to the weights and travels with them.

use serde::{Deserialize, Serialize};
use std::fmt;

/// How a picture is brought to the input size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resize {
    /// Shorter side to `shorter_px`, then a centre crop of the input size (torchvision's classifiers).
    ShorterThenCrop {
        /// Length of the shorter side after resizing, in pixels.
        shorter_px: u32,
    },
    /// Both sides to the input size; the aspect ratio is not kept.
    Stretch,
    /// Aspect ratio kept (sides rounded to whole pixels), the rest padded with `fill` (0-255) on all sides equally.
    LetterboxCentre {
        /// Grey value of the padding.
        fill: u8,
    },
    /// Aspect ratio kept (sides cut to whole pixels), picture in the top left corner, the rest padded with `fill` (0-255).
    LetterboxTopLeft {
        /// Grey value of the padding.
        fill: u8,
    },
    /// Aspect ratio kept (sides rounded to whole pixels), picture in the top left corner, the rest zero after mean and
    /// standard deviation.
    FitTopLeft,
}

/// Interpolation of the resize.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Interpolation {
    /// Triangle filter.
    #[default]
    Bilinear,
    /// Catmull-Rom with a = -0.5.
    Bicubic,
}

/// Order of the colour channels in the network's input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Channels {
    /// Red, green, blue.
    #[default]
    Rgb,
    /// Blue, green, red.
    Bgr,
}

/// The whole rule from decoded 8-bit RGB pixels to the network's input.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Preprocess {
    /// Input height and width in pixels.
    pub size: [u32; 2],
    /// How a picture is brought to `size`.
    pub resize: Resize,
    /// Interpolation of the resize.
    #[serde(default)]
    pub interpolation: Interpolation,
    /// Whether shrinking averages all pixels that become one, as Pillow does, or only the nearest, as OpenCV does.
    #[serde(default = "usual")]
    pub antialias: bool,
    /// Order of the channels.
    #[serde(default)]
    pub channels: Channels,
    /// Pixels are divided by this before `mean` and `std` apply: 255 for inputs in `[0, 1]`, 1 for `[0, 255]`.
    pub divide_by: f32,
    /// Subtracted from each channel, in the order of `channels`.
    pub mean: [f32; 3],
    /// Divides each channel, in the order of `channels`.
    pub std: [f32; 3],
}

/// Rules that were written before there was a choice were antialiased.
fn usual() -> bool {
    true
}

impl Preprocess {
    /// torchvision's rule for ImageNet classifiers at `size` px: the shorter side to `size * 256 / 224`, centre crop,
    /// ImageNet mean and standard deviation.
    #[must_use]
    pub fn imagenet(size: u32) -> Self {
        Self {
            size: [size, size],
            resize: Resize::ShorterThenCrop { shorter_px: size * 256 / 224 },
            interpolation: Interpolation::Bilinear,
            antialias: true,
            channels: Channels::Rgb,
            divide_by: 255.0,
            mean: [0.485, 0.456, 0.406],
            std: [0.229, 0.224, 0.225],
        }
    }

    /// The same rule for square inputs of `size` px; a shorter side before a crop scales with it.
    #[must_use]
    pub fn with_size(&self, size: u32) -> Self {
        let resize = match self.resize {
            Resize::ShorterThenCrop { shorter_px } => {
                let scaled = u64::from(shorter_px) * u64::from(size) / u64::from(self.size[0].max(1));
                Resize::ShorterThenCrop { shorter_px: u32::try_from(scaled).unwrap_or(u32::MAX) }
            }
            other => other,
        };
        Self { size: [size, size], resize, ..self.clone() }
    }
}

/// The rule for people, in the order in which it is done.
impl fmt::Display for Preprocess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [height, width] = self.size;
        let how = match (self.interpolation, self.antialias) {
            (Interpolation::Bilinear, true) => "bilinear, antialiased",
            (Interpolation::Bicubic, true) => "bicubic, antialiased",
            (Interpolation::Bilinear, false) => "bilinear, not antialiased",
            (Interpolation::Bicubic, false) => "bicubic, not antialiased",
        };
        match self.resize {
            Resize::ShorterThenCrop { shorter_px } => {
                write!(
                    f,
                    "resize the shorter side to {shorter_px} px ({how}), crop {width}×{height} px from the center"
                )?;
            }
            Resize::Stretch => write!(f, "resize to {width}×{height} px without keeping the proportions ({how})")?,
            Resize::LetterboxCentre { fill } => {
                write!(f, "resize to fit {width}×{height} px ({how}), pad all sides alike with {fill}")?;
            }
            Resize::LetterboxTopLeft { fill } => {
                write!(f, "resize to fit {width}×{height} px ({how}), pad right and below with {fill}")?;
            }
            Resize::FitTopLeft => {
                write!(f, "resize to fit {width}×{height} px ({how}), pad right and below with zeros at the end")?;
            }
        }
        let channels = match self.channels {
            Channels::Rgb => "RGB",
            Channels::Bgr => "BGR",
        };
        let Self { divide_by, mean: [a, b, c], std: [x, y, z], .. } = self;
        write!(
            f,
            "; {channels} values 0 to 255 divided by {divide_by}, minus ({a}, {b}, {c}), divided by ({x}, {y}, {z})"
        )?;
        f.write_str("; axes: picture, channel, row, column")
    }
}
