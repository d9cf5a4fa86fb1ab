"""Every way to say no.

    EdgeholdError            what went wrong, where, what to do about it
    ├── Malformed            bytes or text that are not what they claim to be            100–149
    ├── CryptoError          a signature, a seal or a proof that does not hold           150–199
    ├── Refusal              the ledger's rules say no: a number in the receipt          200–399
    ├── EngineError          the keeper of the ledger cannot go on                       400–449
    ├── IntakeError          a record that cannot be taken in                            450–499
    ├── HubError             the hub's store, keys, policy or budget                     500–549
    ├── SandboxError         a program that was stopped, and why                         550–599
    ├── AggregationError     a report, job or batch that does not count                  600–649
    ├── VerificationError    a certificate, record or parcel that does not verify        650–699
    ├── UsageError           a command that cannot be carried out as it was given        700–749
    ├── StorageFailed        the disk or the system refuses a file                       750–799
    └── Unavailable
        └── NodeError            a node of the ledger that does not answer, lags or lies     800–849

An expected answer is a value (`Decision`, `Receipt`); a broken rule is one of these. The message holds the facts (which id,
which height, which place in a document), never medical content or keys. `number` is stable for ever: receipts on the
ledger carry it, `edgehold explain` looks it up, and no number is used twice.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar


class EdgeholdError(Exception):
    """Base of all our errors: the message says what and where, `remedy` what to do, `exit_code` what a command returns."""

    number: ClassVar[int] = 0
    remedy: ClassVar[str] = "Report this: every error has a more precise class."
    exit_code: ClassVar[int] = 1

    @property
    def code(self) -> str:
        """The stable name that `edgehold explain` takes, for example EH207."""
        return f"EH{self.number:03d}"


# ── bytes and text ────────────────────────────────────────────────────────────────────────────────────────────────


class Malformed(EdgeholdError):
    """Bytes that our own writer would not have written for this type of message."""

    number = 100
    remedy = "Ask the sender for the bytes as they were first written; nothing was stored."


# ── cryptography ──────────────────────────────────────────────────────────────────────────────────────────────────


class CryptoError(EdgeholdError):
    """A cryptographic check failed."""

    number = 150
    remedy = "The bytes or the key are not the ones that were meant; fetch them again from their source."
    exit_code = 8


class BadSignature(CryptoError):
    """A signature does not fit its message and key."""

    number = 151
    remedy = "Check that the message is unchanged and that the key is the signer's current one."


class CannotOpen(CryptoError):
    """A sealed message does not open with this key and context."""

    number = 152
    remedy = "Check that it was sealed to this key and for this purpose, and that no byte was lost."


class BadProof(CryptoError):
    """An inclusion or absence proof does not lead to the root it names."""

    number = 153
    remedy = "Ask another node for the proof; a node that gives this one lies or is stale."


class BadSealKey(CryptoError):
    """A public key with which no secret can be shared: of the wrong length, or a point of small order."""

    number = 154
    remedy = "Ask its holder for a key made by `edgehold`; nothing was sealed."


class BadHeader(CryptoError):
    """A header that the validators who follow from genesis did not sign."""

    number = 155
    remedy = (
        "Ask another node, with the genesis file of your network; this header belongs to another ledger or is forged."
    )


class TooFarAhead(BadHeader):
    """A header so far from the trusted one that too few of the validators known there signed it: one between is needed."""

    number = 156
    remedy = "Verify a header between the two first; a light client does so by itself."


class TrustExpired(BadHeader):
    """The last trusted header is older than validators answer for what they signed: from it nothing new can be trusted."""

    number = 157
    remedy = (
        "Get the hash of a recent header from somebody you trust (a validator's office, not a node) and start from it."
    )


class ForkFound(BadHeader):
    """Two headers of one height that are both signed as they must be: validators signed both, which the file proves."""

    number = 158
    remedy = "Stop relying on this ledger and send the evidence file to its members: it names the validators that signed both."


class CannotBlind(CryptoError):
    """A key or message with which no blind signature can be made."""

    number = 160
    remedy = "Ask the issuer for the modulus in its panel's descriptor, and blind again with fresh randomness."


class BadMeasurement(CryptoError):
    """A measurement type whose numbers make none, or one whose reports would be too large."""

    number = 170
    remedy = "See the table of measurement types in docs/protocol.md; what a kind does not use is 1 (length) or 0."


class BadShare(CryptoError):
    """A share of a sum that is not a vector of this measurement type's field and length."""

    number = 171
    remedy = "Ask the aggregator for the share whose digest the ledger has."


class BadNoise(CryptoError):
    """A noise scale or seed from which no noise can be drawn."""

    number = 172
    remedy = "Give σ as a positive fraction of two numbers below 2^64."


# ── the ledger's rules ────────────────────────────────────────────────────────────────────────────────────────────


class Refusal(EdgeholdError):
    """The rules of the ledger refuse a transaction; the state is as before."""

    number = 200
    remedy = "See the rule in docs/protocol.md; the transaction had no effect."
    exit_code = 5


class WrongNetwork(Refusal):
    """The transaction was signed for another network."""

    number = 201
    remedy = "Use the genesis file of the network you mean; its digest is the network id."


class Expired(Refusal):
    """The last height at which the transaction could take effect has passed."""

    number = 202
    remedy = "Sign it again with a later expiry."


class ExpiresTooFar(Refusal):
    """The transaction's expiry lies further ahead than the ledger remembers transactions."""

    number = 203
    remedy = "Name an expiry at most as many heights ahead as the parameter `expiry` says."


class UnknownAccount(Refusal):
    """No account has this id."""

    number = 210
    remedy = "Check the id; an account exists from the block in which its sponsor opened it."


class UnknownPanel(Refusal):
    """No panel has this id."""

    number = 211
    remedy = "See `edgehold catalog` for the panels there are."


class UnknownProgram(Refusal):
    """No program has this id."""

    number = 212
    remedy = "Publish the program first; its id is the digest of its descriptor."


class UnknownOrder(Refusal):
    """No order has this id."""

    number = 213
    remedy = "Check the id; it is in the receipt of the order."


class UnknownTask(Refusal):
    """No task has this id."""

    number = 214
    remedy = "Check the id; it is in the receipt of the helper's join."


class UnknownAttestation(Refusal):
    """The sender attested no such claim about this account."""

    number = 215
    remedy = "Only the accreditor that stated a claim can take it back."


class WrongRole(Refusal):
    """An account of this role cannot do this: hubs post roots, organisations do the rest."""

    number = 220
    remedy = "Send it from an account of the other role."


