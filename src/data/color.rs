//! Color changes as torchvision makes them on Pillow images, rounding included (`ImageEnhance`, HSV conversion).

use super::Rgb8;

/// Brightness times `factor`: blended with black.
pub fn brightness(image: &mut Rgb8, factor: f32) {
    let table = blend_table(0, factor);
    image.pixels.iter_mut().for_each(|value| *value = table[usize::from(*value)]);
}

/// Blended with the picture's mean grey: 0 is flat grey, 1 leaves it as it is.
pub fn contrast(image: &mut Rgb8, factor: f32) {
    let (pixels, _) = image.pixels.as_chunks::<3>();
    let sum: u64 = pixels.iter().map(|p| u64::from(luma(*p))).sum();
    let mean = (sum as f64 / pixels.len().max(1) as f64 + 0.5) as u8;
    let table = blend_table(mean, factor);
    image.pixels.iter_mut().for_each(|value| *value = table[usize::from(*value)]);
}

/// Blended with the grey picture: 0 is grey, 1 leaves it as it is.
pub fn saturation(image: &mut Rgb8, factor: f32) {
    let (pixels, _) = image.pixels.as_chunks_mut::<3>();
    for pixel in pixels {
        let grey = luma(*pixel);
        *pixel = pixel.map(|value| blend(grey, value, factor));
    }
}

/// Hue turned by `turn` (-0.5 to 0.5 of a whole turn).
pub fn hue(image: &mut Rgb8, turn: f32) {
    let shift = (turn * 255.0) as i32 as u8; // numpy's wrap-around: -25 becomes 231
    let (pixels, _) = image.pixels.as_chunks_mut::<3>();
    for pixel in pixels {
        let [h, s, v] = hsv_from_rgb(*pixel);
        *pixel = rgb_from_hsv([h.wrapping_add(shift), s, v]);
    }
}

/// Pillow's `convert("L")`: ITU-R 601-2 in 16-bit fixed point.
fn luma([r, g, b]: [u8; 3]) -> u8 {
    ((u32::from(r) * 19_595 + u32::from(g) * 38_470 + u32::from(b) * 7_471 + 0x8000) >> 16) as u8
}

/// Pillow's `Image.blend`: cut, not rounded.
fn blend(from: u8, to: u8, factor: f32) -> u8 {
    (f32::from(from) + factor * (f32::from(to) - f32::from(from))) as u8
}

fn blend_table(from: u8, factor: f32) -> [u8; 256] {
    std::array::from_fn(|value| blend(from, value as u8, factor))
}

/// Pillow's `rgb2hsv`.
fn hsv_from_rgb([r, g, b]: [u8; 3]) -> [u8; 3] {
    let (max, min) = (r.max(g).max(b), r.min(g).min(b));
    if max == min {
        return [0, 0, max];
    }
    let range = f32::from(max - min);
    let part = |value: u8| f32::from(max - value) / range;
    let sector = if r == max {
        part(b) - part(g)
    } else if g == max {
        (2.0 + f64::from(part(r)) - f64::from(part(b))) as f32
    } else {
        (4.0 + f64::from(part(g)) - f64::from(part(r))) as f32
    };
    let h = ((f64::from(sector) / 6.0 + 1.0) % 1.0) as f32;
    let s = range / f32::from(max);
    [(f64::from(h) * 255.0) as u8, (f64::from(s) * 255.0) as u8, max]
}

/// Pillow's `hsv2rgb`.
fn rgb_from_hsv([h, s, v]: [u8; 3]) -> [u8; 3] {
    if s == 0 {
        return [v; 3];
    }
    let sixths = f64::from(h) * 6.0 / 255.0;
    let sector = sixths.floor();
    let f = f64::from((sixths - sector) as f32);
    let s = f64::from(f32::from(s) / 255.0);
    let level = |share: f64| (f64::from(v) * share).round().clamp(0.0, 255.0) as u8;
    let (p, q, t) = (level(1.0 - s), level(1.0 - s * f), level(1.0 - s * (1.0 - f)));
    match sector as u8 % 6 {
        0 => [v, t, p],
        1 => [q, v, p],
        2 => [p, v, t],
        3 => [p, q, v],
        4 => [t, p, v],
        _ => [v, p, q],
    }
}
