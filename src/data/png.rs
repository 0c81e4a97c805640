//! A small indexed-PNG writer for masks. The `image` crate writes no indexed files, and its zlib differs with the
//! features that other crates ask for; this one gives the same bytes everywhere, which the committed archive needs.

/// The farthest that a repeat may lie back (RFC 1951).
const FARTHEST: usize = 32_768;

/// An 8-bit indexed PNG of a square map of ids, with the palette of Pascal VOC so that people can look at it.
pub(super) fn indexed(ids: &[u8], side_px: u32) -> Vec<u8> {
    let colors = ids.iter().max().map_or(1, |&id| usize::from(id) + 1);
    let side = side_px as usize;
    // Each row begins with its filter type: 0, none.
    let rows: Vec<u8> = ids.chunks(side.max(1)).flat_map(|row| std::iter::once(0).chain(row.iter().copied())).collect();
    file([side_px, side_px], colors, &zlib(&rows, side + 1))
}

/// An 8-bit indexed PNG that takes its rows one after the other and keeps only their compressed form; with the palette of
/// Pascal VOC. Readers get the ids as they are.
#[derive(Debug)]
pub struct IndexedPng {
    size_px: [u32; 2],
    bits: Bits,
    sum: Adler,
    /// The row before, with its filter type.
    before: Vec<u8>,
}

impl IndexedPng {
    /// A picture of this width and height.
    #[must_use]
    pub fn new(size_px: [u32; 2]) -> Self {
        Self { size_px, bits: Bits::start(), sum: Adler::default(), before: Vec::new() }
    }

    /// Takes the next row of ids in: as many as the picture is wide.
    pub fn row(&mut self, ids: &[u8]) {
        let start = self.before.len();
        let mut window = std::mem::take(&mut self.before);
        window.push(0);
        window.extend_from_slice(ids);
        deflate(&mut self.bits, &window, start, ids.len() + 1);
        let row = window.split_off(start);
        self.sum.take(&row);
        self.before = row;
    }

    /// The whole file.
    #[must_use]
    pub fn finish(self) -> Vec<u8> {
        file(self.size_px, 256, &self.bits.stream(&self.sum))
    }
}

/// The file around a zlib stream of rows.
fn file([width, height]: [u32; 2], colors: usize, stream: &[u8]) -> Vec<u8> {
    let palette: Vec<u8> = (0..colors).flat_map(voc_color).collect();
    let header = [&width.to_be_bytes()[..], &height.to_be_bytes()[..], &[8, 3, 0, 0, 0]].concat();
    let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
    chunk(&mut file, b"IHDR", &header);
    chunk(&mut file, b"PLTE", &palette);
    chunk(&mut file, b"IDAT", stream);
    chunk(&mut file, b"IEND", &[]);
    file
}

/// Appends a chunk: length, kind, body, checksum of kind and body.
fn chunk(file: &mut Vec<u8>, kind: &[u8; 4], body: &[u8]) {
    let body_bytes = u32::try_from(body.len()).unwrap_or(0);
    file.extend_from_slice(&body_bytes.to_be_bytes());
    let start = file.len();
    file.extend_from_slice(kind);
    file.extend_from_slice(body);
    let crc = crc32(file.get(start..).unwrap_or_default());
    file.extend_from_slice(&crc.to_be_bytes());
}

/// CRC-32 as PNG and zip use it.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0_u32, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |c, _| if c & 1 == 1 { (c >> 1) ^ 0xEDB8_8320 } else { c >> 1 })
    })
}

/// Adler-32, the checksum that ends a zlib stream.
#[derive(Clone, Copy, Debug)]
struct Adler(u32, u32);

impl Default for Adler {
    fn default() -> Self {
        Self(1, 0)
    }
}

impl Adler {
    fn take(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = (self.0 + u32::from(byte)) % 65_521;
            self.1 = (self.1 + self.0) % 65_521;
        }
    }

    fn value(self) -> u32 {
        self.1 << 16 | self.0
    }
}

/// Pascal VOC's color of an index: its bits dealt out to red, green and blue from the top.
fn voc_color(index: usize) -> [u8; 3] {
    let mut color = [0; 3];
    for bit in 0..8 {
        for (channel, value) in color.iter_mut().enumerate() {
            *value |= ((((index >> (3 * bit + channel)) & 1) << (7 - bit)) & 0xFF) as u8;
        }
    }
    color
}

/// A zlib stream of rows of this length, at least 2.
fn zlib(data: &[u8], row: usize) -> Vec<u8> {
    let (mut bits, mut sum) = (Bits::start(), Adler::default());
    deflate(&mut bits, data, 0, row);
    sum.take(data);
    bits.stream(&sum)
}

