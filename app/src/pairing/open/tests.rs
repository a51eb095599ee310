use super::*;
use ledger_sqlite::SystemRandom;
use proptest::prelude::*;

const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);
const SECOND: Duration = Duration::from_secs(1);
const ANN: Guesser = Guesser::Session(SessionId::from_bytes([1; 16]));
const KEY: KeyId = KeyId::from_bytes([7; 16]);

/// A stage on which time passes when it is told to.
struct Scene {
    keys: SecretKey,
    open: OpenPairings,
    now: Timestamp,
}

/// A machine with what it was told.
#[derive(Clone)]
struct Machine {
    code: String,
    secret: String,
}

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn agent() -> AgentName {
    AgentName::unchecked("ci-bot")
}

fn refusal<T>(answer: Result<T, Error>) -> Rejection {
    match answer {
        Err(Error::Ledger(ledger::Error::Rejected(refused))) => refused,
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("it was not refused"),
    }
}

fn wait<T>(answer: Result<T, Error>) -> Duration {
    match answer {
        Err(Error::Throttled(throttled)) => throttled.retry_after,
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("it was not throttled"),
    }
}

impl Scene {
    fn new() -> Self {
        Self {
            keys: SecretKey::draw(&SystemRandom),
            open: OpenPairings::default(),
            now: NOW,
        }
    }

    fn pass(&mut self, time: Duration) {
        self.now = self.now.plus(time);
    }

    fn begin(&mut self, from: &str) -> Result<Machine, Throttled> {
        let (keys, now) = (&self.keys, self.now);
        let begun = self
            .open
            .begin(agent(), address(from), now, keys, &SystemRandom)?;
        Ok(Machine {
            code: begun.code.reveal(),
            secret: keys.reveal(&begun.secret),
        })
    }

    fn begun(&mut self) -> Machine {
        self.begin("192.0.2.1").unwrap()
    }

    fn poll(&mut self, secret: &str) -> Result<Polled, Error> {
        self.open.poll(secret, self.now, &self.keys)
    }

    fn confirm(&mut self, code: &str) -> Result<(), Error> {
        let reserved = self.open.reserve(ANN, code, self.now)?;
        self.open.settle(&reserved, Some(KEY), self.now);
        Ok(())
    }
}

#[test]
fn a_key_is_given_once_to_the_holder_of_the_secret() {
    let mut scene = Scene::new();
    let (machine, other) = (scene.begun(), scene.begun());
    assert_eq!(scene.poll(&machine.secret).unwrap(), Polled::Pending);
    let reserved = scene.open.reserve(ANN, &machine.code, scene.now).unwrap();
    scene.pass(INTERVAL);
    let polled = scene.poll(&machine.secret).unwrap();
    assert_eq!(polled, Polled::Pending, "it is not recorded yet");
    scene.open.settle(&reserved, Some(KEY), scene.now);
    assert_eq!(scene.poll(&other.secret).unwrap(), Polled::Pending);
    scene.pass(INTERVAL);
    let Polled::Key { agent, key_id, key } = scene.poll(&machine.secret).unwrap() else {
        panic!("no key");
    };
    assert_eq!((agent, key_id), (super::tests::agent(), KEY));
    assert_eq!(key.hash(), reserved.key, "it is the key that was recorded");
    for _ in 0..3 {
        assert_eq!(
            refusal(scene.poll(&machine.secret)),
            Rejection::PairingEnded
        );
        scene.pass(INTERVAL);
    }
    let code = scene.poll(&machine.code).unwrap_err();
    let unknown = Error::Unauthorized(Unauthorized::DeviceSecret);
    assert_eq!(code.to_string(), unknown.to_string());
}

#[test]
fn a_pairing_is_confirmed_once_and_not_denied_after_that() {
    let mut scene = Scene::new();
    let machine = scene.begun();
    let code = machine.code.to_lowercase();
    let reserved = scene.open.reserve(ANN, &code, scene.now).unwrap();
    let again = |scene: &mut Scene| {
        let (open, now) = (&mut scene.open, scene.now);
        let confirmed = refusal(open.reserve(ANN, &machine.code, now));
        let denied = refusal(open.deny(ANN, &machine.code, now));
        let seen = refusal(open.look(ANN, &machine.code, now));
        [confirmed, denied, seen]
    };
    assert_eq!(
        again(&mut scene),
        [const { Rejection::PairingConfirmed }; 3]
    );
    scene.open.settle(&reserved, Some(KEY), scene.now);
    assert_eq!(
        again(&mut scene),
        [const { Rejection::PairingConfirmed }; 3]
    );
    scene.poll(&machine.secret).unwrap();
    assert_eq!(
        again(&mut scene),
        [const { Rejection::PairingConfirmed }; 3]
    );
}

