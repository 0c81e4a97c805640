//! Pictures with masks in files: layouts, what values mean, tables, and every trap told by file.

#![allow(
    clippy::allow_attributes,
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "helpers of tests fail as tests do"
)]

mod common;

use common::sets::{ids, open_at, sample, write};
use frostline::data::{
    Dataset, Issue, MaskValue, OpenOptions, Quiet, Severity, Split, Task, ValSource, load_instances, load_mask,
    name_classes, open,
};
use image::{ExtendedColorType, ImageFormat};
use std::fs;
use std::path::PathBuf;

const WIDTH: u32 = 8;
const HEIGHT: u32 = 6;

fn encode(format: ImageFormat, color: ExtendedColorType, size: [u32; 2], bytes: &[u8]) -> Vec<u8> {
    let mut out = std::io::Cursor::new(Vec::new());
    image::write_buffer_with_format(&mut out, bytes, size[0], size[1], color, format).unwrap();
    out.into_inner()
}

/// A picture that no other has.
fn picture(n: u8) -> Vec<u8> {
    let bytes: Vec<u8> = (0..WIDTH * HEIGHT).flat_map(|i| [n, i as u8, 7]).collect();
    encode(ImageFormat::Png, ExtendedColorType::Rgb8, [WIDTH, HEIGHT], &bytes)
}

/// A grey mask: the first pixels have these values, the others the first of them.
fn grey(values: &[u8]) -> Vec<u8> {
    encode(ImageFormat::Png, ExtendedColorType::L8, [WIDTH, HEIGHT], &filled(values))
}

fn filled<T: Copy>(values: &[T]) -> Vec<T> {
    let mut all = values.to_vec();
    all.resize((WIDTH * HEIGHT) as usize, values[0]);
    all
}

fn colored(colors: &[[u8; 3]]) -> Vec<u8> {
    encode(ImageFormat::Png, ExtendedColorType::Rgb8, [WIDTH, HEIGHT], &filled(colors).concat())
}

/// `images/{a,b,c,…}.png` with `masks/` of these.
fn set_of(masks: &[Vec<u8>]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (n, mask) in (0u8..).zip(masks) {
        let name = char::from(b'a' + n);
        write(dir.path(), &format!("images/{name}.png"), &picture(n));
        write(dir.path(), &format!("masks/{name}.png"), mask);
    }
    dir
}

fn issue<'a>(set: &'a Dataset, file: &str, what: &str) -> &'a Issue {
    let found = set.issues.iter().find(|i| i.file.ends_with(file) && i.what.contains(what));
    found.unwrap_or_else(|| panic!("no issue of '{file}' with '{what}' in {:#?}", set.issues))
}

fn names(set: &Dataset) -> Vec<&str> {
    set.classes().iter().map(String::as_str).collect()
}

/// How many pictures each part has.
fn parts(set: &Dataset) -> [usize; 3] {
    [Split::Train, Split::Val, Split::Test].map(|split| set.indices(split).len())
}

#[test]
fn layouts_pair_by_name() {
    let layouts: [(&[&str; 2], [&str; 2], [usize; 3]); 8] = [
        (&["train/images/", ".png"], ["train/masks/", ".png"], [2, 1, 0]),
        (&["images/train/", ".png"], ["labels/train/", ".png"], [2, 1, 0]),
        (&["train/", ".jpg.png"], ["train_masks/", ".jpg_mask.png"], [2, 1, 0]),
        (&["val/", ".png"], ["valannot/", ".png"], [0, 3, 0]),
        (&["x/", ".png"], ["x/", "_mask.png"], [2, 1, 0]),
        (&["set/imgs/", ".png"], ["set/masks/", "_mask.bmp"], [2, 1, 0]),
        (&["JPEGImages/", ".png"], ["SegmentationClass/", ".png"], [2, 1, 0]),
        (&["images/", "_sat.png"], ["masks/", "_mask.tiff"], [2, 1, 0]),
    ];
    for (pictures, masks, split) in layouts {
        let dir = tempfile::tempdir().unwrap();
        for (n, name) in ["a", "b", "c"].iter().enumerate() {
            write(dir.path(), &format!("{}{name}{}", pictures[0], pictures[1]), &picture(n as u8));
            let format = ImageFormat::from_path(format!("x{}", masks[1])).unwrap();
            let mask =
                encode(format, ExtendedColorType::L8, [WIDTH, HEIGHT], &filled(&[0, 255, 255, n as u8 / 2 * 255]));
            write(dir.path(), &format!("{}{name}{}", masks[0], masks[1]), &mask);
        }
        let set = open_at(dir.path());
        assert_eq!((set.task, names(&set)), (Task::Segment, vec!["background", "foreground"]), "{pictures:?}");
        assert_eq!(parts(&set), split, "{pictures:?}: {:#?}", set.issues);
        let c = format!("c{}", pictures[1]);
        assert_eq!(ids(&set, &c, 5), [0, 1, 1, 1, 0]);
        assert_eq!(sample(&set, &c).target.mask_px, [45, 3]);
        assert_eq!((set.found, set.skipped()), (3, 0));
    }
}

