//! Blind signatures: RSABSSA-SHA384-PSS-Deterministic of RFC 9474 (PSS with a salt of 48 bytes, the message as it is).
//!
//! The issuer signs without seeing what; the person unblinds; everybody else sees an ordinary RSASSA-PSS signature.
//! A signing is checked against its input before it leaves, so that a fault cannot give the key away.

use std::convert::Infallible;

use blind_rsa_signatures::{
    BlindSignature, BlindedMessage, Hash, Options, PublicKey, Secret, SecretKey,
};
use crypto_bigint::{Limb, NonZero, U1024};
use crypto_primes::fips::{is_prime, FipsOptions};
use crypto_primes::hazmat::{SetBits, SmallFactorsSieveFactory};
use crypto_primes::{sieve_and_find, Flavor};
use num_bigint_dig::{BigUint, ModInverse};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::PyBytes;
use rand_chacha::rand_core::RngCore;
use rand_chacha::ChaCha20Rng;
use rand_core::{TryCryptoRng, TryRng};
use rayon::prelude::*;
use rsa::{PublicKeyParts, RsaPrivateKey, RsaPublicKey};

use crate::vdaf::BytesOrReason;
use crate::{exactly, guarded, reason, refused, stream, Outcome};

/// The public exponent of every key.
const EXPONENT: u32 = 65_537;

/// Bits of each of the two primes of a key.
const PRIME_BITS: u32 = 1024;

/// Miller-Rabin trials with random bases, after which a number is none with a chance of at most 2^-128 (FIPS 186-5, Appendix B.3;
/// `crypto_primes::hazmat::minimum_mr_iterations`); and one of Lucas.
const PRIMALITY: FipsOptions = FipsOptions::with_mr_iterations(6).with_lucas_test();

fn options() -> Options {
    Options::new(Hash::Sha384, false, 48)
}

/// Our stream of random bytes, as the search for primes asks for it.
struct Dice(ChaCha20Rng);

impl TryRng for Dice {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(self.0.next_u32())
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(self.0.next_u64())
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        self.0.fill_bytes(bytes);
        Ok(())
    }
}

impl TryCryptoRng for Dice {}

/// The first probable prime p from a random start with both top bits set, so that two of them multiply to all 2048 bits; p − 1
/// shares no factor with the exponent.
fn prime(dice: &mut Dice) -> Outcome<BigUint> {
    let sieve = SmallFactorsSieveFactory::new(Flavor::Any, PRIME_BITS, SetBits::TwoMsb);
    let exponent = NonZero::new(Limb(EXPONENT.into())).expect("an exponent is not 0");
    let fits = |dice: &mut Dice, candidate: &U1024| {
        candidate.rem_limb(exponent) != Limb::ONE
            && is_prime(dice, Flavor::Any, candidate, PRIMALITY)
    };
    let prime = sieve_and_find(dice, sieve.map_err(reason)?, fits).map_err(reason)?;
    let prime = prime.ok_or("there is no prime")?;
    Ok(BigUint::from_bytes_be(&prime.to_be_bytes()))
}

fn generated(seed: &[u8; 32]) -> Outcome<(Vec<u8>, Vec<u8>)> {
    let mut dice = Dice(stream(seed, 0));
    let (p, q) = (prime(&mut dice)?, prime(&mut dice)?);
    let (modulus, exponent, one) = (&p * &q, BigUint::from(EXPONENT), BigUint::from(1u8));
    let private = (&exponent)
        .mod_inverse((&p - &one) * (&q - &one))
        .and_then(|inverse| inverse.to_biguint())
        .ok_or("the exponent has no inverse")?;
    let encoded = modulus.to_bytes_be();
    let key = RsaPrivateKey::from_components(modulus, exponent, private, vec![p, q]);
    let der = SecretKey(key.map_err(reason)?).to_der().map_err(reason)?;
    Ok((der, encoded))
}

/// RSA-2048 keys, one from each 32-byte seed: (PKCS #8 in DER, modulus). The same seed gives the same key.
#[pyfunction]
pub fn rsa_generate_batch(
    py: Python<'_>,
    seeds: Vec<PyBackedBytes>,
) -> PyResult<Vec<(Py<PyBytes>, Py<PyBytes>)>> {
    let keys: Outcome<Vec<_>> = py.detach(|| {
        seeds
            .par_iter()
            .map(|seed| {
                let seed = exactly("a seed", seed)?;
                guarded(|| generated(&seed))
            })
            .collect()
    });
    let keys = keys.map_err(refused)?;
    Ok(keys
        .iter()
        .map(|(der, modulus)| {
            (
                PyBytes::new(py, der).unbind(),
                PyBytes::new(py, modulus).unbind(),
            )
        })
        .collect())
}