class NotAccreditor(Refusal):
    """Only an accreditor named in genesis may do this."""

    number = 221
    remedy = "Ask one of the accreditors in the genesis file."


class NotAttested(Refusal):
    """No accreditor's live attestation makes this claim about the account."""

    number = 223
    remedy = "Ask an accreditor to attest it, or to renew what ran out."


class NotCustomer(Refusal):
    """The order belongs to another customer."""

    number = 224
    remedy = "Send it from the account that placed the order."


class NotIssuer(Refusal):
    """The panel was declared by another issuer."""

    number = 225
    remedy = "Send it from the account that declared the panel."


class NotLeader(Refusal):
    """The order names another service as its leader."""

    number = 226
    remedy = "Only the service named in the order may request its task."


class NotAggregator(Refusal):
    """The account is neither leader nor helper of this task."""

    number = 227
    remedy = "Check the task's configuration for its two aggregators."


class NotDrawn(Refusal):
    """Another service was drawn as helper for this height."""

    number = 228
    remedy = "Wait: the next helper is drawn when the first does not join in its heights."


class SelfDealing(Refusal):
    """Both sides of this would be the same account."""

    number = 229
    remedy = "Name another account; nobody attests, reviews, pays or serves itself."


class AccountExists(Refusal):
    """There is already an account with this role and key."""

    number = 230
    remedy = "Use the account, or make a fresh key."


class NoPossession(Refusal):
    """The new account's key did not sign that this sponsor may open it here."""

    number = 231
    remedy = "Let the new key's holder sign for this network and this sponsor."


class OwnerKeyMismatch(Refusal):
    """A hub needs an owner key of its own above its hub key; an organisation has none."""

    number = 232
    remedy = "Give a hub an owner key that differs from the hub key; give an organisation none."


class QuotaReached(Refusal):
    """The issuer sponsored as many hubs in this period as the parameters allow."""

    number = 233
    remedy = "Wait for the next period."


class AttestationInPast(Refusal):
    """The attestation would end before it begins."""

    number = 234
    remedy = "Name a height that is still to come."


class AttestationWithdrawn(Refusal):
    """The attestation was withdrawn before."""

    number = 235
    remedy = "Nothing is to be done: it no longer counts."


class InsufficientCredits(Refusal):
    """The account holds fewer credits than this takes."""

    number = 236
    remedy = "Ask the treasurer named in genesis for credits, or name a lower price."


class NothingToTransfer(Refusal):
    """A transfer of no credits."""

    number = 237
    remedy = "Name an amount of at least 1."


class PanelExists(Refusal):
    """The issuer declared exactly this panel before."""

    number = 240
    remedy = "Use the panel that is there; a new one has another number, period or key root."


class NotSorted(Refusal):
    """A list that has to be sorted and without repetition is not."""

    number = 241
    remedy = "Sort the list and name everything once."


class PanelClosed(Refusal):
    """The panel's enrolment was closed before."""

    number = 242
    remedy = "Nothing is to be done: the total stands."


class PanelSizeOutOfRange(Refusal):
    """The panel has fewer or more persons than the parameters allow."""

    number = 243
    remedy = "Enrol more persons, or divide them among several panels."


class PanelStillOpen(Refusal):
    """Orders name closed panels only."""

    number = 244
    remedy = "Wait until the issuer has closed the panel."


class RootTooSoon(Refusal):
    """The hub posted its root in this interval already."""

    number = 245
    remedy = "Post the new root in the next interval; the schedule is the same for every hub."


class ProgramExists(Refusal):
    """This very program was published before."""

    number = 246
    remedy = "Use the program that is there; it has the same id whoever publishes it."


class MeasurementUnfit(Refusal):
    """The measurement's bounds do not fit its kind."""

    number = 247
    remedy = "See `MeasurementType`: fields that a kind does not use are 1 (length) or 0, the others within its limits."


class PanelUnsuited(Refusal):
    """The panel does not offer the schema or the kinds of data that the program reads."""

    number = 248
    remedy = "Choose panels whose descriptor names the program's schema and kinds."


class PurposeUnfit(Refusal):
    """The order's purpose says nothing definite: parts that do not fit together, are unsorted, or lack an argument."""

    number = 249
    remedy = "Name diseases only with disease specific research, sort everything, and give each condition its argument."


class OrderExists(Refusal):
    """The customer placed exactly this order before."""

    number = 250
    remedy = "Choose a fresh seal key and memo for a new order."


class BatchBelowFloor(Refusal):
    """The order's minimum batch is below the network's floor."""

    number = 251
    remedy = "Name a minimum batch of at least the parameter `least_batch`."


class BatchOutOfReach(Refusal):
    """The order's minimum batch is more than all persons of its panels."""

    number = 252
    remedy = "Name more panels, or a smaller minimum batch."


class NoiseNotReduced(Refusal):
    """The noise scale is not a fraction in lowest terms."""

    number = 253
    remedy = "Divide numerator and denominator by what they have in common."


class JoinTooLong(Refusal):
    """The schedule gives helpers so long that the headers they are drawn by would be forgotten."""

    number = 254
    remedy = "Name a shorter `join`."


class OrderWithdrawn(Refusal):
    """The customer took the order back."""

    number = 255
    remedy = "Nothing is to be done: the escrow returned."


class OrderTaken(Refusal):
    """The order became a task."""

    number = 256
    remedy = "Follow the task; it ends by its own heights."


class OrderRequested(Refusal):
    """The leader requested this order's task before; it may do so once."""

    number = 257
    remedy = "Wait for the helper to join."


class RequestTooLate(Refusal):
    """The order's height for the request has passed."""

    number = 258
    remedy = "Settle the order; the customer may place it again."


class NotRequested(Refusal):
    """The leader has not requested this order's task."""

    number = 259
    remedy = "Wait for the leader's request."


class OrderSettled(Refusal):
    """The order ended without a task and its escrow returned."""

    number = 260
    remedy = "Nothing is to be done; the customer may place it again."


class JoinTooEarly(Refusal):
    """The header that draws the helper does not exist yet."""

    number = 261
    remedy = "Join from the second height after the request on."


class JoinTooLate(Refusal):
    """The heights in which helpers of this order could join have passed."""

    number = 262
    remedy = "Settle the order; the customer may place it again."


class HeaderForgotten(Refusal):
    """A header that draws the helper is no longer kept."""

    number = 263
    remedy = "Settle the order when its heights have passed; the customer may place it again."


class NobodyEligible(Refusal):
    """No independent aggregator is left that could help with this order."""

    number = 264
    remedy = "Settle the order when its heights have passed, or withdraw it."


class SlotsExhausted(Refusal):
    """A panel of the order has no free slot left."""

    number = 265
    remedy = "Order from panels with free slots, or wait for the next period."


