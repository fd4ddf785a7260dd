//! Every parameter there is, once: its words, its key, its kind and its default. MODEL's numbers stand here and nowhere else in the
//! core, apart from the bounds of state.
//!
//! A comment on a parameter is what `goodfaith policy explain` and the JSON Schema say of it.

use super::Tolerance;
use super::parameter::{
    Amount, AtLeastOne, BusinessDays, Count, Days, Factor, HalfLife, Hours, Kind, Lambda, Limit,
    Mass, Months, Parameter, Positive, Ratio, Section, Share, WholeDays, held, key, parameters,
    section,
};
use crate::model::EventTime;

parameters! {
    /// How each dimension weighs and forgets, as stated: the shares need not sum to 1.
    Dimensions {
        /// ω of integrity: promises kept.
        integrity_weight as "integrity.weight": Factor = 0.25,
        /// Time in which evidence of integrity halves.
        integrity_half_life_ms as "integrity.half_life_days": HalfLife = 365.0,
        /// λ of integrity: how much more a negative tells than a positive.
        integrity_lambda as "integrity.lambda": Lambda = 2.0,
        /// ω of competence: things done right.
        competence_weight as "competence.weight": Factor = 0.20,
        /// Time in which evidence of competence halves.
        competence_half_life_ms as "competence.half_life_days": HalfLife = 180.0,
        /// λ of competence.
        competence_lambda as "competence.lambda": Lambda = 1.5,
        /// ω of fairness: no squeeze, good profits.
        fairness_weight as "fairness.weight": Factor = 0.20,
        /// Time in which evidence of fairness halves.
        fairness_half_life_ms as "fairness.half_life_days": HalfLife = 365.0,
        /// λ of fairness.
        fairness_lambda as "fairness.lambda": Lambda = 2.5,
        /// ω of care: benevolence.
        care_weight as "care.weight": Factor = 0.15,
        /// Time in which evidence of care halves.
        care_half_life_ms as "care.half_life_days": HalfLife = 180.0,
        /// λ of care.
        care_lambda as "care.lambda": Lambda = 2.0,
        /// ω of transparency: open, shown, said.
        transparency_weight as "transparency.weight": Factor = 0.10,
        /// Time in which evidence of transparency halves.
        transparency_half_life_ms as "transparency.half_life_days": HalfLife = 365.0,
        /// λ of transparency.
        transparency_lambda as "transparency.lambda": Lambda = 2.5,
        /// ω of proactivity: before one has to.
        proactivity_weight as "proactivity.weight": Factor = 0.10,
        /// Time in which evidence of proactivity halves.
        proactivity_half_life_ms as "proactivity.half_life_days": HalfLife = 365.0,
        /// λ of proactivity.
        proactivity_lambda as "proactivity.lambda": Lambda = 1.0,
    }
}

parameters! {
    /// η: how much a source is believed.
    Attestation {
        /// η of a system of record.
        system: Share = 1.0,
        /// η of the customer.
        customer: Share = 1.0,
        /// η of a person of the firm about their own work.
        agent: Share = 0.7,
        /// η of what a timer presumes because nothing was heard.
        presumed: Share = 0.8,
    }
}

parameters! {
    /// α: how much of a failure is the firm's.
    Causes {
        /// α of what the firm caused.
        firm: Share = 1.0,
        /// α of what a supplier of the firm's caused: the customer contracted with the firm.
        supplier: Share = 1.0,
        /// α of what nobody caused.
        force_majeure: Share = 0.25,
        /// α of what the customer caused.
        customer: Share = 0.0,
    }
}

parameters! {
    /// Strength of a promise by what it rests on.
    Bases {
        /// A guarantee, service level or statute.
        guarantee: Share = 1.0,
        /// Said to this customer.
        explicit: Share = 1.0,
        /// Published to all.
        published: Share = 0.75,
        /// Implied.
        implied: Share = 0.5,
    }
}

