"""The scores are those that `goodfaith replay --policy benches/peers/policy.toml` publishes for the same events."""

import unittest
from datetime import datetime, timezone

from goodfaith.v1 import event_pb2 as proto
import subset


def event(id, time, source="/shop", **body):
    it = proto.Event(id=id, source=source, subject="ada", **body)
    it.time.FromDatetime(datetime.fromisoformat(time.replace("Z", "+00:00")).astimezone(timezone.utc).replace(tzinfo=None))
    return it.SerializeToString()


def pounds(minor):
    return {"minor": minor, "currency": "GBP"}


def published(events):
    state, outputs = None, []
    for value in events:
        after, output = subset.apply(state, value)
        state = after or state
        if output:
            as_of, score, previous = subset.OUTPUT.unpack(output)
            outputs.append((datetime.fromtimestamp(as_of / 1000, timezone.utc).date().isoformat(), score, previous))
    return outputs


class Subset(unittest.TestCase):
    def test_every_kind_of_evidence_moves_the_score_as_it_moves_that_of_goodfaith(self):
        error = event("2", "2025-01-11T12:00:00Z", billing_error_confirmed={"amount": pounds(9000)})
        events = [
            event("1", "2025-01-01T00:00:00Z", service_delivered={}),
            error,
            error,
            event(
                "2",
                "2025-01-12T12:00:00Z",
                source="/crm",
                billing_error_confirmed={"attested_by": "ATTESTED_AGENT", "cause": "CAUSE_FORCE_MAJEURE"},
            ),
            event(
                "3",
                "2025-01-05T06:00:00Z",
                contact_closed={"transfers": 4, "waited_ms": 1_800_000, "wait_stated_ms": 600_000, "attested_by": "ATTESTED_CUSTOMER"},
            ),
            event(
                "4",
                "2025-02-01T00:00:00Z",
                complaint_resolved={
                    "outcome": "COMPLAINT_OUTCOME_UPHELD",
                    "apology": True,
                    "redress": True,
                    "misled": True,
                    "attested_by": "ATTESTED_AGENT",
                },
            ),
            event("5", "2025-03-01T00:00:00Z", escalation_decided={"upheld": True, "misled": True}),
            event("6", "2025-03-02T00:00:00Z", remedy_issued={"kind": "REMEDY_KIND_GOODWILL", "amount": pounds(348)}),
            event("7", "2025-03-03T00:00:00Z", savings_advised={"saving_monthly": pounds(500)}),
            event("8", "2025-03-04T00:00:00Z", disclosure_made={"before_customer_contact": True}),
            event("9", "2026-09-01T00:00:00Z", usage_reported={}),
        ]
        expected = [
            ("2025-01-01", 510648, -1),
            ("2025-01-11", 409387, 510648),
            ("2025-01-12", 382085, 409387),
            ("2025-02-01", 332213, 382085),
            ("2025-03-01", 314976, 332213),
            ("2025-03-02", 326708, 314976),
            ("2025-03-03", 340258, 326708),
            ("2025-03-04", 369449, 340258),
            ("2026-09-01", 447960, 369449),
        ]
        self.assertEqual(published(events), expected)

    def test_nothing_is_published_before_the_first_evidence_and_a_late_one_counts_from_its_time(self):
        events = [
            event("1", "2025-01-01T00:00:00.001Z", usage_reported={}),
            event("2", "2025-01-02T00:00:00Z", billing_error_confirmed={"cause": "CAUSE_CUSTOMER"}),
            event("3", "2025-01-03T00:00:00Z", order_fulfilled={"complete": False}),
            event("4", "2025-01-04T00:00:00Z", remedy_issued={"kind": "REMEDY_KIND_REFUND", "amount": pounds(9999)}),
            event("5", "2024-12-04T00:00:00Z", order_fulfilled={"attested_by": "ATTESTED_AGENT"}),
            event("6", "2025-01-05T00:00:00Z", savings_advised={"saving_monthly": pounds(50_000)}),
        ]
        self.assertEqual(published(events), [("2025-01-04", 507007, -1), ("2025-01-05", 531380, 507007)])

    def test_a_record_is_known_again_among_the_last_64_and_no_longer(self):
        usage = [event(f"u{i}", "2025-01-01T00:00:00Z", usage_reported={}) for i in range(200)]
        state = None
        for i, value in enumerate(usage):
            state, _ = subset.apply(state, value)
            self.assertEqual(subset.apply(state, usage[max(0, i - 63)]), (None, None))
        self.assertIsNotNone(subset.apply(state, usage[200 - 65])[0])

    def test_what_is_no_event_changes_nothing(self):
        self.assertEqual(subset.apply(None, b"\xff"), (None, None))
        self.assertEqual(subset.apply(None, None), (None, None))


if __name__ == "__main__":
    unittest.main()
