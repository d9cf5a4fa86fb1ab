//! How samples lie in bytes.

use crate::Outcome;

/// Bytes that hold samples, by the formats of WFDB (8 bits: 80; 16 bits: 16, 61 with the high byte first; 12 bits in pairs:
/// 212) and of DICOM's native pixels.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Packing {
    /// One byte, unsigned.
    Byte,
    /// Two bytes, the low one first, signed.
    Little,
    /// Two bytes, the high one first, signed.
    Big,
    /// Two samples of 12 bits in three bytes, signed.
    Twelve,
    /// Two bytes, the low one first, unsigned; 32768 less of each.
    Unsigned,
}

pub(super) const PACKINGS: [Packing; 5] = [
    Packing::Byte,
    Packing::Little,
    Packing::Big,
    Packing::Twelve,
    Packing::Unsigned,
];

impl Packing {
    pub(super) fn numbered(number: u32) -> Outcome<Self> {
        PACKINGS
            .get(number as usize)
            .copied()
            .ok_or_else(|| format!("packing {number} is not known"))
    }

    /// Bytes of a group, and samples in it.
    fn group(self) -> (usize, usize) {
        match self {
            Packing::Byte => (1, 1),
            Packing::Twelve => (3, 2),
            _ => (2, 1),
        }
    }

    /// The samples that so many bytes hold in whole groups.
    pub(super) fn samples(self, bytes: usize) -> usize {
        let (size, count) = self.group();
        bytes / size * count
    }

    /// The bytes of so many samples in whole groups.
    pub(super) fn bytes(self, samples: usize) -> usize {
        let (size, count) = self.group();
        samples / count * size
    }

    /// The least and the greatest sample.
    pub(super) fn range(self) -> (i16, i16) {
        match self {
            Packing::Byte => (0, 255),
            Packing::Twelve => (-2048, 2047),
            _ => (i16::MIN, i16::MAX),
        }
    }

    /// The samples of bytes in whole groups, one after another.
    pub(super) fn unpack(self, bytes: &[u8]) -> Vec<i16> {
        let signed = |number: u16| (number << 4) as i16 >> 4;
        let pairs = || bytes.as_chunks::<2>().0.iter();
        match self {
            Packing::Byte => bytes.iter().map(|&one| i16::from(one)).collect(),
            Packing::Twelve => bytes
                .as_chunks::<3>()
                .0
                .iter()
                .flat_map(|three| {
                    let [first, middle, last] = three.map(u16::from);
                    [signed(first | middle << 8), signed(last | middle >> 4 << 8)]
                })
                .collect(),
            Packing::Little => pairs().map(|&two| i16::from_le_bytes(two)).collect(),
            Packing::Big => pairs().map(|&two| i16::from_be_bytes(two)).collect(),
            Packing::Unsigned => pairs()
                .map(|&two| (u16::from_le_bytes(two) ^ 0x8000) as i16)
                .collect(),
        }
    }

    /// The bytes of samples, behind those that are there.
    pub(super) fn pack(self, samples: impl Iterator<Item = i16>, bytes: &mut Vec<u8>) {
        match self {
            Packing::Byte => bytes.extend(samples.map(|one| one as u8)),
            Packing::Twelve => {
                let mut samples = samples;
                while let (Some(one), Some(other)) = (samples.next(), samples.next()) {
                    let middle = (one >> 8 & 15 | other >> 4 & 240) as u8;
                    bytes.extend([one as u8, middle, other as u8]);
                }
            }
            Packing::Little => bytes.extend(samples.flat_map(i16::to_le_bytes)),
            Packing::Big => bytes.extend(samples.flat_map(i16::to_be_bytes)),
            Packing::Unsigned => {
                bytes.extend(samples.flat_map(|one| (one as u16 ^ 0x8000).to_le_bytes()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_lie_in_bytes_as_they_did() {
        let bytes: Vec<u8> = (0..600u32).map(|place| ((place * 37) >> 2) as u8).collect();
        for packing in PACKINGS {
            let samples = packing.unpack(&bytes);
            let mut again = Vec::new();
            packing.pack(samples.iter().copied(), &mut again);
            assert_eq!(again, bytes, "{packing:?}");
            assert_eq!(samples.len(), packing.samples(bytes.len()));
            assert_eq!(packing.bytes(samples.len()), bytes.len());
            let (least, greatest) = packing.range();
            assert!(samples.iter().all(|one| (least..=greatest).contains(one)));
        }
    }

    #[test]
    fn twelve_bits_are_wfdb_s_212() {
        // 212: low byte of the first, both high halves (that of the first lowest), low byte of the second
        let samples = Packing::Twelve.unpack(&[0xE3, 0x33, 0xF3, 0xFF, 0x0F, 0x00]);
        assert_eq!(samples, [995, 1011, -1, 0]);
    }
}