parameters! {
    /// What an amount of money counts.
    MoneyScale {
        /// Amount at which σ, what money multiplies a weight by, is 2: minor units, before the currency's scale.
        a0: Positive = 3000.0,
        /// σ at most.
        sigma_max: AtLeastOne = 4.0,
        /// Monthly excess that adds one third of half a severity: minor units, before the currency's scale.
        e_half: Positive = 500.0,
        /// Accrued excess that adds one third of half a severity: minor units, before the currency's scale.
        a_half: Positive = 6000.0,
    }
}

parameters! {
    /// Bands on T.
    Bands {
        /// T from which trust is `strong`.
        strong: Limit = 0.80,
        /// T from which trust is `good`.
        good: Limit = 0.65,
        /// T from which trust is `neutral`.
        neutral: Limit = 0.50,
        /// T from which trust is `strained`; below it is `depleted`.
        strained: Limit = 0.35,
        /// How far past a limit T must go before the band follows.
        margin: Limit = 0.02,
        /// Evidence (Σ n⁰) below which the band is `insufficient`.
        evidence_min: Mass = 3.0,
    }
}

parameters! {
    /// When a change is worth saying.
    Emission {
        /// Change of T since the last publication that is published.
        score_change: Limit = 0.01,
        /// Change of loyalty since the last publication that is published.
        loyalty_change: Limit = 0.01,
    }
}

parameters! {
    /// When trust is said to be depleted.
    Depletion {
        /// Evidence (Σ n⁰) it takes.
        evidence_min: Mass = 5.0,
        /// E of a dimension that is bad.
        below: Share = 0.35,
        /// Probability that a dimension is that bad.
        probability: Limit = 0.90,
    }
}

parameters! {
    /// What customers say of the firm, and when it is far from what the firm does.
    Perception {
        /// Time in which what was said halves.
        half_life_ms as "half_life_days": HalfLife = 180.0,
        /// Mass of what was said that it takes to speak of a gap.
        evidence_min: Mass = 3.0,
        /// Distance of perceived from earned trust that is a gap.
        gap: Limit = 0.20,
    }
}

parameters! {
    /// The proactive ratio.
    Proactive {
        /// Time in which a failure counted half.
        half_life_ms as "half_life_days": HalfLife = 180.0,
    }
}

parameters! {
    /// Base weights by class of evidence; what promises and failures weigh stands under `promise` and `failure`.
    Weights {
        /// A price guarantee honoured, times σ of the difference.
        guarantee_honoured as "INT.GUARANTEE_HONOURED": Factor = 1.0,
        /// A price guarantee not honoured, times σ of what is missing.
        guarantee_breached as "INT.GUARANTEE_BREACHED": Factor = 1.0,
        /// A charge after a cancellation, times σ of it.
        charge_after_cancel as "INT.CHARGE_AFTER_CANCEL": Factor = 1.5,
        /// Marketing after an opt-out.
        consent_breach as "INT.CONSENT_BREACH": Factor = 1.0,
        /// Delivered whole, or right first time.
        delivered as "COM.DELIVERED": Factor = 0.25,
        /// Resolved at the first contact.
        first_contact as "COM.FCR": Factor = 0.5,
        /// Had to be asked again.
        repeat as "COM.REPEAT": Factor = 0.5,
        /// A billing error, times σ of it.
        bill_error as "COM.BILL_ERROR": Factor = 1.0,
        /// Passed on: for each transfer but the first.
        transfer as "COM.TRANSFER": Factor = 0.25,
        /// A bill on which nothing was wrong, for each month billed.
        fair_bill as "FAI.FAIR_BILL": Factor = 0.25,
        /// A squeeze, times its severity and the months billed.
        squeeze as "FAI.SQUEEZE": Factor = 1.0,
        /// Moved by the firm to a cheaper, equal plan, times σ of a year's saving.
        migrated as "FAI.MIGRATED": Factor = 2.0,
        /// Money back for a squeeze, times the share refunded and what the squeeze weighed; below 1, so that squeezing and paying back is
        /// never better than not squeezing.
        redress as "FAI.REDRESS": Share = 0.75,
        /// A price cut passed on.
        pass_through as "FAI.PASS_THROUGH": Factor = 1.0,
        /// Goodwill that matched nothing owed, times σ.
        goodwill as "CAR.GOODWILL": Factor = 0.5,
        /// Support adjusted to a vulnerable customer.
        accommodated as "CAR.ACCOMMODATED": Factor = 1.0,
        /// A complaint upheld.
        upheld as "CAR.UPHELD": Factor = 0.5,
        /// An apology with redress.
        apology as "CAR.APOLOGY": Factor = 0.25,
        /// A complaint left unanswered past its time.
        overdue as "CAR.OVERDUE": Factor = 1.0,
        /// A wait far beyond what was stated.
        wait as "CAR.WAIT": Factor = 0.25,
        /// A cancellation obstructed.
        obstruct as "CAR.OBSTRUCT": Factor = 1.0,
        /// A vulnerable customer squeezed.
        vulnerable_harm as "CAR.VULNERABLE_HARM": Factor = 2.0,
        /// A due notice given in time.
        notice_ok as "TRA.NOTICE_OK": Factor = 1.0,
        /// A due notice missed.
        notice_missed as "TRA.NOTICE_MISSED": Factor = 1.5,
        /// Disclosed before being asked.
        self_disclosed as "TRA.SELF_DISCLOSED": Factor = 1.5,
        /// Charges that match the quote.
        bill_match as "TRA.BILL_MATCH": Factor = 0.1,
        /// A fee the quote did not name, times σ of the excess.
        hidden_fee as "TRA.HIDDEN_FEE": Factor = 1.5,
        /// Found to have misled.
        misled as "TRA.MISLED": Factor = 3.0,
        /// A gift nobody asked for, times σ.
        unprompted as "PRO.UNPROMPTED": Factor = 1.0,
        /// A saving pointed out, times σ of a year of it.
        advised as "PRO.ADVISED": Factor = 0.75,
        /// A warning before the bill.
        warned as "PRO.WARNED": Factor = 0.5,
        /// A failure known and unsaid.
        silent as "PRO.SILENT": Factor = 0.75,
        /// A saving known and unsaid.
        withheld as "PRO.WITHHELD": Factor = 0.5,
    }
}

