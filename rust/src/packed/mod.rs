//! Files packed with deflate (gzip, bgzip, ZIP) as their text and what makes the same packed bytes of it again.
//!
//! A deflate stream (RFC 1951) is a text and a list of choices: where blocks end, which earlier bytes a match repeats, which codes
//! a block has. Most writers are zlib or choose as zlib does. So the choices are told as the difference from what zlib would choose
//! for this text, whichever of its levels comes nearest; of a stream by zlib nothing is left but the level. Whatever
//! writer it was, the stream comes back bit for bit.

mod blocks;
mod finder;
mod stretches;
mod teller;
mod trees;

use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::mix::{Reader, Writer};
use crate::{guarded, refused};
use stretches::{Hearing, Looking, Telling};
use teller::{inflated, Span, Teller};

/// Texts are shorter than places are counted.
const MOST: usize = 1 << 31;

/// The streams of a file on their way into bytes, one after another.
#[pyclass(module = "edgehold._native")]
pub struct DeflateWriter {
    teller: Teller,
    writer: Writer,
}

#[pymethods]
impl DeflateWriter {
    #[new]
    fn new() -> Self {
        DeflateWriter {
            teller: Teller::new(),
            writer: Writer::new(),
        }
    }

    /// Tell the stream that begins at a byte and ends before another; its text, of at most so many bytes, and where it ends. Of a stream that is refused
    /// nothing was told.
    fn tell<'py>(
        &mut self,
        python: Python<'py>,
        packed: &[u8],
        start: usize,
        end: usize,
        most: usize,
    ) -> PyResult<(Bound<'py, PyBytes>, usize)> {
        let (text, end) = python
            .detach(|| {
                guarded(|| {
                    let stream = packed.get(start..end).ok_or("there are no such bytes")?;
                    let (text, size) = inflated(stream, most.min(MOST))?;
                    self.teller.tell(&mut self.writer, &stream[..size], &text)?;
                    Ok((text, start + size))
                })
            })
            .map_err(refused)?;
        Ok((PyBytes::new(python, &text), end))
    }

    /// What was told of all streams; the writer is empty afterwards.
    fn finish<'py>(&mut self, python: Python<'py>) -> Bound<'py, PyBytes> {
        let writer = std::mem::replace(&mut self.writer, Writer::new());
        self.teller = Teller::new();
        PyBytes::new(python, &writer.finish())
    }
}

/// The same streams on their way out, in the same order.
#[pyclass(module = "edgehold._native")]
pub struct DeflateReader {
    teller: Teller,
    reader: Reader,
}

#[pymethods]
impl DeflateReader {
    #[new]
    fn new(told: &[u8]) -> Self {
        DeflateReader {
            teller: Teller::new(),
            reader: Reader::new(told.to_vec()),
        }
    }

    /// The next stream, whose text this is, if it has at most so many bytes.
    fn hear<'py>(
        &mut self,
        python: Python<'py>,
        text: &[u8],
        most: usize,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let stream = python
            .detach(|| {
                guarded(|| {
                    if text.len() >= MOST {
                        return Err("the text is too long".into());
                    }
                    self.teller.hear(&mut self.reader, text, most)
                })
            })
            .map_err(refused)?;
        Ok(PyBytes::new(python, &stream))
    }
}

/// How much of a stream a stretch is: so many blocks, or all up to the last; whether nothing of it follows.
fn span(blocks: Option<usize>, is_end: bool) -> PyResult<Span> {
    if blocks.is_none() && !is_end {
        return Err(refused("nothing follows the last block".into()));
    }
    Ok(Span { blocks, is_end })
}

/// The text of whole blocks, where each ends in it and behind how many bits, and whether the last is the stream's.
type Looked<'py> = (Bound<'py, PyBytes>, Vec<(usize, usize)>, bool);

/// The blocks of the streams of a file of any size, which are looked at before they are told.
#[pyclass(module = "edgehold._native")]
pub struct StretchFinder {
    looking: Looking,
}

#[pymethods]
impl StretchFinder {
    #[new]
    fn new() -> Self {
        StretchFinder {
            looking: Looking::new(),
        }
    }

    /// Whole blocks that packed bytes begin with, until they stand for so many bytes, and for at most so many.
    fn look<'py>(
        &self,
        python: Python<'py>,
        packed: &[u8],
        wanted: usize,
        most: usize,
    ) -> PyResult<Looked<'py>> {
        let ahead = python
            .detach(|| guarded(|| self.looking.look(packed, wanted, most.min(MOST / 2))))
            .map_err(refused)?;
        Ok((
            PyBytes::new(python, &ahead.text),
            ahead.ends,
            ahead.is_whole,
        ))
    }

    /// How many bits of the next byte belong to what was passed.
    #[getter]
    fn bits(&self) -> usize {
        self.looking.bits()
    }

    /// Go on behind blocks whose text this is, and which end behind so many bits.
    fn pass_to(&mut self, text: &[u8], place: usize) {
        self.looking.pass(text, place);
    }

    /// The next stream begins with a byte.
    fn end(&mut self) {
        self.looking.end();
    }
}

/// The streams of a file of any size on their way into bytes, stretch by stretch.
#[pyclass(module = "edgehold._native")]
pub struct StretchWriter {
    telling: Telling,
}

#[pymethods]
impl StretchWriter {
    #[new]
    fn new() -> Self {
        StretchWriter {
            telling: Telling::new(),
        }
    }

    /// Tell a stretch of so many blocks, or of all up to the last, whose text is the first of this; how many bytes it takes.
    fn tell(
        &mut self,
        python: Python<'_>,
        packed: &[u8],
        text: &[u8],
        blocks: Option<usize>,
        is_end: bool,
    ) -> PyResult<usize> {
        let span = span(blocks, is_end)?;
        python
            .detach(|| guarded(|| self.telling.tell(packed, text, span)))
            .map_err(refused)
    }

    /// What was told since this was asked last.
    fn finish<'py>(&mut self, python: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(python, &self.telling.finish())
    }
}

/// The same streams on their way out, in the same order.
#[pyclass(module = "edgehold._native")]
pub struct StretchReader {
    hearing: Hearing,
}

#[pymethods]
impl StretchReader {
    #[new]
    fn new() -> Self {
        StretchReader {
            hearing: Hearing::new(),
        }
    }

    /// What was told of the stretches that follow.
    fn begin(&mut self, told: &[u8]) {
        self.hearing.begin(told);
    }

    /// Whether the stream of the last stretch goes on.
    #[getter]
    fn is_inside(&self) -> bool {
        self.hearing.is_inside()
    }

    /// The next stretch, of so many blocks or of all up to the last, if it has at most so many bytes; the text is what is known more of it.
    fn hear<'py>(
        &mut self,
        python: Python<'py>,
        text: &[u8],
        blocks: Option<usize>,
        is_end: bool,
        most: usize,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let span = span(blocks, is_end)?;
        let stretch = python
            .detach(|| {
                guarded(|| {
                    if text.len() >= MOST / 2 {
                        return Err("the text is too long".into());
                    }
                    self.hearing.hear(text, span, most)
                })
            })
            .map_err(refused)?;
        Ok(PyBytes::new(python, &stretch))
    }
}