#[test]
fn gifs_and_files_without_a_partner() {
    let dir = set_of(&[grey(&[0, 255]), grey(&[0, 255])]);
    let gif = encode(ImageFormat::Gif, ExtendedColorType::Rgb8, [WIDTH, HEIGHT], &filled(&[[0; 3], [255; 3]]).concat());
    write(dir.path(), "images/g.png", &picture(9));
    write(dir.path(), "masks/g_mask.gif", &gif);
    write(dir.path(), "images/alone.png", &picture(10));
    write(dir.path(), "masks/lonely.png", &grey(&[0]));
    write(dir.path(), "images/twice.png", &picture(11));
    write(dir.path(), "masks/twice.png", &grey(&[0]));
    write(dir.path(), "masks/twice.bmp", &grey(&[0]));
    let set = open_at(dir.path());
    assert_eq!(ids(&set, "g.png", 3), [0, 1, 0]);
    assert_eq!((set.used(), set.found), (3, 5));
    assert_eq!(issue(&set, "images/alone.png", "a picture without a mask").severity, Severity::Warning);
    assert_eq!(issue(&set, "masks/lonely.png", "a mask without a picture").severity, Severity::Warning);
    assert_eq!(issue(&set, "images/twice.png", "its mask may be").severity, Severity::Error);
}

#[test]
fn face_masks_are_classes() {
    let dir = tempfile::tempdir().unwrap();
    for n in 0..6 {
        write(dir.path(), &format!("{}/{n}.png", if n % 2 == 0 { "with_mask" } else { "without_mask" }), &picture(n));
    }
    assert_eq!(open_at(dir.path()).task, Task::Classify);
}

#[test]
fn values_mean_classes_by_the_whole_set() {
    let read = |masks: &[Vec<u8>]| open_at(set_of(masks).path());
    // 0/255 is told from 0/1, and 255 beside 1 is what counts for nothing.
    let set = read(&[grey(&[0, 255, 0]), grey(&[0])]);
    assert_eq!(
        (names(&set), set.samples[0].target.mask_px.as_slice()),
        (vec!["background", "foreground"], &[47, 1][..])
    );
    issue(&set, "b.png", "nothing but background");
    let set = read(&[grey(&[0, 1, 255]), grey(&[1, 0])]);
    assert_eq!(
        (names(&set), set.samples[0].target.mask_px.as_slice()),
        (vec!["background", "foreground"], &[46, 1][..])
    );
    // Class ids, with gaps.
    let set = read(&[grey(&[0, 7, 255]), grey(&[2, 0]), grey(&[0, 2])]);
    assert_eq!(names(&set), ["background", "class 2", "class 7"]);
    assert_eq!(set.samples[0].target.mask_px, [46, 0, 1]);
    issue(&set, "", "values are class ids without names");
    // Grey of 2 bits is not scaled: the values 0 to 3.
    let bits: Vec<u8> = (0..HEIGHT).flat_map(|_| [0b0001_1011, 0]).collect();
    let set = read(&[two_bits(&bits), two_bits(&bits)]);
    assert_eq!(names(&set), ["background", "class 1", "class 2", "class 3"], "{:#?}", set.issues);
    // Levels that are no ids.
    let set = read(&[grey(&[0, 128, 255]), grey(&[0, 64])]);
    let what = &issue(&set, "", "the masks have the values 0 (").what;
    assert!(what.contains("128 (1.0 %)") && what.contains("64 (1.0 %)") && what.contains("classes.csv"), "{what}");
    assert_eq!(set.usable().unwrap_err(), ["no picture can be used"]);
    // Nothing but background.
    let set = read(&[grey(&[0]), grey(&[0, 0])]);
    assert_eq!(set.usable().unwrap_err(), ["no mask to train on shows anything but background"]);
}