parameters! {
    /// The promise ledger: how an outcome weighs, as a share of the promise's own weight, and its windows.
    Promises {
        /// Time after its last event at which a closed promise is forgotten.
        forget_ms as "forget_days": Days = 30.0,
        /// Time after a failure or breach within which telling and mending earn credit.
        credit_window_ms as "credit_days": Days = 7.0,
        /// Credit for telling in time.
        notice_credit: Share = 0.25,
        /// Credit for mending in time.
        remedy_credit: Share = 0.5,
        /// Credit for mending in time after the customer had to ask.
        remedy_credit_asked: Share = 0.25,
        /// What moving the due time costs the firm: so much more each time.
        renegotiation: Share = 0.25,
        /// What moving the due time costs at most.
        renegotiation_max: Share = 1.0,
        /// What taking a promise back in time costs.
        withdrawn: Share = 0.5,
        /// What making good the whole stake of a promise taken back earns.
        withdrawn_mended: Share = 0.25,
        /// Lateness in which the share that counts as kept halves, as a share of the promise's horizon.
        late_half_life: Share = 0.25,
        /// The same, at least.
        late_half_life_min_ms as "late_half_life_min_hours": Hours = 1.0,
        /// What multiplies it if the customer was told by then.
        late_told_factor: AtLeastOne = 2.0,
        /// Share that counts as kept where only the customer says it was late.
        late_unknown: Share = 0.5,
        /// Business days in which a total failure should be mended.
        repair_business_days: BusinessDays = 2.0,
        /// Business days in which a cancellation should be completed.
        cancellation_business_days: BusinessDays = 1.0,
    }
}

parameters! {
    /// Service failures.
    Failures {
        /// Weight of a slight failure.
        severity_1: Factor = 0.5,
        /// Weight of a failure of severity 2.
        severity_2: Factor = 1.0,
        /// Weight of a failure of severity 3.
        severity_3: Factor = 2.0,
        /// Weight of a grave failure.
        severity_4: Factor = 4.0,
    }
}

impl Failures {
    /// What a failure of a severity, 1 (slight) to 4 (grave), weighs before η and α.
    pub const fn weight(&self, severity: u8) -> f64 {
        match severity {
            0 | 1 => self.severity_1,
            2 => self.severity_2,
            3 => self.severity_3,
            _ => self.severity_4,
        }
    }
}

