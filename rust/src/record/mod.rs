//! Records in JSON, such as FHIR's, as the difference from what is expected of them.
//!
//! A document is parsed, kept in the spelling it has, and told again member by member to a [`Model`]: which shape an object has,
//! how many elements an array, and of each leaf which of several *expectations* comes true — what followed the leaf before, what
//! belongs to the resource's code, what was said at this path the last time. Only what nobody expected is spelled: identifiers by
//! their sixteen bytes, times by their distance, everything else letter by letter. Writer and reader run the same function, so
//! that what one expects the other expects too; a *base* is a document that both told themselves before.

mod document;
mod lines;
mod spelling;
mod teller;
mod texts;

use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::mix::{Learner, Reader, Writer};
use crate::{refused, Outcome};
use document::render;
use teller::{tell, Known, Teller, COUNTS};

const NOTHING_SUCH: &str = "something that was never told";
const TOO_LARGE: &str = "the record is larger than it may be";

impl Known {
    /// What is known after a document, which is known to everybody.
    fn learn(&mut self, document: &[u8]) -> Outcome<()> {
        tell(self, Learner, document)
            .map(|_| ())
            .ok_or("the base is not JSON".into())
    }

    /// Fewer bytes; `None` if the document is not JSON.
    fn encode(mut self, document: &[u8]) -> Option<Vec<u8>> {
        tell(&mut self, Writer::new(), document).map(Writer::finish)
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

    fn encode<'py>(
        &self,
        python: Python<'py>,
        document: &[u8],
    ) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let encoded = python.detach(|| self.known.fresh().encode(document));
        Ok(encoded.map(|bytes| PyBytes::new(python, &bytes)))
    }

    fn decode<'py>(
        &self,
        python: Python<'py>,
        encoded: Vec<u8>,
        limit: usize,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let decoded = python
            .detach(|| self.known.fresh().decode(encoded, limit))
            .map_err(refused)?;
        Ok(PyBytes::new(python, &decoded))
    }

    fn encode_lines<'py>(&self, python: Python<'py>, text: &[u8]) -> Option<Bound<'py, PyBytes>> {
        let encoded = python.detach(|| self.known.fresh().encode_lines(text));
        encoded.map(|bytes| PyBytes::new(python, &bytes))
    }

    fn decode_lines<'py>(
        &self,
        python: Python<'py>,
        encoded: Vec<u8>,
        limit: usize,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let decoded = python.detach(|| self.known.fresh().decode_lines(encoded, limit));
        Ok(PyBytes::new(python, &decoded.map_err(refused)?))
    }
}
