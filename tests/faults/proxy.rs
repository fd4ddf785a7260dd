//! A proxy between a service and its broker that knows just enough of Kafka's protocol to do harm to one kind of request: it holds an
//! EndTxn back, loses replies, or stops at one request so that its sender can be killed there. What it passes on, it passes on unchanged; it decides nothing about when to do harm.
//!
//! It serves one producer at a time: which transaction a Produce belongs to it cannot tell.

use std::collections::BTreeMap;
use std::io::{self, Read as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

/// A kind of request, by its key in the protocol. Source: Kafka protocol guide, "API Keys".
pub(crate) type ApiKey = i16;
pub(crate) const PRODUCE: ApiKey = 0;
pub(crate) const FETCH: ApiKey = 1;
pub(crate) const OFFSET_FETCH: ApiKey = 9;
pub(crate) const JOIN_GROUP: ApiKey = 11;
pub(crate) const HEARTBEAT: ApiKey = 12;
pub(crate) const INIT_PRODUCER_ID: ApiKey = 22;
pub(crate) const ADD_PARTITIONS_TO_TXN: ApiKey = 24;
pub(crate) const ADD_OFFSETS_TO_TXN: ApiKey = 25;
pub(crate) const END_TXN: ApiKey = 26;
pub(crate) const TXN_OFFSET_COMMIT: ApiKey = 28;

/// The error code that means none. Source: Kafka protocol guide, "Error Codes".
pub(crate) const NONE: i16 = 0;
/// Largest frame: the broker's own `socket.request.max.bytes`.
const MAX_FRAME: usize = 100 << 20;
/// An EndTxn is held no longer: what should release it has then failed to come.
const LONGEST_HOLD: Duration = Duration::from_secs(60);

/// What the proxy does to what passes through it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Harm {
    /// Nothing.
    None,
    /// The next EndTxn is held back from the broker until the client has replaced it by another, that one has succeeded, and the next
    /// transaction of the same name has produced. Only then does it arrive.
    HoldEndTxn,
    /// The next request of this kind arrives; its reply does not.
    LoseReply(ApiKey),
    /// The same for all of them.
    LoseReplies(ApiKey),
    /// At the nth request of this kind, from 1, its connection stands still: either the request does not arrive, or it does and its
    /// reply does not.
    Halt { key: ApiKey, nth: usize, is_heard: bool },
}

/// How far an EndTxn that is held back has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Hold {
    No,
    Held,
    Replaced,
    Released,
}

struct State {
    harm: Harm,
    hold: Hold,
    /// Whose EndTxn is held back.
    held: Option<Vec<u8>>,
    /// Error codes the broker gave to EndTxns that came late.
    late: Vec<i16>,
    lost: usize,
    /// Requests of the kind to halt at that have come.
    come: usize,
    is_halted: bool,
    /// Requests passed on, by kind.
    passed: BTreeMap<ApiKey, usize>,
}

struct Shared {
    upstream: String,
    state: Mutex<State>,
    changed: Condvar,
}

/// A proxy that listens; its threads live as long as the test.
pub(crate) struct Proxy {
    address: String,
    shared: Arc<Shared>,
}

impl Proxy {
    /// Listens on `address` for what is meant for `upstream`.
    pub(crate) fn start(address: &str, upstream: &str) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let state = State {
            harm: Harm::None,
            hold: Hold::No,
            held: None,
            late: Vec::new(),
            lost: 0,
            come: 0,
            is_halted: false,
            passed: BTreeMap::new(),
        };
        let shared = Arc::new(Shared {
            upstream: upstream.to_owned(),
            state: Mutex::new(state),
            changed: Condvar::new(),
        });
        let accepting = Arc::clone(&shared);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let shared = Arc::clone(&accepting);
                // A broker that is away refuses the connection, and so do we.
                thread::spawn(move || drop(shared.connect(client)));
            }
        });
        Self { address, shared }
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// From now on does this; what was lost or came late before is forgotten, and what stood still goes on.
    pub(crate) fn set(&self, harm: Harm) {
        let mut state = self.shared.lock();
        (state.harm, state.hold, state.lost) = (harm, Hold::No, 0);
        (state.come, state.is_halted) = (0, false);
        state.late.clear();
        self.shared.changed.notify_all();
    }

    /// Replies lost since [`Proxy::set`].
    pub(crate) fn lost(&self) -> usize {
        self.shared.lock().lost
    }

    /// Whether a connection stands still where it was to, since [`Proxy::set`].
    pub(crate) fn is_halted(&self) -> bool {
        self.shared.lock().is_halted
    }

    /// What the broker said to the EndTxns that came late since [`Proxy::set`]: error codes, [`NONE`] if one took effect.
    pub(crate) fn late(&self) -> Vec<i16> {
        self.shared.lock().late.clone()
    }

    /// Requests of a kind passed on so far.
    pub(crate) fn passed(&self, key: ApiKey) -> usize {
        self.shared.lock().passed.get(&key).copied().unwrap_or_default()
    }
}