parameters! {
    /// Contacts.
    Contacts {
        /// Days after which a resolved contact counts as resolved, and within which another is a repeat.
        repeat_days: WholeDays = 7.0,
        /// Transfers from which on it counts.
        transfers: Count = 2.0,
        /// What transfers weigh at most.
        transfer_max: Factor = 1.0,
        /// A wait counts if it is longer than what was stated times this.
        wait_factor: Ratio = 2.0,
    }
}

parameters! {
    /// Duties to tell, as days before what is told of.
    Notices {
        /// Days before the end of a term from which on it may be announced.
        end_of_term_from_days: WholeDays = 40.0,
        /// Days before the end of a term by which it must be announced.
        end_of_term_days: WholeDays = 10.0,
        /// Days before a passive renewal from which on it may be announced, with its price.
        renewal_from_days: WholeDays = 45.0,
        /// Days before a passive renewal by which it must be announced, with its price.
        renewal_days: WholeDays = 10.0,
        /// Days before a price rise from which on it may be announced.
        price_rise_from_days: WholeDays = 120.0,
        /// Days before a price rise by which it must be announced.
        price_rise_days: WholeDays = 30.0,
    }
}

impl Notices {
    /// When the end of a term at `end` may be announced: from and to, both included.
    pub const fn end_of_term(&self, end: EventTime) -> (EventTime, EventTime) {
        window(end, self.end_of_term_from_days, self.end_of_term_days)
    }

    /// When a passive renewal at `time` may be announced: from and to, both included.
    pub const fn renewal(&self, time: EventTime) -> (EventTime, EventTime) {
        window(time, self.renewal_from_days, self.renewal_days)
    }

    /// When a price rise at `time` may be announced: from and to, both included.
    pub const fn price_rise(&self, time: EventTime) -> (EventTime, EventTime) {
        window(time, self.price_rise_from_days, self.price_rise_days)
    }
}

const fn window(time: EventTime, from_days: i64, to_days: i64) -> (EventTime, EventTime) {
    (time.plus_days(-from_days), time.plus_days(-to_days))
}

parameters! {
    /// Loyalty from voluntary behaviour: what each act weighs, and its windows. It never feeds the score.
    LoyaltyWeights {
        /// Time in which an act counts half.
        half_life_ms as "half_life_days": HalfLife = 365.0,
        /// Consider: renewed by the customer's own act.
        renewed: Factor = 1.0,
        /// Consider: renewed by itself, its notice having been in time.
        renewed_passively: Factor = 0.1,
        /// Consider: a voluntary purchase.
        purchase: Factor = 0.5,
        /// Consider: a voluntary purchase, the first in its category, instead.
        purchase_new_category: Factor = 1.0,
        /// Consider: a quote accepted.
        quote_accepted: Factor = 0.5,
        /// Against it: a quote declined.
        quote_declined: Factor = 0.25,
        /// Against it: a cancellation completed, or the account closed voluntarily.
        left: Factor = 1.5,
        /// Against it: the customer's own rhythm of purchases missed.
        rhythm_missed: Factor = 0.25,
        /// Against it: consent to marketing withdrawn.
        marketing_withdrawn: Factor = 0.25,
        /// Rely: autopay granted.
        autopay_granted: Factor = 1.0,
        /// Against it: autopay withdrawn.
        autopay_withdrawn: Factor = 1.0,
        /// Rely: consent to the use of data granted.
        data_granted: Factor = 0.5,
        /// Against it: consent to the use of data withdrawn.
        data_withdrawn: Factor = 0.5,
        /// Rely: an offer accepted.
        offer_accepted: Factor = 0.5,
        /// Rely: a pre-order with a price guarantee.
        preorder: Factor = 0.5,
        /// Against it: a payment disputed.
        disputed: Factor = 1.5,
        /// Against it: a contact about a promise before it is due.
        doubted: Factor = 0.25,
        /// Against it: an escalation opened.
        escalated: Factor = 2.0,
        /// Forgive: a purchase after a failure or broken promise.
        forgiven: Factor = 1.0,
        /// Against it: leaving, disputing or escalating after one.
        unforgiven: Factor = 1.0,
        /// Forgive: a complaint withdrawn.
        complaint_withdrawn: Factor = 0.5,
        /// Forgive: stayed, though free to leave.
        stayed: Factor = 0.5,
        /// How long a failure or broken promise waits to be forgiven.
        trial_ms as "trial_days": Days = 90.0,
        /// Severity of a failure from which on it is worth forgiving.
        trial_severity: Count = 2.0,
        /// Weight of a broken promise from which on it is worth forgiving.
        trial_weight: Mass = 1.0,
        /// Purchases that make a rhythm.
        rhythm_purchases: Count = 3.0,
        /// Mean pauses between purchases after which one is missed.
        rhythm_pauses: Count = 3.0,
    }
}

