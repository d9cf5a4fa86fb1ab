//! Ed25519 by one rule, ZIP-215, the same singly and in batches; and, by a narrower one, of a message in pieces.
//!
//! Libraries disagree about keys of small order and encodings that are not canonical. ZIP-215 decides: encodings of points need
//! not be canonical, `s` must be below the group order, and the equation is multiplied by the cofactor. So the combined
//! equation of a batch holds exactly if each single one does, but for a chance of 2^-128 over its coefficients.

use ed25519_dalek::{StreamVerifier, VerifyingKey};
use ed25519_zebra::batch::{Item, Verifier};
use ed25519_zebra::{Signature, VerificationKey, VerificationKeyBytes};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use rand_chacha::ChaCha20Rng;
use sha2::{Digest, Sha256};

use crate::{exactly, refused, stream};

/// Signatures combined in one equation; a larger one gains little.
const COMBINED: usize = 1024;

/// Among so few, single checks find the bad ones as fast as halves do.
const SINGLY: usize = 8;

/// A public key, a message and its signature, as Python hands them over.
type Claim = (PyBackedBytes, PyBackedBytes, PyBackedBytes);

fn holds(public_key: &[u8], message: &[u8], signature: &[u8]) -> bool {
    match (
        VerificationKey::try_from(public_key),
        Signature::try_from(signature),
    ) {
        (Ok(key), Ok(signature)) => key.verify(&signature, message).is_ok(),
        _ => false,
    }
}

fn queued((public_key, message, signature): &Claim) -> Option<Item> {
    let key = VerificationKeyBytes::try_from(&public_key[..]).ok()?;
    let signature = Signature::try_from(&signature[..]).ok()?;
    Some(Item::from((key, signature, &message[..])))
}

/// Judge the items by one equation, which is skipped if it is known not to hold; then each half by its own, a few singly.
fn judge(items: &[Item], verdicts: &mut [bool], suspect: bool, coefficients: &mut ChaCha20Rng) {
    if !suspect && items.len() > 1 {
        let mut equation = Verifier::new();
        items.iter().for_each(|item| equation.queue(item.clone()));
        if equation.verify(&mut *coefficients).is_ok() {
            verdicts.fill(true);
            return;
        }
    }
    if items.len() <= SINGLY {
        for (item, verdict) in items.iter().zip(verdicts) {
            *verdict = item.clone().verify_single().is_ok();
        }
        return;
    }
    let middle = items.len() / 2;
    let (first, second) = verdicts.split_at_mut(middle);
    judge(&items[..middle], first, false, coefficients);
    let suspect = first.iter().all(|holds| *holds);
    judge(&items[middle..], second, suspect, coefficients);
}

/// Judge claims; those of a wrong length are bad and stay out of the equation.
fn judge_all(claims: &[Claim], seed: &[u8; 32], number: u64) -> Vec<bool> {
    let (places, items): (Vec<usize>, Vec<Item>) = claims
        .iter()
        .enumerate()
        .filter_map(|(place, claim)| Some((place, queued(claim)?)))
        .unzip();
    let mut found = vec![false; items.len()];
    judge(&items, &mut found, false, &mut stream(seed, number));
    let mut verdicts = vec![false; claims.len()];
    for (place, verdict) in places.into_iter().zip(found) {
        verdicts[place] = verdict;
    }
    verdicts
}

/// The coefficients depend on the caller's entropy *and* on every claim: nobody who chose the claims could know them before.
fn coefficient_seed(entropy: &[u8; 32], claims: &[Claim]) -> [u8; 32] {
    let mut state = Sha256::new();
    state.update(entropy);
    for (public_key, message, signature) in claims {
        for part in [public_key, signature, message] {
            state.update((part.len() as u64).to_le_bytes());
            state.update(part);
        }
    }
    state.finalize().into()
}

/// Whether one signature holds by ZIP-215; false for any bytes that are not a key and a signature.
#[pyfunction]
pub fn ed25519_verify(py: Python<'_>, public_key: &[u8], message: &[u8], signature: &[u8]) -> bool {
    py.detach(|| holds(public_key, message, signature))
}

/// A signature whose message comes in pieces. It is judged by RFC 8032 without the cofactor: whatever holds here holds by
/// ZIP-215 too.
#[pyclass(module = "edgehold._native")]
pub struct Ed25519Stream {
    /// Nothing if there can be no message: the key or the signature is none, or all was said.
    verifier: Option<StreamVerifier>,
}

#[pymethods]
impl Ed25519Stream {
    #[new]
    fn new(public_key: &[u8], signature: &[u8]) -> Self {
        let verifier = VerifyingKey::try_from(public_key).and_then(|key| {
            let signature = ed25519_dalek::Signature::from_slice(signature)?;
            key.verify_stream(&signature)
        });
        Ed25519Stream {
            verifier: verifier.ok(),
        }
    }

    /// The next piece of the message.
    fn update(&mut self, py: Python<'_>, piece: &[u8]) {
        if let Some(verifier) = &mut self.verifier {
            py.detach(|| verifier.update(piece));
        }
    }

    /// Whether the signature is one of the key over all pieces.
    fn finish(&mut self) -> bool {
        let verifier = self.verifier.take();
        verifier.is_some_and(|verifier| verifier.finalize_and_verify().is_ok())
    }
}

/// Whether each (public key, message, signature) holds, with the answers of `ed25519_verify`, on so many threads.
#[pyfunction]
pub fn ed25519_verify_batch(
    py: Python<'_>,
    items: Vec<Claim>,
    entropy: &[u8],
    threads: usize,
) -> PyResult<Vec<bool>> {
    let entropy = exactly::<32>("the entropy", entropy).map_err(refused)?;
    if threads == 0 || threads > 256 {
        return Err(refused(format!("{threads} threads: 1 to 256 are possible")));
    }
    Ok(py.detach(|| {
        let seed = coefficient_seed(&entropy, &items);
        let judge_part = |(part, worker): (&[Claim], u64)| -> Vec<bool> {
            part.chunks(COMBINED)
                .zip(worker << 32..)
                .flat_map(|(claims, number)| judge_all(claims, &seed, number))
                .collect()
        };
        let parts = items
            .chunks(items.len().div_ceil(threads).max(1))
            .zip(0u64..);
        if threads == 1 {
            return parts.flat_map(judge_part).collect();
        }
        std::thread::scope(|scope| {
            let workers: Vec<_> = parts
                .map(|part| scope.spawn(move || judge_part(part)))
                .collect();
            workers
                .into_iter()
                .flat_map(|worker| worker.join().expect("judging has no panics"))
                .collect()
        })
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_s_of_the_group_order_is_refused() {
        // ℓ = 2^252 + 27742317777372353535851937790883648493: with A = R = identity only s decides.
        let identity = {
            let mut bytes = [0u8; 32];
            bytes[0] = 1;
            bytes
        };
        let order: [u8; 32] = [
            0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9,
            0xde, 0x14, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
        ];
        let with = |s: [u8; 32]| [identity, s].concat();
        assert!(holds(&identity, b"Zcash", &with([0; 32])));
        assert!(!holds(&identity, b"Zcash", &with(order)));
    }
}
