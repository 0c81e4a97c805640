//! A small bitmap font for labels in pictures: the printable ASCII characters, five by seven pixels and a row for tails.

use crate::data::Rgb8;

/// Pixels from one character to the next.
const STEP_PX: u32 = 6;
/// Rows of a character.
const ROWS_PX: u32 = 8;
/// Free rows and columns around a text.
const MARGIN_PX: u32 = 1;

/// The characters from the space on, sixteen in a row; the last one is a box.
#[rustfmt::skip]
const SHEET: [[&str; 8]; 6] = [
    //  !"#$%&'()*+,-./
    [
        "..... ..#.. .#.#. .#.#. ..#.. ##..# .##.. ..#.. ...#. .#... ..... ..... ..... ..... ..... ....#",
        "..... ..#.. .#.#. .#.#. .#### ##..# #..#. ..#.. ..#.. ..#.. ..#.. ..#.. ..... ..... ..... ....#",
        "..... ..#.. .#.#. ##### #.#.. ...#. #.#.. .#... .#... ...#. #.#.# ..#.. ..... ..... ..... ...#.",
        "..... ..#.. ..... .#.#. .###. ..#.. .#... ..... .#... ...#. .###. ##### ..... ##### ..... ..#..",
        "..... ..#.. ..... ##### ..#.# .#... #.#.# ..... .#... ...#. #.#.# ..#.. ..... ..... ..... .#...",
        "..... ..... ..... .#.#. ####. #..## #..#. ..... ..#.. ..#.. ..#.. ..#.. ..#.. ..... .##.. #....",
        "..... ..#.. ..... .#.#. ..#.. #..## .##.# ..... ...#. .#... ..... ..... ..#.. ..... .##.. #....",
        "..... ..... ..... ..... ..... ..... ..... ..... ..... ..... ..... ..... .#... ..... ..... .....",
    ],
    // 0123456789:;<=>?
    [
        ".###. ..#.. .###. ##### ...#. ##### ..##. ##### .###. .###. ..... ..... ...#. ..... .#... .###.",
        "#...# .##.. #...# ...#. ..##. #.... .#... ....# #...# #...# .##.. .##.. ..#.. ..... ..#.. #...#",
        "#..## ..#.. ....# ..#.. .#.#. ####. #.... ...#. #...# #...# .##.. .##.. .#... ##### ...#. ....#",
        "#.#.# ..#.. ...#. ...#. #..#. ....# ####. ..#.. .###. .#### ..... ..... #.... ..... ....# ...#.",
        "##..# ..#.. ..#.. ....# ##### ....# #...# ..#.. #...# ....# .##.. .##.. .#... ##### ...#. ..#..",
        "#...# ..#.. .#... #...# ...#. #...# #...# ..#.. #...# ...#. .##.. ..#.. ..#.. ..... ..#.. .....",
        ".###. .###. ##### .###. ...#. .###. .###. ..#.. .###. .##.. ..... .#... ...#. ..... .#... ..#..",
        "..... ..... ..... ..... ..... ..... ..... ..... ..... ..... ..... ..... ..... ..... ..... .....",
    ],
    // @ABCDEFGHIJKLMNO
    [
        ".###. .###. ####. .###. ###.. ##### ##### .###. #...# .###. ..### #...# #.... #...# #...# .###.",
        "#...# #...# #...# #...# #..#. #.... #.... #...# #...# ..#.. ...#. #..#. #.... ##.## ##..# #...#",
        "#.### #...# #...# #.... #...# #.... #.... #.... #...# ..#.. ...#. #.#.. #.... #.#.# #.#.# #...#",
        "#.#.# ##### ####. #.... #...# ####. ####. #.### ##### ..#.. ...#. ##... #.... #.#.# #..## #...#",
        "#.### #...# #...# #.... #...# #.... #.... #...# #...# ..#.. ...#. #.#.. #.... #...# #...# #...#",
        "#.... #...# #...# #...# #..#. #.... #.... #...# #...# ..#.. #..#. #..#. #.... #...# #...# #...#",
        ".###. #...# ####. .###. ###.. ##### #.... .#### #...# .###. .##.. #...# ##### #...# #...# .###.",
        "..... ..... ..... ..... ..... ..... ..... ..... ..... ..... ..... ..... ..... ..... ..... .....",
    ],
    // PQRSTUVWXYZ[\]^_
    [
        "####. .###. ####. .#### ##### #...# #...# #...# #...# #...# ##### .###. #.... .###. ..#.. .....",
        "#...# #...# #...# #.... ..#.. #...# #...# #...# #...# #...# ....# .#... #.... ...#. .#.#. .....",
        "#...# #...# #...# #.... ..#.. #...# #...# #...# .#.#. .#.#. ...#. .#... .#... ...#. #...# .....",
        "####. #...# ####. .###. ..#.. #...# #...# #.#.# ..#.. ..#.. ..#.. .#... ..#.. ...#. ..... .....",
        "#.... #.#.# #.#.. ....# ..#.. #...# #...# #.#.# .#.#. ..#.. .#... .#... ...#. ...#. ..... .....",
        "#.... #..#. #..#. ....# ..#.. #...# .#.#. ##.## #...# ..#.. #.... .#... ....# ...#. ..... .....",
        "#.... .##.# #...# ####. ..#.. .###. ..#.. #...# #...# ..#.. ##### .###. ....# .###. ..... .....",
        "..... ..... ..... ..... ..... ..... ..... ..... ..... ..... ..... ..... ..... ..... ..... #####",
    ],
    // `abcdefghijklmno
    [
        ".#... ..... #.... ..... ....# ..... ..##. ..... #.... ..#.. ...#. #.... .##.. ..... ..... .....",
        ".#... ..... #.... ..... ....# ..... .#..# ..... #.... ..... ..... #.... ..#.. ..... ..... .....",
        "..#.. .###. #.##. .###. .##.# .###. .#... .#### #.##. .##.. ..##. #..#. ..#.. ##.#. #.##. .###.",
        "..... ....# ##..# #.... #..## #...# ####. #...# ##..# ..#.. ...#. #.#.. ..#.. #.#.# ##..# #...#",
        "..... .#### #...# #.... #...# ##### .#... #...# #...# ..#.. ...#. ##... ..#.. #.#.# #...# #...#",
        "..... #...# #...# #...# #...# #.... .#... .#### #...# ..#.. ...#. #.#.. ..#.. #.#.# #...# #...#",
        "..... .#### ####. .###. .#### .###. .#... ....# #...# .###. #..#. #..#. .###. #...# #...# .###.",
        "..... ..... ..... ..... ..... ..... ..... .###. ..... ..... .##.. ..... ..... ..... ..... .....",
    ],
    // pqrstuvwxyz{|}~□
    [
        "..... ..... ..... ..... .#... ..... ..... ..... ..... ..... ..... ...#. ..#.. .#... ..... #####",
        "..... ..... ..... ..... .#... ..... ..... ..... ..... ..... ..... ..#.. ..#.. ..#.. ..... #...#",
        "####. .#### #.##. .#### ####. #...# #...# #...# #...# #...# ##### ..#.. ..#.. ..#.. ..... #...#",
        "#...# #...# ##..# #.... .#... #...# #...# #...# .#.#. #...# ...#. .#... ..#.. ...#. .#..# #...#",
        "#...# #...# #.... .###. .#... #...# #...# #.#.# ..#.. #...# ..#.. ..#.. ..#.. ..#.. #.##. #...#",
        "####. .#### #.... ....# .#..# #..## .#.#. #.#.# .#.#. .#### .#... ..#.. ..#.. ..#.. ..... #...#",
        "#.... ....# #.... ####. ..##. .##.# ..#.. .#.#. #...# ....# ##### ...#. ..#.. .#... ..... #####",
        "#.... ....# ..... ..... ..... ..... ..... ..... ..... .###. ..... ..... ..... ..... ..... .....",
    ],
];

