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
    /// Two bytes, the low one first, unsigned.
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
    pub(super) fn range(self) -> (i32, i32) {
        match self {
            Packing::Byte => (0, 255),
            Packing::Twelve => (-2048, 2047),
            Packing::Unsigned => (0, 65535),
            _ => (-32768, 32767),
        }
    }

    /// The samples of bytes in whole groups, behind those that are there.
    pub(super) fn unpack(self, bytes: &[u8], samples: &mut Vec<i32>) {
        let signed = |number: u32| (number << 20) as i32 >> 20;
        match self {
            Packing::Byte => samples.extend(bytes.iter().map(|&one| i32::from(one))),
            Packing::Twelve => samples.extend(bytes.as_chunks::<3>().0.iter().flat_map(|three| {
                let [first, middle, last] = three.map(u32::from);
                [signed(first | middle << 8), signed(last | middle >> 4 << 8)]
            })),
            _ => samples.extend(bytes.as_chunks::<2>().0.iter().map(|&two| match self {
                Packing::Little => i32::from(i16::from_le_bytes(two)),
                Packing::Big => i32::from(i16::from_be_bytes(two)),
                _ => i32::from(u16::from_le_bytes(two)),
            })),
        }
    }

    /// The bytes of samples, behind those that are there.
    pub(super) fn pack(self, samples: &[i32], bytes: &mut Vec<u8>) {
        match self {
            Packing::Byte => bytes.extend(samples.iter().map(|&one| one as u8)),
            Packing::Twelve => {
                bytes.extend(samples.as_chunks::<2>().0.iter().flat_map(|&[one, other]| {
                    [
                        one as u8,
                        (one >> 8 & 15 | other >> 4 & 240) as u8,
                        other as u8,
                    ]
                }))
            }
            Packing::Big => {
                bytes.extend(samples.iter().flat_map(|&one| (one as i16).to_be_bytes()))
            }
            _ => bytes.extend(samples.iter().flat_map(|&one| (one as u16).to_le_bytes())),
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
            let (mut samples, mut again) = (Vec::new(), Vec::new());
            packing.unpack(&bytes, &mut samples);
            packing.pack(&samples, &mut again);
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
        let mut samples = Vec::new();
        Packing::Twelve.unpack(&[0xE3, 0x33, 0xF3, 0xFF, 0x0F, 0x00], &mut samples);
        assert_eq!(samples, [995, 1011, -1, 0]);
    }
}
