//! A small indexed-PNG writer for masks. The `image` crate writes no indexed files, and its zlib differs with the
//! features that other crates ask for; this one gives the same bytes everywhere, which the committed archive needs.

/// An 8-bit indexed PNG of a square map of ids, with the palette of Pascal VOC so that people can look at it.
pub(super) fn indexed(ids: &[u8], side_px: u32) -> Vec<u8> {
    let colors = ids.iter().max().map_or(1, |&id| usize::from(id) + 1);
    let palette: Vec<u8> = (0..colors).flat_map(voc_color).collect();
    let side = side_px as usize;
    // Each row begins with its filter type: 0, none.
    let rows: Vec<u8> = ids.chunks(side.max(1)).flat_map(|row| std::iter::once(0).chain(row.iter().copied())).collect();
    let size = side_px.to_be_bytes();
    let header = [&size[..], &size[..], &[8, 3, 0, 0, 0]].concat();
    let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
    chunk(&mut file, b"IHDR", &header);
    chunk(&mut file, b"PLTE", &palette);
    chunk(&mut file, b"IDAT", &zlib(&rows, side + 1));
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
fn adler32(bytes: &[u8]) -> u32 {
    let (a, b) = bytes.iter().fold((1_u32, 0_u32), |(a, b), &byte| {
        let a = (a + u32::from(byte)) % 65_521;
        (a, (b + a) % 65_521)
    });
    b << 16 | a
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

/// A zlib stream of one block with the fixed codes (RFC 1951, 3.2.6). It looks for repeats at four distances only:
/// the byte before and the row above, straight or shifted by one. A mask is little else. `row` is at least 2.
fn zlib(data: &[u8], row: usize) -> Vec<u8> {
    let mut bits = Bits::default();
    bits.push(1, 1); // the last block
    bits.push(1, 2); // fixed codes
    let mut at = 0;
    while let Some(&byte) = data.get(at) {
        let repeat = |distance: usize| {
            let Some(from) = at.checked_sub(distance) else { return 0 };
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
    bits.symbol(256); // end of block
    let mut stream = vec![0x78, 0x01];
    stream.extend_from_slice(&bits.finish());
    stream.extend_from_slice(&adler32(data).to_be_bytes());
    stream
}

/// Bits in DEFLATE's order: filled from the lowest of each byte.
#[derive(Default)]
struct Bits {
    bytes: Vec<u8>,
    held: u32,
    count: u32,
}

impl Bits {
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
        assert_eq!(adler32(b"Wikipedia"), 0x11E6_0398);
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
}