class SealKeyUnusable(Refusal):
    """Nothing can be sealed to this key: it is a point of small order."""

    number = 266
    remedy = "Make a fresh X25519 key; every properly made one can be used."


class TaskSettled(Refusal):
    """The task has ended."""

    number = 270
    remedy = "Nothing is to be done; its outcome stands."


class PhaseNotBegun(Refusal):
    """The phase of the task in which this may happen has not begun."""

    number = 271
    remedy = "Wait for the height that the message names."


class PhaseOver(Refusal):
    """The phase of the task in which this may happen has passed."""

    number = 272
    remedy = "Settle the task; it does what the passed height entitles to."


class BatchClosed(Refusal):
    """The task's batch was closed before; one task, one batch."""

    number = 273
    remedy = "Nothing is to be done: the first close stands."


class BatchNotClosed(Refusal):
    """The task's batch is not closed."""

    number = 274
    remedy = "Wait until both aggregators signed one statement."


class BadBatchSignature(Refusal):
    """A batch statement is not signed by the aggregator it names."""

    number = 275
    remedy = "Both aggregators of the task sign one and the same statement."


class TooManyReports(Refusal):
    """A batch lists more accepted reports than persons were enrolled."""

    number = 276
    remedy = "One of the aggregators counts reports that nobody sent; look for them in the list."


class SharePosted(Refusal):
    """The aggregator posted its share before; it does so once."""

    number = 277
    remedy = "Nothing is to be done: the first share stands."


class WrongSealedDigest(Refusal):
    """The sealed share in the transaction does not have the digest stated beside it."""

    number = 278
    remedy = "State the digest of exactly the bytes that travel."


class ShareNotCarried(Refusal):
    """A share small enough to travel in the transaction was left out."""

    number = 279
    remedy = "Post the sealed bytes themselves; only larger ones lie at both aggregators."


class SharesMissing(Refusal):
    """The two shares are not both posted."""

    number = 280
    remedy = "Wait for both; after its height a missing share is settled as withheld."


class WrongPrivateKey(Refusal):
    """The private key does not belong to the order's seal key."""

    number = 281
    remedy = "Reveal the private key of exactly this order."


class NotThePostedShare(Refusal):
    """The sealed bytes in the dispute are not the ones that were posted."""

    number = 282
    remedy = "Give both sealed shares as they were posted."


class Groundless(Refusal):
    """Both shares open, have their digests, and their sum lies within what the batch and the noise allow."""

    number = 283
    remedy = "Accept the result; what no proof shows, an audit may."


class NothingDue(Refusal):
    """No height has passed that would entitle to anything."""

    number = 284
    remedy = "Wait for the height that the message names."


class AlreadyRevoked(Refusal):
    """The slot key revoked its permit for this task before."""

    number = 285
    remedy = "Nothing is to be done: the revocation stands."


class BadCredential(Refusal):
    """The slot key is not shown to belong to a panel and slot of this task."""

    number = 286
    remedy = "Give the panel, slot, modulus, path and token of this task's own slot key."


class NoConflict(Refusal):
    """The two statements are not two different ones for this task and one round."""

    number = 290
    remedy = "A conflict is two statements of one round that differ, each signed by the accused."


class AlreadyProven(Refusal):
    """The ledger holds this evidence already."""

    number = 291
    remedy = "Nothing is to be done: it was counted once."


class NotDropped(Refusal):
    """The openings do not show that the report is in neither list."""

    number = 292
    remedy = "Open the two neighbours between which the report would stand, in both lists."


class BadUploadReceipt(Refusal):
    """The upload receipt is not one that this task's leader signed for this slot key."""

    number = 293
    remedy = "Give the receipt as the leader signed it."


class NotRevoked(Refusal):
    """No revocation by this slot key stands on the ledger for this task."""

    number = 294
    remedy = "Only a revocation that the ledger holds proves anything."


class LeafNotAccepted(Refusal):
    """The leaf is not this slot key's in the list of accepted reports."""

    number = 295
    remedy = "Open the slot key's own leaf under the accepted root of the closed batch."


class BadParameters(Refusal):
    """Parameters that contradict each other, or panels larger than any count has room for."""

    number = 300
    remedy = "See `Parameters`: the least panel is at most the most, and that at most ten million."


class BadGenesis(Refusal):
    """A genesis document from which no network can start."""

    number = 301
    remedy = "Correct the document; every party needs the same one."


class NotMember(Refusal):
    """Only operators of validators are members: they propose, vote and change their validator's key."""

    number = 310
    remedy = "Send it from the account of a validator's operator; `edgehold gov show` lists them."


class UnknownProposal(Refusal):
    """The ledger has no proposal with this id."""

    number = 311
    remedy = "List the open ones with `edgehold gov show`."


class ProposalExists(Refusal):
    """This member proposed the same, with the same end, before."""

    number = 312
    remedy = "Vote for it, or propose it with another end."


class ProposalExpired(Refusal):
    """The proposal's last height has passed; it was not decided."""

    number = 313
    remedy = "Propose it again, if it is still wanted."


class ProposalDone(Refusal):
    """The proposal was decided and carried out."""

    number = 314
    remedy = "Nothing is to be done: enough others said yes."


class AlreadyVoted(Refusal):
    """This member has said yes or no to the proposal; a vote counts once and is not changed."""

    number = 315
    remedy = "Nothing is to be done; who changed its mind proposes anew."


class BadProposalEnd(Refusal):
    """A proposal ends later than now, and not later than genesis allows."""

    number = 316
    remedy = "Name an end within the limit that genesis sets (`voting.longest`)."


class AgendaFull(Refusal):
    """As many proposals are open as may be at once."""

    number = 317
    remedy = "Decide on some, or wait until some have expired."


class NothingChanges(Refusal):
    """What is proposed is so already."""

    number = 318
    remedy = "Look at `edgehold gov show`: nothing has to be decided."


class LoneValidator(Refusal):
    """A ledger with one validator has one operator, and no others who could follow a change of it."""

    number = 319
    remedy = "Found a network of several validators; `edgehold network create` makes its document."


class ValidatorsJustChanged(Refusal):
    """The validators changed within the last two heights: one change at a time takes effect."""

    number = 320
    remedy = "Send the same again two heights later."


class TooMuchPower(Refusal):
    """More than a third of the voting power would be other than before at once."""

    number = 321
    remedy = "Change it in several steps; each may add a third of the power that there is, or take a third away."


class TooManyValidators(Refusal):
    """There are as many validators as there may be."""

    number = 322
    remedy = "Run a node that follows: it verifies everything, and has no vote."


