//! S05, cancellation obstruction: leaving is made harder than joining.
//!
//! Rests on: FTC v. Amazon 2025; ROSCA; CA AB 2863; DE §312k BGB.

use super::{Finding, SqueezeType};
use crate::model::subscription::{CancelRequest, Subscription};

/// More steps than this, and than twice the steps of signing up, obstruct.
const STEPS: u16 = 3;
/// A second contact, or a second offer to stay, obstructs.
const SECOND: u32 = 2;

/// Is `step` of the way out one too many?
pub fn is_step_too_many(step: u16, signup_steps: u8) -> bool {
    step > STEPS.max(2 * u16::from(signup_steps))
}

/// Has the customer been put off twice?
pub const fn was_put_off(request: &CancelRequest) -> bool {
    request.contacts >= SECOND || request.save_offers >= SECOND
}

/// The obstruction of the subscription's open request: said once a request, it takes nothing by itself.
pub fn finding(subscription: &Subscription, request: &CancelRequest) -> Finding {
    let price = subscription.price.value;
    let finding = Finding::one_off(SqueezeType::S05, request.id.clone(), price, request.id.clone());
    Finding {
        excess_monthly: price.minor as f64,
        added: 0,
        evidence_per_severity: 0.0,
        ..finding.on(Some((subscription.id.clone(), subscription.monthly_charge())))
    }
}