/// A grey PNG of 2 bits a pixel, two bytes a row.
fn two_bits(rows: &[u8]) -> Vec<u8> {
    let crc = |bytes: &[u8]| {
        let step = |crc: u32, byte: &u8| {
            (0..8).fold(crc ^ u32::from(*byte), |c, _| if c & 1 == 1 { c >> 1 ^ 0xEDB8_8320 } else { c >> 1 })
        };
        !bytes.iter().fold(!0, step)
    };
    let chunk = |out: &mut Vec<u8>, kind: &[u8], data: &[u8]| {
        out.extend((data.len() as u32).to_be_bytes());
        out.extend(kind);
        out.extend(data);
        out.extend(crc(&[kind, data].concat()).to_be_bytes());
    };
    let mut out = b"\x89PNG\r\n\x1a\n".to_vec();
    chunk(&mut out, b"IHDR", &[&WIDTH.to_be_bytes()[..], &HEIGHT.to_be_bytes(), &[2, 0, 0, 0, 0]].concat());
    let raw: Vec<u8> = rows.chunks(2).flat_map(|row| [0, row[0], row[1]]).collect();
    let (a, b) =
        raw.iter().fold((1u32, 0u32), |(a, b), v| ((a + u32::from(*v)) % 65521, (a + u32::from(*v) + b) % 65521));
    let length = raw.len() as u16;
    let mut zlib = vec![0x78, 1, 1];
    zlib.extend(length.to_le_bytes());
    zlib.extend((!length).to_le_bytes());
    zlib.extend(&raw);
    zlib.extend((b << 16 | a).to_be_bytes());
    chunk(&mut out, b"IDAT", &zlib);
    chunk(&mut out, b"IEND", &[]);
    out
}

