//! Boxes drawn into pictures, pixel by pixel, and the PNG read back.

use frostline::data::{Rgb8, image};
use frostline::train::detection::{
    Detection, OverlayBox, Truth, class_color, draw_boxes, ink_on, overlay, png, write_png,
};

const RED: [u8; 3] = [200, 10, 20];

fn at(picture: &Rgb8, x: u32, y: u32) -> [u8; 3] {
    let from = (y as usize * picture.width as usize + x as usize) * 3;
    [picture.pixels[from], picture.pixels[from + 1], picture.pixels[from + 2]]
}

fn plain(xywh: [f64; 4]) -> OverlayBox {
    OverlayBox { xywh, color: RED, label: String::new(), dashed: false }
}

/// How many pixels have the color.
fn count(picture: &Rgb8, color: [u8; 3]) -> usize {
    picture.pixels.chunks_exact(3).filter(|pixel| *pixel == color).count()
}

#[test]
fn a_line_is_two_pixels_wide_and_inside() {
    let mut picture = Rgb8::filled(40, 30, 0);
    draw_boxes(&mut picture, &[plain([4.6, 6.4, 20.0, 10.0])]); // 5..25, 6..16
    let on = |x: u32, y: u32| {
        (5..25).contains(&x) && (6..16).contains(&y) && !((7..23).contains(&x) && (8..14).contains(&y))
    };
    for y in 0..30 {
        for x in 0..40 {
            assert_eq!(at(&picture, x, y), if on(x, y) { RED } else { [0; 3] }, "{x} {y}");
        }
    }
}

#[test]
fn lines_grow_with_the_picture() {
    let mut picture = Rgb8::filled(2000, 1500, 0);
    draw_boxes(&mut picture, &[plain([100.0, 100.0, 200.0, 100.0])]);
    assert_eq!(count(&picture, RED), 200 * 100 - 188 * 88, "6 pixels at 1500");
}

#[test]
fn edges_tiny_boxes_and_no_numbers_are_survived() {
    let mut picture = Rgb8::filled(20, 10, 0);
    draw_boxes(&mut picture, &[plain([-5.0, -5.0, 100.0, 100.0])]);
    assert_eq!(count(&picture, RED), 0, "its sides lie outside");
    draw_boxes(&mut picture, &[plain([3.0, 3.0, 0.0, 0.0]), plain([10.0, 3.0, 3.0, 3.0])]);
    assert_eq!(count(&picture, RED), 1 + 9);
    let broken = [f64::NAN, f64::INFINITY].map(|x| OverlayBox { label: "x".to_owned(), ..plain([x, 0.0, 5.0, 5.0]) });
    draw_boxes(&mut picture, &broken);
    assert_eq!(count(&picture, RED), 10);
    let far = [plain([1e300, 1e300, 1e300, 1e300]), OverlayBox { dashed: true, ..plain([-1e12, 2.0, 2e12, 5.0]) }];
    draw_boxes(&mut picture, &far);
    draw_boxes(&mut Rgb8::filled(0, 0, 0), &[OverlayBox { label: "x".to_owned(), ..plain([0.0; 4]) }]);
}

#[test]
fn truths_are_dashed() {
    let mut picture = Rgb8::filled(60, 60, 0);
    draw_boxes(&mut picture, &[OverlayBox { dashed: true, ..plain([10.0, 10.0, 40.0, 40.0]) }]);
    // Dashes of 8 pixels every 16 from the corner, on all sides.
    let row = |y: u32| (10..50).map(|x| at(&picture, x, y) == RED).collect::<Vec<_>>();
    assert!(row(10).iter().enumerate().skip(2).take(36).all(|(i, on)| *on == (i % 16 < 8)), "{:?}", row(10));
    assert_eq!((at(&picture, 30, 10), at(&picture, 20, 10)), (RED, [0; 3]));
}

#[test]
fn labels_stand_above_or_inside_and_stay_in_the_picture() {
    let label = |xywh, text: &str| OverlayBox { label: text.to_owned(), ..plain(xywh) };
    // One font pixel is one pixel here: a text of 4 characters is 25 wide and 10 high.
    let mut above = Rgb8::filled(100, 60, 0);
    draw_boxes(&mut above, &[label([10.0, 30.0, 40.0, 20.0], "cell")]);
    assert_eq!(
        (at(&above, 10, 20), at(&above, 34, 29), at(&above, 35, 25), at(&above, 10, 19)),
        (RED, RED, [0; 3], [0; 3])
    );
    assert!(count(&above, ink_on(RED)) > 20, "the letters");
    let mut inside = Rgb8::filled(100, 60, 0);
    draw_boxes(&mut inside, &[label([90.0, 3.0, 40.0, 40.0], "cell")]);
    assert_eq!(
        (at(&inside, 75, 3), at(&inside, 99, 12), at(&inside, 74, 3), at(&inside, 75, 2)),
        (RED, RED, [0; 3], [0; 3])
    );
    let mut narrow = Rgb8::filled(8, 8, 0);
    draw_boxes(&mut narrow, &[label([2.0, 2.0, 4.0, 4.0], "a name that is far too long")]);
    assert_eq!(at(&narrow, 0, 0), RED);
}

#[test]
fn labels_name_class_and_score() {
    let classes = ["cat", "", "猫"].map(str::to_owned);
    let said = |class, score| Detection { class, xywh: [0.0, 0.0, 4.0, 4.0], score };
    let label = |class, score| OverlayBox::said(&said(class, score), &classes).label;
    assert_eq!(label(0, 0.874), "cat 0.87");
    assert_eq!(
        (label(1, 1.0), label(2, 0.5), label(9, 0.05)),
        ("class 1 1.00".into(), "class 2 0.50".into(), "class 9 0.05".into())
    );
    let there = OverlayBox::there(&Truth::new(0, [0.0; 4]), &classes);
    assert_eq!((there.label.as_str(), there.dashed, there.color), ("cat", true, class_color(0)));
}

#[test]
fn the_surest_is_on_top_and_the_png_is_read_back() {
    let picture = Rgb8::filled(300, 260, 90);
    let same = [50.0, 60.0, 100.0, 80.0];
    let said = |class, score| Detection { class, xywh: same, score };
    let classes = ["a", "b"].map(str::to_owned);
    let drawn =
        overlay(&picture, &[Truth::new(0, [200.0, 100.0, 50.0, 50.0])], &[said(0, 0.9), said(1, 0.4)], &classes);
    assert_eq!((at(&drawn, 50, 100), at(&drawn, 200, 100)), (class_color(0), class_color(0)));
    assert_eq!(at(&picture, 50, 100), [90; 3], "the picture itself is left alone");
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("out.png");
    write_png(&drawn, &file).unwrap();
    let bytes = std::fs::read(&file).unwrap();
    assert_eq!(image::decode(&bytes, "out.png").unwrap(), drawn);
    assert_eq!(png(&drawn).unwrap(), bytes);
    let error = write_png(&drawn, &home.path().join("none/out.png")).unwrap_err();
    assert!(error.starts_with("Cannot write ") && error.contains("out.png"), "{error}");
}