/// Compresses what stands from `at` on, with the fixed codes (RFC 1951, 3.2.6). It looks for repeats at four distances only:
/// the byte before and the row above, straight or shifted by one. A mask is little else.
fn deflate(bits: &mut Bits, data: &[u8], mut at: usize, row: usize) {
    while let Some(&byte) = data.get(at) {
        let repeat = |distance: usize| {
            let Some(from) = at.checked_sub(distance).filter(|_| (1..=FARTHEST).contains(&distance)) else { return 0 };
            let pairs = data.iter().skip(at).zip(data.iter().skip(from)).take(258);
            pairs.take_while(|(a, b)| a == b).count()
        };
        let candidates = [row, 1, row - 1, row + 1].map(|distance| (repeat(distance), distance));
        match candidates.into_iter().max_by_key(|&(length, _)| length) {
            Some((length, distance)) if length >= 3 => {
                bits.copy(length as u32, distance as u32);
                at += length;
            }
            _ => {
                bits.symbol(u32::from(byte));
                at += 1;
            }
        }
    }
}

/// Bits in DEFLATE's order: filled from the lowest of each byte.
#[derive(Debug, Default)]
struct Bits {
    bytes: Vec<u8>,
    held: u32,
    count: u32,
}

impl Bits {
    /// The beginning of the only block, with fixed codes.
    fn start() -> Self {
        let mut bits = Self::default();
        bits.push(1, 1); // the last block
        bits.push(1, 2); // fixed codes
        bits
    }

    /// The zlib stream.
    fn stream(mut self, sum: &Adler) -> Vec<u8> {
        self.symbol(256); // end of block
        let mut stream = vec![0x78, 0x01];
        stream.extend_from_slice(&self.finish());
        stream.extend_from_slice(&sum.value().to_be_bytes());
        stream
    }

    /// The lowest `count` bits of `value`, lowest first.
    fn push(&mut self, value: u32, count: u32) {
        self.held |= value << self.count;
        self.count += count;
        while self.count >= 8 {
            self.bytes.push(self.held as u8);
            self.held >>= 8;
            self.count -= 8;
        }
    }

    /// A Huffman code of `count` bits: highest first.
    fn code(&mut self, value: u32, count: u32) {
        self.push(value.reverse_bits() >> (32 - count), count);
    }

    /// A literal, the end mark or a length symbol by its fixed code.
    fn symbol(&mut self, symbol: u32) {
        match symbol {
            0..=143 => self.code(0x30 + symbol, 8),
            144..=255 => self.code(0x190 + symbol - 144, 9),
            256..=279 => self.code(symbol - 256, 7),
            _ => self.code(0xC0 + symbol - 280, 8),
        }
    }

    /// A repeat of `length` (3..=258) bytes from `distance` back.
    fn copy(&mut self, length: u32, distance: u32) {
        let l = length - 3;
        if length == 258 {
            self.symbol(285);
        } else {
            let extra = l.max(4).ilog2() - 2;
            self.symbol(257 + 4 * extra + (l >> extra));
            self.push(l & ((1 << extra) - 1), extra);
        }
        let d = distance - 1;
        let extra = d.max(2).ilog2() - 1;
        self.code(2 * extra + (d >> extra), 5);
        self.push(d & ((1 << extra) - 1), extra);
    }

    fn finish(mut self) -> Vec<u8> {
        self.push(0, (8 - self.count) % 8);
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The published check values, and the first colors of the VOC development kit.
    #[test]
    fn checksums_and_palette_are_the_published_ones() {
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
        let mut sum = Adler::default();
        sum.take(b"Wikipedia");
        assert_eq!(sum.value(), 0x11E6_0398);
        let colors: Vec<[u8; 3]> = (0..5).map(voc_color).collect();
        assert_eq!(colors, [[0, 0, 0], [128, 0, 0], [0, 128, 0], [128, 128, 0], [0, 0, 128]]);
    }

    /// The `image` crate's decoder reads back what goes in: noise, runs of every length, repeats of rows.
    #[test]
    fn another_decoder_reads_it_back() {
        for side in [1_usize, 2, 3, 17, 96, 300] {
            for pattern in 0..3_usize {
                let ids: Vec<u8> = (0..side * side)
                    .map(|i| match pattern {
                        0 => ((i * 2_654_435_761) >> 7) as u8,
                        1 => (i % 301 / 100) as u8,
                        _ => u8::from(i % side > i / side),
                    })
                    .collect();
                let picture = image::load_from_memory(&indexed(&ids, side as u32)).unwrap().to_rgb8();
                let want: Vec<u8> = ids.iter().flat_map(|&id| voc_color(usize::from(id))).collect();
                assert_eq!(picture.into_raw(), want, "side {side}, pattern {pattern}");
            }
        }
    }

    #[test]
    fn rows_one_after_the_other_are_read_back() {
        for (width, height) in [(1, 5), (7, 3), (400, 60), (40_000, 4)] {
            let id = |x: usize, y: usize| if x / 9 % 4 == y % 3 { 255 } else { (x / 50 + y / 7) as u8 };
            let mut file = IndexedPng::new([width as u32, height as u32]);
            for y in 0..height {
                file.row(&(0..width).map(|x| id(x, y)).collect::<Vec<_>>());
            }
            let picture = image::load_from_memory(&file.finish()).unwrap().to_rgb8();
            for (x, y, pixel) in picture.enumerate_pixels() {
                assert_eq!(pixel.0, voc_color(usize::from(id(x as usize, y as usize))), "{x} {y}");
            }
        }
    }
}
