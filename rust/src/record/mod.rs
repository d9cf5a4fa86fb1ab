//! Records in JSON, such as FHIR's, as the difference from what is expected of them.
//!
//! A document is parsed, kept in the spelling it has, and told again member by member to a [`Model`]: which shape an object has,
//! how many elements an array, and of each leaf which of several *expectations* comes true — what followed the leaf before, what
//! belongs to the resource's code, what was said at this path the last time. Only what nobody expected is spelled: identifiers by
//! their sixteen bytes, times by their distance, everything else letter by letter. Writer and reader run the same function, so
//! that what one expects the other expects too; a *base* is a document that both told themselves before.

mod attachments;
mod document;
mod lines;
mod numbers;
mod spelling;
mod teller;
mod texts;
mod version;

use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::mix::{Learner, Reader, Writer};
use crate::{refused, Outcome};
use document::render;
use teller::{tell, Known, Teller, COUNTS};
use version::Version;

const NOTHING_SUCH: &str = "something that was never told";
const TOO_LARGE: &str = "the record is larger than it may be";

impl Known {
    /// What is known after a document, which is known to everybody.
    fn learn(&mut self, document: &[u8]) -> Outcome<()> {
        tell(self, Learner, document)
            .map(|_| ())
            .ok_or("the base is not JSON".into())
    }

    /// What is known after the version before, of which elements may be told again as they are.
    fn learn_version(&mut self, document: &[u8]) -> Outcome<()> {
        let (_, nodes) = tell(self, Learner, document).ok_or("the version before is not JSON")?;
        self.version = Version::of(&nodes);
        Ok(())
    }

    /// What is known after a text in lines.
    fn learn_lines(&mut self, text: &[u8]) -> Outcome<()> {
        let is_one = Teller::new(self, Learner, usize::MAX, true).tell_lines(text)?;
        if !is_one {
            return Err("the version before is no text in lines".into());
        }
        self.version = Version::of_lines(text);
        Ok(())
    }

    /// Fewer bytes; `None` if the document is not JSON.
    fn encode(mut self, document: &[u8]) -> Option<Vec<u8>> {
        tell(&mut self, Writer::new(), document).map(|(writer, _)| writer.finish())
    }

    /// Fewer bytes of a text in lines; `None` if it is none.
    fn encode_lines(mut self, text: &[u8]) -> Option<Vec<u8>> {
        let mut teller = Teller::new(&mut self, Writer::new(), usize::MAX, true);
        matches!(teller.tell_lines(text), Ok(true)).then(|| teller.coder.finish())
    }

    /// The text again, if it has at most so many bytes.
    fn decode_lines(mut self, encoded: Vec<u8>, limit: usize) -> Outcome<Vec<u8>> {
        let mut teller = Teller::new(&mut self, Reader::new(encoded), 3 * limit + 1024, true);
        teller.hear_lines(limit)
    }

    /// The document again, if it has at most so many bytes.
    fn decode(mut self, encoded: Vec<u8>, limit: usize) -> Outcome<Vec<u8>> {
        let mut teller = Teller::new(
            &mut self,
            Reader::new(encoded),
            limit + limit / 8 + 1024,
            COUNTS,
        );
        let nodes = teller.nodes(None)?;
        let spacing = teller.layout(None)?;
        render(&nodes, spacing, &self.texts, limit)
    }
}

#[pyclass(module = "edgehold._native", frozen)]
pub struct RecordBase {
    known: Known,
}

#[pymethods]
impl RecordBase {
    #[new]
    fn new(documents: Vec<Vec<u8>>) -> PyResult<Self> {
        let mut known = Known::new();
        for document in documents {
            known.learn(&document).map_err(refused)?;
        }
        known.rest();
        Ok(RecordBase { known })
    }

    #[pyo3(signature = (document, before=None))]
    fn encode<'py>(
        &self,
        python: Python<'py>,
        document: &[u8],
        before: Option<&[u8]>,
    ) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let encoded = python.detach(|| {
            self.after(before, Known::learn_version)
                .map(|known| known.encode(document))
        });
        Ok(encoded
            .map_err(refused)?
            .map(|bytes| PyBytes::new(python, &bytes)))
    }

    #[pyo3(signature = (encoded, limit, before=None))]
    fn decode<'py>(
        &self,
        python: Python<'py>,
        encoded: Vec<u8>,
        limit: usize,
        before: Option<&[u8]>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let decoded = python.detach(|| {
            self.after(before, Known::learn_version)?
                .decode(encoded, limit)
        });
        Ok(PyBytes::new(python, &decoded.map_err(refused)?))
    }

    #[pyo3(signature = (text, before=None))]
    fn encode_lines<'py>(
        &self,
        python: Python<'py>,
        text: &[u8],
        before: Option<&[u8]>,
    ) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let encoded = python.detach(|| {
            self.after(before, Known::learn_lines)
                .map(|known| known.encode_lines(text))
        });
        Ok(encoded
            .map_err(refused)?
            .map(|bytes| PyBytes::new(python, &bytes)))
    }

    #[pyo3(signature = (encoded, limit, before=None))]
    fn decode_lines<'py>(
        &self,
        python: Python<'py>,
        encoded: Vec<u8>,
        limit: usize,
        before: Option<&[u8]>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let decoded = python.detach(|| {
            self.after(before, Known::learn_lines)?
                .decode_lines(encoded, limit)
        });
        Ok(PyBytes::new(python, &decoded.map_err(refused)?))
    }
}

impl RecordBase {
    /// What is known after the base and, if there is one, the version before.
    fn after(
        &self,
        before: Option<&[u8]>,
        learn: fn(&mut Known, &[u8]) -> Outcome<()>,
    ) -> Outcome<Known> {
        let mut known = self.known.fresh();
        if let Some(version) = before {
            learn(&mut known, version)?;
        }
        Ok(known)
    }
}