class KeyTaken(Refusal):
    """The key votes for a validator already, or the operator has a validator already."""

    number = 323
    remedy = "Make a fresh consensus key; one operator has one validator."


class UnknownValidator(Refusal):
    """The account operates no validator."""

    number = 324
    remedy = "Name the operator of a validator; `edgehold gov show` lists them."


class RotatedRecently(Refusal):
    """A validator's key is not changed again so soon."""

    number = 325
    remedy = "Wait until the height that the refusal names; the members can take its power away at once."


class OfficesFull(Refusal):
    """There are as many accreditors as there may be."""

    number = 326
    remedy = "Decide first which of them is to leave."


class LastAccreditor(Refusal):
    """Without an accreditor nobody could be attested any more."""

    number = 327
    remedy = "Admit another accreditor first."


class RulesTooSoon(Refusal):
    """A version of the rules begins at a height that leaves members too little time to install it."""

    number = 328
    remedy = "Name a height at least as far ahead as genesis says (`voting.notice`)."


class RulesGoBack(Refusal):
    """Rules that were left are not returned to: what later ones wrote could not be read."""

    number = 329
    remedy = "Name the version in force, to call a switch off, or a later one."


# ── the keeper of the ledger ──────────────────────────────────────────────────────────────────────────────────────


class EngineError(EdgeholdError):
    """The engine that keeps the ledger cannot go on."""

    number = 400
    remedy = "Stop the engine and run `edgehold ledger check`."


class LedgerBusy(EngineError):
    """Another process keeps the ledger in this folder."""

    number = 401
    remedy = "Wait for the other process to end, or stop it; one folder has one keeper."
    exit_code = 7


class WrongLedger(EngineError):
    """The folder holds the ledger of another network, or another format."""

    number = 402
    remedy = "Name the folder that belongs to this genesis file, or an empty one."


class StateMismatch(EngineError):
    """The entries in the table do not have the root that the last header signed; the ledger does not start."""

    number = 403
    remedy = "Restore the folder from a copy; the table was changed from outside, or the disk is failing."
    exit_code = 8


class BrokenLog(EngineError):
    """A block in the log is not the one that was signed; the ledger does not start."""

    number = 404
    remedy = "Restore the folder from a copy; the log was changed from outside, or the disk is failing."
    exit_code = 8


class NotTheValidator(EngineError):
    """The signing key is not the one validator that genesis names."""

    number = 405
    remedy = "Start with the key whose public part stands in the genesis file; a set of several needs the other engine."


class EngineHalted(EngineError):
    """The engine stopped because going on could have forked or damaged the ledger; what was acknowledged is kept."""

    number = 406
    remedy = "Read the cause in the log, then start again; report it if it recurs: a rule or the disk failed."


class QueueFull(EngineError):
    """More transactions wait than the engine takes."""

    number = 407
    remedy = "Send the transaction again after the next block."
    exit_code = 7


class AlreadyAnswered(EngineError):
    """The ledger has answered this request before; it has no second effect and takes no second place in a block."""

    number = 410
    remedy = "Ask for its receipt: the answer is there."


class InvalidBlock(EngineError):
    """Validators decided on a block that this program's rules do not allow: theirs are others."""

    number = 411
    remedy = (
        "Compare this program's version with the other validators'; a height may have passed at which rules changed."
    )


class UnknownRules(EngineError):
    """A block follows a version of the rules that this program does not have: a node stops before it, and nobody reads on."""

    number = 415
    remedy = "Install the program that has this version, and start again: nothing is lost."


class WrongGenesis(EngineError):
    """CometBFT was started from a genesis file that does not belong to ours."""

    number = 412
    remedy = "Give both the files of one network: CometBFT's is made from ours by `edgehold node init`."


class OutOfStep(EngineError):
    """CometBFT asks for a block that is not the next one, or for what was not worked out before."""

    number = 413
    remedy = "Start CometBFT and the application again; if it recurs, their folders do not belong together."


class BadSnapshot(EngineError):
    """A snapshot, or a piece of one, that is not what its manifest or the verified header says."""

    number = 414
    remedy = "Nothing was taken over: CometBFT tries another peer's. If all fail, join by replaying the blocks."


# ── intake ────────────────────────────────────────────────────────────────────────────────────────────────────────


class IntakeError(EdgeholdError):
    """A file that cannot be taken into a hub; nothing of it was stored."""

    number = 450
    remedy = "Check the file with the clinic or program that wrote it."


class NotJson(IntakeError):
    """The text is not JSON as RFC 8259 defines it, or can be read in two ways (a key given twice, a number out of range)."""

    number = 451
    remedy = "Have the named place in the file corrected by the program that wrote it; nothing was stored."


class NotFhir(IntakeError):
    """JSON, but not a FHIR R4 bundle or resource."""

    number = 452
    remedy = "Import a FHIR R4 bundle (JSON), or NDJSON with one bundle or resource a line."


class IntakeLimit(IntakeError):
    """A document larger, deeper or with more resources than a hub takes in."""

    number = 453
    remedy = "Split the file into smaller bundles."


class BadField(IntakeError):
    """A field that the events are made of has another type or form than FHIR R4 gives it."""

    number = 454
    remedy = "Have the named field corrected by the clinic that wrote it; nothing was stored."


class SeveralPersons(IntakeError):
    """A file with the records of more than one person; a hub keeps one person's data."""

    number = 455
    remedy = "Import each person's bundle into their own hub."


class UnknownFormat(IntakeError):
    """A file that is empty, or says that it is a text and is none."""

    number = 456
    remedy = "Have the file written again by the program it comes from."


class BadRow(IntakeError):
    """A line of a table, of genotypes or of markup that is not of its format."""

    number = 457
    remedy = "Have the named line corrected by the program that wrote it, or name the columns with --columns FILE.toml."


class UnknownColumns(IntakeError):
    """A table whose header does not say which columns hold the date, the code and the value."""

    number = 458
    remedy = "Name the columns in a small file and import with --columns FILE.toml; docs/tables.md has an example."


class NoTable(IntakeError):
    """A file of which no table can be made, though it is of a kind that has one: the message says what is in the way."""

    number = 459
    remedy = "The file is kept as it is, byte for byte; what programs read is the table, which it does not have."


class BadColumns(IntakeError):
    """A file for --columns that does not name columns, or names some that the table has not."""

    number = 470
    remedy = "Compare the names with the first line of the table; docs/tables.md has an example."


class BadSignal(IntakeError):
    """A header, a signal or a list of annotations that is not as WFDB writes them."""

    number = 471
    remedy = "Import the header (.hea) and its files from one folder, as they were written."


