//! The native module of Edgehold, seen from Python as `edgehold._native`.
//!
//! One file a subject: [`vdaf`] shards, verifies and sums reports; [`noise`] draws the exact discrete Gaussian; [`ed25519`]
//! judges signatures; [`blind`] makes keys and tokens of RFC 9474; [`merkle`] hashes lists and the ledger's map; [`mix`] codes what can be
//! foreseen in few bytes, [`record`] foresees what records say, [`samples`] what signals and images show, [`variants`] what variants are,
//! [`genotypes`] what arrays call, and [`packed`] how others packed; [`columns`] turns tables into what packs well, and [`cuts`] finds where
//! texts are cut, [`elements`] where documents are. Every function is deterministic in its arguments.
//! Long calls release the interpreter's lock; no panic crosses into Python: whatever goes wrong is a `ValueError` with its reason
//! or, inside a batch, a text in the place of that item.

mod blind;
mod columns;
mod cuts;
mod ed25519;
mod elements;
mod genotypes;
mod merkle;
mod mix;
mod noise;
mod packed;
mod record;
mod samples;
mod variants;
mod vdaf;

use std::panic::{catch_unwind, AssertUnwindSafe};

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use rand_chacha::rand_core::SeedableRng;
use rand_chacha::ChaCha20Rng;

/// What goes wrong in here is told in words; the Python side gives it a type and a number.
pub(crate) type Outcome<T> = Result<T, String>;

/// Any error as its text.
pub(crate) fn reason(error: impl std::fmt::Display) -> String {
    error.to_string()
}

/// Exactly `N` bytes, or the reason why not.
pub(crate) fn exactly<const N: usize>(name: &str, bytes: &[u8]) -> Outcome<[u8; N]> {
    bytes
        .try_into()
        .map_err(|_| format!("{name} has {} bytes instead of {N}", bytes.len()))
}

/// Run a step of a library; a panic in it becomes an ordinary failure.
pub(crate) fn guarded<T>(step: impl FnOnce() -> Outcome<T>) -> Outcome<T> {
    catch_unwind(AssertUnwindSafe(step))
        .unwrap_or_else(|_| Err("the native library gave up on this input".into()))
}

/// The reason as a Python `ValueError`.
pub(crate) fn refused(reason: String) -> PyErr {
    PyValueError::new_err(reason)
}

/// The `stream`-th of 2^64 independent streams under one seed, so that the items of a batch may run in any order.
pub(crate) fn stream(seed: &[u8; 32], stream: u64) -> ChaCha20Rng {
    let mut generator = ChaCha20Rng::from_seed(*seed);
    generator.set_stream(stream);
    generator
}

#[pymodule]
fn _native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<vdaf::Prio3>()?;
    module.add_class::<ed25519::Ed25519Stream>()?;
    module.add_class::<blind::BlindSigner>()?;
    module.add_class::<merkle::MerkleTree>()?;
    module.add_class::<merkle::StagedNodes>()?;
    module.add_class::<mix::MixWriter>()?;
    module.add_class::<mix::MixReader>()?;
    module.add_class::<record::RecordBase>()?;
    module.add_class::<genotypes::GenotypeBase>()?;
    module.add_class::<packed::DeflateWriter>()?;
    module.add_class::<packed::DeflateReader>()?;
    module.add_class::<packed::StretchFinder>()?;
    module.add_class::<packed::StretchWriter>()?;
    module.add_class::<packed::StretchReader>()?;
    module.add_function(wrap_pyfunction!(samples::samples_encode, module)?)?;
    module.add_function(wrap_pyfunction!(samples::samples_decode, module)?)?;
    module.add_function(wrap_pyfunction!(samples::samples_layout, module)?)?;
    module.add_function(wrap_pyfunction!(samples::numbers_encode, module)?)?;
    module.add_function(wrap_pyfunction!(samples::numbers_decode, module)?)?;
    module.add_function(wrap_pyfunction!(variants::variants_encode, module)?)?;
    module.add_function(wrap_pyfunction!(variants::variants_decode, module)?)?;
    module.add_function(wrap_pyfunction!(columns::column_fold, module)?)?;
    module.add_function(wrap_pyfunction!(columns::column_unfold, module)?)?;
    module.add_class::<elements::ElementScanner>()?;
    module.add_function(wrap_pyfunction!(cuts::lines_cut, module)?)?;
    module.add_function(wrap_pyfunction!(merkle::digests, module)?)?;
    module.add_function(wrap_pyfunction!(merkle::list_root, module)?)?;
    module.add_function(wrap_pyfunction!(vdaf::optimal_chunk_length, module)?)?;
    module.add_function(wrap_pyfunction!(noise::discrete_gaussian, module)?)?;
    module.add_function(wrap_pyfunction!(ed25519::ed25519_verify, module)?)?;
    module.add_function(wrap_pyfunction!(ed25519::ed25519_verify_batch, module)?)?;
    module.add_function(wrap_pyfunction!(blind::rsa_generate_batch, module)?)?;
    module.add_function(wrap_pyfunction!(blind::blind, module)?)?;
    module.add_function(wrap_pyfunction!(blind::blind_sign_many, module)?)?;
    module.add_function(wrap_pyfunction!(blind::finalize, module)?)?;
    Ok(())
}