#[test]
fn tables_name_classes() {
    let mut kept = Vec::new();
    let mut open_with = |masks: &[Vec<u8>], file: &str, text: &str| {
        let dir = set_of(masks);
        write(dir.path(), file, text.as_bytes());
        let set = open_at(dir.path());
        kept.push(dir);
        set
    };
    let plain = [grey(&[0, 1, 2]), grey(&[1, 0, 255])];
    let set = open_with(&plain, "classes.txt", "sky\nbig tree\ncar 2\n");
    assert_eq!(names(&set), ["sky", "big tree", "car 2"]);
    assert_eq!(set.samples[0].target.mask_px, [46, 1, 1]);
    for (file, text) in [
        ("classes.csv", "value,name\n2,car\n0,sky\n1,void\n"),
        ("labels.txt", "2: car\n0: sky\n1: void\n"),
        ("id2label.json", r#"{"2": "car", "0": "sky", "1": "void"}"#),
        (
            "label_map.json",
            r#"{"classes": [{"name": "car", "id": 2}, {"name": "sky", "id": 0}, {"name": "void", "id": 1}]}"#,
        ),
    ] {
        let set = open_with(&plain, file, text);
        let mut named = names(&set);
        named.sort_unstable();
        assert_eq!(named, ["car", "sky"], "{file}");
        let first = ids(&set, "a.png", 3);
        let name = |id: u8| set.classes()[usize::from(id)].as_str();
        assert_eq!((name(first[0]), first[1], name(first[2])), ("sky", 255, "car"), "{file}");
    }
    // One or two names for 0 and 255.
    let binary = [grey(&[0, 255]), grey(&[255, 0])];
    assert_eq!(names(&open_with(&binary, "classes.txt", "cell\n")), ["background", "cell"]);
    let set = open_with(&binary, "classes.txt", "glass\ncell\n");
    assert_eq!((names(&set), ids(&set, "a.png", 2)), (vec!["glass", "cell"], vec![0, 1]));
    let set = open_with(&binary, "classes.csv", "id,name\n1,cell\n0,glass\n");
    assert_eq!((names(&set), ids(&set, "a.png", 2)), (vec!["glass", "cell"], vec![0, 1]));
    // A value beyond the table is told, and most of a mask without classes is refused.
    let set = open_with(&[grey(&[0, 1, 9]), grey(&[9, 1]), grey(&[0, 1])], "classes.txt", "a\nb\n");
    issue(&set, "masks/a.png", "2.08 % of the mask has values without a class, and counts for nothing: 9 (2.1 %)");
    assert_eq!(issue(&set, "masks/b.png", "most of the mask has values without a class: 9").severity, Severity::Error);
    assert_eq!((set.used(), ids(&set, "a.png", 3)), (2, vec![0, 1, 255]));
    let set = open_with(&plain, "classes.json", "{broken");
    issue(&set, "classes.json", "is no table of classes: it is no JSON");
}

#[test]
fn colors_need_a_table() {
    let (black, red, blue, odd) = ([0, 0, 0], [128, 0, 0], [0, 0, 192], [9, 8, 7]);
    let masks = [colored(&[black, red, blue, odd]), colored(&[black])];
    let set = open_at(set_of(&masks).path());
    let what = &issue(&set, "", "no table says what they mean").what;
    assert!(what.contains("#000000 (93.8 %), #0000c0 (2.1 %)") && what.contains("name,r,g,b"), "{what}");
    assert!(set.usable().is_err());
    for (file, text) in [
        ("class_dict.csv", "name,r,g,b\nnone,0,0,0\nred,128,0,0\nblue,0,0,192\n"),
        ("label_colors.txt", "0 0 0\tnone\n128 0 0\tred\n0 0 192\tblue\n"),
        ("labelmap.txt", "# label:color_rgb:parts:actions\nnone:0,0,0::\nred:128,0,0::\nblue:0,0,192::\n"),
        ("classes.csv", "name,color\nnone,#000000\nred,#800000\nblue,#0000c0\n"),
        (
            "palette.json",
            r##"[{"name": "none", "color": [0, 0, 0]}, {"name": "red", "color": "#800000"}, {"name": "blue", "color": [0, 0, 192]}]"##,
        ),
    ] {
        let dir = set_of(&masks);
        write(dir.path(), file, text.as_bytes());
        let set = open_at(dir.path());
        assert_eq!(
            (names(&set), ids(&set, "a.png", 5)),
            (vec!["none", "red", "blue"], vec![0, 1, 2, 255, 0]),
            "{file}"
        );
        assert_eq!(sample(&set, "a.png").target.mask_px, [45, 1, 1], "{file}");
        issue(&set, "masks/a.png", "#090807 (2.1 %)");
        // A mask of one grey color is read by the table all the same.
        assert_eq!(ids(&set, "b.png", 1), [0]);
    }
}

#[test]
fn a_person_names_colors_and_the_set_opens() {
    let (black, red, blue, odd) = ([0, 0, 0], [128, 0, 0], [0, 0, 192], [9, 8, 7]);
    let dir = set_of(&[colored(&[black, red, blue, odd]), colored(&[black])]);
    let set = open_at(dir.path());
    let found: Vec<MaskValue> = set.unnamed.iter().map(|unnamed| unnamed.value).collect();
    // The most frequent first; of equal ones the darker.
    assert_eq!(found, [black, blue, odd, red].map(MaskValue::Color));
    // Of the 48 pixels of the mask with colors; the other one is grey.
    let shares: Vec<f64> = set.unnamed.iter().map(|unnamed| unnamed.share * 48.0).collect();
    assert_eq!(shares, [45.0, 1.0, 1.0, 1.0]);
    let none = name_classes(dir.path(), &[(found[0], " ".to_owned())]).unwrap_err();
    assert!(none.to_string().contains("none of the values has a name"), "{none}");
    let given = [(found[0], "none".to_owned()), (found[1], "the sea, deep".to_owned()), (found[3], "red".to_owned())];
    let file = name_classes(dir.path(), &given).unwrap();
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "name,r,g,b\nnone,0,0,0\nthe sea  deep,0,0,192\nred,128,0,0\n");
    let set = open_at(dir.path());
    assert_eq!(
        (names(&set), ids(&set, "a.png", 5), set.unnamed.len()),
        (vec!["none", "the sea  deep", "red"], vec![0, 2, 1, 255, 0], 0)
    );
    // What is there is never written over.
    let twice = name_classes(dir.path(), &given).unwrap_err();
    assert!(twice.to_string().contains("classes.csv"), "{twice}");
    // Values that cannot be class ids are named likewise.
    let set = open_at(set_of(&[grey(&[10, 100, 200]), grey(&[10])]).path());
    assert!(set.unnamed.iter().any(|unnamed| unnamed.value == MaskValue::Value(200)), "{:?}", set.unnamed);
}