class BadImage(IntakeError):
    """A DICOM file whose elements cannot be followed, or do not say which image it is."""

    number = 472
    remedy = "Have the image exported again by the program it comes from."


class NothingToShow(IntakeError):
    """A dataset without the table that was asked for, or no row that fits."""

    number = 473
    remedy = "See what there is with `edgehold hub show`, or ask for more."
    exit_code = 6


class BrokenPack(IntakeError):
    """A gzip or ZIP file that breaks off, contradicts itself, or whose parts lie where other parts do."""

    number = 480
    remedy = "Fetch the file again, or unpack it and import what comes out; what a hub keeps of it, it keeps as it is."


class PackLimit(IntakeError):
    """A packed file that holds more bytes or parts than a hub unpacks, or far more than it could need for records."""

    number = 481
    remedy = "Unpack it and import its files; what a hub keeps of it, it keeps as it is."


class NestedPack(IntakeError):
    """A packed file inside a packed file; a hub unpacks once."""

    number = 482
    remedy = "Unpack the outer file and import what comes out; what a hub keeps of it, it keeps as it is."


class SignedExactly(IntakeError):
    """A signed file that was to be kept without some of it; a signature stands for every byte."""

    number = 483
    remedy = "Import it without --lossy; or, if its signature is of no use to you, without the file NAME.jws beside it."


class LargeFile(IntakeError):
    """A file is larger than what a hub reads at once to derive a table."""

    number = 485
    remedy = (
        "It can be kept all the same, without what needs all of it. Divide it, and import the pieces, to have that too."
    )


class FileChanged(IntakeError):
    """A large file is read several times, and was not the same each time."""

    number = 486
    remedy = "Wait until whatever writes the file is done, then import it; nothing of it was stored."


# ── hub ───────────────────────────────────────────────────────────────────────────────────────────────────────────


class HubError(EdgeholdError):
    """The hub cannot do what was asked; its data are as before."""

    number = 500
    remedy = "Run `edgehold hub check`."


class AlteredBlob(HubError):
    """Stored bytes are not the ones that were stored."""

    number = 501
    remedy = "Restore the named object from a backup or from the clinic; nothing was taken from the altered bytes."
    exit_code = 8


class WrongHubKey(HubError):
    """The store was made with another hub key."""

    number = 502
    remedy = "Unlock the hub with its own key; the recovery kit holds it."
    exit_code = 4


class UnknownObject(HubError):
    """The store holds no object of this id."""

    number = 503
    remedy = "List what the hub holds with `edgehold hub show`."
    exit_code = 6


class ErasedObject(HubError):
    """The object was erased: its key and salt are destroyed."""

    number = 504
    remedy = "It cannot be read again. If you want it back, import it anew from the clinic."


class NotAStore(HubError):
    """The file is not a hub's store, or of a version that this program does not read."""

    number = 505
    remedy = "Name the hub's own folder; if the file was damaged, restore it from a backup."


class NotCommitted(HubError):
    """The object is not under the root that was named."""

    number = 506
    remedy = "Post the hub's root first with `edgehold hub commit`."


class CannotDecode(HubError):
    """Stored bytes that their codec does not decode within the limit."""

    number = 507
    remedy = "Restore the object from a backup; if the dictionary is missing, install the version that ships it."


class LargeOriginal(HubError):
    """An original that is larger than what is read at once."""

    number = 519
    remedy = "Write it into a folder with `edgehold hub export --original`."


class LargeTable(HubError):
    """A table that is larger than what a program or a tool is given at once."""

    number = 532
    remedy = "Rows of it can be read: `edgehold hub table --region` or `--code`. For programs divide the file."


class StoreBusy(HubError):
    """Another process holds the hub's store."""

    number = 508
    remedy = "Stop the other command that uses this hub, then try again."
    exit_code = 7


class FolderInUse(HubError):
    """A hub's keys or recovery kit lie in the folder already."""

    number = 535
    remedy = "Use another folder; keys are never overwritten."


class KeysUnusable(HubError):
    """The hub's keys are missing, altered, or readable by others."""

    number = 536
    remedy = "Make the file readable by you alone (`chmod 600`), or restore the hub from its recovery kit."
    exit_code = 4


class LedgerBehind(HubError):
    """The ledger shows a header below the last height this hub has seen, or another one at that height."""

    number = 537
    remedy = "Ask another node of the ledger; the one that was asked is stale or lies."


class NotAsked(HubError):
    """No task of this id waits for the owner's answer."""

    number = 538
    remedy = "List what waits with `edgehold hub inbox`."
    exit_code = 6


class NothingSent(HubError):
    """This hub sent no report to that task, so there is nothing to revoke or to check."""

    number = 539
    remedy = "List what left the hub with `edgehold hub history`."
    exit_code = 6


class TooLate(HubError):
    """The height until which this was possible has passed."""

    number = 540
    remedy = "Nothing can be changed any more; the history says what the released sum contains."
    exit_code = 5


class NoService(HubError):
    """A service or the issuer answered otherwise than the protocol says."""

    number = 541
    remedy = "Try again later; what is sent again is byte for byte what was sent."
    exit_code = 7


class EnrolmentError(HubError):
    """The issuer does not enrol this hub; nothing was signed."""

    number = 542
    remedy = "Ask the issuer's desk with the number of this error."


class NotInvited(EnrolmentError):
    """No person of this issuer belongs to the invitation or account."""

    number = 543
    remedy = "Use the invitation that the issuer handed out with the record; it opens one account."
    exit_code = 4


class NotAnAdult(EnrolmentError):
    """The person is not an adult: panels enrol adults only, and a minor's hub answers nobody."""

    number = 544
    remedy = "Make a new hub and enrol after the eighteenth birthday."
    exit_code = 5


class EnrolledBefore(EnrolmentError):
    """The person is enrolled in a panel of this scheme and period already."""

    number = 545
    remedy = "Use the slot keys of the first enrolment; the same visit can be repeated with the same request."
    exit_code = 5


class NotTheRecord(EnrolmentError):
    """The leaf that was shown is not that of a record which the issuer signed for this person."""

    number = 546
    remedy = "Import the record as it was handed out, with its signature file beside it, and commit."
    exit_code = 5


class RootDiffers(EnrolmentError):
    """The hub's live root on the ledger does not hold the leaf that was shown."""

    number = 547
    remedy = "Commit the hub's root, wait for the next block, then enrol."
    exit_code = 5


class PanelNotOpen(EnrolmentError):
    """The panel is unknown to this issuer, not on the ledger, full or closed."""

    number = 548
    remedy = "Choose an open panel; list them with `edgehold catalog`."
    exit_code = 5


