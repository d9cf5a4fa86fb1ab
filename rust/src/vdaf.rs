//! Prio3 of draft-irtf-cfrg-vdaf-18 by crate `prio`, with TurboSHAKE128.
//!
//! One Python class for all measurement types; every value that leaves it is bytes in the encoding of the draft, so that nothing
//! of the crate shows. The two-party way (leader, helper) exchanges the draft's ping-pong messages; the steps below it, for any
//! number of aggregators, are there for the draft's test vectors.

use std::io::Cursor;

use prio::codec::{CodecError, Encode, ParameterizedDecode};
use prio::field::{FieldElement, FieldElementWithInteger, NttFriendlyFieldElement};
use prio::flp::Type;
use prio::topology::ping_pong::{PingPongMessage, PingPongState, PingPongTopology};
use prio::vdaf::prio3::{
    self, Prio3InputShare, Prio3PublicShare, Prio3VerifierMessage, Prio3VerifierShare,
    Prio3VerifyState,
};
use prio::vdaf::test_utils::TestVectorClient;
use prio::vdaf::xof::XofTurboShake128;
use prio::vdaf::{
    Aggregatable, AggregateShare, Aggregator, Collector, OutputShare, VerifyTransition,
};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::PyBytes;
use rayon::prelude::*;

use crate::{exactly, guarded, reason, refused, Outcome};

type Scheme<T> = prio3::Prio3<T, XofTurboShake128, 32>;

/// Elements of an encoded measurement; beyond it a report would not fit into a message of the protocol.
const MOST_ELEMENTS: usize = 1 << 20;

/// What a run found: a number (count: 0 or 1; sum: the value; histogram: the place) or a vector.
#[derive(Clone, FromPyObject)]
pub enum Measurement {
    Number(u128),
    Vector(Vec<u128>),
}

impl Measurement {
    fn number<N: TryFrom<u128>>(&self) -> Outcome<N> {
        let Measurement::Number(value) = self else {
            return Err("the measurement is a vector instead of a number".into());
        };
        N::try_from(*value).map_err(|_| "the measurement is out of range".into())
    }

    fn vector<N: TryFrom<u128>>(&self) -> Outcome<Vec<N>> {
        let Measurement::Vector(values) = self else {
            return Err("the measurement is a number instead of a vector".into());
        };
        values
            .iter()
            .map(|value| N::try_from(*value).map_err(|_| "an element is out of range".into()))
            .collect()
    }
}

/// The measurement in the form in which a type of the crate takes it.
trait FromMeasurement: Sized {
    fn from_measurement(measurement: &Measurement) -> Outcome<Self>;
}

fn bit(value: u8) -> Outcome<bool> {
    match value {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err("an element is neither 0 nor 1".into()),
    }
}

impl FromMeasurement for bool {
    fn from_measurement(measurement: &Measurement) -> Outcome<Self> {
        bit(measurement.number()?)
    }
}

impl FromMeasurement for u64 {
    fn from_measurement(measurement: &Measurement) -> Outcome<Self> {
        measurement.number()
    }
}

impl FromMeasurement for usize {
    fn from_measurement(measurement: &Measurement) -> Outcome<Self> {
        measurement.number()
    }
}

impl FromMeasurement for Vec<bool> {
    fn from_measurement(measurement: &Measurement) -> Outcome<Self> {
        measurement.vector()?.into_iter().map(bit).collect()
    }
}

impl FromMeasurement for Vec<u64> {
    fn from_measurement(measurement: &Measurement) -> Outcome<Self> {
        measurement.vector()
    }
}

impl FromMeasurement for Vec<u128> {
    fn from_measurement(measurement: &Measurement) -> Outcome<Self> {
        measurement.vector()
    }
}

/// The aggregate result as a plain list of numbers.
trait IntoNumbers {
    fn into_numbers(self) -> Vec<u128>;
}

impl IntoNumbers for u64 {
    fn into_numbers(self) -> Vec<u128> {
        vec![self.into()]
    }
}