#[test]
fn what_could_not_be_recorded_can_be_confirmed_again_and_what_may_have_been_cannot() {
    let mut scene = Scene::new();
    let machine = scene.begun();
    let reserved = scene.open.reserve(ANN, &machine.code, scene.now).unwrap();
    scene.open.settle(&reserved, None, scene.now);
    let reserved = scene.open.reserve(ANN, &machine.code, scene.now).unwrap();
    scene.open.abandon(&reserved);
    assert_eq!(
        refusal(scene.confirm(&machine.code)),
        Rejection::PairingNotFound
    );
    assert_eq!(
        refusal(scene.poll(&machine.secret)),
        Rejection::PairingEnded
    );
}

#[test]
fn who_is_denied_or_too_late_learns_that_it_has_ended() {
    let mut scene = Scene::new();
    let (denied, late) = (scene.begun(), scene.begun());
    scene.open.deny(ANN, &denied.code, scene.now).unwrap();
    assert_eq!(refusal(scene.poll(&denied.secret)), Rejection::PairingEnded);
    assert_eq!(
        refusal(scene.confirm(&denied.code)),
        Rejection::PairingNotFound
    );
    scene.pass(LIFE - SECOND);
    assert_eq!(scene.poll(&late.secret).unwrap(), Polled::Pending);
    assert!(scene.open.look(ANN, &late.code, scene.now).is_ok());
    scene.pass(SECOND);
    assert_eq!(refusal(scene.poll(&late.secret)), Rejection::PairingEnded);
    assert_eq!(
        refusal(scene.confirm(&late.code)),
        Rejection::PairingNotFound
    );
}

#[test]
fn a_key_that_was_confirmed_at_the_last_moment_can_still_be_fetched() {
    let mut scene = Scene::new();
    let machine = scene.begun();
    scene.pass(LIFE - SECOND);
    assert_eq!(scene.poll(&machine.secret).unwrap(), Polled::Pending);
    scene.confirm(&machine.code).unwrap();
    scene.pass(INTERVAL);
    let polled = scene.poll(&machine.secret).unwrap();
    assert!(matches!(polled, Polled::Key { .. }));
    let unfetched = scene.begun();
    scene.confirm(&unfetched.code).unwrap();
    scene.pass(LIFE);
    assert_eq!(
        refusal(scene.poll(&unfetched.secret)),
        Rejection::PairingEnded
    );
}

#[test]
fn a_machine_polls_every_five_seconds_and_no_sooner() {
    let mut scene = Scene::new();
    let machine = scene.begun();
    assert!(scene.poll(&machine.secret).is_ok());
    for left in [5, 3, 1] {
        assert_eq!(wait(scene.poll(&machine.secret)), left * SECOND);
        scene.pass(2 * SECOND);
    }
    assert!(scene.poll(&machine.secret).is_ok());
    // A clock that was set back makes nobody wait.
    scene.now = NOW.minus(3600 * SECOND);
    assert!(scene.poll(&machine.secret).is_ok());
}

#[test]
fn five_are_open_for_a_network_and_a_hundred_in_all() {
    let mut scene = Scene::new();
    let first = scene.begin("2001:db8::1").unwrap();
    for n in 2..=MOST_FOR_NETWORK {
        scene.pass(SECOND);
        scene.begin(&format!("2001:db8::{n}")).unwrap();
    }
    let refused = scene.begin("2001:db8::ffff").err().unwrap();
    assert_eq!(refused.retry_after, LIFE - 4 * SECOND);
    // What has ended makes room: denied, or fetched.
    scene.confirm(&first.code).unwrap();
    assert!(scene.begin("2001:db8::1").is_err(), "it was not fetched");
    scene.poll(&first.secret).unwrap();
    let denied = scene.begin("2001:db8::1").unwrap();
    scene.open.deny(ANN, &denied.code, scene.now).unwrap();
    scene.begin("2001:db8::1").unwrap();
    let others = MOST - MOST_FOR_NETWORK;
    for n in 0..others {
        scene
            .begin(&format!("192.0.2.{}", n / MOST_FOR_NETWORK))
            .unwrap();
    }
    assert_eq!(scene.open.count(), MOST);
    assert!(scene.begin("198.51.100.1").is_err());
    scene.pass(LIFE);
    assert!(scene.begin("198.51.100.1").is_ok());
}