class BadPanelKeys(EnrolmentError):
    """The slot verification keys or blind signatures from the issuer are not the panel's."""

    number = 549
    remedy = "Do not enrol with this issuer before it explains; its keys differ from what the ledger says."
    exit_code = 8


class BadPurpose(HubError):
    """A purpose or permitted use that says nothing definite."""

    number = 520
    remedy = "Correct the codes and their arguments; docs/glossary.md says where they are listed."


class BadPolicy(HubError):
    """A policy file that cannot be read as a policy."""

    number = 521
    remedy = "Correct the key that is named; `edgehold hub policy` prints a complete policy to start from."


class BadLoss(HubError):
    """A privacy loss, noise scale or accuracy that is not positive or not defined."""

    number = 522
    remedy = "Give a noise scale and a privacy loss above zero."


class BudgetExhausted(HubError):
    """A debit that the budget does not cover; nothing was debited."""

    number = 523
    remedy = "Wait for the period that is named, or let the owner raise the budget."
    exit_code = 5


class BadRecipient(HubError):
    """A text that is no age recipient: nothing can be sealed to it."""

    number = 524
    remedy = "Give what `age-keygen -y` prints: it begins with age1. Nothing was written."


class BadIdentity(HubError):
    """A file that holds no age identity."""

    number = 525
    remedy = "Give the file that `age-keygen` wrote, with a line that begins with AGE-SECRET-KEY-1."
    exit_code = 4


class SealedToOthers(HubError):
    """The archive is sealed to other keys than the one that was given."""

    number = 526
    remedy = "Give the identity that belongs to one of its recipients; the recovery kit of the same hub opens it too."
    exit_code = 4


class ArchiveDamaged(HubError):
    """The archive is cut, altered, or no archive of a hub; nothing of it was taken over."""

    number = 527
    remedy = "Fetch the archive again from where it was kept, or take another one."
    exit_code = 8


class ArchiveUnknown(HubError):
    """The archive has a form that this version does not read."""

    number = 528
    remedy = "Install the version of Edgehold that wrote it, or a later one."


class OtherHub(HubError):
    """Archive, kit and folder do not belong to one and the same hub."""

    number = 529
    remedy = "Take the archive and the kit of this very hub; the message names the accounts."
    exit_code = 4


class HubDamaged(HubError):
    """The hub has altered or missing bytes, so that a copy of it would have them too."""

    number = 530
    remedy = "Run `edgehold hub repair` with an earlier archive, or erase what is named; then export."
    exit_code = 8


class BeyondRepair(HubError):
    """Keys or journal of the hub are unreadable: what was spent and sent stands there, and an older one would forget it."""

    number = 531
    remedy = "Move the folder away and use `edgehold hub restore`, which counts as spent whatever the lost hub may have spent."
    exit_code = 8


# ── sandbox ───────────────────────────────────────────────────────────────────────────────────────────────────────


class SandboxError(EdgeholdError):
    """A program was stopped; only the owner's log says why."""

    number = 550
    remedy = "Try the program with `edgehold program test` on sample data."


class FuelExhausted(SandboxError):
    """The program executed more instructions than its limit."""

    number = 551
    remedy = "Make the program do less, or publish it with more fuel."


class DeadlineExceeded(SandboxError):
    """The program ran longer than its limit."""

    number = 552
    remedy = "Make the program do less, or publish it with a later deadline; a busy machine is slower."


class MemoryExceeded(SandboxError):
    """The program asked for more memory than its limit."""

    number = 553
    remedy = "Read the columns instead of building lists of rows, or publish the program with more memory."


class StackExceeded(SandboxError):
    """The program called more deeply than the sandbox allows."""

    number = 554
    remedy = "Replace the recursion by a loop."


class OutputTooLarge(SandboxError):
    """The program's answer is longer than its limit."""

    number = 555
    remedy = "Return only the measurement that the manifest declares."


class ForbiddenCapability(SandboxError):
    """The program asked for something no program may have: network, waiting, leaving, more dice than it is given."""

    number = 556
    remedy = "A program sees its tables and its parameters, and nothing else; remove the call."


class ProgramFailed(SandboxError):
    """The program raised an error or gave an answer that is not JSON."""

    number = 557
    remedy = "Correct the program at the line named; try it with `edgehold program test` on sample data."


class ProgramCrashed(SandboxError):
    """The program brought down its interpreter; the hub and later runs are unaffected."""

    number = 558
    remedy = "The program misuses the interpreter; do not publish it."


class BadAnswer(SandboxError):
    """The program's answer is not a measurement of the declared kind within the declared bounds."""

    number = 559
    remedy = "Return whole numbers of the kind and within the bounds that the manifest declares."


class ProgramTooLarge(SandboxError):
    """The program's text or its parameters are longer than any program's."""

    number = 560
    remedy = "A program is a few dozen lines that an owner can read; shorten it."


class BadManifest(SandboxError):
    """A program's manifest says something that a manifest cannot say."""

    number = 561
    remedy = "Correct the field named; `edgehold program new` writes a manifest to start from."
    exit_code = 2


class BrokenRuntime(SandboxError):
    """The program runtime in this installation is not the one this version of Edgehold ships."""

    number = 562
    remedy = "Install Edgehold again from its source or wheel."


class RuntimeRefused(SandboxError):
    """A runtime asks for something that no program may have."""

    number = 563
    remedy = "Build the runtime without it, or read docs/threats.md before granting it in `sandbox.capabilities`."


class EngineMismatch(SandboxError):
    """The WebAssembly engine that is installed is not the one programs are published for."""

    number = 564
    remedy = "Install the pinned version of the package `wasmtime`."


class UntrustedCache(SandboxError):
    """A directory or file of compiled code is missing, changed, or open to other users."""

    number = 565
    remedy = "Delete the directory named and start again; it is made anew, for this user alone."


class CompileFailed(SandboxError):
    """The program runtime could not be compiled on this machine."""

    number = 566
    remedy = "Check free memory (about 500 MB) and disk (about 50 MB), and start again."


class NoTables(SandboxError):
    """The directory of tables that a program should read does not exist."""

    number = 567
    remedy = "Import a record into the hub first."


class ProgramDiffers(SandboxError):
    """The source, runtime or engine at hand is not the one that was published."""

    number = 568
    remedy = (
        "Fetch the program's source again; if runtime or engine differ, install the version that the program names."
    )


# ── aggregation ───────────────────────────────────────────────────────────────────────────────────────────────────


class AggregationError(EdgeholdError):
    """A report, an aggregation job or a batch that does not count."""

    number = 600
    remedy = "The other reports are unaffected; the sender may be faulty or hostile."


