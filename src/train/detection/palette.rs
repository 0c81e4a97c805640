//! Colors of classes, the same in the window and in saved pictures.

/// Each color is the farthest from all before it in CIELAB (distances of ΔE76: over 40 among the first sixteen, over 17 among all),
/// chosen from those that stand out on pictures: lightness 42 to 88, chroma at least 40.
#[rustfmt::skip]
const COLORS: [u32; 80] = [
    0x3C_96_FF, 0x00_FF_00, 0xFF_00_00, 0x69_69_1E, 0xFF_00_FF, 0x00_F0_F0, 0xB4_2D_69, 0xE1_E1_00,
    0x1E_4B_FF, 0x87_F0_87, 0xFF_96_69, 0xFF_B4_FF, 0x96_3C_B4, 0x00_96_69, 0xE1_D2_78, 0xF0_A5_00,
    0xFF_00_5A, 0x00_87_00, 0xFF_0F_B4, 0x00_C3_FF, 0x78_D2_00, 0xB4_3C_00, 0x96_00_FF, 0x69_5A_A5,
    0xFF_96_A5, 0xFF_78_FF, 0x96_5A_2D, 0x87_A5_1E, 0xFF_78_00, 0xC3_4B_4B, 0x4B_69_F0, 0x2D_F0_5A,
    0x00_F0_B4, 0xA5_78_00, 0xFF_78_C3, 0x87_B4_69, 0xB4_87_F0, 0xB4_5A_FF, 0xB4_B4_FF, 0xB4_69_A5,
    0xFF_5A_4B, 0xC3_00_C3, 0xFF_0F_87, 0x3C_78_2D, 0x00_B4_5A, 0x0F_87_C3, 0xC3_2D_96, 0xD2_E1_5A,
    0xFF_C3_87, 0xD2_B4_2D, 0x69_D2_A5, 0xE1_87_2D, 0x00_B4_0F, 0xFF_5A_87, 0xFF_D2_0F, 0xD2_0F_0F,
    0xB4_96_4B, 0x00_F0_87, 0x00_B4_A5, 0x3C_E1_FF, 0x78_C3_3C, 0xC3_1E_F0, 0xA5_5A_00, 0x5A_78_00,
    0xB4_E1_00, 0xD2_78_69, 0xF0_4B_00, 0xC3_1E_2D, 0x2D_69_B4, 0x69_B4_FF, 0xB4_E1_78, 0x69_4B_E1,
    0xD2_69_D2, 0xFF_78_78, 0xF0_96_C3, 0xD2_00_5A, 0x2D_69_D2, 0x69_F0_0F, 0xFF_3C_E1, 0xC3_78_FF,
];

/// The color of a class, red, green and blue. It depends on the id alone; from 80 classes on they come again.
#[must_use]
pub fn class_color(class: u32) -> [u8; 3] {
    let packed = COLORS.get(class as usize % COLORS.len()).copied().unwrap_or_default();
    let [_, red, green, blue] = packed.to_be_bytes();
    [red, green, blue]
}

/// Black or white, whichever is easier to read on a color (Rec. 601 luma).
#[must_use]
pub fn ink_on([red, green, blue]: [u8; 3]) -> [u8; 3] {
    let luma = 299 * u32::from(red) + 587 * u32::from(green) + 114 * u32::from(blue);
    if luma > 128_000 { [0; 3] } else { [255; 3] }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// CIELAB under D65 of an sRGB color (IEC 61966-2-1, CIE 15).
    fn lab(color: [u8; 3]) -> [f64; 3] {
        let [r, g, b] = color.map(|value| {
            let v = f64::from(value) / 255.0;
            if v <= 0.040_45 { v / 12.92 } else { ((v + 0.055) / 1.055).powf(2.4) }
        });
        let f = |t: f64| if t > 216.0 / 24389.0 { t.cbrt() } else { (24389.0 / 27.0 * t + 16.0) / 116.0 };
        let x = f((0.412_456_4 * r + 0.357_576_1 * g + 0.180_437_5 * b) / 0.950_47);
        let y = f(0.212_672_9 * r + 0.715_152_2 * g + 0.072_175_0 * b);
        let z = f((0.019_333_9 * r + 0.119_192_0 * g + 0.950_304_1 * b) / 1.088_83);
        [116.0 * y - 16.0, 500.0 * (x - y), 200.0 * (y - z)]
    }

    #[test]
    fn colors_are_as_far_apart_as_told() {
        assert_eq!((class_color(0), class_color(2), class_color(82)), ([60, 150, 255], [255, 0, 0], [255, 0, 0]));
        let labs: Vec<[f64; 3]> = (0..80).map(|class| lab(class_color(class))).collect();
        for (i, a) in labs.iter().enumerate() {
            assert!((41.9..88.1).contains(&a[0]) && a[1].hypot(a[2]) > 39.9, "class {i}: {a:?}");
            for (j, b) in labs.iter().enumerate().take(i) {
                let distance = a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt();
                assert!(distance > if i < 16 { 40.0 } else { 17.0 }, "classes {j} and {i}: {distance}");
            }
        }
    }

    #[test]
    fn ink_is_readable() {
        assert_eq!((ink_on([255, 255, 0]), ink_on([0, 0, 255]), ink_on([0, 255, 0])), ([0; 3], [255; 3], [0; 3]));
    }
}
