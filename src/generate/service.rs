//! Stories of service: failures told or not, questions, complaints.

use super::offers::pounds;
use super::promises::{notice, remedy};
use super::scene::{HOUR_MS, LINE, MINUTE_MS, Scene};
use crate::model::event::{
    Attested, Body, Cause, ComplaintOutcome, ContactClosed, DetectedBy, EscalationBody, NoticeKind,
    RemedyKind, Scope, ServiceFailed,
};
use crate::model::{DAY_MS, EventTime, Text};

const ISSUES: [&str; 5] = ["slow", "bill", "roaming", "sim", "voicemail"];

const CAUSES: [(u64, Cause); 4] =
    [(700, Cause::Firm), (150, Cause::Supplier), (100, Cause::ForceMajeure), (50, Cause::Customer)];

/// How the firm behaves once something failed.
#[derive(Debug, Clone, Copy)]
enum Conduct {
    /// Tells within half an hour and makes up for it.
    TellsAndMends,
    Tells,
    Mends,
    /// Knows, and waits for the customer to call.
    Silent,
}

const CONDUCT: [(u64, Conduct); 4] = [
    (350, Conduct::TellsAndMends),
    (250, Conduct::Tells),
    (150, Conduct::Mends),
    (250, Conduct::Silent),
];

/// The service fails and comes back.
pub(super) fn failure(scene: &mut Scene<'_>) {
    let failure_id = scene.name("fault");
    let severity = scene.dice.weighted(&[(500, 1_u8), (300, 2), (150, 3), (50, 4)]);
    let is_total = scene.dice.chance(200);
    // Of a total outage, what the industry's scheme sets; it takes no less to make up for one.
    let credit_minor = i64::from(severity) * if is_total { 993 } else { 300 };
    let detected_by = if scene.dice.chance(600) { DetectedBy::Firm } else { DetectedBy::Customer };
    let failed = ServiceFailed {
        failure_id: failure_id.clone(),
        severity,
        subscription_id: Some(LINE.into()),
        detected_by,
        scope: if is_total { Scope::Total } else { Scope::Partial },
        scheme_credit: is_total.then(|| pounds(credit_minor)),
        attested_by: Attested::System,
        cause: scene.dice.weighted(&CAUSES),
    };
    scene.tell(scene.now, "/network", Body::ServiceFailed(Box::new(failed)));
    let restored_at = scene.after(HOUR_MS, 4 * DAY_MS);
    let restored =
        Body::ServiceRestored { failure_id: failure_id.clone(), attested_by: Attested::System };
    scene.tell(restored_at, "/network", restored);
    let conduct = scene.dice.weighted(&CONDUCT);
    answer(scene, failure_id, credit_minor, restored_at, conduct);
}

fn answer(
    scene: &mut Scene<'_>,
    failure_id: Text,
    credit_minor: i64,
    restored_at: EventTime,
    conduct: Conduct,
) {
    if matches!(conduct, Conduct::TellsAndMends | Conduct::Tells) {
        let told_at = scene.after(5 * MINUTE_MS, 30 * MINUTE_MS);
        scene.tell(told_at, "/crm", notice(NoticeKind::Outage, Some(failure_id.clone())));
    }
    if matches!(conduct, Conduct::TellsAndMends | Conduct::Mends) {
        let remedy = remedy(scene, RemedyKind::Credit, credit_minor, Some(failure_id.clone()));
        scene.tell(restored_at.plus(2 * HOUR_MS), "/billing", remedy);
    }
    if matches!(conduct, Conduct::Silent) {
        let called_at = scene.after(HOUR_MS, 20 * HOUR_MS);
        contact_at(scene, called_at, "outage", Some(failure_id.clone()));
        if scene.dice.chance(200) {
            let complaint_at = called_at.plus_days(1);
            complain(scene, complaint_at, Some(failure_id));
        }
    }
}