/// One connection's requests that have no reply yet.
#[derive(Default)]
struct Pending {
    requests: Mutex<BTreeMap<i32, Request>>,
}

/// What a reply is to.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Request {
    key: ApiKey,
    version: i16,
    correlation: i32,
    /// The transactional id of a Produce or an EndTxn.
    producer: Option<Vec<u8>>,
    is_held: bool,
    is_lost: bool,
}

/// Whether the broker hears the request at which a connection stands still.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct IsHeard(bool);

impl Request {
    /// Reads a request's header. Source: Kafka protocol guide, "Request Header v1".
    fn read(frame: &[u8]) -> Option<Self> {
        let (key, rest) = frame.split_first_chunk::<2>()?;
        let (version, rest) = rest.split_first_chunk::<2>()?;
        let (correlation, rest) = rest.split_first_chunk::<4>()?;
        let (key, version) = (i16::from_be_bytes(*key), i16::from_be_bytes(*version));
        Some(Self {
            key,
            version,
            correlation: i32::from_be_bytes(*correlation),
            producer: Self::producer(key, version, rest).map(<[u8]>::to_vec),
            is_held: false,
            is_lost: false,
        })
    }

    /// The transactional id, the first field of a Produce and of an EndTxn, behind the client's id; from the first flexible version on a
    /// byte of tags lies between, and its length is one byte and one more than it is.
    fn producer(key: ApiKey, version: i16, rest: &[u8]) -> Option<&[u8]> {
        let first_flexible = match key {
            PRODUCE => 9,
            END_TXN => 3,
            _ => return None,
        };
        let text = |rest: &[u8]| Some(usize::from(u16::from_be_bytes(*rest.first_chunk()?)));
        let rest = rest.get(2 + text(rest)?..)?;
        if version < first_flexible {
            return rest.get(2..2 + text(rest)?);
        }
        let (_, rest) = rest.split_first()?;
        let (length, rest) = rest.split_first()?;
        rest.get(..usize::from(length.checked_sub(1)?))
    }