#[test]
fn smeared_masks_are_snapped_where_they_are_certain() {
    // A JPEG of a white square on black has values near both, and others at the border.
    let size = [64, 64];
    let drawn: Vec<u8> = (0..64 * 64).map(|i| if (i % 64) > 20 && i / 64 > 20 { 255 } else { 0 }).collect();
    let lossy = |values: &[u8]| encode(ImageFormat::Jpeg, ExtendedColorType::L8, size, values);
    let dir = tempfile::tempdir().unwrap();
    for (n, name) in [(1, "a"), (2, "b")] {
        let bytes: Vec<u8> = (0..64 * 64).flat_map(|i| [n, i as u8, 7]).collect();
        write(
            dir.path(),
            &format!("images/{name}.png"),
            &encode(ImageFormat::Png, ExtendedColorType::Rgb8, size, &bytes),
        );
        write(dir.path(), &format!("masks/{name}.jpg"), &lossy(&drawn));
    }
    let set = open_at(dir.path());
    issue(&set, "", "two values, smeared");
    let read = load_mask(set.samples[0].target.mask.as_ref().unwrap()).unwrap().ids;
    let mut ignored = 0;
    for (id, was) in read.iter().zip(&drawn) {
        assert!(*id == 255 || *id == was / 255);
        ignored += usize::from(*id == 255);
    }
    assert!(ignored < 200, "{ignored}");
    // Names say nothing else of the values.
    write(dir.path(), "classes.txt", b"sky\nsun\n");
    let set = open_at(dir.path());
    assert_eq!(names(&set), ["sky", "sun"]);
    assert_eq!(load_mask(set.samples[0].target.mask.as_ref().unwrap()).unwrap().ids, read);
    fs::remove_file(dir.path().join("classes.txt")).unwrap();
    // Class ids in a JPEG cannot be recovered.
    let many: Vec<u8> = (0..64 * 64).map(|i| (i % 64 / 6 * 3) as u8).collect();
    for name in ["a", "b"] {
        write(dir.path(), &format!("masks/{name}.jpg"), &lossy(&many));
    }
    let set = open_at(dir.path());
    issue(&set, "", "the masks are JPEG files, whose values are not those that were drawn");
    assert!(set.usable().is_err());
}

#[test]
fn masks_that_do_not_fit_are_told() {
    let small = encode(ImageFormat::Png, ExtendedColorType::L8, [4, 3], &[0; 12]);
    let turned = encode(ImageFormat::Png, ExtendedColorType::L8, [HEIGHT, WIDTH], &filled(&[0u8]));
    let clear = encode(ImageFormat::Png, ExtendedColorType::La8, [WIDTH, HEIGHT], &filled(&[[255, 0]]).concat());
    let dir = set_of(&[grey(&[0, 255]), small, turned, b"no picture".to_vec(), clear, grey(&[0, 255, 0])]);
    let set = open_at(dir.path());
    assert_eq!((set.used(), set.skipped()), (2, 4));
    for (file, what) in [
        ("masks/b.png", "the mask has 4x3 pixels, and b.png has 8x6; both are left out"),
        ("masks/c.png", "the mask has 6x8 pixels, and c.png has 8x6 as its EXIF data turns it"),
        ("masks/d.png", "the mask cannot be used: the content is not a picture"),
        ("masks/e.png", "the mask has transparent pixels"),
    ] {
        assert_eq!(issue(&set, file, what).severity, Severity::Error);
    }
    assert!(set.usable().is_ok(), "{:#?}", set.issues);
}