impl<N: Into<u128>> IntoNumbers for Vec<N> {
    fn into_numbers(self) -> Vec<u128> {
        self.into_iter().map(Into::into).collect()
    }
}

/// Who an aggregator is and what one report is verified under.
struct Setting<'a> {
    verify_key: &'a [u8; 32],
    context: &'a [u8],
    nonce: &'a [u8],
    public_share: &'a [u8],
    input_share: &'a [u8],
}

impl Setting<'_> {
    fn nonce(&self) -> Outcome<[u8; 16]> {
        exactly("the nonce", self.nonce)
    }
}

/// Two encoded things, whose meaning the method says.
type Pair = (Vec<u8>, Vec<u8>);

/// What sharding and verification give of one report: a public share, and a share for each aggregator.
type Sharded = (Vec<u8>, Vec<Vec<u8>>);

/// Prio3 for some measurement type, bytes in and bytes out.
trait Vdaf: Send + Sync {
    fn modulus(&self) -> u128;
    fn element_size(&self) -> usize;
    fn output_length(&self) -> usize;
    fn random_length(&self) -> usize;
    fn shard(
        &self,
        context: &[u8],
        measurement: &Measurement,
        nonce: &[u8; 16],
        random: &[u8],
    ) -> Outcome<Sharded>;
    fn leader_init(&self, setting: &Setting<'_>) -> Outcome<Pair>;
    fn helper_init(&self, setting: &Setting<'_>, inbound: &[u8]) -> Outcome<Pair>;
    fn leader_finish(&self, context: &[u8], state: &[u8], inbound: &[u8]) -> Outcome<Vec<u8>>;
    fn verify_init(&self, aggregator: usize, setting: &Setting<'_>) -> Outcome<Pair>;
    fn verifier_shares_to_message(
        &self,
        context: &[u8],
        aggregator: usize,
        state: &[u8],
        shares: &[PyBackedBytes],
    ) -> Outcome<Vec<u8>>;
    fn verify_next(
        &self,
        context: &[u8],
        aggregator: usize,
        state: &[u8],
        message: &[u8],
    ) -> Outcome<Vec<u8>>;
    fn aggregate(&self, output_shares: &[PyBackedBytes]) -> Outcome<Vec<u8>>;
    fn merge(&self, aggregate_shares: &[PyBackedBytes]) -> Outcome<Vec<u8>>;
    fn unshard(&self, aggregate_shares: &[PyBackedBytes], count: usize) -> Outcome<Vec<u128>>;
    fn verify_alone(
        &self,
        verify_key: &[u8; 32],
        context: &[u8],
        reports: &[AloneReport],
    ) -> Outcome<Pair>;
}

/// Nonce, public share, and both input shares of a report, for both aggregators in one place.
type AloneReport = (PyBackedBytes, PyBackedBytes, PyBackedBytes, PyBackedBytes);

/// All of `bytes` as one value.
fn decoded<P, D: ParameterizedDecode<P>>(what: &str, parameter: &P, bytes: &[u8]) -> Outcome<D> {
    let mut cursor = Cursor::new(bytes);
    let value = D::decode_with_param(parameter, &mut cursor)
        .map_err(|error: CodecError| format!("{what}: {error}"))?;
    if cursor.position() != bytes.len() as u64 {
        return Err(format!("{what}: more bytes than its type has"));
    }
    Ok(value)
}

fn encoded(value: &impl Encode) -> Outcome<Vec<u8>> {
    value.get_encoded().map_err(reason)
}

/// One measurement type of the crate, and how many seeds each aggregator's share of it takes.
struct Face<T: Type> {
    scheme: Scheme<T>,
    seeds_each: usize,
}

impl<T> Face<T>
where
    T: Type,
    T::Measurement: FromMeasurement,
    T::AggregateResult: IntoNumbers,
{
    fn verify_state(
        &self,
        aggregator: usize,
        state: &[u8],
    ) -> Outcome<Prio3VerifyState<T::Field, 32>> {
        decoded("the state", &(&self.scheme, aggregator), state)
    }

    fn shares(
        &self,
        aggregator: usize,
        setting: &Setting<'_>,
    ) -> Outcome<(Prio3PublicShare<32>, Prio3InputShare<T::Field, 32>)> {
        if aggregator >= prio::vdaf::Vdaf::num_aggregators(&self.scheme) {
            return Err(format!("there is no aggregator {aggregator}"));
        }
        Ok((
            decoded("the public share", &self.scheme, setting.public_share)?,
            decoded(
                "the input share",
                &(&self.scheme, aggregator),
                setting.input_share,
            )?,
        ))
    }

    fn aggregate_shares(&self, shares: &[PyBackedBytes]) -> Outcome<Vec<AggregateShare<T::Field>>> {
        shares
            .iter()
            .map(|share| decoded("an aggregate share", &(&self.scheme, &()), share))
            .collect()
    }

    /// Both aggregators' output shares of one report, nothing encoded between the steps.
    fn output_shares(
        &self,
        verify_key: &[u8; 32],
        context: &[u8],
        (nonce, public_share, leader, helper): &AloneReport,
    ) -> Outcome<[OutputShare<T::Field>; 2]> {
        let nonce = exactly("the nonce", nonce)?;
        let public_share = decoded("the public share", &self.scheme, public_share)?;
        let leader = decoded("the input share", &(&self.scheme, 0), leader)?;
        let helper = decoded("the input share", &(&self.scheme, 1), helper)?;
        let begun = self
            .scheme
            .leader_initialized(verify_key, context, &(), &nonce, &public_share, &leader)
            .map_err(reason)?;
        let answered = self
            .scheme
            .helper_initialized(
                verify_key,
                context,
                &(),
                &nonce,
                &public_share,
                &helper,
                &begun.message,
            )
            .and_then(|continuation| continuation.evaluate(context, &self.scheme))
            .map_err(reason)?;
        let PingPongState::FinishedWithOutbound {
            output_share: helpers,
            message,
        } = answered
        else {
            return Err("the verification has another number of rounds".into());
        };
        let finished = self
            .scheme
            .leader_continued(context, &(), begun.verifier_state, &message)
            .and_then(|continuation| continuation.evaluate(context, &self.scheme))
            .map_err(reason)?;
        match finished {
            PingPongState::Finished { output_share } => Ok([output_share, helpers]),
            _ => Err("the verification has another number of rounds".into()),
        }
    }
}

impl<T> Vdaf for Face<T>
where
    T: Type + Send + Sync,
    T::Field: NttFriendlyFieldElement + Send,
    u128: From<<T::Field as FieldElementWithInteger>::Integer>,
    T::Measurement: FromMeasurement,
    T::AggregateResult: IntoNumbers,
{
    fn modulus(&self) -> u128 {
        T::Field::modulus().into()
    }

    fn element_size(&self) -> usize {
        T::Field::ENCODED_SIZE
    }

    fn output_length(&self) -> usize {
        self.scheme.output_len()
    }

    fn random_length(&self) -> usize {
        32 * self.seeds_each * prio::vdaf::Vdaf::num_aggregators(&self.scheme)
    }

    fn shard(
        &self,
        context: &[u8],
        measurement: &Measurement,
        nonce: &[u8; 16],
        random: &[u8],
    ) -> Outcome<Sharded> {
        let measurement = T::Measurement::from_measurement(measurement)?;
        let (public_share, input_shares) = self
            .scheme
            .shard_with_random(context, &measurement, nonce, random)
            .map_err(reason)?;
        let input_shares: Outcome<_> = input_shares.iter().map(encoded).collect();
        Ok((encoded(&public_share)?, input_shares?))
    }

    fn leader_init(&self, setting: &Setting<'_>) -> Outcome<Pair> {
        let (public_share, input_share) = self.shares(0, setting)?;
        let begun = self
            .scheme
            .leader_initialized(
                setting.verify_key,
                setting.context,
                &(),
                &setting.nonce()?,
                &public_share,
                &input_share,
            )
            .map_err(reason)?;
        Ok((encoded(&begun.verifier_state)?, encoded(&begun.message)?))
    }

    fn helper_init(&self, setting: &Setting<'_>, inbound: &[u8]) -> Outcome<Pair> {
        let (public_share, input_share) = self.shares(1, setting)?;
        let inbound: PingPongMessage = decoded("the leader's message", &(), inbound)?;
        let state = self
            .scheme
            .helper_initialized(
                setting.verify_key,
                setting.context,
                &(),
                &setting.nonce()?,
                &public_share,
                &input_share,
                &inbound,
            )
            .and_then(|continuation| continuation.evaluate(setting.context, &self.scheme))
            .map_err(reason)?;
        match state {
            PingPongState::FinishedWithOutbound {
                output_share,
                message,
            } => Ok((encoded(&message)?, encoded(&output_share)?)),
            _ => Err("the verification has another number of rounds".into()),
        }
    }

    fn leader_finish(&self, context: &[u8], state: &[u8], inbound: &[u8]) -> Outcome<Vec<u8>> {
        let state = self.verify_state(0, state)?;
        let inbound: PingPongMessage = decoded("the helper's message", &(), inbound)?;
        let state = self
            .scheme
            .leader_continued(context, &(), state, &inbound)
            .and_then(|continuation| continuation.evaluate(context, &self.scheme))
            .map_err(reason)?;
        match state {
            PingPongState::Finished { output_share } => encoded(&output_share),
            _ => Err("the verification has another number of rounds".into()),
        }
    }

    fn verify_init(&self, aggregator: usize, setting: &Setting<'_>) -> Outcome<Pair> {
        let (public_share, input_share) = self.shares(aggregator, setting)?;
        let (state, share) = Aggregator::verify_init(
            &self.scheme,
            setting.verify_key,
            setting.context,
            aggregator,
            &(),
            &setting.nonce()?,
            &public_share,
            &input_share,
        )
        .map_err(reason)?;
        Ok((encoded(&state)?, encoded(&share)?))
    }

    fn verifier_shares_to_message(
        &self,
        context: &[u8],
        aggregator: usize,
        state: &[u8],
        shares: &[PyBackedBytes],
    ) -> Outcome<Vec<u8>> {
        let state = self.verify_state(aggregator, state)?;
        let shares: Vec<Prio3VerifierShare<T::Field, 32>> = shares
            .iter()
            .map(|share| decoded("a verifier share", &state, share))
            .collect::<Outcome<_>>()?;
        let message = self
            .scheme
            .verifier_shares_to_message(context, &(), shares)
            .map_err(reason)?;
        encoded(&message)
    }

    fn verify_next(
        &self,
        context: &[u8],
        aggregator: usize,
        state: &[u8],
        message: &[u8],
    ) -> Outcome<Vec<u8>> {
        let state = self.verify_state(aggregator, state)?;
        let message: Prio3VerifierMessage<32> = decoded("the verifier message", &state, message)?;
        match Aggregator::verify_next(&self.scheme, context, state, message).map_err(reason)? {
            VerifyTransition::Finish(output_share) => encoded(&output_share),
            VerifyTransition::Continue(..) => {
                Err("the verification has another number of rounds".into())
            }
        }
    }

    fn aggregate(&self, output_shares: &[PyBackedBytes]) -> Outcome<Vec<u8>> {
        let mut sum = self.scheme.aggregate_init(&());
        for share in output_shares {
            let share: OutputShare<T::Field> =
                decoded("an output share", &(&self.scheme, &()), share)?;
            sum.accumulate(&share).map_err(reason)?;
        }
        encoded(&sum)
    }

    fn merge(&self, aggregate_shares: &[PyBackedBytes]) -> Outcome<Vec<u8>> {
        let mut sum = self.scheme.aggregate_init(&());
        for share in self.aggregate_shares(aggregate_shares)? {
            sum.merge(&share).map_err(reason)?;
        }
        encoded(&sum)
    }

    fn unshard(&self, aggregate_shares: &[PyBackedBytes], count: usize) -> Outcome<Vec<u128>> {
        let shares = self.aggregate_shares(aggregate_shares)?;
        let result = self.scheme.unshard(&(), shares, count).map_err(reason)?;
        Ok(result.into_numbers())
    }

    fn verify_alone(
        &self,
        verify_key: &[u8; 32],
        context: &[u8],
        reports: &[AloneReport],
    ) -> Outcome<Pair> {
        let sum = |shares: Vec<OutputShare<T::Field>>| {
            let mut sum = self.scheme.aggregate_init(&());
            for share in &shares {
                sum.accumulate(share).map_err(reason)?;
            }
            encoded(&sum)
        };
        let (leader, helper) = reports
            .par_iter()
            .map(|report| self.output_shares(verify_key, context, report))
            .collect::<Outcome<Vec<_>>>()?
            .into_iter()
            .map(|[leader, helper]| (leader, helper))
            .unzip();
        Ok((sum(leader)?, sum(helper)?))
    }
}

fn unknown(kind: &str) -> String {
    format!("there is no measurement type {kind}")
}

/// The numbers that fix a measurement type; what a kind does not use is 0.
struct Parameters {
    shares: u8,
    length: usize,
    bound: u128,
    weight: usize,
    chunk: usize,
}

impl Parameters {
    fn bits(bound: u128) -> Outcome<usize> {
        bound
            .checked_ilog2()
            .map(|log| log as usize + 1)
            .ok_or_else(|| "the bound must be positive".into())
    }

    /// Elements of an encoded measurement of this kind.
    fn elements(&self, kind: &str) -> Outcome<usize> {
        let elements = match kind {
            "count" => Some(1),
            "sum" => Some(Self::bits(self.bound)?),
            "histogram" => Some(self.length),
            "multihot" => self.length.checked_add(Self::bits(self.weight as u128)?),
            "sumvec" => self.length.checked_mul(Self::bits(self.bound)?),
            "l1bound" => {
                let bits = Self::bits(self.bound)?;
                self.length
                    .checked_add(1)
                    .and_then(|numbers| numbers.checked_mul(bits))
            }
            _ => return Err(unknown(kind)),
        };
        elements
            .filter(|elements| *elements <= MOST_ELEMENTS)
            .ok_or_else(|| format!("a measurement has more than {MOST_ELEMENTS} elements"))
    }

    fn make(&self, kind: &str) -> Outcome<Box<dyn Vdaf>> {
        fn face<T>(
            scheme: Result<Scheme<T>, prio::vdaf::VdafError>,
            seeds_each: usize,
        ) -> Outcome<Box<dyn Vdaf>>
        where
            T: Type + Send + Sync + 'static,
            Face<T>: Vdaf,
        {
            let scheme = scheme.map_err(reason)?;
            Ok(Box::new(Face { scheme, seeds_each }))
        }

        if self.elements(kind)? < self.chunk {
            return Err("a chunk is longer than the measurement".into());
        }
        let &Parameters {
            shares,
            length,
            bound,
            weight,
            chunk,
        } = self;
        match kind {
            "count" => face(Scheme::new_count(shares), 1),
            "sum" => {
                let bound = u64::try_from(bound).map_err(|_| "the bound is out of range")?;
                face(Scheme::new_sum(shares, bound), 1)
            }
            "histogram" => face(Scheme::new_histogram(shares, length, chunk), 2),
            "multihot" => face(
                Scheme::new_multihot_count_vec(shares, length, weight, chunk),
                2,
            ),
            "sumvec" => face(Scheme::new_sum_vec(shares, bound, length, chunk), 2),
            "l1bound" => face(Scheme::new_l1_bound_sum(shares, bound, length, chunk), 2),
            _ => Err(unknown(kind)),
        }
    }
}

/// The result of one item of a batch: two encoded things, or in words why not.
#[derive(IntoPyObject)]
pub enum PairOrReason {
    Pair((Py<PyBytes>, Py<PyBytes>)),
    Reason(String),
}

/// The result of one item of a batch: one encoded thing, or in words why not.
#[derive(IntoPyObject)]
pub enum BytesOrReason {
    Bytes(Py<PyBytes>),
    Reason(String),
}

impl BytesOrReason {
    pub fn new(py: Python<'_>, outcome: Outcome<Vec<u8>>) -> Self {
        match outcome {
            Ok(bytes) => BytesOrReason::Bytes(python_bytes(py, &bytes)),
            Err(reason) => BytesOrReason::Reason(reason),
        }
    }
}

impl PairOrReason {
    fn new(py: Python<'_>, outcome: Outcome<Pair>) -> Self {
        match outcome {
            Ok(pair) => PairOrReason::Pair(python_pair(py, &pair)),
            Err(reason) => PairOrReason::Reason(reason),
        }
    }
}

fn python_bytes(py: Python<'_>, bytes: &[u8]) -> Py<PyBytes> {
    PyBytes::new(py, bytes).unbind()
}

fn python_pair(py: Python<'_>, (first, second): &Pair) -> (Py<PyBytes>, Py<PyBytes>) {
    (python_bytes(py, first), python_bytes(py, second))
}

/// Nonce, public share and input share of a report.
type Report = (PyBackedBytes, PyBackedBytes, PyBackedBytes);

/// The same, and the leader's message.
type ReportWithMessage = (PyBackedBytes, PyBackedBytes, PyBackedBytes, PyBackedBytes);

/// Prio3 for one measurement type and number of aggregators.
#[pyclass(frozen)]
pub struct Prio3(Box<dyn Vdaf>);

#[pymethods]
impl Prio3 {
    #[new]
    #[pyo3(signature = (kind, *, length=0, bound=0, weight=0, chunk=0, shares=2))]
    fn new(
        kind: &str,
        length: usize,
        bound: u128,
        weight: usize,
        chunk: usize,
        shares: u8,
    ) -> PyResult<Self> {
        let parameters = Parameters {
            shares,
            length,
            bound,
            weight,
            chunk,
        };
        guarded(|| parameters.make(kind))
            .map(Prio3)
            .map_err(refused)
    }

    /// The prime of the field.
    #[getter]
    fn modulus(&self) -> u128 {
        self.0.modulus()
    }

    /// Bytes of a field element.
    #[getter]
    fn element_size(&self) -> usize {
        self.0.element_size()
    }

    /// Elements of an output share, an aggregate share and a result.
    #[getter]
    fn output_length(&self) -> usize {
        self.0.output_length()
    }

    /// Bytes of randomness that sharding takes.
    #[getter]
    fn random_length(&self) -> usize {
        self.0.random_length()
    }

    /// Split a measurement: public share, and an input share for each aggregator.
    fn shard(
        &self,
        py: Python<'_>,
        context: &[u8],
        measurement: Measurement,
        nonce: &[u8],
        random: &[u8],
    ) -> PyResult<(Py<PyBytes>, Vec<Py<PyBytes>>)> {
        let nonce = exactly::<16>("the nonce", nonce).map_err(refused)?;
        let (public_share, input_shares) = py
            .detach(|| guarded(|| self.0.shard(context, &measurement, &nonce, random)))
            .map_err(refused)?;
        let input_shares = input_shares
            .iter()
            .map(|share| python_bytes(py, share))
            .collect();
        Ok((python_bytes(py, &public_share), input_shares))
    }

    /// The leader's first step for each (nonce, public share, input share): its state and its message to the helper.
    fn leader_init_batch(
        &self,
        py: Python<'_>,
        verify_key: &[u8],
        context: &[u8],
        reports: Vec<Report>,
    ) -> PyResult<Vec<PairOrReason>> {
        let verify_key = &exactly("the verify key", verify_key).map_err(refused)?;
        let outcomes: Vec<Outcome<Pair>> = py.detach(|| {
            reports
                .par_iter()
                .map(|(nonce, public_share, input_share)| {
                    let setting = Setting {
                        verify_key,
                        context,
                        nonce,
                        public_share,
                        input_share,
                    };
                    guarded(|| self.0.leader_init(&setting))
                })
                .collect()
        });
        Ok(outcomes
            .into_iter()
            .map(|outcome| PairOrReason::new(py, outcome))
            .collect())
    }

    /// The helper's only step for each (nonce, public share, input share, leader's message): its answer and its output share.
    fn helper_init_batch(
        &self,
        py: Python<'_>,
        verify_key: &[u8],
        context: &[u8],
        reports: Vec<ReportWithMessage>,
    ) -> PyResult<Vec<PairOrReason>> {
        let verify_key = &exactly("the verify key", verify_key).map_err(refused)?;
        let outcomes: Vec<Outcome<Pair>> = py.detach(|| {
            reports
                .par_iter()
                .map(|(nonce, public_share, input_share, inbound)| {
                    let setting = Setting {
                        verify_key,
                        context,
                        nonce,
                        public_share,
                        input_share,
                    };
                    guarded(|| self.0.helper_init(&setting, inbound))
                })
                .collect()
        });
        Ok(outcomes
            .into_iter()
            .map(|outcome| PairOrReason::new(py, outcome))
            .collect())
    }

    /// The leader's last step for each (state, helper's answer): its output share.
    fn leader_finish_batch(
        &self,
        py: Python<'_>,
        context: &[u8],
        reports: Vec<(PyBackedBytes, PyBackedBytes)>,
    ) -> Vec<BytesOrReason> {
        let outcomes: Vec<Outcome<Vec<u8>>> = py.detach(|| {
            reports
                .par_iter()
                .map(|(state, inbound)| guarded(|| self.0.leader_finish(context, state, inbound)))
                .collect()
        });
        outcomes
            .into_iter()
            .map(|outcome| BytesOrReason::new(py, outcome))
            .collect()
    }

    /// Sum output shares of one aggregator.
    fn aggregate(
        &self,
        py: Python<'_>,
        output_shares: Vec<PyBackedBytes>,
    ) -> PyResult<Py<PyBytes>> {
        py.detach(|| guarded(|| self.0.aggregate(&output_shares)))
            .map(|share| python_bytes(py, &share))
            .map_err(refused)
    }

    /// Sum aggregate shares of one aggregator.
    fn merge(&self, py: Python<'_>, aggregate_shares: Vec<PyBackedBytes>) -> PyResult<Py<PyBytes>> {
        py.detach(|| guarded(|| self.0.merge(&aggregate_shares)))
            .map(|share| python_bytes(py, &share))
            .map_err(refused)
    }

    /// The result of `count` measurements from all aggregators' shares, without noise.
    fn unshard(
        &self,
        py: Python<'_>,
        aggregate_shares: Vec<PyBackedBytes>,
        count: usize,
    ) -> PyResult<Vec<u128>> {
        py.detach(|| guarded(|| self.0.unshard(&aggregate_shares, count)))
            .map_err(refused)
    }

    /// Both aggregators' verification and sums of (nonce, public share, leader's share, helper's share), with nothing encoded
    /// between the steps: the crate alone, beside which a bench puts the steps above. Returns both aggregate shares.
    fn verify_alone(
        &self,
        py: Python<'_>,
        verify_key: &[u8],
        context: &[u8],
        reports: Vec<AloneReport>,
    ) -> PyResult<(Py<PyBytes>, Py<PyBytes>)> {
        let verify_key = &exactly("the verify key", verify_key).map_err(refused)?;
        py.detach(|| guarded(|| self.0.verify_alone(verify_key, context, &reports)))
            .map(|pair| python_pair(py, &pair))
            .map_err(refused)
    }

    /// One aggregator's first step, for any number of aggregators: its state and its verifier share.
    #[allow(clippy::too_many_arguments)]
    fn verify_init(
        &self,
        py: Python<'_>,
        verify_key: &[u8],
        context: &[u8],
        aggregator: usize,
        nonce: &[u8],
        public_share: &[u8],
        input_share: &[u8],
    ) -> PyResult<(Py<PyBytes>, Py<PyBytes>)> {
        let setting = Setting {
            verify_key: &exactly("the verify key", verify_key).map_err(refused)?,
            context,
            nonce,
            public_share,
            input_share,
        };
        guarded(|| self.0.verify_init(aggregator, &setting))
            .map(|pair| python_pair(py, &pair))
            .map_err(refused)
    }

    /// The message that all aggregators' verifier shares make.
    fn verifier_shares_to_message(
        &self,
        py: Python<'_>,
        context: &[u8],
        aggregator: usize,
        state: &[u8],
        shares: Vec<PyBackedBytes>,
    ) -> PyResult<Py<PyBytes>> {
        guarded(|| {
            self.0
                .verifier_shares_to_message(context, aggregator, state, &shares)
        })
        .map(|message| python_bytes(py, &message))
        .map_err(refused)
    }

    /// One aggregator's last step: its output share.
    fn verify_next(
        &self,
        py: Python<'_>,
        context: &[u8],
        aggregator: usize,
        state: &[u8],
        message: &[u8],
    ) -> PyResult<Py<PyBytes>> {
        guarded(|| self.0.verify_next(context, aggregator, state, message))
            .map(|share| python_bytes(py, &share))
            .map_err(refused)
    }
}

/// The chunk length that makes proofs of a measurement of so many elements smallest.
#[pyfunction]
pub fn optimal_chunk_length(elements: usize) -> PyResult<usize> {
    if elements > MOST_ELEMENTS {
        return Err(refused(format!("more than {MOST_ELEMENTS} elements")));
    }
    Ok(prio3::optimal_chunk_length(elements))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameters(length: usize, bound: u128) -> Parameters {
        Parameters {
            shares: 2,
            length,
            bound,
            weight: 0,
            chunk: 1,
        }
    }

    #[test]
    fn a_measurement_has_at_most_2_to_the_20_elements() {
        assert_eq!(
            parameters(MOST_ELEMENTS, 0).elements("histogram"),
            Ok(MOST_ELEMENTS)
        );
        assert!(parameters(MOST_ELEMENTS + 1, 0)
            .elements("histogram")
            .is_err());
        assert!(parameters(usize::MAX, 3).elements("sumvec").is_err());
        assert!(parameters(usize::MAX, 3).elements("l1bound").is_err());
        assert!(parameters(1, 0).elements("sum").is_err());
        assert!(parameters(1, 0).elements("median").is_err());
    }

    #[test]
    fn two_verified_shares_give_the_measurement() {
        let vdaf = parameters(5, 0).make("histogram").unwrap();
        let (nonce, verify_key) = ([1; 16], [2; 32]);
        let (public_share, input_shares) = vdaf
            .shard(
                b"ctx",
                &Measurement::Number(3),
                &nonce,
                &vec![7; vdaf.random_length()],
            )
            .unwrap();
        let setting = |party: usize| Setting {
            verify_key: &verify_key,
            context: b"ctx",
            nonce: &nonce,
            public_share: &public_share,
            input_share: &input_shares[party],
        };
        let (state, message) = vdaf.leader_init(&setting(0)).unwrap();
        let (answer, helper) = vdaf.helper_init(&setting(1), &message).unwrap();
        let leader = vdaf.leader_finish(b"ctx", &state, &answer).unwrap();
        let sums = leader.chunks(16).zip(helper.chunks(16)).map(|(a, b)| {
            let element = |bytes: &[u8]| u128::from_le_bytes(bytes.try_into().unwrap());
            element(a).wrapping_sub(vdaf.modulus() - element(b))
        });
        assert_eq!(sums.collect::<Vec<_>>(), [0, 0, 0, 1, 0]);
    }
}
