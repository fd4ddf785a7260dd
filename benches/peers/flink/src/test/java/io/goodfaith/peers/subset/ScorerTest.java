package io.goodfaith.peers.subset;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;

import com.google.protobuf.Timestamp;
import goodfaith.v1.EventOuterClass.Attested;
import goodfaith.v1.EventOuterClass.BillingErrorConfirmed;
import goodfaith.v1.EventOuterClass.Cause;
import goodfaith.v1.EventOuterClass.ComplaintOutcome;
import goodfaith.v1.EventOuterClass.ComplaintResolved;
import goodfaith.v1.EventOuterClass.ContactClosed;
import goodfaith.v1.EventOuterClass.DisclosureMade;
import goodfaith.v1.EventOuterClass.EscalationDecided;
import goodfaith.v1.EventOuterClass.Event;
import goodfaith.v1.EventOuterClass.OrderFulfilled;
import goodfaith.v1.EventOuterClass.RemedyIssued;
import goodfaith.v1.EventOuterClass.RemedyKind;
import goodfaith.v1.EventOuterClass.SavingsAdvised;
import goodfaith.v1.EventOuterClass.ServiceDelivered;
import goodfaith.v1.EventOuterClass.UsageReported;
import goodfaith.v1.MoneyOuterClass.Money;
import java.nio.ByteBuffer;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;

/** The scores are those that `goodfaith replay --policy benches/peers/policy.toml` publishes for the same events. */
class ScorerTest {
  private final Scorer scorer = new Scorer();
  private final Observation observation = new Observation();
  private final List<String> published = new ArrayList<>();
  private byte[] state;

  private static Event.Builder event(String id, String time) {
    Instant at = Instant.parse(time);
    return Event.newBuilder()
        .setId(id)
        .setSource("/shop")
        .setSubject("ada")
        .setTime(Timestamp.newBuilder().setSeconds(at.getEpochSecond()).setNanos(at.getNano()));
  }

  private static Money pounds(long minor) {
    return Money.newBuilder().setMinor(minor).setCurrency("GBP").build();
  }

  private void hear(Event.Builder event) {
    assertEquals(true, Decoder.decode(event.build().toByteArray(), observation));
    state = scorer.apply(state, observation);
    byte[] publication = scorer.publication();
    if (publication != null) {
      ByteBuffer bytes = ByteBuffer.wrap(publication);
      String line = "%s %d %d";
      published.add(
          line.formatted(Instant.ofEpochMilli(bytes.getLong()), bytes.getInt(), bytes.getInt()));
    }
  }