class ReportRefused(AggregationError):
    """A report that an aggregator does not count."""

    number = 601
    remedy = "Only this report is affected; a hub sends the bytes that it stored, within the upload phase."


class WrongSize(ReportRefused):
    """A report that has not the one size of all reports of its task."""

    number = 602
    remedy = "Every report of a task has the same size; make it with `aggregation.report.make_report`."


class WrongTask(ReportRefused):
    """A report, message or statement made for another task."""

    number = 603
    remedy = "Check the task id; what was made for one task is worth nothing in another."


class TaskNotOpen(ReportRefused):
    """A report outside the upload phase of its task."""

    number = 604
    remedy = "Nothing can be done for this task; the height in the message says when its uploads ended."


class SlotKeySeen(ReportRefused):
    """A second report, with other bytes, by a slot key that has already reported."""

    number = 605
    remedy = "One report a task: the first counts. To have its receipt again, send the first bytes again."


class ReportSeen(ReportRefused):
    """A second report under a report id that is taken."""

    number = 606
    remedy = "Report ids are drawn at random; make the report anew with a fresh id."


class SlotKeyRevoked(ReportRefused):
    """A report by a slot key that has revoked its permit."""

    number = 607
    remedy = "A revocation is final for its task."


class BadToken(ReportRefused):
    """A token that is not the issuer's for this panel and slot."""

    number = 608
    remedy = "Use the slot key enrolled for exactly the slot that the task names for its panel."


class BadPermit(ReportRefused):
    """A permit that the slot key did not sign for this task, report and shares."""

    number = 609
    remedy = "The report was altered or put together from two; make it again and sign it."


class ShareUnreadable(ReportRefused):
    """An input share that does not open with this aggregator's key for the task."""

    number = 610
    remedy = "Seal each share to the key that the task's configuration names for that aggregator."


class ShareDiffers(ReportRefused):
    """An input share other than the one that was permitted."""

    number = 611
    remedy = "Whoever sealed the share altered it; the permit names the digest of the right one."


class TaskNotServed(AggregationError):
    """A task that this node does not serve, or of which it knows nothing yet."""

    number = 620
    remedy = "Ask one of the two services that the task names, at the height at which it opened or later."


class NotTheAggregator(AggregationError):
    """A message that only the task's other aggregator may send, from somebody else."""

    number = 621
    remedy = "Sign it with the key that the task's configuration names."


class NoVerifyKey(AggregationError):
    """No verification key is there yet, so that no report can be taken."""

    number = 622
    remedy = "Send the same again after the leader has agreed on the key with the helper."


class JobConflict(AggregationError):
    """Another job under the number of one that was answered."""

    number = 623
    remedy = "Send the same bytes as before; a job is answered once."


class BatchFixed(AggregationError):
    """A change to lists that are already signed."""

    number = 624
    remedy = "Nothing counts after the signature; what came late is told so."


class BatchNotReady(AggregationError):
    """A statement about lists before their phase has begun, or after it has passed."""

    number = 625
    remedy = "Wait for the height that the message names."


class BatchTooSmall(AggregationError):
    """Fewer verified reports than the order's minimum."""

    number = 626
    remedy = "The task aborts, nothing is released, and the escrow returns less a fee; order again with more panels."


class BatchDiffers(AggregationError):
    """Two aggregators whose lists still differ after one intersection."""

    number = 627
    remedy = "The task aborts; both are marked, since nobody can say by whose fault."


class AnswerDiffers(AggregationError):
    """An answer that does not fit the question."""

    number = 628
    remedy = "The other aggregator is faulty; nothing was counted from it."


class NothingHere(AggregationError):
    """A part of a list or a share that is not there."""

    number = 629
    remedy = "Ask for parts from 0 on, after the batch was signed; shares after they were posted."


class OutOfBounds(AggregationError):
    """A measurement that its type does not allow."""

    number = 631
    remedy = "See the type and bounds that the program declares."


class PanelKeysDiffer(AggregationError):
    """Slot verification keys that are not the panel's."""

    number = 632
    remedy = "Fetch the list again from the issuer; its root is on the ledger."


class KeysDestroyed(AggregationError):
    """A step that needs the keys of a task whose keys and shares are destroyed."""

    number = 633
    remedy = "Nothing can be opened or posted any more; lists and posted shares can still be fetched."


class MessageRefused(AggregationError):
    """The other party refused a message, with the number and facts it gave."""

    number = 634
    remedy = "Look the number up with `edgehold explain`."


# ── verification ──────────────────────────────────────────────────────────────────────────────────────────────────


class VerificationError(EdgeholdError):
    """What was claimed does not hold; do not rely on it."""

    number = 650
    remedy = "Do not rely on it. Ask its maker for the original and for the ledger's genesis file."
    exit_code = 8


class BadCertificate(VerificationError):
    """A certificate says something that does not follow from the ledger it names."""

    number = 690
    remedy = "Do not rely on it. Ask the customer for the original file, and compare the genesis file with your own."


class ForgedParcel(VerificationError):
    """A shared record does not come from the hub it names, is not under that hub's root, or is not what was signed."""

    number = 651
    remedy = "Do not rely on the record. Ask the owner to share it again."


class ShareEnded(VerificationError):
    """The share was withdrawn, or its last height has passed."""

    number = 652
    remedy = "Ask the owner for a new share."
    exit_code = 5


class FetchOver(VerificationError):
    """The hub holds no such fetch open: its last piece has left, others came after it, or the hub was closed meanwhile."""

    number = 656
    remedy = "Fetch the record again, from its beginning."
    exit_code = 7


class NotTheRecipient(VerificationError):
    """The record is shared with another account, or not at all."""

    number = 653
    remedy = "Fetch with the account that the owner named."
    exit_code = 5


class RecordErased(VerificationError):
    """The owner erased the record; its key and salt are destroyed."""

    number = 654
    remedy = "It cannot be fetched again by anybody."
    exit_code = 5


class HeaderMoved(VerificationError):
    """The ledger made a new block while entries were read that belong together."""

    number = 655
    remedy = "Read again; nothing was decided."
    exit_code = 1


# ── commands ──────────────────────────────────────────────────────────────────────────────────────────────────────


class UsageError(EdgeholdError):
    """The command cannot be carried out as it was given."""

    number = 700
    remedy = "See --help of the command."
    exit_code = 2


class NotFound(UsageError):
    """Something named in the command does not exist."""

    number = 701
    remedy = "Check the name or id; list what there is with the matching `show` command."
    exit_code = 6


class FileUnusable(UsageError):
    """A file or folder that a command was given cannot be read, written or understood."""

    number = 702
    remedy = "Name another file or folder, or mend its permissions; nothing was changed."
    exit_code = 1


