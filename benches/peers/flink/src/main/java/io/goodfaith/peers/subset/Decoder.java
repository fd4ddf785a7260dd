package io.goodfaith.peers.subset;

import com.google.protobuf.InvalidProtocolBufferException;
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
import goodfaith.v1.MoneyOuterClass.Money;

/** A record's value into what it says: the table "Evidence" of the peers' README. */
public final class Decoder {
  private static final double LN_2 = Math.log(2);

  private Decoder() {}

  /** Fills {@code into} with what {@code value} says; false, and nothing in it means anything, if it is no event. */
  public static boolean decode(byte[] value, Observation into) {
    if (value == null) {
      return false;
    }
    try {
      read(Event.parseFrom(value), into);
      return true;
    } catch (InvalidProtocolBufferException poison) {
      return false;
    }
  }

  private static void read(Event event, Observation into) {
    into.clear();
    into.time = event.getTime().getSeconds() * 1000 + event.getTime().getNanos() / 1_000_000;
    into.event = hash(event.getSource(), event.getId());
    switch (event.getBodyCase()) {
      case SERVICE_DELIVERED -> delivered(event.getServiceDelivered(), into);
      case ORDER_FULFILLED -> fulfilled(event.getOrderFulfilled(), into);
      case BILLING_ERROR_CONFIRMED -> billedWrongly(event.getBillingErrorConfirmed(), into);
      case CONTACT_CLOSED -> closed(event.getContactClosed(), into);
      case COMPLAINT_RESOLVED -> resolved(event.getComplaintResolved(), into);
      case ESCALATION_DECIDED -> decided(event.getEscalationDecided(), into);
      case REMEDY_ISSUED -> remedied(event.getRemedyIssued(), into);
      case SAVINGS_ADVISED -> advised(event.getSavingsAdvised(), into);
      case DISCLOSURE_MADE -> disclosed(event.getDisclosureMade(), into);
      default -> {}
    }
  }

  private static void delivered(ServiceDelivered it, Observation into) {
    if (!it.hasRightFirstTime() || it.getRightFirstTime()) {
      into.support(Dimension.COMPETENCE, 0.25 * eta(it.getAttestedBy()));
    }
  }

  private static void fulfilled(OrderFulfilled it, Observation into) {
    if (!it.hasComplete() || it.getComplete()) {
      into.support(Dimension.COMPETENCE, 0.25 * eta(it.getAttestedBy()));
    }
  }

  private static void billedWrongly(BillingErrorConfirmed it, Observation into) {
    double sigma = it.hasAmount() ? sigma(it.getAmount(), 1) : 1;
    into.oppose(Dimension.COMPETENCE, sigma * eta(it.getAttestedBy()) * alpha(it.getCause()));
  }

  private static void closed(ContactClosed it, Observation into) {
    double eta = eta(it.getAttestedBy());
    if (it.getTransfers() >= 2) {
      into.oppose(Dimension.COMPETENCE, Math.min(1, 0.25 * (it.getTransfers() - 1)) * eta);
    }
    if (it.hasWaitedMs() && it.hasWaitStatedMs() && it.getWaitedMs() > 2 * it.getWaitStatedMs()) {
      into.oppose(Dimension.CARE, 0.25 * eta);
    }
  }

  private static void resolved(ComplaintResolved it, Observation into) {
    double eta = eta(it.getAttestedBy());
    boolean upheld = it.getOutcome() == ComplaintOutcome.COMPLAINT_OUTCOME_UPHELD;
    if (upheld) {
      into.oppose(Dimension.CARE, 0.5 * eta);
    }
    if (it.getApology() && it.getRedress()) {
      into.support(Dimension.CARE, 0.25 * eta);
    }
    if (upheld && it.getMisled()) {
      into.oppose(Dimension.TRANSPARENCY, 3 * eta);
    }
  }

  private static void decided(EscalationDecided it, Observation into) {
    if (it.getUpheld() && it.getMisled()) {
      into.oppose(Dimension.TRANSPARENCY, 3);
    }
  }

  private static void remedied(RemedyIssued it, Observation into) {
    if (it.getKind() == RemedyKind.REMEDY_KIND_GOODWILL) {
      into.support(Dimension.CARE, 0.5 * sigma(it.getAmount(), 1));
    }
  }

  private static void advised(SavingsAdvised it, Observation into) {
    into.support(Dimension.PROACTIVITY, 0.75 * sigma(it.getSavingMonthly(), 12));
  }

  private static void disclosed(DisclosureMade it, Observation into) {
    if (it.getBeforeCustomerContact()) {
      into.support(Dimension.TRANSPARENCY, 1.5);
    }
  }

  /** η: how far who says so is believed. */
  private static double eta(Attested by) {
    return by == Attested.ATTESTED_AGENT ? 0.7 : 1;
  }

  /** α: how far it is the firm's doing. */
  private static double alpha(Cause cause) {
    return switch (cause) {
      case CAUSE_FORCE_MAJEURE -> 0.25;
      case CAUSE_CUSTOMER -> 0;
      default -> 1;
    };
  }

  /** σ: what money multiplies a weight by, 1 to 4. */
  static double sigma(Money money, int times) {
    return Math.min(4, 1 + Math.log(1 + money.getMinor() * times / 3000.0) / LN_2);
  }

  /** FNV-1a over both texts, 64 bits. */
  static long hash(String source, String id) {
    long hash = hash(0xcbf29ce484222325L, source);
    return hash((hash ^ '\n') * 0x100000001b3L, id);
  }

  private static long hash(long seed, String text) {
    long hash = seed;
    for (int i = 0; i < text.length(); i++) {
      hash = (hash ^ text.charAt(i)) * 0x100000001b3L;
    }
    return hash;
  }
}