parameters! {
    /// Reciprocity: whether a gift is returned, beyond what the customer would have bought anyway.
    ReciprocityTrials {
        /// How long a gift waits to be returned.
        window_ms as "window_hours": Hours = 72.0,
        /// Time in which a purchase counts half.
        half_life_ms as "half_life_days": HalfLife = 90.0,
        /// Purchases assumed before the first.
        prior_purchases: Positive = 0.5,
        /// Days they took.
        prior_days: Positive = 90.0,
    }
}

parameters! {
    /// Advice on savings.
    Advice {
        /// Days after which a known saving still unsaid counts against the firm, and again each time.
        withheld_days: WholeDays = 90.0,
    }
}

parameters! {
    /// Vulnerability markers.
    Vulnerability {
        /// Days a marker stays active.
        active_days: WholeDays = 365.0,
        /// v: what it multiplies the severity's exponent by.
        severity_factor: AtLeastOne = 1.5,
    }
}

parameters! {
    /// What the catalogue compares.
    Comparison {
        /// Days a plan must have been on sale before a customer can be said to miss it.
        on_sale_days: WholeDays = 30.0,
        /// Days on sale beyond which the firm has known better for long.
        long_on_sale_days: WholeDays = 90.0,
        /// k: what that multiplies the severity's exponent by.
        long_on_sale_factor: AtLeastOne = 1.25,
    }
}

parameters! {
    /// How severe a squeeze is, and how it ends.
    Severities {
        /// Monthly excess as a share of the bill that adds one third of half a severity.
        share_of_bill: Positive = 0.10,
        /// Severity from which on it is `minor`; below it is `info`.
        minor: Limit = 0.25,
        /// Severity from which on it is `major`.
        major: Limit = 0.50,
        /// Severity from which on it is `critical`.
        critical: Limit = 0.75,
        /// Share given back that makes a squeeze good.
        refunded: Limit = 0.95,
        /// What redress counts after the customer had to complain, as a share.
        redress_after_complaint: Share = 0.5,
        /// Days after it was made good within which a squeeze is reopened instead of opened anew.
        reopened_days: WholeDays = 90.0,
    }
}

parameters! {
    /// S01, legacy overpricing. How far a bill may stand above the best equal plan is `overpricing_tolerance`.
    S01 {
        /// κ: how culpable the type is.
        culpability: Factor = 1.0,
        /// Evaluations that must hold before it is said.
        evaluations: Count = 2.0,
        /// Months one must have been a customer.
        customer_months: Months = 36.0,
        /// Months one must have been on the plan.
        plan_months: Months = 12.0,
        /// Days an informed decline of as good a plan keeps the rule quiet.
        decline_days: WholeDays = 365.0,
        /// Days advice on savings keeps the rule quiet.
        advice_days: WholeDays = 45.0,
    }
}

parameters! {
    /// S02, renewal price walk. How far a renewal may stand above the new-business price is `renewal_tolerance`.
    S02 {
        /// κ: how culpable the type is.
        culpability: Factor = 1.25,
        /// Evaluations that must hold before it is said.
        evaluations: Count = 1.0,
    }
}

parameters! {
    /// S03, end-of-term penalty. Its notice window is `notice.end_of_term_from_days` to `notice.end_of_term_days`.
    S03 {
        /// κ: how culpable the type is.
        culpability: Factor = 1.0,
        /// Evaluations that must hold before it is said.
        evaluations: Count = 1.0,
        /// A month's excess that counts, if it is more than the share.
        tolerance_minor: Amount = 100.0,
        /// A month's excess that counts, as a share of the bill.
        tolerance_share: Share = 0.03,
    }
}