    /// The error code of the reply to an EndTxn: behind the correlation id, from version 3 on a byte of tags, and the throttle time.
    fn end_txn_error(&self, reply: &[u8]) -> Option<i16> {
        let at = if self.version < 3 { 8 } else { 9 };
        Some(i16::from_be_bytes(*reply.get(at..)?.first_chunk()?))
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Carries one connection until either side closes it.
    fn connect(self: Arc<Self>, client: TcpStream) -> io::Result<()> {
        let broker = TcpStream::connect(&self.upstream)?;
        client.set_nodelay(true)?;
        broker.set_nodelay(true)?;
        let pending = Arc::new(Pending::default());
        let replies = {
            let (shared, pending) = (Arc::clone(&self), Arc::clone(&pending));
            let (client, broker) = (client.try_clone()?, broker.try_clone()?);
            thread::spawn(move || shared.carry_replies(broker, client, &pending))
        };
        self.carry_requests(client, &broker, &pending);
        // A client that has gone may have left a request with us that has just been sent on: its reply is still wanted.
        let is_answered = |pending: &Pending| {
            pending.requests.lock().unwrap().values().all(|request| !request.is_held)
        };
        let state = self.lock();
        let waited =
            self.changed.wait_timeout_while(state, LONGEST_HOLD, |_| !is_answered(&pending));
        drop(waited);
        broker.shutdown(Shutdown::Both)?;
        drop(replies.join());
        Ok(())
    }

    fn carry_requests(&self, mut client: TcpStream, mut broker: &TcpStream, pending: &Pending) {
        while let Ok(frame) = read_frame(&mut client) {
            let Some(mut request) = Request::read(&frame) else { return };
            self.hold_back(&mut request);
            let halt = self.halt_at(&request);
            if halt == Some(IsHeard(false)) {
                return self.halt();
            }
            request.is_lost = halt.is_some();
            *self.lock().passed.entry(request.key).or_default() += 1;
            pending.requests.lock().unwrap().insert(request.correlation, request);
            if write_frame(&mut broker, &frame).is_err() {
                return;
            }
            if halt.is_some() {
                return self.halt();
            }
        }
    }

    /// Whether the connection is to stand still at this request, and if so, whether the broker hears it.
    fn halt_at(&self, request: &Request) -> Option<IsHeard> {
        let mut state = self.lock();
        let Harm::Halt { key, nth, is_heard } = state.harm else { return None };
        state.come += usize::from(key == request.key);
        (key == request.key && state.come == nth).then_some(IsHeard(is_heard))
    }

    /// Stands still until another harm is set.
    fn halt(&self) {
        let mut state = self.lock();
        state.is_halted = true;
        self.changed.notify_all();
        drop(self.changed.wait_timeout_while(state, LONGEST_HOLD, |state| state.is_halted));
    }

    /// Waits as long as the request is to be held.
    fn hold_back(&self, request: &mut Request) {
        let mut state = self.lock();
        let is_chosen =
            request.key == END_TXN && (state.harm, state.hold) == (Harm::HoldEndTxn, Hold::No);
        if !is_chosen {
            return;
        }
        request.is_held = true;
        (state.hold, state.held) = (Hold::Held, request.producer.clone());
        self.changed.notify_all();
        let is_held = |state: &mut State| matches!(state.hold, Hold::Held | Hold::Replaced);
        drop(self.changed.wait_timeout_while(state, LONGEST_HOLD, is_held));
    }

    fn carry_replies(&self, mut broker: TcpStream, mut client: TcpStream, pending: &Pending) {
        while let Ok(frame) = read_frame(&mut broker) {
            let correlation = frame.first_chunk().map(|bytes| i32::from_be_bytes(*bytes));
            let request = correlation.and_then(|id| pending.requests.lock().unwrap().remove(&id));
            if request.is_some_and(|request| request.is_lost || self.is_lost(&request, &frame)) {
                continue;
            }
            // To a client that has gone nothing is said; the broker may still have something to say to us.
            drop(write_frame(&mut client, &frame));
        }
        drop(client.shutdown(Shutdown::Both));
    }

    /// Takes note of a reply; whether it is to be lost.
    fn is_lost(&self, request: &Request, reply: &[u8]) -> bool {
        let mut state = self.lock();
        let error = (request.key == END_TXN).then(|| request.end_txn_error(reply)).flatten();
        match (state.hold, request.key) {
            _ if request.is_held => state.late.extend(error),
            _ if request.producer != state.held => {}
            (Hold::Held, END_TXN) if error == Some(NONE) => state.hold = Hold::Replaced,
            (Hold::Replaced, PRODUCE) => state.hold = Hold::Released,
            _ => {}
        }
        let is_lost = match state.harm {
            Harm::LoseReply(key) => key == request.key && state.lost == 0,
            Harm::LoseReplies(key) => key == request.key,
            Harm::None | Harm::HoldEndTxn | Harm::Halt { .. } => false,
        };
        state.lost += usize::from(is_lost);
        self.changed.notify_all();
        is_lost
    }
}

/// A frame without its length.
fn read_frame(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let length = usize::try_from(i32::from_be_bytes(length)).map_err(io::Error::other)?;
    if MAX_FRAME < length {
        return Err(io::Error::other("a frame longer than the broker takes"));
    }
    let mut frame = vec![0; length];
    stream.read_exact(&mut frame)?;
    Ok(frame)
}

fn write_frame(stream: &mut impl io::Write, frame: &[u8]) -> io::Result<()> {
    let length = i32::try_from(frame.len()).map_err(io::Error::other)?;
    stream.write_all(&[&length.to_be_bytes(), frame].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A broker that gives every request an answer of ten zeros behind its correlation id.
    fn broker() -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        thread::spawn(move || {
            for mut client in listener.incoming().flatten() {
                thread::spawn(move || {
                    while let Ok(frame) = read_frame(&mut client) {
                        let request = Request::read(&frame).unwrap();
                        let reply = [&request.correlation.to_be_bytes()[..], &[0; 10]].concat();
                        write_frame(&mut client, &reply).unwrap();
                    }
                });
            }
        });
        address
    }

    fn proxy() -> Proxy {
        Proxy::start("127.0.0.1:0", &broker())
    }

    struct Client(TcpStream);

    impl Client {
        fn of(proxy: &Proxy) -> Self {
            Self(TcpStream::connect(proxy.address()).unwrap())
        }

        fn ask(&mut self, key: ApiKey, correlation: i32) {
            let frame = [&key.to_be_bytes()[..], &[0, 1], &correlation.to_be_bytes()].concat();
            write_frame(&mut self.0, &frame).unwrap();
        }

        fn answer(&mut self) -> i32 {
            i32::from_be_bytes(*read_frame(&mut self.0).unwrap().first_chunk().unwrap())
        }
    }

    #[test]
    fn what_is_to_be_left_alone_passes() {
        let proxy = proxy();
        let mut client = Client::of(&proxy);
        for correlation in 1..5 {
            client.ask(END_TXN, correlation);
            assert_eq!(client.answer(), correlation);
        }
        assert_eq!((proxy.passed(END_TXN), proxy.passed(PRODUCE)), (4, 0));
    }

    #[test]
    fn one_reply_is_lost_and_the_next_is_not() {
        let proxy = proxy();
        let mut client = Client::of(&proxy);
        proxy.set(Harm::LoseReply(END_TXN));
        client.ask(PRODUCE, 1);
        client.ask(END_TXN, 2);
        client.ask(END_TXN, 3);
        assert_eq!((client.answer(), client.answer()), (1, 3));
        assert_eq!((proxy.lost(), proxy.passed(END_TXN)), (1, 2), "the broker heard both");
    }

    #[test]
    fn a_connection_stands_still_at_the_request_meant_heard_or_not() {
        for is_heard in [false, true] {
            let proxy = proxy();
            let mut client = Client::of(&proxy);
            proxy.set(Harm::Halt { key: PRODUCE, nth: 2, is_heard });
            for (key, correlation) in [(PRODUCE, 1), (END_TXN, 2), (PRODUCE, 3)] {
                client.ask(key, correlation);
            }
            assert_eq!((client.answer(), client.answer()), (1, 2));
            let is_halted = |state: &mut State| !state.is_halted;
            let wait = |holds| {
                proxy.shared.changed.wait_timeout_while(proxy.shared.lock(), LONGEST_HOLD, holds)
            };
            drop(wait(is_halted));
            assert!(proxy.is_halted());
            assert_eq!(proxy.passed(PRODUCE), 1 + usize::from(is_heard));
            // Its sender is killed; others are let through.
            drop(client);
            proxy.set(Harm::None);
            let mut other = Client::of(&proxy);
            other.ask(PRODUCE, 4);
            assert_eq!(other.answer(), 4);
        }
    }

    #[test]
    fn an_end_of_a_transaction_arrives_in_the_next_one() {
        let proxy = proxy();
        proxy.set(Harm::HoldEndTxn);
        let mut first = Client::of(&proxy);
        first.ask(END_TXN, 1);
        let is_held = |state: &mut State| state.hold == Hold::No;
        drop(proxy.shared.changed.wait_timeout_while(proxy.shared.lock(), LONGEST_HOLD, is_held));
        // The client gives up and asks again by another connection.
        first.0.shutdown(Shutdown::Both).unwrap();
        let mut second = Client::of(&proxy);
        second.ask(PRODUCE, 1);
        second.ask(END_TXN, 2);
        assert_eq!((second.answer(), second.answer()), (1, 2));
        assert!(proxy.late().is_empty(), "the next transaction has not produced yet");
        second.ask(PRODUCE, 3);
        assert_eq!(second.answer(), 3);
        let is_late = |state: &mut State| state.late.is_empty();
        drop(proxy.shared.changed.wait_timeout_while(proxy.shared.lock(), LONGEST_HOLD, is_late));
        assert_eq!((proxy.late(), proxy.passed(END_TXN)), (vec![NONE], 2));
    }
}