  @Test
  void everyKindOfEvidenceMovesTheScoreAsItMovesThatOfGoodfaith() {
    hear(event("1", "2025-01-01T00:00:00Z").setServiceDelivered(ServiceDelivered.newBuilder()));
    Event.Builder error =
        event("2", "2025-01-11T12:00:00Z")
            .setBillingErrorConfirmed(BillingErrorConfirmed.newBuilder().setAmount(pounds(9000)));
    hear(error);
    hear(error);
    hear(
        event("2", "2025-01-12T12:00:00Z")
            .setSource("/crm")
            .setBillingErrorConfirmed(
                BillingErrorConfirmed.newBuilder()
                    .setAttestedBy(Attested.ATTESTED_AGENT)
                    .setCause(Cause.CAUSE_FORCE_MAJEURE)));
    hear(
        event("3", "2025-01-05T06:00:00Z")
            .setContactClosed(
                ContactClosed.newBuilder()
                    .setTransfers(4)
                    .setWaitedMs(1_800_000)
                    .setWaitStatedMs(600_000)
                    .setAttestedBy(Attested.ATTESTED_CUSTOMER)));
    hear(
        event("4", "2025-02-01T00:00:00Z")
            .setComplaintResolved(
                ComplaintResolved.newBuilder()
                    .setOutcome(ComplaintOutcome.COMPLAINT_OUTCOME_UPHELD)
                    .setApology(true)
                    .setRedress(true)
                    .setMisled(true)
                    .setAttestedBy(Attested.ATTESTED_AGENT)));
    hear(
        event("5", "2025-03-01T00:00:00Z")
            .setEscalationDecided(
                EscalationDecided.newBuilder().setUpheld(true).setMisled(true)));
    hear(
        event("6", "2025-03-02T00:00:00Z")
            .setRemedyIssued(
                RemedyIssued.newBuilder()
                    .setKind(RemedyKind.REMEDY_KIND_GOODWILL)
                    .setAmount(pounds(348))));
    hear(
        event("7", "2025-03-03T00:00:00Z")
            .setSavingsAdvised(SavingsAdvised.newBuilder().setSavingMonthly(pounds(500))));
    hear(
        event("8", "2025-03-04T00:00:00Z")
            .setDisclosureMade(DisclosureMade.newBuilder().setBeforeCustomerContact(true)));
    hear(event("9", "2026-09-01T00:00:00Z").setUsageReported(UsageReported.newBuilder()));
    assertEquals(
        List.of(
            "2025-01-01T00:00:00Z 510648 -1",
            "2025-01-11T12:00:00Z 409387 510648",
            "2025-01-12T12:00:00Z 382085 409387",
            "2025-02-01T00:00:00Z 332213 382085",
            "2025-03-01T00:00:00Z 314976 332213",
            "2025-03-02T00:00:00Z 326708 314976",
            "2025-03-03T00:00:00Z 340258 326708",
            "2025-03-04T00:00:00Z 369449 340258",
            "2026-09-01T00:00:00Z 447960 369449"),
        published);
  }

  @Test
  void nothingIsPublishedBeforeTheFirstEvidenceAndALateOneCountsFromItsTime() {
    hear(event("1", "2025-01-01T00:00:00.001Z").setUsageReported(UsageReported.newBuilder()));
    hear(
        event("2", "2025-01-02T00:00:00Z")
            .setBillingErrorConfirmed(
                BillingErrorConfirmed.newBuilder().setCause(Cause.CAUSE_CUSTOMER)));
    hear(
        event("3", "2025-01-03T00:00:00Z")
            .setOrderFulfilled(OrderFulfilled.newBuilder().setComplete(false)));
    hear(
        event("4", "2025-01-04T00:00:00Z")
            .setRemedyIssued(
                RemedyIssued.newBuilder()
                    .setKind(RemedyKind.REMEDY_KIND_REFUND)
                    .setAmount(pounds(9999))));
    hear(
        event("5", "2024-12-04T00:00:00Z")
            .setOrderFulfilled(
                OrderFulfilled.newBuilder().setAttestedBy(Attested.ATTESTED_AGENT)));
    hear(
        event("6", "2025-01-05T00:00:00Z")
            .setSavingsAdvised(SavingsAdvised.newBuilder().setSavingMonthly(pounds(50_000))));
    assertEquals(
        List.of("2025-01-04T00:00:00Z 507007 -1", "2025-01-05T00:00:00Z 531380 507007"), published);
  }

  @Test
  void aRecordIsKnownAgainAmongTheLast64AndNoLonger() {
    for (int i = 0; i < 200; i++) {
      hear(usage(i));
      byte[] before = state.clone();
      hear(usage(Math.max(0, i - 63)));
      assertArrayEquals(before, state, "record " + i);
    }
    byte[] before = state.clone();
    hear(usage(200 - 65));
    assertFalse(Arrays.equals(before, state));
  }

  private static Event.Builder usage(int i) {
    return event("u" + i, "2025-01-01T00:00:00Z").setUsageReported(UsageReported.newBuilder());
  }

  @Test
  void whatIsNoEventIsToldFromOneThatSaysNothing() {
    assertFalse(Decoder.decode(null, observation));
    assertFalse(Decoder.decode(new byte[] {(byte) 0xff}, observation));
    hear(event("1", "2025-01-01T00:00:00Z"));
    assertNull(scorer.publication());
  }
}