/// Whether the font has all characters of a text, accents of Latin letters aside.
pub(super) fn can_draw(text: &str) -> bool {
    text.chars().all(|c| glyph(c).is_some())
}

/// Width and height of a text with its margin, each font pixel `scale` pixels wide.
pub(super) fn size_px(text: &str, scale: u32) -> (u32, u32) {
    let characters = u32::try_from(text.chars().count()).unwrap_or(u32::MAX / 8);
    let columns = (characters.saturating_mul(STEP_PX)).saturating_sub(1) + 2 * MARGIN_PX;
    (columns.saturating_mul(scale), (ROWS_PX + 2 * MARGIN_PX).saturating_mul(scale))
}

/// Draws a text with its upper left corner, margin included, at `at`; what lies outside the picture is left out. Characters
/// that the font lacks are boxes.
pub(super) fn draw(picture: &mut Rgb8, text: &str, at: [i64; 2], scale: u32, color: [u8; 3]) {
    let side = i64::from(scale);
    for (place, c) in (0..).zip(text.chars()) {
        let (block, column) = glyph(c).unwrap_or((SHEET.len() - 1, 15));
        for (row, line) in (0..).zip(&SHEET[block]) {
            let bits = line.bytes().skip(column * STEP_PX as usize).take(5);
            for (x, _) in (0..).zip(bits).filter(|(_, bit)| *bit == b'#') {
                let left = at[0] + side * (i64::from(MARGIN_PX) + place * i64::from(STEP_PX) + x);
                let top = at[1] + side * (i64::from(MARGIN_PX) + row);
                fill(picture, [left, top, left + side, top + side], color);
            }
        }
    }
}