#[test]
fn after_five_wrong_codes_a_minute_the_right_one_is_refused_too() {
    let mut scene = Scene::new();
    let machine = scene.begun();
    let look = |scene: &mut Scene, guesser, code: &str| {
        let now = scene.now;
        scene.open.look(guesser, code, now).map(drop)
    };
    for wrong in ["", "AAAAAAAA", "nonsense", "23456789", "ABCD-EFG"] {
        assert_eq!(
            refusal(look(&mut scene, ANN, wrong)),
            Rejection::PairingNotFound
        );
        scene.pass(SECOND);
    }
    assert_eq!(wait(look(&mut scene, ANN, &machine.code)), 55 * SECOND);
    assert_eq!(wait(scene.confirm(&machine.code)), 55 * SECOND);
    let others = |n: u8| Guesser::Session(SessionId::from_bytes([n; 16]));
    look(&mut scene, others(2), &machine.code).unwrap();
    look(&mut scene, Guesser::Other, &machine.code).unwrap();
    // All together guess thirty times.
    for n in 0..25 {
        let by = others(2 + n / 5);
        assert_eq!(
            refusal(look(&mut scene, by, "AAAAAAAA")),
            Rejection::PairingNotFound
        );
    }
    let refused = look(&mut scene, others(99), &machine.code);
    assert_eq!(wait(refused), 55 * SECOND);
    scene.pass(55 * SECOND);
    assert!(look(&mut scene, others(99), &machine.code).is_ok());
}

#[derive(Debug, Clone)]
enum Step {
    Begin(u8),
    Poll(usize),
    Confirm(usize),
    Reserve(usize),
    Settle(bool),
    Deny(usize),
    Guess(u8),
    Pass(u16),
}

fn step() -> impl Strategy<Value = Step> {
    let machine = 0..12_usize;
    prop_oneof![
        6 => (0..4_u8).prop_map(Step::Begin),
        6 => machine.clone().prop_map(Step::Poll),
        3 => machine.clone().prop_map(Step::Confirm),
        2 => machine.clone().prop_map(Step::Reserve),
        2 => any::<bool>().prop_map(Step::Settle),
        1 => machine.prop_map(Step::Deny),
        2 => (0..3_u8).prop_map(Step::Guess),
        3 => (0..700_u16).prop_map(Step::Pass),
    ]
}

proptest! {
    #[test]
    fn after_any_walk_the_bounds_hold_and_no_key_is_given_twice(
        steps in prop::collection::vec(step(), 1..120)
    ) {
        let mut scene = Scene::new();
        let mut machines: Vec<Machine> = Vec::new();
        let (mut reserved, mut confirmed, mut given) = (Vec::new(), Vec::new(), Vec::new());
        let of = |machines: &[Machine], at: usize| machines.get(at).cloned();
        for step in steps {
            match step {
                Step::Begin(network) => {
                    machines.extend(scene.begin(&format!("192.0.2.{network}")).ok());
                }
                Step::Poll(at) => {
                    let Some(machine) = of(&machines, at) else { continue };
                    if let Ok(Polled::Key { key, .. }) = scene.poll(&machine.secret) {
                        prop_assert!(confirmed.contains(&machine.code), "nobody confirmed it");
                        prop_assert!(!given.contains(&key.hash()), "it was given before");
                        given.push(key.hash());
                    }
                }
                Step::Confirm(at) => {
                    let Some(machine) = of(&machines, at) else { continue };
                    if scene.confirm(&machine.code).is_ok() {
                        prop_assert!(!confirmed.contains(&machine.code), "confirmed twice");
                        confirmed.push(machine.code);
                    }
                }
                Step::Reserve(at) => {
                    let Some(machine) = of(&machines, at) else { continue };
                    let held = scene.open.reserve(ANN, &machine.code, scene.now);
                    reserved.extend(held.ok().map(|held| (machine.code, held)));
                }
                Step::Settle(recorded) => {
                    let Some((code, held)) = reserved.pop() else { continue };
                    scene.open.settle(&held, recorded.then_some(KEY), scene.now);
                    if recorded {
                        prop_assert!(!confirmed.contains(&code), "confirmed twice");
                        confirmed.push(code);
                    }
                }
                Step::Deny(at) => {
                    let Some(machine) = of(&machines, at) else { continue };
                    let denied = scene.open.deny(ANN, &machine.code, scene.now);
                    prop_assert!(denied.is_err() || !confirmed.contains(&machine.code));
                }
                Step::Guess(by) => {
                    let by = Guesser::Session(SessionId::from_bytes([by; 16]));
                    prop_assert!(scene.open.look(by, "AAAAAAAA", scene.now).is_err());
                }
                Step::Pass(seconds) => scene.pass(u32::from(seconds) * SECOND),
            }
            prop_assert!(scene.open.count() <= MOST);
            prop_assert!(scene.open.pairings.len() <= MOST + MOST_FETCHED);
            prop_assert!(scene.open.wrong.len() <= MOST_WRONG_OF_ALL);
            for network in 0..4_u8 {
                let network = Network::of(address(&format!("192.0.2.{network}")));
                let open = scene.open.pairings.iter().filter(|it| it.is_open());
                let of_network = open.filter(|it| Network::of(it.address) == network);
                prop_assert!(of_network.count() <= MOST_FOR_NETWORK);
            }
        }
    }
}
