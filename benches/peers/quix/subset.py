"""The subset of ../README.md, without any stream processor.

A customer's state is bytes: when it stands (as_of), the score last published, the masses for and against of each dimension, decayed to as_of,
and the hashes of the last 64 records.
"""

from hashlib import blake2b
from math import exp, log, log2
from struct import Struct

from google.protobuf.message import DecodeError
from goodfaith.v1 import event_pb2 as proto

DAY_MS = 86_400_000
THRESHOLD = 10_000
NEVER = -1
HASH_BYTES = 8
RING_BYTES = 64 * HASH_BYTES
HEAD = Struct("<qi12d")
OUTPUT = Struct(">qii")

# Places in the masses; the one against follows the one for. Integrity (0) and fairness (4) have no evidence here.
COMPETENCE, CARE, TRANSPARENCY, PROACTIVITY = 2, 6, 8, 10
# By dimension, in order: weight, half-life in milliseconds, λ.
DIMENSIONS = [
    (0.25, 365 * DAY_MS, 2.0),
    (0.20, 180 * DAY_MS, 1.5),
    (0.20, 365 * DAY_MS, 2.5),
    (0.15, 180 * DAY_MS, 2.0),
    (0.10, 365 * DAY_MS, 2.5),
    (0.10, 365 * DAY_MS, 1.0),
]


def apply(state, value):
    """What one record makes of a customer's state: the state after it, None if it stays, and the output, None if there is none."""
    try:
        event = proto.Event.FromString(value)
    except (DecodeError, TypeError):
        return None, None
    as_of, published, masses, ring = _unpack(state)
    record = blake2b(f"{event.source}\n{event.id}".encode(), digest_size=HASH_BYTES).digest()
    if _holds(ring, record):
        return None, None
    time = event.time.seconds * 1000 + event.time.nanos // 1_000_000
    if as_of is None or time > as_of:
        _decay(masses, as_of, time)
        as_of = time
    for place, weight in _evidence(event):
        _, half_life, weighed = DIMENSIONS[place // 2]
        scale = weighed if place % 2 else 1.0
        masses[place] += min(8.0, weight) * scale * 2.0 ** ((time - as_of) / half_life)
    score, output = _score(masses), None
    if score is not None and (published == NEVER or abs(score - published) >= THRESHOLD):
        output = OUTPUT.pack(as_of, score, published)
        published = score
    return HEAD.pack(as_of, published, *masses) + (ring + record)[-RING_BYTES:], output


def _unpack(state):
    if state is None:
        return None, NEVER, [0.0] * 12, b""
    as_of, published, *masses = HEAD.unpack_from(state)
    return as_of, published, masses, state[HEAD.size :]


def _holds(ring, record):
    at = ring.find(record)
    while at >= 0 and at % HASH_BYTES > 0:
        at = ring.find(record, at + 1)
    return at >= 0


def _decay(masses, since, time):
    """In place; without evidence nothing decays."""
    if since is None:
        return
    shorter, longer = (2.0 ** ((since - time) / (days * DAY_MS)) for days in (180, 365))
    for place in (COMPETENCE, CARE):
        masses[place] *= shorter
        masses[place + 1] *= shorter
    for place in (TRANSPARENCY, PROACTIVITY):
        masses[place] *= longer
        masses[place + 1] *= longer


def _score(masses):
    """T in millionths; None without any evidence."""
    known, logarithm = False, 0.0
    for dimension, (weight, _, _) in enumerate(DIMENSIONS):
        r, s = masses[2 * dimension], masses[2 * dimension + 1]
        known = known or r > 0 or s > 0
        logarithm += weight * log((r + 1) / (r + s + 2))
    return round(exp(logarithm) * 1e6) if known else None


def _evidence(event):
    body = event.WhichOneof("body")
    rule = RULES.get(body)
    return rule(getattr(event, body)) if rule else ()


def _delivered(it):
    if not it.HasField("right_first_time") or it.right_first_time:
        yield COMPETENCE, 0.25 * _eta(it)


def _fulfilled(it):
    if not it.HasField("complete") or it.complete:
        yield COMPETENCE, 0.25 * _eta(it)


def _billed_wrongly(it):
    sigma = _sigma(it.amount.minor) if it.HasField("amount") else 1.0
    yield COMPETENCE + 1, sigma * _eta(it) * ALPHA.get(it.cause, 1.0)


def _closed(it):
    if it.transfers >= 2:
        yield COMPETENCE + 1, min(1.0, 0.25 * (it.transfers - 1)) * _eta(it)
    if it.HasField("waited_ms") and it.HasField("wait_stated_ms") and it.waited_ms > 2 * it.wait_stated_ms:
        yield CARE + 1, 0.25 * _eta(it)


def _resolved(it):
    upheld = it.outcome == proto.COMPLAINT_OUTCOME_UPHELD
    if upheld:
        yield CARE + 1, 0.5 * _eta(it)
    if it.apology and it.redress:
        yield CARE, 0.25 * _eta(it)
    if upheld and it.misled:
        yield TRANSPARENCY + 1, 3.0 * _eta(it)


def _decided(it):
    if it.upheld and it.misled:
        yield TRANSPARENCY + 1, 3.0


def _remedied(it):
    if it.kind == proto.REMEDY_KIND_GOODWILL:
        yield CARE, 0.5 * _sigma(it.amount.minor)


def _advised(it):
    yield PROACTIVITY, 0.75 * _sigma(12 * it.saving_monthly.minor)


def _disclosed(it):
    if it.before_customer_contact:
        yield TRANSPARENCY, 1.5


RULES = {
    "service_delivered": _delivered,
    "order_fulfilled": _fulfilled,
    "billing_error_confirmed": _billed_wrongly,
    "contact_closed": _closed,
    "complaint_resolved": _resolved,
    "escalation_decided": _decided,
    "remedy_issued": _remedied,
    "savings_advised": _advised,
    "disclosure_made": _disclosed,
}

ALPHA = {proto.CAUSE_FORCE_MAJEURE: 0.25, proto.CAUSE_CUSTOMER: 0.0}


def _eta(it):
    return 0.7 if it.attested_by == proto.ATTESTED_AGENT else 1.0


def _sigma(minor):
    return min(4.0, 1.0 + log2(1.0 + minor / 3000.0))