/// A question by phone or chat, answered or passed on.
pub(super) fn question(scene: &mut Scene<'_>) {
    let issue = scene.dice.pick(&ISSUES);
    contact_at(scene, scene.now, issue, None);
    // One in eight has to ask again within the week, one later.
    match scene.dice.below(8) {
        0 => {
            let again_at = scene.in_days(1, 6);
            contact_at(scene, again_at, issue, None);
        }
        1 => {
            let again_at = scene.in_days(9, 30);
            contact_at(scene, again_at, issue, None);
        }
        _ => {}
    }
}

fn contact_at(scene: &mut Scene<'_>, at: EventTime, issue: &'static str, about_id: Option<Text>) {
    let contact_id = scene.name("contact");
    let channel = scene.dice.pick(&["phone", "chat"]);
    let opened =
        Body::ContactOpened { contact_id: contact_id.clone(), issue: Some(issue.into()), about_id };
    scene.tell_of_agent(at, channel, opened);
    let stated_ms = 5 * MINUTE_MS;
    let closed = ContactClosed {
        contact_id,
        issue: Some(issue.into()),
        resolved: scene.dice.chance(780),
        transfers: scene.dice.weighted(&[(700, 0), (180, 1), (80, 2), (40, 4)]),
        waited_ms: Some(scene.dice.within(1, 14) * MINUTE_MS),
        wait_stated_ms: scene.dice.chance(700).then_some(stated_ms),
        attested_by: Attested::Agent,
    };
    let closed_at = at.plus(scene.dice.within(5 * MINUTE_MS, 90 * MINUTE_MS));
    scene.tell_of_agent(closed_at, channel, Body::ContactClosed(Box::new(closed)));
}

/// A complaint about the firm at large.
pub(super) fn complaint(scene: &mut Scene<'_>) {
    complain(scene, scene.now, None);
}

/// What becomes of a complaint.
#[derive(Debug, Clone, Copy)]
enum Ruling {
    Decided(ComplaintOutcome),
    /// Not answered in the eight weeks allowed.
    Overdue,
    /// Taken to the ombudsman, who agrees.
    Escalated,
}

const RULINGS: [(u64, Ruling); 5] = [
    (500, Ruling::Decided(ComplaintOutcome::Upheld)),
    (280, Ruling::Decided(ComplaintOutcome::Rejected)),
    (80, Ruling::Decided(ComplaintOutcome::Withdrawn)),
    (90, Ruling::Overdue),
    (50, Ruling::Escalated),
];

fn complain(scene: &mut Scene<'_>, at: EventTime, about_id: Option<Text>) {
    let complaint_id = scene.name("complaint");
    let raised = Body::ComplaintRaised { complaint_id: complaint_id.clone(), about_id };
    scene.tell(at, "/crm", raised);
    let decided_at = at.plus_days(scene.dice.within(3, 50));
    match scene.dice.weighted(&RULINGS) {
        Ruling::Overdue => {}
        Ruling::Decided(outcome) => {
            let is_upheld = outcome == ComplaintOutcome::Upheld;
            let resolved = Body::ComplaintResolved {
                complaint_id,
                outcome,
                apology: is_upheld && scene.dice.chance(800),
                redress: is_upheld && scene.dice.chance(600),
                misled: is_upheld && scene.dice.chance(50),
                attested_by: Attested::Agent,
            };
            scene.tell_of_agent(decided_at, "letter", resolved);
        }
        Ruling::Escalated => {
            let escalation_id = scene.name("case");
            let opened = Body::EscalationOpened {
                escalation_id: escalation_id.clone(),
                body: EscalationBody::Ombudsman,
            };
            scene.tell(at.plus_days(57), "/crm", opened);
            let misled = scene.dice.chance(300);
            let decided = Body::EscalationDecided { escalation_id, upheld: true, misled };
            scene.tell(at.plus_days(120), "/crm", decided);
        }
    }
}