#[test]
fn instances_of_16_bits() {
    let sixteen = |values: &[u16]| {
        let bytes: Vec<u8> = filled(values).iter().flat_map(|value| value.to_ne_bytes()).collect();
        encode(ImageFormat::Png, ExtendedColorType::L16, [WIDTH, HEIGHT], &bytes)
    };
    let dir = set_of(&[sixteen(&[0, 1, 2, 900]), sixteen(&[0, 5])]);
    let set = open_at(dir.path());
    assert_eq!(names(&set), ["background", "foreground"]);
    issue(&set, "", "values of 16 bits");
    let mask = sample(&set, "a.png").target.mask.clone().unwrap();
    assert_eq!(load_mask(&mask).unwrap().ids[..5], [0, 1, 1, 1, 0]);
    assert_eq!(load_instances(&mask).unwrap().unwrap().ids[..5], [0, 1, 2, 900, 0]);
}

#[test]
fn cityscapes_ids_become_19_classes() {
    let dir = tempfile::tempdir().unwrap();
    for (n, part, town) in [(1u8, "train", "ulm"), (2, "val", "bonn")] {
        let name = format!("{part}/{town}/{town}_000000_00001{n}");
        write(dir.path(), &format!("leftImg8bit/{name}_leftImg8bit.png"), &picture(n));
        write(dir.path(), &format!("gtFine/{name}_gtFine_labelIds.png"), &grey(&[7, 33, 0, 255, 26]));
        write(dir.path(), &format!("gtFine/{name}_gtFine_labelTrainIds.png"), &grey(&[0, 18, 255, 255, 13]));
        write(dir.path(), &format!("gtFine/{name}_gtFine_color.png"), &colored(&[[128, 64, 128], [1, 2, 3]]));
        write(dir.path(), &format!("gtFine/{name}_gtFine_polygons.json"), b"{}");
    }
    let set = open_at(dir.path());
    assert_eq!((set.format.as_str(), parts(&set)), ("Cityscapes (gtFine_labelIds)", [1, 1, 0]));
    assert_eq!((set.classes().len(), set.classes()[0].as_str(), set.classes()[18].as_str()), (19, "road", "bicycle"));
    assert_eq!(ids(&set, "ulm_000000_000011_leftImg8bit.png", 6), [0, 18, 255, 255, 13, 0]);
    assert!(set.issues.iter().all(|issue| issue.severity < Severity::Error), "{:#?}", set.issues);
    let other = open_at(&dir.path().join("gtFine_labelTrainIds"));
    assert_eq!(ids(&other, "ulm_000000_000011_leftImg8bit.png", 6), [0, 18, 255, 255, 13, 0]);
    assert_eq!(other.format, "Cityscapes (gtFine_labelTrainIds)");
}

#[test]
fn voc_masks_are_indices_and_lists_are_parts() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("VOC2012");
    for (n, name) in (1u8..).zip(["2007_1", "2007_2", "2007_3", "2007_4"]) {
        write(&root, &format!("JPEGImages/{name}.jpg"), &picture(n));
        if n < 4 {
            write(&root, &format!("SegmentationClass/{name}.png"), &grey(&[0, 15, 255, n]));
            write(&root, &format!("SegmentationObject/{name}.png"), &grey(&[0, 1, 255, 2]));
        }
        let xml = format!(
            "<annotation><filename>{name}.jpg</filename><size><width>8</width><height>6</height></size><object><name>person</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>3</xmax><ymax>3</ymax></bndbox></object></annotation>"
        );
        write(&root, &format!("Annotations/{name}.xml"), xml.as_bytes());
    }
    write(&root, "ImageSets/Segmentation/train.txt", b"2007_1\n2007_2\n");
    write(&root, "ImageSets/Segmentation/val.txt", b"2007_3\n");
    let boxes = open_at(&root);
    assert_eq!(boxes.task, Task::Detect);
    issue(&boxes, "VOC2012", "have masks in files too");
    let options = OpenOptions { task: Some(Task::Segment), ..OpenOptions::default() };
    let set = open(&root, &options, &Quiet).unwrap();
    assert_eq!((parts(&set), set.classes().len(), set.classes()[15].as_str()), ([2, 1, 0], 21, "person"));
    assert_eq!(ids(&set, "2007_2.jpg", 5), [0, 15, 255, 2, 0]);
    issue(&set, "JPEGImages/2007_4.jpg", "a picture without a mask");
    let objects = open_at(&root.join("SegmentationObject"));
    let mask = sample(&objects, "2007_1.jpg").target.mask.clone().unwrap();
    // 255 is the border of objects: none of them, and no class.
    assert_eq!(load_instances(&mask).unwrap().unwrap().ids[..4], [0, 1, 0, 2]);
    assert_eq!(load_mask(&mask).unwrap().ids[..4], [0, 1, 255, 1]);
}