class NotANetwork(NotFound):
    """A folder is not that of a network, or what it says of itself is damaged."""

    number = 703
    remedy = "Name the folder that `edgehold demo --dir` made."


class NotFounded(NotANetwork):
    """A folder was left by a demo that was stopped before its people were enrolled: no order can be placed in it."""

    number = 713
    remedy = "Remove the folder and run `edgehold demo` again; nothing in it was of use to anybody yet."


class NoHub(NotFound):
    """There is no hub in a folder."""

    number = 704
    remedy = "Make one with `edgehold hub init`, or name its folder with --hub."


class NoIssuer(NotFound):
    """There is no issuer in a folder."""

    number = 705
    remedy = "Make one with `edgehold issuer init`, or name its folder with --issuer."


class Ambiguous(UsageError):
    """The beginning of an id fits more than one thing."""

    number = 706
    remedy = "Give more characters of the id."


class NotInstalled(UsageError):
    """A command needs a library that is not part of every installation."""

    number = 707
    remedy = "Install Edgehold with the extra that is named."


class NoCometBft(NotInstalled):
    """The program that orders the blocks of a replicated ledger is not there, or is another version."""

    number = 720
    remedy = (
        "Build it with `make cometbft` in a checkout of Edgehold, and put it beside `edgehold` or on the PATH "
        "(or name it in the variable EDGEHOLD_COMETBFT)."
    )


class NoNode(NotFound):
    """The folder is not the home of a validator or of a node that follows a network."""

    number = 721
    remedy = "Name the folder with --home, or make one with `edgehold node init`."


class NodeNotFounded(UsageError):
    """The home has keys but belongs to no network yet."""

    number = 722
    remedy = (
        "Accept the founding documents with `edgehold network accept`, or make a home with `edgehold node init --join`."
    )


class BadFounderFile(UsageError):
    """A founder file that its keys did not sign, or that does not go together with the others."""

    number = 723
    remedy = "Ask that founder for the file `founder.cbor` of its home as it was written."


class NotAFounder(UsageError):
    """The genesis document does not say of this home what the home's own keys and founder file say."""

    number = 724
    remedy = "Do not start: ask whoever collected the founder files for a document with your own."


class NodeRuns(EdgeholdError):
    """Another process runs the node of this home."""

    number = 725
    remedy = "Stop it first (`systemctl stop edgehold-node`, or `edgehold down`), or ask it: `edgehold node status`."
    exit_code = 7


class NodeEnded(EdgeholdError):
    """CometBFT or our application ended by itself, and the other was stopped with it; what was committed is kept."""

    number = 726
    remedy = "Read the cause in the log, then start the node again; `edgehold node doctor` looks for causes."


class BadNodeSettings(UsageError):
    """The file config.toml of a node's home cannot be read, or lacks what this program reads from it."""

    number = 729
    remedy = "Correct the file, or make a home with `edgehold node init` and copy the keys into it."


class NothingToGoBackTo(UsageError):
    """A node cannot be taken back by a block: it has none, or the blocks from which its state would come are gone."""

    number = 730
    remedy = "Make a fresh home with `edgehold node init --join` and move the consensus key into it, with what it signed last."


class NoResult(EdgeholdError):
    """An order ended, or stands, without a result."""

    number = 711
    remedy = "See the reason with `edgehold order status`; whatever is in escrow returns by rule."


class TooFewReports(NoResult):
    """An order ended because fewer people than its least batch answered: nothing was released."""

    number = 712
    remedy = (
        "Choose a leader with a better record (`edgehold catalog`), a lower ε, or wait until more people take part."
    )
    exit_code = 5


class Unavailable(EdgeholdError):
    """Something that is needed cannot be had now: a party does not answer, or a height has not come."""

    number = 710
    remedy = "Try again later; nothing was lost."
    exit_code = 7


class NodeNotReady(Unavailable):
    """A node does not run, does not answer, or has made no block in time."""

    number = 727
    remedy = "Start it (`edgehold node start`), or look at its log and at `edgehold node doctor`."


# ── disk and system ───────────────────────────────────────────────────────────────────────────────────────────────


class StorageFailed(EdgeholdError):
    """A file could not be read or written, because the disk or its file system failed; what was begun is undone."""

    number = 750
    remedy = "Check the disk and its mount (the system's log says more), then do the same again; nothing was lost."


class StorageFull(StorageFailed):
    """The disk is full, or a quota or limit of file size is reached; what was begun is undone."""

    number = 751
    remedy = "Make room on the disk or raise the quota, then do the same again; nothing was lost."


class FileNotOpened(StorageFailed):
    """A file could not be opened: its folder is gone or not yours, or this process holds as many files as it may."""

    number = 752
    remedy = "Check the folder and the limit of open files (`ulimit -n`), then do the same again; nothing was lost."


# ── nodes of the ledger ───────────────────────────────────────────────────────────────────────────────────────────


class NodeError(Unavailable):
    """A node of the ledger gave nothing that can be relied on; other nodes are asked, and all of them later again."""

    number = 800
    remedy = "Name other nodes of the ledger, or try again later; nothing was believed and nothing was lost."


class NodeUnreachable(NodeError):
    """A node does not answer, or not in time."""

    number = 801
    remedy = "Check the node's address and the way to it, or name another node."


class BadNodeAnswer(NodeError):
    """A node's answer is no answer: not JSON, not of the form that was asked for, too large, or an error of the node."""

    number = 802
    remedy = "Check that the address is the RPC address of a CometBFT v0.38 node of this network, or name another node."


class NodeSaysNo(BadNodeAnswer):
    """A node answers with an error of its own."""

    number = 807


class LyingNode(NodeError):
    """A node's answer does not hold against the headers that the validators signed."""

    number = 803
    remedy = "Do not ask this node again: it lies, or follows another network. The error says what it said."


class StaleNode(NodeError):
    """A node shows less of the ledger than was seen before."""

    number = 804
    remedy = "Wait until the node has caught up, or name another one."


class StateNotKept(NodeError):
    """A node does not keep the state or block of the height that was asked for, or has not made it yet."""

    number = 805
    remedy = "Ask for a later height, or name a node that keeps more."


class NodeRefuses(NodeError):
    """Every node that was asked refuses to take a transaction; the reason is theirs, and nothing proves it."""

    number = 806
    remedy = "See the reason; if it is wrong, name another node."


def all_errors() -> Iterator[type[EdgeholdError]]:
    """Every error class that is loaded, the base first, each once."""
    pending: list[type[EdgeholdError]] = [EdgeholdError]
    while pending:
        kind = pending.pop(0)
        yield kind
        pending.extend(kind.__subclasses__())