fn public_key(modulus: &[u8]) -> Outcome<PublicKey> {
    if modulus.len() < 256 || modulus.len() > 512 || modulus[0] < 0x80 {
        return Err("the modulus is not one of 2048 to 4096 bits".into());
    }
    if modulus[modulus.len() - 1].is_multiple_of(2) {
        return Err("the modulus is even".into());
    }
    RsaPublicKey::new(BigUint::from_bytes_be(modulus), BigUint::from(EXPONENT))
        .map(PublicKey)
        .map_err(reason)
}

/// Hide a message for the signer of this modulus: (blinded message, secret that unblinds), both as long as the modulus.
#[pyfunction]
pub fn blind(
    py: Python<'_>,
    modulus: &[u8],
    message: &[u8],
    seed: &[u8],
) -> PyResult<(Py<PyBytes>, Py<PyBytes>)> {
    let blinded = py
        .detach(|| {
            let seed = exactly("the seed", seed)?;
            let key = public_key(modulus)?;
            guarded(|| {
                key.blind(&mut stream(&seed, 0), message, false, &options())
                    .map_err(reason)
            })
        })
        .map_err(refused)?;
    Ok((
        PyBytes::new(py, &blinded.blind_msg).unbind(),
        PyBytes::new(py, &blinded.secret).unbind(),
    ))
}

/// Unblind a blind signature and check it: the ordinary RSASSA-PSS signature of the message.
#[pyfunction]
pub fn finalize(
    py: Python<'_>,
    modulus: &[u8],
    blind_signature: &[u8],
    secret: &[u8],
    message: &[u8],
) -> PyResult<Py<PyBytes>> {
    py.detach(|| {
        let key = public_key(modulus)?;
        let blind_signature = BlindSignature::new(blind_signature.to_vec());
        let secret = Secret::new(secret.to_vec());
        guarded(|| {
            key.finalize(&blind_signature, &secret, None, message, &options())
                .map_err(reason)
        })
    })
    .map(|signature| PyBytes::new(py, &signature).unbind())
    .map_err(refused)
}

/// A private key, parsed and prepared once for many signings.
#[pyclass(frozen)]
pub struct BlindSigner {
    key: SecretKey,
    modulus: Vec<u8>,
}

#[pymethods]
impl BlindSigner {
    #[new]
    fn new(private_der: &[u8]) -> PyResult<Self> {
        guarded(|| {
            let key = SecretKey::from_der(private_der).map_err(reason)?;
            let modulus = key.n().to_bytes_be();
            public_key(&modulus)?;
            if key.e() != &BigUint::from(EXPONENT) {
                return Err("the public exponent is not 65537".into());
            }
            Ok(BlindSigner { key, modulus })
        })
        .map_err(refused)
    }

    /// Big-endian modulus.
    #[getter]
    fn modulus(&self, py: Python<'_>) -> Py<PyBytes> {
        PyBytes::new(py, &self.modulus).unbind()
    }
}

/// Sign blinded messages, each with its key. The entropy hides the private exponent from whoever measures time.
#[pyfunction]
pub fn blind_sign_many(
    py: Python<'_>,
    items: Vec<(Py<BlindSigner>, PyBackedBytes)>,
    entropy: &[u8],
) -> PyResult<Vec<BytesOrReason>> {
    let entropy = exactly("the entropy", entropy).map_err(refused)?;
    let signed: Vec<Outcome<Vec<u8>>> = py.detach(|| {
        items
            .par_iter()
            .enumerate()
            .map(|(number, (signer, blinded))| {
                let blinded = BlindedMessage::new(blinded.to_vec());
                guarded(|| {
                    signer
                        .get()
                        .key
                        .blind_sign(&mut stream(&entropy, number as u64), &blinded, &options())
                        .map(|signature| signature.0)
                        .map_err(reason)
                })
            })
            .collect()
    });
    Ok(signed
        .into_iter()
        .map(|outcome| BytesOrReason::new(py, outcome))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_one_key_whose_signatures_verify() {
        let (der, modulus) = generated(&[3; 32]).unwrap();
        assert_eq!(generated(&[3; 32]).unwrap(), (der.clone(), modulus.clone()));
        let (private, public) = (
            SecretKey::from_der(&der).unwrap(),
            public_key(&modulus).unwrap(),
        );
        let (mut generator, options) = (stream(&[4; 32], 0), options());
        let hidden = public
            .blind(&mut generator, b"slot key", false, &options)
            .unwrap();
        let answer = private
            .blind_sign(&mut generator, &hidden.blind_msg, &options)
            .unwrap();
        let signed =
            |message: &[u8]| public.finalize(&answer, &hidden.secret, None, message, &options);
        assert!(signed(b"slot key").is_ok());
        assert!(signed(b"another").is_err());
    }
}
