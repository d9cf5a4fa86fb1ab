//! Samples as columns of numbers that are read at once: each channel by itself, packed with the crate `pco`.

use pco::data_types::NumberType;
use pco::standalone::{DecompressorItem, FileCompressor, FileDecompressor};
use pco::{ChunkConfig, PagingSpec};

use super::layout::Layout;
use crate::{reason, Outcome};

/// Numbers of a chunk; only the last of a channel has fewer.
const CHUNK: usize = 1 << 18;
const LEVEL: usize = 8;

/// The chunks of one channel.
fn chunks(moments: usize) -> impl Iterator<Item = std::ops::Range<usize>> {
    (0..moments)
        .step_by(CHUNK)
        .map(move |from| from..(from + CHUNK).min(moments))
}

fn pack(planes: &[Vec<i16>]) -> Outcome<Vec<u8>> {
    let config = ChunkConfig::default().with_compression_level(LEVEL);
    let file = FileCompressor::default()
        .with_n_hint(planes.iter().map(Vec::len).sum())
        .with_uniform_type(Some(NumberType::new::<i16>()));
    let mut packed = file.write_header(Vec::new()).map_err(reason)?;
    for plane in planes {
        for chunk in chunks(plane.len()) {
            let whole = PagingSpec::Exact(vec![chunk.len()]);
            let config = config.clone().with_paging_spec(whole);
            let mut one = file
                .chunk_compressor(&plane[chunk], &config)
                .map_err(reason)?;
            packed = one.write(packed).map_err(reason)?;
        }
    }
    file.write_footer(packed).map_err(reason)
}

/// What is above a pixel is taken from it, or added again.
fn difference(plane: &mut [i16], line: usize) {
    for at in (line..plane.len()).rev() {
        plane[at] = plane[at].wrapping_sub(plane[at - line]);
    }
}

fn sum(plane: &mut [i16], line: usize) {
    for at in line..plane.len() {
        plane[at] = plane[at].wrapping_add(plane[at - line]);
    }
}

/// Samples in fewer bytes, and whether lines are told by what they differ from those above.
pub(super) fn encode(data: &[u8], layout: &Layout) -> Outcome<(bool, Vec<u8>)> {
    let channels = layout.channels;
    let samples = layout.packing.unpack(data);
    let mut planes: Vec<Vec<i16>> = (0..channels)
        .map(|channel| {
            samples[channel..]
                .iter()
                .step_by(channels)
                .copied()
                .collect()
        })
        .collect();
    let plain = pack(&planes)?;
    if layout.line == 0 {
        return Ok((false, plain));
    }
    for plane in &mut planes {
        difference(plane, layout.line / channels);
    }
    let by_lines = pack(&planes)?;
    Ok(if by_lines.len() < plain.len() {
        (true, by_lines)
    } else {
        (false, plain)
    })
}

/// The bytes of the samples again.
pub(super) fn decode(encoded: &[u8], layout: &Layout) -> Outcome<Vec<u8>> {
    let (channels, moments) = (layout.channels, layout.moments());
    let (file, mut rest) = FileDecompressor::new(encoded).map_err(reason)?;
    let mut samples = vec![0i16; layout.samples];
    let mut plane = vec![0i16; moments];
    for channel in 0..channels {
        for chunk in chunks(moments) {
            let DecompressorItem::Chunk(mut one) = file.chunk_decompressor(rest).map_err(reason)?
            else {
                return Err("there are fewer samples than were announced".into());
            };
            if one.n() != chunk.len() {
                return Err("a chunk has not as many samples as it should have".into());
            }
            let read = one.read(&mut plane[chunk.clone()]).map_err(reason)?;
            if read.n_processed != chunk.len() || !read.finished {
                return Err("a chunk ends before its samples do".into());
            }
            rest = one.into_src();
        }
        if layout.line > 0 {
            sum(&mut plane, layout.line / channels);
        }
        let own = samples[channel..].iter_mut().step_by(channels);
        for (place, &value) in own.zip(&plane) {
            *place = value;
        }
    }
    match file.chunk_decompressor::<i16, _>(rest).map_err(reason)? {
        DecompressorItem::EndOfData([]) => {}
        _ => return Err("there is more than was announced".into()),
    }
    let mut bytes = Vec::with_capacity(layout.packing.bytes(layout.samples));
    layout.packing.pack(samples.into_iter(), &mut bytes);
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_come_back_with_and_without_lines() {
        let bytes: Vec<u8> = (0..7200u32)
            .flat_map(|at| ((at * at) >> 7).to_le_bytes())
            .collect();
        for (channels, line) in [(1, 0), (3, 0), (3, 90), (2, 40), (1, 1)] {
            let layout = Layout::of([0, 4, channels, line, 0, 14400]).expect("a layout");
            let (is_by_lines, packed) = encode(&bytes, &layout).expect("packed");
            let line = if is_by_lines { line } else { 0 };
            let same = Layout { line, ..layout };
            assert_eq!(decode(&packed, &same).as_ref(), Ok(&bytes));
            let longer = Layout {
                samples: 14400 + 2 * channels,
                ..same
            };
            assert!(decode(&packed, &longer).is_err());
            let shorter = Layout {
                samples: 14400 - 2 * channels,
                ..same
            };
            assert!(decode(&packed, &shorter).is_err());
        }
    }
}
