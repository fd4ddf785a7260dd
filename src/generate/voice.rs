//! Stories of what customers say and allow: surveys, consent, autopay, vulnerability.

use super::scene::Scene;
use crate::model::event::{Body, ConsentScope, VulnerabilityDriver};

/// "How likely are you to recommend us?", 0 to 10.
pub(super) fn survey(scene: &mut Scene<'_>) {
    let score = scene.dice.weighted(&[(100, 2), (150, 5), (300, 7), (250, 8), (200, 10)]);
    let answered = Body::SurveyAnswered {
        survey_id: scene.name("survey"),
        score: f64::from(score),
        score_min: 0.0,
        score_max: 10.0,
    };
    scene.tell(scene.now, "/survey", answered);
}

/// Consent is given or withdrawn; marketing that comes all the same is rare, but comes.
pub(super) fn consent(scene: &mut Scene<'_>) {
    let scope = scene.dice.pick(ConsentScope::ALL);
    let granted = scene.dice.chance(600);
    scene.tell(scene.now, "/crm", Body::ConsentChanged { scope, granted });
    if scope == ConsentScope::Marketing && scene.dice.chance(if granted { 800 } else { 100 }) {
        let sent_at = scene.in_days(2, 20);
        let message_id = scene.name("mail");
        scene.tell(sent_at, "/crm", Body::MarketingSent { message_id });
    }
}

/// The bank may collect, or may no longer.
pub(super) fn autopay(scene: &mut Scene<'_>) {
    let body = if scene.dice.chance(700) { Body::AutopayGranted } else { Body::AutopayWithdrawn };
    scene.tell(scene.now, "/billing", body);
}

/// A customer turns out to be vulnerable; most are helped, a third recover.
pub(super) fn vulnerability(scene: &mut Scene<'_>) {
    let driver = scene.dice.pick(VulnerabilityDriver::ALL);
    scene.tell(scene.now, "/crm", Body::VulnerabilityMarked { driver });
    if scene.dice.chance(700) {
        let adjusted_at = scene.in_days(1, 5);
        let adjustment_id = scene.name("support");
        scene.tell(adjusted_at, "/crm", Body::SupportAdjusted { adjustment_id });
    }
    if scene.dice.chance(330) {
        let cleared_at = scene.in_days(90, 200);
        scene.tell(cleared_at, "/crm", Body::VulnerabilityCleared);
    }
}
