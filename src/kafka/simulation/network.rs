//! What lies between a producer and the brokers, the client library included: requests that arrive late, answers that never do, and
//! the library's way of asking again and reporting success.

use std::time::Duration;

use rdkafka::types::RDKafkaErrorCode;

use super::super::failure::Failure;
use super::cluster::{Cluster, Refused, Request};
use crate::generate::dice::Dice;

/// How often the library asks before it gives up.
const ATTEMPTS: usize = 4;

/// Requests on their way.
pub(super) struct Network {
    /// Out of 1000 requests, how many go wrong.
    pub(super) per_mille: u64,
    /// Requests so far.
    pub(super) requests: u64,
    /// What befalls one of them.
    pub(super) strike: Option<(u64, Strike)>,
    /// Its sender dies of it.
    pub(super) is_fatal: bool,
    /// Given up by their sender, and still to arrive.
    strays: Vec<Request>,
}

/// What may befall one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Strike {
    /// Its sender gives up on it before it arrives.
    Late,
    /// It arrives, and its sender never learns of it.
    Unanswered,
    /// The process dies with it unsent,
    DeathBefore,
    /// or just after it arrived.
    DeathAfter,
}

impl Strike {
    pub(super) const ALL: [Self; 4] =
        [Self::Late, Self::Unanswered, Self::DeathBefore, Self::DeathAfter];
}

/// What a producer hears.
#[derive(Debug)]
pub(super) enum Answer {
    Done,
    /// Ask again.
    Busy,
    Failed(Failure),
}

/// An answer, and whether it took more than one attempt: what librdkafka does not tell.
#[derive(Debug)]
pub(super) struct Heard {
    pub(super) answer: Answer,
    pub(super) is_tainted: bool,
}

impl Network {
    pub(super) const fn new(per_mille: u64, strike: Option<(u64, Strike)>) -> Self {
        Self { per_mille, requests: 0, strike, is_fatal: false, strays: Vec::new() }
    }

    /// Sends `request` until it is answered.
    pub(super) fn send(
        &mut self,
        cluster: &mut Cluster,
        request: &Request,
        dice: &mut Dice,
        now: Duration,
    ) -> Heard {
        self.requests += 1;
        if let Some((_, strike)) = self.strike.filter(|(number, _)| *number == self.requests) {
            self.fall(strike, cluster, request, now);
            return unheard();
        }
        for attempt in 0..ATTEMPTS {
            if !dice.chance(self.per_mille) {
                let answer = answer(cluster.handle(request, now));
                return Heard { answer, is_tainted: attempt > 0 };
            }
            if dice.chance(500) {
                // It arrives; the answer does not.
                _ = cluster.handle(request, now);
            } else {
                self.strays.push(request.clone());
            }
            if dice.chance(250) {
                break;
            }
        }
        unheard()
    }

    fn fall(&mut self, strike: Strike, cluster: &mut Cluster, request: &Request, now: Duration) {
        self.is_fatal = matches!(strike, Strike::DeathBefore | Strike::DeathAfter);
        match strike {
            Strike::Late => self.strays.push(request.clone()),
            Strike::Unanswered | Strike::DeathAfter => _ = cluster.handle(request, now),
            Strike::DeathBefore => {}
        }
    }

    /// One of the requests given up arrives; nobody waits for its answer.
    pub(super) fn deliver(
        &mut self,
        cluster: &mut Cluster,
        dice: &mut Dice,
        now: Duration,
    ) -> Option<Request> {
        if self.strays.is_empty() {
            return None;
        }
        let at = dice.below(self.strays.len() as u64);
        let stray = self.strays.swap_remove(usize::try_from(at).expect("an index fits"));
        _ = cluster.handle(&stray, now);
        Some(stray)
    }
}

fn unheard() -> Heard {
    let failure = Failure::new(RDKafkaErrorCode::OperationTimedOut, "no answer");
    Heard { answer: Answer::Failed(failure), is_tainted: true }
}

fn answer(result: Result<(), Refused>) -> Answer {
    let failed = |code, is_fatal| {
        Answer::Failed(Failure { code, is_fatal, text: "refused by the broker".to_owned() })
    };
    match result {
        Ok(()) => Answer::Done,
        Err(Refused::Busy) => Answer::Busy,
        Err(Refused::Fenced) => failed(RDKafkaErrorCode::ProducerFenced, true),
        Err(Refused::NoSuchTransaction) => {
            failed(RDKafkaErrorCode::InvalidTransactionalState, true)
        }
        Err(Refused::OutOfOrder) => failed(RDKafkaErrorCode::OutOfOrderSequenceNumber, false),
        Err(Refused::Generation) => failed(RDKafkaErrorCode::IllegalGeneration, false),
        Err(Refused::NoMember) => failed(RDKafkaErrorCode::UnknownMemberId, false),
    }
}