#[test]
fn another_set_validates_by_names_of_classes() {
    let train = set_of(&[grey(&[0, 1, 2]), grey(&[0, 2, 1])]);
    write(train.path(), "classes.txt", b"sky\nroad\ncar\n");
    let other = set_of(&[grey(&[0, 1, 1])]);
    write(other.path(), "classes.txt", b"car\nsky\n");
    let options = OpenOptions { val: ValSource::Other(other.path().to_owned()), ..OpenOptions::default() };
    let set = open(train.path(), &options, &Quiet).unwrap();
    assert_eq!(names(&set), ["sky", "road", "car"]);
    let val = &set.samples[set.indices(Split::Val)[0]];
    assert_eq!(load_mask(val.target.mask.as_ref().unwrap()).unwrap().ids[..4], [2, 0, 0, 2]);
    assert_eq!(set.pixel_counts(Split::Val), [2, 0, 46]);
}

#[test]
fn rare_classes_of_masks_are_drawn_into_both_parts() {
    let masks: Vec<Vec<u8>> = (0..10).map(|n| if n < 2 { grey(&[0, 2]) } else { grey(&[0, 1]) }).collect();
    let set = open_at(set_of(&masks).path());
    assert!(set.suggested_split);
    assert_eq!((set.class_counts(Split::Train), set.class_counts(Split::Val)), (vec![7, 6, 1], vec![3, 2, 1]));
    // Class 2 is in one of 7 pictures: sqrt(0.5 / (1 / 7)) = 1.87.
    let most = set.repeat_factors(Split::Train, 0.5).into_iter().fold(0.0, f64::max);
    assert!((most - 3.5f64.sqrt()).abs() < 1e-9, "{most}");
}

/// The nuclei of the Data Science Bowl, in three forms; the shares of the three classes are those of its SOURCE.md.
#[test]
fn nuclei() {
    let path = PathBuf::from("../shared/data/segmentation/dsb2018_nuclei");
    if !path.exists() {
        eprintln!("SKIPPED: {} is not there", path.display());
        return;
    }
    let two = open_at(&path);
    assert_eq!((parts(&two), two.skipped(), names(&two)), ([108, 28, 0], 0, vec!["background", "foreground"]));
    let three = open_at(&path.join("masks_3class"));
    assert_eq!((parts(&three), names(&three)), ([108, 28, 0], vec!["background", "class 1", "class 2"]));
    let pixels = three.pixel_counts(Split::Train);
    let all: u64 = pixels.iter().sum();
    let shares: Vec<f64> = pixels.iter().map(|count| (*count as f64 / all as f64 * 1000.0).round() / 10.0).collect();
    assert_eq!(shares, [85.7, 11.6, 2.7]);
    let dropped = open_at(&path.join("train/masks_3class"));
    assert_eq!(parts(&dropped), [108, 28, 0]);
    let objects = open_at(&path.join("instances"));
    let mut count = 0;
    for sample in &objects.samples {
        let mask = load_instances(sample.target.mask.as_ref().unwrap()).unwrap().unwrap();
        count += mask.ids.iter().max().copied().map_or(0, usize::from);
    }
    assert_eq!((parts(&objects), count), ([108, 28, 0], 4593));
    assert_eq!(objects.pixel_counts(Split::Train), two.pixel_counts(Split::Train));
    assert!(two.usable().is_ok() && three.usable().is_ok() && objects.usable().is_ok());
}