/// Block and column of a character in the sheet.
fn glyph(c: char) -> Option<(usize, usize)> {
    let code = u32::from(plain(c)).checked_sub(32)? as usize;
    (code < 95).then_some((code / 16, code % 16))
}

/// A Latin letter without its accent.
fn plain(c: char) -> char {
    match c {
        'À'..='Å' | 'Ă' | 'Ą' => 'A',
        'Ç' | 'Ć' | 'Č' => 'C',
        'È'..='Ë' | 'Ę' | 'Ě' => 'E',
        'Ì'..='Ï' | 'İ' => 'I',
        'Ł' => 'L',
        'Ñ' | 'Ń' | 'Ň' => 'N',
        'Ò'..='Ö' | 'Ø' | 'Ő' => 'O',
        'Ř' => 'R',
        'Ś' | 'Ş' | 'Š' => 'S',
        'Ù'..='Ü' | 'Ů' | 'Ű' => 'U',
        'Ý' => 'Y',
        'Ź' | 'Ż' | 'Ž' => 'Z',
        'à'..='å' | 'ă' | 'ą' => 'a',
        'ç' | 'ć' | 'č' => 'c',
        'è'..='ë' | 'ę' | 'ě' => 'e',
        'ğ' => 'g',
        'ì'..='ï' | 'ı' => 'i',
        'ł' => 'l',
        'ñ' | 'ń' | 'ň' => 'n',
        'ò'..='ö' | 'ø' | 'ő' => 'o',
        'ř' => 'r',
        'ß' | 'ś' | 'ş' | 'š' => 's',
        'ù'..='ü' | 'ů' | 'ű' => 'u',
        'ý' | 'ÿ' => 'y',
        'ź' | 'ż' | 'ž' => 'z',
        _ => c,
    }
}

/// Fills left, top, right, bottom (both ends from 0, the latter excluded) as far as it lies in the picture.
pub(super) fn fill(picture: &mut Rgb8, [left, top, right, bottom]: [i64; 4], color: [u8; 3]) {
    let inside = |value: i64, side: u32| value.clamp(0, i64::from(side)) as usize;
    let (left, right) = (inside(left, picture.width), inside(right, picture.width));
    let stride = picture.stride();
    for row in inside(top, picture.height)..inside(bottom, picture.height) {
        let pixels = picture.pixels.get_mut(row * stride + left * 3..row * stride + right.max(left) * 3);
        for pixel in pixels.unwrap_or_default().chunks_exact_mut(3) {
            pixel.copy_from_slice(&color);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sheet_is_whole_and_no_two_characters_look_alike() {
        for line in SHEET.iter().flatten() {
            assert_eq!(line.len(), 16 * 6 - 1, "{line}");
            assert!(line.bytes().enumerate().all(|(i, b)| if i % 6 == 5 {
                b == b' '
            } else {
                matches!(b, b'#' | b'.')
            }));
        }
        let shape = |c: char| {
            let (block, column) = glyph(c).unwrap();
            SHEET[block].map(|line| line.get(column * 6..column * 6 + 5).unwrap())
        };
        let all: Vec<char> = (' '..='~').collect();
        for (i, a) in all.iter().enumerate() {
            assert!(all.iter().skip(i + 1).all(|b| shape(*a) != shape(*b)), "{a}");
        }
        assert_eq!(
            (glyph(' '), glyph('~'), glyph('\x7f'), glyph('é')),
            (Some((0, 0)), Some((5, 14)), None, glyph('e'))
        );
        assert!(can_draw("Größe 1, żółty") && !can_draw("猫") && !can_draw("\n"));
    }

    #[test]
    fn a_letter_stands_where_it_should() {
        let mut picture = Rgb8::filled(10, 12, 0);
        draw(&mut picture, "L", [1, 1], 1, [255; 3]);
        let lit = |x: usize, y: usize| picture.pixels[(y * 10 + x) * 3] == 255;
        let want = |x: usize, y: usize| (x == 2 && (2..=8).contains(&y)) || (y == 8 && (2..=6).contains(&x));
        assert!((0..12).all(|y| (0..10).all(|x| lit(x, y) == want(x, y))));
        assert_eq!((size_px("L", 1), size_px("ab", 3), size_px("", 1)), ((7, 10), (39, 30), (2, 10)));
        draw(&mut picture, "WWWW", [-3, -3], 4, [255; 3]); // over all edges
    }
}
