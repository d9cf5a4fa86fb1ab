//! Genotypes of one person as text, as the difference from what everybody knows of the sites.
//!
//! Lines are rows (name, chromosome, position, call) or anything else. A row at a site of a public *base* is told as that, and its
//! call under what the base lets expect: from how frequent the alleles are or, if the base has a panel of other people's haplotypes,
//! from those that the person's own were like so far. Whatever is otherwise, is spelled. Writer and reader run the same function.

mod base;
mod blend;
mod copying;
mod letters;
mod names;
mod teller;
mod text;

use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::mix::{number, plain, Coder, Model, Reader, Writer};
use crate::{refused, Outcome};
use base::Base;
use teller::Teller;
use text::Style;

const TOO_LARGE: &str = "there are more bytes than there may be";

/// What stands before the lines: how rows are written, whether the last line ends, and how many lines there are.
struct Head {
    style: u32,
    is_ended: bool,
    lines: u32,
}

impl Head {
    fn pass<C: Coder>(&self, coder: &mut C) -> Self {
        let mut model = Model::new(1, 8, 255);
        let mut told = |value, bits: u32| {
            model.hashes[0] = u64::from(bits);
            if bits == 0 {
                number(&mut model, coder, value, None)
            } else {
                plain(&mut model, coder, value, bits, None)
            }
        };
        Head {
            style: told(self.style, 4),
            is_ended: told(u32::from(self.is_ended), 1) != 0,
            lines: told(self.lines, 0),
        }
    }
}

/// Fewer bytes; nothing if these are no genotypes.
fn encode(base: &Base, text: &[u8]) -> Outcome<Option<Vec<u8>>> {
    let Some(style) = Style::of(text).filter(|_| u32::try_from(text.len()).is_ok()) else {
        return Ok(None);
    };
    let (body, is_ended) = match text.strip_suffix(b"\n") {
        Some(body) => (body, true),
        None => (text, false),
    };
    let lines = body.iter().filter(|&&byte| byte == b'\n').count() + 1;
    let head = Head {
        style: style.number(),
        is_ended,
        lines: lines as u32,
    };
    let mut writer = Writer::new();
    head.pass(&mut writer);
    let mut teller = Teller::new(base, writer, style, lines);
    let mut again = Vec::new();
    for line in body.split(|&byte| byte == b'\n') {
        again.clear();
        teller.line(Some(line), usize::MAX, &mut again)?;
    }
    Ok(Some(teller.coder.finish()))
}

/// The text again, if it has at most so many bytes.
fn decode(base: &Base, encoded: Vec<u8>, limit: usize) -> Outcome<Vec<u8>> {
    let mut reader = Reader::new(encoded);
    let nothing = Head {
        style: 0,
        is_ended: false,
        lines: 0,
    };
    let head = nothing.pass(&mut reader);
    let lines = head.lines as usize;
    if lines > limit + 1 {
        return Err(TOO_LARGE.into());
    }
    let mut teller = Teller::new(base, reader, Style::numbered(head.style)?, lines);
    let mut text = Vec::new();
    for place in 0..lines {
        if place > 0 {
            text.push(b'\n');
        }
        let room = limit.saturating_sub(text.len());
        teller.line(None, room, &mut text)?;
        if text.len() > limit {
            return Err(TOO_LARGE.into());
        }
        if teller.coder.is_exhausted() {
            return Err("the encoding breaks off".into());
        }
    }
    if head.is_ended {
        text.push(b'\n');
    }
    Ok(text)
}

/// A public base of sites, with or without a panel of haplotypes; without bytes, one that knows nothing.
#[pyclass(module = "edgehold._native", frozen)]
pub struct GenotypeBase {
    base: Base,
}

#[pymethods]
impl GenotypeBase {
    #[new]
    fn new(python: Python<'_>, bytes: &[u8]) -> PyResult<Self> {
        let base = if bytes.is_empty() {
            Base::default()
        } else {
            python.detach(|| Base::read(bytes)).map_err(refused)?
        };
        Ok(GenotypeBase { base })
    }

    fn encode<'py>(
        &self,
        python: Python<'py>,
        text: &[u8],
    ) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let encoded = python
            .detach(|| encode(&self.base, text))
            .map_err(refused)?;
        Ok(encoded.map(|bytes| PyBytes::new(python, &bytes)))
    }

    fn decode<'py>(
        &self,
        python: Python<'py>,
        encoded: Vec<u8>,
        limit: usize,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let decoded = python
            .detach(|| decode(&self.base, encoded, limit))
            .map_err(refused)?;
        Ok(PyBytes::new(python, &decoded))
    }

    /// Of each site name, chromosome, position and the two alleles, as lines of a table.
    fn sites<'py>(&self, python: Python<'py>) -> Bound<'py, PyBytes> {
        let mut table = Vec::new();
        for site in 0..self.base.sites() {
            self.base.write_row(site, &mut table);
        }
        PyBytes::new(python, &table)
    }

    /// How many haplotypes the panel has, and of each site a bit for each, in whole bytes; 1 where it has the second allele.
    fn panel<'py>(&self, python: Python<'py>) -> (usize, Bound<'py, PyBytes>) {
        (
            self.base.haplotypes(),
            PyBytes::new(python, self.base.panel()),
        )
    }
}