parameters! {
    /// S04, charge after cancellation.
    S04 {
        /// κ: how culpable the type is.
        culpability: Factor = 2.0,
        /// Evaluations that must hold before it is said.
        evaluations: Count = 1.0,
    }
}

parameters! {
    /// S05, cancellation obstruction.
    S05 {
        /// κ: how culpable the type is.
        culpability: Factor = 1.5,
        /// Evaluations that must hold before it is said.
        evaluations: Count = 1.0,
        /// Steps on the way out that are no obstruction.
        steps: Count = 3.0,
        /// Neither are so many times the steps of signing up.
        signup_factor: Count = 2.0,
        /// Contacts about a request from which on it is obstructed.
        contacts: Count = 2.0,
        /// Offers to stay from which on it is obstructed.
        save_offers: Count = 2.0,
    }
}

parameters! {
    /// S06, undelivered service charged.
    S06 {
        /// κ: how culpable the type is.
        culpability: Factor = 1.25,
        /// Evaluations that must hold before it is said.
        evaluations: Count = 1.0,
        /// Days after service is restored at which compensation should have come.
        after_days: WholeDays = 30.0,
        /// What must be owed for it to count.
        owed_minor: Amount = 100.0,
        /// Share of what is owed that settles the matter.
        settled_share: Limit = 0.80,
    }
}

parameters! {
    /// S07, dormant subscription.
    S07 {
        /// κ: how culpable the type is.
        culpability: Factor = 0.75,
        /// Evaluations that must hold before it is said.
        evaluations: Count = 2.0,
        /// Days without use.
        dormant_days: WholeDays = 365.0,
        /// Days within which a dormancy notice keeps the rule quiet.
        notice_days: WholeDays = 365.0,
    }
}

parameters! {
    /// S08, credit breakage.
    S08 {
        /// κ: how culpable the type is.
        culpability: Factor = 1.0,
        /// What multiplies κ where the customer never paid for the credit.
        unpaid_share: Share = 0.5,
        /// Evaluations that must hold before it is said.
        evaluations: Count = 1.0,
        /// A balance that counts.
        balance_minor: Amount = 500.0,
        /// Days before expiry within which a notice counts.
        notice_days: WholeDays = 30.0,
        /// Business days after closing an account at which credit should have been paid out.
        closed_business_days: BusinessDays = 10.0,
    }
}

parameters! {
    /// S09, hidden fee.
    S09 {
        /// κ: how culpable the type is.
        culpability: Factor = 1.25,
        /// Evaluations that must hold before it is said.
        evaluations: Count = 1.0,
        /// How far charges may exceed their quote, if it is more than the share.
        tolerance_minor: Amount = 50.0,
        /// How far charges may exceed their quote, as a share of it.
        tolerance_share: Share = 0.01,
    }
}

parameters! {
    /// S10, price guarantee breach.
    S10 {
        /// κ: how culpable the type is.
        culpability: Factor = 1.5,
        /// Evaluations that must hold before it is said.
        evaluations: Count = 1.0,
        /// Days after the end of a guarantee at which it is settled.
        settled_days: WholeDays = 7.0,
    }
}

parameters! {
    /// S11, vulnerability exploited.
    S11 {
        /// κ: how culpable the type is.
        culpability: Factor = 2.0,
        /// Evaluations that must hold before it is said.
        evaluations: Count = 1.0,
        /// Days another squeeze must have been open.
        open_days: WholeDays = 14.0,
    }
}

parameters! {
    /// S12, auto-renewal without notice. Its notice window is `notice.renewal_from_days` to `notice.renewal_days`.
    S12 {
        /// κ: how culpable the type is.
        culpability: Factor = 1.25,
        /// Evaluations that must hold before it is said.
        evaluations: Count = 1.0,
    }
}

parameters! {
    /// S13, fee stacking.
    S13 {
        /// κ: how culpable the type is.
        culpability: Factor = 1.0,
        /// Evaluations that must hold before it is said.
        evaluations: Count = 1.0,
        /// Days within which an earlier penalty for the same cause makes one a second.
        within_days: WholeDays = 35.0,
    }
}

parameters! {
    /// S14, bill shock.
    S14 {
        /// κ: how culpable the type is.
        culpability: Factor = 0.75,
        /// Evaluations that must hold before it is said.
        evaluations: Count = 1.0,
        /// Time in which a bill counts half in what is usual.
        half_life_ms as "half_life_days": HalfLife = 180.0,
        /// Decayed number of bills that make a usual one.
        bills: Mass = 2.5,
        /// A bill is a shock only above so many times the usual one.
        factor: Ratio = 1.5,
        /// A bill is a shock only if it is above the usual one by this much.
        jump_minor: Amount = 1000.0,
        /// A bill is a shock only if it is above the usual one by so many standard deviations.
        deviations: Ratio = 3.0,
    }
}

parameters! {
    /// S15, back billing.
    S15 {
        /// κ: how culpable the type is.
        culpability: Factor = 1.5,
        /// Evaluations that must hold before it is said.
        evaluations: Count = 1.0,
        /// Months after which use may no longer be billed.
        months: Months = 12.0,
    }
}

parameters! {
    /// S16, undisclosed mid-term rise. Its notice window is `notice.price_rise_from_days` to `notice.price_rise_days`.
    S16 {
        /// κ: how culpable the type is.
        culpability: Factor = 1.5,
        /// Evaluations that must hold before it is said.
        evaluations: Count = 1.0,
    }
}

parameters! {
    /// S17, trial trap.
    S17 {
        /// κ: how culpable the type is.
        culpability: Factor = 1.5,
        /// Evaluations that must hold before it is said.
        evaluations: Count = 1.0,
        /// Business days before the end of a trial from which on it may be reminded of.
        reminder_from_business_days: BusinessDays = 14.0,
        /// Business days before the end of a trial by which it must be reminded of.
        reminder_business_days: BusinessDays = 3.0,
    }
}

parameters! {
    /// S18, refund withheld. When a refund is due is `refund_days`, unless it says so itself.
    S18 {
        /// κ: how culpable the type is.
        culpability: Factor = 1.5,
        /// Evaluations that must hold before it is said.
        evaluations: Count = 1.0,
    }
}

parameters! {
    /// S19, acquisition gap.
    S19 {
        /// κ: how culpable the type is.
        culpability: Factor = 0.75,
        /// Evaluations that must hold before it is said.
        evaluations: Count = 3.0,
        /// Months one must have been a customer.
        customer_months: Months = 24.0,
        /// A month's excess that counts, if it is more than the share.
        tolerance_minor: Amount = 100.0,
        /// A month's excess that counts, as a share of the bill.
        tolerance_share: Share = 0.05,
    }
}

parameters! {
    /// S20, allowance erosion.
    S20 {
        /// κ: how culpable the type is.
        culpability: Factor = 1.0,
        /// Evaluations that must hold before it is said.
        evaluations: Count = 1.0,
        /// Share of the value lost that counts.
        loss_share: Share = 0.05,
    }
}

/// The tolerance of types that state one of their own.
macro_rules! tolerances {
    ($($name:ident),+) => {
        $(impl $name {
            /// Its tolerance.
            pub const fn tolerance(&self) -> Tolerance {
                Tolerance { minor: self.tolerance_minor, share: self.tolerance_share }
            }
        })+
    };
}

tolerances!(S03, S09, S19);

parameters! {
    /// How the sums over an organisation are made and read.
    Readings {
        /// κ: how much evidence the mean of the unit above counts for.
        shrinkage: Mass = 20.0,
        /// Effective observations below which nothing is said of a unit.
        effective_size_min: Mass = 30.0,
        /// Different customers below which nothing is said of a unit.
        customers_min: Count = 20.0,
        /// Transparency from which the firm communicates honestly with a customer; read as the customer is scored.
        honest_from: Limit = 0.65,
        /// Due times are padded if half of the promises are kept in a smaller part of the time allowed. The median is known to twentieths.
        padded_below: Share = 0.25,
    }
}
